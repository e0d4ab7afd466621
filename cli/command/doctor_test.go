package command

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestDiagnoses(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	past, later := now.Add(-time.Hour), now.Add(365*24*time.Hour)
	well := func() facts {
		return facts{
			now: now, client: "1.4.2", hub: "1.5.0", hubURL: "https://hub", who: "ana",
			probe:        client.Probe{Status: 200, Date: now.Add(-20 * time.Second), CertificateUntil: later},
			clusters:     []model.Cluster{{Name: "eu", Connected: true, AgentVersion: "1.4.0", CertNotAfter: &later}, {Name: "old", Revoked: true}},
			repositories: []model.Repository{{URL: "https://git/x", State: "ok"}, {URL: "https://git/y", State: "unknown"}},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*facts)
		want   string // codes, with spaces between them
		text   string // of some message or detail
	}{
		{"all is well", func(*facts) {}, "", "1 of 2 reporting"},
		{"a configuration that cannot be read", func(f *facts) { f.configErr = fault.New(fault.Invalid, "config_open_to_others", "no") }, "config_open_to_others", ""},
		{"no hub", func(f *facts) { f.connectErr = fault.New(fault.Unauthorized, "not_logged_in", "no") }, "not_logged_in", "there is no connection"},
		{"another certificate", func(f *facts) { f.connectErr = fault.New(fault.Invalid, "hub_not_trusted", "no") }, "hub_not_trusted", ""},
		{"an error without a code", func(f *facts) { f.connectErr = errors.New("odd") }, "internal", "odd"},
		{"a certificate that ends", func(f *facts) { f.probe.CertificateUntil = now.Add(time.Hour) }, "doctor_certificate_ends", ""},
		{"a clock ahead", func(f *facts) { f.probe.Date = now.Add(-31 * time.Second) }, "doctor_clock_skew", "ahead of the hub's"},
		{"a clock behind", func(f *facts) { f.probe.Date = now.Add(time.Hour) }, "doctor_clock_skew", "1h0m0s behind the hub's"},
		{"no clock", func(f *facts) { f.probe.Date = time.Time{} }, "", "does not say its time"},
		{"not ready", func(f *facts) { f.probe.Status = 503 }, "doctor_hub_not_ready", "503"},
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
			denied := fault.New(fault.Denied, "permission_denied", "no")
			f.holdErr, f.clustersErr, f.repositoryErr = denied, denied, denied
		}, "", "you may not see them"},
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
					codes, texts = append(codes, y.Code), append(texts, y.Message)
					if strings.HasPrefix(y.Code, "doctor_") && (y.ID == "" || y.Fix == "") {
						t.Errorf("%s has number %q and fix %q", y.Code, y.ID, y.Fix)
					}
				}
			}
			all := strings.Join(texts, "\n")
			if got := strings.Join(codes, " "); got != c.want || d.Findings != len(codes) || !strings.Contains(all, c.text) || strings.Contains(all, "CANARY") {
				t.Errorf("found %q in\n%s", got, all)
			}
			if len(names) != 9 { // none is silently left out
				t.Errorf("checks %v", names)
			}
		})
	}
}

func TestDoctor(t *testing.T) {
	hub := newHubOf(t, everything())
	r := run(t, "", "doctor")
	r.check(t, ExitNegative, "doctor_deletes_held", "1 finding")
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
