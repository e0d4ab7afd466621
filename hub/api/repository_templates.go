package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// templateRequest is what callers say of a credential template.
type templateRequest struct {
	URL     string `json:"url"` // prefix
	Project string `json:"project,omitempty"`
	fleet.Credential
}

// templateChange is what callers say of a template that they change; what is left
// out stays. A URL or project that is given must be the one that it has.
type templateChange struct {
	URL     string `json:"url,omitempty"`
	Project string `json:"project,omitempty"`
	fleet.Credential
}

func (a *api) listTemplates(c *gin.Context) {
	templates, err := a.store.RepositoryTemplates(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, newList(a, templates))
}

func (a *api) getTemplate(c *gin.Context) {
	t, err := a.store.RepositoryTemplate(c.Request.Context(), c.Param("id"))
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerTagged(c, t.Version, t.RepositoryTemplate)
}

// addTemplate stores a template; one for the same URL and project is replaced.
func (a *api) addTemplate(c *gin.Context) {
	var in templateRequest
	if err := a.intoSecret(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	stored, err := a.writeTemplate(c.Request.Context(), "", in, 0)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Header("ETag", etag(stored.Version))
	c.JSON(http.StatusCreated, stored)
}

// changeTemplate changes what the request names and keeps the rest.
func (a *api) changeTemplate(c *gin.Context) {
	ctx := c.Request.Context()
	old, err := a.store.RepositoryTemplate(ctx, c.Param("id"))
	if err != nil {
		a.fail(c, err)
		return
	}
	over, err := over(c, old.Version)
	if err != nil {
		a.fail(c, err)
		return
	}
	in := templateChange{URL: old.URL, Project: old.Project}
	if old.Credential != nil {
		in.Credential = *old.Credential
	}
	if err := a.intoSecret(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if fleet.RepositoryIdentity(in.URL) != fleet.RepositoryIdentity(old.URL) || in.Project != old.Project {
		a.fail(c, urlStays("a credential template"))
		return
	}
	stored, err := a.writeTemplate(ctx, old.ID, templateRequest(in), over)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Header("ETag", etag(stored.Version))
	c.JSON(http.StatusOK, stored)
}

func (a *api) writeTemplate(ctx context.Context, id string, in templateRequest, over int64) (model.RepositoryTemplate, error) {
	in.URL = strings.TrimSpace(in.URL)
	if err := a.checkTemplate(in); err != nil {
		return model.RepositoryTemplate{}, err
	}
	if err := a.projectExists(ctx, in.Project); err != nil {
		return model.RepositoryTemplate{}, err
	}
	t := fleet.RepositoryTemplate{Credential: &in.Credential}
	t.ID, t.URL, t.Project, t.Version = id, in.URL, in.Project, over
	stored, err := a.store.UpsertRepositoryTemplate(ctx, t)
	if err != nil {
		return model.RepositoryTemplate{}, err
	}
	a.opts.Sources.PokeUnder(in.URL)
	a.opts.Publisher.Publish("repository-template", stored.ID, stored)
	return stored, nil
}

func (a *api) deleteTemplate(c *gin.Context) {
	id := c.Param("id")
	expected, err := ifMatch(c)
	var url string
	if err == nil {
		url, err = a.store.DeleteRepositoryTemplate(c.Request.Context(), id, expected)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Sources.PokeUnder(url)
	a.opts.Publisher.Publish("repository-template", id, deleted{ID: id, Deleted: true})
	c.Status(http.StatusNoContent)
}
