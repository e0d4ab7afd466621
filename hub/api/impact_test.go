package api

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A text of a project that is tightened, as a dry run and for good.
func TestApplyTellsWhatAProjectMakesInvalid(t *testing.T) {
	w := newWorld(t)
	w.login()
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	w.calls.take()
	const tight = "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: default}\nspec:\n  sourceRepos: ['https://elsewhere/*']\n  destinations: [{name: '*', namespace: '*'}]\n"
	const fresh = "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: fresh}\nspec:\n  sourceRepos: ['**']\n  destinations: [{name: '*', namespace: '*'}]\n"
	dry := func(status int, docs ...string) []applied {
		t.Helper()
		var got appliedAnswer
		before, upserts := w.store.projects["default"], w.store.upserts
		w.call("POST", "/api/v1/apply?dryRun=true", strings.Join(docs, "---\n")).ok(status).into(&got)
		if !sameProject(before, w.store.projects["default"]) || w.store.upserts != upserts || len(w.store.projects["fresh"].Spec.SourceRepos) > 0 || w.calls.take() != "" {
			t.Error("a dry run changed something")
		}
		return got.Items
	}
	items := dry(200, tight)
	if p := items[0].Preview; items[0].Result != resultConfigured || p == nil || p.InvalidCount != 1 || p.Invalid[0].Name != "web" || p.Invalid[0].Refusal.Code != "repo_not_permitted" {
		t.Errorf("%+v", items)
	}
	// Applications are asked of the projects that the text has, and one that the
	// text changes is judged as it is there.
	inFresh := func(name string) string {
		return strings.Replace(application(name), "project: default", "project: fresh", 1)
	}
	if !strings.Contains(inFresh("web"), "project: fresh") {
		t.Fatal(inFresh("web"))
	}
	items = dry(200, tight, fresh, inFresh("web"), inFresh("new"))
	for i, want := range []string{resultConfigured, resultCreated, resultConfigured, resultCreated} {
		if items[i].Result != want || items[i].Error != nil {
			t.Errorf("%+v", items[i])
		}
	}
	if items[0].Preview.InvalidCount != 0 {
		t.Errorf("%+v", items[0].Preview)
	}
	if items = dry(207, tight, application("new"), application("web")); items[1].Error == nil || items[1].Error.Code != "repo_not_permitted" || items[2].Error == nil {
		t.Errorf("%+v", items)
	}
	if items = dry(200, application("web")); items[0].Result != resultUnchanged {
		t.Errorf("%+v", items)
	}
	w.call("POST", "/api/v1/apply?dryRun=perhaps", tight).problem(400, "value_unknown")

	var got appliedAnswer
	w.call("POST", "/api/v1/apply", tight).ok(200).into(&got)
	if x := got.Items[0]; x.Preview == nil || x.Preview.InvalidCount != 1 || x.Preview.Invalid[0].Name != "web" {
		t.Errorf("%+v", got)
	}
}

func TestLabelsTellWhatTheyMakeInvalid(t *testing.T) {
	w := newWorld(t)
	w.login()
	w.call("PUT", "/api/v1/clusters/eu/labels", `{"labels":{"env":"prod"}}`).ok(200)
	w.call("PUT", "/api/v1/projects/default", `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"default"},"spec":{"sourceRepos":["**"],"destinations":[{"namespace":"*","clusterSelector":{"matchLabels":{"env":"prod"}}}]}}`).ok(200)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	w.calls.take()
	preview := func(labels string) (out labelsPreview) {
		t.Helper()
		w.call("PUT", "/api/v1/clusters/eu/labels?dryRun=true", `{"labels":`+labels+`}`).ok(200).into(&out)
		if w.calls.take() != "" || w.store.clusters[0].Labels["env"] != "prod" && w.store.clusters[1].Labels["env"] != "prod" {
			t.Error("a dry run changed something")
		}
		return out
	}
	if p := preview(`{"env":"dev"}`); p.Cluster != "eu" || p.Applications != 1 || p.InvalidCount != 1 || p.Invalid[0].Name != "web" || p.Invalid[0].Refusal.Code != "destination_not_permitted" {
		t.Errorf("%+v", p)
	}
	if p := preview(`{"env":"prod","tier":"a"}`); p.InvalidCount != 0 || p.Applications != 1 {
		t.Errorf("%+v", p)
	}
	if got := w.call("PUT", "/api/v1/clusters/eu/labels", `{"labels":{"env":"prod","tier":"a"}}`).ok(200).header.Get("Warning"); got != "" {
		t.Errorf("warned of %q", got)
	}
	if got := w.call("PUT", "/api/v1/clusters/eu/labels", `{}`).ok(200).header.Get("Warning"); !strings.Contains(got, "1 of 1 applications become invalid by this, first web: ") {
		t.Errorf("warned of %q", got)
	}
	var back labelsPreview
	w.call("PUT", "/api/v1/clusters/eu/labels?dryRun=true", `{"labels":{"env":"prod"}}`).ok(200).into(&back)
	if back.ValidCount != 1 || back.Valid[0] != "web" {
		t.Errorf("%+v", back)
	}
}

func TestNotToKnowWhatBecomesInvalidIsSaid(t *testing.T) {
	w := newWorld(t)
	a := &api{log: w.opts.Log}
	_, got := soon(t.Context(), a, func(ctx context.Context) (impact, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("without a limit")
		}
		return impact{}, errors.New("the database is away")
	})
	if !strings.Contains(got, "could not be found out") {
		t.Errorf("%q", got)
	}
}
