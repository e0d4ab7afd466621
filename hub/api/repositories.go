package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/policy"
)

// repositoryRequest is what callers say of a repository. The fields of the
// credential, type and name among them, stand beside the URL. They only go in:
// answers have model.CredentialInfo.
type repositoryRequest struct {
	URL     string `json:"url"`
	Project string `json:"project,omitempty"`
	fleet.Credential
	SkipTest bool `json:"skipTest,omitempty"`
}

// repositoryChange is what callers say of a repository that they change; what is
// left out stays. A URL that is given must be the one that it has.
type repositoryChange struct {
	URL     string `json:"url,omitempty"`
	Project string `json:"project,omitempty"`
	fleet.Credential
	SkipTest bool `json:"skipTest,omitempty"`
}

// secretFields are those of requests whose values no message may repeat.
var secretFields = map[string]bool{
	"password": true, "bearerToken": true, "sshKey": true, "clientKey": true, "githubAppPrivateKey": true,
	"username": true, "proxy": true,
}

// intoSecret is into for a body with secrets.
func (a *api) intoSecret(c *gin.Context, v any) error {
	err := a.into(c, v, false)
	var list fault.List
	if !errors.As(err, &list) {
		return err
	}
	for i, e := range list {
		if secretFields[e.Field] {
			list[i] = fault.New(e.Kind, e.Code, "%s must be %s", e.Field, e.Allowed).WithField(e.Field).WithFound("", e.Allowed)
		}
	}
	return list
}

// given reports whether the request says anything of a credential.
func (r *repositoryRequest) given() bool {
	c := r.Credential
	c.Type, c.Name = "", ""
	return c != fleet.Credential{}
}

func (a *api) getRepository(c *gin.Context) {
	repo, err := a.store.Repository(c.Request.Context(), c.Param("id"))
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerTagged(c, repo.Version, repo.Repository)
}

// addRepository registers a repository. Adding a URL again replaces what is
// known of it; without a credential the stored one stays.
func (a *api) addRepository(c *gin.Context) {
	var in repositoryRequest
	if err := a.intoSecret(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	stored, err := a.writeRepository(c.Request.Context(), a.caller(c), "", in, !in.given(), 0)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Header("ETag", etag(stored.Version))
	c.JSON(http.StatusCreated, stored)
}

// changeRepository changes what the request names and keeps the rest, secrets
// included. The URL stays: a credential must not go to another host because
// somebody wrote its name.
func (a *api) changeRepository(c *gin.Context) {
	ctx := c.Request.Context()
	old, err := a.store.Repository(ctx, c.Param("id"))
	if err != nil {
		a.fail(c, err)
		return
	}
	over, err := over(c, old.Version)
	if err != nil {
		a.fail(c, err)
		return
	}
	in := repositoryChange{URL: old.URL, Project: old.Project}
	if old.Credential != nil {
		in.Credential = *old.Credential
	}
	in.Type, in.Name = old.Type, old.Name
	if err := a.intoSecret(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if fleet.RepositoryIdentity(in.URL) != fleet.RepositoryIdentity(old.URL) {
		a.fail(c, urlStays("a repository"))
		return
	}
	stored, err := a.writeRepository(ctx, a.caller(c), old.ID, repositoryRequest(in), false, over)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Header("ETag", etag(stored.Version))
	c.JSON(http.StatusOK, stored)
}

func urlStays(what string) error {
	return fault.New(fault.Invalid, "repo_url_immutable", "the URL of %s cannot change", what).WithField("url").
		WithFix("remove it and add one with the new URL and its credential")
}

// writeRepository checks, tries and stores a repository under an ID, or under
// its URL for "". keep leaves the stored credential as it is. over is the version
// that it is written over, 0 for any.
func (a *api) writeRepository(ctx context.Context, set *permission.Set, id string, in repositoryRequest, keep bool, over int64) (model.Repository, error) {
	in.URL = strings.TrimSpace(in.URL)
	if in.Type == "" {
		in.Type = typeOf(in.URL)
	}
	if err := a.checkRepository(in); err != nil {
		return model.Repository{}, err
	}
	if err := a.mayWriteRepository(ctx, set, in.Project, in.URL); err != nil {
		return model.Repository{}, err
	}
	if err := a.projectExists(ctx, in.Project); err != nil {
		return model.Repository{}, err
	}
	if !in.SkipTest {
		var old fleet.Repository
		if keep {
			var err error
			if old, err = a.registered(ctx, in.URL); err != nil {
				return model.Repository{}, err
			}
		}
		tried, err := a.credentialToTry(ctx, in, keep, old)
		if err != nil {
			return model.Repository{}, err
		}
		if err := a.probe(ctx, in.URL, tried.credential, func(model.RepositoryStep) {}); err != nil {
			return model.Repository{}, err
		}
	}
	repo := fleet.Repository{Credential: &in.Credential}
	repo.ID, repo.URL, repo.Type, repo.Name, repo.Project, repo.Version = id, in.URL, in.Type, in.Name, in.Project, over
	if keep {
		repo.Credential = nil
	}
	stored, err := a.store.UpsertRepository(ctx, repo)
	if err != nil {
		return model.Repository{}, err
	}
	a.opts.Sources.Poke(in.URL)
	a.opts.Publisher.Publish("repository", stored.ID, stored)
	return stored, nil
}

func (a *api) projectExists(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	_, err := a.store.Project(ctx, name)
	return err
}

func (a *api) deleteRepository(c *gin.Context) {
	ctx, id := c.Request.Context(), c.Param("id")
	force, err := boolean(c, "force")
	if err == nil && !force {
		err = a.unused(ctx, a.caller(c), id)
	}
	var expected int64
	if err == nil {
		expected, err = ifMatch(c)
	}
	if err == nil {
		err = a.store.DeleteRepository(ctx, id, expected)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Publisher.Publish("repository", id, deleted{ID: id, Deleted: true})
	c.Status(http.StatusNoContent)
}

// namedUsers of a repository are named where it is refused to delete it.
const namedUsers = 5

// unused refuses to forget a repository that applications have as a source: they
// could not be rendered any more.
func (a *api) unused(ctx context.Context, set *permission.Set, id string) error {
	repo, err := a.store.Repository(ctx, id)
	if err != nil {
		return err
	}
	apps, err := a.store.Applications(ctx)
	if err != nil {
		return err
	}
	used, names := false, []string(nil)
	for _, app := range apps {
		if repo.Project != "" && repo.Project != app.Project {
			continue // it is not for them
		}
		if slices.ContainsFunc(repositoriesOf(app.Application), func(url string) bool { return policy.NormaliseRepo(url) == policy.NormaliseRepo(repo.URL) }) {
			used = true
			if set.Sees(permission.Applications, app.Project, app.Name) {
				names = append(names, app.Name)
			}
		}
	}
	if !used {
		return nil
	}
	if len(names) == 0 {
		names = []string{"none that you see"}
	}
	slices.Sort(names)
	first := strings.Join(names[:min(len(names), namedUsers)], ", ")
	if len(names) > namedUsers {
		first += ", …"
	}
	return fault.New(fault.Precondition, "repository_in_use", "applications have sources in repository %s: %d (%s)", repo.URL, len(names), first).
		WithFix("change their sources first; forget it all the same, and its credential: hawser repo remove URL --force, or force=true")
}

// repositoriesAllowed checks what depends on the hub's configuration.
func (a *api) repositoriesAllowed(app *model.Application) error {
	for i, s := range app.Spec.AllSources() {
		if e := decode.RepoURL(sourceField(app, i)+".repoURL", s.RepoURL, s.Chart != "", a.opts.AllowFileRepositories); e != nil {
			return e
		}
	}
	return nil
}

// sourceField is where the i-th source of an application stands.
func sourceField(app *model.Application, i int) string {
	if len(app.Spec.Sources) > 0 {
		return indexed("spec.sources", i)
	}
	return "spec.source"
}
