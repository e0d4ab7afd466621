package metrics

import (
	"context"
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

// full is a Set with something of everything.
func full(apps []Application, clusters []model.Cluster) *Set {
	s := New("v1", func() time.Time { return t0 })
	s.Watch(Sources{
		Applications: func(context.Context) ([]Application, error) { return apps, nil },
		Clusters:     func(context.Context) ([]model.Cluster, error) { return clusters, nil },
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
	s := full([]Application{{Name: "shop", Project: "p", Cluster: "eu", Freshness: model.FreshLive, Sync: model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonDrifted}, Health: model.HealthDegraded, Conditions: []string{"SyncError"}}},
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
	now, down := t0, false
	s := New("v1", func() time.Time { return now })
	asked := 0
	s.Watch(Sources{
		Applications: func(context.Context) ([]Application, error) {
			asked++
			if down {
				return nil, errors.New("CANARY")
			}
			return []Application{{Name: "shop", Freshness: model.FreshLive}}, nil
		},
	})
	if text := scrape(t, s); !strings.Contains(text, `app="shop"`) {
		t.Error("the application is not told")
	}
	scrape(t, s)
	if asked != 1 {
		t.Errorf("two scrapes at once read %d times", asked)
	}
	down, now = true, now.Add(readEvery)
	text := scrape(t, s)
	if strings.Contains(text, `app="shop"`) || strings.Contains(text, "CANARY") {
		t.Error("old applications are told, or why they cannot be read")
	}
	if text = scrape(t, s); !strings.Contains(text, `hawser_scrape_errors_total{source="applications"}`) {
		t.Error("that they cannot be read is not told")
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
				Conditions: []string{"SyncError", fmt.Sprint("t", i), fmt.Sprint("u", i), "PruneGuard", "ComparisonError"},
			}
		}
		clusters := make([]model.Cluster, c.clusters)
		for i := range clusters {
			clusters[i] = model.Cluster{Name: fmt.Sprintf("c-%d", i), Connected: true, LastSeen: &t0, AgentVersion: "v1", CertNotAfter: &t0}
		}
		s := full(apps, clusters)
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
