package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func (b *bench) repo(r model.Repository, c *fleet.Credential) model.Repository {
	b.t.Helper()
	out, err := b.UpsertRepository(b.t.Context(), fleet.Repository{Repository: r, Credential: c})
	must(b.t, err)
	return out
}

func (b *bench) repoTemplate(url, project, user string) model.RepositoryTemplate {
	b.t.Helper()
	out, err := b.UpsertRepositoryTemplate(b.t.Context(), fleet.RepositoryTemplate{
		RepositoryTemplate: model.RepositoryTemplate{URL: url, Project: project},
		Credential:         &fleet.Credential{Username: user, Password: "CANARY-" + user},
	})
	must(b.t, err)
	return out
}

// opens fails unless a URL is opened by the credential of a user, "" for none.
func (b *bench) opens(url, user string) {
	b.t.Helper()
	got, err := b.CredentialFor(b.t.Context(), url)
	must(b.t, err)
	switch {
	case got == nil && user != "":
		b.t.Errorf("%s: no credential, want %s", url, user)
	case got != nil && got.Username != user:
		b.t.Errorf("%s: the credential of %q, want %q", url, got.Username, user)
	case got != nil && user != "" && got.Password != "CANARY-"+user:
		b.t.Errorf("%s: another password", url)
	}
}

func TestTemplatesByLongestPrefix(t *testing.T) {
	b := setup(t)
	b.repoTemplate("https://git.example.com", "", "host")
	b.repoTemplate("https://git.example.com/org/", "", "org")
	b.repoTemplate("https://git.example.com/org/repo.git", "", "repo")
	b.repoTemplate("git@git.example.com:org", "", "ssh")
	b.repoTemplate("registry.example.com/charts", "", "oci")
	for url, want := range map[string]string{
		"https://git.example.com/org/repo":           "repo",
		"https://git.example.com/org/repo.git":       "repo",
		"https://GIT.example.com:443/org/repo/":      "repo",
		"https://git.example.com/org/other":          "org",
		"https://git.example.com/org/repo2":          "org",
		"https://git.example.com/org":                "org",
		"https://git.example.com/organisation/x":     "host",
		"https://git.example.com/org-evil/x":         "host",
		"https://git.example.com/x/y/z":              "host",
		"https://git.example.com/org/../x":           "",
		"https://git.example.com.evil.test/org":      "",
		"https://git.example.com@evil.test/org":      "",
		"https://other.example.com/org/repo":         "",
		"http://git.example.com/org/repo":            "",
		"https://git.example.com:8443/org/repo":      "",
		"git@git.example.com:org/repo.git":           "ssh",
		"ssh://git@git.example.com/org/repo":         "ssh",
		"ssh://other@git.example.com/org/repo":       "",
		"file:///https://git.example.com/org/repo":   "",
		"https://evil.test/https://git.example.com":  "",
		"oci://registry.example.com/charts/web":      "oci",
		"oci://registry.example.com/charts-evil/web": "",
		"": "",
	} {
		b.opens(url, want)
	}
	for _, table := range []string{"repositories", "repository_templates"} {
		if n := b.count(`SELECT count(*) FROM ` + table + ` WHERE position('CANARY'::bytea IN credential) > 0 OR holds::text LIKE '%CANARY%'`); n != 0 {
			t.Errorf("a credential lies in %s in the clear", table)
		}
	}
}

func TestARepositoryOpensOnlyItself(t *testing.T) {
	b := setup(t)
	b.repo(model.Repository{URL: "https://git.example.com/org"}, &fleet.Credential{Username: "org", Password: "CANARY-org"})
	b.opens("https://git.example.com/org", "org")
	b.opens("https://git.example.com/org.git/", "org")
	b.opens("https://git.example.com/org/repo", "")
	// A registry is everything in it.
	b.repo(model.Repository{URL: "oci://registry.example.com/charts", Type: fleet.OCI}, &fleet.Credential{Username: "oci", Password: "CANARY-oci"})
	b.opens("registry.example.com/charts/web", "oci")
	b.opens("registry.example.com/charts-evil/web", "")
}

func TestARepositoryWithoutACredentialInherits(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	b.repoTemplate("https://git.example.com", "", "host")
	b.repoTemplate("https://git.example.com/org", "", "org")
	plain := b.repo(model.Repository{URL: "https://git.example.com/org/plain"}, nil)
	charts := b.repo(model.Repository{URL: "https://git.example.com/org/charts", Type: fleet.Helm, Name: "charts"}, &fleet.Credential{CABundle: "CA"})
	own := b.repo(model.Repository{URL: "https://git.example.com/org/own"}, &fleet.Credential{Username: "own", Password: "CANARY-own"})
	if plain.InheritedFrom != "https://git.example.com/org" || charts.InheritedFrom != plain.InheritedFrom || own.InheritedFrom != "" {
		t.Errorf("inherited from %q, %q, %q", plain.InheritedFrom, charts.InheritedFrom, own.InheritedFrom)
	}
	b.opens(plain.URL, "org")
	b.opens(charts.URL, "org")
	b.opens(own.URL, "own")
	c, err := b.CredentialFor(ctx, charts.URL)
	must(t, err)
	if c.Type != fleet.Helm || c.Name != "charts" || c.CABundle != "CA" {
		t.Errorf("got %v, type %q, name %q", c, c.Type, c.Name)
	}
	all, err := b.Repositories(ctx)
	must(t, err)
	for _, r := range all {
		if r.ID == charts.ID && r.InheritedFrom == "" {
			t.Error("a list does not say what is inherited")
		}
	}
	// Without a template there is still the type.
	bare := b.repo(model.Repository{URL: "https://charts.example.com", Type: fleet.Helm}, nil)
	if c, err = b.CredentialFor(ctx, bare.URL); err != nil || c == nil || c.Type != fleet.Helm || c.HasAuth() {
		t.Errorf("%v %v", c, err)
	}
	b.repo(model.Repository{URL: "https://open.example.com/x"}, nil)
	if c, err = b.CredentialFor(ctx, "https://open.example.com/x"); err != nil || c != nil {
		t.Errorf("%v %v", c, err)
	}
}

func TestTemplatesOfAProjectOpenOnlyItsRepositories(t *testing.T) {
	b := setup(t)
	for _, p := range []string{"shop", "pay"} {
		_, err := b.UpsertProject(t.Context(), model.AppProject{Metadata: model.ObjectMeta{Name: p}}, "ann")
		must(t, err)
	}
	b.repoTemplate("https://git.example.com/team", "shop", "shop")
	b.repoTemplate("https://git.example.com", "", "all")
	b.repo(model.Repository{URL: "https://git.example.com/team/shop", Project: "shop"}, nil)
	b.repo(model.Repository{URL: "https://git.example.com/team/pay", Project: "pay"}, nil)
	b.repo(model.Repository{URL: "https://git.example.com/team/any"}, nil)
	b.opens("https://git.example.com/team/shop", "shop")
	b.opens("https://git.example.com/team/pay", "all")
	b.opens("https://git.example.com/team/any", "all")
	b.opens("https://git.example.com/team/unregistered", "all")
	// Of two with one URL, that of the project.
	b.repoTemplate("https://git.example.com/team", "", "team")
	b.opens("https://git.example.com/team/shop", "shop")
	b.opens("https://git.example.com/team/pay", "team")
	all, err := b.Repositories(t.Context())
	must(t, err)
	for _, r := range all {
		if r.InheritedFrom != "https://git.example.com/team" {
			t.Errorf("%s inherits from %q", r.URL, r.InheritedFrom)
		}
	}

	for url, want := range map[string]string{
		"https://git.example.com/team/shop.git": "shop", "https://git.example.com/TEAM/Shop": "shop", "https://git.example.com/team/any": "", "https://git.example.com/team/unregistered": "",
	} {
		if got, err := b.RepositoryProject(t.Context(), url); err != nil || got != want {
			t.Errorf("%s belongs to %q %v", url, got, err)
		}
	}
	err = b.DeleteProject(t.Context(), "shop", 0)
	wantCode(t, err, fault.Precondition, "project_in_use")
	if !strings.Contains(err.Error(), "https://git.example.com/team/shop") {
		t.Error(err)
	}
}

func TestRepositoriesAreReplacedAndRemoved(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	host := b.repo(model.Repository{URL: "https://git.example.com/r.git", Name: "r"}, &fleet.Credential{Username: "host", Password: "CANARY-host", Type: "ignored"})
	if host.Type != fleet.Git || host.State != "unknown" || strings.Join(host.Holds.Kinds, " ") != "password" || host.Holds.Username != "host" {
		t.Errorf("%+v", host)
	}
	// Another spelling is the same repository; nil keeps the credential, an
	// empty one removes it.
	again := b.repo(model.Repository{URL: "https://GIT.example.com/r/", Type: fleet.Helm}, nil)
	if again.ID != host.ID || again.Holds.Username != "host" || again.Type != fleet.Helm || again.Name != "" || again.URL != "https://GIT.example.com/r/" {
		t.Errorf("%+v", again)
	}
	full, err := b.Repository(ctx, host.ID)
	must(t, err)
	if full.Credential == nil || full.Credential.Password != "CANARY-host" || full.ID != host.ID {
		t.Errorf("%+v", full)
	}
	empty := b.repo(model.Repository{ID: host.ID, URL: "https://git.example.com/r"}, &fleet.Credential{})
	if len(empty.Holds.Kinds) != 0 {
		t.Errorf("%+v", empty)
	}
	if full, err = b.Repository(ctx, host.ID); err != nil || full.Credential != nil {
		t.Errorf("removed: %v %v", full.Credential, err)
	}
	_, err = b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{ID: host.ID, URL: "https://git.example.com/moved"}})
	wantCode(t, err, fault.Conflict, "repository_exists")
	_, err = b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{ID: "none", URL: "https://new.example.com/x"}})
	wantCode(t, err, fault.NotFound, "repository_unknown")
	_, err = b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{URL: "https://new.example.com/x", Type: "svn"}})
	wantCode(t, err, fault.Internal, "db_error")
	for _, id := range []string{"", "none", "' OR true --"} {
		_, err = b.Repository(ctx, id)
		wantCode(t, err, fault.NotFound, "repository_unknown")
	}
	wantCode(t, b.DeleteRepository(ctx, host.ID, 99), fault.Conflict, "version_conflict")
	must(t, b.DeleteRepository(ctx, host.ID, 0))
	wantCode(t, b.DeleteRepository(ctx, host.ID, 0), fault.NotFound, "repository_unknown")
}

func TestRepositoriesByName(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	charts := b.repo(model.Repository{URL: "https://charts.example.com", Type: fleet.Helm, Name: "charts"}, nil)
	got, err := b.RepositoryByName(ctx, "charts")
	must(t, err)
	if got.URL != charts.URL || got.Type != fleet.Helm {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"", "chart", "CHARTS"} {
		_, err := b.RepositoryByName(ctx, name)
		wantCode(t, err, fault.NotFound, "repository_unknown")
	}
	_, err = b.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{URL: "https://other.example.com", Name: "charts"}})
	wantCode(t, err, fault.Conflict, "repository_name_taken")
	b.repo(model.Repository{URL: "https://charts.example.com", Type: fleet.Helm, Name: "charts"}, nil) // its own
	b.repo(model.Repository{URL: "https://a.example.com"}, nil)
	b.repo(model.Repository{URL: "https://b.example.com"}, nil) // many have none
}

func TestTemplatesAreReplacedAndRemoved(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	first := b.repoTemplate("https://git.example.com/org", "", "one")
	again := b.repoTemplate("https://GIT.example.com/org/", "", "two")
	scoped := b.repoTemplate("https://git.example.com/org", "shop", "three")
	if first.ID != again.ID || scoped.ID == first.ID || again.Holds.Username != "two" || !again.CreatedAt.Equal(b.now()) {
		t.Errorf("%+v, %+v, %+v", first, again, scoped)
	}
	got, err := b.RepositoryTemplate(ctx, first.ID)
	must(t, err)
	if got.Credential == nil || got.Credential.Password != "CANARY-two" {
		t.Errorf("%+v", got)
	}
	all, err := b.RepositoryTemplates(ctx)
	must(t, err)
	if len(all) != 2 {
		t.Errorf("%+v", all)
	}
	put := func(id, url string, c *fleet.Credential) error {
		_, err := b.UpsertRepositoryTemplate(ctx, fleet.RepositoryTemplate{RepositoryTemplate: model.RepositoryTemplate{ID: id, URL: url}, Credential: c})
		return err
	}
	must(t, put(first.ID, "https://git.example.com/org", &fleet.Credential{BearerToken: "CANARY"}))
	some := &fleet.Credential{Password: "p"}
	wantCode(t, put(first.ID, "https://git.example.com/moved", some), fault.Conflict, "repository_template_exists")
	wantCode(t, put("none", "https://git.example.com/x", some), fault.NotFound, "repository_template_unknown")
	wantCode(t, put("", "https://git.example.com/x", nil), fault.Invalid, "credential_missing")
	wantCode(t, put("", "https://git.example.com/x", &fleet.Credential{Type: fleet.Helm}), fault.Invalid, "credential_missing")
	for _, id := range []string{"", "none"} {
		_, err = b.RepositoryTemplate(ctx, id)
		wantCode(t, err, fault.NotFound, "repository_template_unknown")
	}
	_, err = b.DeleteRepositoryTemplate(ctx, first.ID, 99)
	wantCode(t, err, fault.Conflict, "version_conflict")
	url, err := b.DeleteRepositoryTemplate(ctx, first.ID, 0)
	must(t, err)
	if url != "https://git.example.com/org" {
		t.Error(url)
	}
	_, err = b.DeleteRepositoryTemplate(ctx, first.ID, 0)
	wantCode(t, err, fault.NotFound, "repository_template_unknown")
}

// Whoever can write to the database must not be able to have a credential sent
// elsewhere.
func TestACredentialIsBoundToItsURL(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	r := b.repo(model.Repository{URL: "https://git.example.com/r"}, &fleet.Credential{Password: "CANARY"})
	tpl := b.repoTemplate("https://git.example.com/org", "", "org")
	b.exec(`UPDATE repositories SET match_url = 'https://evil.test/r', url = 'https://evil.test/r' WHERE id = $1`, r.ID)
	b.exec(`UPDATE repository_templates SET match_url = 'https://evil.test/org', url = 'https://evil.test/org' WHERE id = $1`, tpl.ID)
	for _, url := range []string{"https://evil.test/r", "https://evil.test/org/x"} {
		c, err := b.CredentialFor(ctx, url)
		wantCode(t, err, fault.Internal, "vault_value_damaged")
		if c != nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v %v", url, c, err)
		}
	}
}

// Rows of earlier releases are bound to their ID alone.
func TestCredentialsOfEarlierReleases(t *testing.T) {
	b := setup(t)
	r := b.repo(model.Repository{URL: "https://git.example.com/r"}, nil)
	plain, err := json.Marshal(map[string]string{"username": "old", "password": "CANARY-old"})
	must(t, err)
	sealed, err := b.box.Seal(plain, "repositories/credential/"+r.ID)
	must(t, err)
	b.exec(`UPDATE repositories SET credential = $1 WHERE id = $2`, sealed, r.ID)
	b.opens("https://git.example.com/r", "old")
}

func TestRepositoryState(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	b.repo(model.Repository{URL: "https://git.example.com/r.git"}, nil)
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
	broken := &model.Condition{Code: "git_unavailable", Message: "no answer of https://u:CANARY@git.example.com/r"}
	must(t, b.RecordRepositoryState(ctx, "https://git.example.com/r", t0.Add(60e9), broken))
	must(t, b.RecordRepositoryState(ctx, "https://git.example.com/r", t0.Add(120e9), broken))
	if r := get(); r.State != "error" || r.ErrorCode != "git_unavailable" || !r.Since.Equal(t0.Add(60e9)) || !r.LastCheck.Equal(t0.Add(120e9)) || r.Error != "no answer of https://***@git.example.com/r" {
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

// exec changes the database behind the store's back.
func (b *bench) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.pool.Exec(b.t.Context(), sql, args...)
	must(b.t, err)
}
