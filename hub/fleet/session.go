package fleet

import (
	"fmt"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Session is what the hub knows of one open agent session: what the agent
// holds and what it was sent. It turns rows of the database into the messages
// that the agent lacks, so that a caller may re-read rows as often as it likes
// and whatever woke it. It is a value without a lock: one goroutine owns it.
//
// Nothing in it has to survive: the next session starts from the next hello.
type Session struct {
	Cluster model.ClusterID
	Epoch   model.Epoch
	// HoldDeletes as it was when the session opened. A session of a hub that
	// holds deletes sends no withdrawal; acknowledging the restore closes it.
	HoldDeletes bool

	capabilities []string // of the hello
	agentVersion string

	apps map[model.AppUID]*sessionApp
	sent map[model.OperationID]bool // value: sent with Terminate
}

type sessionApp struct {
	held        model.Generation // what the agent says it holds
	sent        model.Generation // highest sent or held
	hold        bool             // HoldDeletes of what was sent or is held
	withdraw    model.OperationID
	approved    bool // the withdrawal was sent with its deletions approved
	orphaned    bool // the withdrawal was sent as one that leaves the objects
	withdrawing bool // the agent is withdrawing, by whosever decision
	ours        bool // the database has it as one of this cluster
}

// NewSession starts from what Open decided, with Opening.Desired, Withdraws and
// Send counted as not sent yet.
func NewSession(o Opening, hello model.Hello) *Session {
	s := &Session{
		Cluster: hello.Cluster, Epoch: o.Epoch, HoldDeletes: o.Hub.HoldDeletes,
		capabilities: hello.Capabilities, agentVersion: hello.AgentVersion,
		apps: make(map[model.AppUID]*sessionApp, len(hello.Known)),
		sent: map[model.OperationID]bool{},
	}
	for _, k := range hello.Known {
		s.apps[k.UID] = &sessionApp{held: k.Generation, sent: k.Generation, hold: k.HoldDeletes, withdrawing: k.Withdrawing, ours: true}
	}
	for _, u := range o.Unknown {
		if a := s.apps[u.UID]; a != nil {
			a.ours = false
		}
	}
	for _, u := range hello.Operations {
		if !u.Phase.Terminal() {
			s.sent[u.ID] = false
		}
	}
	for _, op := range o.Send {
		delete(s.sent, op.ID)
	}
	return s
}

// Check refuses a message of another epoch (Kind Conflict, code epoch_stale).
// It comes before everything else.
func (s *Session) Check(e model.Epoch) error {
	if e != s.Epoch {
		return fault.New(fault.Conflict, "epoch_stale", "the message belongs to session %s, this is %s", e, s.Epoch)
	}
	return nil
}

func (s *Session) app(uid model.AppUID) *sessionApp {
	a := s.apps[uid]
	if a == nil {
		a = &sessionApp{}
		s.apps[uid] = a
	}
	return a
}

// Desired returns those of the rows that the agent lacks, and counts them as
// sent. A withdrawing application gets none.
func (s *Session) Desired(rows []model.Desired) []model.Desired {
	var out []model.Desired
	for _, d := range rows {
		a := s.app(d.App)
		a.ours = true
		if a.withdraw != "" || a.withdrawing || d.Generation < a.sent {
			continue
		}
		d.HoldDeletes = d.HoldDeletes || s.HoldDeletes
		if d.Generation == a.sent && d.HoldDeletes == a.hold {
			continue
		}
		a.sent, a.hold = d.Generation, d.HoldDeletes
		out = append(out, d)
	}
	return out
}

// Withdraws returns those of the rows that were not sent in this session, or
// were amended since (see Amend), and counts them as sent. The caller has stored
// their operations as Sent and read the rows after that: a delete that was taken
// back has no row any more.
func (s *Session) Withdraws(rows []model.Withdraw) []model.Withdraw {
	var out []model.Withdraw
	for _, w := range rows {
		a := s.app(w.App)
		a.ours = true
		orphan := w.Mode == model.WithdrawOrphan
		if s.HoldDeletes || a.withdraw == w.Operation && (a.approved || !w.ApproveDeletions) && (a.orphaned || !orphan) {
			continue
		}
		a.withdraw, a.approved, a.orphaned = w.Operation, w.ApproveDeletions, orphan
		out = append(out, w)
	}
	return out
}

// Sendable reports whether a Queued operation may be given to the agent. A sync
// of an application of which the agent was sent no desired state in this
// session, and holds none, stays Queued: an operation that an agent has taken on
// cannot expire, and this one may never find a desired state, as when its source
// cannot be read. So does one that is about a generation which the agent was not
// sent yet. Deletes always travel; they need no desired state.
func (s *Session) Sendable(op model.OperationInfo) bool {
	if op.Kind == model.OperationDelete {
		return true
	}
	a := s.apps[op.App]
	return a != nil && a.sent >= max(1, op.Generation)
}

// Commands returns the messages for those of the operations that the agent was
// not given in this session, or has to be told to end. Terminal ones, deletes
// (they travel as Withdraw), what the agent does not know (see Refused) and
// Queued ones give none: the caller stores a
// Queued one as Sent first and then reads it again, because it may have ended
// in between, and what has ended must not be carried out.
func (s *Session) Commands(ops []model.OperationInfo) []model.Command {
	var out []model.Command
	for _, op := range ops {
		if op.Phase.Terminal() || op.Phase == model.PhaseQueued || op.Kind == model.OperationDelete || s.unable(op) {
			continue
		}
		told, given := s.sent[op.ID]
		if given && (told || !op.Terminating) {
			continue
		}
		s.sent[op.ID] = op.Terminating
		c := model.Command{
			ID: op.ID, Seq: op.Seq, App: op.App, Kind: op.Kind, Spec: op.Spec,
			InitiatedBy: op.InitiatedBy, Terminate: op.Terminating,
		}
		if a := s.apps[op.App]; a != nil {
			c.Generation = a.sent
		}
		out = append(out, c)
	}
	return out
}

// Refused are the ends, at now, of those of the operations that the agent is too
// old for. Its message begins with the code agent_too_old.
func (s *Session) Refused(ops []model.OperationInfo, now time.Time) []model.OperationUpdate {
	var out []model.OperationUpdate
	for _, op := range ops {
		if op.Phase.Terminal() || !s.unable(op) {
			continue
		}
		out = append(out, tooOld(op, s.agentVersion, now))
	}
	return out
}

// unable reports whether the agent cannot be given an operation. One that it
// says it has accepted it knows.
func (s *Session) unable(op model.OperationInfo) bool {
	_, given := s.sent[op.ID]
	return !given && !able(op, s.capabilities)
}

// able reports whether an agent with these capabilities knows what an operation
// is.
func able(op model.OperationInfo, capabilities []string) bool {
	need := needs(op)
	return need == "" || slices.Contains(capabilities, need)
}

// needs is the capability that an operation takes, "" for none.
func needs(op model.OperationInfo) string {
	switch {
	case op.Kind != model.OperationAction:
		return ""
	case op.Spec.Action != nil && op.Spec.Action.Delete != nil:
		return model.CapabilityDeleteObject
	}
	return model.CapabilityActions
}

// tooOld is the end of an operation that the agent does not know.
func tooOld(op model.OperationInfo, version string, now time.Time) model.OperationUpdate {
	if version != "" {
		version = " (" + version + ")"
	}
	words := [2]string{"run actions", "run the action"}
	if needs(op) == model.CapabilityDeleteObject {
		words = [2]string{"delete single objects", "delete it"}
	}
	return model.OperationUpdate{
		ID: op.ID, Seq: op.Seq, App: op.App, Kind: op.Kind, Phase: model.PhaseFailed, FinishedAt: &now,
		Message: fmt.Sprintf("agent_too_old: the cluster's agent%s cannot %s (it lacks the capability %q); upgrade it, then %s again",
			version, words[0], needs(op), words[1]),
	}
}

// Knows reports whether the agent may well speak of an application, and of one of
// its operations ("": of none): the database has the application as one of the
// cluster, and the operation was given to the agent in this session. Of whatever
// else an agent speaks, the database is asked whose it is.
func (s *Session) Knows(app model.AppUID, op model.OperationID) bool {
	a := s.apps[app]
	if a == nil || !a.ours {
		return false
	}
	_, given := s.sent[op]
	return op == "" || given || a.withdraw == op
}

// Ack takes the agent's answer to a desired state. It returns the
// applications whose rows should be read again.
func (s *Session) Ack(a Ack) []model.AppUID {
	app := s.app(a.App)
	if a.ErrorCode == "" {
		app.held = max(app.held, a.Generation)
		app.sent = max(app.sent, a.Generation)
		return nil
	}
	if a.ErrorCode == "withdrawing" {
		// It is sent again when the withdrawal has ended.
		app.withdrawing = true
		app.sent = app.held
	}
	return nil
}

// Updated takes an agent's word on an operation, after it was stored. It
// returns the applications whose rows should be read again: after a
// withdrawal has ended, a desired state that was kept back may travel.
func (s *Session) Updated(u model.OperationUpdate) []model.AppUID {
	if u.Kind != model.OperationDelete {
		return nil
	}
	a := s.app(u.App)
	if !u.Phase.Terminal() {
		a.withdrawing = true
		return nil
	}
	a.withdraw, a.approved, a.orphaned, a.withdrawing = "", false, false, true
	var out []model.AppUID
	for uid, other := range s.apps {
		// Another application of the same name may have been kept back too.
		if other.withdrawing && other.withdraw == "" {
			other.withdrawing, other.sent = false, other.held
			out = append(out, uid)
		}
	}
	slices.Sort(out)
	return out
}

// RefusalCondition is how a refused desired state is shown at its application
// until a later one is taken; nil for an ack that is not a refusal.
func RefusalCondition(a Ack, since time.Time) *model.Condition {
	if a.ErrorCode == "" {
		return nil
	}
	return &model.Condition{Type: "SyncError", Code: a.ErrorCode, Message: a.Error, Since: &since}
}

// TooOld says why an agent with the given capabilities must not get a desired
// state: it would not heed what the state forbids. nil: it may.
func TooOld(capabilities []string, d model.Desired) *fault.Error {
	lacks := func(what string) *fault.Error {
		return fault.New(fault.Precondition, "agent_too_old", "the cluster's agent is from before %s, and is not given what needs them; it goes on with what it has", what).
			WithFix("update the agent")
	}
	switch {
	case d.Observe && !slices.Contains(capabilities, model.CapabilityObserve):
		return lacks("applications that are only observed")
	case len(d.ProjectSpec.DestinationServiceAccounts) > 0 && !slices.Contains(capabilities, model.CapabilityAccounts):
		return lacks("service accounts that projects name")
	case len(d.ProjectSpec.SensitiveFields) > 0 && !slices.Contains(capabilities, model.CapabilitySensitiveFields):
		return lacks("fields that projects keep in their clusters")
	}
	return nil
}
