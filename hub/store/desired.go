package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// lockedApp is the row of an application whose next desired state is decided.
type lockedApp struct {
	uid            model.AppUID
	version        int64
	deleting       bool
	cluster        model.ClusterID
	counter, floor model.Generation
	// unpinned says who ended a rollback of which nothing came yet.
	unpinned fleet.Cause
}

func scanLockedApp(r pgx.CollectableRow) (a lockedApp, err error) {
	err = r.Scan(&a.uid, &a.version, &a.deleting, &a.cluster, &a.counter, &a.floor, &a.unpinned.InitiatedBy, &a.unpinned.Reason)
	return a, err
}

// WriteDesired stores the next desired states and the source states that led
// to them, all in one transaction. It returns those that are new generations.
// A change is dropped when its application was written, deleted or is being
// deleted since it was computed. Their bundles must be stored before
// (Unavailable, bundle_missing).
func (s *Store) WriteDesired(ctx context.Context, changes []fleet.DesiredChange) ([]model.Desired, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	var out []model.Desired
	err := s.tx(ctx, "write the desired state", func(tx pgx.Tx) (err error) {
		out, err = s.writeDesired(ctx, tx, changes)
		return err
	})
	if sqlState(err) == codeForeignKey {
		return nil, fault.Wrap(err, fault.Unavailable, "bundle_missing", "a bundle that a desired state names is not stored")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Store) writeDesired(ctx context.Context, tx pgx.Tx, changes []fleet.DesiredChange) ([]model.Desired, error) {
	// The last change of an application counts.
	byUID := make(map[model.AppUID]fleet.DesiredChange, len(changes))
	uids := make([]string, 0, len(changes))
	for _, c := range changes {
		if _, again := byUID[c.Desired.App]; !again {
			uids = append(uids, text(string(c.Desired.App)))
		}
		byUID[c.Desired.App] = c
	}

	var (
		apps    []lockedApp
		current = make(map[model.AppUID]model.Desired, len(changes))
		hub     fleet.HubState

		projects = map[string]int64{}
		labelsOf = map[model.ClusterID]map[string]string{}
	)
	b := &pgx.Batch{}
	b.Queue(q("HubState")).QueryRow(func(r pgx.Row) error {
		return r.Scan(&hub.HubID, &hub.Incarnation, &hub.IncarnationSignature, &hub.HoldDeletes)
	})
	b.Queue(q("LockApps"), uids).Query(func(r pgx.Rows) (err error) {
		apps, err = pgx.CollectRows(r, scanLockedApp)
		return err
	})
	b.Queue(q("ShareProjects"), projectNames(changes)).Query(func(r pgx.Rows) error {
		var name string
		var version int64
		_, err := pgx.ForEachRow(r, []any{&name, &version}, func() error {
			projects[name] = version
			return nil
		})
		return err
	})
	b.Queue(q("LabelsOf"), clustersOf(changes)).Query(func(r pgx.Rows) error {
		for r.Next() {
			var id model.ClusterID
			var l map[string]string
			if err := r.Scan(&id, &l); err != nil {
				return err
			}
			labelsOf[id] = l
		}
		return r.Err()
	})
	b.Queue(q("DesiredOf"), uids).Query(func(r pgx.Rows) error {
		for r.Next() {
			var doc []byte
			var generation, size int64
			if err := r.Scan(&doc, &generation, &size); err != nil {
				return err
			}
			d, err := desiredFrom(doc, generation, size)
			if err != nil {
				return err
			}
			current[d.App] = d
		}
		return r.Err()
	})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, err
	}

	var (
		out      []model.Desired
		rows     desiredRows
		sources  []fleet.SourceState
		released []string
		unpinned []string
		pins     = map[model.AppUID]fleet.Pin{}
	)
	for _, a := range apps {
		c := byUID[a.uid]
		if a.deleting || a.version != c.AppVersion || a.cluster != c.Cluster {
			continue
		}
		c.Source.App = a.uid
		if c.ProjectVersion != 0 && c.ProjectVersion != projects[c.Desired.Project] {
			c.Source.RenderKey = "" // its limits are owed still
		}
		if !maps.Equal(c.ClusterLabels, labelsOf[a.cluster]) {
			c.Source.RenderKey = "" // and were resolved for other labels
		}
		if !c.KeepSource {
			sources = append(sources, c.Source)
		}
		switch {
		case c.Release:
			released = append(released, string(a.uid))
		case c.Pin != nil:
			pins[a.uid] = *c.Pin
		}
		var stored *model.Desired
		if d, ok := current[a.uid]; ok {
			stored = &d
		}
		if c.LimitsOnly {
			limited, ok := fleet.Limited(stored, a.floor, c.Desired)
			if !ok {
				continue
			}
			c.Desired = limited
		}
		cause := fleet.Cause{}
		if a.unpinned.InitiatedBy != "" && !c.LimitsOnly {
			cause = a.unpinned
			unpinned = append(unpinned, string(a.uid))
		}
		generation, rises := fleet.NextGeneration(stored, a.counter, a.floor, c.Desired)
		if !rises {
			continue
		}
		d := c.Desired
		d.Generation, d.HoldDeletes = generation, false
		if err := rows.add(a.cluster, d, c.Sources, cause); err != nil {
			return nil, err
		}
		d.HoldDeletes = hub.HoldDeletes
		out = append(out, d)
	}
	now := s.now()
	b = &pgx.Batch{}
	rows.queue(b, now)
	if err := queueSources(b, sources, now); err != nil {
		return nil, err
	}
	if len(released) > 0 {
		b.Queue(q("ReleasePins"), released, fleet.MaxSetAside)
	}
	if len(unpinned) > 0 {
		b.Queue(q("ForgetUnpins"), unpinned)
	}
	for uid, pin := range pins {
		if err := queuePin(b, uid, pin); err != nil {
			return nil, err
		}
	}
	if b.Len() == 0 {
		return nil, nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil || len(released) == 0 {
		return out, err
	}
	return out, s.overtake(ctx, tx, released, now)
}

// projectNames are the projects of the applications, each once.
func projectNames(changes []fleet.DesiredChange) []string {
	names := make([]string, 0, 1)
	for _, c := range changes {
		if name := text(c.Desired.Project); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func clustersOf(changes []fleet.DesiredChange) []string {
	ids := make([]string, 0, 1)
	for _, c := range changes {
		if id := text(string(c.Cluster)); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// overtake ends what was to go back, and was given to no agent, before the pin
// was released: it would find something newer.
func (s *Store) overtake(ctx context.Context, tx pgx.Tx, uids []string, now time.Time) error {
	queued, err := queryOperations(ctx, tx, "QueuedWithGeneration", uids)
	if err != nil {
		return err
	}
	var ts []fleet.OperationTransition
	for _, op := range queued {
		next, changed, err := fleet.Advance(op, fleet.Supersede("a newer revision came before an agent was given it", now))
		if err != nil {
			return err
		}
		if changed {
			ts = append(ts, fleet.Transition(op, next))
		}
	}
	return s.storeTransitions(ctx, tx, ts, now)
}

// desiredRows are the columns of rows to be written, and of what the history
// needs of them.
type desiredRows struct {
	uids, clusters, contents, bundles []string
	generations, sizes                []int64
	revisions, documents, sources     [][]byte
	causes                            causeColumns
}

// issuedWindow is how many generations are kept that no agent has taken.
const issuedWindow = 10

// queue writes the rows.
func (r *desiredRows) queue(b *pgx.Batch, now time.Time) {
	if len(r.uids) == 0 {
		return
	}
	b.Queue(q("WriteDesired"), r.uids, r.clusters, r.generations, r.contents, r.bundles, r.sizes, r.revisions, r.documents, now)
	b.Queue(q("RecordIssued"), r.uids, r.generations, r.bundles, r.sizes, r.revisions, r.sources,
		r.causes.by, r.causes.reasons, r.causes.operations, r.causes.rollbacks)
	b.Queue(q("TrimIssued"), r.uids, r.generations, issuedWindow)
}

func (r *desiredRows) add(cluster model.ClusterID, d model.Desired, sources []fleet.SourceAt, cause fleet.Cause) error {
	revision, err := document(d.Revision)
	if err != nil {
		return err
	}
	doc, err := document(d)
	if err != nil {
		return err
	}
	places, err := optionalList(sources)
	if err != nil {
		return err
	}
	if err := r.causes.add(cause); err != nil {
		return err
	}
	r.sources = append(r.sources, places)
	r.uids, r.clusters = append(r.uids, string(d.App)), append(r.clusters, string(cluster))
	r.generations, r.contents = append(r.generations, int64(d.Generation)), append(r.contents, string(d.Content()))
	r.bundles, r.sizes = append(r.bundles, string(d.Bundle)), append(r.sizes, d.BundleBytes)
	r.revisions, r.documents = append(r.revisions, revision), append(r.documents, doc)
	return nil
}

// RecordSourceStates notes attempts to read and render sources. With an Error
// the revision, render key and bundle of the last good attempt stay.
func (s *Store) RecordSourceStates(ctx context.Context, states []fleet.SourceState) error {
	if len(states) == 0 {
		return nil
	}
	return s.tx(ctx, "store the source states", func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		if err := queueSources(b, states, s.now()); err != nil {
			return err
		}
		return tx.SendBatch(ctx, b).Close()
	})
}

func queueSources(b *pgx.Batch, states []fleet.SourceState, now time.Time) error {
	if len(states) == 0 {
		return nil
	}
	newest := make(map[model.AppUID]fleet.SourceState, len(states))
	for _, st := range states {
		if st.At.IsZero() {
			st.At = now
		}
		if old, ok := newest[st.App]; !ok || !st.At.Before(old.At) {
			newest[st.App] = st
		}
	}
	sorted := make([]fleet.SourceState, 0, len(newest))
	for _, st := range newest {
		sorted = append(sorted, st)
	}
	slices.SortFunc(sorted, func(a, b fleet.SourceState) int { return strings.Compare(string(a.App), string(b.App)) })
	var (
		uids, keys, bundles []string
		revisions, sources  [][]byte
		warnings, errs      [][]byte
		ats                 []time.Time
	)
	for _, st := range sorted {
		revision, err := document(st.Revision)
		if err != nil {
			return err
		}
		failure, err := optional(st.Error)
		if err != nil {
			return err
		}
		warning, err := optionalList(st.Warnings)
		if err != nil {
			return err
		}
		places, err := optionalList(st.Sources)
		if err != nil {
			return err
		}
		warnings, sources = append(warnings, warning), append(sources, places)
		uids, revisions, keys = append(uids, text(string(st.App))), append(revisions, revision), append(keys, st.RenderKey)
		bundles, errs, ats = append(bundles, string(st.Bundle)), append(errs, failure), append(ats, st.At)
	}
	b.Queue(q("RecordSourceStates"), uids, revisions, keys, bundles, sources, warnings, errs, ats)
	return nil
}
