package line

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestDesiredStatesTravelAndAreAcknowledged(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	small, large := random(1000), random(100<<10)
	h.deploy(id, "small", small)
	h.deploy(id, "large", large)
	await(t, "both acknowledged", func() (ok bool) {
		h.store.with(id, func(c *clusterRow) {
			ok = len(c.acks) == 2 && c.acks["small"].ErrorCode == "" && c.acks["large"].ErrorCode == ""
		})
		return ok
	})
	await(t, "both held", a.journal.is(func(j *journal) bool {
		return bytes.Equal(j.bundles[j.known["small"].Bundle], small) && bytes.Equal(j.bundles[j.known["large"].Bundle], large)
	}))

	// A wake-up without a change sends nothing; a refusal comes back with its
	// reason and changes nothing.
	h.gateway.Notify(id, "small", "large")
	a.journal.mu.Lock()
	a.journal.refuse = fault.New(fault.Denied, "kind_not_permitted", "the project does not allow ClusterRole")
	before := a.journal.received
	a.journal.mu.Unlock()
	h.deploy(id, "small", random(10))
	await(t, "the refusal", func() (ok bool) {
		h.store.with(id, func(c *clusterRow) {
			ack := c.acks["small"]
			ok = ack.Generation == 2 && ack.ErrorCode == "kind_not_permitted" && strings.Contains(ack.Error, "ClusterRole")
		})
		return ok
	})
	if got := a.journal.received - before; got != 1 {
		t.Errorf("%d messages for one change", got)
	}
}

func TestOnlyDifferencesTravelAfterAReconnect(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	for i := range 20 {
		h.deploy(id, model.AppUID(fmt.Sprint("app-", i)), random(100))
	}
	await(t, "20 applications", a.journal.is(func(j *journal) bool { return len(j.known) == 20 }))
	first := h.gateway.Connected()[id].Epoch

	h.stop() // killed
	await(t, "the agent to notice", a.journal.is(func(j *journal) bool { return len(j.lost) == 1 }))
	h.write(id, "app-3", random(100)) // while nobody is connected
	op := h.operation(id, "app-4")
	h.start(h.addr)
	a.inSync(t, 2)
	await(t, "the change and the command", a.journal.is(func(j *journal) bool { return j.received == 21 && len(j.commands) == 1 }))
	if c := a.journal.commands[0]; c.ID != op.ID || c.App != "app-4" || c.Generation != 1 {
		t.Errorf("command %+v", c)
	}
	if epoch := h.gateway.Connected()[id].Epoch; !first.Less(epoch) {
		t.Errorf("epoch %s does not follow %s", epoch, first)
	}
}

func TestAnOperationEndsOnceAcrossReconnects(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	h.deploy(id, "app", random(10))
	op := h.operation(id, "app")
	await(t, "the command", a.journal.is(func(j *journal) bool { return len(j.commands) == 1 }))
	if p := h.phase(id, op.ID); p != model.PhaseSent {
		t.Errorf("phase %s", p)
	}
	a.link.Operation(model.OperationUpdate{ID: op.ID, Seq: op.Seq, App: op.App, Kind: op.Kind, Phase: model.PhaseRunning})
	await(t, "running", func() bool { return h.phase(id, op.ID) == model.PhaseRunning })

	// It ends while the hub is away: the next hello brings the end.
	h.stop()
	end := model.OperationUpdate{ID: op.ID, Seq: op.Seq, App: op.App, Kind: op.Kind, Phase: model.PhaseSucceeded, Result: &model.OperationResult{Revision: "c0ffee"}}
	a.journal.mu.Lock()
	a.journal.pending = append(a.journal.pending, end)
	a.journal.mu.Unlock()
	a.link.Operation(end)
	h.start(h.addr)
	await(t, "the end", func() bool { return h.phase(id, op.ID) == model.PhaseSucceeded })
	await(t, "its acknowledgement", a.journal.is(func(j *journal) bool { return slices.Contains(j.opAcks, op.ID) && len(j.pending) == 0 }))

	// The database is away when an end arrives; it is stored when it is back.
	next := h.operation(id, "app")
	await(t, "the second command", a.journal.is(func(j *journal) bool { return len(j.commands) == 2 }))
	h.store.setDown(true)
	a.link.Operation(model.OperationUpdate{ID: next.ID, Seq: next.Seq, App: next.App, Kind: next.Kind, Phase: model.PhaseFailed, Message: "no"})
	await(t, "the hub to fail storing it", func() bool { return h.logs.line("storing what the agent said failed", "db_unavailable") })
	h.store.setDown(false)
	await(t, "the second end", func() bool { return h.phase(id, next.ID) == model.PhaseFailed })
	await(t, "its acknowledgement", a.journal.is(func(j *journal) bool { return slices.Contains(j.opAcks, next.ID) }))
	if n := len(a.journal.commands); n != 2 {
		t.Errorf("%d commands for 2 operations", n)
	}
}

// What an agent learns after its hello was written and before the session is
// open is in neither unless it is kept, and nothing would say it again.
func TestNothingIsLostWhileASessionOpens(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	h.deploy(id, "app", random(10))
	op := h.operation(id, "app")
	await(t, "the command", a.journal.is(func(j *journal) bool { return len(j.commands) == 1 }))
	running := model.OperationUpdate{ID: op.ID, Seq: op.Seq, App: op.App, Kind: op.Kind, Phase: model.PhaseRunning}
	a.link.Operation(running)
	await(t, "running", func() bool { return h.phase(id, op.ID) == model.PhaseRunning })

	h.stop()
	a.journal.mu.Lock()
	a.journal.pending = append(a.journal.pending, running) // what the hello tells
	a.journal.welcomed = func() {
		end := running
		end.Phase, end.Result = model.PhaseSucceeded, &model.OperationResult{Revision: "c0ffee"}
		a.link.Operation(end)
		a.link.Reports([]model.AppReport{{App: "app", Seq: 1, Generation: 1, ObservedAt: time.Now()}})
	}
	a.journal.mu.Unlock()
	h.start(h.addr)
	await(t, "the end", func() bool { return h.phase(id, op.ID) == model.PhaseSucceeded })
	await(t, "the report", a.journal.is(func(j *journal) bool { return j.reportAck == 1 }))
}

func TestTerminateIsToldOnce(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	h.deploy(id, "app", random(10))
	op := h.operation(id, "app")
	await(t, "the command", a.journal.is(func(j *journal) bool { return len(j.commands) == 1 }))
	h.store.with(id, func(c *clusterRow) { o := c.ops[op.ID]; o.Terminating = true; c.ops[op.ID] = o })
	h.gateway.NotifyOperation(id)
	h.gateway.NotifyOperation(id)
	await(t, "the wish", a.journal.is(func(j *journal) bool { return len(j.commands) == 2 && j.commands[1].Terminate }))
	h.deploy(id, "other", random(10))
	other := h.operation(id, "other") // a marker after which nothing else may have come
	await(t, "the marker", a.journal.is(func(j *journal) bool { return j.commands[len(j.commands)-1].ID == other.ID }))
	if n := len(a.journal.commands); n != 3 {
		t.Errorf("%d commands", n)
	}
}

func TestAWithdrawalTravelsUntilItHasEnded(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	h.deploy(id, "app", random(10))
	await(t, "the application", a.journal.is(func(j *journal) bool { return len(j.known) == 1 }))
	op := model.OperationInfo{ID: "op-delete", Seq: 1, App: "app", Cluster: id, Kind: model.OperationDelete, Phase: model.PhaseQueued}
	h.store.with(id, func(c *clusterRow) {
		h.store.opSeq = 1
		c.ops[op.ID] = op
		c.withdraws["app"] = model.Withdraw{App: "app", Name: "app", Generation: 2, Mode: model.WithdrawCascade, Operation: op.ID, OperationSeq: 1}
	})
	h.gateway.Notify(id, "app")
	await(t, "the withdrawal", a.journal.is(func(j *journal) bool { return len(j.withdraws) == 1 }))
	if p := h.phase(id, op.ID); p != model.PhaseSent {
		t.Errorf("phase %s", p)
	}
	h.stop()
	h.start(h.addr)
	await(t, "the withdrawal again", a.journal.is(func(j *journal) bool { return len(j.withdraws) == 2 }))
	a.link.Operation(model.OperationUpdate{ID: op.ID, Seq: 1, App: "app", Kind: op.Kind, Phase: model.PhaseSucceeded})
	await(t, "the end", func() bool { return h.phase(id, op.ID) == model.PhaseSucceeded })
}

func TestADeletionIsGivenUpInTheSameSession(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	w := model.Withdraw{App: "app", Name: "app", Generation: 2, Mode: model.WithdrawCascade, Operation: "op-delete", OperationSeq: 1}
	say := func() {
		h.store.with(id, func(c *clusterRow) {
			if _, ok := c.ops[w.Operation]; !ok {
				c.ops[w.Operation] = model.OperationInfo{ID: w.Operation, Seq: 1, App: "app", Cluster: id, Kind: model.OperationDelete, Phase: model.PhaseQueued}
			}
			c.withdraws["app"] = w
		})
		h.gateway.Notify(id, "app")
	}
	say()
	await(t, "the withdrawal", a.journal.is(func(j *journal) bool { return len(j.withdraws) == 1 }))
	a.link.Operation(model.OperationUpdate{ID: w.Operation, Seq: 1, App: "app", Kind: model.OperationDelete, Phase: model.PhaseRunning})
	await(t, "its begin", func() bool { return h.phase(id, w.Operation) == model.PhaseRunning })
	w.Mode = model.WithdrawOrphan
	say()
	await(t, "the change", a.journal.is(func(j *journal) bool {
		return len(j.withdraws) == 2 && j.withdraws[1].Mode == model.WithdrawOrphan && j.withdraws[1].Operation == w.Operation
	}))
}

func TestAnActionIsRefusedForAnAgentThatDoesNotKnowThem(t *testing.T) {
	var mu sync.Mutex
	told := map[model.OperationID]model.OperationPhase{}
	h := newHub(t, func(o *gateway.Options) {
		o.OperationsChanged = func(ops []model.OperationInfo) {
			mu.Lock()
			defer mu.Unlock()
			for _, op := range ops {
				told[op.ID] = op.Phase
			}
		}
	})
	a, id := h.join("eu-prod", nil)
	h.deploy(id, "app", random(10))
	op := h.command(id, "app", model.OperationAction)
	await(t, "the refusal", func() bool { return h.phase(id, op.ID) == model.PhaseFailed })
	h.store.with(id, func(c *clusterRow) {
		if m := c.ops[op.ID].Message; !strings.HasPrefix(m, "agent_too_old: ") {
			t.Errorf("it says %q", m)
		}
	})
	await(t, "that it is told", func() bool { mu.Lock(); defer mu.Unlock(); return told[op.ID] == model.PhaseFailed })
	marker := h.operation(id, "app")
	await(t, "the marker", a.journal.is(func(j *journal) bool { return len(j.commands) == 1 && j.commands[0].ID == marker.ID }))
	a.link.Operation(model.OperationUpdate{ID: marker.ID, Seq: marker.Seq, App: "app", Kind: marker.Kind, Phase: model.PhaseSucceeded})
	await(t, "its end", func() bool { return h.phase(id, marker.ID) == model.PhaseSucceeded })

	// One that waits for its cluster is refused when an old agent comes, and sent
	// to a new one.
	for _, able := range []bool{false, true} {
		h.stop()
		a.journal.mu.Lock()
		if able {
			a.journal.able = []string{model.CapabilityActions}
		}
		a.journal.mu.Unlock()
		waiting := h.command(id, "app", model.OperationAction)
		h.start(h.addr)
		if !able {
			await(t, "the refusal", func() bool { return h.phase(id, waiting.ID) == model.PhaseFailed })
			continue
		}
		await(t, "the action", a.journal.is(func(j *journal) bool { return j.commands[len(j.commands)-1].ID == waiting.ID }))
	}
	if n := len(a.journal.commands); n != 2 {
		t.Errorf("%d commands", n)
	}
}

func TestReportsAreCoalescedAndAcknowledged(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", func(o *link.Options) { o.Confirmed = func() (uint64, time.Time) { return 7, time.Now() } })
	tree := &model.ResourceTree{Nodes: []model.TreeNode{{ObjectKey: model.ObjectKey{Kind: "Pod", Name: "p"}}}}
	var batch []model.AppReport
	for i := range 1000 {
		r := model.AppReport{App: model.AppUID(fmt.Sprint("app-", i%10)), Seq: uint64(i + 1), Generation: 1, ObservedAt: time.Now(), Status: model.AppStatus{Revision: fmt.Sprint(i)}}
		if i < 10 {
			r.Tree = tree
		}
		batch = append(batch, r)
	}
	a.link.Reports(batch)
	await(t, "the acknowledgement", a.journal.is(func(j *journal) bool { return j.reportAck == 1000 }))
	h.ingest.mu.Lock()
	got := slices.Clone(h.ingest.reports)
	h.ingest.mu.Unlock()
	if len(got) != 10 {
		t.Errorf("%d reports for 10 applications", len(got))
	}
	for i, r := range got {
		if r.Cluster != id || r.Tree == nil || r.Seq <= 990 || (i > 0 && r.Seq <= got[i-1].Seq) {
			t.Errorf("report %d: cluster %s, seq %d, tree %v", i, r.Cluster, r.Seq, r.Tree != nil)
		}
	}
	await(t, "a heartbeat that confirms them", func() bool {
		h.ingest.mu.Lock()
		defer h.ingest.mu.Unlock()
		return slices.ContainsFunc(h.ingest.beats, func(b fleet.Beat) bool { return b.Seq == 7 && b.Cluster == id })
	})

	a.link.Cluster(model.ClusterReport{KubeVersion: "v1.37.2", Nodes: 3, ObservedAt: time.Now()})
	report := func() (ok bool) {
		h.store.with(id, func(c *clusterRow) { ok = c.report != nil && c.report.Nodes == 3 })
		return ok
	}
	await(t, "the cluster report", report)
	h.stop()
	h.store.with(id, func(c *clusterRow) { c.report = nil })
	h.start(h.addr)
	await(t, "the cluster report in the next session", report)
}

func TestTheNewerOfTwoAgentsWins(t *testing.T) {
	h := newHub(t, nil)
	older, id := h.join("eu-prod", nil)
	identity, _ := older.vault.get()
	j := newJournal()
	j.epoch = older.journal.epoch // one journal, in one cluster
	newer := h.run(func(o *link.Options) { o.Identity, o.Handler = &vault{id: identity, saved: 1}, j })
	newer.inSync(t, 1)
	older.failed(t, "session_superseded")
	h.deploy(id, "app", random(10))
	await(t, "the application at the newer", newer.journal.is(func(j *journal) bool { return len(j.known) == 1 }))
	if !older.journal.is(func(j *journal) bool { return len(j.known) == 0 })() {
		t.Error("the older agent was sent something")
	}
	var closed int
	await(t, "the older session closed", func() bool {
		h.store.with(id, func(c *clusterRow) { closed = len(c.closed) })
		return closed == 1
	})
	if c := h.gateway.Connected()[id]; c.Epoch != newer.journal.epoch {
		t.Errorf("connected is %+v", c)
	}
}

func TestARestoredDatabaseStartsANewIncarnation(t *testing.T) {
	h := newHub(t, nil)
	bystander, _ := h.join("us-prod", nil)
	a, id := h.join("eu-prod", nil)
	h.deploy(id, "app", random(10))
	h.deploy(id, "app", random(10))
	await(t, "generation 2", a.journal.is(func(j *journal) bool { return j.known["app"].Generation == 2 }))
	h.stop()
	h.store.with(id, func(c *clusterRow) { // the backup is from before
		h.store.epoch = 0
		d := c.desired["app"]
		d.Generation = 1
		c.desired["app"] = d
	})
	h.start(h.addr)
	await(t, "the new incarnation", a.journal.is(func(j *journal) bool { return j.epoch.Incarnation >= 2 }))
	await(t, "the new incarnation at the bystander", bystander.journal.is(func(j *journal) bool { return j.epoch.Incarnation >= 2 }))
	a.inSync(t, 2)
	if !a.journal.is(func(j *journal) bool { return j.known["app"].Generation == 2 && len(j.withdraws) == 0 })() {
		t.Error("the agent was given older state")
	}
	if !h.logs.line("hub_state_regressed") {
		t.Error("the hub says nothing")
	}
}

func TestAForgedIncarnationIsRefused(t *testing.T) {
	h := newHub(t, nil)
	h.store.hub.IncarnationSignature = random(70)
	token := h.token("eu-prod", time.Hour)
	a := h.run(func(o *link.Options) { o.Token = token })
	a.failed(t, "incarnation_signature_invalid")
	if !a.journal.is(func(j *journal) bool { return j.epoch.IsZero() && j.received == 0 })() {
		t.Error("the agent took something from it")
	}
}

func TestCertificatesRenewThemselvesWithoutCuttingTheSession(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	epoch := h.gateway.Connected()[id].Epoch
	before, _ := a.vault.get()
	h.clock.forward(21 * 24 * time.Hour)
	await(t, "a new certificate", func() bool { _, saved := a.vault.get(); return saved == 2 })
	after, _ := a.vault.get()
	if bytes.Equal(before.CertificatePEM, after.CertificatePEM) || bytes.Equal(before.KeyPEM, after.KeyPEM) {
		t.Error("certificate or key is still the old one")
	}
	h.deploy(id, "app", random(10))
	await(t, "the session to work", a.journal.is(func(j *journal) bool { return len(j.known) == 1 }))
	// Past the end of the certificate that opened the session.
	h.clock.forward(15 * 24 * time.Hour)
	h.deploy(id, "app2", random(10))
	await(t, "the session to work on", a.journal.is(func(j *journal) bool { return len(j.known) == 2 }))
	if got := h.gateway.Connected()[id].Epoch; got != epoch {
		t.Errorf("the session was cut: epoch %s became %s", epoch, got)
	}
	h.stop()
	h.start(h.addr)
	a.inSync(t, 2) // with the new certificate
}

func TestAnEndedCertificateRenewsItselfFor90Days(t *testing.T) {
	const day = 24 * time.Hour
	for _, offline := range []time.Duration{60 * day, 119 * day} { // certificates live for 30
		t.Run(fmt.Sprintf("%d days offline", offline/day), func(t *testing.T) {
			h := newHub(t, nil)
			a, cluster := h.join("eu-prod", nil)
			h.deploy(cluster, "app", random(10))
			await(t, "the application", a.journal.is(func(j *journal) bool { return len(j.known) == 1 }))
			a.stop()
			id, _ := a.vault.get()
			j := newJournal()
			j.epoch = a.journal.epoch
			h.clock.forward(offline)
			kept := &vault{id: id, saved: 1}
			back := h.run(func(o *link.Options) { o.Identity, o.Handler = kept, j })
			back.inSync(t, 1)
			if now, saved := kept.get(); saved != 2 || bytes.Equal(now.CertificatePEM, id.CertificatePEM) || bytes.Equal(now.KeyPEM, id.KeyPEM) {
				t.Errorf("it came back with the certificate and key of before (saved %d times)", saved)
			}
		})
	}
	h := newHub(t, nil)
	a, _ := h.join("eu-prod", nil)
	a.stop()
	id, _ := a.vault.get()
	h.clock.forward(121 * day)
	late := h.run(func(o *link.Options) { o.Identity = &vault{id: id, saved: 1} })
	err := late.failed(t, "certificate_expired")
	if !strings.Contains(err.Error(), "too long ago") {
		t.Errorf("got %v", err)
	}
}

func TestARevokedClusterIsCutAndStaysOut(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	h.store.with(id, func(*clusterRow) {
		for s, c := range h.store.certs {
			c.Revoked = true
			h.store.certs[s] = c
		}
	})
	h.gateway.CloseCluster(id, "certificate_revoked", "the cluster was revoked")
	await(t, "the session to end", func() bool { return !h.gateway.IsConnected(id) })
	await(t, "why it ended", h.ended(id, "certificate_revoked"))
	await(t, "a refused reconnect", func() bool { return h.logs.line("session refused", "certificate_revoked") })
	a.failed(t, "certificate_revoked")
	if h.gateway.IsConnected(id) {
		t.Error("it came back")
	}
}

func TestTheHubSaysGoodbye(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	h.gateway.Shutdown(ctx)
	if ctx.Err() != nil {
		t.Error("the sessions did not end in time")
	}
	await(t, "the agent to hear it", a.journal.is(func(j *journal) bool { return len(j.lost) == 1 && fault.HasCode(j.lost[0], "hub_stopping") }))
	var closed int
	h.store.with(id, func(c *clusterRow) { closed = len(c.closed) })
	if closed != 1 || !h.ended(id, "hub_stopping")() {
		t.Errorf("%d sessions closed in the store", closed)
	}
	h.stop()
	h.start(h.addr)
	a.inSync(t, 2)
}

func TestAnAgentThatStopsLeavesInGoodOrder(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	h.deploy(id, "app", random(10))
	op := h.operation(id, "app")
	await(t, "the command", a.journal.is(func(j *journal) bool { return len(j.commands) == 1 }))
	a.link.Operation(model.OperationUpdate{ID: op.ID, Seq: op.Seq, App: op.App, Kind: op.Kind, Phase: model.PhaseSucceeded})
	a.stop()
	await(t, "the last word", func() bool { return h.phase(id, op.ID) == model.PhaseSucceeded })
	await(t, "the session's end", func() bool { return !h.gateway.IsConnected(id) && h.logs.line("session closed", "the agent left") })
	await(t, "why it ended", h.ended(id, ""))
}

func TestFlappingIsSlowedDown(t *testing.T) {
	h := newHub(t, func(o *gateway.Options) { o.SessionBurst, o.SessionRefill = 2, time.Hour })
	a, id := h.join("eu-prod", nil)
	for range 2 {
		// The next session may be open before anybody sees that this one ended.
		before := h.gateway.Connected()[id].Epoch
		h.gateway.CloseCluster(id, "test", "cut by the test")
		await(t, "the next session or a refusal", func() bool {
			return before.Less(h.gateway.Connected()[id].Epoch) || h.logs.line("session_rate")
		})
	}
	a.failed(t, "session_rate")
}

func TestProxies(t *testing.T) {
	h := newHub(t, nil)
	proxy, err := testbed.StartConnectProxy(testbed.ConnectOptions{User: "agent", Password: "se:cret/?"})
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	a, _ := h.join("eu-prod", func(o *link.Options) { o.Proxy = proxy.URL() })
	if got := proxy.Targets(); len(got) < 2 || got[0] != h.addr {
		t.Errorf("tunnels to %v", got)
	}
	h.stop()
	h.start(h.addr)
	a.inSync(t, 2)

	token := h.token("us-prod", time.Hour)
	wrong := h.run(func(o *link.Options) { o.Token, o.Proxy = token, "http://agent:wr0ng-pass@"+proxy.Addr() })
	if err := wrong.failed(t, "proxy_auth_failed"); strings.Contains(err.Error(), "wr0ng-pass") || wrong.logs.line("wr0ng-pass") {
		t.Error("the password is in the error or the log")
	}
	t.Run("from the environment", func(t *testing.T) {
		t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
		t.Setenv("NO_PROXY", "hub.example")
		// A loopback address is never proxied from the environment, so the
		// name decides here.
		l, err := link.New(link.Options{Address: "hub.other:443", Identity: &vault{}, Handler: newJournal(), Token: "t", CAHash: h.authority.Hash(), BackoffBase: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.Run(ctx)
		await(t, "the environment's proxy to be tried", func() bool { return fault.HasCode(l.Status().LastError, "proxy_unreachable") })
	})
}

func TestALargeBundleIsResumedAfterACut(t *testing.T) {
	h := newHub(t, nil)
	proxy, err := testbed.StartProxy(h.addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	a, id := h.join("eu-prod", func(o *link.Options) { o.Address = proxy.Addr() })
	large := random(12 << 20)
	proxy.Set(testbed.Slow(2*time.Millisecond, 0))
	h.deploy(id, "app", large)
	h.deploy(id, "small", random(10))
	await(t, "the small one, which does not wait for the large one", a.journal.is(func(j *journal) bool { _, ok := j.known["small"]; return ok }))
	proxy.Reset()
	await(t, "the cut", a.journal.is(func(j *journal) bool { return len(j.lost) >= 1 }))
	await(t, "the whole bundle", a.journal.is(func(j *journal) bool { return bytes.Equal(j.bundles[j.known["app"].Bundle], large) }))
	if order := strings.Join(a.journal.order, ", "); strings.LastIndex(order, "in sync") < strings.LastIndex(order, "desired app") {
		t.Errorf("in sync was told before the large bundle was there: %s", order)
	}
}

func TestSilenceIsNoticedAtBothEnds(t *testing.T) {
	h := newHub(t, nil)
	proxy, err := testbed.StartProxy(h.addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	a, id := h.join("eu-prod", func(o *link.Options) { o.Address = proxy.Addr() })
	for name, network := range map[string]testbed.Network{"black hole": testbed.Blackhole, "one way up": testbed.OneWayUp, "one way down": testbed.OneWayDown} {
		a.journal.mu.Lock()
		syncs := a.journal.inSyncs
		a.journal.mu.Unlock()
		start := time.Now()
		proxy.Set(network)
		await(t, name+": both ends to notice", func() bool { return !h.gateway.IsConnected(id) && !a.link.Status().Connected })
		await(t, name+": why it ended", func() bool { // what is sent one way says that the agent has hung up
			return h.ended(id, "session_silent")() || network != testbed.Blackhole && h.ended(id, "session_broken")()
		})
		if took := time.Since(start); took > 3*time.Second { // heartbeats of 200 ms
			t.Errorf("%s: noticed after %s", name, took)
		}
		proxy.Set(testbed.Well)
		a.inSync(t, syncs+1)
	}
}

func TestFiveHundredApplicationsInOneGo(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	a.stop()
	await(t, "the agent gone", func() bool { return !h.gateway.IsConnected(id) })
	bundles := make([][]byte, 500)
	for i := range bundles {
		bundles[i] = random(2500)
		h.write(id, model.AppUID(fmt.Sprint("app-", i)), bundles[i])
	}
	identity, _ := a.vault.get()
	j := newJournal()
	j.epoch = a.journal.epoch
	cpu := cpuTime(t)
	start := time.Now()
	b := h.run(func(o *link.Options) { o.Identity, o.Handler = &vault{id: identity, saved: 1}, j })
	b.inSync(t, 1)
	wall := time.Since(start)
	await(t, "500 acknowledgements", func() (ok bool) {
		h.store.with(id, func(c *clusterRow) { ok = len(c.acks) == 500 })
		return ok
	})
	if len(j.known) != 500 || j.received != 500 {
		t.Errorf("%d applications, %d messages", len(j.known), j.received)
	}
	t.Logf("500 desired states: in sync after %s, %s of CPU at both ends together", wall.Round(time.Millisecond), (cpuTime(t) - cpu).Round(time.Millisecond))
}

func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestTheDatabaseMayBeAwayForAWhile(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	epoch := h.gateway.Connected()[id].Epoch
	h.store.setDown(true)
	h.deploy(id, "app", random(10))
	h.operation(id, "app")
	await(t, "the hub to fail reading", func() bool { return h.logs.line("reading what to send failed", "db_unavailable") })
	h.store.setDown(false)
	await(t, "what was owed", a.journal.is(func(j *journal) bool { return len(j.known) == 1 && len(j.commands) == 1 }))
	if got := h.gateway.Connected()[id].Epoch; got != epoch {
		t.Error("the session was cut")
	}
	if !errors.Is(a.link.Status().LastError, nil) {
		t.Error(a.link.Status().LastError)
	}
}

// A sync of an application that has nothing rendered is not given to the agent,
// which would wait for it: it stays Queued, where it can expire, and follows the
// desired state when there is one.
func TestASyncFollowsItsDesiredState(t *testing.T) {
	h := newHub(t, nil)
	a, id := h.join("eu-prod", nil)
	h.deploy(id, "other", random(10))
	h.store.with(id, func(c *clusterRow) { c.unrendered["app"] = true })
	early := h.operation(id, "app")
	op := h.operation(id, "other") // travels behind the first, so that it was looked at
	await(t, "the command that may travel", a.journal.is(func(j *journal) bool { return len(j.commands) == 1 && j.commands[0].ID == op.ID }))
	if p := h.phase(id, early.ID); p != model.PhaseQueued {
		t.Fatalf("phase %s", p)
	}
	// Neither does it travel with a new session.
	h.stop()
	await(t, "the agent to notice", a.journal.is(func(j *journal) bool { return len(j.lost) == 1 }))
	h.start(h.addr)
	a.inSync(t, 2)
	if p := h.phase(id, early.ID); p != model.PhaseQueued {
		t.Fatalf("phase %s after a reconnect", p)
	}
	h.deploy(id, "app", random(10))
	await(t, "it follows", a.journal.is(func(j *journal) bool {
		return slices.ContainsFunc(j.commands, func(c model.Command) bool { return c.ID == early.ID && c.Generation == 1 })
	}))
	await(t, "it is stored as sent", func() bool { return h.phase(id, early.ID) == model.PhaseSent })
}

// ended reports whether the newest end of a session that was stored has a code.
func (h *hub) ended(id model.ClusterID, code string) func() bool {
	return func() (is bool) {
		h.store.with(id, func(c *clusterRow) { is = len(c.ends) > 0 && c.ends[len(c.ends)-1] == code })
		return is
	}
}
