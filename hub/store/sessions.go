package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// errRaise: fleet.Open wants the incarnation raised, and the hub's row is only
// shared; the transaction starts again with it locked.
var errRaise = errors.New("the hub's row must be locked")

// OpenSession opens a session of a cluster's agent: it issues the epoch, asks
// fleet.Open what the hello means, stores what that decides and returns it.
// The older session of the cluster is fenced off from then on. sign is asked
// only when the incarnation rises; then all other sessions must be closed.
//
// Rows that are written after OpenSession read them are not in the Opening: the
// caller registers the session, and then reads DesiredFor and
// PendingOperations once.
//
// NotFound cluster_unknown; Unauthorized cluster_revoked; and the errors of
// fleet.Open.
func (s *Store) OpenSession(ctx context.Context, cluster model.ClusterID, hello model.Hello, sign Sign) (fleet.Opening, error) {
	var opening fleet.Opening
	run := func(hubStatement string) error {
		return s.tx(ctx, "open the session", func(tx pgx.Tx) (err error) {
			opening, err = s.openSession(ctx, tx, hubStatement, cluster, hello, sign)
			return err
		})
	}
	err := run("HubStateShared")
	if errors.Is(err, errRaise) {
		err = run("HubStateLocked")
	}
	var other *changed
	if errors.As(err, &other) {
		if !other.known {
			if _, err := s.pool.Exec(ctx, q("OfferKubeUID"), cluster, other.offered); err != nil {
				return fleet.Opening{}, wrap(err, "note another Kubernetes cluster")
			}
		}
		return fleet.Opening{}, fault.New(fault.Denied, "cluster_changed",
			"the agent runs in another Kubernetes cluster than the one that was enrolled: its kube-system is %s", other.offered).
			WithFix("when the cluster was rebuilt: hawser cluster allow NAME; when it is a copy: enrol it under a name of its own")
	}
	if err != nil {
		return fleet.Opening{}, err
	}
	return opening, nil
}

func (s *Store) openSession(ctx context.Context, tx pgx.Tx, hubStatement string, cluster model.ClusterID, hello model.Hello, sign Sign) (fleet.Opening, error) {
	now := s.now()
	facts, err := s.sessionFacts(ctx, tx, hubStatement, cluster, hello)
	if err != nil {
		return fleet.Opening{}, err
	}
	o, err := fleet.Open(facts, hello, now)
	if err != nil {
		return fleet.Opening{}, err
	}

	if o.RaiseIncarnationTo != 0 || o.Hub.HoldDeletes != facts.Hub.HoldDeletes {
		if hubStatement != "HubStateLocked" {
			return fleet.Opening{}, errRaise
		}
		if o.RaiseIncarnationTo != 0 {
			if o.Hub.IncarnationSignature, err = sign(o.Hub.HubID, o.RaiseIncarnationTo); err != nil {
				return fleet.Opening{}, err
			}
		}
		if _, err := tx.Exec(ctx, q("RaiseHub"), o.Hub.Incarnation, o.Hub.IncarnationSignature, o.Hub.HoldDeletes); err != nil {
			return fleet.Opening{}, err
		}
	}
	if len(o.RaiseGenerations) > 0 {
		uids := o.Rerender()
		floors := make([]int64, len(uids))
		for i, uid := range uids {
			floors[i] = int64(o.RaiseGenerations[uid])
		}
		if _, err := tx.Exec(ctx, q("RaiseFloors"), strs(uids), floors); err != nil {
			return fleet.Opening{}, err
		}
	}
	if o.RaiseOpSeqTo != 0 {
		if _, err := tx.Exec(ctx, q("RaiseOperationSeq"), o.RaiseOpSeqTo); err != nil {
			return fleet.Opening{}, err
		}
	}
	for _, w := range o.Withdraws {
		if stored := storedWithdraw(facts, w.App); stored != nil && stored.Generation != w.Generation {
			if _, err := tx.Exec(ctx, q("RaiseWithdrawal"), w.App, w.Generation); err != nil {
				return fleet.Opening{}, err
			}
		}
	}
	if err := s.storeTransitions(ctx, tx, o.Operations, now); err != nil {
		return fleet.Opening{}, err
	}
	unknown := o.Unknown
	if unknown == nil {
		unknown = []model.UnknownApp{}
	}
	unknownDoc, err := document(unknown)
	if err != nil {
		return fleet.Opening{}, err
	}
	if _, err := tx.Exec(ctx, q("UpdateHello"), cluster, text(hello.AgentVersion), text(hello.KubeVersion), unknownDoc); err != nil {
		return fleet.Opening{}, err
	}
	_, err = tx.Exec(ctx, q("OpenSession"), cluster, o.Epoch.Incarnation, o.Epoch.Number, text(hello.Instance), now)
	return o, err
}

// changed: the agent is in another Kubernetes cluster than was bound.
type changed struct {
	offered string
	known   bool // it is held for approval already
}

func (*changed) Error() string { return "another Kubernetes cluster" }

// Fenced answers which of a gateway's sessions may not go on, whoever decided
// that: another hub on this database, too.
func (s *Store) Fenced(ctx context.Context, open []fleet.OpenSession) ([]fleet.FencedSession, error) {
	if len(open) == 0 {
		return nil, nil
	}
	clusters, serials := make([]string, len(open)), make([]string, len(open))
	incarnations, numbers := make([]int64, len(open)), make([]int64, len(open))
	for i, o := range open {
		clusters[i], serials[i], incarnations[i], numbers[i] = string(o.Cluster), o.Serial, o.Epoch.Incarnation, o.Epoch.Number
	}
	rows, err := s.pool.Query(ctx, q("FencedSessions"), clusters, serials, incarnations, numbers)
	if err != nil {
		return nil, wrap(err, "look for sessions that have ended elsewhere")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (f fleet.FencedSession, err error) {
		err = r.Scan(&f.Cluster, &f.Number, &f.Code, &f.Newest)
		return f, err
	})
	return out, wrap(err, "look for sessions that have ended elsewhere")
}

func storedWithdraw(f fleet.ClusterFacts, uid model.AppUID) *model.Withdraw {
	for i := range f.Apps {
		if f.Apps[i].UID == uid {
			return f.Apps[i].Withdraw
		}
	}
	return nil
}

// sessionFacts reads what fleet.Open decides on, locking what it may change.
func (s *Store) sessionFacts(ctx context.Context, tx pgx.Tx, hubStatement string, cluster model.ClusterID, hello model.Hello) (f fleet.ClusterFacts, err error) {
	f.Cluster = cluster
	if f.Hub, err = readHub(ctx, tx, hubStatement); err != nil {
		return f, err
	}
	var revoked, quarantined bool
	var bound, offered string
	err = tx.QueryRow(ctx, q("LockCluster"), cluster).Scan(&revoked, nil, nil, &quarantined, &bound, &offered)
	if errors.Is(err, pgx.ErrNoRows) {
		return f, clusterUnknown(string(cluster))
	}
	if err != nil {
		return f, err
	}
	if revoked {
		return f, fault.New(fault.Unauthorized, "cluster_revoked", "the cluster was revoked").
			WithFix("enrol it again with a new token")
	}
	if quarantined {
		return f, fault.New(fault.Denied, "duplicate_identity", "two agents use this cluster's certificate; neither gets a session").
			WithFix("enrol the cluster again; or when there is one agent only: hawser cluster allow NAME")
	}
	if uid := text(hello.KubeUID); uid != "" && uid != bound {
		if bound != "" {
			return f, &changed{offered: uid, known: offered == uid}
		}
		if _, err := tx.Exec(ctx, q("BindKubeUID"), cluster, uid); err != nil {
			return f, err
		}
	}
	named := make([]string, len(hello.Operations))
	for i, u := range hello.Operations {
		named[i] = text(string(u.ID))
	}
	f.Epoch.Incarnation = f.Hub.Incarnation
	b := &pgx.Batch{}
	b.Queue(q("PreviousEpoch"), cluster).QueryRow(func(r pgx.Row) error {
		err := r.Scan(&f.PreviousEpoch.Incarnation, &f.PreviousEpoch.Number)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	b.Queue(q("NextEpochNumber")).QueryRow(func(r pgx.Row) error { return r.Scan(&f.Epoch.Number) })
	b.Queue(q("LockClusterApps"), cluster)
	b.Queue(q("ClusterApps"), cluster).Query(func(r pgx.Rows) (err error) {
		f.Apps, err = pgx.CollectRows(r, scanAppFacts)
		return err
	})
	b.Queue(q("SessionOperations"), cluster, named).Query(func(r pgx.Rows) (err error) {
		f.Operations, err = pgx.CollectRows(r, scanOperation)
		return err
	})
	b.Queue(q("MaxOperationSeq")).QueryRow(func(r pgx.Row) error { return r.Scan(&f.MaxOpSeq) })
	err = tx.SendBatch(ctx, b).Close()
	return f, err
}

func scanAppFacts(r pgx.CollectableRow) (a fleet.AppFacts, err error) {
	var (
		generation, bundleBytes, withdrawn *int64
		doc                                []byte
		mode, operation                    *string
		seq                                *int64
		approved                           *bool
	)
	err = r.Scan(&a.UID, &a.Name, &a.Project, &a.Counter, &a.Floor, &generation, &doc, &bundleBytes, &withdrawn, &mode, &operation, &seq, &approved)
	if err != nil {
		return a, err
	}
	if generation != nil {
		d, err := desiredFrom(doc, *generation, *bundleBytes)
		if err != nil {
			return a, err
		}
		a.Desired = &d
	}
	if withdrawn != nil {
		a.Withdraw = &model.Withdraw{App: a.UID, Name: a.Name, Generation: model.Generation(*withdrawn),
			Mode: model.WithdrawMode(*mode), Operation: model.OperationID(*operation), OperationSeq: *seq, ApproveDeletions: *approved}
	}
	return a, nil
}

func desiredFrom(doc []byte, generation, bundleBytes int64) (d model.Desired, err error) {
	err = decode(doc, &d)
	d.Generation, d.BundleBytes, d.HoldDeletes = model.Generation(generation), bundleBytes, false
	return d, err
}

// DesiredFor reads what a cluster's agent should have: desired states, with
// HoldDeletes as the hub's state says, and withdrawals. nil uids mean all.
func (s *Store) DesiredFor(ctx context.Context, cluster model.ClusterID, uids []model.AppUID) (desired []model.Desired, withdraws []model.Withdraw, err error) {
	var only []string
	if uids != nil {
		only = strs(uids)
	}
	var hold bool
	b := &pgx.Batch{}
	b.Queue(q("HubState")).QueryRow(func(r pgx.Row) error {
		var h fleet.HubState
		err := r.Scan(&h.HubID, &h.Incarnation, &h.IncarnationSignature, &hold)
		if errors.Is(err, pgx.ErrNoRows) {
			return notFound("hub_not_initialised", "the database has no hub yet")
		}
		return err
	})
	b.Queue(q("ClusterDesired"), cluster, only).Query(func(r pgx.Rows) (err error) {
		desired, err = pgx.CollectRows(r, func(r pgx.CollectableRow) (model.Desired, error) {
			var doc []byte
			var generation, size int64
			if err := r.Scan(&doc, &generation, &size); err != nil {
				return model.Desired{}, err
			}
			return desiredFrom(doc, generation, size)
		})
		return err
	})
	b.Queue(q("ClusterWithdrawals"), cluster, only).Query(func(r pgx.Rows) (err error) {
		withdraws, err = pgx.CollectRows(r, func(r pgx.CollectableRow) (w model.Withdraw, err error) {
			err = r.Scan(&w.App, &w.Name, &w.Generation, &w.Mode, &w.Operation, &w.OperationSeq, &w.ApproveDeletions)
			return w, err
		})
		return err
	})
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, nil, wrap(err, "read the desired state")
	}
	for i := range desired {
		desired[i].HoldDeletes = hold
	}
	return desired, withdraws, nil
}

// AckDesired stores an agent's answers to desired states. A refusal of the
// newest generation is shown at the application until a later one is taken.
func (s *Store) AckDesired(ctx context.Context, cluster model.ClusterID, epoch model.Epoch, acks []fleet.Ack) error {
	if len(acks) == 0 {
		return nil
	}
	newest := make(map[model.AppUID]fleet.Ack, len(acks))
	for _, a := range acks {
		if old, ok := newest[a.App]; !ok || a.Generation >= old.Generation {
			newest[a.App] = a
		}
	}
	var (
		uids, codes, messages []string
		generations           []int64
	)
	for uid, a := range newest {
		uids = append(uids, text(string(uid)))
		generations = append(generations, int64(a.Generation))
		codes = append(codes, text(a.ErrorCode))
		messages = append(messages, text(a.Error))
	}
	return s.tx(ctx, "store the acknowledgements", func(tx pgx.Tx) error {
		if err := fence(ctx, tx, cluster, epoch); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, q("AckDesired"), cluster, uids, generations, codes, messages, s.now())
		return err
	})
}

// Foreign answers which of the applications and operations that an agent spoke of
// are another cluster's. It is asked about what the agent was not given, which
// honest ones hardly speak of.
func (s *Store) Foreign(ctx context.Context, cluster model.ClusterID, apps []model.AppUID, ops []model.OperationID) (foreignApps []model.AppUID, foreignOps []model.OperationID, err error) {
	const what = "look whose an application is"
	uids, ids := make([]string, len(apps)), make([]string, len(ops))
	for i, uid := range apps {
		uids[i] = text(string(uid))
	}
	for i, id := range ops {
		ids[i] = text(string(id))
	}
	rows, err := s.pool.Query(ctx, q("ForeignApps"), cluster, uids)
	if err != nil {
		return nil, nil, wrap(err, what)
	}
	if foreignApps, err = pgx.CollectRows(rows, pgx.RowTo[model.AppUID]); err != nil || len(ids) == 0 {
		return foreignApps, nil, wrap(err, what)
	}
	if rows, err = s.pool.Query(ctx, q("ForeignOperations"), cluster, ids); err != nil {
		return nil, nil, wrap(err, what)
	}
	foreignOps, err = pgx.CollectRows(rows, pgx.RowTo[model.OperationID])
	return foreignApps, foreignOps, wrap(err, what)
}

// CloseSession notes that a session has ended, and why; nothing happens when it is
// no longer the newest.
func (s *Store) CloseSession(ctx context.Context, cluster model.ClusterID, epoch model.Epoch, why fleet.SessionEnd) error {
	_, err := s.pool.Exec(ctx, q("CloseSession"), cluster, epoch.Incarnation, epoch.Number, s.now(), text(why.Code), text(why.Message))
	return wrap(err, "close the session")
}

// Heartbeat notes signs of life of many sessions in one statement. Beats of
// sessions that are no longer the newest are ignored.
func (s *Store) Heartbeat(ctx context.Context, beats []fleet.Beat) error {
	if len(beats) == 0 {
		return nil
	}
	type key struct {
		cluster model.ClusterID
		epoch   model.Epoch
	}
	last := make(map[key]fleet.Beat, len(beats))
	for _, b := range beats {
		k := key{b.Cluster, b.Epoch}
		if old, ok := last[k]; !ok || b.Seq >= old.Seq {
			last[k] = b
		}
	}
	var (
		clusters                   []string
		incarnations, numbers, seq []int64
		observed                   []*time.Time
		trips, ahead               []*int64
	)
	for k, b := range last {
		clusters = append(clusters, text(string(k.cluster)))
		incarnations = append(incarnations, k.epoch.Incarnation)
		numbers = append(numbers, k.epoch.Number)
		seq = append(seq, int64(min(b.Seq, 1<<63-1)))
		observed = append(observed, nonZero(b.ObservedAt))
		var trip, difference *int64
		if b.RoundTrip > 0 {
			us := b.RoundTrip.Microseconds()
			trip = &us
		}
		if b.ClockAhead != nil {
			ms := b.ClockAhead.Milliseconds()
			difference = &ms
		}
		trips, ahead = append(trips, trip), append(ahead, difference)
	}
	_, err := s.pool.Exec(ctx, q("Heartbeat"), clusters, incarnations, numbers, seq, observed, s.now(), trips, ahead)
	return wrap(err, "store heartbeats")
}

// Line reads how an agent is connected, and the newest lines of its log; the zero value
// for a cluster that nobody has connected as.
func (s *Store) Line(ctx context.Context, cluster model.ClusterID) (l fleet.Line, err error) {
	const what = "read the cluster's connections"
	b := &pgx.Batch{}
	b.Queue(q("Line"), cluster).QueryRow(func(r pgx.Row) error {
		var trip, ahead *int64
		err := r.Scan(&l.Opened, &l.Closed, &l.LastSeen, &trip, &ahead)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		l.Opened, l.Closed, l.LastSeen = utc(l.Opened), utc(l.Closed), utc(l.LastSeen)
		if trip != nil {
			l.RoundTrip = time.Duration(*trip) * time.Microsecond
		}
		if ahead != nil {
			l.ClockAhead = time.Duration(*ahead) * time.Millisecond
		}
		return err
	})
	b.Queue(q("ConnectionLog"), cluster, fleet.MostConnections).Query(func(r pgx.Rows) (err error) {
		l.Log, err = pgx.CollectRows(r, func(r pgx.CollectableRow) (c fleet.Connection, err error) {
			err = r.Scan(&c.At, &c.Kind, &c.Code, &c.Message)
			c.At = c.At.UTC()
			return c, err
		})
		return err
	})
	return l, wrap(s.pool.SendBatch(ctx, b).Close(), what)
}

// QueuedChanges lists what a cluster's agent has not taken yet, the oldest first.
func (s *Store) QueuedChanges(ctx context.Context, cluster model.ClusterID) ([]fleet.QueuedChange, error) {
	rows, err := s.pool.Query(ctx, q("QueuedChanges"), cluster)
	if err != nil {
		return nil, wrap(err, "read what waits for the cluster")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c fleet.QueuedChange, err error) {
		err = r.Scan(&c.App, &c.Name, &c.Project, &c.What, &c.Generation, &c.Since)
		c.Since = c.Since.UTC()
		return c, err
	})
	return out, wrap(err, "read what waits for the cluster")
}
