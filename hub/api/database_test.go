package api

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/inventory"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

// newRealWorld is a world on a real database, with the cluster "eu" enrolled.
func newRealWorld(t *testing.T) *world {
	t.Helper()
	key := make([]byte, vault.KeySize)
	_, _ = rand.Read(key)
	box, err := vault.New(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), dbtest.Postgres(t), box, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.InitHub(t.Context(), func(string, int64) ([]byte, error) { return []byte("signed"), nil }); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.opts.Store, w.opts.Now = s, time.Now
	w.index, w.real = inventory.New(inventory.Options{Store: s, Log: w.opts.Log}), true
	w.opts.Inventory = w.index
	if err := w.index.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.auth = auth.New(s, nil, w.opts.Log)
	w.opts.Auth = w.auth
	w.opts.NewEnrolmentToken = func() (string, []byte, error) { return "hwe_real", []byte("hash of hwe_real"), nil }
	w.login()
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"eu","labels":{"env":"prod"}}`).ok(201)
	_, err = s.Enrol(t.Context(), []byte("hash of hwe_real"), "eu", "192.0.2.7", func(model.ClusterID) (fleet.Certificate, error) {
		return fleet.Certificate{Serial: "1", NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}, nil
	})
	w.index.OthersWritten()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// toEnrolled points the corpus to the one cluster and project that there are.
var toEnrolled = strings.NewReplacer("name: eu-prod", "name: eu", "name: in-cluster\n    namespace: demo", "name: eu\n    namespace: demo",
	"name: edge_lab-1.example.org", "name: eu", "name: *p", "name: eu", "  project: shop\n", "  project: default\n")

func TestOnARealDatabase(t *testing.T) {
	w := newRealWorld(t)
	w.call("PUT", "/api/v1/clusters/eu/aliases", `{"aliases":["https://kubernetes.default.svc","https://10.0.0.1:6443"]}`).ok(200)

	// What was written is recognised as unchanged, whatever it holds: the
	// database keeps JSON in another order and spacing.
	files, err := filepath.Glob("../../shared/model/decode/testdata/corpus/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var got struct{ Items []applied }
	for round, want := range []string{resultCreated, resultUnchanged} {
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text := toEnrolled.Replace(string(b))
			if strings.Contains(text, "\noperation:") || strings.Contains(text, "sourceHydrator:") {
				continue // one asks for a sync each time, the other is refused; both have tests of their own
			}
			w.call("POST", "/api/v1/apply", text).ok(200).into(&got)
			for _, item := range got.Items {
				if item.Result != want {
					t.Errorf("round %d, %s: %s %s is %s", round+1, filepath.Base(f), item.Kind, item.Name, item.Result)
				}
			}
		}
	}

	// And it is read back as it was written.
	equal := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := decode.Documents([]byte(toEnrolled.Replace(string(b))))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			var written, read any
			switch {
			case d.Project != nil:
				var p model.AppProject
				w.call("GET", "/api/v1/projects/"+d.Name, "").ok(200).into(&p)
				clearServerSet(&d.Project.Metadata)
				clearServerSet(&p.Metadata)
				d.Project.Status, p.Status = nil, nil
				written, read = *d.Project, p
			case d.Application != nil && d.Application.Operation == nil && d.Application.Spec.SourceHydrator == nil:
				var v model.AppView
				w.call("GET", "/api/v1/applications/"+d.Name, "").ok(200).into(&v)
				clearServerSet(&d.Application.Metadata)
				clearServerSet(&v.Application.Metadata)
				d.Application.Status, v.Application.Status = nil, nil
				written, read = *d.Application, *v.Application
			default:
				continue
			}
			if equal++; !sameJSON(written, read) {
				x, _ := json.Marshal(written)
				y, _ := json.Marshal(read)
				t.Errorf("%s: %s was written\n%s\nand reads\n%s", filepath.Base(f), d.Name, x, y)
			}
		}
	}
	if equal < 60 {
		t.Errorf("only %d Applications and AppProjects were read back", equal)
	}

	var view model.AppView
	a := w.call("GET", "/api/v1/applications/guestbook", "").ok(200)
	a.into(&view)
	if view.Cluster != "eu" || view.Project != "default" || view.Freshness != model.FreshNever || view.Application == nil {
		t.Errorf("got %+v", view)
	}
	w.call("PUT", "/api/v1/applications/guestbook", application("guestbook"), `If-Match: "99"`).problem(412, "version_conflict")
	w.call("PUT", "/api/v1/applications/guestbook", application("guestbook"), "If-Match: "+a.header.Get("ETag")).ok(200)
	w.call("GET", "/api/v1/applications/guestbook/tree", "").ok(200)
	w.call("PUT", "/api/v1/applications/x", application("x", "name: eu", "name: mars")).problem(400, "destination_unknown")
	w.call("DELETE", "/api/v1/clusters/eu", "").problem(409, "cluster_in_use")
	w.call("DELETE", "/api/v1/projects/nix", "").problem(404, "project_unknown")

	var project model.AppProject
	w.call("GET", "/api/v1/projects/cluster-only", "").ok(200).into(&project)
	if project.Spec.NamespaceResourceWhitelist == nil {
		t.Error("an empty namespaceResourceWhitelist became absent")
	}

	var repo model.Repository
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/shop/web","username":"u","password":"CANARY"}`).ok(201).into(&repo)
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/shop/web","username":"u","password":"CANARY2"}`).ok(201)
	var repos struct{ Items []model.Repository }
	w.call("GET", "/api/v1/repositories", "").ok(200).into(&repos)
	if len(repos.Items) != 1 || repos.Items[0].Holds.Username != "u" {
		t.Errorf("got %+v", repos.Items)
	}
	w.call("PATCH", "/api/v1/repositories/"+repo.ID, `{"name":"web","password":"CANARY3"}`).ok(200).into(&repo)
	if repo.Name != "web" || repo.Holds.Username != "u" {
		t.Errorf("got %+v", repo)
	}
	var template model.RepositoryTemplate
	w.call("POST", "/api/v1/repository-templates", `{"url":"https://github.com/team","username":"bot","password":"CANARY4"}`).ok(201).into(&template)
	var inherits model.Repository
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/team/api","project":"default"}`).ok(201).into(&inherits)
	if inherits.InheritedFrom != "https://github.com/team" || w.tested == nil || w.tested.Password != "CANARY4" {
		t.Errorf("got %+v, tried %v", inherits, w.tested)
	}
	w.call("POST", "/api/v1/projects", "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: other}\nspec: {sourceRepos: ['*'], destinations: [{name: '*', namespace: '*'}]}\n").ok(201)
	p := w.call("PUT", "/api/v1/applications/foreign", application("foreign", "shop/web", "team/api.git", "project: default", "project: other")).problem(403, "repo_not_permitted")
	if p.Field != "spec.source.repoURL" || !strings.Contains(p.Detail, "registered for another project") {
		t.Errorf("got %+v", p)
	}
	w.call("PUT", "/api/v1/applications/own", application("own", "shop/web", "team/api.git")).ok(201)
	w.call("DELETE", "/api/v1/repository-templates/"+template.ID, "").ok(204)
	if c, err := w.opts.Store.(*store.Store).CredentialFor(t.Context(), "https://github.com/team/api"); err != nil || c.HasAuth() {
		t.Errorf("the template was removed, and opens: %v %v", c, err)
	}
	// The corpus has applications with sources in it.
	w.call("DELETE", "/api/v1/repositories/"+repo.ID, "").problem(409, "repository_in_use")
	w.call("DELETE", "/api/v1/repositories/"+repo.ID+"?force=true", "").ok(204)

	var op, again model.OperationInfo
	w.call("POST", "/api/v1/applications/guestbook/sync", "", "Idempotency-Key: k").ok(202).into(&op)
	w.call("POST", "/api/v1/applications/guestbook/sync", "", "Idempotency-Key: k").ok(202).into(&again)
	if op.ID == "" || op.ID != again.ID || !strings.Contains(op.Message, "is not connected") && !strings.Contains(op.Message, "disconnected") {
		t.Errorf("%+v and %+v", op, again)
	}
	var ended model.OperationInfo
	w.call("POST", "/api/v1/applications/guestbook/terminate", "").ok(200).into(&ended)
	if ended.Phase != model.PhaseTerminated {
		t.Errorf("got %+v", ended)
	}
	w.call("DELETE", "/api/v1/applications/guestbook?cascade=true", "").ok(202).into(&op)
	w.call("PUT", "/api/v1/applications/guestbook", application("guestbook", "deploy", "z")).problem(409, "application_deleting")
	if strings.Contains(w.logged(), "CANARY") {
		t.Error("a password is in the log")
	}
}

func TestApplyManyOnARealDatabase(t *testing.T) {
	w := newRealWorld(t)
	var text strings.Builder
	for i := range 500 {
		text.WriteString("---\n" + application(fmt.Sprintf("app-%03d", i)))
	}
	start := time.Now()
	w.call("POST", "/api/v1/apply", text.String()).ok(200)
	t.Logf("500 applications created in %v", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	w.call("POST", "/api/v1/apply", text.String()).ok(200)
	t.Logf("500 applications found unchanged in %v", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	var page struct {
		Items []model.AppView
		Total int
	}
	a := w.call("GET", "/api/v1/applications?limit=200", "").ok(200)
	a.into(&page)
	t.Logf("200 of %d rows in %v, %d bytes each", page.Total, time.Since(start).Round(time.Millisecond), len(a.body)/200)
	if page.Total != 500 || len(page.Items) != 200 {
		t.Errorf("%d of %d", len(page.Items), page.Total)
	}
}
