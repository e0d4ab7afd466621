package veto

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// counts is a CountStore in memory.
type counts struct {
	mu    gosync.Mutex
	b     []byte
	saves int
	err   error // of both methods
	lost  bool  // SaveCounts stores, and answers as if it had not
}

func (c *counts) LoadCounts(context.Context) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b, c.err
}

func (c *counts) SaveCounts(_ context.Context, b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.saves++
	c.b = b
	if c.lost {
		return fault.New(fault.Unavailable, "cluster_unreachable", "the answer was lost")
	}
	return nil
}

func (c *counts) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

type clock struct {
	mu gosync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// cluster is a sync.Applier that notes what reaches it.
type cluster struct {
	mu    gosync.Mutex
	calls []string
	// refuse is answered to an Apply without Force.
	refuse error
}

func (c *cluster) note(verb string, k model.ObjectKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, verb+" "+k.String())
}

func (c *cluster) Apply(_ context.Context, w sync.Write) ([]byte, error) {
	verb := "apply"
	if w.Force {
		verb = "force"
	} else if c.refuse != nil {
		c.note("refused", w.Key)
		return nil, c.refuse
	}
	c.note(verb, w.Key)
	return []byte("{}"), nil
}
func (c *cluster) Create(_ context.Context, w sync.Write) ([]byte, error) {
	c.note("create", w.Key)
	return nil, nil
}
func (c *cluster) Patch(_ context.Context, p sync.PatchRequest) ([]byte, error) {
	c.note("patch", p.Key)
	return nil, nil
}
func (c *cluster) Delete(_ context.Context, r sync.Removal) error {
	c.note("delete", r.Key)
	return nil
}
func (c *cluster) Release(_ context.Context, r sync.Release) error {
	c.note("release", r.Key)
	return nil
}
func (c *cluster) Get(_ context.Context, _ live.Kind, _ string, k model.ObjectKey) ([]byte, error) {
	c.note("get", k)
	return nil, nil
}

func (c *cluster) took() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := strings.Join(c.calls, ", ")
	c.calls = nil
	return s
}

type bench struct {
	*Keeper
	store *counts
	clock *clock
	inner *cluster
	sync.Applier
	changes int
}

func newBench(t testing.TB, policy string) *bench {
	t.Helper()
	b := &bench{store: &counts{}, clock: &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, inner: &cluster{}}
	b.restart()
	if policy != "" {
		b.policy(policy)
	}
	return b
}

// restart is a new process over the same cluster.
func (b *bench) restart() {
	b.Keeper = NewKeeper(Options{Namespace: own, Counts: b.store, Now: b.clock.now, Changed: func() { b.changes++ }})
	b.Applier = b.Keeper.Applier(b.inner)
}

func (b *bench) policy(text string) { b.Set(map[string]string{PolicyKey: text}, true) }

func (b *bench) delete(operation, uid string) error {
	return b.Applier.Delete(context.Background(), sync.Removal{Kind: live.Kind{Version: "v1"}, Key: key("ConfigMap shop/" + uid), UID: uid, Operation: operation})
}

// write is an Apply of an object, which exists when it has a uid.
func (b *bench) write(w sync.Write) error {
	w.Version = "v1"
	_, err := b.Apply(context.Background(), w)
	return err
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return fault.As(err).Code
}

func TestNothingIsWrittenBeforeThePolicyIsKnown(t *testing.T) {
	b := newBench(t, "")
	cm := key("ConfigMap shop/a")
	if err := b.write(sync.Write{Key: cm}); code(err) != "veto_unread" || !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if err := b.Allow("logs", key("Pod shop/a")); code(err) != "veto_unread" {
		t.Errorf("%v", err)
	}
	b.Failed(fault.New(fault.Unavailable, "cluster_unreachable", "the API server is away"))
	if err := b.delete("op", "u"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("away: %v", err)
	}
	b.Failed(fault.New(fault.Denied, "forbidden", "may not").WithFix("grant it"))
	err := b.write(sync.Write{Key: cm})
	if code(err) != "veto_unreadable" || !fault.Is(err, fault.Denied) || fault.As(err).Fix != "grant it" {
		t.Errorf("forbidden: %+v", err)
	}
	if c := b.Conditions(); len(c) != 1 || c[0].Code != "veto_unreadable" || !strings.Contains(c[0].Message, "grant it") {
		t.Errorf("conditions %+v", c)
	}
	b.Set(nil, false)
	if err := b.write(sync.Write{Key: cm}); err != nil {
		t.Errorf("no ConfigMap: %v", err)
	}
	if c := b.Conditions(); len(c) != 0 {
		t.Errorf("conditions %+v", c)
	}
	if got := b.inner.took(); got != "apply ConfigMap shop/a" {
		t.Errorf("the cluster was asked to %s", got)
	}
}

func TestWhatWasReadLastStandsWhileTheConfigMapCannotBeRead(t *testing.T) {
	b := newBench(t, "deny: [{kinds: [Secret]}]")
	for _, err := range []error{
		fault.New(fault.Unavailable, "cluster_unreachable", "away"),
		fault.New(fault.RateLimited, "throttled", "busy"),
		fault.New(fault.Denied, "forbidden", "may not"),
	} {
		b.Failed(err)
		if got := code(b.write(sync.Write{Key: key("Secret shop/a")})); got != "vetoed" {
			t.Errorf("after %v: %q", err, got)
		}
		if err := b.write(sync.Write{Key: key("ConfigMap shop/a")}); err != nil {
			t.Errorf("after %v: %v", err, err)
		}
	}
	if c := b.Conditions(); len(c) != 1 || c[0].Code != "veto_unreadable" {
		t.Errorf("conditions %+v", c)
	}
	b.policy("deny: [{kinds: [Secret]}]") // the same, read again
	if c := b.Conditions(); len(c) != 0 {
		t.Errorf("conditions %+v", c)
	}
}

func TestAnInvalidPolicyRefusesEverythingUntilItIsCorrected(t *testing.T) {
	b := newBench(t, "exec: false")
	for name, data := range map[string]map[string]string{
		"unknown field": {PolicyKey: "denny: [{}]"},
		"no key":        {"policy.yml": "exec: false"},
		"no data":       nil,
	} {
		b.Set(data, true)
		if err := b.write(sync.Write{Key: key("ConfigMap shop/a")}); code(err) != "veto_invalid" || !fault.Is(err, fault.Denied) || len(fault.As(err).Message) > 300 {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.Allow("get", key("Pod shop/a")); code(err) != "veto_invalid" {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.MayDelete(t.Context(), "op", 1); code(err) != "veto_invalid" {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.write(sync.Write{Key: key("ConfigMap hawser-system/a")}); code(err) != "vetoed" {
			t.Errorf("%s: %v", name, err)
		}
		c := b.Conditions()
		if len(c) != 1 || c[0].Code != "veto_invalid" || c[0].Since == nil || !strings.Contains(c[0].Message, "hawser-system/hawser-veto") {
			t.Errorf("%s: conditions %+v", name, c)
		}
	}
	b.Set(map[string]string{"policy.yml": "exec: false"}, true)
	if c := b.Conditions(); !strings.Contains(c[0].Message, `did you mean it by "policy.yml"?`) {
		t.Errorf("%s", c[0].Message)
	}
	b.policy("exec: false")
	if err := b.write(sync.Write{Key: key("ConfigMap shop/a")}); err != nil {
		t.Errorf("corrected: %v", err)
	}
	if got := code(b.Allow("exec", key("Pod shop/a"))); got != "vetoed" {
		t.Errorf("exec: %q", got)
	}
}

func TestADeletedPolicyIsNoPolicy(t *testing.T) {
	b := newBench(t, "deny: [{}]")
	if got := code(b.write(sync.Write{Key: key("ConfigMap shop/a")})); got != "vetoed" {
		t.Fatalf("%q", got)
	}
	b.Set(nil, false)
	if err := b.write(sync.Write{Key: key("ConfigMap shop/a")}); err != nil {
		t.Error(err)
	}
}

func TestChangesAreTold(t *testing.T) {
	b := newBench(t, "")
	steps := []struct {
		do   func()
		tell bool
	}{
		{func() { b.Set(nil, false) }, true},
		{func() { b.Set(nil, false) }, false},
		{func() { b.policy("exec: false") }, true},
		{func() { b.policy("exec: false") }, false},
		{func() { b.policy("exec: no") }, true},
		{func() { b.policy("exec: no") }, false},
		{func() { b.Failed(fault.New(fault.Unavailable, "x", "x")) }, false},
		{func() { b.policy("exec: maybe") }, true},
		{func() { b.Failed(fault.New(fault.Denied, "x", "x")) }, true},
		{func() { b.Failed(fault.New(fault.Denied, "x", "x")) }, false},
		{func() { b.Set(nil, false) }, true},
	}
	for i, s := range steps {
		before := b.changes
		s.do()
		if told := b.changes - before; (told == 1) != s.tell || told > 1 {
			t.Errorf("step %d: told %d times", i, told)
		}
	}
}

func TestEveryWriteIsAsked(t *testing.T) {
	secret, cm := key("Secret shop/a"), key("ConfigMap shop/a")
	ctx := context.Background()
	kind := live.Kind{Version: "v1"}
	writes := map[string]func(b *bench, k model.ObjectKey) error{
		"apply": func(b *bench, k model.ObjectKey) error { return b.write(sync.Write{Key: k}) },
		"apply to what exists": func(b *bench, k model.ObjectKey) error {
			return b.write(sync.Write{Key: k, UID: "u", ResourceVersion: "1"})
		},
		"replace": func(b *bench, k model.ObjectKey) error {
			return b.write(sync.Write{Key: k, UID: "u", Mode: sync.ModeReplace})
		},
		"recreate": func(b *bench, k model.ObjectKey) error {
			return b.write(sync.Write{Key: k, UID: "u", Mode: sync.ModeRecreate})
		},
		"dry run": func(b *bench, k model.ObjectKey) error { return b.write(sync.Write{Key: k, DryRun: true}) },
		"create": func(b *bench, k model.ObjectKey) error {
			_, err := b.Create(ctx, sync.Write{Key: k, Version: "v1"})
			return err
		},
		"patch": func(b *bench, k model.ObjectKey) error {
			_, err := b.Patch(ctx, sync.PatchRequest{Kind: kind, Key: k})
			return err
		},
		"delete": func(b *bench, k model.ObjectKey) error {
			return b.Applier.Delete(ctx, sync.Removal{Kind: kind, Key: k, UID: "u"})
		},
		"release": func(b *bench, k model.ObjectKey) error {
			return b.Release(ctx, sync.Release{Kind: kind, Key: k, UID: "u"})
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, `deny: [{kinds: [Secret], reason: ask the platform team}]`)
			err := write(b, secret)
			f := fault.As(err)
			if code(err) != "vetoed" || !fault.Is(err, fault.Denied) {
				t.Fatalf("%v", err)
			}
			for _, part := range []string{"Secret shop/a", "deny[0]", "ask the platform team"} {
				if !strings.Contains(f.Message, part) {
					t.Errorf("%q does not say %q", f.Message, part)
				}
			}
			if !strings.Contains(f.Fix, "ConfigMap hawser-system/hawser-veto") {
				t.Errorf("fix: %s", f.Fix)
			}
			if err := write(b, key("Secret hawser-system/a")); code(err) != "vetoed" {
				t.Errorf("the agent's namespace: %v", err)
			}
			if got := b.inner.took(); got != "" {
				t.Errorf("the cluster was asked to %s", got)
			}
			if err := write(b, cm); err != nil {
				t.Errorf("a ConfigMap: %v", err)
			}
			if got := b.inner.took(); !strings.HasSuffix(got, " ConfigMap shop/a") {
				t.Errorf("the cluster was asked to %q", got)
			}
		})
	}
}

func TestKeysThatAreOtherPathsAreRefused(t *testing.T) {
	b := newBench(t, "")
	b.Set(nil, false)
	ctx := context.Background()
	for _, k := range []model.ObjectKey{
		{Kind: "ConfigMap", Namespace: "shop", Name: "../../hawser-system/configmaps/hawser-veto"},
		{Kind: "ConfigMap", Namespace: "shop", Name: ".."},
		{Kind: "ConfigMap", Namespace: "shop", Name: "%2e%2e"},
		{Kind: "ConfigMap", Namespace: "shop", Name: "a?dryRun=All"},
		{Kind: "ConfigMap", Namespace: "x/../hawser-system", Name: "a"},
		{Kind: "ConfigMap", Group: "a/b", Namespace: "shop", Name: "a"},
		{Kind: "ConfigMap", Namespace: "shop"}, // all of them
	} {
		kind := live.Kind{Version: "v1"}
		_, patch := b.Patch(ctx, sync.PatchRequest{Kind: kind, Key: k})
		for name, err := range map[string]error{
			"apply":   b.write(sync.Write{Key: k}),
			"patch":   patch,
			"delete":  b.Applier.Delete(ctx, sync.Removal{Kind: kind, Key: k, UID: "u"}),
			"release": b.Release(ctx, sync.Release{Kind: kind, Key: k, UID: "u"}),
		} {
			if err == nil {
				t.Errorf("%s of %+v was made", name, k)
			}
		}
		if _, err := b.Create(ctx, sync.Write{Key: k, Version: "v1"}); (err == nil) != (k.Name == "") {
			t.Errorf("create of %+v: %v", k, err) // generateName has no name yet
		}
	}
	if _, err := b.Patch(ctx, sync.PatchRequest{Key: key("Pod shop/a"), Subresource: "../b"}); err == nil {
		t.Error("a subresource that is another path")
	}
	if got := b.inner.took(); got != "create ConfigMap shop/" {
		t.Errorf("the cluster was asked to %s", got)
	}
}

func TestForceIsADeleteOnlyWhereItDeletes(t *testing.T) {
	w := sync.Write{Key: key("ConfigMap shop/a"), UID: "u", Force: true, Operation: "op"}
	immutable := fault.New(fault.Unprocessable, "immutable_field", "no")

	b := newBench(t, "maxDeletes: {perOperation: 0}")
	if err := b.write(w); err != nil {
		t.Errorf("nothing has to be deleted: %v", err)
	}
	if got := b.inner.took(); got != "apply ConfigMap shop/a" {
		t.Errorf("the cluster was asked to %s", got)
	}
	b.inner.refuse = immutable
	if err := b.write(w); code(err) != "vetoed" {
		t.Errorf("%v", err)
	}
	w.DryRun = true
	if err := b.write(w); code(err) != "vetoed" {
		t.Errorf("dry run: %v", err)
	}
	w.DryRun = false
	if got := b.inner.took(); strings.Contains(got, "force") {
		t.Errorf("the cluster was asked to %s", got)
	}

	b = newBench(t, "maxDeletes: {perOperation: 1}")
	b.inner.refuse = immutable
	if err := b.write(w); err != nil {
		t.Errorf("%v", err)
	}
	if got := b.inner.took(); got != "refused ConfigMap shop/a, force ConfigMap shop/a" {
		t.Errorf("the cluster was asked to %s", got)
	}
	if err := b.delete("op", "other"); code(err) != "vetoed" {
		t.Errorf("it was not counted: %v", err)
	}

	b = newBench(t, "deny: [{verbs: [delete]}]")
	b.inner.refuse = fault.New(fault.Denied, "forbidden", "no")
	if err := b.write(w); code(err) != "forbidden" {
		t.Errorf("another refusal stays what it is: %v", err)
	}
}

func TestRecreateIsADelete(t *testing.T) {
	b := newBench(t, "maxDeletes: {perHour: 1}")
	w := sync.Write{Key: key("ConfigMap shop/a"), Mode: sync.ModeRecreate, Operation: "op"}
	if err := b.write(w); err != nil {
		t.Errorf("nothing is there to delete: %v", err)
	}
	w.UID, w.DryRun = "u1", true
	for range 3 {
		if err := b.write(w); err != nil {
			t.Errorf("dry runs are not counted: %v", err)
		}
	}
	w.DryRun = false
	if err := b.write(w); err != nil {
		t.Errorf("%v", err)
	}
	w.UID = "u2"
	if err := b.write(w); code(err) != "vetoed" {
		t.Errorf("%v", err)
	}
	w.DryRun = true
	if err := b.write(w); code(err) != "vetoed" {
		t.Errorf("a dry run says what would happen: %v", err)
	}
}

func TestDeletesOfAnOperationAreLimited(t *testing.T) {
	b := newBench(t, "maxDeletes: {perOperation: 12}")
	for i := range 12 {
		if err := b.delete("a", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if err := b.delete("a", fmt.Sprint(i)); err != nil { // a repetition
			t.Fatal(err)
		}
	}
	if err := b.delete("a", "x"); code(err) != "vetoed" || !strings.Contains(err.Error(), "maxDeletes.perOperation") {
		t.Errorf("%v", err)
	}
	if err := b.delete("b", "x"); err != nil {
		t.Errorf("another operation: %v", err)
	}
	if b.store.saves != 3 {
		t.Errorf("%d writes", b.store.saves)
	}
	if err := b.MayDelete(t.Context(), "b", 11); err != nil {
		t.Errorf("%v", err)
	}
	if err := b.MayDelete(t.Context(), "b", 12); code(err) != "vetoed" {
		t.Errorf("%v", err)
	}
	b.clock.add(2 * time.Hour) // time does not help
	if err := b.delete("a", "y"); code(err) != "vetoed" {
		t.Errorf("%v", err)
	}
}

func TestDeletesOfAnHourAreLimited(t *testing.T) {
	b := newBench(t, "maxDeletes: {perHour: 25}")
	n := 0
	for {
		if err := b.delete(fmt.Sprint("op", n%4), fmt.Sprint(n)); code(err) == "vetoed" {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if n++; n > 25 {
			t.Fatal("no limit")
		}
		b.clock.add(time.Minute)
	}
	if n != 25 {
		t.Errorf("%d were made", n)
	}
	// One more for each that is an hour old.
	b.clock.add(37 * time.Minute)
	free := 0
	for b.delete("late", fmt.Sprint("l", free)) == nil {
		free++
	}
	if free < 1 || free > 3 {
		t.Errorf("%d more after an hour and two minutes", free)
	}
}

// No restart, at any point, gives an operation or an hour more than the limit.
func TestRestartsDoNotBeginANewCount(t *testing.T) {
	for _, policy := range []string{"maxDeletes: {perOperation: 25}", "maxDeletes: {perHour: 25}"} {
		for every := 1; every <= 12; every++ {
			b := newBench(t, policy)
			made := 0
			for i := range 100 {
				if i%every == 0 {
					b.restart()
					b.policy(policy)
				}
				if b.delete("op", fmt.Sprint(i)) == nil {
					made++
				}
			}
			if made > 25 || made < 2 {
				t.Errorf("%s, a restart after every %d: %d deletes", policy, every, made)
			}
		}
	}
}

func TestWithoutTheCountNothingIsDeleted(t *testing.T) {
	b := newBench(t, "maxDeletes: {perHour: 5}")
	b.store.fail(fault.New(fault.Unavailable, "cluster_unreachable", "away"))
	if err := b.delete("a", "1"); code(err) != "veto_counts_unavailable" || !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	b.store.fail(fault.New(fault.Conflict, "version_conflict", "changed"))
	if err := b.delete("a", "1"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	b.store.fail(fault.New(fault.Denied, "forbidden", "no").WithFix("grant it"))
	if err := b.delete("a", "1"); code(err) != "veto_counts_forbidden" || fault.As(err).Fix != "grant it" {
		t.Errorf("%v", err)
	}
	b.store.fail(nil)
	b.store.b = []byte("{")
	if err := b.delete("a", "1"); code(err) != "veto_counts_damaged" {
		t.Errorf("%v", err)
	}
	b.store.b = nil
	if got := b.inner.took(); got != "" {
		t.Errorf("the cluster was asked to %s", got)
	}
	if err := b.delete("a", "1"); err != nil {
		t.Errorf("%v", err)
	}
	// An answer that was lost counts as stored.
	b.restart()
	b.policy("maxDeletes: {perHour: 12}")
	b.store.b, b.store.lost = nil, true
	if err := b.delete("a", "1"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	b.store.lost = false
	made := 0
	for i := range 20 {
		if b.delete("a", fmt.Sprint(i)) == nil {
			made++
		}
	}
	if made != 2 {
		t.Errorf("%d deletes after 10 that may have been made", made)
	}
}

func TestWithoutLimitsNothingIsCounted(t *testing.T) {
	b := newBench(t, "deny: [{kinds: [Secret], verbs: [delete]}]")
	b.store.fail(fault.New(fault.Unavailable, "cluster_unreachable", "away"))
	if err := b.delete("a", "1"); err != nil {
		t.Error(err)
	}
	if err := b.MayDelete(t.Context(), "a", 1000); err != nil {
		t.Error(err)
	}
}

func TestAClockThatWasAheadHoldsUpForAnHourAtMost(t *testing.T) {
	b := newBench(t, "maxDeletes: {perHour: 1}")
	b.clock.add(1000 * time.Hour)
	if err := b.delete("a", "1"); err != nil {
		t.Fatal(err)
	}
	b.clock.add(-1000 * time.Hour)
	for _, restart := range []bool{false, true} {
		if restart {
			b.restart()
			b.policy("maxDeletes: {perHour: 1}")
		}
		if err := b.delete("b", "2"); code(err) != "vetoed" {
			t.Errorf("%v", err)
		}
	}
	b.clock.add(window)
	if err := b.delete("b", "2"); err != nil {
		t.Error(err)
	}
}

func TestTheCountStaysSmall(t *testing.T) {
	b := newBench(t, "maxDeletes: {perOperation: 3}")
	for i := range maxReservations + 200 {
		if err := b.delete(fmt.Sprint("op", i), "u"); err != nil {
			t.Fatal(err)
		}
		b.clock.add(time.Second)
	}
	var kept []reservation
	if err := json.Unmarshal(b.store.b, &kept); err != nil || len(kept) > maxReservations {
		t.Errorf("%d reservations, %v", len(kept), err)
	}
	b.clock.add(25 * time.Hour)
	if err := b.delete("new", "u"); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.store.b, &kept); err != nil || len(kept) != 1 {
		t.Errorf("%d reservations a day later, %v", len(kept), err)
	}
	if len(b.ledger.uids) != 1 || len(b.ledger.open) != 1 {
		t.Errorf("%d operations in memory", len(b.ledger.uids))
	}
}

func TestConcurrentDeletesKeepTheLimit(t *testing.T) {
	b := newBench(t, "maxDeletes: {perHour: 37}")
	var wg gosync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				_ = b.delete(fmt.Sprint("op", w%3), fmt.Sprint(w, "-", i))
			}
		})
	}
	wg.Wait()
	if n := len(b.inner.calls); n > 37 || n < 20 {
		t.Errorf("%d deletes", n)
	}
}

func TestAllowDoesNotDecideAboutDeletes(t *testing.T) {
	b := newBench(t, "")
	b.Set(nil, false)
	if err := b.Allow("delete", key("ConfigMap shop/a")); err == nil {
		t.Error("it would not be counted")
	}
	if err := b.Allow("action", key("apps/Deployment shop/a")); err != nil {
		t.Error(err)
	}
}

func BenchmarkDecide(b *testing.B) {
	p := mustParse(b, `{deny: [{kinds: ["*/Secret", "rbac.authorization.k8s.io/*"], verbs: [create]}, {namespaces: ["kube-*", "openshift-*"]}, {names: ["*-prod"]}], allowOnly: [{namespaces: ["team-*"]}]}`)
	r := Request{Verb: Update, Key: key("apps/Deployment team-a/web")}
	for b.Loop() {
		if !Decide(own, p, r).Allowed {
			b.Fatal("vetoed")
		}
	}
}
