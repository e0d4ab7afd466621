package kill

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// The rules that Check holds a history to.
const (
	// EndedOnce: every operation that was accepted ends exactly once, and what
	// hub and agent say of its end never changes.
	EndedOnce = "ended once"
	// ToldTrue: the hub tells the end that the agent has recorded.
	ToldTrue = "told true"
	// DurableFirst: nothing is written for a desired state, operation or
	// withdrawal before the journal holds it.
	DurableFirst = "durable first"
	// NothingAfter: nothing is written for an operation whose end is recorded.
	NothingAfter = "nothing after the end"
	// HookOnce: a hook is created at most once in a run, and says which run; unless
	// somebody deletes it before the journal can know of it.
	HookOnce = "hook once"
	// HookOrder: no hook, and nothing after a hook, before what comes before it
	// is complete.
	HookOrder = "hook order"
	// WaveOrder: no object before those of earlier waves are in place; objects go
	// in the reverse order.
	WaveOrder = "wave order"
	// InPlan: the agent writes objects of accepted revisions, as they are there,
	// for an operation that there is, and nothing else.
	InPlan = "in plan"
	// DeleteExplained: a delete names its operation and a uid that is ours, and
	// the object is no longer desired, or withdrawn, or a hook whose time is over.
	DeleteExplained = "delete explained"
	// ChangedOnce: an object changes once for each intended change, and never back
	// to an older revision.
	ChangedOnce = "changed once"
	// AsInGit: when the hub says that all is well, the namespace is as in Git.
	AsInGit = "as in git"
	// AllGone: after a cascade nothing of the application is left, and nothing of
	// others is missing.
	AllGone = "all gone"
	// HealedAlone: drift is put right while the hub is away.
	HealedAlone = "healed alone"
)

// Rules are all of them.
var Rules = []string{EndedOnce, ToldTrue, DurableFirst, NothingAfter, HookOnce, HookOrder, WaveOrder, InPlan, DeleteExplained, ChangedOnce, AsInGit, AllGone, HealedAlone}

// Violation is a broken rule.
type Violation struct {
	Rule    string
	At      time.Time
	Message string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: %s (%s)", v.Rule, v.Message, v.At.Format(time.StampMicro))
}

// Check judges a history. It is pure.
func Check(h History) []Violation {
	c := &checker{h: h, objects: map[model.ObjectKey]*object{}, ours: map[string]bool{}, hooks: map[hookRun]madeHook{}, uids: map[string]model.ObjectKey{}, run: map[string]string{}}
	c.operations()
	for _, r := range h.Requests {
		c.request(r)
	}
	c.views()
	c.alone()
	return c.out
}

// checker replays a history.
type checker struct {
	h   History
	out []Violation

	entry   int // the newest journal entry before the request
	objects map[model.ObjectKey]*object
	ours    map[string]bool // uids that the agent has written
	hooks   map[hookRun]madeHook
	uids    map[string]model.ObjectKey // of hooks
	run     map[string]string          // operation: the run of its newest hook
}

// object is what is known of an object at a time.
type object struct {
	present    bool
	uid        string
	content    string
	generation int64
	// mine: the agent was the last to change the content, at revision rev.
	mine bool
	rev  int
	// rested: it has come to rest since its content changed.
	rested bool
	run    string // of a hook
	// operation that the agent wrote it for last.
	operation string
	tracked   string
	foreign   bool   // somebody else made it
	dead      string // the uid whose deletion was accepted
}

type hookRun struct{ object, run string }

type madeHook struct{ uid, content string }

func (c *checker) fail(rule string, at time.Time, format string, args ...any) {
	c.out = append(c.out, Violation{rule, at, fmt.Sprintf(format, args...)})
}

// operations holds what hub and journal say against each other.
func (c *checker) operations() {
	ended := map[model.OperationID]Statement{}
	type voice struct {
		id    model.OperationID
		asked bool
	}
	over := map[voice]bool{}
	for _, s := range c.h.Said {
		end, known := ended[s.ID]
		switch v := (voice{s.ID, s.Asked}); {
		case s.Phase.Terminal() && !known:
			ended[s.ID], over[v] = s, true
		case s.Phase.Terminal() && s.Phase == end.Phase && s.Message == end.Message:
			over[v] = true
		case s.Phase.Terminal(), over[v]:
			c.fail(EndedOnce, s.At, "operation %s had ended as %s (%s), and then was %s (%s)", s.ID, end.Phase, end.Message, s.Phase, s.Message)
		}
	}
	for _, a := range c.h.Asked {
		if _, ok := ended[a.ID]; !ok {
			c.fail(EndedOnce, a.At, "operation %s was accepted and has not ended", a.ID)
		}
	}
	kept := map[model.OperationID]End{}
	for _, e := range c.h.Journal {
		for _, end := range e.Ended {
			before, ok := kept[end.ID]
			if ok && before != end {
				c.fail(EndedOnce, e.At, "the journal had operation %s as %s (%s), and then as %s (%s)", end.ID, before.Phase, before.Message, end.Phase, end.Message)
				continue
			}
			kept[end.ID] = end
			if told, ok := ended[end.ID]; !ok && !before.Phase.Terminal() {
				c.fail(ToldTrue, e.At, "operation %s has ended at the agent as %s, which the hub does not say", end.ID, end.Phase)
			} else if ok && !before.Phase.Terminal() && (told.Phase != end.Phase || told.Message != end.Message) {
				c.fail(ToldTrue, e.At, "operation %s has ended at the agent as %s (%s), the hub says %s (%s)", end.ID, end.Phase, end.Message, told.Phase, told.Message)
			}
		}
		if end, ok := kept[e.Operation]; ok && e.Operation != "" {
			c.fail(EndedOnce, e.At, "operation %s is under way at the agent, where it had ended as %s", e.Operation, end.Phase)
		}
	}
}

// request judges one write and takes it in.
func (c *checker) request(r Request) {
	for c.entry < len(c.h.Journal) && c.h.Journal[c.entry].At.Before(r.At) {
		c.entry++
	}
	if r.User == c.h.Agent && r.Subresource != "status" {
		c.agent(r)
	}
	if r.OK() {
		c.take(r)
	}
}

// before are the journal's entries that were stored before the request.
func (c *checker) before() []Entry { return c.h.Journal[:c.entry] }

// present is the newest of them.
func (c *checker) present() Entry {
	if c.entry == 0 {
		return Entry{}
	}
	return c.h.Journal[c.entry-1]
}

func (c *checker) revision(commit string) int {
	return slices.IndexFunc(c.h.Revisions, func(r Revision) bool { return r.Commit == commit && commit != "" })
}

// duty is why the agent writes.
type duty struct {
	kind duties
	// revisions that it may be about, as indexes, newest last.
	revisions []int
	spec      model.OperationSpec
}

type duties int

const (
	unknown duties = iota
	syncing        // by itself or because somebody asked
	healing
	acting
	deleting
)

var byItself = regexp.MustCompile(`^(auto|heal)-(.+)-g(\d+)(\D|$)`)

// dutyOf finds what an operation is and whether it may be carried out yet.
func (c *checker) dutyOf(r Request) duty {
	if m := byItself.FindStringSubmatch(r.Operation); m != nil && m[2] == string(c.h.UID) {
		g, err := strconv.ParseInt(m[3], 10, 64)
		at := slices.IndexFunc(c.before(), func(e Entry) bool { return e.Generation == g })
		if err != nil || at < 0 {
			c.fail(DurableFirst, r.At, "%s %s for generation %s, which the journal does not hold", r.Verb, r.Key, m[3])
			return duty{}
		}
		d := duty{kind: syncing, revisions: []int{c.revision(c.before()[at].Commit)}}
		if m[1] == "heal" {
			d.kind = healing
		}
		return d
	}
	i := slices.IndexFunc(c.h.Asked, func(a Asked) bool { return string(a.ID) == r.Operation })
	if i < 0 {
		c.fail(InPlan, r.At, "%s %s for operation %q, which there is not", r.Verb, r.Key, r.Operation)
		return duty{}
	}
	a := c.h.Asked[i]
	if !slices.ContainsFunc(c.before(), func(e Entry) bool { return e.Operation == a.ID || e.Withdraw == a.ID }) {
		c.fail(DurableFirst, r.At, "%s %s for operation %s, which the journal does not hold", r.Verb, r.Key, a.ID)
	}
	for _, e := range c.before() {
		if slices.ContainsFunc(e.Ended, func(end End) bool { return end.ID == a.ID }) {
			c.fail(NothingAfter, r.At, "%s %s for operation %s, whose end was recorded at %s", r.Verb, r.Key, a.ID, e.At.Format(time.StampMicro))
			break
		}
	}
	d := duty{kind: map[model.OperationKind]duties{model.OperationSync: syncing, model.OperationAction: acting, model.OperationDelete: deleting}[a.Kind], spec: a.Spec}
	// The state that was held when it was taken on, and those that came since.
	taken := false
	for _, e := range c.before() {
		taken = taken || e.Operation == a.ID || e.Withdraw == a.ID
		if rev := c.revision(e.Commit); rev >= 0 && taken && !slices.Contains(d.revisions, rev) {
			d.revisions = append(d.revisions, rev)
		}
	}
	return d
}

// agent judges a write of the agent.
func (c *checker) agent(r Request) {
	switch {
	case r.Key.Kind == "Event":
		return
	case r.Verb == "deletecollection":
		c.fail(InPlan, r.At, "%s of %s", r.Verb, r.Key)
		return
	case r.Operation == "" && r.Verb == "delete":
		c.fail(DeleteExplained, r.At, "%s is deleted without an operation", r.Key)
		return
	case r.Operation == "":
		c.fail(InPlan, r.At, "%s %s without an operation", r.Verb, r.Key)
		return
	case r.Key == (model.ObjectKey{Kind: "Namespace", Name: c.h.Namespace}):
		if r.Verb == "delete" {
			c.fail(DeleteExplained, r.At, "the namespace is deleted, which is nobody's object")
		}
		c.dutyOf(r)
		return
	case r.Key.Namespace != c.h.Namespace:
		c.fail(InPlan, r.At, "%s %s, outside of the application's namespace", r.Verb, r.Key)
		return
	}
	d := c.dutyOf(r)
	if d.kind == unknown {
		return
	}
	if r.Verb == "delete" {
		c.deletion(r, d)
		return
	}
	if !r.OK() {
		return // refused: nothing came of it
	}
	o, rev := c.desired(r.Key, d.revisions)
	switch {
	case d.kind == acting:
		c.action(r)
	case d.kind == deleting && o.Hook && (o.Phase == "PreDelete" || o.Phase == "PostDelete"):
		c.hook(r, o, d)
	case d.kind == deleting && r.Created:
		c.fail(InPlan, r.At, "%s is created by a delete", r.Key)
	case d.kind == deleting: // takes its mark off
	case rev < 0:
		c.fail(InPlan, r.At, "%s %s, which no accepted revision of its operation has", r.Verb, r.Key)
	case o.Hook:
		c.hook(r, o, d)
	default:
		c.written(r, d)
	}
}

// desired finds the object in the newest of the revisions that has it.
func (c *checker) desired(k model.ObjectKey, revisions []int) (Object, int) {
	for _, i := range slices.Backward(revisions) {
		if i < 0 {
			continue
		}
		if o, ok := c.h.Revisions[i].find(k); ok {
			return o, i
		}
	}
	return Object{}, -1
}

// written judges a write of an object that is no hook.
func (c *checker) written(r Request, d duty) {
	was := c.at(r.Key)
	same := was.present && was.uid == r.UID && was.content == r.Content
	if same && was.generation == r.Generation {
		return // nothing changed
	}
	if same {
		c.fail(ChangedOnce, r.At, "%s was as desired and is changed to generation %d", r.Key, r.Generation)
		return
	}
	rev := -1
	for _, i := range d.revisions {
		if i < 0 {
			continue
		}
		if o, ok := c.h.Revisions[i].find(r.Key); ok && o.Content == r.Content {
			rev = i
		}
	}
	if rev < 0 {
		c.fail(InPlan, r.At, "%s becomes %q, which no accepted revision of its operation has", r.Key, r.Content)
		return
	}
	if was.rev > rev && (was.mine || was.present) {
		c.fail(ChangedOnce, r.At, "%s goes back from revision %d to %d", r.Key, was.rev, rev)
	}
	if d.kind == syncing {
		c.inOrder(r, d)
	}
}

// action judges a write of a resource action.
func (c *checker) action(r Request) {
	was := c.at(r.Key)
	if was.operation == r.Operation && was.generation != r.Generation {
		c.fail(ChangedOnce, r.At, "%s is changed twice by action %s", r.Key, r.Operation)
	}
}

// inOrder judges whether everything that comes before the object is in place,
// in one of the revisions that the operation may be about.
func (c *checker) inOrder(r Request, d duty) {
	var why, rule string
	for _, i := range d.revisions {
		if i < 0 {
			continue
		}
		o, ok := c.h.Revisions[i].find(r.Key)
		if !ok || o.Content != r.Content {
			continue
		}
		rule, why = c.missing(o, i, r, d)
		if why == "" {
			return
		}
	}
	if why != "" {
		c.fail(rule, r.At, "%s is written before %s", r.Key, why)
	}
}

var phases = []string{"PreSync", "Sync", "PostSync"}

func earlier(a, b Object) bool {
	pa, pb := slices.Index(phases, a.Phase), slices.Index(phases, b.Phase)
	return pa >= 0 && pb >= 0 && (pa < pb || pa == pb && a.Wave < b.Wave)
}

// missing says what should be in place before an object and is not.
func (c *checker) missing(o Object, rev int, r Request, d duty) (rule, why string) {
	for _, first := range c.h.Revisions[rev].Objects {
		if !earlier(first, o) {
			continue
		}
		if first.Hook {
			if d.spec.SkipHooks || len(d.spec.Resources) > 0 {
				continue
			}
			if why := c.unfinished(first, r.Operation); why != "" {
				return HookOrder, fmt.Sprintf("the %s hook %s of wave %d %s", first.Phase, first.Key, first.Wave, why)
			}
			continue
		}
		if why := c.unready(first); why != "" {
			rule := WaveOrder
			if o.Hook {
				rule = HookOrder
			}
			return rule, fmt.Sprintf("%s of wave %d %s", first.Key, first.Wave, why)
		}
	}
	return "", ""
}

// unready says why an object is not in place. What somebody else has changed
// since the agent wrote it does not count.
func (c *checker) unready(o Object) string {
	live := c.at(o.Key)
	switch {
	case !live.present && live.mine:
		return "is there"
	case !live.mine:
		if live.rev < 0 { // never written by the agent
			return "is there"
		}
		return ""
	case live.content != o.Content:
		return "is as desired"
	case !live.rested:
		return "has come to rest"
	}
	return ""
}

// unfinished says why a hook has not finished in the present run of an
// operation.
func (c *checker) unfinished(o Object, operation string) string {
	made := c.hooks[hookRun{o.Key.String(), c.run[operation]}]
	switch {
	case made.uid == "" || c.run[operation] == "":
		return "was created"
	case made.content != o.Content:
		return "was created as it is in this revision"
	}
	if k := c.uids[made.uid]; !c.at(k).rested && c.at(k).uid == made.uid {
		return "has succeeded"
	}
	return ""
}

// hook judges the write of a hook.
func (c *checker) hook(r Request, o Object, d duty) {
	if !r.Created {
		if was := c.at(r.Key); was.present && (was.content != r.Content || was.run != r.Run) {
			c.fail(HookOnce, r.At, "the hook %s is changed", r.Key)
		}
		return
	}
	if d.kind == healing {
		c.fail(HookOrder, r.At, "the hook %s is created by a self-heal", r.Key)
		return
	}
	if r.Run == "" {
		c.fail(HookOnce, r.At, "the hook %s does not say its run", r.Key)
		return
	}
	run := hookRun{o.Key.String(), r.Run}
	if first, twice := c.hooks[run]; twice && !c.unheardOf(first) {
		c.fail(HookOnce, r.At, "the hook %s is created again in run %s", o.Key, r.Run)
	}
	if k, twice := c.uids[r.UID]; twice {
		c.fail(HookOnce, r.At, "the hooks %s and %s have one uid", k, r.Key)
	}
	c.run[r.Operation] = r.Run
	if d.kind == deleting {
		c.deleteHook(r, o)
	} else {
		c.inOrder(r, d)
	}
	c.hooks[run], c.uids[r.UID] = madeHook{r.UID, r.Content}, r.Key
}

// unheardOf: somebody has deleted the hook before the journal knew that it was
// started, which no agent can know that begins with the journal.
func (c *checker) unheardOf(hook madeHook) bool {
	k := c.uids[hook.uid]
	deleted := slices.ContainsFunc(c.h.Requests, func(r Request) bool {
		return r.Verb == "delete" && r.OK() && r.User != c.h.Agent && r.Key == k && (r.Precondition == "" || r.Precondition == hook.uid)
	})
	return deleted && !slices.ContainsFunc(c.before(), func(e Entry) bool { return slices.Contains(e.Hooks, hook.uid) })
}

// deleteHook judges the hooks around a cascade: PreDelete before the first
// delete, PostDelete after the last.
func (c *checker) deleteHook(r Request, o Object) {
	for k, live := range c.objects {
		if live.foreign || !c.managed(k) {
			continue
		}
		if o.Phase == "PostDelete" && live.present && live.tracked == c.h.App {
			c.fail(HookOrder, r.At, "the PostDelete hook %s is created before %s is deleted", r.Key, k)
			return
		}
	}
}

// managed: some revision has the object, and not as a hook.
func (c *checker) managed(k model.ObjectKey) bool {
	o, rev := c.anywhere(k)
	return rev >= 0 && !o.Hook
}

func (c *checker) anywhere(k model.ObjectKey) (Object, int) {
	for i := range slices.Backward(c.h.Revisions) {
		if o, ok := c.h.Revisions[i].find(k); ok {
			return o, i
		}
	}
	return Object{}, -1
}

// deletion judges a delete of the agent, also one that was refused.
func (c *checker) deletion(r Request, d duty) {
	was := c.at(r.Key)
	if r.Precondition == "" && !r.OK() {
		return // the process died before it had sent the whole request
	}
	if r.Precondition == "" {
		c.fail(DeleteExplained, r.At, "%s is deleted whatever its uid is", r.Key)
	} else if !c.ours[r.Precondition] && c.present().Inventory[r.Key] != r.Precondition {
		c.fail(DeleteExplained, r.At, "%s is deleted with uid %s, which is not ours", r.Key, r.Precondition)
		return
	}
	o, known := c.anywhere(r.Key)
	switch {
	case known < 0:
		c.fail(DeleteExplained, r.At, "%s is deleted, which no revision ever had", r.Key)
	case o.Hook:
		c.hookDeletion(r, o, d, was)
	case d.kind == deleting && !d.spec.Cascade:
		c.fail(DeleteExplained, r.At, "%s is deleted, which was to be left", r.Key)
	case d.kind == deleting:
		c.cascade(r, o)
	case d.kind != syncing:
		c.fail(DeleteExplained, r.At, "%s is deleted by %s, which deletes nothing", r.Key, r.Operation)
	default:
		c.prune(r, o, d)
	}
}

// hookDeletion: a hook goes when it has succeeded, if it says so; to make room for
// that of another run; and when its own run is given up, because the desired state
// has changed since the operation was taken on.
func (c *checker) hookDeletion(r Request, o Object, d duty, was *object) {
	switch {
	case d.kind == deleting:
	case d.kind != syncing:
		c.fail(DeleteExplained, r.At, "the hook %s is deleted by %s", r.Key, r.Operation)
	case !was.present || was.uid != r.Precondition: // gone already
	case !o.Keep && was.rested:
	case was.run != "" && (was.operation != r.Operation || was.run != c.run[r.Operation]):
	case len(d.revisions) > 1 || c.overtaken(r):
	default:
		c.fail(DeleteExplained, r.At, "the hook %s is deleted in its own run before it has succeeded", r.Key)
	}
}

// overtaken: the agent has accepted a newer generation than the one that an
// automated sync is about.
func (c *checker) overtaken(r Request) bool {
	m := byItself.FindStringSubmatch(r.Operation)
	if m == nil {
		return false
	}
	g, err := strconv.ParseInt(m[3], 10, 64)
	return err == nil && c.present().Generation > g
}

// prune: the object is owned and in no revision that the operation may be about;
// everything that stays is in place, and later waves go first.
func (c *checker) prune(r Request, o Object, d duty) {
	if _, owned := c.present().Inventory[r.Key]; !owned {
		c.fail(DeleteExplained, r.At, "%s is deleted, which the journal's inventory does not name", r.Key)
		return
	}
	if !byItself.MatchString(r.Operation) && !d.spec.Prune {
		c.fail(DeleteExplained, r.At, "%s is deleted by operation %s, which was not to prune", r.Key, r.Operation)
	}
	free := -1
	for _, i := range d.revisions {
		if i >= 0 {
			if _, has := c.h.Revisions[i].find(r.Key); !has {
				free = i
			}
		}
	}
	if free < 0 {
		c.fail(DeleteExplained, r.At, "%s is deleted and still desired", r.Key)
		return
	}
	for _, other := range c.h.Revisions[free].Objects {
		if other.Hook && other.Phase != "PreSync" {
			continue
		}
		if other.Hook {
			if why := c.unfinished(other, r.Operation); why != "" && !d.spec.SkipHooks {
				c.fail(HookOrder, r.At, "%s is deleted before the PreSync hook %s %s", r.Key, other.Key, why)
				return
			}
		} else if why := c.unready(other); why != "" {
			c.fail(WaveOrder, r.At, "%s is deleted before %s %s", r.Key, other.Key, why)
			return
		}
	}
	for k := range c.present().Inventory {
		if k == r.Key {
			continue
		}
		if _, desired := c.h.Revisions[free].find(k); desired {
			continue
		}
		if other, rev := c.anywhere(k); rev >= 0 && !other.Hook && other.Wave > o.Wave && c.at(k).present {
			c.fail(WaveOrder, r.At, "%s of wave %d is deleted before %s of wave %d", r.Key, o.Wave, k, other.Wave)
		}
	}
}

// cascade: later waves go first, and PreDelete hooks before everything.
func (c *checker) cascade(r Request, o Object) {
	if c.present().Withdraw != model.OperationID(r.Operation) {
		c.fail(DurableFirst, r.At, "%s is deleted by %s, which the journal does not hold as a withdrawal", r.Key, r.Operation)
	}
	for k, live := range c.objects {
		if other, rev := c.anywhere(k); rev >= 0 && !other.Hook && other.Wave > o.Wave && live.present && live.tracked == c.h.App {
			c.fail(WaveOrder, r.At, "%s of wave %d is deleted before %s of wave %d", r.Key, o.Wave, k, other.Wave)
		}
	}
	if rev := c.revision(c.present().Commit); rev >= 0 {
		for _, hook := range c.h.Revisions[rev].Objects {
			if hook.Phase != "PreDelete" {
				continue
			}
			if why := c.unfinished(hook, r.Operation); why != "" {
				c.fail(HookOrder, r.At, "%s is deleted before the PreDelete hook %s %s", r.Key, hook.Key, why)
			}
		}
	}
}

// at is what is known of an object.
func (c *checker) at(k model.ObjectKey) *object {
	o := c.objects[k]
	if o == nil {
		o = &object{rev: -1}
		c.objects[k] = o
	}
	return o
}

// take brings a request that was carried out into what is known.
func (c *checker) take(r Request) {
	o, mine := c.at(r.Key), r.User == c.h.Agent
	if r.Subresource == "status" {
		if r.UID == o.uid && r.Settled {
			o.rested = true
		}
		return
	}
	if r.Verb == "delete" {
		if r.Precondition == "" || r.Precondition == o.uid {
			o.present, o.mine, o.dead = false, mine, o.uid
		}
		return
	}
	if r.UID != "" && r.UID == o.dead {
		return // its finalizers are taken off
	}
	if mine && r.UID != "" {
		c.ours[r.UID] = true
	}
	changed := r.Created || o.uid != r.UID || o.content != r.Content
	if changed {
		o.mine, o.rested = mine, r.Settled
		if r.Created {
			o.foreign = !mine
		}
		if mine {
			for i := range slices.Backward(c.h.Revisions) {
				if want, ok := c.h.Revisions[i].find(r.Key); ok && want.Content == r.Content && c.heard(i) {
					o.rev = i
					break
				}
			}
		}
	} else if r.Settled {
		o.rested = true
	}
	o.present, o.uid, o.content, o.run, o.tracked = true, r.UID, r.Content, r.Run, r.TrackedBy
	if r.Generation != 0 {
		o.generation = r.Generation
	}
	if mine {
		o.operation = r.Operation
	}
}

// heard: the journal holds, or held, the revision.
func (c *checker) heard(rev int) bool {
	commit := c.h.Revisions[rev].Commit
	return slices.ContainsFunc(c.before(), func(e Entry) bool { return e.Commit == commit })
}

// views compares what was there with what should be.
func (c *checker) views() {
	foreign := map[model.ObjectKey]string{}
	for k, o := range c.objects {
		if _, rev := c.anywhere(k); o.foreign && o.present && rev < 0 && k.Namespace == c.h.Namespace {
			foreign[k] = o.uid
		}
	}
	for _, v := range c.h.Views {
		live := map[model.ObjectKey]Live{}
		for _, l := range v.Objects {
			live[l.Key] = l
		}
		rule := AsInGit
		if v.When == Deleted {
			rule = AllGone
		} else {
			c.asInGit(v, live)
		}
		for k, l := range live {
			if o, rev := c.anywhere(k); v.When == Deleted && l.TrackedBy == c.h.App && !o.Hook {
				c.fail(rule, v.At, "%s is left (revision %d)", k, rev)
			}
		}
		for k, uid := range foreign {
			if live[k].UID != uid && c.madeBefore(k, v.At) {
				c.fail(rule, v.At, "%s, which is somebody else's, is gone", k)
			}
		}
	}
}

func (c *checker) madeBefore(k model.ObjectKey, at time.Time) bool {
	return slices.ContainsFunc(c.h.Requests, func(r Request) bool { return r.Key == k && r.Created && r.At.Before(at) })
}

func (c *checker) asInGit(v View, live map[model.ObjectKey]Live) {
	newest := Revision{}
	for _, r := range c.h.Revisions {
		if r.At.Before(v.At) {
			newest = r
		}
	}
	for _, o := range newest.Objects {
		if o.Hook {
			continue
		}
		l, ok := live[o.Key]
		switch {
		case !ok:
			c.fail(AsInGit, v.At, "%s is missing", o.Key)
		case l.Content != o.Content:
			c.fail(AsInGit, v.At, "%s is %q and should be %q", o.Key, l.Content, o.Content)
		case l.TrackedBy != c.h.App:
			c.fail(AsInGit, v.At, "%s is tracked by %q", o.Key, l.TrackedBy)
		}
	}
	for k, l := range live {
		if l.TrackedBy != c.h.App && l.Run == "" {
			continue
		}
		o, ok := newest.find(k)
		switch {
		case !ok && l.Run == "":
			c.fail(AsInGit, v.At, "%s is not in Git any more", k)
		case ok && o.Hook && !o.Keep:
			c.fail(AsInGit, v.At, "the hook %s should have been deleted", k)
		}
	}
}

// alone holds that drift was healed while the line was cut.
func (c *checker) alone() {
	for i, m := range c.h.Marks {
		if m.What != Drifted {
			continue
		}
		until := time.Time{}
		for _, later := range c.h.Marks[i:] {
			if later.What == Joined {
				until = later.At
				break
			}
		}
		healed := slices.ContainsFunc(c.h.Requests, func(r Request) bool {
			if r.User != c.h.Agent || r.Key != m.Key || !r.OK() || r.Verb == "delete" || r.At.Before(m.At) || !until.IsZero() && r.At.After(until) {
				return false
			}
			return slices.ContainsFunc(c.h.Revisions, func(rev Revision) bool {
				o, ok := rev.find(r.Key)
				return ok && o.Content == r.Content
			})
		})
		if !healed {
			c.fail(HealedAlone, m.At, "%s was changed by somebody, and not put right while the hub was away", m.Key)
		}
	}
}

// Stray finds writes of an agent in namespaces where it has no business: neither
// its own nor those of its applications. Namespaces themselves and requests
// without one count as being where their name says.
func Stray(agent, own string, applications []string, requests []Request) []Violation {
	var out []Violation
	for _, r := range requests {
		at := r.Key.Namespace
		if r.Key.Kind == "Namespace" {
			at = r.Key.Name
		}
		switch {
		case r.User != agent, slices.Contains(applications, at):
		case at == own && slices.Contains([]string{"Secret", "Lease", "Namespace", "Event"}, r.Key.Kind) && !(r.Key.Kind == "Secret" && !strings.HasPrefix(r.Key.Name, "hawser-")):
		default:
			out = append(out, Violation{InPlan, r.At, fmt.Sprintf("%s %s by %s", r.Verb, r.Key, agent)})
		}
	}
	return out
}
