package metrics

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

var t0 = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// each tells of all of them.
func each[T any](all []T) func(func(*T)) error {
	return func(tell func(*T)) error {
		for i := range all {
			tell(&all[i])
		}
		return nil
	}
}

// full is a Set with something of everything.
func full(apps []Application, clusters []model.Cluster) *Set {
	return fullOf(apps, clusters, MaxApplications)
}

func fullOf(apps []Application, clusters []model.Cluster, most int, labels ...string) *Set {
	s := New("v1", func() time.Time { return t0 })
	s.Watch(Sources{
		Applications: each(apps), Clusters: each(clusters), Most: most, Labels: labels,
		Certificates: func() map[string]time.Time { return map[string]time.Time{"ca": t0, "web": t0} },
		Queues:       map[string]func() int{"reports": func() int { return 3 }},
		Pool:         func() Pool { return Pool{Most: 12, Open: 4, Idle: 3, Waits: 2, Waited: time.Second} },
		Workers:      func() (int, int) { return 2, 1 },
	})
	s.Request("GET", "/api/v1/applications", 200, time.Millisecond)
	s.Denied("permission_denied")
	s.StreamOpened()
	s.StreamReset()
	s.Webhook(202)
	s.Looked(time.Second, nil)
	s.Rendered(time.Second, false, nil)
	s.Dropped(1)
	s.Operations([]model.OperationInfo{{ID: "o", Kind: model.OperationSync, Phase: model.PhaseFailed, CreatedAt: &t0, FinishedAt: &t0}})
	s.SessionOpened(true)
	s.RoundTrip(time.Millisecond)
	s.Sent(1)
	return s
}

func scrape(t *testing.T, s *Set) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNamesAndHelpAreAsPrometheusWantsThem(t *testing.T) {
	now := t0
	s := full([]Application{{Name: "shop", Project: "p", Cluster: "eu", Freshness: model.FreshLive, Sync: model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonDrifted}, Health: model.HealthDegraded, Conditions: []model.Condition{{Type: "SyncError"}}}},
		[]model.Cluster{{Name: "eu", Connected: true, LastSeen: &now, AgentVersion: "v1", CertNotAfter: &now}})
	problems, err := testutil.GatherAndLint(s.Registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	// That the check finds anything at all.
	bad, err := promlint.New(strings.NewReader("# TYPE requests_count counter\nrequests_count 1\n")).Lint()
	if err != nil || len(bad) == 0 {
		t.Errorf("promlint finds nothing: %v", err)
	}
}

// What is stale is not healthy, whatever was said last.
func TestStaleApplicationsAreNotHealthy(t *testing.T) {
	healthy := Application{Project: "p", Cluster: "eu", Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthHealthy}
	drifted := healthy
	drifted.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonDrifted}
	var apps []Application
	for _, f := range []model.Freshness{model.FreshLive, model.FreshLagging, model.FreshStale, model.FreshNever} {
		a, d := healthy, drifted
		a.Name, a.Freshness = "a-"+string(f), f
		d.Name, d.Freshness = "d-"+string(f), f
		apps = append(apps, a, d)
	}
	text := scrape(t, full(apps, nil))
	for f, want := range map[string]string{"live": `health="Healthy",project="p",sync="Synced"`, "lagging": `health="Healthy",project="p",sync="Synced"`,
		"stale": `health="Unknown",project="p",sync="Unknown"`, "never": `health="Unknown",project="p",sync="Unknown"`} {
		line := fmt.Sprintf(`hawser_app_info{app="a-%s",cluster="eu",%s} 1`, f, want)
		if !strings.Contains(text, line) {
			t.Errorf("missing: %s", line)
		}
		told := strings.Contains(text, fmt.Sprintf(`hawser_app_drifted{app="d-%s",`, f))
		if known := f == "live" || f == "lagging"; told != known {
			t.Errorf("%s: drifted is told: %v", f, told)
		}
		if !strings.Contains(text, fmt.Sprintf("hawser_apps{freshness=%q} 2", f)) {
			t.Errorf("%s: not counted", f)
		}
	}
}

// A database that does not answer leaves series out: what was known before would
// look like what is.
func TestADatabaseThatIsAwayLeavesSeriesOut(t *testing.T) {
	down := false
	s := New("v1", func() time.Time { return t0 })
	s.Watch(Sources{Most: 10,
		Applications: func(tell func(*Application)) error {
			if down {
				return errors.New("CANARY")
			}
			tell(&Application{Name: "shop", Freshness: model.FreshLive})
			return nil
		},
		Clusters: func(tell func(*model.Cluster)) error {
			if down {
				return errors.New("CANARY")
			}
			tell(&model.Cluster{Name: "eu"})
			return nil
		},
	})
	if text := scrape(t, s); !strings.Contains(text, `app="shop"`) || !strings.Contains(text, `hawser_cluster_connected{cluster="eu"} 0`) || !strings.Contains(text, `hawser_apps{freshness="live"} 1`) {
		t.Error("the application or the cluster is not told")
	}
	down = true
	text := scrape(t, s)
	for _, old := range []string{`app="shop"`, "CANARY", "hawser_apps{", "hawser_app_states{", "hawser_app_series_left_out", "hawser_cluster_connected{"} {
		if strings.Contains(text, old) {
			t.Errorf("%s is told of what cannot be read", old)
		}
	}
	text = scrape(t, s)
	for _, source := range []string{"applications", "clusters"} {
		if !strings.Contains(text, fmt.Sprintf("hawser_scrape_errors_total{source=%q}", source)) {
			t.Errorf("that %s cannot be read is not told", source)
		}
	}
}

// Those that have no series of their own are counted all the same.
func TestSeriesOfApplicationsCanBeSwitchedOff(t *testing.T) {
	drifted := model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonDrifted}
	apps := []Application{
		{Name: "a", Freshness: model.FreshLive, Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthHealthy},
		{Name: "b", Freshness: model.FreshLive, Sync: drifted, Health: model.HealthDegraded, Conditions: []model.Condition{{Type: "SyncError"}}},
		{Name: "c", Freshness: model.FreshStale, Sync: drifted, Health: model.HealthDegraded},
	}
	for most, own := range map[int]int{-1: 0, 0: 0, 1: 1, 3: 5, MaxApplications + 1: 5} {
		text := scrape(t, fullOf(apps, nil, most))
		if n := strings.Count(text, `{app="`); n != own {
			t.Errorf("of %d: %d series, want %d", most, n, own)
		}
		for _, line := range []string{
			`hawser_app_states{health="Healthy",sync="Synced"} 1`, `hawser_app_states{health="Degraded",sync="OutOfSync"} 1`,
			`hawser_app_states{health="Unknown",sync="Unknown"} 1`, `hawser_apps{freshness="live"} 2`,
			fmt.Sprintf("hawser_app_series_left_out %d", max(0, 3-max(0, most))),
		} {
			if !strings.Contains(text, line) {
				t.Errorf("of %d: missing: %s", most, line)
			}
		}
	}
}

func TestLabelsOfApplicationsThatAreAskedFor(t *testing.T) {
	apps := []Application{
		{Name: "a", Project: "p", Cluster: "eu", Freshness: model.FreshLive, Labels: map[string]string{"team": "pay\nments", "example.org/tier": "1", "secret": "CANARY"}},
		{Name: "b", Labels: map[string]string{"team": strings.Repeat("x", 100)}},
		{Name: "c", Labels: map[string]string{"secret": "CANARY"}},
	}
	s := fullOf(apps, nil, MaxApplications, "team", "example.org/tier")
	text := scrape(t, s)
	for _, line := range []string{
		`hawser_app_labels{app="a",cluster="eu",label_example_org_tier="1",label_team="pay\nments",project="p"} 1`,
		`hawser_app_labels{app="b",cluster="",label_example_org_tier="",label_team="other",project=""} 1`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if strings.Contains(text, "CANARY") || strings.Contains(text, `hawser_app_labels{app="c"`) {
		t.Error("labels that nobody asked for are told")
	}
	if strings.Contains(scrape(t, full(apps, nil)), "hawser_app_labels{") {
		t.Error("labels are told without being asked for")
	}
	if problems, err := testutil.GatherAndLint(s.Registry()); err != nil || len(problems) > 0 {
		t.Errorf("%v: %v", problems, err)
	}
}

func TestLabelsThatCannotBeTold(t *testing.T) {
	for name, labels := range map[string][]string{
		"twice the same":   {"team", "team"},
		"twice one name":   {"example.org/tier", "example.org-tier"},
		"none":             {""},
		"more than anyone": strings.Split("a,b,c,d,e,f,g,h,i,j,k", ","),
	} {
		if err := CheckLabels("--flag", labels); !fault.HasCode(err, "config_invalid") || fault.As(err).Field != "--flag" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := CheckLabels("--flag", []string{"team", "example.org/tier"}); err != nil {
		t.Error(err)
	}
}

// 10,000 applications, all with something to tell, and 5,000 clusters are within
// what one Prometheus takes without a thought; ten times as many stay bounded.
func TestSeriesAreBounded(t *testing.T) {
	for _, c := range []struct{ apps, clusters, most int }{{10_000, 5_000, 150_000}, {100_000, 5_000, 150_000}} {
		apps := make([]Application, c.apps)
		for i := range apps {
			apps[i] = Application{
				Name: fmt.Sprintf("app-%05d", i), Project: fmt.Sprintf("p-%d", i%100), Cluster: fmt.Sprintf("c-%d", i%c.clusters), Freshness: model.FreshLive,
				Sync:   model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonDrifted},
				Health: model.Health(fmt.Sprint("odd", i)),
				// An agent may say what it likes.
				Conditions: []model.Condition{{Type: "SyncError"}, {Type: fmt.Sprint("t", i)}, {Type: fmt.Sprint("u", i)}, {Type: "PruneGuard"}, {Type: "ComparisonError"}},
				Labels:     map[string]string{"team": fmt.Sprint("team-", i)},
			}
		}
		clusters := make([]model.Cluster, c.clusters)
		for i := range clusters {
			clusters[i] = model.Cluster{Name: fmt.Sprintf("c-%d", i), Connected: true, LastSeen: &t0, AgentVersion: "v1", KubeVersion: "v1.36.0", CertNotAfter: &t0}
		}
		s := fullOf(apps, clusters, MaxApplications, "team")
		for i := range 5000 { // strangers
			s.Request(fmt.Sprint("M", i), fmt.Sprint("/r", i), 200+i, 0)
			s.Denied(fmt.Sprint("code_", i))
		}
		n, err := testutil.GatherAndCount(s.Registry())
		if err != nil {
			t.Fatal(err)
		}
		if n > c.most || n < 10_000 {
			t.Errorf("%d applications: %d series", c.apps, n)
		}
	}
}

func TestGitToHealthy(t *testing.T) {
	s := New("v1", func() time.Time { return t0 })
	report := func(g model.Generation, sync model.SyncStatus, health model.Health, at time.Time) fleet.Report {
		return fleet.Report{AppReport: model.AppReport{App: "a", Generation: g, ObservedAt: at,
			Status: model.AppStatus{Sync: model.SyncFacet{Status: sync}, Health: model.HealthFacet{Status: health}}}}
	}
	count := func() int {
		families, err := s.Registry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "hawser_git_to_healthy_seconds" {
				return int(f.GetMetric()[0].GetHistogram().GetSampleCount())
			}
		}
		return -1
	}
	s.Delivered("a", 2, t0)
	s.Delivered("b", 2, time.Time{}) // somebody wrote the application
	s.Stored([]fleet.Report{
		report(1, model.SyncSynced, model.HealthHealthy, t0),     // the generation before
		report(2, model.SyncOutOfSync, model.HealthHealthy, t0),  // on its way
		report(2, model.SyncSynced, model.HealthProgressing, t0), // nearly
	}, 0)
	if n := count(); n != 0 {
		t.Errorf("counted %d too early", n)
	}
	s.Stored([]fleet.Report{report(2, model.SyncSynced, model.HealthHealthy, t0.Add(3*time.Second))}, 0)
	s.Stored([]fleet.Report{report(2, model.SyncSynced, model.HealthHealthy, t0.Add(9*time.Second))}, 0) // said again
	if n := count(); n != 1 {
		t.Errorf("counted %d times", n)
	}
	// One that was overtaken never got there.
	s.Delivered("a", 3, t0)
	s.Delivered("a", 4, t0)
	s.Stored([]fleet.Report{report(3, model.SyncSynced, model.HealthHealthy, t0)}, 0)
	if n := count(); n != 1 {
		t.Errorf("a generation that was overtaken counts: %d", n)
	}
	s.Stored([]fleet.Report{report(4, model.SyncSynced, model.HealthHealthy, t0)}, 0)
	if n := count(); n != 2 || len(s.waiting) != 0 {
		t.Errorf("%d, %v", n, s.waiting)
	}
}

func TestAnOperationCountsOnce(t *testing.T) {
	s := New("v1", nil)
	end := model.OperationInfo{ID: "o", Kind: model.OperationSync, Phase: model.PhaseSucceeded, CreatedAt: &t0, FinishedAt: &t0}
	running := end
	running.Phase = model.PhaseRunning
	s.Operations([]model.OperationInfo{running, end, end})
	s.Operations([]model.OperationInfo{end, {ID: "d", Kind: model.OperationDelete, Phase: model.PhaseFailed}})
	if n := testutil.ToFloat64(s.syncs.WithLabelValues("succeeded")); n != 1 {
		t.Errorf("counted %v times", n)
	}
	if n := testutil.CollectAndCount(s.syncs); n != 1 {
		t.Errorf("%d results", n)
	}
}

func TestResultsAreClosed(t *testing.T) {
	s := New("v1", nil)
	s.Looked(0, fault.New(fault.Upstream, "git_unavailable", "m"))
	s.Looked(0, errors.New("any"))
	s.Webhook(401)
	s.Webhook(429)
	s.Webhook(500)
	text := scrape(t, s)
	for _, line := range []string{`hawser_webhook_requests_total{result="refused"} 1`, `hawser_webhook_requests_total{result="limited"} 1`, `hawser_webhook_requests_total{result="failed"} 1`} {
		if !strings.Contains(text, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if n := testutil.CollectAndCount(s.git); n != 3 { // and ok
		t.Errorf("%d results", n)
	}
}

// Reports are the hottest path: 1,000 a second and more.
func BenchmarkStored(b *testing.B) {
	s := New("v1", nil)
	reports := make([]fleet.Report, 100)
	for i := range reports {
		reports[i].ObservedAt = t0
		reports[i].App = model.AppUID(fmt.Sprint(i))
		s.Delivered(reports[i].App, 5, t0)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Stored(reports, time.Millisecond)
	}
}

// One scrape of 10,000 applications, two in a hundred of them with something to
// tell, and of 5,000 clusters.
func BenchmarkScrape(b *testing.B) {
	apps := make([]Application, 10_000)
	for i := range apps {
		apps[i] = Application{Name: fmt.Sprintf("app-%05d", i), Project: fmt.Sprintf("p-%d", i%100), Cluster: fmt.Sprintf("c-%d", i%5000), Freshness: model.FreshLive,
			Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthHealthy}
		if i%50 == 0 {
			apps[i].Conditions = []model.Condition{{Type: "SyncError"}}
		}
	}
	clusters := make([]model.Cluster, 5000)
	for i := range clusters {
		clusters[i] = model.Cluster{Name: fmt.Sprintf("c-%d", i), Connected: true, LastSeen: &t0, AgentVersion: "v1", KubeVersion: "v1.36.0", CertNotAfter: &t0}
	}
	for name, most := range map[string]int{"each": MaxApplications, "counts": 0} {
		b.Run(name, func(b *testing.B) {
			h := fullOf(apps, clusters, most).Handler(slog.New(slog.DiscardHandler))
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
				b.ReportMetric(float64(w.Body.Len()), "bytes")
			}
		})
	}
}
