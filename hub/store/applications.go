package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// UpsertApplication stores an application under its name. app.Cluster is the
// destination as resolved. app.Version 0 means no check, otherwise the stored
// version must equal it. A document that is as stored changes nothing, not even
// the version.
//
// Codes: version_conflict, application_deleting (Conflict),
// destination_immutable (Conflict), project_unknown (Invalid), cluster_unknown.
func (s *Store) UpsertApplication(ctx context.Context, app fleet.App) (stored fleet.App, created bool, err error) {
	name, project := app.Name, app.Project
	if name == "" {
		name = app.Application.Metadata.Name
	}
	if project == "" {
		project = orElse(app.Application.Spec.Project, model.DefaultProject)
	}
	doc := app.Application
	doc.Metadata = asWritten(doc.Metadata)
	doc.Status, doc.Operation = nil, nil
	encoded, err := document(doc)
	if err != nil {
		return stored, false, wrap(err, "encode the application")
	}
	err = s.tx(ctx, "store the application", func(tx pgx.Tx) (err error) {
		created, err = s.upsertApplication(ctx, tx, app, name, project, encoded)
		return err
	})
	if sqlState(err) == codeForeignKey {
		return stored, false, clusterUnknown(string(app.Cluster))
	}
	if err != nil {
		return stored, false, err
	}
	stored, err = s.Application(ctx, name)
	return stored, created, err
}

func (s *Store) upsertApplication(ctx context.Context, tx pgx.Tx, app fleet.App, name, project string, doc []byte) (created bool, err error) {
	var one int
	err = tx.QueryRow(ctx, q("ProjectExists"), text(project)).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, fault.New(fault.Invalid, "project_unknown", "there is no project %q", project).
			WithField("spec.project").WithFix("create the project first, or use %q", model.DefaultProject)
	}
	if err != nil {
		return false, err
	}
	var (
		uid           model.AppUID
		version       int64
		deleting      bool
		cluster       model.ClusterID
		same          bool
		storedProject string
	)
	err = tx.QueryRow(ctx, q("LockAppByName"), text(name), doc).Scan(&uid, &version, &deleting, &cluster, &same, &storedProject)
	spec := &app.Application.Spec
	var first model.Source
	if sources := spec.AllSources(); len(sources) > 0 {
		first = sources[0]
	}
	now := s.now()
	if errors.Is(err, pgx.ErrNoRows) || err == nil && storedProject != project {
		if err := s.withinQuota(ctx, tx, project); err != nil {
			return false, err
		}
	}
	if errors.Is(err, pgx.ErrNoRows) {
		if app.Version != 0 {
			return false, fault.New(fault.Conflict, "version_conflict", "the application %q does not exist any more", name)
		}
		uid = app.UID
		if uid == "" {
			uid = model.AppUID(uuid.NewString())
		}
		_, err = tx.Exec(ctx, q("InsertApp"), uid, text(name), project, app.Cluster, doc, now, text(spec.Destination.Namespace),
			text(first.RepoURL), text(first.Path), text(first.TargetRevision), spec.SyncPolicy.AutomatedEnabled(), searchable(app.Application.Metadata.Labels))
		return true, err
	}
	if err != nil {
		return false, err
	}
	switch {
	case deleting:
		return false, fault.New(fault.Conflict, "application_deleting", "the application %q is being deleted", name).
			WithFix("wait for the end of the delete operation, then create it again")
	case app.Version != 0 && app.Version != version:
		return false, fault.New(fault.Conflict, "version_conflict", "the application %q was changed by somebody else", name).
			WithFound(strconv.FormatInt(app.Version, 10), strconv.FormatInt(version, 10)).WithFix("read it again and repeat the change")
	case cluster != app.Cluster:
		return false, fault.New(fault.Conflict, "destination_immutable", "the application %q is deployed to another cluster and cannot be moved", name).
			WithField("spec.destination").WithFix("delete the application and create it with the new destination")
	case same && storedProject == project:
		return false, nil
	}
	b := &pgx.Batch{}
	b.Queue(q("UpdateApp"), uid, project, doc, now, text(spec.Destination.Namespace),
		text(first.RepoURL), text(first.Path), text(first.TargetRevision), spec.SyncPolicy.AutomatedEnabled(), searchable(app.Application.Metadata.Labels))
	b.Queue(q("ForgetRender"), uid)
	return false, tx.SendBatch(ctx, b).Close()
}

// withinQuota refuses one more application in a project that has as many as its
// limits allow. It holds until the transaction ends.
func (s *Store) withinQuota(ctx context.Context, tx pgx.Tx, project string) error {
	var most int64
	err := tx.QueryRow(ctx, q("LockProjectQuota"), text(project)).Scan(&most)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var has int64
	if err := tx.QueryRow(ctx, q("CountProjectApps"), text(project)).Scan(&has); err != nil {
		return err
	}
	if has < most {
		return nil
	}
	return fault.New(fault.Denied, "quota_exceeded", "project %q may have %d applications and has %d", project, most, has).
		WithField("spec.project").WithFound(strconv.FormatInt(has+1, 10), "at most "+strconv.FormatInt(most, 10)+" applications").
		WithFix("delete an application of project %q, or raise limits.maxApplications", project)
}

// Application reads one by name. NotFound (application_not_found).
func (s *Store) Application(ctx context.Context, name string) (fleet.App, error) {
	if name != "" {
		found, err := s.applications(ctx, name)
		if err != nil {
			return fleet.App{}, wrap(err, "read the application")
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return fleet.App{}, applicationNotFound(name)
}

func applicationNotFound(name string) error {
	return fleet.ApplicationUnknown(name)
}

// Applications lists all by name.
func (s *Store) Applications(ctx context.Context) ([]fleet.App, error) {
	out, err := s.applications(ctx, "")
	return out, wrap(err, "list applications")
}

func (s *Store) applications(ctx context.Context, name string) ([]fleet.App, error) {
	sql, args := q("Applications"), []any{""}
	if name = text(name); name != "" {
		sql, args = applicationByName, []any{name}
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanApp)
}

func scanApp(r pgx.CollectableRow) (a fleet.App, err error) {
	var (
		doc, revision, failure, warnings []byte
		sources, pin, aside              []byte
		renderKey, bundle                *string
		at                               *time.Time
	)
	err = r.Scan(&a.UID, &a.Name, &a.Project, &a.Cluster, &a.ClusterName, &doc, &a.Version, &a.Deleting, &a.CreatedAt,
		&revision, &renderKey, &bundle, &sources, &warnings, &failure, &at, &pin, &aside, &a.Unpinned)
	if err != nil {
		return a, err
	}
	a.CreatedAt = a.CreatedAt.UTC()
	if err := decode(doc, &a.Application); err != nil {
		return a, err
	}
	a.Application.Metadata.UID = string(a.UID)
	a.Application.Metadata.ResourceVersion = strconv.FormatInt(a.Version, 10)
	a.Application.Metadata.Generation = a.Version
	created := a.CreatedAt
	a.Application.Metadata.CreationTimestamp = &created
	if len(pin) > 0 {
		a.Pin = new(fleet.Pin)
		if err := decode(pin, a.Pin); err != nil {
			return a, err
		}
	}
	if err := decode(aside, &a.SetAside); err != nil {
		return a, err
	}
	a.Source.App = a.UID
	if at == nil {
		return a, nil
	}
	a.Source.RenderKey, a.Source.Bundle, a.Source.At = *renderKey, model.Digest(*bundle), at.UTC()
	if err := decode(revision, &a.Source.Revision); err != nil {
		return a, err
	}
	if err := decode(sources, &a.Source.Sources); err != nil {
		return a, err
	}
	if err := decode(warnings, &a.Source.Warnings); err != nil {
		return a, err
	}
	if len(failure) > 0 {
		a.Source.Error = new(model.Condition)
		return a, decode(failure, a.Source.Error)
	}
	return a, nil
}

// searchable are labels as lists filter by them: what the database cannot hold in
// a text is no label that Kubernetes would take.
func searchable(l map[string]string) map[string]string {
	out := make(map[string]string, len(l))
	for k, v := range l {
		if !strings.ContainsRune(k+v, 0) && utf8.ValidString(k+v) {
			out[k] = v
		}
	}
	return out
}
