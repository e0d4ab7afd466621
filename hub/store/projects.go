package store

import (
	"context"
	"errors"
	"github.com/hawser-dev/hawser/hub/fleet"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// UpsertProject stores a project under its name and returns it as stored.
func (s *Store) UpsertProject(ctx context.Context, p model.AppProject) (model.AppProject, error) {
	name := p.Metadata.Name
	p.Metadata = asWritten(p.Metadata)
	p.Status = nil
	doc, err := document(p)
	if err != nil {
		return model.AppProject{}, wrap(err, "encode the project")
	}
	err = s.tx(ctx, "store the project", func(tx pgx.Tx) error {
		written, err := tx.Exec(ctx, q("UpsertProject"), name, doc, s.now())
		if err == nil && written.RowsAffected() > 0 {
			// Its limits travel with the desired states of its applications.
			_, err = tx.Exec(ctx, q("ForgetRendersOfProject"), name)
		}
		return err
	})
	if err != nil {
		return model.AppProject{}, err
	}
	return s.Project(ctx, name)
}

// asWritten is metadata without what the hub fills in.
func asWritten(m model.ObjectMeta) model.ObjectMeta {
	m.UID, m.ResourceVersion, m.Generation = "", "", 0
	m.CreationTimestamp, m.DeletionTimestamp = nil, nil
	return m
}

// Project reads one. NotFound (project_unknown).
func (s *Store) Project(ctx context.Context, name string) (model.AppProject, error) {
	if name != "" {
		found, err := s.projects(ctx, name)
		if err != nil {
			return model.AppProject{}, wrap(err, "read the project")
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return model.AppProject{}, projectUnknown(name)
}

func projectUnknown(name string) error {
	return fleet.ProjectUnknown(name)
}

// Projects lists all by name.
func (s *Store) Projects(ctx context.Context) ([]model.AppProject, error) {
	out, err := s.projects(ctx, "")
	return out, wrap(err, "list projects")
}

func (s *Store) projects(ctx context.Context, name string) ([]model.AppProject, error) {
	rows, err := s.pool.Query(ctx, q("Projects"), text(name))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p model.AppProject, err error) {
		var stored string
		var doc []byte
		var version int64
		var created time.Time
		if err := r.Scan(&stored, &doc, &version, &created); err != nil {
			return p, err
		}
		if err := decode(doc, &p); err != nil {
			return p, err
		}
		p.Metadata.Name = stored
		p.Metadata.ResourceVersion, p.Metadata.Generation = strconv.FormatInt(version, 10), version
		p.Metadata.CreationTimestamp = utc(&created)
		return p, nil
	})
}

// DeleteProject removes a project. Precondition (project_in_use) while
// applications, application sets or repositories belong to it, and for the default project (project_default).
func (s *Store) DeleteProject(ctx context.Context, name string) error {
	if name == model.DefaultProject {
		return fault.New(fault.Precondition, "project_default", "the project %q always exists", name)
	}
	err := s.tx(ctx, "delete the project", func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, q("LockProject"), text(name)).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return projectUnknown(name)
		}
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, q("ProjectApps"), name)
		if err != nil {
			return err
		}
		apps, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(apps) > 0 {
			return fault.New(fault.Precondition, "project_in_use", "applications belong to the project %q: %s", name, listed(apps, 10)).
				WithFix("delete them or move them to another project first")
		}
		if rows, err = tx.Query(ctx, q("ProjectRepositories"), name); err != nil {
			return err
		}
		repos, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(repos) > 0 {
			// A project that is made anew under the name must not find them.
			return fault.New(fault.Precondition, "project_in_use", "repositories or credential templates belong to the project %q: %s", name, listed(repos, 10)).
				WithFix("remove them first: hawser repo remove, hawser repocreds remove")
		}
		if rows, err = tx.Query(ctx, q("ProjectSets"), name); err != nil {
			return err
		}
		sets, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(sets) > 0 {
			return fault.New(fault.Precondition, "project_in_use", "application sets belong to the project %q: %s", name, listed(sets, 10)).
				WithFix("delete them first: hawser appset delete")
		}
		_, err = tx.Exec(ctx, q("DeleteProject"), name)
		return err
	})
	return err
}
