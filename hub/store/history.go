package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// causeColumns are the columns of who deployed something, and why.
type causeColumns struct {
	by, reasons, operations []string
	rollbacks               [][]byte
}

func (c *causeColumns) add(cause fleet.Cause) error {
	rollback, err := optional(cause.Rollback)
	if err != nil {
		return err
	}
	c.by, c.reasons = append(c.by, text(cause.InitiatedBy)), append(c.reasons, text(cause.Reason))
	c.operations, c.rollbacks = append(c.operations, text(string(cause.Operation))), append(c.rollbacks, rollback)
	return nil
}

// contentRow is the part that rows of issued and deployments have in common.
type contentRow struct {
	revision, sources, rollback []byte
}

func (r contentRow) into(content *fleet.Content, cause *fleet.Cause) error {
	if err := decode(r.revision, &content.Revision); err != nil {
		return err
	}
	if err := decode(r.sources, &content.Sources); err != nil {
		return err
	}
	if len(r.rollback) > 0 {
		cause.Rollback = new(model.RollbackSpec)
		return decode(r.rollback, cause.Rollback)
	}
	return nil
}

type deploymentRow struct {
	app model.AppUID
	fleet.Deployment
}

func scanDeployment(r pgx.CollectableRow) (d deploymentRow, err error) {
	var c contentRow
	err = r.Scan(&d.app, &d.ID, &d.Generation, &d.Bundle, &d.BundleBytes, &c.revision, &c.sources, &d.InitiatedBy, &d.Reason, &d.Operation, &c.rollback,
		&d.StartedAt, &d.DeployedAt)
	if err != nil {
		return d, err
	}
	d.StartedAt, d.DeployedAt = d.StartedAt.UTC(), d.DeployedAt.UTC()
	return d, c.into(&d.Content, &d.Cause)
}

// Deployments lists what was deployed of an application, oldest first.
func (s *Store) Deployments(ctx context.Context, app model.AppUID) ([]fleet.Deployment, error) {
	all, err := s.deploymentsOf(ctx, []string{text(string(app))})
	if err != nil {
		return nil, err
	}
	return append([]fleet.Deployment{}, all[app]...), nil
}

// deploymentsOf lists the same of several applications.
func (s *Store) deploymentsOf(ctx context.Context, apps []string) (map[model.AppUID][]fleet.Deployment, error) {
	rows, err := s.pool.Query(ctx, q("DeploymentsOf"), apps)
	if err != nil {
		return nil, wrap(err, "read the history")
	}
	found, err := pgx.CollectRows(rows, scanDeployment)
	if err != nil {
		return nil, wrap(err, "read the history")
	}
	out := map[model.AppUID][]fleet.Deployment{}
	for _, d := range found {
		out[d.app] = append(out[d.app], d.Deployment)
	}
	return out, nil
}

// newestEntry is the last of an agent's history; ok is false when it has none.
func newestEntry(history []model.HistoryEntry) (e model.HistoryEntry, ok bool) {
	for _, h := range history {
		if !ok || h.Generation > e.Generation || h.Generation == e.Generation && h.DeployedAt.After(e.DeployedAt) {
			e, ok = h, true
		}
	}
	return e, ok
}

// taken is the newest entry that was taken from an agent's history.
type taken struct {
	generation model.Generation
	at         time.Time
}

// recordHistories stores deployments that the database does not know. Most
// reports bring none: what this process stored last says so without a query.
func (s *Store) recordHistories(ctx context.Context, reports map[appOfCluster]fleet.Report) error {
	news := map[appOfCluster]taken{}
	s.takenMu.Lock()
	for k, r := range reports {
		if e, ok := newestEntry(r.Status.History); ok {
			if t := (taken{e.Generation, e.DeployedAt}); s.taken[k] != t {
				news[k] = t
			}
		}
	}
	s.takenMu.Unlock()
	if len(news) == 0 {
		return nil
	}
	var done []appOfCluster
	err := s.tx(ctx, "store the history", func(tx pgx.Tx) (err error) {
		done, err = s.recordHistory(ctx, tx, slices.Collect(maps.Keys(news)), reports)
		return err
	})
	if err != nil {
		return err
	}
	s.takenMu.Lock()
	defer s.takenMu.Unlock()
	for _, k := range done {
		s.taken[k] = news[k]
	}
	return nil
}

// recordHistory answers the applications whose report was fit to be stored.
func (s *Store) recordHistory(ctx context.Context, tx pgx.Tx, keys []appOfCluster, reports map[appOfCluster]fleet.Report) ([]appOfCluster, error) {
	var (
		uids, clusters        []string
		incarnations, numbers []int64
	)
	for _, k := range keys {
		r := reports[k]
		uids, clusters = append(uids, text(string(k.app))), append(clusters, text(string(k.cluster)))
		incarnations, numbers = append(incarnations, r.Epoch.Incarnation), append(numbers, r.Epoch.Number)
	}
	facts := map[model.AppUID]*fleet.HistoryFacts{}
	rows, err := tx.Query(ctx, q("LockHistories"), uids, clusters, incarnations, numbers)
	if err != nil {
		return nil, err
	}
	var (
		k      appOfCluster
		at     *time.Time
		m      fleet.HistoryMark
		n      int64
		done   []appOfCluster
		locked []string
	)
	_, err = pgx.ForEachRow(rows, []any{&k.app, &k.cluster, &m.ID, &m.Generation, &at, &n}, func() error {
		f := &fleet.HistoryFacts{Mark: m, Limit: fleet.HistoryLimit(model.ApplicationSpec{RevisionHistoryLimit: &n})}
		if at != nil {
			f.Mark.DeployedAt = at.UTC()
		}
		facts[k.app] = f
		done, locked = append(done, k), append(locked, string(k.app))
		return nil
	})
	if err != nil || len(locked) == 0 {
		return nil, err
	}
	if err := readHistories(ctx, tx, locked, facts); err != nil {
		return nil, err
	}

	var out historyRows
	for _, k := range done {
		c, changed := fleet.Observe(*facts[k.app], reports[k].Status.History)
		if !changed {
			continue
		}
		if err := out.add(string(k.app), c); err != nil {
			return nil, err
		}
	}
	if len(out.marked) == 0 {
		return done, nil
	}
	b := &pgx.Batch{}
	out.queue(b)
	return done, tx.SendBatch(ctx, b).Close()
}

// readHistories fills in what the rows of the applications do not say. Their
// locks are held.
func readHistories(ctx context.Context, tx pgx.Tx, uids []string, facts map[model.AppUID]*fleet.HistoryFacts) error {
	b := &pgx.Batch{}
	b.Queue(q("HighestGenerations"), uids).Query(func(r pgx.Rows) error {
		var uid model.AppUID
		var highest model.Generation
		_, err := pgx.ForEachRow(r, []any{&uid, &highest}, func() error {
			facts[uid].Highest = highest
			return nil
		})
		return err
	})
	b.Queue(q("IssuedOf"), uids).Query(func(r pgx.Rows) error {
		for r.Next() {
			var (
				uid model.AppUID
				i   fleet.Issued
				c   contentRow
			)
			err := r.Scan(&uid, &i.Generation, &i.Bundle, &i.BundleBytes, &c.revision, &c.sources, &i.InitiatedBy, &i.Reason, &i.Operation, &c.rollback)
			if err != nil {
				return err
			}
			if err := c.into(&i.Content, &i.Cause); err != nil {
				return err
			}
			facts[uid].Issued = append(facts[uid].Issued, i)
		}
		return r.Err()
	})
	b.Queue(q("DeploymentsOf"), uids).Query(func(r pgx.Rows) error {
		found, err := pgx.CollectRows(r, scanDeployment)
		for _, d := range found {
			facts[d.app].Deployments = append(facts[d.app].Deployments, d.Deployment)
		}
		return err
	})
	return tx.SendBatch(ctx, b).Close()
}

// historyRows are the columns of changes of histories.
type historyRows struct {
	uids, bundles           []string
	ids, generations, sizes []int64
	revisions, sources      [][]byte
	causes                  causeColumns
	started, deployed       []time.Time
	removedFrom             []string
	removed                 []int64
	marked                  []string
	markIDs, markGens       []int64
	markTimes               []time.Time
}

func (h *historyRows) add(uid string, c fleet.HistoryChange) error {
	for _, d := range c.Add {
		revision, err := document(d.Revision)
		if err != nil {
			return err
		}
		sources, err := optionalList(d.Sources)
		if err != nil {
			return err
		}
		if err := h.causes.add(d.Cause); err != nil {
			return err
		}
		h.uids, h.ids, h.generations = append(h.uids, uid), append(h.ids, d.ID), append(h.generations, int64(d.Generation))
		h.bundles, h.sizes = append(h.bundles, string(d.Bundle)), append(h.sizes, d.BundleBytes)
		h.revisions, h.sources = append(h.revisions, revision), append(h.sources, sources)
		h.started, h.deployed = append(h.started, d.StartedAt), append(h.deployed, d.DeployedAt)
	}
	for _, id := range c.Remove {
		h.removedFrom, h.removed = append(h.removedFrom, uid), append(h.removed, id)
	}
	h.marked, h.markIDs = append(h.marked, uid), append(h.markIDs, c.Mark.ID)
	h.markGens, h.markTimes = append(h.markGens, int64(c.Mark.Generation)), append(h.markTimes, c.Mark.DeployedAt)
	return nil
}

func (h *historyRows) queue(b *pgx.Batch) {
	if len(h.uids) > 0 {
		b.Queue(q("AddDeployments"), h.uids, h.ids, h.generations, h.bundles, h.sizes, h.revisions, h.sources,
			h.causes.by, h.causes.reasons, h.causes.operations, h.causes.rollbacks, h.started, h.deployed)
	}
	if len(h.removed) > 0 {
		b.Queue(q("TrimDeployments"), h.removedFrom, h.removed)
	}
	b.Queue(q("MarkHistories"), h.marked, h.markIDs, h.markGens, h.markTimes)
}

func queuePin(b *pgx.Batch, app model.AppUID, p fleet.Pin) error {
	p.Aside = fleet.Untagged(p.Aside) // queries compare it
	doc, err := document(p)
	if err != nil {
		return err
	}
	b.Queue(q("PutPin"), app, string(p.Bundle), doc)
	return nil
}

// deploy changes what is desired as an operation wants it, and answers the
// generation that the operation is about. The application's row is locked.
func (s *Store) deploy(ctx context.Context, tx pgx.Tx, id model.OperationID, n fleet.NewOperation, now time.Time) (model.Generation, error) {
	want := n.Deploy
	var (
		app     lockedApp
		current *model.Desired
	)
	uid := []string{string(n.App)}
	b := &pgx.Batch{}
	b.Queue(q("LockApps"), uid).Query(func(r pgx.Rows) (err error) {
		app, err = pgx.CollectExactlyOneRow(r, scanLockedApp)
		return err
	})
	b.Queue(q("DesiredOf"), uid).QueryRow(func(r pgx.Row) error {
		var doc []byte
		var generation, size int64
		err := r.Scan(&doc, &generation, &size)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		d, err := desiredFrom(doc, generation, size)
		current = &d
		return err
	})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, err
	}
	switch {
	case app.version != want.AppVersion:
		return 0, fault.New(fault.Conflict, "application_changed", "the application was written while this was decided").WithFix("try again")
	case current == nil:
		return 0, fault.New(fault.Precondition, "nothing_rendered", "nothing of the application was rendered yet")
	case want.Expected != 0 && want.Expected != current.Generation:
		return 0, fault.New(fault.Conflict, "generation_changed", "generation %d of the application is desired now, not %d", current.Generation, want.Expected).
			WithField("expectedGeneration").WithFound(strconv.FormatInt(int64(want.Expected), 10), strconv.FormatInt(int64(current.Generation), 10)).
			WithFix("look at the application again and repeat the request")
	}
	next := *current
	next.Bundle, next.BundleBytes, next.Revision = want.Bundle, want.BundleBytes, want.Revision
	if want.Sources != nil {
		next.Spec.SourceRepos = nil
		for _, source := range want.Sources {
			next.Spec.SourceRepos = append(next.Spec.SourceRepos, source.RepoURL)
		}
	}
	generation, rises := fleet.NextGeneration(current, app.counter, app.floor, next)
	next.Generation, next.HoldDeletes = generation, false

	b = &pgx.Batch{}
	if rises {
		var rows desiredRows
		cause := fleet.Cause{InitiatedBy: n.InitiatedBy, Reason: n.Spec.Reason, Operation: id, Rollback: n.Spec.Rollback}
		if err := rows.add(app.cluster, next, want.Sources, cause); err != nil {
			return 0, err
		}
		rows.queue(b, now)
	}
	b.Queue(q("ForgetUnpins"), uid) // the operation is the cause
	if want.Pin == nil {
		b.Queue(q("ReleasePin"), n.App, "", "") // it is what was set aside that is wanted
	} else {
		b.Queue(q("ReleasePins"), uid, fleet.MaxSetAside)
		pin := *want.Pin
		pin.Generation, pin.Operation, pin.At = generation, id, now
		pin.InitiatedBy, pin.Reason = n.InitiatedBy, n.Spec.Reason
		if err := queuePin(b, n.App, pin); err != nil {
			return 0, err
		}
	}
	b.Queue(q("RaiseVersion"), n.App, now) // whatever was rendered meanwhile is decided anew
	b.Queue(q("ForgetRender"), n.App)
	err := tx.SendBatch(ctx, b).Close()
	if sqlState(err) == codeForeignKey {
		return 0, fault.Wrap(err, fault.Unavailable, "bundle_missing", "a bundle that a desired state names is not stored")
	}
	return generation, err
}

// ReleasePin ends a rollback: what the sources say is wanted again, also what
// was set aside. Who says so, and why, is the cause of the desired state that is
// written next. Precondition (not_pinned) when there is no rollback.
func (s *Store) ReleasePin(ctx context.Context, app model.AppUID, by, reason string) (pin fleet.Pin, err error) {
	err = s.tx(ctx, "release the pin", func(tx pgx.Tx) error {
		var name string
		err := tx.QueryRow(ctx, q("LockApp"), text(string(app))).Scan(&name, nil, nil)
		if errors.Is(err, pgx.ErrNoRows) {
			return notFound("application_not_found", "there is no such application")
		}
		if err != nil {
			return err
		}
		var doc []byte
		err = tx.QueryRow(ctx, q("ReleasePin"), app, text(by), text(reason)).Scan(&doc)
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.Precondition, "not_pinned", "application %q is not pinned: it was not rolled back, or something newer was deployed since", name)
		}
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(q("RaiseVersion"), app, s.now())
		b.Queue(q("ForgetRender"), app)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return decode(doc, &pin)
	})
	return pin, err
}

// DesiredOf is what an application's agent is to have; ok is false when nothing
// was rendered yet.
func (s *Store) DesiredOf(ctx context.Context, app model.AppUID) (d model.Desired, ok bool, err error) {
	var doc []byte
	var generation, size int64
	err = s.pool.QueryRow(ctx, q("DesiredOf"), []string{text(string(app))}).Scan(&doc, &generation, &size)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, false, nil
	}
	if err != nil {
		return d, false, wrap(err, "read the desired state")
	}
	d, err = desiredFrom(doc, generation, size)
	return d, err == nil, wrap(err, "read the desired state")
}

// AmendDelete changes the delete of an application that is under way, as
// fleet.Amend says; At is set here. only, when set, is the delete that is meant,
// and another is left alone. NotFound (operation_not_found) when there is none.
func (s *Store) AmendDelete(ctx context.Context, app model.AppUID, only model.OperationID, amendment model.Amendment) (op model.OperationInfo, err error) {
	amendment.By, amendment.Reason, amendment.At = text(amendment.By), text(amendment.Reason), s.now()
	err = s.tx(ctx, "change the delete", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, q("LockApps"), []string{text(string(app))}); err != nil {
			return err
		}
		open, err := queryOperations(ctx, tx, "OpenOperationsOfApp", text(string(app)))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(open, func(op model.OperationInfo) bool {
			return op.Kind == model.OperationDelete && (only == "" || op.ID == only)
		})
		if i < 0 {
			return notFound("operation_not_found", "the application is not being deleted")
		}
		var changed bool
		if op, changed, err = fleet.Amend(open[i], amendment); err != nil || !changed {
			return err
		}
		spec, err := document(op.Spec)
		if err != nil {
			return err
		}
		amendments, err := optionalList(op.Amendments)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(q("AmendOperation"), op.ID, spec, amendments)
		b.Queue(q("AmendWithdrawal"), op.App, op.ID, model.WithdrawModeOf(op.Spec), op.Spec.ApproveDeletions)
		return tx.SendBatch(ctx, b).Close()
	})
	return op, err
}

// OperationByKey finds the operation that an idempotency key made.
func (s *Store) OperationByKey(ctx context.Context, key string) (op model.OperationInfo, found bool, err error) {
	ops, err := queryOperations(ctx, s.pool, "OperationByKey", text(key))
	if err != nil || len(ops) == 0 {
		return op, false, wrap(err, "read the operation")
	}
	return ops[0], true, nil
}
