package api

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

const (
	defaultLimit = 100
	maxLimit     = 500
)

// ---- reading

func limitOf(c *gin.Context) (int, error) {
	s := c.Query("limit")
	if s == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fault.New(fault.Invalid, "limit_invalid", "limit %q is not a number from 1 to %d", cut(s), maxLimit).WithField("limit")
	}
	return n, nil
}

func (a *api) getApplication(c *gin.Context) {
	view, err := a.store.AppView(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	// The version is that of the document: what is shown may be newer than it says,
	// and never older.
	a.answerTagged(c, view.Application.Metadata.Generation, view)
}

// ---- writing

func (a *api) putApplication(c *gin.Context) {
	ctx := c.Request.Context()
	b, err := a.body(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	app, err := decode.Application(b)
	if err == nil {
		err = sameName(c, app.Metadata.Name)
	}
	var version int64
	if err == nil {
		version, err = ifMatch(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	concerns(c, app.Spec.Project, app.Metadata.Name)
	w := a.newWriter(c)
	w.mustBeNew, w.version = onlyNew(c), version
	stored, result, err := w.application(ctx, app)
	w.tell()
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Header("ETag", etag(stored.Version))
	c.JSON(statusOf(result), written(stored))
}

// written is an application as it is answered after a write.
func written(app fleet.App) model.Application {
	out := app.Application
	out.Metadata.UID = string(app.UID)
	out.Metadata.ResourceVersion = strconv.FormatInt(app.Version, 10)
	if !app.CreatedAt.IsZero() {
		t := app.CreatedAt.UTC()
		out.Metadata.CreationTimestamp = &t
	}
	return out
}

// refreshed says whether the cluster is looked at now, or when its agent comes.
type refreshed struct {
	AgentConnected bool `json:"agentConnected"`
}

func (a *api) refreshApplication(c *gin.Context) {
	ctx := c.Request.Context()
	app, err := a.store.Application(ctx, c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	for _, url := range repositoriesOf(app.Application) {
		a.opts.Sources.Poke(url)
	}
	if c.Query("hard") == "true" {
		a.written(c.Request.Context(), app.UID) // renders although nothing changed
	}
	connected := a.opts.Agents.Refresh(app.Cluster, app.UID)
	c.JSON(http.StatusAccepted, refreshed{connected})
}

func repositoriesOf(app model.Application) []string {
	var out []string
	for _, s := range app.Spec.AllSources() {
		if !slices.Contains(out, s.RepoURL) {
			out = append(out, s.RepoURL)
		}
	}
	return out
}

func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
