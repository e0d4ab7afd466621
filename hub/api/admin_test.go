package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestClusters(t *testing.T) {
	w := newWorld(t)
	var l struct {
		Items []model.Cluster
		Total int
		AsOf  string
	}
	w.call("GET", "/api/v1/clusters", "").ok(200).into(&l)
	if len(l.Items) != 2 || l.Total != 2 || l.AsOf == "" {
		t.Errorf("got %+v", l)
	}
	w.call("GET", "/api/v1/clusters/eu", "").ok(200)
	w.call("GET", "/api/v1/clusters/mars", "").problem(404, "cluster_unknown")
	w.call("PUT", "/api/v1/clusters/eu/labels", `{"labels":{"env":"prod"}}`).ok(200)
	if w.store.clusters[0].Labels["env"] != "prod" || w.calls.take() != "labels of id-eu; publish cluster id-eu" {
		t.Error("labels")
	}
	w.call("PUT", "/api/v1/clusters/eu/labels", `{"labels":{"env":"a b"}}`).problem(400, "label_invalid")
	w.call("PUT", "/api/v1/clusters/mars/labels", `{}`).problem(404, "cluster_unknown")
	w.call("PUT", "/api/v1/clusters/eu/labels", `{"name":"x"}`).problem(400, "unknown_field")
	var c model.Cluster
	w.call("POST", "/api/v1/clusters/eu/revoke", "").ok(200).into(&c)
	if !c.Revoked || w.calls.take() != "close id-eu cluster_revoked; publish cluster id-eu" {
		t.Errorf("got %+v", c)
	}
	w.call("DELETE", "/api/v1/clusters/eu", "").ok(204)
	if w.calls.take() != "close id-eu cluster_deleted; publish cluster id-eu" {
		t.Error("delete")
	}
	w.call("DELETE", "/api/v1/clusters/eu", "").problem(404, "cluster_unknown")
}

func TestClustersInUseStay(t *testing.T) {
	w := withApp(t)
	w.call("DELETE", "/api/v1/clusters/eu", "").problem(409, "cluster_in_use")
	if w.calls.take() != "" {
		t.Error("something was done")
	}
}

func TestAliases(t *testing.T) {
	w := withApp(t)
	w.call("PUT", "/api/v1/clusters/eu/aliases", `{"aliases":["https://kubernetes.default.svc","https://eu:6443/","https://eu:6443"]}`).ok(200)
	if got := strings.Join(w.store.clusters[0].Aliases, " "); got != "https://kubernetes.default.svc https://eu:6443" {
		t.Errorf("got %s", got)
	}
	if got := w.calls.take(); got != "deliver [uid-web]; publish cluster id-eu" {
		t.Errorf("told: %s", got)
	}
	w.call("PUT", "/api/v1/clusters/us/aliases", `{"aliases":["https://kubernetes.default.svc"]}`).problem(409, "alias_taken")
	for _, bad := range []string{"eu", "ftp://x", "https://", "https://u:p@x", "https://x?y", ""} {
		b, err := json.Marshal(map[string]any{"aliases": []string{bad}})
		if err != nil {
			t.Fatal(err)
		}
		w.call("PUT", "/api/v1/clusters/us/aliases", string(b)).problem(400, "aliases_invalid")
	}
	w.call("PUT", "/api/v1/clusters/mars/aliases", `{"aliases":[]}`).problem(404, "cluster_unknown")
	w.call("PUT", "/api/v1/clusters/eu/aliases", `{"aliases":[]}`).ok(200)
	if len(w.store.clusters[0].Aliases) != 0 {
		t.Error("not emptied")
	}
}

func TestEnrolmentTokens(t *testing.T) {
	w := newWorld(t)
	var got struct{ ID, Token, Cluster, ExpiresAt, CAHash, Hub, Helm, Manifest, Command string }
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"edge","labels":{"env":"lab"},"project":"shop","ttl":"30m"}`).ok(201).into(&got)
	if got.Token != "hwe_secret" || got.Cluster != "edge" || got.ExpiresAt != "2026-01-31T12:30:00Z" || got.CAHash != caHash || got.Hub != "hub.example.org:8443" {
		t.Errorf("got %+v", got)
	}
	if want := "HAWSER_TOKEN=hwe_secret hawser-agent run --hub hub.example.org:8443 --ca-hash " + caHash + " --cluster-name edge"; got.Command != want {
		t.Errorf("got %q", got.Command)
	}
	if want := "{Cluster:edge Token:hwe_secret Profile: Namespaces:[]}"; got.Helm != "helm of "+want || got.Manifest != "manifest of "+want {
		t.Errorf("got %q and %q", got.Helm, got.Manifest)
	}
	var limited struct{ Helm string }
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"limited","profile":"namespaced","namespaces":["shop"]}`).ok(201).into(&limited)
	if !strings.Contains(limited.Helm, "Profile:namespaced Namespaces:[shop]") {
		t.Errorf("got %q", limited.Helm)
	}
	stored := w.store.enrol[0]
	if string(stored.Hash) != "hash" || stored.Project != "shop" || stored.Labels["env"] != "lab" || stored.CreatedBy != "ana" || !stored.CreatedAt.Equal(start) {
		t.Errorf("stored %+v", stored)
	}
	body := w.call("GET", "/api/v1/enrolment-tokens", "").ok(200).body
	if strings.Contains(body, "hwe_secret") || strings.Contains(strings.ToLower(body), "hash") || !strings.Contains(body, `"cluster":"edge"`) {
		t.Errorf("got %s", body)
	}
	w.store.enrol[0].Refused = &fleet.EnrolmentRefusal{At: start, From: "192.0.2.7", Code: "enrolment_token_other_cluster", Message: "the enrolment token is for another cluster"}
	body = w.call("GET", "/api/v1/enrolment-tokens", "").ok(200).body
	if !strings.Contains(body, `"refused":{"at":"2026-01-31T12:00:00Z","from":"192.0.2.7","code":"enrolment_token_other_cluster","id":"HW-`) {
		t.Errorf("got %s", body)
	}
	w.store.enrol[0].Preflight = &fleet.EnrolmentPreflight{At: start, From: "192.0.2.7", AgentVersion: "v1", Checks: []model.PreflightCheck{
		{Check: "dns", Outcome: model.PreflightOK, Message: "the hub is 192.0.2.1"},
		{Check: "clock", Outcome: model.PreflightFailed, Code: "clock_skewed", Message: "10 minutes behind", Fix: "set it"},
	}}
	body = w.call("GET", "/api/v1/enrolment-tokens", "").ok(200).body
	if !strings.Contains(body, `"preflight":{"at":"2026-01-31T12:00:00Z","from":"192.0.2.7","agentVersion":"v1","checks":[{"check":"dns","outcome":"ok","message":"the hub is 192.0.2.1"},{"check":"clock","outcome":"failed","code":"clock_skewed","id":"`+fault.ID("clock_skewed")+`","message":"10 minutes behind","fix":"set it"}]}`) {
		t.Errorf("got %s", body)
	}
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"edge"}`).ok(201).into(&got)
	if got.ExpiresAt != "2026-01-31T13:00:00Z" {
		t.Errorf("expires %s", got.ExpiresAt)
	}
	for body, code := range map[string]string{
		`{"cluster":"My_Edge"}`: "name_invalid", `{}`: "name_invalid", `{"cluster":"e","ttl":"never"}`: "expression_invalid",
		`{"cluster":"e","ttl":"-1h"}`: "lifetime_invalid", `{"cluster":"e","ttl":"169h"}`: "lifetime_invalid",
		`{"cluster":"e","labels":{"a b":"c"}}`: "label_invalid", `{"cluster":"e","epoch":9}`: "unknown_field",
		`{"cluster":"e","profile":"root"}`: "profile_unknown",
	} {
		w.call("POST", "/api/v1/enrolment-tokens", body).problem(400, code)
	}
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"e","project":"nix"}`).problem(404, "project_unknown")

	// Aliases are checked before there is a token.
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"e","aliases":["https://10.0.0.9:6443/","https://10.0.0.9:6443"]}`).ok(201)
	if got := w.store.enrol[len(w.store.enrol)-1].Aliases; len(got) != 1 || got[0] != "https://10.0.0.9:6443" {
		t.Errorf("aliases %q", got)
	}
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"e","aliases":["10.0.0.9"]}`).problem(400, "aliases_invalid")
	known := &w.store.clusters[0]
	known.Aliases = []string{"https://known.example"}
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"e","aliases":["https://known.example"]}`).problem(409, "alias_taken")
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"`+known.Name+`","aliases":["https://known.example"]}`).ok(201)
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"`+known.Name+`","aliases":["https://other.example"]}`).problem(409, "cluster_known")
	w.call("DELETE", "/api/v1/enrolment-tokens/"+stored.ID, "").ok(204)
	w.call("DELETE", "/api/v1/enrolment-tokens/"+stored.ID, "").problem(404, "enrolment_token_unknown")
	if strings.Contains(w.logged(), "hwe_secret") {
		t.Error("the token is in the log")
	}
}

func project(name, spec string) string {
	return "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

func TestProjects(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/projects/new", project("new", "{sourceRepos: ['*']}")).ok(201)
	if got := w.calls.take(); got != "project new; publish project new" {
		t.Errorf("told: %s", got)
	}
	w.call("PUT", "/api/v1/projects/new", project("new", "{sourceRepos: ['*']}")).ok(200)
	if got := w.calls.take(); got != "" {
		t.Errorf("told of no change: %s", got)
	}
	w.call("POST", "/api/v1/projects", project("new", "{sourceRepos: []}")).ok(200)
	w.call("PUT", "/api/v1/projects/new", project("new", "{}"), "If-None-Match: *").problem(409, "already_exists")
	w.call("PUT", "/api/v1/projects/other", project("new", "{}")).problem(400, "name_mismatch")
	w.call("PUT", "/api/v1/projects/new", project("new", "{sourceRepo: []}")).problem(400, "unknown_field")
	w.call("PUT", "/api/v1/projects/web", application("web")).problem(400, "kind_unexpected")
	w.call("GET", "/api/v1/projects/new", "").ok(200)
	w.call("GET", "/api/v1/projects/nix", "").problem(404, "project_unknown")
	var l struct{ Items []model.AppProject }
	w.call("GET", "/api/v1/projects", "").ok(200).into(&l)
	if len(l.Items) != 3 {
		t.Errorf("%d projects", len(l.Items))
	}
	w.call("DELETE", "/api/v1/projects/new", "").ok(204)
	w.call("DELETE", "/api/v1/projects/new", "").problem(404, "project_unknown")
	w.call("DELETE", "/api/v1/projects/default", "").problem(409, "project_default")
	w.call("PUT", "/api/v1/applications/web", application("web", "project: default", "project: shop")).ok(201)
	w.call("DELETE", "/api/v1/projects/shop", "").problem(409, "project_in_use")
}
