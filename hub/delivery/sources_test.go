package delivery

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const charts = "https://charts.example"

// multi makes an application of a chart, a directory and a ref.
func (w *world) multi(name string) model.AppUID {
	uid := w.app(name, "")
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.apps[uid]
	app.Application.Spec.Source = nil
	app.Application.Spec.Sources = []model.Source{
		{RepoURL: charts, Chart: "web", TargetRevision: "^1", Helm: &model.HelmSource{ValueFiles: []string{"$values/web.yaml"}}},
		{RepoURL: repo, TargetRevision: "main", Ref: "values"},
		{RepoURL: repo, TargetRevision: "other", Path: "extra"},
	}
	w.apps[uid] = app
	return uid
}

var (
	onChart = fleet.Target{RepoURL: charts, Chart: "web", Revision: "^1"}
	onOther = fleet.Target{RepoURL: repo, Revision: "other"}
)

func TestSeveralSourcesAreJoined(t *testing.T) {
	w := newWorld(t)
	uid := w.multi("web")
	w.put("", "1.2.3", "a", "b")
	w.put("extra", "c1", "b", "c")
	d := start(t, w)
	w.await("all three are watched", func() bool { return len(w.watched) == 3 })
	d.RepositoryResolved(charts, map[fleet.Target]Head{onChart: {Commit: "1.2.3"}}, nil)
	d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: {Commit: "v1"}}, nil)
	w.mu.Lock()
	_, written := w.desired[uid]
	w.mu.Unlock()
	if written {
		t.Fatal("rendered although a source was not resolved")
	}
	d.RepositoryResolved(repo, map[fleet.Target]Head{onOther: {Commit: "c1"}}, nil)
	w.await("it is written", func() bool { return w.desired[uid].Generation == 1 })
	w.mu.Lock()
	app := w.apps[uid]
	if got := strings.Join(app.Source.Revision.Sources, " "); got != "1.2.3 c1" {
		t.Errorf("revisions %q", got)
	}
	if n := len(app.Source.Warnings); n != 1 || app.Source.Warnings[0].Type != "RepeatedResourceWarning" {
		t.Errorf("warnings %+v", app.Source.Warnings)
	}
	ref := w.asked[len(w.asked)-1].Refs["values"]
	if ref.Commit != "v1" || ref.Source.RepoURL != repo {
		t.Errorf("the ref is %+v", ref)
	}
	before := w.renders
	w.putLocked("extra", "c2", "b", "c")
	w.mu.Unlock()

	// The directory's commit moved and its content did not: nothing is rendered.
	d.RepositoryResolved(repo, map[fleet.Target]Head{onOther: {Commit: "c2"}}, nil)
	w.await("it is looked at", func() bool { return w.asked[len(w.asked)-1].Commit == "c2" })
	w.mu.Lock()
	if w.renders != before {
		t.Errorf("%d renders of what had not changed", w.renders-before)
	}
	w.putLocked("extra", "c3", "d")
	w.mu.Unlock()
	d.RepositoryResolved(repo, map[fleet.Target]Head{onOther: {Commit: "c3"}}, nil)
	w.await("a change of one source brings all", func() bool { return w.desired[uid].Generation == 2 })
	w.await("the warning went with its cause", func() bool { return len(w.apps[uid].Source.Warnings) == 0 })
}

func TestAnErrorOfARefIsTheApplications(t *testing.T) {
	w := newWorld(t)
	uid := w.multi("web")
	d := start(t, w)
	w.await("watched", func() bool { return len(w.watched) == 3 })
	d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: {Err: fault.New(fault.Unprocessable, "revision_not_found", "no main")}}, nil)
	w.await("it says so", func() bool { c := w.condition(uid); return c != nil && c.Code == "revision_not_found" })
}

func TestAClusterThatServesOtherAPIsIsLookedAt(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("written", func() bool { return w.desired[uid].Generation == 1 })
	looks := func() int { return len(w.asked) }
	w.mu.Lock()
	before := looks()
	w.mu.Unlock()
	d.ClusterReported("c1", "v1.37.2", []string{"apps/v1/Deployment"})
	w.await("looked at once", func() bool { return looks() == before+1 })
	d.ClusterReported("c1", "v1.37.2", []string{"apps/v1/Deployment"})
	d.ClusterReported("c2", "v1.37.2", nil)
	d.ClusterReported("c1", "v1.38.0", []string{"apps/v1/Deployment"})
	w.await("looked at for the new version", func() bool { return looks() == before+2 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.asked[len(w.asked)-1].KubeVersion; got != "v1.37.2" {
		t.Errorf("the render is told version %q, and the database says v1.37.2", got)
	}
}

func TestWhatAProjectLetsBeFetched(t *testing.T) {
	project := model.AppProject{Metadata: model.ObjectMeta{Name: "shop"}, Spec: model.AppProjectSpec{SourceRepos: []string{"https://git.example/*"}}}
	allowing := project
	allowing.Metadata.Annotations = map[string]string{model.AnnotationRemoteBases: "allow"}
	for _, c := range []struct {
		name    string
		project model.AppProject
		url     string
		remote  bool
		want    string
	}{
		{"a chart's dependency", project, "https://git.example/charts", false, ""},
		{"a dependency elsewhere", project, "https://other.example/charts", false, "repo_not_permitted"},
		{"a remote base", project, "https://git.example/base", true, "remote_base_forbidden"},
		{"a remote base where they are allowed", allowing, "https://git.example/base", true, ""},
		{"a remote base with a password", project, "https://u:CANARY@git.example/base", true, "remote_base_forbidden"},
		{"a dependency with a password", project, "https://u:CANARY@other.example/base", false, "repo_not_permitted"},
		{"a remote base elsewhere", allowing, "https://other.example/base", true, "repo_not_permitted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := PermitFetch(c.project, nil)(c.url, c.remote)
			if (err == nil) != (c.want == "") || err != nil && !fault.HasCode(err, c.want) {
				t.Errorf("%v, want code %q", err, c.want)
			}
			if err != nil && strings.Contains(fmt.Sprintf("%+v", *fault.As(err)), "CANARY") {
				t.Errorf("a password is in %v", err)
			}
		})
	}
}

func TestConditionsHideWhatURLsCarry(t *testing.T) {
	c := condition(fault.New(fault.Upstream, "git_unavailable", "https://u:CANARY@h/x does not answer").WithFix("look at https://CANARY@h/x"))
	if c.Message != "https://***@h/x does not answer; look at https://***@h/x" {
		t.Errorf("%q", c.Message)
	}
}

func TestGeneratePaths(t *testing.T) {
	app := model.Application{Metadata: model.ObjectMeta{Annotations: map[string]string{model.AnnotationGeneratePaths: " .;/lib/*.yaml ;;../base"}}}
	if got := strings.Join(GeneratePaths(app), "|"); got != ".|/lib/*.yaml|../base" {
		t.Errorf("%q", got)
	}
	if got := GeneratePaths(model.Application{}); got != nil {
		t.Errorf("%q", got)
	}
}

// A renderer sees one source at a time and calls it spec.source; with several
// the error names the one that it is about.
func TestErrorsNameTheSourceThatTheyAreAbout(t *testing.T) {
	shared := fault.New(fault.Unprocessable, "helm_values_not_found", "spec.source.helm.values: no").
		WithField("spec.source.helm.valueFiles[0]").WithFix("set spec.source.helm.ignoreMissingValueFiles")
	other := fault.New(fault.Unprocessable, "yaml_invalid", "spec.sourceful: spec.source.x").WithField("spec.destination")
	single := placed(shared, singleSource)
	if fault.As(single) != shared {
		t.Errorf("one source: %v", single)
	}
	var list fault.List
	if !errors.As(placed(fault.List{shared, other}, "spec.sources[2]"), &list) || len(list) != 2 {
		t.Fatalf("%v", list)
	}
	if e := list[0]; e.Field != "spec.sources[2].helm.valueFiles[0]" || e.Message != "spec.sources[2].helm.values: no" || e.Fix != "set spec.sources[2].helm.ignoreMissingValueFiles" {
		t.Errorf("%+v", e)
	}
	if e := list[1]; e.Field != other.Field || e.Message != other.Message {
		t.Errorf("%+v", e)
	}
	if shared.Field != "spec.source.helm.valueFiles[0]" {
		t.Error("what is shared was changed")
	}
}
