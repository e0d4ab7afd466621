package metrics

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

const dashboardFile = "../../charts/hawser/files/dashboard.json"

// series is one line of a metrics page.
type series struct {
	name   string
	labels map[string]string
}

var (
	seriesLine = regexp.MustCompile(`(?m)^([a-z_0-9:]+)(?:\{(.*)\})? \S+$`)
	pair       = regexp.MustCompile(`([a-zA-Z_0-9]+)="((?:[^"\\]|\\.)*)"`)
	asked      = regexp.MustCompile(`(hawser_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher    = regexp.MustCompile(`([a-z_0-9]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
)

// scrape reads metrics pages.
func scrape(t *testing.T, addresses ...string) (out []series) {
	t.Helper()
	for _, address := range addresses {
		resp, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, %v", address, resp.StatusCode, err)
		}
		for _, m := range seriesLine.FindAllStringSubmatch(string(page), -1) {
			s := series{name: m[1], labels: map[string]string{}}
			for _, l := range pair.FindAllStringSubmatch(m[2], -1) {
				s.labels[l[1]] = l[2]
			}
			out = append(out, s)
		}
	}
	return out
}

// answer is how many series a selector of PromQL has, such as
// hawser_app_info{health=~"Degraded|Missing"}; variables of a dashboard are All.
func answer(all []series, name, matchers string) (n int) {
	for _, s := range all {
		if s.name == name && !slices.ContainsFunc(matcher.FindAllStringSubmatch(matchers, -1), func(m []string) bool {
			value, want := s.labels[m[1]], m[3]
			if strings.HasPrefix(want, "$") {
				want = ".*"
			}
			equal := value == want
			if strings.HasSuffix(m[2], "~") {
				equal = regexp.MustCompile("^(?:" + want + ")$").MatchString(value)
			}
			return equal != !strings.HasPrefix(m[2], "!")
		}) {
			n++
		}
	}
	return n
}

// elsewhere are series that need what this test has not: a receiver of audit records
// and a Redis. TestAlertsNameWhatExists holds the names to the registries.
var elsewhere = map[string]bool{
	"hawser_audit_export_behind_seconds":                        true,
	`hawser_cache_requests_total{store="redis",result="error"}`: true,
}

// A hub and an agent that have done what they do in a day, good and bad, have series
// for all that the dashboard's panels show and that the alerts ask for.
func TestPanelsAndAlertsHaveSeries(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane and a hub, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var ports [2]*testbed.ReservedPort
	for i := range ports {
		var err error
		ports[i], err = testbed.ReservePort()
		check(err)
		t.Cleanup(ports[i].Release)
	}
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t),
		HubArgs:   []string{"--database-url", "", "--metrics-listen", ports[0].Addr()},
		AgentArgs: []string{"--metrics-listen", ports[1].Addr()}})
	check(err)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	eu := r.UseCluster("eu", testbed.NeedControlPlane(t, testbed.Options{Name: "metrics"}))
	check(eu.Enrol(ctx))
	repo, err := r.Git.CreateRepo(ctx, "shop")
	check(err)
	commit, err := repo.Commit(ctx, "first", map[string][]byte{
		"well/a.yaml":  []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {v: '1'}}"),
		"drift/b.yaml": []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {v: '1'}}"),
		// No node has it, so that the Deployment does not progress.
		"ill/c.yaml": []byte(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: c}, spec: {progressDeadlineSeconds: 1, selector: {matchLabels: {app: c}},
  template: {metadata: {labels: {app: c}}, spec: {nodeSelector: {moon: base}, containers: [{name: c, image: c}]}}}}`),
		"refused/d.yaml": []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: d, labels: {a: 'no label'}}}"),
	})
	check(err)
	api, err := r.API()
	check(err)
	create := func(name, url, policy string) {
		t.Helper()
		check(api.Do(ctx, http.MethodPost, "/applications", fmt.Appendf(nil, `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: %[1]s},
  spec: {project: default, source: {repoURL: %[2]q, path: %[1]s, targetRevision: main}, destination: {name: eu, namespace: %[1]s}, syncPolicy: {%[3]s syncOptions: [CreateNamespace=true]}}}`, name, url, policy), nil))
	}
	create("well", repo.URL(), "automated: {},")
	create("ill", repo.URL(), "automated: {},")
	create("refused", repo.URL(), "automated: {}, retry: {limit: 0},")
	create("drift", repo.URL(), "")
	create("nowhere", repo.URL()+"-nowhere", "")
	await := func(what string, holds func(rig.Applications) bool) {
		t.Helper()
		var last rig.Applications
		if err := rig.FollowApplications(ctx, api, func(apps rig.Applications, _ ...string) bool { last = apps; return holds(apps) }); err != nil {
			t.Fatalf("%s: %v\n%+v", what, err, last)
		}
	}
	await("rendered", func(apps rig.Applications) bool { return apps["drift"].Desired.Commit == commit })
	check(api.Do(ctx, http.MethodPost, "/applications/drift/sync", model.OperationSpec{}, nil))
	await("synced", func(apps rig.Applications) bool { return rig.Settled(apps["drift"]) && rig.Settled(apps["well"]) })
	b, err := eu.Object(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "drift", "b")
	check(err)
	check(b.Patch(ctx, map[string]any{"data": map[string]any{"v": "somebody's"}}))
	// What a push brings is measured until it is healthy.
	commit, err = repo.Commit(ctx, "second", map[string][]byte{"well/a.yaml": []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {v: '2'}}")})
	check(err)
	check(r.Push(ctx, repo.URL(), testbed.DefaultBranch, commit))
	has := func(v model.AppView, kind string) bool {
		return slices.ContainsFunc(v.Conditions, func(c model.Condition) bool { return c.Type == kind })
	}
	await("a day", func(apps rig.Applications) bool {
		return rig.Settled(apps["well"]) && apps["well"].Revision == commit && apps["drift"].Sync.Reason == model.ReasonDrifted &&
			apps["ill"].Health.Status == model.HealthDegraded && has(apps["refused"], "SyncError") && has(apps["nowhere"], "ComparisonError")
	})
	nobody := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // of this test's hub
	resp, err := nobody.Get(r.Hub.URL() + "/api/v1/applications")
	check(err)
	resp.Body.Close()
	nobody.CloseIdleConnections()

	questions := map[string]string{} // by where they stand
	text, err := os.ReadFile(dashboardFile)
	check(err)
	var board struct {
		Templating struct {
			List []struct{ Name, Definition string }
		}
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	check(json.Unmarshal(text, &board))
	for _, v := range board.Templating.List {
		questions["variable "+v.Name] = v.Definition
	}
	for _, p := range board.Panels {
		for i, q := range p.Targets {
			questions[fmt.Sprintf("panel %q, %d", p.Title, i)] = q.Expr
		}
	}
	text, err = os.ReadFile(alertsFile)
	check(err)
	var alerts rules
	check(yaml.Unmarshal(text, &alerts))
	for _, g := range alerts.Groups {
		for _, a := range g.Rules {
			questions["alert "+a.Alert] = a.Expr
		}
	}
	all := scrape(t, ports[0].Addr(), ports[1].Addr())
	made := 0
	for where, q := range questions {
		for _, m := range asked.FindAllStringSubmatch(q, -1) {
			made++
			if n := answer(all, m[1], m[2]); n == 0 && !elsewhere[m[0]] {
				t.Errorf("%s: there is no series of %s", where, m[0])
			} else if n > 0 && elsewhere[m[0]] {
				t.Errorf("%s has series here, too", m[0])
			}
		}
	}
	if made < 45 {
		t.Errorf("only %d questions were asked", made)
	}
}
