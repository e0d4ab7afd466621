package store

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

func TestApplicationVersions(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one, two := b.cluster("one"), b.cluster("two")
	put := func(app fleet.App) (fleet.App, bool, error) { return b.UpsertApplication(ctx, app) }
	doc := application("shop")
	doc.Status = json.RawMessage(`{"old":"status"}`)
	must(t, json.Unmarshal([]byte(`{"sync":{}}`), &doc.Operation))
	doc.Metadata.ResourceVersion = "99"
	doc.Spec.Info = []model.Info{{Name: "odd", Value: "nul \x00 and <b> & \u2028"}}

	app, created, err := put(fleet.App{Cluster: one, Application: doc})
	must(t, err)
	if !created || app.Version != 1 || app.Name != "shop" || app.Project != "default" || app.ClusterName != "one" || app.UID == "" {
		t.Errorf("%+v", app)
	}
	if m := app.Application.Metadata; m.ResourceVersion != "1" || m.UID != string(app.UID) || m.CreationTimestamp == nil {
		t.Errorf("%+v", m)
	}
	if app.Application.Status != nil || app.Application.Operation != nil {
		t.Error("status and operation were stored")
	}
	if got := app.Application.Spec.Info[0].Value; got != "nul \x00 and <b> & \u2028" {
		t.Errorf("%q", got)
	}
	// What comes back, put again, changes nothing.
	same, created, err := put(app)
	must(t, err)
	if created || same.Version != 1 {
		t.Errorf("version %d", same.Version)
	}
	app.Application.Spec.Source.TargetRevision = "v2"
	changed, created, err := put(app)
	must(t, err)
	if created || changed.Version != 2 || changed.UID != app.UID || changed.Application.Spec.Source.TargetRevision != "v2" {
		t.Errorf("%+v", changed)
	}
	_, _, err = put(app) // of version 1
	wantCode(t, err, fault.Conflict, "version_conflict")
	app.Version, app.Cluster = 0, two
	_, _, err = put(app)
	wantCode(t, err, fault.Conflict, "destination_immutable")
	app.Cluster = "none"
	_, _, err = put(fleet.App{Name: "new", Cluster: "none", Application: application("new")})
	wantCode(t, err, fault.NotFound, "cluster_unknown")
	_, _, err = put(fleet.App{Name: "new", Version: 4, Cluster: one, Application: application("new")})
	wantCode(t, err, fault.Conflict, "version_conflict")
	other := application("new")
	other.Spec.Project = "none"
	_, _, err = put(fleet.App{Name: "new", Cluster: one, Application: other})
	wantCode(t, err, fault.Invalid, "project_unknown")
	_, err = b.Application(ctx, "new")
	wantCode(t, err, fault.NotFound, "application_not_found")
	_, err = b.Application(ctx, "")
	wantCode(t, err, fault.NotFound, "application_not_found")
	_, err = b.AppView(ctx, "new")
	wantCode(t, err, fault.NotFound, "application_not_found")

	view := b.view("shop")
	if view.RepoURL != "https://git.example.com/org/repo.git" || view.Path != "apps/shop" || view.Target != "v2" || view.Namespace != "shop" ||
		!view.AutoSync || view.Cluster != "one" || view.Application == nil || view.Application.Metadata.ResourceVersion != "2" {
		t.Errorf("%+v", view)
	}
	b.app("api", one)
	all, err := b.Applications(ctx)
	must(t, err)
	if len(all) != 2 || all[0].Name != "api" || all[1].Version != 2 {
		t.Errorf("%+v", all)
	}
}

func TestApplicationIsCreatedOnce(t *testing.T) {
	b := setup(t)
	one := b.cluster("one")
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 8 {
		wg.Go(func() {
			_, c, err := b.UpsertApplication(t.Context(), fleet.App{Cluster: one, Application: application("shop")})
			if err != nil {
				t.Error(err)
			}
			if c {
				mu.Lock()
				created++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if created != 1 {
		t.Errorf("created %d times", created)
	}
}

func TestProjects(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	def, err := b.Project(ctx, model.DefaultProject)
	must(t, err)
	want := model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{{Server: "*", Name: "*", Namespace: "*"}},
		ClusterResourceWhitelist: []model.KindRule{{Group: "*", Kind: "*"}}}
	if !reflect.DeepEqual(def.Spec, want) {
		t.Errorf("default project %+v", def.Spec)
	}
	wantCode(t, b.DeleteProject(ctx, "default", 0), fault.Precondition, "project_default")

	p := model.AppProject{APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: "shop", ResourceVersion: "7"},
		Spec: model.AppProjectSpec{Description: "first", SourceRepos: []string{"https://git.example.com/*"}}, Status: json.RawMessage(`{}`)}
	stored, err := b.UpsertProject(ctx, p, "ann")
	must(t, err)
	if stored.Metadata.ResourceVersion != "1" || stored.Spec.Description != "first" || !strings.HasSuffix(string(stored.Status), `,"changedBy":"ann"}`) {
		t.Errorf("%+v", stored)
	}
	if again, err := b.UpsertProject(ctx, stored, "bob"); err != nil || again.Metadata.ResourceVersion != "1" {
		t.Errorf("unchanged: %+v %v", again, err)
	}
	p.Spec.Description = "second"
	if changed, err := b.UpsertProject(ctx, p, "ann"); err != nil || changed.Metadata.ResourceVersion != "2" || changed.Spec.Description != "second" || policy.Own(changed).ChangedBy != "ann" {
		t.Errorf("changed: %+v %v", changed, err)
	}
	all, err := b.Projects(ctx)
	must(t, err)
	if len(all) != 2 || all[0].Metadata.Name != "default" {
		t.Errorf("%+v", all)
	}
	doc := application("web")
	doc.Spec.Project = "shop"
	_, _, err = b.UpsertApplication(ctx, fleet.App{Cluster: b.cluster("one"), Application: doc})
	must(t, err)
	err = b.DeleteProject(ctx, "shop", 0)
	wantCode(t, err, fault.Precondition, "project_in_use")
	if !strings.Contains(err.Error(), "web") {
		t.Errorf("it does not name the application: %v", err)
	}
	doc.Spec.Project = "default"
	_, _, err = b.UpsertApplication(ctx, fleet.App{Cluster: b.mustCluster("one"), Application: doc})
	must(t, err)
	wantCode(t, b.DeleteProject(ctx, "shop", 99), fault.Conflict, "version_conflict")
	must(t, b.DeleteProject(ctx, "shop", 0))
	wantCode(t, b.DeleteProject(ctx, "shop", 0), fault.NotFound, "project_unknown")
	_, err = b.Project(ctx, "shop")
	wantCode(t, err, fault.NotFound, "project_unknown")
}

func (b *bench) mustCluster(name string) model.ClusterID {
	c, err := b.Cluster(b.ctx(), name)
	must(b.t, err)
	return c.ID
}
