package store

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// content of the application's stored desired state.
func (b *bench) content(app fleet.App) model.Digest {
	b.t.Helper()
	var d model.Digest
	must(b.t, b.pool.QueryRow(b.ctx(), `SELECT content FROM desired WHERE app_uid = $1`, app.UID).Scan(&d))
	return d
}

func (b *bench) report(app fleet.App, o fleet.Opening, seq uint64) fleet.Report {
	since := b.now().Add(-time.Minute)
	return fleet.Report{
		Cluster: app.Cluster, Epoch: o.Epoch,
		AppReport: model.AppReport{
			App: app.UID, Seq: seq, Generation: 1, ObservedAt: b.now(),
			Status: model.AppStatus{
				Generation: 1, Revision: "aaa", Sync: model.SyncFacet{Status: model.SyncSynced},
				Health:    model.HealthFacet{Status: model.HealthHealthy, Message: fmt.Sprintf("report %d", seq), Since: &since},
				Resources: []model.ResourceStatus{{ObjectKey: model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, Version: "v1", Sync: model.SyncFacet{Status: model.SyncSynced}}},
				History:   []model.HistoryEntry{{ID: 1, Generation: 1, Revision: "aaa"}},
			},
			Tree: &model.ResourceTree{Nodes: []model.TreeNode{{ObjectKey: model.ObjectKey{Kind: "Pod", Namespace: "shop", Name: fmt.Sprintf("web-%d", seq)}}}},
		},
	}
}

func (b *bench) view(name string) model.AppView {
	b.t.Helper()
	v, err := b.AppView(b.ctx(), name)
	must(b.t, err)
	return v
}

func TestReportsAreFencedAndMonotone(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one, two := b.cluster("one"), b.cluster("two")
	app := b.app("shop", one)
	b.desire(app, "aaa")
	old := b.session(one)
	o := b.session(one)
	foreign := b.session(two)

	steps := []struct {
		name   string
		report fleet.Report
		want   string // health message afterwards
	}{
		{"older session", b.report(app, old, 9), ""},
		{"other cluster with its own epoch", func() fleet.Report { r := b.report(app, foreign, 9); r.Cluster = two; return r }(), ""},
		{"other cluster's epoch under our name", b.report(app, foreign, 9), ""},
		{"first", b.report(app, o, 5), "report 5"},
		{"lower sequence", b.report(app, o, 4), "report 5"},
		{"repeated", func() fleet.Report {
			r := b.report(app, o, 5)
			r.Status.Health.Message = "changed"
			return r
		}(), "report 5"},
		{"next", b.report(app, o, 6), "report 6"},
		{"unknown application", func() fleet.Report { r := b.report(app, o, 7); r.App = "gone\x00"; return r }(), "report 6"},
	}
	for _, s := range steps {
		must(t, b.SaveReports(ctx, []fleet.Report{s.report}))
		if got := b.view("shop").Health.Message; got != s.want {
			t.Errorf("%s: the view shows %q, want %q", s.name, got, s.want)
		}
	}
	// A new session starts counting anew.
	next := b.session(one)
	must(t, b.SaveReports(ctx, []fleet.Report{b.report(app, next, 1)}))
	if got := b.view("shop").Health.Message; got != "report 1" {
		t.Errorf("after a new session: %q", got)
	}
	must(t, b.SaveReports(ctx, nil))
}

func TestReportsInOneBatch(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app := b.app("shop", one)
	o := b.session(one)
	// Several of one application: the newest counts; a tree that it leaves out
	// is the older one's.
	second := b.report(app, o, 2)
	second.Tree = nil
	must(t, b.SaveReports(ctx, []fleet.Report{second, b.report(app, o, 1)}))
	if got := b.view("shop").Health.Message; got != "report 2" {
		t.Errorf("%q", got)
	}
	tree, err := b.Tree(ctx, app.UID)
	must(t, err)
	if len(tree.Nodes) != 1 || tree.Nodes[0].Name != "web-1" || !tree.ObservedAt.Equal(b.now()) {
		t.Errorf("%+v", tree)
	}
	// Unchanged in a later report: it holds, and its age is that report's.
	b.clock.advance(time.Minute)
	third := b.report(app, o, 3)
	third.Tree = nil
	must(t, b.SaveReports(ctx, []fleet.Report{third}))
	tree, err = b.Tree(ctx, app.UID)
	must(t, err)
	if len(tree.Nodes) != 1 || !tree.ObservedAt.Equal(b.now()) {
		t.Errorf("%+v", tree)
	}
	_, err = b.Tree(ctx, "gone")
	wantCode(t, err, fault.NotFound, "tree_not_found")
}

// TestForeignReportInTheSameBatch has one agent speak of another's application.
func TestForeignReportInTheSameBatch(t *testing.T) {
	b := setup(t)
	app := b.app("shop", b.cluster("one"))
	o := b.session(app.Cluster)
	rogue := b.cluster("rogue")
	forged := b.report(app, b.session(rogue), 99)
	forged.Cluster = rogue
	forged.Status.Health.Message = "forged"
	for _, batch := range [][]fleet.Report{{b.report(app, o, 1), forged}, {forged, b.report(app, o, 2)}} {
		must(t, b.SaveReports(t.Context(), batch))
		if got := b.view("shop").Health.Message; !strings.HasPrefix(got, "report ") {
			t.Errorf("%q", got)
		}
	}
	if n := b.count(`SELECT seq FROM observed`); n != 2 {
		t.Errorf("sequence %d", n)
	}
}

func TestOddReportsDoNotBlockTheBatch(t *testing.T) {
	b := setup(t)
	one := b.cluster("one")
	odd, good := b.app("odd", one), b.app("good", one)
	o := b.session(one)
	r := b.report(odd, o, 1)
	r.Status = model.AppStatus{
		Revision: "a\x00b", Health: model.HealthFacet{Message: "nul \x00, broken \xff\xfe, \\u0000, <script>"},
		Conditions: []model.Condition{{Type: "x", Message: "nul \x00"}},
		Operation:  &model.OperationInfo{ID: "\x00", Phase: "odd", Result: &model.OperationResult{}},
		Resources:  []model.ResourceStatus{{Version: "\x00\xff"}},
	}
	r.Seq = 1<<64 - 1
	r.Generation = -5
	r.ObservedAt = time.Time{}
	r.Tree = &model.ResourceTree{Nodes: []model.TreeNode{{UID: "\x00"}}}
	must(t, b.SaveReports(t.Context(), []fleet.Report{r, b.report(good, o, 1)}))
	if got := b.view("good").Health.Message; got != "report 1" {
		t.Errorf("%q", got)
	}
	v := b.view("odd")
	if v.Health.Status != model.HealthUnknown || v.Sync.Status != model.SyncUnknown || v.Revision != "ab" ||
		v.Health.Message != "nul , broken \ufffd, \\u0000, <script>" || v.Resources[0].Version != "\x00\ufffd" {
		t.Errorf("%+v", v)
	}
}

func TestFreshnessOfViews(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app := b.app("shop", one)
	b.desire(app, "aaa")
	expect := func(when string, want model.Freshness, age time.Duration) {
		t.Helper()
		v := b.view("shop")
		if v.Freshness != want {
			t.Errorf("%s: %s, want %s", when, v.Freshness, want)
		}
		if v.ObservedAt == nil {
			if want != model.FreshNever {
				t.Errorf("%s: no age", when)
			}
		} else if got := b.now().Sub(*v.ObservedAt); got != age {
			t.Errorf("%s: age %s, want %s", when, got, age)
		}
	}
	expect("before anything", model.FreshNever, 0)
	if v := b.view("shop"); v.Sync.Status != model.SyncUnknown || v.Health.Status != model.HealthUnknown {
		t.Errorf("never reported: %+v", v)
	}
	o := b.session(one)
	must(t, b.SaveReports(ctx, []fleet.Report{b.report(app, o, 1)}))
	expect("just reported", model.FreshLive, 0)
	beat := func(seq uint64) {
		t.Helper()
		must(t, b.Heartbeat(ctx, []fleet.Beat{{Cluster: one, Epoch: o.Epoch, Seq: seq, ObservedAt: b.now()}}))
	}
	b.clock.advance(40 * time.Second)
	beat(0) // alive, but this does not confirm report 1
	expect("not confirmed", model.FreshLagging, 40*time.Second)
	beat(1)
	expect("confirmed", model.FreshLive, 0)
	b.clock.advance(20 * time.Second)
	expect("20 s after the heartbeat", model.FreshLive, 20*time.Second)
	b.clock.advance(20 * time.Second)
	expect("lease over", model.FreshStale, 40*time.Second)
	beat(1)
	must(t, b.CloseSession(ctx, one, o.Epoch, fleet.SessionEnd{}))
	expect("closed", model.FreshStale, 0)
	// A new session has not confirmed what the old one said.
	o = b.session(one)
	b.clock.advance(5 * time.Minute)
	beat(1)
	// Its confirmations went with the old session; the report's own age counts.
	expect("of an older session", model.FreshStale, 6*time.Minute+20*time.Second)
	must(t, b.SaveReports(ctx, []fleet.Report{b.report(app, o, 1)}))
	expect("reported again", model.FreshLive, 0)
}

func TestViewsOfManyApplications(t *testing.T) {
	b, wire := setupProxied(t)
	ctx := t.Context()
	one := b.cluster("one")
	var apps []fleet.App
	var changes []fleet.DesiredChange
	for i := range 500 {
		app := b.app(fmt.Sprintf("app-%03d", i), one)
		apps = append(apps, app)
		digest := model.Digest("sha256:shared")
		changes = append(changes, fleet.DesiredChange{Cluster: one, AppVersion: app.Version,
			Desired: model.Desired{App: app.UID, Name: app.Name, Bundle: digest, Revision: model.Revision{Commit: "aaa", Message: "first"}}})
	}
	must(t, b.PutBundles(ctx, []fleet.Bundle{{Digest: "sha256:shared"}}))
	_, err := b.WriteDesired(ctx, changes)
	must(t, err)
	o := b.session(one)
	for _, a := range apps {
		b.sync(a)
	}
	batch := func(seq uint64) []fleet.Report {
		var out []fleet.Report
		for _, a := range apps {
			r := b.report(a, o, seq)
			r.Status.Resources[0].Differences = []model.FieldDifference{{Path: strings.Repeat("p", 2000)}}
			for range 15 {
				r.Tree.Nodes = append(r.Tree.Nodes, model.TreeNode{UID: strings.Repeat("u", 36), Version: "v1", Images: []string{"registry.example.com/shop/web:1.2.3"}})
			}
			out = append(out, r)
		}
		return out
	}
	start := time.Now()
	must(t, b.SaveReports(ctx, batch(1)))
	t.Logf("500 first reports in %s", time.Since(start))

	trips := wire.trips()
	start = time.Now()
	must(t, b.SaveReports(ctx, batch(2)))
	t.Logf("500 reports in %s, %d round trips", time.Since(start), wire.trips()-trips)
	if n := wire.trips() - trips; n > 3 {
		t.Errorf("%d round trips", n)
	}
	if n := b.writers("observed", "seq = 2"); n != 1 {
		t.Errorf("%d transactions wrote 500 reports", n)
	}
	if n := b.count(`SELECT count(*) FROM observed WHERE seq = 2`); n != 500 {
		t.Errorf("%d of 500 were stored", n)
	}

	best := time.Hour
	for range 10 {
		start := time.Now()
		views, err := b.AppViews(ctx, fleet.ViewFilter{})
		must(t, err)
		best = min(best, time.Since(start))
		if len(views) != 500 || views[7].Name != "app-007" || views[7].Operation == nil || views[7].Resources != nil {
			t.Fatalf("%d views, %+v", len(views), views[0])
		}
	}
	t.Logf("500 views in %s at best", best)

	for _, test := range []struct {
		filter fleet.ViewFilter
		want   int
	}{
		{fleet.ViewFilter{Project: "default"}, 500},
		{fleet.ViewFilter{Project: "other"}, 0},
		{fleet.ViewFilter{Cluster: one}, 500},
		{fleet.ViewFilter{Cluster: "two"}, 0},
		{fleet.ViewFilter{Names: []string{"app-001", "app-002", "none"}}, 2},
		{fleet.ViewFilter{Names: []string{}}, 0},
		{fleet.ViewFilter{UIDs: []model.AppUID{apps[3].UID}}, 1},
		{fleet.ViewFilter{UIDs: []model.AppUID{}}, 0},
		{fleet.ViewFilter{UIDs: []model.AppUID{apps[3].UID}, Names: []string{"app-001"}}, 0},
	} {
		views, err := b.AppViews(ctx, test.filter)
		must(t, err)
		if len(views) != test.want {
			t.Errorf("%+v: %d views, want %d", test.filter, len(views), test.want)
		}
	}

	names := []string{"none"}
	var uids []model.AppUID
	for _, a := range apps {
		names, uids = append(names, a.Name), append(uids, a.UID)
	}
	trips = wire.trips()
	all, err := b.AppDetails(ctx, names)
	must(t, err)
	if n := wire.trips() - trips; n > 3*2 { // each query may have to be prepared
		t.Errorf("%d round trips for the details of 500", n)
	}
	documents, err := b.AppDocuments(ctx, append(uids, "none"))
	must(t, err)
	if len(all) != 500 || len(documents) != 500 {
		t.Fatalf("%d details, %d documents", len(all), len(documents))
	}
	for _, i := range []int{0, 250, 499} {
		one, err := b.AppView(ctx, all[i].Name)
		must(t, err)
		if one.Application == nil || len(one.Resources) == 0 || !reflect.DeepEqual(all[i], one) || !reflect.DeepEqual(documents[one.UID], one.Application) {
			t.Errorf("%+v is not %+v", all[i], one)
		}
	}
	if none, err := b.AppDetails(ctx, nil); err != nil || len(none) != 0 {
		t.Errorf("%d, %v", len(none), err)
	}
}

func TestSyncFacet(t *testing.T) {
	for _, test := range []struct {
		status            model.SyncStatus
		reason            model.SyncReason
		desired, observed model.Generation
		want              model.SyncFacet
	}{
		{model.SyncSynced, "", 2, 2, model.SyncFacet{Status: model.SyncSynced}},
		{model.SyncSynced, "", 2, 1, model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonPending}},
		{model.SyncOutOfSync, model.ReasonDrifted, 2, 1, model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonPending}},
		{model.SyncOutOfSync, model.ReasonDrifted, 2, 2, model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonDrifted}},
		{model.SyncUnknown, "", 2, 1, model.SyncFacet{Status: model.SyncUnknown}},
		{model.SyncSynced, "", 1, 2, model.SyncFacet{Status: model.SyncSynced}}, // a restored database
	} {
		if got := syncFacet(test.status, test.reason, test.desired, test.observed); got != test.want {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}

func TestShownOperation(t *testing.T) {
	at := func(s int) *time.Time { t := time.Unix(int64(s), 0); return &t }
	op := func(id model.OperationID, phase model.OperationPhase, started int) *model.OperationInfo {
		return &model.OperationInfo{ID: id, Phase: phase, StartedAt: at(started)}
	}
	for _, test := range []struct {
		name       string
		hub, agent *model.OperationInfo
		want       model.OperationID
	}{
		{"only ours", op("h", model.PhaseFailed, 1), nil, "h"},
		{"only the agent's", nil, op("a", model.PhaseFailed, 1), "a"},
		{"the same", op("h", model.PhaseSucceeded, 1), op("h", model.PhaseRunning, 1), "h"},
		{"ours is open", op("h", model.PhaseQueued, 1), op("a", model.PhaseRunning, 9), "h"},
		{"the agent's is open", op("h", model.PhaseFailed, 9), op("a", model.PhaseRunning, 1), "a"},
		{"both ended, ours later", op("h", model.PhaseFailed, 2), op("a", model.PhaseSucceeded, 1), "h"},
		{"both ended, the agent's later", op("h", model.PhaseFailed, 1), op("a", model.PhaseSucceeded, 2), "a"},
	} {
		got := shownOperation(test.hub, test.agent)
		if got == nil || got.ID != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	if got := shownOperation(nil, nil); got != nil {
		t.Errorf("%+v", got)
	}
}
