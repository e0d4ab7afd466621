package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// viewRow is a row of the statement AppViews; what a LEFT JOIN may not find is
// a pointer.
type viewRow struct {
	view                  model.AppView
	deleting              bool
	srcError, srcWarnings []byte
	pin                   []byte

	desiredGeneration      *int64
	desiredRevision        []byte
	ackCode, ackError      *string
	ackedAt                *time.Time
	obs                    observation
	obsGeneration          *int64
	obsRevision            *string
	syncStatus, syncReason *string
	health, healthMessage  *string
	healthSince            *time.Time
	conditions, operation  []byte
	lease                  lease
	revoked                bool
	op                     operationRow
	labels                 map[string]string
	created, updated       time.Time
}

// observation is which report an observed state came with.
type observation struct {
	incarnation, number, seq *int64
	at                       *time.Time
}

// lease is the cluster's newest session.
type lease struct {
	incarnation, number *int64
	closedAt, lastSeen  *time.Time
	reportSeq           *int64
	confirmedAt         *time.Time
}

type operationRow struct {
	id, kind, phase, message, by *string
	seq                          *int64
	spec                         []byte
	terminating                  *bool
	created, started, finished   *time.Time
	deadline                     *time.Time
	generation                   *int64
}

// confirms reports whether the session's last heartbeat still holds for the
// observation: it came in this session, and the heartbeat covers it.
func (l lease) confirms(o observation) bool {
	return o.seq != nil && l.number != nil && l.confirmedAt != nil && l.reportSeq != nil &&
		*l.incarnation == *o.incarnation && *l.number == *o.number && *o.seq <= *l.reportSeq
}

// observedAt is the newest time at which the observation was known to hold.
func (l lease) observedAt(o observation) *time.Time {
	at := utc(o.at)
	if at != nil && l.confirms(o) && l.confirmedAt.After(*at) {
		at = utc(l.confirmedAt)
	}
	return at
}

// connected reports whether the session counts as open now.
func (l lease) connected(now time.Time, ttl time.Duration) bool {
	return l.number != nil && l.closedAt == nil && l.lastSeen != nil && now.Sub(*l.lastSeen) <= ttl
}

// freshness of an observation now.
func (l lease) freshness(o observation, now time.Time, ttl time.Duration, revoked bool) model.Freshness {
	var lastSeen *time.Time
	if l.confirms(o) {
		lastSeen = l.lastSeen
	}
	return fleet.Freshness(now, l.connected(now, ttl) && !revoked, lastSeen, o.at)
}

// AppRows reads applications as lists need them, by name; uids nil: all.
func (s *Store) AppRows(ctx context.Context, uids []model.AppUID) ([]fleet.AppRow, error) {
	sql, args := q("AppViews"), []any{"", "", nil, nil}
	if uids != nil {
		sql, args = appViewsByUID, []any{texts(strs(uids))}
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, wrap(err, "list applications")
	}
	now := s.now()
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (fleet.AppRow, error) {
		var v viewRow
		if err := v.scan(r); err != nil {
			return fleet.AppRow{}, err
		}
		view, err := v.assemble(now, s.lease)
		row := fleet.AppRow{AppView: view, Labels: v.labels, CreatedAt: v.created.UTC(), UpdatedAt: v.updated.UTC(), ReportedAt: utc(v.obs.at)}
		if v.obs.seq != nil {
			row.Report = fleet.ReportID{Incarnation: *v.obs.incarnation, Number: *v.obs.number, Seq: *v.obs.seq}
		}
		return row, err
	})
	return out, wrap(err, "list applications")
}

// Leases reads the newest session of clusters, nil for all; one that never had
// any has none.
func (s *Store) Leases(ctx context.Context, of []model.ClusterID) ([]fleet.Lease, error) {
	var ids []string
	if of != nil {
		ids = texts(strs(of))
	}
	rows, err := s.pool.Query(ctx, q("Leases"), ids)
	if err != nil {
		return nil, wrap(err, "read the sessions")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (l fleet.Lease, err error) {
		err = r.Scan(&l.Cluster, &l.Incarnation, &l.Number, &l.Open, &l.LastSeen, &l.Seq, &l.ConfirmedAt)
		l.LastSeen, l.ConfirmedAt = utc(l.LastSeen), utc(l.ConfirmedAt)
		return l, err
	})
	return out, wrap(err, "read the sessions")
}

// LeaseTime is how long after its last sign of life a session counts as open.
func (s *Store) LeaseTime() time.Duration { return s.lease }

// AppViews lists what the filter selects, by name, without resources, history
// and documents.
func (s *Store) AppViews(ctx context.Context, f fleet.ViewFilter) ([]model.AppView, error) {
	var names, uids []string
	if f.Names != nil {
		names = texts(f.Names)
	}
	if f.UIDs != nil {
		uids = texts(strs(f.UIDs))
	}
	sql, args := q("AppViews"), []any{f.Project, string(f.Cluster), names, uids}
	switch {
	case f.Project != "" || f.Cluster != "" || names != nil && uids != nil:
	case names != nil:
		sql, args = appViewsByName, []any{names}
	case uids != nil:
		sql, args = appViewsByUID, []any{uids}
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, wrap(err, "list applications")
	}
	out, err := pgx.CollectRows(rows, s.scanView(s.now()))
	return out, wrap(err, "list applications")
}

func (s *Store) scanView(now time.Time) pgx.RowToFunc[model.AppView] {
	return func(r pgx.CollectableRow) (model.AppView, error) {
		var v viewRow
		if err := v.scan(r); err != nil {
			return model.AppView{}, err
		}
		return v.assemble(now, s.lease)
	}
}

func (v *viewRow) scan(r pgx.CollectableRow) error {
	a, o, l, p := &v.view, &v.obs, &v.lease, &v.op
	return r.Scan(&a.UID, &a.Name, &a.Project, &a.Cluster, &a.ClusterID, &a.Namespace, &a.RepoURL, &a.Path, &a.Target, &a.AutoSync, &v.deleting,
		&v.srcError, &v.srcWarnings, &v.pin,
		&v.desiredGeneration, &v.desiredRevision, &v.ackCode, &v.ackError, &v.ackedAt,
		&o.incarnation, &o.number, &o.seq, &v.obsGeneration, &o.at, &v.obsRevision, &v.syncStatus, &v.syncReason,
		&v.health, &v.healthMessage, &v.healthSince, &v.conditions, &v.operation,
		&l.incarnation, &l.number, &l.closedAt, &l.lastSeen, &l.reportSeq, &l.confirmedAt, &v.revoked,
		&p.id, &p.seq, &p.kind, &p.spec, &p.phase, &p.message, &p.terminating, &p.by, &p.created, &p.started, &p.finished, &p.deadline, &p.generation,
		&v.labels, &v.created, &v.updated)
}

func (v *viewRow) assemble(now time.Time, ttl time.Duration) (model.AppView, error) {
	a := v.view
	a.Deleting = v.deleting
	if err := decode(v.desiredRevision, &a.Desired); err != nil {
		return a, err
	}
	if len(v.pin) > 0 {
		a.Pin = new(model.Pin)
		if err := decode(v.pin, a.Pin); err != nil {
			return a, err
		}
	}
	if v.desiredGeneration != nil {
		a.Generation = model.Generation(*v.desiredGeneration)
	}

	a.Freshness = v.lease.freshness(v.obs, now, ttl, v.revoked)
	a.ObservedAt = v.lease.observedAt(v.obs)

	a.Sync, a.Health = model.SyncFacet{Status: model.SyncUnknown}, model.HealthFacet{Status: model.HealthUnknown}
	var agentOp *model.OperationInfo
	if v.syncStatus != nil {
		a.Sync = syncFacet(model.SyncStatus(*v.syncStatus), model.SyncReason(*v.syncReason), a.Generation, model.Generation(*v.obsGeneration))
		a.Health = model.HealthFacet{Status: model.Health(*v.health), Message: *v.healthMessage, Since: utc(v.healthSince)}
		a.Revision = *v.obsRevision
		if len(v.operation) > 0 {
			agentOp = new(model.OperationInfo)
			if err := decode(v.operation, agentOp); err != nil {
				return a, err
			}
		}
	}
	hubOp, err := v.op.info(a)
	if err != nil {
		return a, err
	}
	a.Operation = shownOperation(hubOp, agentOp)

	if len(v.srcError) > 0 {
		var c model.Condition
		if err := decode(v.srcError, &c); err != nil {
			return a, err
		}
		a.Conditions = append(a.Conditions, c)
	}
	var warnings []model.Condition
	if err := decode(v.srcWarnings, &warnings); err != nil {
		return a, err
	}
	a.Conditions = append(a.Conditions, warnings...)
	if v.ackCode != nil && *v.ackCode != "" && v.ackedAt != nil {
		if c := fleet.RefusalCondition(fleet.Ack{App: a.UID, ErrorCode: *v.ackCode, Error: *v.ackError}, v.ackedAt.UTC()); c != nil {
			a.Conditions = append(a.Conditions, *c)
		}
	}
	if len(v.conditions) > 0 {
		var agent []model.Condition
		if err := decode(v.conditions, &agent); err != nil {
			return a, err
		}
		a.Conditions = append(a.Conditions, agent...)
	}
	return a, nil
}

// syncFacet is what an agent's word means now: when the hub has a newer desired
// state than the agent spoke of, what it called Synced is not.
func syncFacet(status model.SyncStatus, reason model.SyncReason, desired, observed model.Generation) model.SyncFacet {
	if observed < desired && status != model.SyncUnknown {
		return model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonPending}
	}
	return model.SyncFacet{Status: status, Reason: reason}
}

// shownOperation chooses between the newest command and the newest operation
// that the agent reports, which may be one of its own (automated sync): what
// has not ended comes first, then what started later.
func shownOperation(hub, agent *model.OperationInfo) *model.OperationInfo {
	switch {
	case agent == nil:
		return hub
	case hub == nil:
		return agent
	case hub.ID == agent.ID, !hub.Phase.Terminal():
		return hub
	case !agent.Phase.Terminal():
		return agent
	}
	if newest(agent).After(newest(hub)) {
		return agent
	}
	return hub
}

func newest(op *model.OperationInfo) time.Time {
	var t time.Time
	for _, c := range []*time.Time{op.CreatedAt, op.StartedAt, op.FinishedAt} {
		if c != nil && c.After(t) {
			t = *c
		}
	}
	return t
}

func (p operationRow) info(a model.AppView) (*model.OperationInfo, error) {
	if p.id == nil {
		return nil, nil
	}
	op := &model.OperationInfo{
		ID: model.OperationID(*p.id), Seq: *p.seq, App: a.UID, AppName: a.Name, Cluster: a.ClusterID,
		Kind: model.OperationKind(*p.kind), Phase: model.OperationPhase(*p.phase), Message: *p.message, Terminating: *p.terminating,
		InitiatedBy: *p.by, CreatedAt: utc(p.created), StartedAt: utc(p.started), FinishedAt: utc(p.finished), Deadline: utc(p.deadline),
		Generation: model.Generation(*p.generation),
	}
	return op, decode(p.spec, &op.Spec)
}

// AppView reads one application in full: with resources, history, the result of
// its operation and the object as written. NotFound (application_not_found).
//
// What people look at most is one round trip of statements that name the key:
// a list of one name would be planned anew each time, which takes ten times as
// long as to read it. The document comes first, so that its version is never
// newer than what is shown with it.
func (s *Store) AppView(ctx context.Context, name string) (model.AppView, error) {
	var (
		batch   = &pgx.Batch{}
		key     = text(name)
		now     = s.now()
		d       detail
		view    model.AppView
		history []deploymentRow
	)
	batch.Queue(appDetailByName, key).Query(func(rows pgx.Rows) (err error) {
		d, err = pgx.CollectExactlyOneRow(rows, scanDetail)
		return err
	})
	batch.Queue(appViewByName, key).Query(func(rows pgx.Rows) (err error) {
		view, err = pgx.CollectExactlyOneRow(rows, s.scanView(now))
		return err
	})
	batch.Queue(deploymentsByName, key).Query(func(rows pgx.Rows) (err error) {
		history, err = pgx.CollectRows(rows, scanDeployment)
		return err
	})
	err := s.pool.SendBatch(ctx, batch).Close()
	if errors.Is(err, pgx.ErrNoRows) || err == nil && d.uid != view.UID { // deleted meanwhile
		return model.AppView{}, applicationNotFound(name)
	}
	if err != nil {
		return model.AppView{}, wrap(err, "read the application")
	}
	for _, x := range history {
		if x.app == view.UID {
			view.History = append(view.History, x.Entry())
		}
	}
	return view, wrap(d.addTo(&view), "read the application")
}

// AppDetails are the applications that there are of some names, by name, with all
// that is known of each. It takes four queries, however many they are.
func (s *Store) AppDetails(ctx context.Context, names []string) ([]model.AppView, error) {
	if len(names) == 0 {
		return nil, nil // and not all
	}
	views, err := s.AppViews(ctx, fleet.ViewFilter{Names: names})
	if err != nil || len(views) == 0 {
		return nil, err
	}
	uids := make([]string, len(views))
	for i, v := range views {
		uids[i] = string(v.UID)
	}
	rows, err := s.pool.Query(ctx, q("AppDetails"), uids)
	if err != nil {
		return nil, wrap(err, "read applications")
	}
	found, err := pgx.CollectRows(rows, scanDetail)
	if err != nil {
		return nil, wrap(err, "read applications")
	}
	details := map[model.AppUID]detail{}
	for _, d := range found {
		details[d.uid] = d
	}
	history, err := s.deploymentsOf(ctx, uids)
	if err != nil {
		return nil, err
	}
	out := views[:0]
	for _, v := range views {
		d, ok := details[v.UID]
		if !ok {
			continue // deleted meanwhile
		}
		for _, x := range history[v.UID] {
			v.History = append(v.History, x.Entry())
		}
		if err := d.addTo(&v); err != nil {
			return nil, wrap(err, "read applications")
		}
		out = append(out, v)
	}
	return out, nil
}

// AppDocuments are applications as they were written, those that there are.
func (s *Store) AppDocuments(ctx context.Context, uids []model.AppUID) (map[model.AppUID]*model.Application, error) {
	rows, err := s.pool.Query(ctx, q("AppDocuments"), strs(uids))
	if err != nil {
		return nil, wrap(err, "read applications")
	}
	out := map[model.AppUID]*model.Application{}
	_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (none struct{}, err error) {
		var row appDocument
		if err := r.Scan(&row.uid, &row.doc, &row.version, &row.created); err != nil {
			return none, err
		}
		out[row.uid], err = row.application()
		return none, err
	})
	return out, wrap(err, "read applications")
}

// appDocument is an application as it was written, as it is stored.
type appDocument struct {
	uid     model.AppUID
	doc     []byte
	version int64
	created time.Time
}

func (d appDocument) application() (*model.Application, error) {
	out := new(model.Application)
	if err := decode(d.doc, out); err != nil {
		return nil, err
	}
	m := &out.Metadata
	m.UID, m.ResourceVersion, m.Generation, m.CreationTimestamp = string(d.uid), strconv.FormatInt(d.version, 10), d.version, utc(&d.created)
	return out, nil
}

// detail is a row of the statement AppDetails.
type detail struct {
	uid            model.AppUID
	app            *model.Application
	status, result []byte
}

func scanDetail(r pgx.CollectableRow) (d detail, err error) {
	var row appDocument
	if err := r.Scan(&row.uid, &row.doc, &row.version, &row.created, &d.status, &d.result); err != nil {
		return d, err
	}
	d.uid = row.uid
	d.app, err = row.application()
	return d, err
}

// addTo adds the object as written, what the agent has reported of the objects,
// and the result of the operation that the view shows.
func (d detail) addTo(v *model.AppView) error {
	v.Application = d.app
	return addObserved(v, d.status, d.result)
}

func addObserved(v *model.AppView, status, result []byte) error {
	var observed model.AppStatus
	if err := decode(status, &observed); err != nil {
		return err
	}
	v.Resources, v.HealthCauses = observed.Resources, observed.HealthCauses
	switch op := v.Operation; {
	case op == nil:
	case observed.Operation != nil && observed.Operation.ID == op.ID && op.Seq == 0:
		op.Result = observed.Operation.Result
	case op.Seq != 0 && len(result) > 0:
		op.Result = new(model.OperationResult)
		return decode(result, op.Result)
	}
	return nil
}

// TreeState reads which tree of an application is the newest, and how far it can be
// trusted now. NotFound (application_not_found).
func (s *Store) TreeState(ctx context.Context, name string) (fleet.TreeState, error) {
	var (
		out     fleet.TreeState
		digest  *string
		at      *time.Time
		obs     observation
		l       lease
		revoked bool
	)
	err := s.pool.QueryRow(ctx, q("TreeState"), text(name)).Scan(&out.App, &out.Project, &digest, &at, &obs.incarnation, &obs.number, &obs.seq, &obs.at,
		&l.incarnation, &l.number, &l.closedAt, &l.lastSeen, &l.reportSeq, &l.confirmedAt, &revoked)
	if errors.Is(err, pgx.ErrNoRows) {
		return out, applicationNotFound(name)
	}
	if err != nil {
		return out, wrap(err, "read the state of the resource tree")
	}
	out.Version = treeVersion(out.App, digest, at)
	out.Freshness = l.freshness(obs, s.now(), s.lease, revoked)
	if at != nil {
		out.ObservedAt = l.observedAt(obs)
	}
	return out, nil
}

func treeVersion(app model.AppUID, digest *string, at *time.Time) fleet.TreeVersion {
	v := fleet.TreeVersion{App: app}
	if digest != nil && at != nil {
		v.Digest, v.At = *digest, at.UTC()
	}
	return v
}

// Tree reads the newest resource tree of an application, and the newest time at
// which it was known to hold. NotFound (tree_not_found) when none was reported.
func (s *Store) Tree(ctx context.Context, uid model.AppUID) (fleet.Tree, error) {
	var (
		doc    []byte
		digest *string
		at     *time.Time
		obs    observation
		l      lease
		tree   fleet.Tree
	)
	err := s.pool.QueryRow(ctx, q("Tree"), text(string(uid))).Scan(&doc, &digest, &at, &obs.incarnation, &obs.number, &obs.seq, &obs.at,
		&l.incarnation, &l.number, &l.reportSeq, &l.confirmedAt)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && at == nil {
		return tree, fault.New(fault.NotFound, "tree_not_found", "no resource tree was reported of this application")
	}
	if err != nil {
		return tree, wrap(err, "read the resource tree")
	}
	tree.Version = treeVersion(uid, digest, at)
	// A later report without a tree says that it did not change.
	tree.ObservedAt = *l.observedAt(obs)
	return tree, wrap(decode(doc, &tree.ResourceTree), "read the resource tree")
}
