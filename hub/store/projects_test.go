package store

import (
	"slices"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

func TestM03_ApplicationsBeyondTheQuotaAreNotCreated(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	three := int64(3)
	must(t, second(b.UpsertProject(ctx, model.AppProject{Metadata: model.ObjectMeta{Name: "shop"}, Spec: model.AppProjectSpec{Limits: &model.ProjectLimits{MaxApplications: &three}}}, "ann")))
	cluster := b.cluster("eu")
	create := func(name string) error {
		_, _, err := b.UpsertApplication(ctx, fleet.App{Name: name, Project: "shop", Cluster: cluster, Application: model.Application{Metadata: model.ObjectMeta{Name: name}}})
		return err
	}
	// All at once: none sees the others.
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = create("web-" + string(rune('a'+i))) })
	}
	wg.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
			continue
		}
		if !fault.HasCode(err, "quota_exceeded") {
			t.Errorf("%v", err)
		}
	}
	if n := b.count(`SELECT count(*) FROM apps WHERE project = 'shop'`); n != 3 || created != 3 {
		t.Errorf("%d created, %d there", created, n)
	}
	// One that is there can be written; one of elsewhere cannot come.
	i := slices.Index(errs, nil)
	_, _, err := b.UpsertApplication(ctx, fleet.App{Name: "web-" + string(rune('a'+i)), Project: "shop", Cluster: cluster,
		Application: model.Application{Metadata: model.ObjectMeta{Name: "web-" + string(rune('a'+i)), Labels: map[string]string{"a": "b"}}}})
	must(t, err)
	other := b.app("other", cluster)
	other.Project, other.Application.Spec.Project, other.Version = "shop", "shop", 0
	_, _, err = b.UpsertApplication(ctx, other)
	wantCode(t, err, fault.Denied, "quota_exceeded")
}

func TestOneProjectIsReadWithAllThatItCanInherit(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	for name, spec := range map[string]model.AppProjectSpec{
		"shop": {}, "other": {Description: "\x00"}, "global": {InheritedBy: &model.LabelSelector{}},
	} {
		must(t, second(b.UpsertProject(ctx, model.AppProject{Metadata: model.ObjectMeta{Name: name}, Spec: spec}, "ann")))
	}
	for asked, want := range map[string][]string{"shop": {"global", "shop"}, "global": {"global"}, "none": {"global"}} {
		all, err := b.ProjectAndGlobals(ctx, asked)
		must(t, err)
		var names []string
		for _, p := range all {
			names = append(names, p.Metadata.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", asked, names, want)
		}
	}
}

func TestAGlobalProjectRaisesThoseThatInherit(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	put := func(name string, labels map[string]string, spec model.AppProjectSpec) {
		t.Helper()
		must(t, second(b.UpsertProject(ctx, model.AppProject{Metadata: model.ObjectMeta{Name: name, Labels: labels}, Spec: spec}, "ann")))
	}
	version := func(name string) int64 {
		t.Helper()
		p, err := b.Project(ctx, name)
		must(t, err)
		if own := policy.Own(p); own.ChangedBy != "ann" {
			t.Errorf("%s was changed by %q", name, own.ChangedBy)
		}
		return p.Metadata.Generation
	}
	one := &model.LabelSelector{MatchLabels: map[string]string{"tier": "one"}}
	put("shop", map[string]string{"tier": "one"}, model.AppProjectSpec{})
	put("web", nil, model.AppProjectSpec{})
	put("base", nil, model.AppProjectSpec{InheritedBy: one})
	put("base", nil, model.AppProjectSpec{InheritedBy: one})
	if s, w := version("shop"), version("web"); s != 2 || w != 1 {
		t.Errorf("shop is of version %d, web of %d", s, w)
	}
	wantCode(t, b.DeleteProject(ctx, "base", 0), fault.Precondition, "project_in_use")
	put("base", nil, model.AppProjectSpec{})
	if s := version("shop"); s != 3 {
		t.Errorf("shop is of version %d", s)
	}
	must(t, b.DeleteProject(ctx, "base", 0))
}

func TestLimitsForOtherLabelsAreOwed(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	cluster := b.cluster("eu")
	app := b.app("web", cluster)
	must(t, b.SetClusterLabels(ctx, cluster, map[string]string{"env": "prod"}, 0))
	for _, c := range []struct {
		labels map[string]string
		owed   int
	}{{map[string]string{"env": "prod"}, 0}, {map[string]string{"env": "test"}, 1}, {nil, 1}, {map[string]string{"env": "prod"}, 0}} {
		change := b.change(app, "aaa")
		change.ClusterLabels, change.Source.RenderKey = c.labels, "key"
		must(t, second(b.WriteDesired(ctx, []fleet.DesiredChange{change})))
		if n := b.count(`SELECT count(*) FROM app_sources WHERE render_key = ''`); n != c.owed {
			t.Errorf("%v: %d are owed", c.labels, n)
		}
	}
	must(t, b.SetClusterLabels(ctx, cluster, nil, 0))
	if n := b.count(`SELECT count(*) FROM app_sources WHERE render_key = ''`); n != 1 {
		t.Errorf("after a change of labels %d are owed", n)
	}
}

func TestObjectsOfProjects(t *testing.T) {
	b := setup(t)
	app := b.app("web", b.cluster("eu"))
	b.desire(app, "aaa")
	got, err := b.ProjectObjects(b.ctx())
	must(t, err)
	n := got[app.Project][app.UID]
	if len(got) != 1 || n == 0 {
		t.Errorf("%v", got)
	}
	if one, err := b.ObjectsOfProject(b.ctx(), app.Project); err != nil || len(one) != 1 || one[app.UID] != n {
		t.Errorf("%v, %v", one, err)
	}
	if none, err := b.ObjectsOfProject(b.ctx(), "nobody"); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
}
