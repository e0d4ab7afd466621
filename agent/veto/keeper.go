package veto

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Options of a Keeper. Namespace and Counts are required.
type Options struct {
	// Namespace is the agent's own.
	Namespace string
	// Counts keeps the number of deletes in the cluster.
	Counts CountStore
	Log    *slog.Logger
	Now    func() time.Time
	// Changed is called when another policy or condition has come into force,
	// from the goroutine of Set or Failed. It may be nil.
	Changed func()
}

// Keeper holds the policy in force. Before Set or Failed was called for the
// first time everything is refused. Its methods may be called from several
// goroutines; Set and Failed from one.
type Keeper struct {
	own     string
	log     *slog.Logger
	now     func() time.Time
	changed func()
	state   atomic.Pointer[state]
	ledger  *ledger
}

// state is immutable.
type state struct {
	policy *Policy
	// refuse, if set, refuses everything: the policy is not known.
	refuse *fault.Error
	// unread says why the ConfigMap cannot be read now although it could before;
	// what was read then holds.
	unread *fault.Error
	text   string // of the policy
	since  time.Time
}

// NewKeeper makes a Keeper that refuses everything until it is told more.
func NewKeeper(o Options) *Keeper {
	k := &Keeper{own: o.Namespace, log: o.Log, now: o.Now, changed: o.Changed}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.changed == nil {
		k.changed = func() {}
	}
	k.ledger = &ledger{store: o.Counts, now: k.now}
	k.state.Store(&state{since: k.now(), refuse: fault.New(fault.Unavailable, "veto_unread",
		"the cluster's own policy was not read yet")})
	return k
}

// where names the ConfigMap in messages.
func (k *Keeper) where() string { return fmt.Sprintf("ConfigMap %s/%s", k.own, ConfigMapName) }

// Set takes what the ConfigMap holds; exists is false when there is none.
func (k *Keeper) Set(data map[string]string, exists bool) {
	old := k.state.Load()
	next := &state{since: k.now()}
	if exists {
		text, ok := data[PolicyKey]
		next.text = text
		var err error
		if !ok {
			err = k.noKey(data)
		} else {
			next.policy, err = Parse([]byte(text))
		}
		if err != nil {
			f := fault.As(err)
			next.policy = nil
			next.refuse = fault.Wrap(err, fault.Denied, "veto_invalid", "the cluster's own policy cannot be understood, so nothing is permitted: %s", clip(f.Message, 200)).
				WithFix("correct %s, or delete it to have no veto", k.where())
		}
	}
	if old.refuse == nil && next.refuse == nil && old.unread == nil && old.text == next.text && (old.policy == nil) == (next.policy == nil) {
		return
	}
	if old.refuse != nil && next.refuse != nil && old.refuse.Message == next.refuse.Message {
		return
	}
	k.put(next)
	switch {
	case next.refuse != nil:
		k.log.Error("the veto policy is invalid; every write is refused", "code", next.refuse.Code, "reason", next.refuse.Message, "fix", next.refuse.Fix)
	case exists:
		k.log.Info("veto policy in force", "configmap", k.own+"/"+ConfigMapName)
	case old.policy != nil || old.refuse != nil && old.refuse.Code != "veto_unread":
		k.log.Info("the veto policy was deleted; nothing is vetoed")
	}
}

func (k *Keeper) noKey(data map[string]string) error {
	keys := make([]string, 0, len(data))
	for key := range data {
		keys = append(keys, key)
	}
	e := fault.New(fault.Invalid, "policy_invalid", "it has no key %s", PolicyKey)
	if near := nearest.Word(PolicyKey, keys); near != "" {
		e.Message += fmt.Sprintf("; did you mean it by %q?", near)
	}
	return e
}

// Failed says that the ConfigMap cannot be read. While it was never read,
// everything is refused; afterwards what was read last stands.
func (k *Keeper) Failed(err error) {
	old := k.state.Load()
	f := fault.As(err)
	e := fault.Wrap(err, fault.Denied, "veto_unreadable", "%s cannot be read: %s", k.where(), clip(f.Message, 160))
	e.Fix = cmp.Or(f.Fix, "let the agent's account list and watch it")
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.RateLimited) {
		e.Kind = fault.Unavailable
	}
	next := *old
	if old.refuse != nil && (old.refuse.Code == "veto_unread" || old.refuse.Code == "veto_unreadable") {
		e.Message = clip("nothing is permitted, because the cluster's own policy is not known: "+e.Message, 300)
		if old.refuse.Message == e.Message {
			return
		}
		next.refuse = e
	} else {
		if e.Kind == fault.Unavailable {
			return // the last known stands, and the API server's absence shows elsewhere
		}
		if old.unread != nil && old.unread.Message == e.Message {
			return
		}
		next.unread = e
	}
	next.since = k.now()
	k.put(&next)
	k.log.Error("the veto policy cannot be read", "code", e.Code, "reason", e.Message, "fix", e.Fix)
}

func (k *Keeper) put(s *state) {
	k.state.Store(s)
	k.changed()
}

// Conditions are the troubles with the policy, for people.
func (k *Keeper) Conditions() []model.Condition {
	s := k.state.Load()
	var out []model.Condition
	for _, e := range []*fault.Error{s.refuse, s.unread} {
		if e != nil {
			since := s.since
			m := e.Message
			if e.Fix != "" {
				m += " (" + e.Fix + ")"
			}
			out = append(out, model.Condition{Type: "VetoError", Code: e.Code, Message: m, Since: &since})
		}
	}
	return out
}

// Allow answers whether something other than a write of agent/sync may be done:
// Action, Exec, Logs or Get of the object. nil: yes; else a Denied fault with
// the code vetoed, veto_invalid or veto_unreadable, or an Unavailable one while
// the policy was not read yet. It answers from memory. Streams ask again while
// they last.
func (k *Keeper) Allow(verb string, key model.ObjectKey) error {
	if verb == string(Delete) {
		// Deletes are counted where they are made.
		return fault.New(fault.Internal, "veto_verb", "Allow does not decide about deletes")
	}
	return k.ask(Verb(verb), key)
}

// MayDelete answers, before a batch of deletes begins, whether the limits of the
// policy leave room for n more by the operation. The deletes themselves are
// asked for one by one all the same.
func (k *Keeper) MayDelete(ctx context.Context, operation string, n int) error {
	s := k.state.Load()
	if s.refuse != nil {
		return s.refuse
	}
	if !s.policy.LimitsDeletes() {
		return nil
	}
	counts, err := k.ledger.counts(ctx, operation)
	if err != nil {
		return err
	}
	if d := DecideDeletes(s.policy, counts, n); !d.Allowed {
		return k.vetoed(d, fmt.Sprintf("%d objects", n), Delete)
	}
	return nil
}

// MayImpersonate answers whether the agent may act as a user, which has to be a
// service account. The errors are those of Allow.
func (k *Keeper) MayImpersonate(user string) error {
	namespace, name, ok := sync.Impersonate(user)
	if !ok {
		return fault.New(fault.Internal, "caller_invalid", "%q is not a service account, and the agent acts as no other user", clip(user, 80))
	}
	s := k.state.Load()
	d := DecideAccount(k.own, s.policy, namespace, name)
	if d.Rule != RuleOwnNamespace && s.refuse != nil {
		return s.refuse
	}
	if d.Allowed {
		return nil
	}
	e := fault.New(fault.Denied, "vetoed", "to act as the service account %s/%s is vetoed by the cluster's own policy (%s: %s)", clip(namespace, 63), clip(name, 63), d.Rule, d.Reason)
	if d.Rule == RuleOwnNamespace {
		return e.WithFix("choose an account in another namespace")
	}
	return e.WithFix("an administrator of the cluster can change %s in %s", d.Rule, k.where())
}

// ask decides without counting.
func (k *Keeper) ask(verb Verb, key model.ObjectKey) error {
	s := k.state.Load()
	d := Decide(k.own, s.policy, Request{Verb: verb, Key: key})
	if d.Rule != RuleOwnNamespace && s.refuse != nil {
		return s.refuse
	}
	if !d.Allowed {
		return k.vetoed(d, key.String(), verb)
	}
	return nil
}

// countDelete asks for a delete and counts it.
func (k *Keeper) countDelete(ctx context.Context, operation string, key model.ObjectKey, uid string) error {
	if err := k.ask(Delete, key); err != nil {
		return err
	}
	s := k.state.Load()
	if !s.policy.LimitsDeletes() {
		return nil
	}
	d, err := k.ledger.reserve(ctx, s.policy, operation, uid)
	if err != nil {
		return err
	}
	if !d.Allowed {
		return k.vetoed(d, key.String(), Delete)
	}
	return nil
}

func (k *Keeper) vetoed(d Decision, what string, verb Verb) error {
	e := fault.New(fault.Denied, "vetoed", "%s: %s is vetoed by the cluster's own policy (%s: %s)", clip(what, 110), verb, d.Rule, d.Reason)
	if d.Rule == RuleOwnNamespace {
		return e.WithFix("nothing but the agent itself works in its namespace; choose another one")
	}
	return e.WithFix("an administrator of the cluster can change %s in %s", d.Rule, k.where())
}

// clip shortens s to at most n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}
