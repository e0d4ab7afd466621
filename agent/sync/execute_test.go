package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// fakeCluster is an Applier and what is seen of it.
type fakeCluster struct {
	mu      gosync.Mutex
	log     []string
	objects map[model.ObjectKey]live.Record
	served  map[model.GroupKind]bool
	fail    map[string]error // by name of the object
	health  func(model.ObjectKey) model.Health
	deletes bool // deleted objects are gone
	gone    map[model.ObjectKey]live.Record
	changed chan struct{}
	at      atomic.Int32
	most    atomic.Int32
	pause   time.Duration
	rv      int
	// dryAnswer is answered to dry runs, by name of the object.
	dryAnswer map[string][]byte
}

func newFakeCluster() *fakeCluster {
	return &fakeCluster{objects: map[model.ObjectKey]live.Record{}, served: map[model.GroupKind]bool{}, fail: map[string]error{}, changed: make(chan struct{}),
		health: func(model.ObjectKey) model.Health { return model.HealthHealthy }}
}

func (f *fakeCluster) Apply(ctx context.Context, w Write) ([]byte, error) {
	n := f.at.Add(1)
	defer f.at.Add(-1)
	for m := f.most.Load(); n > m && !f.most.CompareAndSwap(m, n); m = f.most.Load() {
	}
	if f.pause > 0 {
		time.Sleep(f.pause)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	verb := "apply"
	if w.DryRun {
		verb = "dry-run"
	}
	if w.Operation == "" {
		return nil, errors.New("a write without an operation")
	}
	f.log = append(f.log, verb+" "+w.Key.String())
	if err := f.fail[w.Key.Name]; err != nil {
		return nil, err
	}
	f.rv++
	uid := f.objects[w.Key].UID
	if uid == "" {
		uid = fmt.Sprintf("uid-%d", f.rv)
	}
	if !w.DryRun {
		f.objects[w.Key] = live.Record{Key: w.Key, UID: uid, ResourceVersion: fmt.Sprint(f.rv), Health: model.HealthFacet{Status: f.health(w.Key)}}
		if isCRD(w.Key.GroupKind()) {
			f.served[model.GroupKind{Group: "x.example.io", Kind: "Boat"}] = true
		}
	}
	if b, ok := f.dryAnswer[w.Key.Name]; ok && w.DryRun {
		return b, nil
	}
	return fmt.Appendf(nil, `{"metadata":{"uid":%q,"resourceVersion":"%d"}}`, uid, f.rv), nil
}

func (f *fakeCluster) Delete(_ context.Context, r Removal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf("delete %s uid=%s %s", r.Key, r.UID, r.Propagation))
	if f.deletes && f.objects[r.Key].UID == r.UID {
		delete(f.objects, r.Key)
	}
	return f.fail[r.Key.Name]
}

// remove takes an object away, as somebody else does.
func (f *fakeCluster) remove(k model.ObjectKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.objects, k)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeCluster) Release(context.Context, Release) error { return nil }

func (f *fakeCluster) Create(ctx context.Context, w Write) ([]byte, error) {
	answer, err := f.Apply(ctx, w)
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.log) - 1
	f.log[last] = strings.Replace(f.log[last], "apply ", "create ", 1)
	return answer, err
}

func (f *fakeCluster) Patch(context.Context, PatchRequest) ([]byte, error) { return nil, nil }

func (f *fakeCluster) Get(k model.ObjectKey) (live.Record, live.Presence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.objects[k]
	if !ok {
		return r, live.Absent
	}
	return r, live.Present
}

type applier struct{ *fakeCluster }

func (a applier) Get(context.Context, live.Kind, string, model.ObjectKey) ([]byte, error) {
	return nil, fault.New(fault.NotFound, "not_found", "not used")
}

func (f *fakeCluster) Kind(gk model.GroupKind) (live.Kind, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.HasSuffix(gk.Group, "example.io") && !f.served[gk] {
		return live.Kind{}, fault.New(fault.Unprocessable, "kind_unknown", "unknown")
	}
	return live.Kind{GroupKind: gk, Version: "v1"}, nil
}

func (f *fakeCluster) Gone(k model.ObjectKey) (live.Record, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.gone[k]
	return r, ok
}

func (f *fakeCluster) RefreshDiscovery(context.Context) error { return nil }
func (f *fakeCluster) Saw([]byte) error                       { return nil }

func (f *fakeCluster) Await(ctx context.Context, cond func() bool) error {
	for {
		f.mu.Lock()
		ch := f.changed
		f.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (f *fakeCluster) setHealth(k model.ObjectKey, h model.Health) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.objects[k]
	r.Health.Status = h
	f.objects[k] = r
	close(f.changed)
	f.changed = make(chan struct{})
}

func executor(f *fakeCluster) *Executor {
	return &Executor{Applier: applier{f}, Live: f, Governor: NewGovernor(4, time.Now), Fence: func() error { return nil }}
}

func run(plan Plan) Run {
	return Run{Plan: plan, Operation: "op", Body: func(Step) ([]byte, error) { return []byte("{}"), nil }}
}

func statuses(o Outcome) string {
	var out []string
	for _, r := range o.Results {
		out = append(out, r.Name+" "+r.Status)
	}
	return strings.Join(out, ", ")
}

func TestExecute(t *testing.T) {
	denied := fault.New(fault.Denied, "webhook_denied", "no")
	cases := []struct {
		name   string
		yaml   string
		states map[string]string
		change func(*PlanFacts)
		fail   map[string]error
		want   string
		writes int
	}{
		{"unchanged objects get no request", doc("v1", "ConfigMap", "a") + doc("v1", "ConfigMap", "b"), map[string]string{"a": "same"}, nil, nil, "a Unchanged, b Created", 1},
		{"a failure does not stop its wave", doc("v1", "ConfigMap", "a") + doc("v1", "Service", "b"), nil, nil, map[string]error{"a": denied}, "a Failed, b Created", 2},
		{"a failure stops later waves", doc("v1", "ConfigMap", "a") + doc("v1", "ConfigMap", "b", "sync-wave: '1'"), nil, nil, map[string]error{"a": denied}, "a Failed, b Failed", 1},
		{"a refusal stops later waves", doc("y.example.io/v1", "Car", "a") + doc("v1", "ConfigMap", "b", "sync-wave: '1'"), nil, nil, nil, "a Failed, b Failed", 0},
		{"CRD and its resource", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: crd}\nspec: {group: x.example.io, scope: Namespaced, names: {kind: Boat, plural: boats}}\n---\n" + doc("x.example.io/v1", "Boat", "boat"), nil, nil, nil, "crd Created, boat Created", 2},
		{"prune", doc("v1", "ConfigMap", "a"), map[string]string{"a": "same"}, func(f *PlanFacts) {
			f.Prune = []PruneItem{{Key: model.ObjectKey{Kind: "ConfigMap", Name: "old"}, UID: "7", Propagation: "background"}, {Key: model.ObjectKey{Kind: "ConfigMap", Name: "kept"}, Skip: "kept"}}
		}, nil, "a Unchanged, old Pruned, kept PruneSkipped", 1},
		{"nothing is pruned after a failure", doc("v1", "ConfigMap", "a"), nil, func(f *PlanFacts) {
			f.Prune = []PruneItem{{Key: model.ObjectKey{Kind: "ConfigMap", Name: "old"}, UID: "7"}}
		}, map[string]error{"a": denied}, "a Failed, old PruneSkipped", 1},
		{"a failed prune", "", nil, func(f *PlanFacts) {
			f.Prune = []PruneItem{{Key: model.ObjectKey{Kind: "ConfigMap", Name: "old"}, UID: "7"}}
		}, map[string]error{"old": denied}, "old Failed", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeCluster()
			f.fail = c.fail
			pf := facts(t, c.yaml, c.states)
			for _, it := range pf.Items {
				if it.Presence == live.Present {
					f.objects[it.Key] = live.Record{Key: it.Key, UID: "u", Health: model.HealthFacet{Status: model.HealthHealthy}}
				}
			}
			if c.change != nil {
				c.change(&pf)
			}
			o := executor(f).Execute(t.Context(), run(BuildPlan(pf)))
			if got := statuses(o); got != c.want || o.Stopped != nil {
				t.Errorf("results %q, want %q (%v)", got, c.want, o.Stopped)
			}
			if len(f.log) != c.writes {
				t.Errorf("requests %v, want %d", f.log, c.writes)
			}
			if o.Failed != strings.Count(c.want, "Failed") || len(o.Errs) != o.Failed {
				t.Errorf("%d failed, errors %v", o.Failed, o.Errs)
			}
		})
	}
}

func TestWavesWaitForHealth(t *testing.T) {
	yaml := doc("apps/v1", "Deployment", "first") + doc("v1", "ConfigMap", "second", "sync-wave: '1'")
	first := model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "ns", Name: "first"}
	for _, c := range []struct {
		end  model.Health
		want string
	}{
		{model.HealthHealthy, "first Created, second Created"},
		{model.HealthSuspended, "first Created, second Created"},
		{model.HealthDegraded, "first Failed, second Failed"},
		{model.HealthProgressing, "first Failed, second Failed"}, // for ever
	} {
		t.Run(string(c.end), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeCluster()
				f.health = func(k model.ObjectKey) model.Health {
					if k == first {
						return model.HealthProgressing
					}
					return model.HealthHealthy
				}
				done := make(chan Outcome)
				go func() {
					done <- executor(f).Execute(t.Context(), run(BuildPlan(facts(t, yaml, nil))))
				}()
				synctest.Wait()
				if _, p := f.Get(model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: "second"}); p != live.Absent {
					t.Fatal("the second wave began before the first was healthy")
				}
				f.setHealth(first, c.end)
				o := <-done
				if got := statuses(o); got != c.want {
					t.Errorf("results %q, want %q", got, c.want)
				}
				if len(o.Applied) == 0 || o.Applied[0].Key != first {
					t.Errorf("what was applied is forgotten: %+v", o.Applied)
				}
			})
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeCluster()
			f.health = func(model.ObjectKey) model.Health { return model.HealthProgressing }
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan Outcome)
			go func() { done <- executor(f).Execute(ctx, run(BuildPlan(facts(t, yaml, nil)))) }()
			synctest.Wait()
			cause := errors.New("a newer one")
			cancel(cause)
			if o := <-done; !errors.Is(o.Stopped, cause) || statuses(o) != "first Created, second Failed" {
				t.Errorf("%q, stopped by %v", statuses(o), o.Stopped)
			}
		})
	})
}

func TestFenceStopsEffects(t *testing.T) {
	yaml := ""
	for i := range 40 {
		yaml += doc("v1", "ConfigMap", fmt.Sprintf("c%02d", i))
	}
	f := newFakeCluster()
	e := executor(f)
	var allowed atomic.Int32
	allowed.Store(10)
	lost := fault.New(fault.Precondition, "lease_lost", "another agent holds the Lease")
	e.Fence = func() error {
		if allowed.Add(-1) < 0 {
			return lost
		}
		return nil
	}
	o := e.Execute(t.Context(), run(BuildPlan(facts(t, yaml, nil))))
	if !errors.Is(o.Stopped, lost) || len(f.log) > 10 || len(o.Results) != 40 || o.Failed != 40-len(o.Applied) {
		t.Errorf("stopped by %v after %d writes, %d results, %d failed, %d applied", o.Stopped, len(f.log), len(o.Results), o.Failed, len(o.Applied))
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		yaml := ""
		for i := range 40 {
			yaml += doc("v1", "ConfigMap", fmt.Sprintf("c%02d", i))
		}
		f := newFakeCluster()
		f.pause = time.Millisecond
		o := executor(f).Execute(t.Context(), run(BuildPlan(facts(t, yaml, nil))))
		if o.Failed > 0 || f.most.Load() != 4 {
			t.Errorf("%d failed, %d at a time", o.Failed, f.most.Load())
		}
	})
}

func TestNamespaceIsMadeOnce(t *testing.T) {
	f := newFakeCluster()
	e := executor(f)
	var wg gosync.WaitGroup
	for i := range 20 {
		pf := facts(t, doc("v1", "ConfigMap", fmt.Sprintf("c%d", i)), nil)
		pf.CreateNamespace, pf.NamespacePresence = true, live.Absent
		wg.Go(func() {
			if o := e.Execute(t.Context(), run(BuildPlan(pf))); o.Failed > 0 {
				t.Errorf("%+v", o)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, l := range f.log {
		if l == "apply Namespace ns" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the namespace was written %d times", n)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	f := newFakeCluster()
	f.fail["b"] = fault.New(fault.Unprocessable, "namespace_missing", "no namespace")
	pf := facts(t, doc("v1", "ConfigMap", "a")+doc("v1", "ConfigMap", "b"), map[string]string{"a": "differs"})
	pf.CreateNamespace, pf.NamespacePresence = true, live.Absent
	pf.Prune = []PruneItem{{Key: model.ObjectKey{Kind: "ConfigMap", Name: "old"}, UID: "7"}}
	r := run(BuildPlan(pf))
	r.DryRun = true
	o := executor(f).Execute(t.Context(), r)
	if o.Failed > 0 || len(o.Applied) > 0 || len(o.Deleted) > 0 {
		t.Errorf("%+v", o)
	}
	if i := slices.IndexFunc(f.log, func(l string) bool { return !strings.HasPrefix(l, "dry-run ") }); i >= 0 {
		t.Errorf("a dry run did %q", f.log[i])
	}
}

// A dry run answers the resourceVersion that the object has, whatever it would
// change; what it says must come from the content.
func TestDryRunTellsChangeByContent(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"would change": {`{"kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"5"},"data":{"k":"desired"}}`, StatusConfigured},
		"would not":    {`{"kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"5"},"data":{"k":"live"}}`, StatusUnchanged},
	} {
		f := newFakeCluster()
		pf := facts(t, doc("v1", "ConfigMap", "a"), map[string]string{"a": "differs"})
		key := pf.Items[0].Key
		f.objects[key] = live.Record{Key: key, UID: pf.Items[0].UID, ResourceVersion: "5",
			Body: []byte(`{"kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"5"},"data":{"k":"live"}}`)}
		f.dryAnswer = map[string][]byte{"a": []byte(c.answer)}
		r := run(BuildPlan(pf))
		r.DryRun = true
		o := executor(f).Execute(t.Context(), r)
		if len(o.Results) != 1 || o.Results[0].Status != c.want {
			t.Errorf("%s: %+v, want %s", name, o.Results, c.want)
		}
	}
}

func TestGovernor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(2, time.Now)
		began := time.Now()
		tries := 0
		err := g.Do(t.Context(), func() error {
			if tries++; tries == 1 {
				return &RetryAfter{After: 7 * time.Second, Err: fault.New(fault.RateLimited, "throttled", "busy")}
			}
			return nil
		})
		if err != nil || tries != 2 || time.Since(began) < 7*time.Second {
			t.Errorf("%v after %d tries and %s", err, tries, time.Since(began))
		}
		tries = 0
		err = g.Do(t.Context(), func() error { tries++; return fault.New(fault.Unavailable, "x", "down") })
		if !fault.HasCode(err, "x") || tries != failedTries {
			t.Errorf("%v after %d tries", err, tries)
		}
		tries = 0
		err = g.Do(t.Context(), func() error { tries++; return fault.New(fault.Denied, "y", "no") })
		if !fault.HasCode(err, "y") || tries != 1 {
			t.Errorf("%v after %d tries", err, tries)
		}
	})
}
