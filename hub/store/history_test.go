package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// history is an application with a session of its agent.
type history struct {
	*bench
	app     fleet.App
	session fleet.Opening
	seq     uint64
	entries []model.HistoryEntry
}

func newHistory(t *testing.T) *history {
	b := setup(t)
	app := b.app("shop", b.cluster("one"))
	return &history{bench: b, app: app, session: b.session(app.Cluster)}
}

// report sends the agent's history as it then is.
func (h *history) report() {
	h.t.Helper()
	h.seq++
	r := h.bench.report(h.app, h.session, h.seq)
	r.Status.History = h.entries
	must(h.t, h.SaveReports(h.ctx(), []fleet.Report{r}))
}

// deploys has the agent deploy a generation, and say so.
func (h *history) deploys(g model.Generation, commit string, change ...func(*model.HistoryEntry)) {
	h.t.Helper()
	h.clock.advance(time.Minute)
	e := model.HistoryEntry{ID: int64(len(h.entries) + 1), Generation: g, Revision: commit, StartedAt: h.now(), DeployedAt: h.now().Add(123 * time.Nanosecond), InitiatedBy: "automated"}
	for _, f := range change {
		f(&e)
	}
	h.entries = append(h.entries, e)
	h.report()
}

// issues writes a desired state with the sources that it is from.
func (h *history) issues(commit string) model.Desired {
	h.t.Helper()
	h.fresh()
	c := h.change(h.app, commit)
	c.Sources = []fleet.SourceAt{{RepoURL: "https://git.example.com/org/repo.git", Path: "apps/shop", TargetRevision: "main", Commit: commit}}
	c.Source.Sources = c.Sources
	out, err := h.WriteDesired(h.ctx(), []fleet.DesiredChange{c})
	must(h.t, err)
	return out[0]
}

func (h *history) fresh() {
	h.t.Helper()
	var err error
	h.app, err = h.Application(h.ctx(), "shop")
	must(h.t, err)
}

// rollback goes back to a deployment as somebody asks for.
func (h *history) rollback(to fleet.Deployment, change ...func(*fleet.NewOperation)) (model.OperationInfo, error) {
	h.t.Helper()
	h.fresh()
	n := fleet.NewOperation{
		App: h.app.UID, Kind: model.OperationSync, InitiatedBy: "ana", Deadline: h.now().Add(time.Hour),
		Spec: model.OperationSpec{Reason: "it fails", Rollback: &model.RollbackSpec{HistoryID: to.ID, SetAside: h.app.Source.Revision.Commit}},
		Deploy: &fleet.Deploy{AppVersion: h.app.Version, Content: to.Content, Pin: &fleet.Pin{
			Pin:    model.Pin{HistoryID: to.ID, Revision: to.Revision, SetAside: h.app.Source.Revision},
			Bundle: to.Bundle, BundleBytes: to.BundleBytes, Sources: to.Sources, Aside: h.app.Source.Sources, Options: "o",
		}},
	}
	for _, f := range change {
		f(&n)
	}
	op, _, err := h.CreateOperation(h.ctx(), n)
	return op, err
}

func (h *history) deployments() []fleet.Deployment {
	h.t.Helper()
	out, err := h.Deployments(h.ctx(), h.app.UID)
	must(h.t, err)
	return out
}

// lines are the deployments in short.
func (h *history) lines() string {
	h.t.Helper()
	var out []string
	for _, d := range h.deployments() {
		out = append(out, fmt.Sprintf("%d:%d:%s:%v:%s", d.ID, d.Generation, d.Revision.Commit, d.Bundle != "", d.InitiatedBy))
	}
	return strings.Join(out, " ")
}

func TestHistory(t *testing.T) {
	h := newHistory(t)
	if h.deployments() == nil || len(h.deployments()) != 0 {
		t.Error("there is a history before anything")
	}
	h.issues("aaa")
	h.deploys(1, "aaa")
	h.issues("bbb") // overtaken before the agent got it
	h.issues("ccc")
	h.deploys(3, "ccc", func(e *model.HistoryEntry) { e.Operation, e.InitiatedBy, e.Reason = "op-9", "bob", "by hand" })
	h.report() // again
	if got := h.lines(); got != "1:1:aaa:true:automated 2:3:ccc:true:bob" {
		t.Errorf("history %s", got)
	}
	if n := h.count(`SELECT count(*) FROM issued`); n != 1 {
		t.Errorf("%d issued states are kept, want only the present one", n)
	}
	v, err := h.AppView(t.Context(), "shop")
	must(t, err)
	if len(v.History) != 2 {
		t.Fatalf("%+v", v.History)
	}
	e := v.History[1]
	if e.ID != 2 || e.Revision != "ccc" || e.Message != "change <b>" || e.Reason != "by hand" || e.Operation != "op-9" || !e.Held ||
		!e.DeployedAt.Equal(h.entries[1].DeployedAt.Truncate(time.Microsecond)) {
		t.Errorf("%+v", e)
	}
	d := h.deployments()[0]
	if len(d.Sources) != 1 || d.Sources[0].Commit != "aaa" || d.BundleBytes != 11 || d.Revision.Author != "ann" {
		t.Errorf("%+v", d)
	}
}

func TestHistoryIsKeptWithinItsLimitWithItsBundles(t *testing.T) {
	h := newHistory(t)
	h.app.Application.Spec.RevisionHistoryLimit = new(int64(2))
	_, _, err := h.UpsertApplication(t.Context(), h.app)
	must(t, err)
	for i, commit := range []string{"aaa", "bbb", "ccc", "ddd"} {
		h.issues(commit)
		h.deploys(model.Generation(i+1), commit)
	}
	if got := h.lines(); got != "3:3:ccc:true:automated 4:4:ddd:true:automated" {
		t.Errorf("history %s", got)
	}
	h.clock.advance(48 * time.Hour)
	n, err := h.CollectBundles(t.Context(), h.now())
	must(t, err)
	if n != 2 {
		t.Errorf("collected %d bundles", n)
	}
	for _, d := range h.deployments() {
		if _, err := h.Bundle(t.Context(), d.Bundle); err != nil {
			t.Errorf("deployment %d: %v", d.ID, err)
		}
	}
}

func TestHistoryOfReportsThatDoNotCount(t *testing.T) {
	h := newHistory(t)
	two := h.cluster("two")
	other := h.bench.session(two)
	h.issues("aaa")
	r := h.bench.report(h.app, h.session, 1)
	r.Status.History = []model.HistoryEntry{{Generation: 1, Revision: "aaa", DeployedAt: h.now()}}
	foreign := r
	foreign.Cluster, foreign.Epoch = two, other.Epoch
	outdated := r
	outdated.Epoch.Number--
	for what, bad := range map[string]fleet.Report{"of another cluster": foreign, "of an older session": outdated} {
		must(t, h.SaveReports(t.Context(), []fleet.Report{bad}))
		if got := h.lines(); got != "" {
			t.Errorf("%s: %s", what, got)
		}
	}
	ahead := r
	ahead.Status.History = []model.HistoryEntry{{Generation: 1 << 60, Revision: "aaa", DeployedAt: h.now()}}
	must(t, h.SaveReports(t.Context(), []fleet.Report{ahead}))
	// The same entry counts when it comes from whom it should.
	r.Seq = 2
	must(t, h.SaveReports(t.Context(), []fleet.Report{r, foreign}))
	if got := h.lines(); got != "1:1:aaa:true:" {
		t.Errorf("history %s", got)
	}
}

func TestIssuedStatesThatNobodyTakesAreBounded(t *testing.T) {
	h := newHistory(t)
	h.issues("aaa")
	must(t, h.AckDesired(t.Context(), h.app.Cluster, h.session.Epoch, []fleet.Ack{{App: h.app.UID, Generation: 1}}))
	for i := range 30 {
		h.issues(fmt.Sprintf("c%02d", i))
	}
	if n := h.count(`SELECT count(*) FROM issued`); n != issuedWindow+1 {
		t.Errorf("%d are kept", n)
	}
	// The agent deployed what it had, and then the newest.
	h.deploys(1, "aaa")
	h.deploys(31, "c29")
	if got := h.lines(); got != "1:1:aaa:true:automated 2:31:c29:true:automated" {
		t.Errorf("history %s", got)
	}
}

func TestRollback(t *testing.T) {
	h := newHistory(t)
	ctx := t.Context()
	h.issues("aaa")
	h.deploys(1, "aaa")
	h.issues("bbb")
	h.deploys(2, "bbb")
	before := h.app.Version
	op, err := h.rollback(h.deployments()[0])
	must(t, err)
	if op.Generation != 3 || op.Phase != model.PhaseQueued || op.Spec.Rollback.HistoryID != 1 {
		t.Errorf("%+v", op)
	}
	stored, err := h.Operation(ctx, op.ID)
	must(t, err)
	if stored.Generation != 3 || stored.Spec.Reason != "it fails" {
		t.Errorf("stored %+v", stored)
	}
	d, ok, err := h.DesiredOf(ctx, h.app.UID)
	must(t, err)
	if !ok || d.Generation != 3 || d.Revision.Commit != "aaa" || d.Bundle != h.deployments()[0].Bundle || d.Spec.ClusterName != "one" {
		t.Errorf("desired %+v", d)
	}
	h.fresh()
	p := h.app.Pin
	if p == nil || p.HistoryID != 1 || p.Generation != 3 || p.InitiatedBy != "ana" || p.Reason != "it fails" || p.Operation != op.ID || !p.At.Equal(h.now()) ||
		p.SetAside.Commit != "bbb" || p.Aside[0].Commit != "bbb" || p.Sources[0].Commit != "aaa" || p.Options != "o" {
		t.Errorf("pin %+v", p)
	}
	if h.app.Version <= before {
		t.Error("what was rendered meanwhile would not be decided anew")
	}
	v, err := h.AppView(ctx, "shop")
	must(t, err)
	if v.Pin == nil || v.Pin.Reason != "it fails" || v.Operation.Generation != 3 {
		t.Errorf("view %+v", v.Pin)
	}
	// The agent may deploy it by itself before it is given the operation.
	h.deploys(3, "aaa")
	h.deploys(3, "aaa", func(e *model.HistoryEntry) { e.Operation, e.InitiatedBy = op.ID, "ana" })
	last := h.deployments()[2]
	if len(h.deployments()) != 3 || last.ID != 3 || last.InitiatedBy != "ana" || last.Reason != "it fails" || last.Operation != op.ID || last.Rollback.SetAside != "bbb" {
		t.Errorf("history %s, %+v", h.lines(), last)
	}
	// What was decided about the version before is dropped.
	late := h.change(h.app, "bbb")
	late.AppVersion = before
	out, err := h.WriteDesired(ctx, []fleet.DesiredChange{late})
	must(t, err)
	if len(out) != 0 {
		t.Errorf("%+v", out)
	}
	// A newer revision releases it.
	next := h.change(h.app, "ccc")
	next.Release = true
	out, err = h.WriteDesired(ctx, []fleet.DesiredChange{next})
	must(t, err)
	h.fresh()
	if len(out) != 1 || out[0].Generation != 4 || h.app.Pin != nil {
		t.Errorf("%+v, pin %+v", out, h.app.Pin)
	}
	if ended, err := h.Operation(ctx, op.ID); err != nil || ended.Phase != model.PhaseSuperseded {
		t.Errorf("the rollback that no agent was given is %s: %v", ended.Phase, err)
	}
}

func TestRollbackThatIsRefused(t *testing.T) {
	h := newHistory(t)
	ctx := t.Context()
	h.issues("aaa")
	h.deploys(1, "aaa")
	h.issues("bbb")
	to := h.deployments()[0]
	for name, c := range map[string]struct {
		change func(*fleet.NewOperation)
		kind   fault.Kind
		code   string
	}{
		"written meanwhile":    {func(n *fleet.NewOperation) { n.Deploy.AppVersion-- }, fault.Conflict, "application_changed"},
		"another generation":   {func(n *fleet.NewOperation) { n.Deploy.Expected = 1 }, fault.Conflict, "generation_changed"},
		"a bundle that is not": {func(n *fleet.NewOperation) { n.Deploy.Bundle = "sha256:none" }, fault.Unavailable, "bundle_missing"},
	} {
		_, err := h.rollback(to, c.change)
		wantCode(t, err, c.kind, c.code)
		if n := h.count(`SELECT (SELECT count(*) FROM pins) + (SELECT count(*) FROM operations) + (SELECT count(*) FROM desired WHERE generation <> 2)`); n != 0 {
			t.Errorf("%s: something was written", name)
		}
	}
	_, err := h.rollback(to, func(n *fleet.NewOperation) { n.Deploy.Expected = 2 })
	must(t, err)

	// Nothing is rendered.
	fresh := h.bench.app("fresh", h.app.Cluster)
	_, _, err = h.CreateOperation(ctx, fleet.NewOperation{App: fresh.UID, Kind: model.OperationSync, Deploy: &fleet.Deploy{AppVersion: fresh.Version}})
	wantCode(t, err, fault.Precondition, "nothing_rendered")
}

func TestReleaseOfAPin(t *testing.T) {
	h := newHistory(t)
	ctx := t.Context()
	h.issues("aaa")
	h.deploys(1, "aaa")
	h.issues("bbb")
	_, err := h.ReleasePin(ctx, h.app.UID, "bob", "")
	wantCode(t, err, fault.Precondition, "not_pinned")
	_, err = h.ReleasePin(ctx, "gone", "bob", "")
	wantCode(t, err, fault.NotFound, "application_not_found")
	_, err = h.rollback(h.deployments()[0])
	must(t, err)
	h.fresh()
	version := h.app.Version
	pin, err := h.ReleasePin(ctx, h.app.UID, "bob", "it was the cache")
	must(t, err)
	h.fresh()
	if pin.HistoryID != 1 || h.app.Pin != nil || h.app.Version <= version {
		t.Errorf("released %+v, left %+v", pin, h.app.Pin)
	}
	// A pin that holds another render is written with it.
	_, err = h.rollback(h.deployments()[0])
	must(t, err)
	h.fresh()
	c := h.change(h.app, "aab")
	c.Pin = new(fleet.Pin)
	*c.Pin = *h.app.Pin
	c.Pin.Bundle, c.Pin.Options = c.Desired.Bundle, "other"
	_, err = h.WriteDesired(ctx, []fleet.DesiredChange{c})
	must(t, err)
	h.fresh()
	if h.app.Pin == nil || h.app.Pin.Options != "other" || h.app.Pin.Reason != "it fails" {
		t.Errorf("pin %+v", h.app.Pin)
	}
	// Going back to what the sources say needs none.
	_, err = h.rollback(h.deployments()[0], func(n *fleet.NewOperation) { n.Deploy.Pin = nil })
	must(t, err)
	if n := h.count(`SELECT count(*) FROM pins`); n != 0 {
		t.Errorf("%d pins", n)
	}
}

// A hub that is away between the two finds what is owed: nothing says any more
// that what the sources give was delivered.
func TestWhatIsWrittenIsOwedUntilItIsDelivered(t *testing.T) {
	h := newHistory(t)
	ctx := t.Context()
	h.issues("aaa")
	h.deploys(1, "aaa")
	h.issues("bbb")
	project, err := h.Project(ctx, "default")
	must(t, err)
	project, err = h.UpsertProject(ctx, project, "ann") // as it is written from now on
	must(t, err)
	for _, c := range []struct {
		what string
		do   func() error
		owed bool
	}{
		{"a write that changes nothing", func() error { _, _, err := h.UpsertApplication(ctx, h.app); return err }, false},
		{"another policy", func() error {
			h.app.Application.Spec.SyncPolicy = nil
			_, _, err := h.UpsertApplication(ctx, h.app)
			return err
		}, true},
		{"the project as it is", func() error { _, err := h.UpsertProject(ctx, project, "ann"); return err }, false},
		{"other limits", func() error {
			project.Spec.SourceRepos = []string{"https://git.example.com/*"}
			_, err := h.UpsertProject(ctx, project, "ann")
			return err
		}, true},
		{"another project", func() error {
			_, err := h.UpsertProject(ctx, model.AppProject{Metadata: model.ObjectMeta{Name: "other"}}, "ann")
			return err
		}, false},
		{"a global project that it inherits from", func() error {
			_, err := h.UpsertProject(ctx, model.AppProject{Metadata: model.ObjectMeta{Name: "base"}, Spec: model.AppProjectSpec{InheritedBy: &model.LabelSelector{}}}, "ann")
			return err
		}, true},
		{"and that is one no more", func() error {
			_, err := h.UpsertProject(ctx, model.AppProject{Metadata: model.ObjectMeta{Name: "base"}}, "ann")
			return err
		}, true},
		{"aliases of the cluster", func() error { return h.SetClusterAliases(ctx, h.app.Cluster, []string{"https://one"}, 0) }, true},
		{"a rollback", func() error { _, err := h.rollback(h.deployments()[0]); return err }, true},
		{"its end", func() error { _, err := h.ReleasePin(ctx, h.app.UID, "bob", ""); return err }, true},
	} {
		h.fresh()
		bbb := h.change(h.app, "bbb")
		bbb.Source.Sources = h.app.Source.Sources
		_, err := h.WriteDesired(ctx, []fleet.DesiredChange{bbb})
		must(t, err)
		h.fresh()
		if h.app.Source.RenderKey != "key-bbb" {
			t.Fatalf("before %s: render key %q", c.what, h.app.Source.RenderKey)
		}
		must(t, c.do())
		h.fresh()
		if (h.app.Source.RenderKey == "") != c.owed {
			t.Errorf("after %s: render key %q", c.what, h.app.Source.RenderKey)
		}
	}
	// What was decided with the limits of before delivers those; the new ones
	// stay owed.
	project, err = h.Project(ctx, "default")
	must(t, err)
	for version, key := range map[int64]string{project.Metadata.Generation - 1: "", project.Metadata.Generation: "key-ccc"} {
		c := h.change(h.app, "ccc")
		c.ProjectVersion = version
		_, err = h.WriteDesired(ctx, []fleet.DesiredChange{c})
		must(t, err)
		if h.fresh(); h.app.Source.RenderKey != key {
			t.Errorf("with version %d of the project: render key %q", version, h.app.Source.RenderKey)
		}
		h.clock.advance(time.Second)
	}
}

func TestWhoEndedARollbackIsInTheHistory(t *testing.T) {
	h := newHistory(t)
	ctx := t.Context()
	h.issues("aaa")
	h.deploys(1, "aaa")
	h.issues("bbb")
	h.deploys(2, "bbb")
	_, err := h.rollback(h.deployments()[0])
	must(t, err)
	h.deploys(3, "aaa")
	_, err = h.ReleasePin(ctx, h.app.UID, "bob", "it was the cache")
	must(t, err)
	h.fresh()
	limits := h.change(h.app, "bbb")
	limits.LimitsOnly, limits.Desired.ProjectSpec.SourceRepos = true, []string{"*"} // what comes of it is refused at first
	_, err = h.WriteDesired(ctx, []fleet.DesiredChange{limits})
	must(t, err)
	h.issues("bbb")
	h.deploys(5, "bbb")
	if d := h.deployments()[3]; d.InitiatedBy != "bob" || d.Reason != "it was the cache" || d.Operation != "" || d.Revision.Commit != "bbb" {
		t.Errorf("%+v", d)
	}
	h.issues("ccc")
	h.deploys(6, "ccc")
	if d := h.deployments()[4]; d.InitiatedBy != "automated" || d.Reason != "" {
		t.Errorf("the next one: %+v", d)
	}
}

func TestWhatWasSetAsideStaysKnown(t *testing.T) {
	h := newHistory(t)
	ctx := t.Context()
	h.issues("good")
	h.deploys(1, "good")
	known := func() string {
		h.t.Helper()
		h.fresh()
		var out []string
		for _, s := range h.app.SetAside {
			out = append(out, s[0].Commit)
		}
		return strings.Join(out, " ")
	}
	newer := func(commit string) {
		h.t.Helper()
		h.fresh()
		c := h.change(h.app, commit)
		c.Sources = []fleet.SourceAt{{RepoURL: "r", Commit: commit, Tag: "tag of " + commit}}
		c.Source.Sources, c.Release = c.Sources, h.app.Pin != nil
		_, err := h.WriteDesired(ctx, []fleet.DesiredChange{c})
		must(t, err)
	}
	back := func(change ...func(*fleet.NewOperation)) {
		h.t.Helper()
		_, err := h.rollback(h.deployments()[0], change...)
		must(t, err)
	}
	newer("bad1")
	back()
	if got := known(); got != "" {
		t.Errorf("while the pin is in force: %q", got)
	}
	newer("next1")
	newer("bad2")
	back()
	newer("next2")
	if got := known(); got != "bad2 bad1" {
		t.Errorf("after newer revisions: %q", got)
	}
	newer("bad1")
	back()
	newer("next3")
	if got := known(); got != "bad1 bad2" {
		t.Errorf("set aside once more: %q", got)
	}
	// Who says that it is wanted.
	newer("bad2")
	back()
	_, err := h.ReleasePin(ctx, h.app.UID, "bob", "")
	must(t, err)
	if got := known(); got != "bad1" {
		t.Errorf("after its end: %q", got)
	}
	// … also when it is something else that was set aside earlier.
	newer("bad3")
	back()
	_, err = h.ReleasePin(ctx, h.app.UID, "bob", "")
	must(t, err)
	if h.fresh(); !h.app.Unpinned {
		t.Error("nothing says that somebody has ended it")
	}
	newer("bad1")
	if got := known(); got != "" || h.app.Unpinned {
		t.Errorf("after the end of another: %q, %v", got, h.app.Unpinned)
	}
	back()
	newer("next4")
	newer("bad1")
	back()
	back(func(n *fleet.NewOperation) { n.Deploy.Pin = nil })
	if got := known(); got != "" {
		t.Errorf("after a sync of it: %q", got)
	}
	for i := range fleet.MaxSetAside + 3 {
		newer(fmt.Sprint("b", i))
		back()
	}
	newer("end")
	if got := known(); len(h.app.SetAside) != fleet.MaxSetAside || !strings.HasPrefix(got, "b12 b11 ") {
		t.Errorf("without a bound: %q", got)
	}
}

func TestARemovedApplicationLeavesNoHistory(t *testing.T) {
	h := newHistory(t)
	ctx := t.Context()
	h.issues("aaa")
	h.deploys(1, "aaa")
	h.issues("bbb")
	_, err := h.rollback(h.deployments()[0])
	must(t, err)
	op, _, err := h.CreateOperation(ctx, fleet.NewOperation{App: h.app.UID, Kind: model.OperationDelete})
	must(t, err)
	_, err = h.ApplyOperationUpdates(ctx, h.app.Cluster, h.session.Epoch, []model.OperationUpdate{{ID: op.ID, App: h.app.UID, Kind: model.OperationDelete, Phase: model.PhaseSucceeded}})
	must(t, err)
	if n := h.count(`SELECT (SELECT count(*) FROM apps) + (SELECT count(*) FROM pins) + (SELECT count(*) FROM deployments) + (SELECT count(*) FROM issued)`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestApprovalOfDeletions(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("shop", b.cluster("one"))
	b.desire(app, "aaa")
	o := b.session(app.Cluster)
	approve := model.Amendment{What: model.AmendApprove, By: "ann", Reason: "it is empty"}
	_, err := b.AmendDelete(ctx, app.UID, "", approve)
	wantCode(t, err, fault.NotFound, "operation_not_found")
	_, err = b.AmendDelete(ctx, "gone", "", approve)
	wantCode(t, err, fault.NotFound, "operation_not_found")
	op, _, err := b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationDelete, Spec: model.OperationSpec{Cascade: true}})
	must(t, err)
	withdraw := func() model.Withdraw {
		t.Helper()
		_, ws, err := b.DesiredFor(ctx, app.Cluster, nil)
		must(t, err)
		return ws[0]
	}
	if withdraw().ApproveDeletions {
		t.Error("approved before anybody did")
	}
	must(t, b.MarkSent(ctx, app.Cluster, o.Epoch, []model.OperationID{op.ID}))
	_, err = b.AmendDelete(ctx, app.UID, "another", approve)
	wantCode(t, err, fault.NotFound, "operation_not_found")
	for _, only := range []model.OperationID{"", op.ID} {
		got, err := b.AmendDelete(ctx, app.UID, only, approve)
		must(t, err)
		if got.ID != op.ID || !got.Spec.ApproveDeletions || !withdraw().ApproveDeletions || withdraw().Mode != model.WithdrawCascade {
			t.Errorf("%+v, %+v", got, withdraw())
		}
	}
	if o := b.session(app.Cluster); len(o.Withdraws) != 1 || !o.Withdraws[0].ApproveDeletions {
		t.Errorf("a new session sends %+v", o.Withdraws)
	}
	stored, err := b.Operation(ctx, op.ID)
	must(t, err)
	if len(stored.Amendments) != 1 || stored.Amendments[0].What != model.AmendApprove || stored.Amendments[0].By != "ann" || stored.Amendments[0].Reason != "it is empty" || stored.Amendments[0].At.IsZero() {
		t.Errorf("who approved: %+v", stored.Amendments)
	}
	second := b.app("second", app.Cluster)
	_, _, err = b.CreateOperation(ctx, fleet.NewOperation{App: second.UID, Kind: model.OperationDelete, Spec: model.OperationSpec{ApproveDeletions: true}})
	must(t, err)
	if n := b.count(`SELECT count(*) FROM withdrawals WHERE approve_deletions`); n != 2 {
		t.Errorf("%d are approved", n)
	}
}

func TestADeleteIsGivenUpWhileTheAgentCarriesItOut(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("shop", b.cluster("one"))
	b.desire(app, "aaa")
	o := b.session(app.Cluster)
	asked := fleet.NewOperation{App: app.UID, Kind: model.OperationDelete, IdempotencyKey: "k",
		Spec: model.OperationSpec{Cascade: true, Propagation: "Background", ApproveDeletions: true}}
	op, _, err := b.CreateOperation(ctx, asked)
	must(t, err)
	must(t, b.MarkSent(ctx, app.Cluster, o.Epoch, []model.OperationID{op.ID}))
	_, err = b.ApplyOperationUpdates(ctx, app.Cluster, o.Epoch, []model.OperationUpdate{{ID: op.ID, App: app.UID, Kind: model.OperationDelete, Phase: model.PhaseRunning}})
	must(t, err)
	check := func(when string, mode model.WithdrawMode, cascade bool) {
		t.Helper()
		_, ws, err := b.DesiredFor(ctx, app.Cluster, nil)
		must(t, err)
		if len(ws) != 1 || ws[0].Mode != mode || ws[0].Operation != op.ID || ws[0].Generation != 2 || !ws[0].ApproveDeletions {
			t.Errorf("%s: %+v", when, ws)
		}
		got, err := b.Operation(ctx, op.ID)
		must(t, err)
		if got.Spec.Cascade != cascade || got.Phase != model.PhaseRunning {
			t.Errorf("%s: %+v", when, got)
		}
	}
	// To join a delete changes nothing: a later cascade does not, either.
	for _, cascade := range []bool{false, true} {
		again, existed, err := b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationDelete, Spec: model.OperationSpec{Cascade: cascade}})
		must(t, err)
		if !existed || again.ID != op.ID {
			t.Errorf("%+v", again)
		}
	}
	check("joined", model.WithdrawCascadeBackground, true)
	for range 2 {
		got, err := b.AmendDelete(ctx, app.UID, "", model.Amendment{What: model.AmendOrphan, By: "bob"})
		must(t, err)
		if got.Spec.Cascade || got.Spec.Propagation != "" || len(got.Amendments) != 1 || got.Amendments[0].By != "bob" {
			t.Errorf("%+v", got)
		}
		check("given up", model.WithdrawOrphan, false)
	}
	if o = b.session(app.Cluster, model.KnownApp{UID: app.UID, Name: "shop", Generation: 1, Withdrawing: true}); len(o.Withdraws) != 1 || o.Withdraws[0].Mode != model.WithdrawOrphan {
		t.Errorf("a new session sends %+v", o.Withdraws)
	}
	// The request that made it is still known by its key.
	if again, existed, err := b.CreateOperation(ctx, asked); err != nil || !existed || again.ID != op.ID {
		t.Errorf("%+v %v %v", again, existed, err)
	}
	out, err := b.ApplyOperationUpdates(ctx, app.Cluster, o.Epoch, []model.OperationUpdate{{ID: op.ID, App: app.UID, Kind: model.OperationDelete, Phase: model.PhaseSucceeded}})
	must(t, err)
	if len(out) != 1 || len(out[0].Amendments) != 1 {
		t.Errorf("the end forgets who gave it up: %+v", out)
	}
	_, err = b.AmendDelete(ctx, app.UID, "", model.Amendment{What: model.AmendOrphan})
	wantCode(t, err, fault.NotFound, "operation_not_found")
	if got, err := b.Operation(ctx, op.ID); err != nil || len(got.Amendments) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestOperationByKey(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("shop", b.cluster("one"))
	if _, found, err := b.OperationByKey(ctx, "k"); found || err != nil {
		t.Errorf("%v %v", found, err)
	}
	op, _, err := b.CreateOperation(ctx, fleet.NewOperation{App: app.UID, Kind: model.OperationSync, IdempotencyKey: "k"})
	must(t, err)
	if got, found, err := b.OperationByKey(ctx, "k"); !found || err != nil || got.ID != op.ID {
		t.Errorf("%+v %v %v", got, found, err)
	}
}
