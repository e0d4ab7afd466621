package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// memory is a HookMemory.
type memory struct {
	mu      gosync.Mutex
	made    []string
	ended   []HookEnd
	settled int
	broken  error
}

func (m *memory) Made(h HookStart, _ string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made = append(m.made, h.Key.Name+" "+h.UID)
}

func (m *memory) Ended(e HookEnd) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = append(m.ended, e)
}

func (m *memory) Settle(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled++
	return m.broken
}

func jobKey(name string) model.ObjectKey {
	return model.ObjectKey{Group: "batch", Kind: "Job", Namespace: "ns", Name: name}
}

// hookRun starts the plan of yaml in a cluster where Jobs run until they are told
// to end.
type hookRun struct {
	t    *testing.T
	f    *fakeCluster
	m    *memory
	done chan Outcome
	ctx  context.Context
}

func startHooks(t *testing.T, f *fakeCluster, yaml string, change func(*PlanFacts), edit func(*Run)) *hookRun {
	h := &hookRun{t: t, f: f, m: &memory{}, done: make(chan Outcome, 1), ctx: t.Context()}
	f.health = func(k model.ObjectKey) model.Health {
		if k.Kind == "Job" {
			return model.HealthProgressing
		}
		return model.HealthHealthy
	}
	pf := facts(t, yaml, nil)
	if change != nil {
		change(&pf)
	}
	r := run(BuildPlan(pf))
	r.Hooks = h.m
	if edit != nil {
		edit(&r)
	}
	go func() { h.done <- executor(f).Execute(h.ctx, r) }()
	synctest.Wait()
	return h
}

func (h *hookRun) end(name string, health model.Health) {
	h.f.setHealth(jobKey(name), health)
	synctest.Wait()
}

func (h *hookRun) writes() string {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	var out []string
	for _, l := range h.f.log {
		verb, rest, _ := strings.Cut(l, " ")
		name := strings.Fields(rest)[1]
		out = append(out, verb+" "+name[strings.LastIndexByte(name, '/')+1:])
	}
	return strings.Join(out, ", ")
}

func phases() string {
	return doc("batch/v1", "Job", "pre", "hook: PreSync") + doc("v1", "ConfigMap", "c") + doc("batch/v1", "Job", "post", "hook: PostSync") + doc("batch/v1", "Job", "alarm", "hook: SyncFail")
}

func TestPhasesWaitForTheirHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHooks(t, newFakeCluster(), phases(), nil, nil)
		if w := h.writes(); w != "create pre" {
			t.Fatalf("while PreSync runs: %s", w)
		}
		h.end("pre", model.HealthHealthy)
		if w := h.writes(); w != "create pre, apply c, create post" {
			t.Fatalf("after PreSync: %s", w)
		}
		h.end("post", model.HealthHealthy)
		o := <-h.done
		if got := statuses(o); got != "pre Succeeded, c Created, post Succeeded" || o.Failed != 0 || len(o.Hooks) != 2 || len(h.m.ended) != 2 || len(h.m.made) != 2 {
			t.Errorf("%s, %+v, memory %+v", got, o, h.m)
		}
		if r := o.Results[0]; r.Phase != "PreSync" || r.HookPhase != HookPhaseSucceeded {
			t.Errorf("%+v", r)
		}
	})
}

func TestAFailedHookStopsTheSyncAndRunsSyncFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHooks(t, newFakeCluster(), phases(), nil, nil)
		h.end("pre", model.HealthDegraded)
		if w := h.writes(); w != "create pre, create alarm" {
			t.Fatalf("after a failure: %s", w)
		}
		h.end("alarm", model.HealthHealthy)
		o := <-h.done
		if got := statuses(o); got != "pre Failed, c Failed, post Failed, alarm Succeeded" || o.Failed != 3 || !fault.HasCode(o.Errs[0], "hook_failed") {
			t.Errorf("%s, %d failed, %v", got, o.Failed, o.Errs)
		}
	})
}

func TestAllHooksOfAWaveEndBeforeItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHooks(t, newFakeCluster(), doc("batch/v1", "Job", "a", "hook: PreSync")+doc("batch/v1", "Job", "b", "hook: PreSync")+doc("batch/v1", "Job", "d", "hook: PreSync", "sync-wave: '1'"), nil, nil)
		h.end("a", model.HealthDegraded)
		select {
		case <-h.done:
			t.Fatal("the run ended while a hook was under way")
		default:
		}
		h.end("b", model.HealthHealthy)
		if got := statuses(<-h.done); got != "a Failed, b Succeeded, d Failed" {
			t.Error(got)
		}
	})
}

// A hook that carries the mark of the run was started before an interruption: it
// is waited for and not started again. One that is recorded as ended is not even
// looked for.
func TestAnInterruptedRunStartsNoHookTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCluster()
		f.objects[jobKey("pre")] = live.Record{Key: jobKey("pre"), UID: "first", Run: RunMark("op-1", PhasePreSync), TrackingID: model.TrackingID("app", jobKey("pre")),
			Health: model.HealthFacet{Status: model.HealthProgressing}}
		h := startHooks(t, f, phases(), nil, nil)
		if w := h.writes(); w != "" {
			t.Fatalf("it was started again: %s", w)
		}
		h.end("pre", model.HealthHealthy)
		h.end("post", model.HealthHealthy)
		if o := <-h.done; o.Failed > 0 || h.m.ended[0].UID != "first" {
			t.Errorf("%+v", o)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := startHooks(t, newFakeCluster(), phases(), func(f *PlanFacts) {
			f.Ended = []HookEnd{{HookID: HookID{Phase: PhasePreSync, Key: jobKey("pre")}, UID: "gone by now", Succeeded: true}}
		}, nil)
		if w := h.writes(); w != "apply c, create post" {
			t.Fatalf("%s", w)
		}
		h.end("post", model.HealthHealthy)
		<-h.done
	})
}

func TestTheObjectOfAnOlderRunGoesFirst(t *testing.T) {
	old := func(policy string) (string, *fakeCluster) {
		f := newFakeCluster()
		for _, k := range []model.ObjectKey{jobKey("pre"), {Kind: "ConfigMap", Namespace: "ns", Name: "conf"}, {Kind: "PersistentVolumeClaim", Namespace: "ns", Name: "data"}} {
			f.objects[k] = live.Record{Key: k, UID: "old-" + k.Name, Run: RunMark("op-0", PhasePreSync), TrackingID: model.TrackingID("app", k), Health: model.HealthFacet{Status: model.HealthDegraded}}
		}
		yaml := doc("batch/v1", "Job", "pre", "hook: PreSync", policy) + doc("v1", "ConfigMap", "conf", "hook: PreSync", policy) + doc("v1", "PersistentVolumeClaim", "data", "hook: PreSync", policy)
		return yaml, f
	}
	for policy, want := range map[string]string{
		"hook-delete-policy: BeforeHookCreation": "apply data, create conf, create pre, delete conf, delete pre",
		// What can stand for this run is kept; a Job cannot. They have succeeded, so
		// they are deleted at the end.
		"hook-delete-policy: HookSucceeded": "apply conf, apply data, create pre, delete conf, delete pre, delete pre",
	} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				yaml, f := old(policy)
				f.deletes = true
				h := startHooks(t, f, yaml, nil, nil)
				h.end("pre", model.HealthHealthy)
				o := <-h.done
				got := strings.Split(h.writes(), ", ")
				slices.Sort(got)
				if o.Failed > 0 || strings.Join(got, ", ") != want {
					t.Errorf("%v, want %s, failed %v", got, want, o.Errs)
				}
			})
		})
	}
	t.Run("of another application", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			yaml, f := old("hook-delete-policy: BeforeHookCreation")
			rec := f.objects[jobKey("pre")]
			rec.TrackingID = model.TrackingID("other", jobKey("pre"))
			f.objects[jobKey("pre")] = rec
			f.deletes = true
			h := startHooks(t, f, yaml, nil, nil)
			if o := <-h.done; o.Failed != 1 || !fault.HasCode(o.Errs[0], "resource_owned") || strings.Contains(h.writes(), "delete pre") {
				t.Errorf("%s, %v", h.writes(), o.Errs)
			}
		})
	})
}

func TestHooksAreDeletedAsTheirPoliciesSay(t *testing.T) {
	for _, c := range []struct {
		policy  string
		end     model.Health
		deleted bool
	}{
		{"HookSucceeded", model.HealthHealthy, true},
		{"HookSucceeded", model.HealthDegraded, false},
		{"HookFailed", model.HealthHealthy, false},
		{"HookFailed", model.HealthDegraded, true},
		{"'HookFailed,HookSucceeded'", model.HealthHealthy, true},
		{"BeforeHookCreation", model.HealthHealthy, false},
	} {
		t.Run(fmt.Sprint(c.policy, c.end), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := startHooks(t, newFakeCluster(), doc("batch/v1", "Job", "pre", "hook: PreSync", "hook-delete-policy: "+c.policy), nil, nil)
				h.end("pre", c.end)
				<-h.done
				if got := strings.Contains(h.writes(), "delete pre"); got != c.deleted {
					t.Errorf("%s", h.writes())
				}
				if c.deleted && h.m.settled != 1 {
					t.Error("it was deleted before its end was durable")
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := startHooks(t, newFakeCluster(), doc("batch/v1", "Job", "pre", "hook: PreSync", "hook-delete-policy: HookSucceeded"), nil, nil)
		h.m.broken = errors.New("the journal is gone")
		h.end("pre", model.HealthHealthy)
		if o := <-h.done; !errors.Is(o.Stopped, h.m.broken) || strings.Contains(h.writes(), "delete") {
			t.Errorf("%v, %s", o.Stopped, h.writes())
		}
	})
}

// A Job may be removed by its time to live the moment it has ended. Its last state
// decides; without it the hook has failed, because nobody knows.
func TestAHookThatVanishes(t *testing.T) {
	for name, c := range map[string]struct {
		last live.Record
		seen bool
		want string
	}{
		"succeeded before":  {live.Record{UID: "uid-1", Health: model.HealthFacet{Status: model.HealthHealthy}}, true, "pre Succeeded"},
		"failed before":     {live.Record{UID: "uid-1", Health: model.HealthFacet{Status: model.HealthDegraded}}, true, "pre Failed"},
		"was still running": {live.Record{UID: "uid-1", Health: model.HealthFacet{Status: model.HealthProgressing}}, true, "pre Failed"},
		"another object":    {live.Record{UID: "uid-0", Health: model.HealthFacet{Status: model.HealthHealthy}}, true, "pre Failed"},
		"not seen":          {live.Record{}, false, "pre Failed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeCluster()
				h := startHooks(t, f, doc("batch/v1", "Job", "pre", "hook: PreSync"), nil, nil)
				if c.seen {
					f.gone = map[model.ObjectKey]live.Record{jobKey("pre"): c.last}
				}
				f.remove(jobKey("pre"))
				if got := statuses(<-h.done); got != c.want {
					t.Error(got)
				}
			})
		})
	}
}

func TestAStoppedRunTellsWhichHooksItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCluster()
		newer := errors.New("something newer")
		var give error
		h := startHooks(t, f, phases(), nil, func(r *Run) {
			r.Yield = func(hooks bool) error {
				if hooks {
					return give
				}
				return nil
			}
		})
		give = newer
		f.setHealth(jobKey("pre"), model.HealthProgressing)
		o := <-h.done
		if !errors.Is(o.Stopped, newer) || len(o.Running) != 1 || o.Running[0].Key != jobKey("pre") || o.Running[0].UID == "" {
			t.Errorf("stopped by %v, running %+v", o.Stopped, o.Running)
		}
		if w := h.writes(); w != "create pre" {
			t.Errorf("%s", w)
		}
	})
}

func TestADryRunStartsNoHook(t *testing.T) {
	f := newFakeCluster()
	r := run(BuildPlan(facts(t, phases(), nil)))
	r.DryRun = true
	o := executor(f).Execute(t.Context(), r)
	if got := statuses(o); got != "pre Skipped, c Created, post Skipped" {
		t.Error(got)
	}
	if i := slices.IndexFunc(f.log, func(l string) bool { return !strings.HasPrefix(l, "dry-run ") }); i >= 0 {
		t.Errorf("a dry run did %q", f.log[i])
	}
}

func TestGeneratedNamesAreThoseOfTheRun(t *testing.T) {
	yaml := "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: " + strings.Repeat("long-", 12) + ", annotations: {argocd.argoproj.io/hook: 'PreSync,PostSync'}}\n---\n" +
		"apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: " + strings.Repeat("long-", 12) + ", annotations: {argocd.argoproj.io/hook: PreSync}}\n"
	prepared := Prepare(Target{App: "app", Namespace: "ns"}, parse(t, yaml), scope)
	seen := map[string]bool{}
	for _, p := range prepared {
		if p.Err != nil || !p.Generated {
			t.Fatalf("%+v", p)
		}
		for _, phase := range p.Phases {
			for _, run := range []string{"op-1", "op-2"} {
				k := HookKey(p, run, phase)
				if k != HookKey(p, run, phase) || seen[k.Name] || len(k.Name) > 63 || !strings.HasPrefix(k.Name, "long-long-") || !strings.Contains(k.Name, "-"+strings.ToLower(string(phase))+"-") {
					t.Errorf("%s in %s: %s", phase, run, k.Name)
				}
				seen[k.Name] = true
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("%v", seen)
	}
	body := HookBody("app", HookKey(prepared[0], "op-1", PhasePreSync), parse(t, yaml)[0], "op-1", PhasePreSync)
	meta := body["metadata"].(map[string]any)
	if meta["generateName"] != nil || meta["name"] != HookKey(prepared[0], "op-1", PhasePreSync).Name || meta["annotations"].(map[string]any)[model.AnnotationRun] != "op-1/PreSync" {
		t.Errorf("%v", meta)
	}
}

// The object of an earlier phase is deleted for the later one only when the journal
// holds how the earlier ended: after a kill nothing else tells.
func TestAHookOfTwoPhasesIsSettledBetweenThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCluster()
		f.deletes = true
		h := startHooks(t, f, doc("batch/v1", "Job", "both", "hook: 'PreSync,PostSync'")+doc("v1", "ConfigMap", "c"), nil, nil)
		h.end("both", model.HealthHealthy)
		if w := h.writes(); w != "create both, apply c, delete both, create both" || h.m.settled != 1 {
			t.Errorf("%s, settled %d times", w, h.m.settled)
		}
		h.end("both", model.HealthHealthy)
		if o := <-h.done; o.Failed > 0 {
			t.Errorf("%+v", o)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCluster()
		f.deletes = true
		h := startHooks(t, f, doc("batch/v1", "Job", "both", "hook: 'PreSync,PostSync'")+doc("v1", "ConfigMap", "c"), nil, nil)
		h.m.broken = errors.New("the journal is gone")
		h.end("both", model.HealthHealthy)
		if o := <-h.done; !errors.Is(o.Stopped, h.m.broken) || strings.Contains(h.writes(), "delete") {
			t.Errorf("%v, %s", o.Stopped, h.writes())
		}
	})
}

// A hook that this run has started is never started again: not when its object is
// being deleted, and not when it is gone after an interruption.
func TestAHookThatVanishesDuringAnInterruption(t *testing.T) {
	yaml := doc("batch/v1", "Job", "pre", "hook: PreSync")
	started := func(f *PlanFacts) {
		f.Started = []HookStart{{HookID: HookID{Phase: PhasePreSync, Key: jobKey("pre")}, UID: "first"}}
	}
	mine := live.Record{Key: jobKey("pre"), UID: "first", Run: RunMark("op-1", PhasePreSync), TrackingID: model.TrackingID("app", jobKey("pre")), Health: model.HealthFacet{Status: model.HealthProgressing}}
	deleting, other := mine, mine
	deleting.Deleting = true
	other.UID, other.Run = "second", RunMark("op-7", PhasePreSync)
	for name, c := range map[string]struct {
		live  *live.Record
		gone  *live.Record
		facts func(*PlanFacts)
		want  string
	}{
		"it is gone":                  {nil, nil, started, "pre Failed"},
		"it is gone and had ended":    {nil, &live.Record{UID: "first", Health: model.HealthFacet{Status: model.HealthHealthy}}, started, "pre Succeeded"},
		"somebody has replaced it":    {&other, nil, started, "pre Failed"},
		"it is being deleted":         {&deleting, nil, nil, "pre Failed"},
		"it is there":                 {&mine, nil, started, "pre Failed"}, // removed below
		"it is there, not remembered": {&mine, nil, nil, "pre Failed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeCluster()
				f.deletes = true
				if c.live != nil {
					f.objects[jobKey("pre")] = *c.live
				}
				if c.gone != nil {
					f.gone = map[model.ObjectKey]live.Record{jobKey("pre"): *c.gone}
				}
				h := startHooks(t, f, yaml, c.facts, nil)
				f.remove(jobKey("pre"))
				if got := statuses(<-h.done); got != c.want || h.writes() != "" {
					t.Errorf("%s, writes %q", got, h.writes())
				}
			})
		})
	}
}

func TestEndingAHookKeepsData(t *testing.T) {
	f := newFakeCluster()
	for _, k := range []model.ObjectKey{jobKey("pre"), {Kind: "PersistentVolumeClaim", Namespace: "ns", Name: "data"}} {
		if err := executor(f).EndHook(t.Context(), RunningHook{HookID: HookID{Key: k}, UID: "u"}, "op"); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.log) != 1 || !strings.Contains(f.log[0], "pre") {
		t.Errorf("%v", f.log)
	}
}

// slowCreate answers a create after a while, unless its context ends before: then,
// as with a real server, nobody knows whether the object exists.
type slowCreate struct{ applier }

func (s slowCreate) Create(ctx context.Context, w Write) ([]byte, error) {
	answer, err := s.applier.Create(ctx, w)
	select {
	case <-time.After(10 * time.Second):
		return answer, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestARunThatEndsWhileAHookIsMadeKnowsTheHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m := newFakeCluster(), &memory{}
		f.health = func(model.ObjectKey) model.Health { return model.HealthProgressing }
		e := executor(f)
		e.Applier = slowCreate{applier{f}}
		ended := errors.New("ended on request")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(ended) })
		r := run(BuildPlan(facts(t, phases(), nil)))
		r.Hooks = m
		o := e.Execute(ctx, r)
		if !errors.Is(o.Stopped, ended) || len(o.Running) != 1 || o.Running[0].UID == "" || len(m.made) != 1 {
			t.Errorf("stopped by %v, running %+v, made %v", o.Stopped, o.Running, m.made)
		}
	})
}
