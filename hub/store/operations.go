package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// defaultOperationLimit of Operations.
const defaultOperationLimit = 100

func scanOperation(r pgx.CollectableRow) (op model.OperationInfo, err error) {
	var spec, result, amendments []byte
	var created time.Time
	err = r.Scan(&op.ID, &op.Seq, &op.App, &op.AppName, &op.Cluster, &op.Kind, &spec, &op.Phase, &op.Message, &op.Terminating,
		&result, &op.InitiatedBy, &created, &op.StartedAt, &op.FinishedAt, &op.Deadline, &op.Generation, &amendments, &op.Project)
	if err != nil {
		return op, err
	}
	op.CreatedAt = utc(&created)
	op.StartedAt, op.FinishedAt, op.Deadline = utc(op.StartedAt), utc(op.FinishedAt), utc(op.Deadline)
	if err := decode(spec, &op.Spec); err != nil {
		return op, err
	}
	if err := decode(amendments, &op.Amendments); err != nil {
		return op, err
	}
	if len(result) > 0 {
		op.Result = new(model.OperationResult)
		return op, decode(result, op.Result)
	}
	return op, nil
}

func queryOperations(ctx context.Context, db querier, statement string, args ...any) ([]model.OperationInfo, error) {
	rows, err := db.Query(ctx, q(statement), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanOperation)
}

// Operation reads one. NotFound (operation_not_found).
func (s *Store) Operation(ctx context.Context, id model.OperationID) (model.OperationInfo, error) {
	found, err := queryOperations(ctx, s.pool, "Operation", text(string(id)))
	if err == nil && len(found) == 0 {
		return model.OperationInfo{}, fleet.OperationUnknown(string(id))
	}
	if err != nil {
		return model.OperationInfo{}, wrap(err, "read the operation")
	}
	return found[0], nil
}

// Operations lists what the filter selects, newest first.
func (s *Store) Operations(ctx context.Context, f fleet.OperationFilter) ([]model.OperationInfo, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultOperationLimit
	}
	out, err := queryOperations(ctx, s.pool, "Operations", string(f.App), string(f.Cluster), f.OpenOnly, limit, f.Projects, f.Before)
	return out, wrap(err, "list operations")
}

// CountOperations counts the operations that a filter means, the newest f.Limit of
// them; f.Before does not count.
func (s *Store) CountOperations(ctx context.Context, f fleet.OperationFilter) ([]fleet.OperationCount, error) {
	rows, err := s.pool.Query(ctx, q("CountOperations"), string(f.App), string(f.Cluster), f.OpenOnly, f.Limit, f.Projects)
	if err != nil {
		return nil, wrap(err, "count operations")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c fleet.OperationCount, err error) {
		err = r.Scan(&c.Phase, &c.Kind, &c.Count)
		return c, err
	})
	return out, wrap(err, "count operations")
}

// PendingOperations lists the operations of a cluster that have not ended, in
// the order of their numbers. Deletes are not among them; they travel as
// withdrawals.
func (s *Store) PendingOperations(ctx context.Context, cluster model.ClusterID) ([]model.OperationInfo, error) {
	out, err := queryOperations(ctx, s.pool, "PendingOperations", cluster)
	return out, wrap(err, "list pending operations")
}

// commitUnknownRetries bounds how often CreateOperation asks what became of a
// commit whose answer was lost.
const commitUnknownRetries = 3

// CreateOperation stores a command before it is answered. existed is true when
// the idempotency key, or a delete that is under way, already stands for it.
// Operations that it supersedes end in the same transaction. A delete marks the
// application and writes its withdrawal.
//
// When the connection is lost while committing, CreateOperation finds out what
// became of it, under the lock of the application's row. Only if that fails too
// the answer is Unavailable commit_unknown, with the operation's id to ask for.
//
// Codes: application_not_found, operation_running, application_deleting,
// operation_kind, idempotency_key_reused; with NewOperation.Deploy also
// application_changed, generation_changed, nothing_rendered.
func (s *Store) CreateOperation(ctx context.Context, n fleet.NewOperation) (op model.OperationInfo, existed bool, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return op, false, fault.Wrap(err, fault.Internal, "operation_id", "no operation id could be made")
	}
	oid := model.OperationID(id.String())
	n.Spec.TraceParent = tracing.Parent(ctx)
	doubt := false
	for attempt := 1; ; attempt++ {
		err = s.tx(ctx, "store the operation", func(tx pgx.Tx) (err error) {
			op, existed, err = s.createOperation(ctx, tx, oid, n)
			return err
		})
		switch {
		case err == nil:
			return op, existed, nil
		case errors.Is(err, errCommitUnknown):
			doubt = true
		case doubt && fault.Is(err, fault.Unavailable):
			// Still cannot ask.
		default:
			return model.OperationInfo{}, false, err
		}
		if attempt > commitUnknownRetries || ctx.Err() != nil {
			return model.OperationInfo{}, false, fault.Wrap(err, fault.Unavailable, "commit_unknown",
				"the database connection was lost at the last moment: could not tell whether operation %s was stored", oid).
				WithFix("ask for operation %s; if there is none, the request was not done", oid)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(attempt) * 100 * time.Millisecond):
		}
	}
}

func (s *Store) createOperation(ctx context.Context, tx pgx.Tx, id model.OperationID, n fleet.NewOperation) (op model.OperationInfo, existed bool, err error) {
	now := s.now()
	var (
		name    string
		cluster model.ClusterID
		version int64
	)
	err = tx.QueryRow(ctx, q("LockApp"), text(string(n.App))).Scan(&name, &cluster, &version)
	missing := errors.Is(err, pgx.ErrNoRows)
	if err != nil && !missing {
		return op, false, err
	}

	// An earlier attempt of this very call may have been committed.
	if mine, err := queryOperations(ctx, tx, "Operation", string(id)); err != nil {
		return op, false, err
	} else if len(mine) == 1 {
		return mine[0], false, nil
	}
	if n.IdempotencyKey != "" {
		same, err := queryOperations(ctx, tx, "OperationByKey", text(n.IdempotencyKey))
		if err != nil {
			return op, false, err
		}
		if len(same) == 1 {
			return same[0], true, fleet.Repeats(same[0], n)
		}
	}
	if missing {
		return op, false, notFound("application_not_found", "there is no such application")
	}
	if n.Version != 0 && n.Version != version {
		return op, false, changedMeanwhile("application " + strconv.Quote(name))
	}

	open, err := queryOperations(ctx, tx, "OpenOperationsOfApp", n.App)
	if err != nil {
		return op, false, err
	}
	admission, err := fleet.Admit(open, n)
	if err != nil {
		return op, false, err
	}
	if admission.Existing != nil {
		return *admission.Existing, true, nil
	}
	var transitions []fleet.OperationTransition
	for _, sid := range admission.Supersede {
		for _, old := range open {
			if old.ID != sid {
				continue
			}
			next, changed, err := fleet.Advance(old, fleet.Supersede("superseded by operation "+string(id), now))
			if err != nil {
				return op, false, err
			}
			if changed {
				transitions = append(transitions, fleet.Transition(old, next))
			}
		}
	}
	if err := s.storeTransitions(ctx, tx, transitions, now); err != nil {
		return op, false, err
	}

	spec, err := document(n.Spec)
	if err != nil {
		return op, false, err
	}
	var key *string
	if n.IdempotencyKey != "" {
		k := text(n.IdempotencyKey)
		key = &k
	}
	op = model.OperationInfo{
		ID: id, App: n.App, AppName: name, Cluster: cluster, Kind: n.Kind, Spec: n.Spec, Phase: model.PhaseQueued,
		InitiatedBy: n.InitiatedBy, CreatedAt: &now,
	}
	if n.Kind != model.OperationDelete && !n.Deadline.IsZero() {
		d := n.Deadline.UTC().Truncate(time.Microsecond)
		op.Deadline = &d
	}
	if n.Deploy != nil {
		if op.Generation, err = s.deploy(ctx, tx, id, n, now); err != nil {
			return op, false, err
		}
	}
	err = tx.QueryRow(ctx, q("InsertOperation"), id, n.App, name, cluster, n.Kind, spec, text(n.InitiatedBy), key, now, op.Deadline, op.Generation).Scan(&op.Seq, &op.Project)
	if err != nil {
		return op, false, err
	}
	if n.Kind != model.OperationDelete {
		return op, false, nil
	}
	mode := model.WithdrawModeOf(n.Spec)
	var counter, floor model.Generation
	if err := tx.QueryRow(ctx, q("AppCounter"), n.App).Scan(&counter, &floor); err != nil {
		return op, false, err
	}
	if _, err := tx.Exec(ctx, q("MarkDeleting"), n.App, now); err != nil {
		return op, false, err
	}
	_, err = tx.Exec(ctx, q("InsertWithdrawal"), n.App, cluster, name, fleet.NextWithdrawal(counter, floor), mode, id, op.Seq, now, n.Spec.ApproveDeletions)
	return op, false, err
}

// storeTransitions writes what became of operations and, where one was a
// delete, of its application.
func (s *Store) storeTransitions(ctx context.Context, tx pgx.Tx, ts []fleet.OperationTransition, now time.Time) error {
	if len(ts) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	for _, t := range ts {
		op := t.Operation
		result, err := optional(op.Result)
		if err != nil {
			return err
		}
		amendments, err := optionalList(op.Amendments)
		if err != nil {
			return err
		}
		b.Queue(q("UpdateOperation"), op.ID, op.Phase, text(op.Message), op.Terminating, result, op.StartedAt, op.FinishedAt, amendments)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	for _, t := range ts {
		switch op := t.Operation; {
		case t.AppRemoved:
			if err := s.removeApp(ctx, tx, op, now); err != nil {
				return err
			}
		case t.AppKept:
			if _, err := tx.Exec(ctx, q("KeepApp"), op.App, op.ID, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeApp carries out a delete that succeeded. Operations and a tombstone stay.
func (s *Store) removeApp(ctx context.Context, tx pgx.Tx, op model.OperationInfo, now time.Time) error {
	open, err := queryOperations(ctx, tx, "OpenOperationsOfApp", op.App)
	if err != nil {
		return err
	}
	if err := s.storeTransitions(ctx, tx, fleet.OnAppRemoved(open, op.ID, now), now); err != nil {
		return err
	}
	s.takenMu.Lock()
	delete(s.taken, appOfCluster{op.Cluster, op.App})
	s.takenMu.Unlock()
	b := &pgx.Batch{}
	b.Queue(q("BuryApp"), op.App, op.ID, now)
	for _, statement := range []string{"RemoveTree", "RemoveObserved", "RemoveWithdrawal", "RemovePin", "RemoveDeployments", "RemoveIssued", "RemoveDesired", "RemoveSource", "RemoveApp"} {
		b.Queue(q(statement), op.App)
	}
	return tx.SendBatch(ctx, b).Close()
}

// MarkSent notes that queued operations are about to be given to a session.
// Conflict (epoch_stale) when it is not the cluster's newest.
func (s *Store) MarkSent(ctx context.Context, cluster model.ClusterID, epoch model.Epoch, ids []model.OperationID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.tx(ctx, "mark operations as sent", func(tx pgx.Tx) error {
		if err := fence(ctx, tx, cluster, epoch); err != nil {
			return err
		}
		_, err := s.advance(ctx, tx, cluster, ids, func(op model.OperationInfo, now time.Time) (model.OperationInfo, bool, error) {
			return fleet.Advance(op, fleet.OperationEvent{Type: fleet.EventSent, At: now})
		})
		return err
	})
}

// advance locks operations, with their applications first, asks decide about
// each, and stores what changes. An empty cluster means any. It returns the
// operations as they then are.
func (s *Store) advance(ctx context.Context, tx pgx.Tx, cluster model.ClusterID, ids []model.OperationID,
	decide func(op model.OperationInfo, now time.Time) (model.OperationInfo, bool, error),
) ([]model.OperationInfo, error) {
	now := s.now()
	raw := make([]string, len(ids))
	for i, id := range ids {
		raw[i] = text(string(id))
	}
	if _, err := tx.Exec(ctx, q("LockAppsOfOperations"), raw); err != nil {
		return nil, err
	}
	var (
		ops []model.OperationInfo
		err error
	)
	if cluster == "" {
		ops, err = queryOperations(ctx, tx, "LockOperations", raw)
	} else {
		ops, err = queryOperations(ctx, tx, "LockClusterOperations", raw, cluster)
	}
	if err != nil {
		return nil, err
	}
	var ts []fleet.OperationTransition
	for i, op := range ops {
		next, changed, err := decide(op, now)
		if err != nil {
			return nil, err
		}
		if changed {
			ops[i] = next
			ts = append(ts, fleet.Transition(op, next))
		}
	}
	return ops, s.storeTransitions(ctx, tx, ts, now)
}

// ApplyOperationUpdates stores what an agent says about operations and returns
// those of its cluster that were named, as they now are. An update that can
// never be right is left out with a log line; one of an operation that the hub
// does not know is not in the answer.
func (s *Store) ApplyOperationUpdates(ctx context.Context, cluster model.ClusterID, epoch model.Epoch, updates []model.OperationUpdate) ([]model.OperationInfo, error) {
	if len(updates) == 0 {
		return nil, nil
	}
	byID := make(map[model.OperationID][]model.OperationUpdate, len(updates))
	var ids []model.OperationID
	for _, u := range updates {
		if byID[u.ID] == nil {
			ids = append(ids, u.ID)
		}
		byID[u.ID] = append(byID[u.ID], u)
	}
	var ops []model.OperationInfo
	err := s.tx(ctx, "store the operations' progress", func(tx pgx.Tx) (err error) {
		if err := fence(ctx, tx, cluster, epoch); err != nil {
			return err
		}
		ops, err = s.advance(ctx, tx, cluster, ids, func(op model.OperationInfo, now time.Time) (model.OperationInfo, bool, error) {
			changed := false
			for _, u := range byID[op.ID] {
				next, c, err := fleet.Advance(op, fleet.Update(u, now))
				if err != nil {
					s.log.WarnContext(ctx, "an agent's word on an operation was refused", "cluster", cluster, "operation", op.ID, "error", err)
					continue
				}
				op, changed = next, changed || c
			}
			return op, changed, nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return ops, nil
}

// TerminateOperation asks for the end of an operation: a queued one ends at
// once, of another the agent is told. Precondition (delete_started) for a
// delete that the agent has; NotFound (operation_not_found).
func (s *Store) TerminateOperation(ctx context.Context, id model.OperationID, by string) (model.OperationInfo, error) {
	var ops []model.OperationInfo
	err := s.tx(ctx, "end the operation", func(tx pgx.Tx) (err error) {
		ops, err = s.advance(ctx, tx, "", []model.OperationID{id}, func(op model.OperationInfo, now time.Time) (model.OperationInfo, bool, error) {
			return fleet.Advance(op, fleet.OperationEvent{Type: fleet.EventTerminate, By: by, At: now})
		})
		return err
	})
	if err != nil {
		return model.OperationInfo{}, err
	}
	if len(ops) == 0 {
		return model.OperationInfo{}, fleet.OperationUnknown(string(id))
	}
	return ops[0], nil
}

// ExpireOperations ends operations whose deadline has passed before any agent
// had them, and returns them.
func (s *Store) ExpireOperations(ctx context.Context, now time.Time) ([]model.OperationInfo, error) {
	rows, err := s.pool.Query(ctx, q("OverdueOperations"), now)
	if err != nil {
		return nil, wrap(err, "expire operations")
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[model.OperationID])
	if err != nil || len(ids) == 0 {
		return nil, wrap(err, "expire operations")
	}
	var ended []model.OperationInfo
	err = s.tx(ctx, "expire operations", func(tx pgx.Tx) error {
		ended = nil
		_, err := s.advance(ctx, tx, "", ids, func(op model.OperationInfo, _ time.Time) (model.OperationInfo, bool, error) {
			next, changed := fleet.Expire(op, now)
			if changed {
				ended = append(ended, next)
			}
			return next, changed, nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}
