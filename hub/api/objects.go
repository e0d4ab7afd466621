package api

import (
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// maxObject bounds an object that is passed on.
const maxObject = 16 << 20

// getResource answers one live object of an application as JSON, or as YAML when
// that is asked for. Values of Secrets were redacted in their cluster.
func (a *api) getResource(c *gin.Context) {
	p := parametersIn(c)
	q := model.ObjectQuery{ObjectSelector: p.selector(), ManagedFields: p.flag("managedFields", false)}
	if err := p.done(); err != nil {
		a.fail(c, err)
		return
	}
	l, err := a.look(c, model.AccessRequest{Timeout: objectTimeout, Object: &q})
	if err != nil {
		a.fail(c, err)
		return
	}
	defer l.close()
	var body []byte
	for {
		m, err := l.receive()
		if err != nil {
			a.fail(c, err)
			return
		}
		if m.End != nil {
			break
		}
		if body = append(body, m.Object...); len(body) > maxObject {
			a.fail(c, fault.New(fault.TooLarge, "object_too_large", "the object is larger than %d MiB", maxObject>>20))
			return
		}
	}
	if !json.Valid(body) {
		a.fail(c, fault.New(fault.Upstream, "access_failed", "the cluster's agent sent something that is no object"))
		return
	}
	media := "application/json"
	if wants(c, "application/yaml") {
		media = "application/yaml"
		if body, err = yaml.JSONToYAML(body); err != nil {
			a.fail(c, fault.Wrap(err, fault.Upstream, "access_failed", "the cluster's agent sent an object that cannot be written as YAML"))
			return
		}
	}
	c.Data(http.StatusOK, media, body)
}
