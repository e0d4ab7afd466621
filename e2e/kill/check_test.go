package kill

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// A history is written as a list of steps with names, so that a broken one is
// the good one with a step left out, put elsewhere or done differently.

const (
	app     = "shop"
	uid     = model.AppUID("uid-shop")
	ns      = "shop"
	agent   = "agent"
	somebd  = "somebody"
	op      = "op-sync"
	opDel   = "op-delete"
	opAct   = "op-action"
	auto1   = "auto-uid-shop-g1"
	auto2   = "auto-uid-shop-g2"
	heal2   = "heal-uid-shop-g2"
	runAut1 = "run-1"
	runAut2 = "run-2"
	runOp   = "run-op"
	runDel  = "run-del"
)

func cm(name string) model.ObjectKey {
	return model.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: name}
}
func job(name string) model.ObjectKey {
	return model.ObjectKey{Group: "batch", Kind: "Job", Namespace: ns, Name: name}
}

var web = model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: ns, Name: "web"}

// pen writes a history.
type pen struct {
	h     History
	clock time.Time
	rv    int64
	uids  map[model.ObjectKey]string
	entry Entry
	n     int
}

func (p *pen) now() time.Time {
	p.clock = p.clock.Add(time.Millisecond)
	return p.clock
}

func (p *pen) request(r Request) {
	r.At = p.now()
	if r.User == "" {
		r.User = agent
	}
	if r.Code == 0 {
		r.Code = 200
	}
	p.rv++
	r.RV = p.rv
	p.h.Requests = append(p.h.Requests, r)
}

type as func(*Request)

func by(user string) as          { return func(r *Request) { r.User, r.Operation = user, "" } }
func inRun(run string) as        { return func(r *Request) { r.Run = run } }
func settled(r *Request)         { r.Settled = true }
func refused(r *Request)         { r.Code = 403 }
func generation(n int64) as      { return func(r *Request) { r.Generation = n } }
func precondition(uid string) as { return func(r *Request) { r.Precondition = uid } }
func uidOf(uid string) as        { return func(r *Request) { r.UID = uid } }

// make creates an object; what is no Deployment or Job is at rest.
func (p *pen) make(op string, k model.ObjectKey, content string, how ...as) {
	p.n++
	p.uids[k] = fmt.Sprintf("%s-%d", k.Name, p.n)
	r := Request{Verb: "patch", Operation: op, Key: k, Created: true, Code: 201, UID: p.uids[k], Content: content, TrackedBy: app, Settled: k.Kind == "ConfigMap"}
	if k.Kind == "Deployment" {
		r.Generation = 1
	}
	for _, h := range how {
		h(&r)
	}
	if r.User != "" && r.User != agent {
		r.TrackedBy = ""
	}
	p.request(r)
}

func (p *pen) change(op string, k model.ObjectKey, content string, how ...as) {
	r := Request{Verb: "patch", Operation: op, Key: k, UID: p.uids[k], Content: content, TrackedBy: app, Settled: k.Kind == "ConfigMap"}
	for _, h := range how {
		h(&r)
	}
	p.request(r)
}

func (p *pen) rest(k model.ObjectKey, content string, how ...as) {
	p.change("", k, content, append([]as{by("controller"), settled, func(r *Request) { r.Subresource = "status" }}, how...)...)
}

func (p *pen) remove(op string, k model.ObjectKey, how ...as) {
	r := Request{Verb: "delete", Operation: op, Key: k, Precondition: p.uids[k]}
	for _, h := range how {
		h(&r)
	}
	p.request(r)
}

// stored stores the journal after a change of the record.
func (p *pen) stored(change func(*Entry)) {
	change(&p.entry)
	e := p.entry
	e.At = p.now()
	e.Ended = slices.Clone(e.Ended)
	e.Inventory = maps.Clone(e.Inventory)
	p.h.Journal = append(p.h.Journal, e)
}

func (p *pen) own(keys ...model.ObjectKey) {
	p.stored(func(e *Entry) {
		for _, k := range keys {
			e.Inventory[k] = p.uids[k]
		}
	})
}

func (p *pen) said(id model.OperationID, phase model.OperationPhase, message string) {
	p.h.Said = append(p.h.Said, Statement{At: p.now(), ID: id, Phase: phase, Message: message})
}

func (p *pen) asked(id model.OperationID, kind model.OperationKind, spec model.OperationSpec) {
	p.h.Asked = append(p.h.Asked, Asked{At: p.now(), ID: id, Kind: kind, Spec: spec})
}

func (p *pen) mark(what string, k model.ObjectKey) {
	p.h.Marks = append(p.h.Marks, Mark{At: p.now(), What: what, Key: k})
}

func (p *pen) view(when string, objects ...Live) {
	p.h.Views = append(p.h.Views, View{At: p.now(), When: when, Objects: objects})
}

func (p *pen) live(k model.ObjectKey, content string) Live {
	return Live{Key: k, UID: p.uids[k], TrackedBy: app, Content: content}
}

func (p *pen) finish(id model.OperationID, phase model.OperationPhase, message string) {
	p.stored(func(e *Entry) { e.Operation, e.Ended = "", append(e.Ended, End{id, phase, message}) })
}

var (
	migrate  = Object{Key: job("migrate"), Phase: "PreSync", Hook: true, Keep: true, Content: "migrate"}
	migrate2 = Object{Key: job("migrate"), Phase: "PreSync", Hook: true, Keep: true, Content: "migrate 2"}
	check    = Object{Key: job("check-*"), Phase: "PostSync", Hook: true, Content: "check"}
	farewell = Object{Key: job("farewell"), Phase: "PreDelete", Hook: true, Keep: true, Content: "farewell"}
	last     = Object{Key: job("last"), Phase: "PostDelete", Hook: true, Keep: true, Content: "last"}
)

func plain(k model.ObjectKey, wave int, content string) Object {
	return Object{Key: k, Phase: "Sync", Wave: wave, Keep: true, Content: content}
}

func revisions(p *pen) []Revision {
	return []Revision{
		{p.now(), "c1", []Object{migrate, plain(cm("a"), 0, "a1"), plain(cm("old0"), 0, "o"), plain(cm("old1"), 1, "o"), plain(web, 1, "w1"), plain(cm("z"), 2, "z1"), check, farewell, last}},
		{p.now(), "c2", []Object{migrate2, plain(cm("a"), 0, "a2"), plain(web, 1, "w1"), plain(cm("z"), 2, "z1"), check, farewell, last}},
	}
}

type step struct {
	name string
	do   func(*pen)
}

// life is a whole good one: an automated sync with hooks and waves that is
// interrupted, a sync that was asked for and prunes, drift while the hub is away,
// an action, and a cascade.
func life() []step {
	return []step{
		{"commits", func(p *pen) { p.h.Revisions = revisions(p) }},
		{"foreign", func(p *pen) { p.make("", cm("foreign"), "f", by(somebd)) }},
		{"accept 1", func(p *pen) { p.stored(func(e *Entry) { e.Commit, e.Generation = "c1", 1 }) }},
		{"namespace", func(p *pen) {
			p.request(Request{Verb: "patch", Operation: auto1, Key: model.ObjectKey{Kind: "Namespace", Name: ns}, Code: 201, Created: true})
		}},
		{"presync 1", func(p *pen) { p.make(auto1, job("migrate"), "migrate", inRun(runAut1)) }},
		{"presync 1 done", func(p *pen) { p.rest(job("migrate"), "migrate", inRun(runAut1)) }},
		{"a 1", func(p *pen) { p.make(auto1, cm("a"), "a1") }},
		{"a again", func(p *pen) { p.change(auto1, cm("a"), "a1") }}, // after a restart: nothing changes
		{"old0", func(p *pen) { p.make(auto1, cm("old0"), "o") }},
		{"old1", func(p *pen) { p.make(auto1, cm("old1"), "o") }},
		{"web 1", func(p *pen) { p.make(auto1, web, "w1") }},
		{"web rests", func(p *pen) { p.rest(web, "w1", generation(1)) }},
		{"z 1", func(p *pen) { p.make(auto1, cm("z"), "z1") }},
		{"postsync 1", func(p *pen) { p.make(auto1, job("check-1"), "check", inRun(runAut1)) }},
		{"postsync 1 done", func(p *pen) { p.rest(job("check-1"), "check", inRun(runAut1)) }},
		{"postsync 1 gone", func(p *pen) { p.remove(auto1, job("check-1")) }},
		{"own", func(p *pen) { p.own(cm("a"), cm("old0"), cm("old1"), web, cm("z")) }},
		{"view 1", func(p *pen) {
			p.view(Converged, p.live(cm("a"), "a1"), p.live(cm("old0"), "o"), p.live(cm("old1"), "o"), p.live(web, "w1"), p.live(cm("z"), "z1"),
				Live{Key: cm("foreign"), UID: p.uids[cm("foreign")], Content: "f"}, Live{Key: job("migrate"), Run: runAut1, TrackedBy: app})
			p.h.Revisions[1].At = p.now()
		}},
		{"accept 2", func(p *pen) { p.stored(func(e *Entry) { e.Commit, e.Generation = "c2", 2 }) }},
		{"ask", func(p *pen) { p.asked(op, model.OperationSync, model.OperationSpec{Prune: true}) }},
		{"queued", func(p *pen) { p.said(op, model.PhaseQueued, "") }},
		{"accept op", func(p *pen) { p.stored(func(e *Entry) { e.Operation = op }) }},
		{"running", func(p *pen) { p.said(op, model.PhaseRunning, "") }},
		{"presync 2 room", func(p *pen) { p.remove(op, job("migrate")) }},
		{"presync 2", func(p *pen) { p.make(op, job("migrate"), "migrate 2", inRun(runOp)) }},
		{"presync 2 done", func(p *pen) { p.rest(job("migrate"), "migrate 2", inRun(runOp)) }},
		{"a 2", func(p *pen) { p.change(op, cm("a"), "a2") }},
		{"prune old1", func(p *pen) { p.remove(op, cm("old1")) }},
		{"prune old0", func(p *pen) { p.remove(op, cm("old0")) }},
		{"postsync 2", func(p *pen) { p.make(op, job("check-2"), "check", inRun(runOp)) }},
		{"postsync 2 done", func(p *pen) { p.rest(job("check-2"), "check", inRun(runOp)) }},
		{"postsync 2 gone", func(p *pen) { p.remove(op, job("check-2")) }},
		{"finish op", func(p *pen) { p.finish(op, model.PhaseSucceeded, "done") }},
		{"told", func(p *pen) { p.said(op, model.PhaseSucceeded, "done") }},
		{"told again", func(p *pen) { p.said(op, model.PhaseSucceeded, "done") }},
		{"pruned", func(p *pen) {
			p.stored(func(e *Entry) { delete(e.Inventory, cm("old0")); delete(e.Inventory, cm("old1")) })
		}},
		{"cut", func(p *pen) { p.mark(Cut, model.ObjectKey{}) }},
		{"drift", func(p *pen) { p.change("", cm("a"), "mutiny", by(somebd)) }},
		{"drifted", func(p *pen) { p.mark(Drifted, cm("a")) }},
		{"heal", func(p *pen) { p.change(heal2, cm("a"), "a2") }},
		{"joined", func(p *pen) { p.mark(Joined, model.ObjectKey{}) }},
		{"ask action", func(p *pen) { p.asked(opAct, model.OperationAction, model.OperationSpec{}) }},
		{"accept action", func(p *pen) { p.stored(func(e *Entry) { e.Operation = opAct }) }},
		{"action", func(p *pen) { p.change(opAct, web, "w1", generation(2)) }},
		{"action rests", func(p *pen) { p.rest(web, "w1", generation(2)) }},
		{"finish action", func(p *pen) { p.finish(opAct, model.PhaseSucceeded, "restarted") }},
		{"told action", func(p *pen) { p.said(opAct, model.PhaseSucceeded, "restarted") }},
		{"view 2", func(p *pen) {
			p.view(Converged, p.live(cm("a"), "a2"), p.live(web, "w1"), p.live(cm("z"), "z1"), Live{Key: cm("foreign"), UID: p.uids[cm("foreign")], Content: "f"})
		}},
		{"ask delete", func(p *pen) { p.asked(opDel, model.OperationDelete, model.OperationSpec{Cascade: true}) }},
		{"accept delete", func(p *pen) { p.stored(func(e *Entry) { e.Withdraw = opDel }) }},
		{"predelete", func(p *pen) { p.make(opDel, job("farewell"), "farewell", inRun(runDel)) }},
		{"predelete done", func(p *pen) { p.rest(job("farewell"), "farewell", inRun(runDel)) }},
		{"delete z", func(p *pen) { p.remove(opDel, cm("z")) }},
		{"delete web", func(p *pen) { p.remove(opDel, web) }},
		{"delete a", func(p *pen) { p.remove(opDel, cm("a")) }},
		{"postdelete", func(p *pen) { p.make(opDel, job("last"), "last", inRun(runDel)) }},
		{"postdelete done", func(p *pen) { p.rest(job("last"), "last", inRun(runDel)) }},
		{"finish delete", func(p *pen) {
			p.stored(func(e *Entry) {
				*e = Entry{Gone: true, Ended: append(e.Ended, End{opDel, model.PhaseSucceeded, "3 objects deleted"})}
			})
		}},
		{"told delete", func(p *pen) { p.said(opDel, model.PhaseSucceeded, "3 objects deleted") }},
		{"view 3", func(p *pen) {
			p.view(Deleted, Live{Key: cm("foreign"), UID: p.uids[cm("foreign")], Content: "f"}, Live{Key: job("last"), UID: p.uids[job("last")], TrackedBy: app, Run: runDel})
		}},
	}
}

func write(steps []step) History {
	p := &pen{clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), uids: map[model.ObjectKey]string{}, entry: Entry{Inventory: map[model.ObjectKey]string{}},
		h: History{App: app, UID: uid, Namespace: ns, Agent: agent}}
	for _, s := range steps {
		s.do(p)
	}
	return p.h
}

func index(t *testing.T, steps []step, name string) int {
	t.Helper()
	i := slices.IndexFunc(steps, func(s step) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("there is no step %q", name)
	}
	return i
}

// The ways to break a history.
type breaking func(t *testing.T, steps []step) []step

func without(names ...string) breaking {
	return func(t *testing.T, steps []step) []step {
		for _, name := range names {
			i := index(t, steps, name)
			steps = slices.Delete(steps, i, i+1)
		}
		return steps
	}
}

func after(name string, do func(*pen)) breaking {
	return func(t *testing.T, steps []step) []step {
		return slices.Insert(steps, index(t, steps, name)+1, step{"broken", do})
	}
}

func instead(name string, do func(*pen)) breaking {
	return func(t *testing.T, steps []step) []step {
		steps[index(t, steps, name)].do = do
		return steps
	}
}

// move puts steps, which keep their order, behind another.
func move(behind string, names ...string) breaking {
	return func(t *testing.T, steps []step) []step {
		var moved []step
		for _, name := range names {
			i := index(t, steps, name)
			moved = append(moved, steps[i])
			steps = slices.Delete(steps, i, i+1)
		}
		return slices.Insert(steps, index(t, steps, behind)+1, moved...)
	}
}

func all(ways ...breaking) breaking {
	return func(t *testing.T, steps []step) []step {
		for _, w := range ways {
			steps = w(t, steps)
		}
		return steps
	}
}

func TestGoodHistoriesPass(t *testing.T) {
	for name, change := range map[string]breaking{
		"a whole life": all(),
		"an empty one": func(*testing.T, []step) []step { return nil },
		"a delete that is refused and done again": after("postsync 2 done", func(p *pen) { p.remove(op, job("check-2"), refused) }),
		"a hook that is looked for and refused, because it is there": after("presync 1", func(p *pen) {
			p.request(Request{Verb: "create", Operation: auto1, Key: job("migrate"), Code: 409})
		}),
		"somebody deletes an object and the agent makes it anew": after("heal", func(p *pen) {
			p.remove("", cm("z"), by(somebd))
			p.make(heal2, cm("z"), "z1")
		}),
		"an object that somebody spoils does not hold back later waves": after("web rests", func(p *pen) {
			p.change("", cm("a"), "mutiny", by(somebd))
		}),
		"a newer revision comes while an operation runs, which begins anew": all(
			move("presync 2", "accept 2"),
			instead("presync 2", func(p *pen) { p.make(op, job("migrate"), "migrate", inRun(runOp)) }),
			instead("presync 2 done", func(p *pen) {
				p.rest(job("migrate"), "migrate", inRun(runOp))
				p.remove(op, job("migrate"))
				p.make(op, job("migrate"), "migrate 2", inRun(runOp+"-2"))
				p.rest(job("migrate"), "migrate 2", inRun(runOp+"-2"))
			}),
			instead("postsync 2", func(p *pen) { p.make(op, job("check-2"), "check", inRun(runOp+"-2")) }),
			instead("postsync 2 done", func(p *pen) { p.rest(job("check-2"), "check", inRun(runOp+"-2")) })),
		"the end is told late":                 move("joined", "told", "told again"),
		"half a delete of a process that died": after("prune old1", func(p *pen) { p.remove(op, cm("old0"), precondition(""), func(r *Request) { r.Code = 500 }) }),
		"an event of the agent": after("a 1", func(p *pen) {
			p.request(Request{Verb: "create", Key: model.ObjectKey{Kind: "Event", Namespace: ns, Name: "x"}})
		}),
		"a write that is refused":  after("a 1", func(p *pen) { p.change(auto1, cm("z"), "z1", refused) }),
		"a hook is gone by itself": all(after("postsync 2 done", func(p *pen) { p.remove("", job("check-2"), by("controller")) })),
		"the event stream is behind the answers": all(
			instead("told", func(p *pen) {
				p.h.Said = append(p.h.Said, Statement{At: p.now(), Asked: true, ID: op, Phase: model.PhaseSucceeded, Message: "done"})
			}),
			after("told", func(p *pen) { p.said(op, model.PhaseRunning, "") })),
		"a hook is swept away before the journal knows of it": after("presync 1 done", func(p *pen) {
			p.remove("", job("migrate"), by(somebd))
			p.make(auto1, job("migrate"), "migrate", inRun(runAut1))
			p.rest(job("migrate"), "migrate", inRun(runAut1))
		}),
		"an operation is superseded": all(after("told", func(p *pen) {
			p.asked("op-late", model.OperationSync, model.OperationSpec{})
			p.said("op-late", model.PhaseSuperseded, "newer")
		})),
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range Check(write(change(t, life()))) {
				t.Error(v)
			}
		})
	}
}

func TestBrokenHistoriesAreNamed(t *testing.T) {
	broken := []struct {
		name string
		rule string
		bend breaking
	}{
		{"an operation never ends", EndedOnce, without("told", "told again")},
		{"an operation ends twice", EndedOnce, after("told", func(p *pen) { p.said(op, model.PhaseFailed, "wave failed") })},
		{"an ended operation runs again", EndedOnce, after("told", func(p *pen) { p.said(op, model.PhaseRunning, "") })},
		{"an answer takes an end back", EndedOnce, after("told", func(p *pen) {
			for _, phase := range []model.OperationPhase{model.PhaseSucceeded, model.PhaseRunning} {
				p.h.Said = append(p.h.Said, Statement{At: p.now(), Asked: true, ID: op, Phase: phase, Message: "done"})
			}
		})},
		{"an answer tells another end than the stream", EndedOnce, after("told", func(p *pen) {
			p.h.Said = append(p.h.Said, Statement{At: p.now(), Asked: true, ID: op, Phase: model.PhaseFailed, Message: "done"})
		})},
		{"an end gets another message", EndedOnce, after("told", func(p *pen) { p.said(op, model.PhaseSucceeded, "1 configured") })},
		{"the journal changes an end", EndedOnce, after("told", func(p *pen) {
			p.stored(func(e *Entry) { e.Ended = []End{{op, model.PhaseFailed, "no"}} })
		})},
		{"the journal takes an ended operation on again", EndedOnce, after("told", func(p *pen) { p.stored(func(e *Entry) { e.Operation = op }) })},
		{"the hub tells another end", ToldTrue, all(instead("told", func(p *pen) { p.said(op, model.PhaseFailed, "no") }), without("told again"))},
		{"the hub never hears of an end", ToldTrue, after("told", func(p *pen) { p.finish("op-x", model.PhaseSucceeded, "done") })},
		{"an object is written before the desired state is durable", DurableFirst, move("old0", "accept 1")},
		{"an operation acts before it is durable", DurableFirst, move("presync 2 room", "accept op")},
		{"a cascade begins before the withdrawal is durable", DurableFirst, move("delete z", "accept delete")},
		{"an operation writes after its end", NothingAfter, after("finish op", func(p *pen) { p.change(op, cm("a"), "a2") })},
		{"an operation deletes after its end", NothingAfter, move("finish op", "postsync 2 gone")},
		{"a hook is created again after a restart", HookOnce, after("presync 1 done", func(p *pen) {
			p.make(auto1, job("migrate"), "migrate", inRun(runAut1))
		})},
		{"a hook that the journal knows is created again after somebody deleted it", HookOnce, after("presync 1 done", func(p *pen) {
			p.stored(func(e *Entry) { e.Hooks = []string{p.uids[job("migrate")]} })
			p.remove("", job("migrate"), by(somebd))
			p.make(auto1, job("migrate"), "migrate", inRun(runAut1))
		})},
		{"a hook with a generated name is created twice in a run", HookOnce, after("postsync 2", func(p *pen) { p.make(op, job("check-3"), "check", inRun(runOp)) })},
		{"a hook does not say its run", HookOnce, instead("presync 1", func(p *pen) { p.make(auto1, job("migrate"), "migrate") })},
		{"a hook is changed while it runs", HookOnce, after("presync 1", func(p *pen) { p.change(auto1, job("migrate"), "other", inRun(runAut1)) })},
		{"two hooks have one uid", HookOnce, instead("postsync 1", func(p *pen) {
			p.make(auto1, job("check-1"), "check", inRun(runAut1), uidOf("migrate-2"))
		})},
		{"the sync does not wait for its PreSync hook", HookOrder, move("a 1", "presync 1 done")},
		{"the PreSync hook is left out", HookOrder, without("presync 2 room", "presync 2", "presync 2 done")},
		{"the PostSync hook comes before the last wave", HookOrder, move("postsync 1", "z 1")},
		{"the PostSync hook does not wait for health", HookOrder, all(move("postsync 1", "web rests"), without("z 1"))},
		{"a newer revision is deployed behind the hook of the older one", HookOrder, all(
			move("presync 2", "accept 2"),
			instead("presync 2", func(p *pen) { p.make(op, job("migrate"), "migrate", inRun(runOp)) }),
			instead("presync 2 done", func(p *pen) { p.rest(job("migrate"), "migrate", inRun(runOp)) }))},
		{"a self-heal runs hooks", HookOrder, after("drifted", func(p *pen) { p.make(heal2, job("check-9"), "check", inRun("run-9")) })},
		{"a prune comes before the PreSync hook has succeeded", HookOrder, move("prune old1", "presync 2 done")},
		{"the cascade does not wait for the PreDelete hook", HookOrder, move("delete z", "predelete done")},
		{"the PostDelete hook does not wait for the cascade", HookOrder, move("delete web", "postdelete")},
		{"a wave does not wait for the one before", WaveOrder, move("web 1", "old0")},
		{"a wave does not wait for health", WaveOrder, move("z 1", "web rests")},
		{"pruning does not wait for the waves", WaveOrder, move("prune old0", "a 2")},
		{"pruning goes in the order of applying", WaveOrder, move("prune old0", "prune old1")},
		{"the cascade goes in the order of applying", WaveOrder, move("delete a", "delete z")},
		{"an object that is in no revision", InPlan, after("a 1", func(p *pen) { p.make(auto1, cm("extra"), "e") })},
		{"content that is in no revision", InPlan, instead("heal", func(p *pen) { p.change(heal2, cm("a"), "a3") })},
		{"a write without an operation", InPlan, after("a 1", func(p *pen) { p.change("", cm("a"), "a1") })},
		{"a write for an operation that there is not", InPlan, after("a 1", func(p *pen) { p.change("op-nobody", cm("a"), "a1") })},
		{"another application's operation", InPlan, after("a 1", func(p *pen) { p.change("auto-uid-other-g1", cm("a"), "a1") })},
		{"a write in another namespace", InPlan, after("a 1", func(p *pen) {
			p.make(auto1, model.ObjectKey{Kind: "ConfigMap", Namespace: "kube-system", Name: "a"}, "a1")
		})},
		{"everything in a namespace is deleted at once", InPlan, after("a 1", func(p *pen) {
			p.request(Request{Verb: "deletecollection", Operation: auto1, Key: cm("")})
		})},
		{"a delete without an operation", DeleteExplained, instead("prune old0", func(p *pen) { p.remove("", cm("old0")) })},
		{"a delete without a uid", DeleteExplained, instead("prune old0", func(p *pen) { p.remove(op, cm("old0"), precondition("")) })},
		{"a delete of somebody else's object", DeleteExplained, after("prune old0", func(p *pen) { p.remove(op, cm("foreign")) })},
		{"a delete of an object that somebody made anew", DeleteExplained, instead("prune old0", func(p *pen) {
			p.remove("", cm("old0"), by(somebd))
			p.make("", cm("old0"), "theirs", by(somebd))
			p.remove(op, cm("old0"))
		})},
		{"a delete of what is still desired", DeleteExplained, after("finish op", func(p *pen) { p.remove(auto2, cm("a")) })},
		{"a delete because nothing was heard", DeleteExplained, after("joined", func(p *pen) { p.remove(heal2, cm("a")) })},
		{"a prune that was not asked for", DeleteExplained, instead("ask", func(p *pen) { p.asked(op, model.OperationSync, model.OperationSpec{}) })},
		{"a prune of what the inventory does not name", DeleteExplained, instead("own", func(p *pen) { p.own(cm("a"), cm("old1"), web, cm("z")) })},
		{"a delete of what was to be left", DeleteExplained, instead("ask delete", func(p *pen) { p.asked(opDel, model.OperationDelete, model.OperationSpec{}) })},
		{"a hook is deleted while it runs", DeleteExplained, move("postsync 2", "postsync 2 gone")},
		{"the namespace is deleted", DeleteExplained, after("delete a", func(p *pen) {
			p.request(Request{Verb: "delete", Operation: opDel, Key: model.ObjectKey{Kind: "Namespace", Name: ns}, Precondition: "x"})
		})},
		{"an object is changed although it is as desired", ChangedOnce, after("joined", func(p *pen) { p.change(heal2, web, "w1", generation(7)) })},
		{"an object goes back to an older revision", ChangedOnce, after("finish op", func(p *pen) { p.change(auto1, cm("a"), "a1") })},
		{"an action is carried out twice", ChangedOnce, after("action", func(p *pen) { p.change(opAct, web, "w1", generation(3)) })},
		{"an object is missing in the end", AsInGit, instead("view 2", func(p *pen) { p.view(Converged, p.live(cm("a"), "a2"), p.live(web, "w1")) })},
		{"an object is not as in Git", AsInGit, instead("view 2", func(p *pen) {
			p.view(Converged, p.live(cm("a"), "a1"), p.live(web, "w1"), p.live(cm("z"), "z1"))
		})},
		{"an object is not pruned", AsInGit, instead("view 2", func(p *pen) {
			p.view(Converged, p.live(cm("a"), "a2"), p.live(web, "w1"), p.live(cm("z"), "z1"), p.live(cm("old0"), "o"))
		})},
		{"a hook that should be gone is there", AsInGit, instead("view 2", func(p *pen) {
			p.view(Converged, p.live(cm("a"), "a2"), p.live(web, "w1"), p.live(cm("z"), "z1"), Live{Key: job("check-2"), TrackedBy: app, Run: runOp})
		})},
		{"somebody else's object is gone", AllGone, instead("view 3", func(p *pen) { p.view(Deleted) })},
		{"an object is left behind by the cascade", AllGone, instead("view 3", func(p *pen) {
			p.view(Deleted, Live{Key: cm("foreign"), UID: p.uids[cm("foreign")]}, p.live(cm("a"), "a2"))
		})},
		{"drift is healed only when the hub is back", HealedAlone, move("joined", "heal")},
		{"drift is not healed", HealedAlone, without("heal")},
	}
	named := map[string]int{}
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			found := Check(write(b.bend(t, life())))
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == b.rule }) {
				t.Errorf("not found to break %q: %v", b.rule, found)
			}
		})
		named[b.rule]++
	}
	for _, rule := range Rules {
		if named[rule] == 0 {
			t.Errorf("no history breaks the rule %q", rule)
		}
	}
	t.Logf("%d broken histories over %d rules", len(broken), len(Rules))
}

func TestStrayWrites(t *testing.T) {
	at := func(namespace, kind, name string) Request {
		return Request{User: agent, Verb: "patch", Key: model.ObjectKey{Kind: kind, Namespace: namespace, Name: name}}
	}
	good := []Request{at(ns, "ConfigMap", "a"), at("agents", "Secret", "hawser-state-00"), at("agents", "Lease", "hawser-agent"), at("", "Namespace", ns), at("", "Namespace", "agents"),
		{User: somebd, Verb: "delete", Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "kube-system"}}}
	if found := Stray(agent, "agents", []string{ns}, good); len(found) > 0 {
		t.Errorf("%v", found)
	}
	for _, r := range []Request{at("kube-system", "ConfigMap", "a"), at("agents", "Secret", "other"), at("agents", "ConfigMap", "a"), at("", "Namespace", "other"), at("", "ClusterRole", "admin")} {
		if found := Stray(agent, "agents", []string{ns}, []Request{r}); len(found) != 1 {
			t.Errorf("%s: %v", r.Key, found)
		}
	}
}
