package api

import (
	"cmp"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// testTimeout bounds one test of a repository.
const testTimeout = 30 * time.Second

// mediaLines is one JSON document per line, as they come.
const mediaLines = "application/x-ndjson"

// tried is a credential and where it is from, in the words of
// model.RepositoryTest.
type tried struct {
	credential *fleet.Credential // nil for none
	from       string
	template   string
}

// credentialToTry is what would open the repository that a request describes:
// the credential that it gives or, when it is to be the stored one, that of old;
// completed with the template of the longest prefix.
func (a *api) credentialToTry(ctx context.Context, in repositoryRequest, stored bool, old fleet.Repository) (tried, error) {
	given := in.Credential
	out := tried{credential: &given, from: "given"}
	if stored {
		out = tried{credential: old.Credential, from: "repository"}
	}
	if out.credential.Info().Kinds == nil {
		out.from = "none"
	}
	if !out.credential.HasAuth() {
		template, url, err := a.store.TemplateFor(ctx, in.URL, in.Project)
		if err != nil {
			return tried{}, err
		}
		if template != nil {
			out = tried{credential: out.credential.Inherit(template), from: "template", template: url}
		}
	}
	var c fleet.Credential
	if out.credential != nil {
		c = *out.credential
	}
	c.Type, c.Name = "", ""
	if c == (fleet.Credential{}) && in.Type == fleet.Git {
		out.credential = nil
		return out, nil
	}
	c.Type, c.Name = in.Type, in.Name
	out.credential = &c
	return out, nil
}

// registered finds the repository that is registered with a URL; the zero value
// when there is none.
func (a *api) registered(ctx context.Context, repoURL string) (fleet.Repository, error) {
	repos, err := a.store.Repositories(ctx)
	if err != nil {
		return fleet.Repository{}, err
	}
	identity := fleet.RepositoryIdentity(repoURL)
	for _, r := range repos {
		if fleet.RepositoryIdentity(r.URL) == identity {
			return a.store.Repository(ctx, r.ID)
		}
	}
	return fleet.Repository{}, nil
}

// probe tries a repository, and tells each step without anything secret. The
// error is that of the step that failed.
func (a *api) probe(ctx context.Context, repoURL string, cred *fleet.Credential, each func(model.RepositoryStep)) error {
	testCtx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	err := a.opts.Sources.Probe(testCtx, repoURL, cred, func(s ProbeStep) {
		step := model.RepositoryStep{
			Name: s.Name, OK: s.Err == nil, Detail: shorten(cred.Redact(s.Detail)),
			Milliseconds: float64(s.Took.Microseconds()) / 1000,
		}
		if s.Err != nil {
			step.Problem = repositoryProblem(redacted(s.Err, cred))
		}
		each(step)
	})
	if err != nil && testCtx.Err() != nil && ctx.Err() == nil && !fault.Is(err, fault.Upstream) {
		err = fault.Wrap(err, fault.Upstream, "git_unavailable", "the repository did not answer within %s", testTimeout)
	}
	if err != nil {
		return redacted(err, cred)
	}
	return nil
}

// redacted is an error without the credential's secrets. What caused it is kept
// in words, for the log.
func redacted(err error, cred *fleet.Credential) *fault.Error {
	e := *fault.As(err)
	e.Message, e.Found, e.Allowed, e.Fix = cred.Redact(e.Message), cred.Redact(e.Found), cred.Redact(e.Allowed), cred.Redact(e.Fix)
	if e.Cause != nil {
		e.Cause = redactedCause(cred.Redact(e.Cause.Error()))
	}
	return &e
}

type redactedCause string

func (c redactedCause) Error() string { return string(c) }

func repositoryProblem(err error) *model.RepositoryProblem {
	p := newProblem(err, "")
	return &model.RepositoryProblem{
		Kind: string(p.Kind), Code: p.Code, Detail: p.Detail, Field: p.Field, Found: p.Found, Allowed: p.Allowed, Fix: p.Fix,
	}
}

// testRepository tries a repository with the credential that the request gives,
// or with what is stored for the URL, and stores nothing. A repository that does
// not answer is an answer too: the status is 200. Who accepts lines gets each
// step when it is done.
func (a *api) testRepository(c *gin.Context) {
	ctx := c.Request.Context()
	var in repositoryRequest
	if err := a.intoSecret(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	in.URL = strings.TrimSpace(in.URL)
	old, err := a.registered(ctx, in.URL)
	if err != nil {
		a.fail(c, err)
		return
	}
	stored := !in.given()
	if in.Type == "" {
		in.Type = cmp.Or(old.Type, typeOf(in.URL))
	}
	if in.Project == "" {
		in.Project = old.Project
	}
	if err := a.checkRepository(in); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.mayWriteRepository(ctx, a.caller(c), in.Project, in.URL); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.projectExists(ctx, in.Project); err != nil {
		a.fail(c, err)
		return
	}
	with, err := a.credentialToTry(ctx, in, stored, old)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := model.RepositoryTest{URL: in.URL, Type: in.Type, Credential: with.from, Template: with.template, Steps: []model.RepositoryStep{}}
	line := func(model.RepositoryTestLine) {}
	if media, _, err := mime.ParseMediaType(c.GetHeader("Accept")); err == nil && media == mediaLines {
		c.Header("Content-Type", mediaLines)
		c.Status(http.StatusOK)
		enc := json.NewEncoder(c.Writer)
		line = func(l model.RepositoryTestLine) {
			_ = enc.Encode(l) // the caller may be gone; its context ends the test
			c.Writer.Flush()
		}
		c.Writer.Flush()
	}
	err = a.probe(ctx, in.URL, with.credential, func(s model.RepositoryStep) {
		out.Steps = append(out.Steps, s)
		line(model.RepositoryTestLine{Step: &s})
	})
	if out.OK = err == nil; err != nil {
		out.Problem = repositoryProblem(err)
		a.log.InfoContext(ctx, "a repository failed its test", "repository", fleet.MaskURLs(in.URL), "error", err)
	}
	if c.Writer.Written() {
		line(model.RepositoryTestLine{Test: &out})
		return
	}
	c.JSON(http.StatusOK, out)
}

// typeOf is the type that a URL looks like.
func typeOf(repoURL string) string {
	if strings.HasPrefix(strings.ToLower(repoURL), "oci://") {
		return fleet.OCI
	}
	return fleet.Git
}
