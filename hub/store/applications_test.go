package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
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
	wantCode(t, b.DeleteProject(ctx, "default"), fault.Precondition, "project_default")

	p := model.AppProject{APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: "shop", ResourceVersion: "7"},
		Spec: model.AppProjectSpec{Description: "first", SourceRepos: []string{"https://git.example.com/*"}}, Status: json.RawMessage(`{}`)}
	stored, err := b.UpsertProject(ctx, p)
	must(t, err)
	if stored.Metadata.ResourceVersion != "1" || stored.Spec.Description != "first" || stored.Status != nil {
		t.Errorf("%+v", stored)
	}
	if again, err := b.UpsertProject(ctx, stored); err != nil || again.Metadata.ResourceVersion != "1" {
		t.Errorf("unchanged: %+v %v", again, err)
	}
	p.Spec.Description = "second"
	if changed, err := b.UpsertProject(ctx, p); err != nil || changed.Metadata.ResourceVersion != "2" || changed.Spec.Description != "second" {
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
	err = b.DeleteProject(ctx, "shop")
	wantCode(t, err, fault.Precondition, "project_in_use")
	if !strings.Contains(err.Error(), "web") {
		t.Errorf("it does not name the application: %v", err)
	}
	doc.Spec.Project = "default"
	_, _, err = b.UpsertApplication(ctx, fleet.App{Cluster: b.mustCluster("one"), Application: doc})
	must(t, err)
	must(t, b.DeleteProject(ctx, "shop"))
	wantCode(t, b.DeleteProject(ctx, "shop"), fault.NotFound, "project_unknown")
	_, err = b.Project(ctx, "shop")
	wantCode(t, err, fault.NotFound, "project_unknown")
}

func (b *bench) mustCluster(name string) model.ClusterID {
	c, err := b.Cluster(b.ctx(), name)
	must(b.t, err)
	return c.ID
}

func TestMatchURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://Git.Example.com/Org/Repo.git":    "https://git.example.com/Org/Repo",
		"https://git.example.com/Org/Repo/":       "https://git.example.com/Org/Repo",
		"HTTPS://git.example.com:443/org/repo":    "https://git.example.com/org/repo",
		"https://git.example.com:8443/org/repo":   "https://git.example.com:8443/org/repo",
		"http://git.example.com:80/r.git/":        "http://git.example.com/r",
		"git@git.example.com:org/repo.git":        "ssh://git@git.example.com/org/repo",
		"ssh://git@Git.example.com:22/org/repo":   "ssh://git@git.example.com/org/repo",
		"ssh://git@git.example.com:2222/org/repo": "ssh://git@git.example.com:2222/org/repo",
		"https://git.example.com":                 "https://git.example.com",
		"https://git.example.com/":                "https://git.example.com",
		" https://git.example.com/a ":             "https://git.example.com/a",
		"/srv/git/repo.git":                       "/srv/git/repo",
		"file:///srv/git/repo.git":                "file:///srv/git/repo",
		"./a:b":                                   "./a:b",
	} {
		if got := matchURL(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestURLPrefixes(t *testing.T) {
	got := fmt.Sprint(urlPrefixes("ssh://git@h/a/b"))
	if got != "[ssh://git@h/a/b ssh://git@h/a ssh://git@h ssh://h/a/b ssh://h/a ssh://h]" {
		t.Error(got)
	}
	if got := fmt.Sprint(urlPrefixes("/srv/git")); got != "[/srv/git]" {
		t.Error(got)
	}
	if got := fmt.Sprint(urlPrefixes("file:///srv")); got != "[file:///srv]" {
		t.Error(got)
	}
}

func TestCredentialsByLongestPrefix(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	add := func(url, user string) model.Repository {
		t.Helper()
		var c *fleet.Credential
		if user != "" {
			c = &fleet.Credential{Username: user, Password: "CANARY-" + user}
		}
		r, err := b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{URL: url}, Credential: c})
		must(t, err)
		return r
	}
	host := add("https://git.example.com", "host")
	add("https://git.example.com/org/", "org")
	add("https://git.example.com/org/repo.git", "repo")
	add("https://git.example.com/org/public", "")
	add("git@git.example.com:org", "ssh")

	for url, want := range map[string]string{
		"https://git.example.com/org/repo":          "repo",
		"https://git.example.com/org/repo.git":      "repo",
		"https://GIT.example.com:443/org/repo/":     "repo",
		"https://git.example.com/org/other":         "org",
		"https://git.example.com/org/public":        "org",
		"https://git.example.com/org/repo2":         "org",
		"https://git.example.com/organisation/x":    "host",
		"https://git.example.com/x/y/z":             "host",
		"https://git.example.com.evil.test/org":     "",
		"https://git.example.com@evil.test/org":     "",
		"https://other.example.com/org/repo":        "",
		"http://git.example.com/org/repo":           "",
		"https://git.example.com:8443/org/repo":     "",
		"git@git.example.com:org/repo.git":          "ssh",
		"ssh://git@git.example.com/org/repo":        "ssh",
		"ssh://other@git.example.com/org/repo":      "",
		"file:///https://git.example.com/org/repo":  "",
		"https://evil.test/https://git.example.com": "",
	} {
		got, err := b.CredentialFor(ctx, url)
		must(t, err)
		switch {
		case got == nil && want != "":
			t.Errorf("%s: no credential, want %s", url, want)
		case got != nil && got.Username != want:
			t.Errorf("%s: the credential of %s, want %q", url, got.Username, want)
		case got != nil && got.Password != "CANARY-"+want:
			t.Errorf("%s: password %q", url, got.Password)
		}
	}
	if n := b.count(`SELECT count(*) FROM repositories WHERE position('CANARY'::bytea IN credential) > 0`); n != 0 {
		t.Error("a credential lies in the database in the clear")
	}

	// Another spelling is the same repository; nil keeps the credential, an
	// empty one removes it.
	again := add("https://GIT.example.com/", "")
	if again.ID != host.ID || again.Username != "host" || !again.HasPassword || again.HasSSHKey {
		t.Errorf("%+v", again)
	}
	empty, err := b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{ID: host.ID, URL: "https://git.example.com"}, Credential: &fleet.Credential{}})
	must(t, err)
	if empty.HasPassword || empty.Username != "" {
		t.Errorf("%+v", empty)
	}
	if c, err := b.CredentialFor(ctx, "https://git.example.com/x"); err != nil || c != nil {
		t.Errorf("removed: %+v %v", c, err)
	}
	_, err = b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{ID: host.ID, URL: "https://git.example.com/org"}})
	wantCode(t, err, fault.Conflict, "repository_exists")
	_, err = b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{ID: "none", URL: "https://new.example.com"}})
	wantCode(t, err, fault.NotFound, "repository_unknown")
	must(t, b.DeleteRepository(ctx, host.ID))
	wantCode(t, b.DeleteRepository(ctx, host.ID), fault.NotFound, "repository_unknown")
}

func TestRepositoryState(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	_, err := b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{URL: "https://git.example.com/r.git"}})
	must(t, err)
	get := func() model.Repository {
		all, err := b.Repositories(ctx)
		must(t, err)
		if len(all) != 1 {
			t.Fatalf("%d repositories", len(all))
		}
		return all[0]
	}
	if r := get(); r.State != "unknown" || r.LastCheck != nil {
		t.Errorf("%+v", r)
	}
	t0 := b.now()
	must(t, b.RecordRepositoryState(ctx, "https://git.example.com/r", t0, nil))
	must(t, b.RecordRepositoryState(ctx, "https://git.example.com/unregistered", t0, nil))
	broken := &model.Condition{Code: "git_unavailable", Message: "no answer"}
	must(t, b.RecordRepositoryState(ctx, "https://git.example.com/r", t0.Add(60e9), broken))
	must(t, b.RecordRepositoryState(ctx, "https://git.example.com/r", t0.Add(120e9), broken))
	if r := get(); r.State != "error" || r.ErrorCode != "git_unavailable" || !r.Since.Equal(t0.Add(60e9)) || !r.LastCheck.Equal(t0.Add(120e9)) {
		t.Errorf("%+v", r)
	}
	must(t, b.RecordRepositoryState(ctx, "https://git.example.com/r", t0, nil)) // late
	if r := get(); r.State != "error" {
		t.Errorf("a late state counts: %+v", r)
	}
	must(t, b.RecordRepositoryState(ctx, "https://git.example.com/r", t0.Add(180e9), nil))
	if r := get(); r.State != "ok" || r.Error != "" || r.ErrorCode != "" || !r.Since.Equal(t0.Add(180e9)) {
		t.Errorf("%+v", r)
	}
}
