package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// maxObject bounds an object that is passed on.
const maxObject = 16 << 20

// getResource answers one live object of an application as JSON, or as YAML when
// that is asked for. Values of Secrets were redacted in their
// cluster; the hub looks again, see guardObject.
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
	sensitive, err := a.sensitiveFields(l.ctx, l.app.Project)
	if err != nil {
		a.fail(c, err)
		return
	}
	body, secret, err := guardObject(body, sensitive)
	if err != nil {
		a.fail(c, err)
		return
	}
	if secret != nil {
		a.log.InfoContext(l.ctx, "a Secret was read, its values redacted", "application", l.app.Name, "by", l.by.Name, "from", address(c.Request),
			"namespace", cut(secret.Namespace), "name", cut(secret.Name))
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

var maskedValue = regexp.MustCompile("^redacted:[0-9a-f]{0,64}$")

// guardObject makes sure that what an agent sent is an object without values of
// Secrets or of sensitive fields, and without the last applied configuration, which
// has them once more: an agent may be old, or lie. secret says which Secret of Kubernetes it is, nil
// for other objects.
func guardObject(body []byte, sensitive []model.SensitiveFields) (_ []byte, secret *model.ObjectKey, err error) {
	bad := func(err error) ([]byte, *model.ObjectKey, error) {
		return nil, nil, fault.Wrap(err, fault.Upstream, "access_failed", "the cluster's agent sent something that is no object")
	}
	if !json.Valid(body) {
		return bad(nil)
	}
	// Without a backslash JSON has one way to write a word; and a long s is an s to
	// who compares without regard to case, but no upper case of it.
	lower := bytes.ToLower(body)
	if len(sensitive) == 0 && !slices.ContainsFunc([]string{"secret", manifest.LastAppliedAnnotation, `\`, "ſ"}, func(s string) bool { return bytes.Contains(lower, []byte(s)) }) {
		return body, nil, nil
	}
	in := json.NewDecoder(bytes.NewReader(body))
	in.UseNumber()
	var object map[string]any
	if err := in.Decode(&object); err != nil {
		return bad(err)
	}
	meta, _ := object["metadata"].(map[string]any)
	guardWithin(object)
	version, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	if manifest.IsSecret(model.GroupKind{Kind: kind}) {
		secret = &model.ObjectKey{Kind: "Secret"}
		if group, _, ok := strings.Cut(version, "/"); ok {
			secret.Group = group
		}
		secret.Namespace, _ = meta["namespace"].(string)
		secret.Name, _ = meta["name"].(string)
		for field, v := range object {
			switch field {
			case "apiVersion", "kind", "metadata", "type", "immutable": // all others hold values
			default:
				object[field] = masked(v)
			}
		}
	}
	manifest.FieldsIn(sensitive, object).Hide("", object, func(_ string, v any) any {
		if s, ok := v.(string); v == nil || ok && maskedValue.MatchString(s) {
			return v
		}
		return mask
	})
	// Written anew in any case: of a name that is given twice others may take the
	// first.
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object); err != nil {
		return bad(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), secret, nil
}

// guardWithin takes what guardObject looks for out of whatever an object contains.
func guardWithin(v any) {
	switch v := v.(type) {
	case map[string]any:
		if annotations, ok := v["annotations"].(map[string]any); ok {
			delete(annotations, manifest.LastAppliedAnnotation)
		}
		for _, item := range v {
			guardWithin(item)
		}
		if kind, _ := v["kind"].(string); manifest.IsSecret(model.GroupKind{Kind: kind}) {
			for _, field := range manifest.DataFields {
				if values, there := v[field]; there {
					v[field] = masked(values)
				}
			}
		}
	case []any:
		for _, item := range v {
			guardWithin(item)
		}
	}
}

// mask stands for what its cluster should have redacted.
const mask = "redacted:"

// masked is the values of a Secret without what is not redacted.
func masked(values any) any {
	all, ok := values.(map[string]any)
	if !ok {
		if values == nil {
			return nil
		}
		return mask
	}
	for name, v := range all {
		if s, ok := v.(string); v != nil && (!ok || !maskedValue.MatchString(s)) {
			all[name] = mask
		}
	}
	return all
}
