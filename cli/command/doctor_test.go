package command

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestDiagnoses(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	past, later := now.Add(-time.Hour), now.Add(365*24*time.Hour)
	well := func() facts {
		return facts{
			now: now, client: "1.4.2", hub: "1.5.0", hubURL: "https://hub", who: "ana", whoRights: true,
			probe:        client.Probe{Status: 200, Date: now.Add(-20 * time.Second), CertificateUntil: later},
			clusters:     []model.Cluster{{Name: "eu", Connected: true, AgentVersion: "1.4.0", CertNotAfter: &later}, {Name: "old", Revoked: true}},
			repositories: []model.Repository{{URL: "https://git/x", State: "ok"}, {URL: "https://git/y", State: "unknown"}},
			applications: 7, whoSince: now.Add(-time.Hour), whoUntil: later,
			tokens: []api.APIToken{{ID: "t1", Name: "ana", Admin: true, CreatedAt: now.Add(-time.Hour), ExpiresAt: later}},
		}
	}
	soon := now.Add(6 * 24 * time.Hour)
	denied := fault.New(fault.Denied, "permission_denied", "no")
	// aside is an application that keeps an older revision.
	aside := func(name, source, code, revision string) model.AppView {
		return model.AppView{Name: name, Project: "shop", RepoURL: source,
			Conditions: []model.Condition{{Type: "ComparisonError", Code: code, Message: code + " it is\nand more", Revision: revision, Since: &past}}}
	}
	token := func(left, life time.Duration) func(*facts) {
		return func(f *facts) {
			f.tokens = append(f.tokens, api.APIToken{ID: "t2", Name: "ci", Grants: []api.Grant{{Role: "operator", Project: "team-*"}},
				CreatedAt: now.Add(left - life), ExpiresAt: now.Add(left)})
		}
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		change func(*facts)
		want   string // codes, with spaces between them
		text   string // of some message, fix or detail
	}{
		{"all is well", func(*facts) {}, "", "1 of 2 reporting"},
		{"a configuration that cannot be read", func(f *facts) { f.configErr = fault.New(fault.Invalid, "config_open_to_others", "no") }, "config_open_to_others", ""},
		{"no hub", func(f *facts) { f.connectErr = fault.New(fault.Unauthorized, "not_logged_in", "no") }, "not_logged_in", "there is no connection"},
		{"another certificate", func(f *facts) { f.connectErr = fault.New(fault.Invalid, "hub_not_trusted", "no") }, "hub_not_trusted", ""},
		{"an error without a code", func(f *facts) { f.connectErr = errors.New("odd") }, "internal", "odd"},
		{"a certificate that ends", func(f *facts) { f.probe.CertificateUntil = now.Add(time.Hour) }, "doctor_certificate_ends", ""},
		{"nothing that one may do", func(f *facts) { f.whoRights = false }, "doctor_no_rights", "ana has no role in any project"},
		{"a clock ahead", func(f *facts) { f.probe.Date = now.Add(-31 * time.Second) }, "doctor_clock_skew", "ahead of the hub's"},
		{"a clock behind", func(f *facts) { f.probe.Date = now.Add(time.Hour) }, "doctor_clock_skew", "1h0m0s behind the hub's"},
		{"no clock", func(f *facts) { f.probe.Date = time.Time{} }, "", "does not say its time"},
		{"not ready", func(f *facts) { f.probe.Status = 503 }, "doctor_hub_not_ready", "503"},
		{"a hub without a Redis", func(f *facts) {
			f.parts = partsOf(`{"ok":true,"parts":[{"name":"database","ok":true,"required":true}]}`)
		}, "", "has no Redis"},
		{"a Redis that answers", func(f *facts) { f.parts = partsOf(`{"ok":true,"parts":[{"name":"cache","ok":true,"required":false}]}`) }, "", "the shared cache answers"},
		{"a Redis that does not", func(f *facts) {
			f.parts = partsOf(`{"ok":true,"parts":[{"name":"cache","ok":false,"code":"cache_unreachable","required":false}]}`)
		}, "doctor_cache_unreachable", "does not answer the hub"},
		{"a hub that does not name its parts", func(f *facts) { f.parts = partsOf("<html>") }, "", "does not say of what it is made"},
		{"expired", func(f *facts) { f.whoErr = fault.New(fault.Unauthorized, "token_expired", "no") }, "token_expired", "one must be logged in"},
		{"an old client", func(f *facts) { f.client = "1.3.9" }, "doctor_version_skew", "too far apart"},
		{"another major", func(f *facts) { f.client = "2.5.0" }, "doctor_version_skew", ""},
		{"a build without a version", func(f *facts) { f.client = "dev" }, "", ""},
		{"a restored hub", func(f *facts) { f.hold = true }, "doctor_deletes_held", ""},
		{"an old agent", func(f *facts) { f.clusters[0].AgentVersion = "1.3.0" }, "doctor_agent_skew", "1.3.0"},
		{"a silent cluster", func(f *facts) { f.clusters[0].Connected, f.clusters[0].LastSeen = false, &past }, "doctor_cluster_silent", "was last seen 60m ago"},
		{"a cluster that never came", func(f *facts) { f.clusters[0].Connected = false }, "doctor_cluster_silent", "was never seen"},
		{"an agent's certificate", func(f *facts) { f.clusters[0].CertNotAfter = &past }, "doctor_agent_certificate", ""},
		{"a repository that fails", func(f *facts) {
			f.repositories[0] = model.Repository{URL: "https://bot:CANARY@git/x", State: "error", Error: "no route"}
		}, "doctor_repository_fails", "repository https://git/x does not answer: no route"},
		{"what one may not see", func(f *facts) {
			f.holdErr, f.clustersErr, f.repositoryErr, f.tokensErr = denied, denied, denied, denied
		}, "", "you may not see them"},
		{"an agent's certificate that ends soon", func(f *facts) { f.clusters[0].CertNotAfter = &soon }, "doctor_agent_certificate_ends", "agent of eu ends at 2026-01-08T03:04:05Z"},
		{"a source that nobody registered", func(f *facts) {
			f.aside = []model.AppView{aside("web", "https://bot:CANARY@git/z", "git_auth_failed", ""), aside("api", "https://bot:CANARY@git/z", "git_auth_failed", "")}
		}, "doctor_source_fails", "https://git/z, of app/web, app/api, cannot be reached and is not registered: git_auth_failed it is, and 1 more"},
		{"its fix", func(f *facts) { f.aside = []model.AppView{aside("web", "https://git/z", "git_auth_failed", "")} },
			"doctor_source_fails", "hawser repo test https://git/z, and hawser repo add https://git/z with"},
		{"a second source that nobody registered", func(f *facts) {
			v := aside("web", "https://git/x", "git_unavailable", "")
			v.Application = &model.Application{Spec: model.ApplicationSpec{Sources: []model.Source{{RepoURL: "https://git/x"}, {RepoURL: "https://git/z"}}}}
			f.aside = []model.AppView{v}
		}, "doctor_source_fails", "https://git/z, of app/web"},
		{"a registered source, spelt otherwise, that fails", func(f *facts) {
			f.repositories[0].State = "error"
			f.aside = []model.AppView{aside("web", "https://GIT/x.git", "git_unavailable", "")}
		}, "doctor_repository_fails", ""},
		{"a registered source that answers again", func(f *facts) { f.aside = []model.AppView{aside("web", "https://git/x", "git_unavailable", "")} },
			"doctor_not_rendered", ""},
		{"a source that another project registered", func(f *facts) {
			f.repositories[0].Project = "bank"
			f.aside = []model.AppView{aside("web", "https://git/x", "git_auth_failed", "")}
		}, "doctor_source_fails", ""},
		{"repositories that one may not see", func(f *facts) {
			f.repositoryErr = denied
			f.aside = []model.AppView{aside("web", "https://git/z", "git_auth_failed", "")}
		}, "doctor_not_rendered", "the repositories must be known first"},
		{"applications that are not rendered", func(f *facts) {
			f.aside = []model.AppView{aside("web", "https://git/x", "kustomize_failed", "c1"), aside("api", "https://git/z", "kustomize_failed", "c2"), aside("docs", "https://git/z", "path_not_found", "")}
		}, "doctor_not_rendered doctor_not_rendered", "app/web, app/api do not follow the source: kustomize_failed: kustomize_failed it is, and 1 more"},
		{"one that is not", func(f *facts) { f.aside = []model.AppView{aside("web", "https://git/x", "kustomize_failed", "c1")} },
			"doctor_not_rendered", "hawser app get web shows all of it"},
		{"how many are not", func(f *facts) { f.aside = []model.AppView{aside("web", "https://git/x", "kustomize_failed", "c1")} },
			"doctor_not_rendered", "1 of 7 not of the newest revision"},
		{"many that are not, for one reason", func(f *facts) {
			for i := range 500 {
				f.aside = append(f.aside, aside(fmt.Sprint("a", i), "https://git/x", "kustomize_failed", "c"))
			}
		}, "doctor_not_rendered", "app/a0, app/a1, app/a2 and 497 more do not"},
		{"many that are not, each for its own", func(f *facts) {
			for i := range 500 {
				f.aside = append(f.aside, aside(fmt.Sprint("a", i), "https://git/x", fmt.Sprint("code_", i), "c"))
			}
		}, strings.Repeat("doctor_not_rendered ", 10) + "doctor_more", "490 more reasons"},
		{"applications that cannot be asked for", func(f *facts) { f.asideErr = fault.New(fault.Unavailable, "db_unavailable", "away") }, "db_unavailable", "the applications must be known first"},
		{"a token that expires soon", token(13*day, 30*day), "doctor_token_ends", "hawser token create ci --grant 'operator:team-*', give it"},
		{"a token that lasts", token(15*day, 30*day), "", ""},
		{"a token that was made to be short", token(time.Hour, day), "", ""},
		{"a token that has expired", token(0, day), "doctor_token_expired", "hawser token delete t2"},
		{"one's own token, as an administrator", func(f *facts) {
			f.whoUntil, f.whoSince = soon, past.Add(-30*day)
			f.tokens[0].ExpiresAt, f.tokens[0].CreatedAt = f.whoUntil, f.whoSince
		}, "doctor_token_ends", "hawser token create ana --admin"},
		{"one's own token, when it is all that one sees", func(f *facts) {
			f.whoUntil, f.whoSince, f.tokens, f.tokensErr = soon, past.Add(-30*day), nil, denied
		}, "doctor_token_ends", "hawser login https://hub --with-token"},
		{"one's own token that was made to be short", func(f *facts) {
			f.whoUntil, f.whoSince, f.tokens, f.tokensErr = now.Add(time.Hour), past, nil, denied
		}, "", "yours is good until 2026-01-02T04:04:05Z"},
		{"a list that fails", func(f *facts) { f.clustersErr = fault.New(fault.Unavailable, "db_unavailable", "away") }, "db_unavailable", ""},
		{"several", func(f *facts) { f.hold, f.probe.Status = true, 503 }, "doctor_hub_not_ready doctor_deletes_held", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := well()
			c.change(&f)
			d := diagnose(f)
			var codes, texts []string
			names := map[string]bool{}
			for _, x := range d.Checks {
				names[x.Name] = true
				texts = append(texts, x.Detail)
				if x.OK && len(x.Findings) > 0 {
					t.Errorf("%s is well with findings", x.Name)
				}
				for _, y := range x.Findings {
					codes, texts = append(codes, y.Code), append(texts, y.Message, y.Fix)
					if strings.HasPrefix(y.Code, "doctor_") && (y.ID == "" || y.Fix == "") {
						t.Errorf("%s has number %q and fix %q", y.Code, y.ID, y.Fix)
					}
				}
			}
			all := strings.Join(texts, "\n")
			if got := strings.Join(codes, " "); got != c.want || d.Findings != len(codes) || !strings.Contains(all, c.text) || strings.Contains(all, "CANARY") {
				t.Errorf("found %q in\n%s", got, all)
			}
			if len(names) != 13 { // none is silently left out
				t.Errorf("checks %v", names)
			}
		})
	}
}

func TestDoctor(t *testing.T) {
	hub := newHubOf(t, with(map[string]answer{"GET /whoami?rules=true": {200, `{"name":"ana","admin":true}`}}))
	r := run(t, "", "doctor")
	r.check(t, ExitNegative, "doctor_deletes_held", "2 findings")
	if !strings.Contains(r.out, "fix: hawser token delete t-2") {
		t.Errorf("got\n%s", r.out)
	}
	if !strings.Contains(r.out, "fix: look at the applications") || !strings.Contains(r.out, hub.srv.URL+" answers after") {
		t.Errorf("got\n%s", r.out)
	}
	if r := run(t, "", "doctor", "-o", "json"); r.code != ExitNegative || !r.document() || !strings.Contains(r.out, `"kind": "Diagnosis"`) || r.err != "" {
		t.Errorf("got %+v", r)
	}
	path := filepath.Join(t.TempDir(), "b.tgz")
	run(t, "", "doctor", "--bundle", path).check(t, ExitNegative, "doctor_deletes_held", "written: "+path)
	run(t, "", "doctor", "--bundle", path).check(t, ExitError, "", "(file_unwritable)")
	files := unpack(t, path)
	for _, name := range []string{"diagnosis.json", "clusters.json", "repositories.json"} {
		if files["hawser-doctor/"+name] == "" {
			t.Errorf("%s is not in %v", name, files)
		}
	}
	if all := files["hawser-doctor/repositories.json"]; strings.Contains(all, "bot") || strings.Contains(all, "CANARY") {
		t.Errorf("got %s", all)
	}
	t.Setenv("HAWSER_CA_HASH", "sha256:"+strings.Repeat("0", 64))
	run(t, "", "doctor").check(t, ExitNegative, "(hub_not_trusted)", "1 finding")
}

func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = string(b)
	}
}

// TestDoctorAsksForTheApplicationsThatKeepAnOlderRevision looks at a hub where one of
// three does, by its second source, which a list does not have.
func TestDoctorAsksForTheApplicationsThatKeepAnOlderRevision(t *testing.T) {
	const condition = `"conditions":[{"type":"ComparisonError","code":"git_auth_failed","message":"no credential","since":"2026-01-02T03:04:05Z"}]`
	newHubOf(t, map[string]answer{
		"GET /whoami": {200, `{"name":"ana","admin":true,"createdAt":"2026-01-02T03:04:05Z","expiresAt":"2099-01-02T03:04:05Z"}`}, "GET /hub": {200, `{}`},
		"GET /clusters": {200, `{"items":[]` + asOf}, "GET /tokens": problemAnswer(403, "denied", "permission_denied", "no"),
		"GET /repositories":  {200, `{"items":[{"id":"r1","url":"https://git/x","state":"ok"}]` + asOf},
		"GET /fleet/summary": {200, `{"clusters":{},"applications":{"total":3,"unrendered":1}` + asOf},
		"GET /applications?filter=is%3Aunrendered&limit=500": {200, `{"items":[{"name":"web","project":"shop","repoURL":"https://git/x",` + condition + `}]` + asOf},
		"GET /applications/web":                              {200, `{"name":"web","application":{"spec":{"sources":[{"repoURL":"https://git/x"},{"repoURL":"https://git/z"}]}}}`},
	})
	r := run(t, "", "doctor")
	r.check(t, ExitNegative, "https://git/z, of app/web, cannot be reached and is not registered: no credential (doctor_source_fails)", "1 finding")
	for _, want := range []string{"applications  1 of 3 not of the newest revision", "yours is good until 2099-01-02T03:04:05Z"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("got\n%s", r.out)
		}
	}
}
