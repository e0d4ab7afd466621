package store

import (
	"context"
	"encoding/json"
	"errors"
	"github.com/hawser-dev/hawser/hub/fleet"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// UpsertProject stores a project under its name and returns it as stored. by is
// who changed it. When it is, or was, a global project, those that inherit from
// it rise in version too: what they allow has changed.
func (s *Store) UpsertProject(ctx context.Context, p model.AppProject, by string) (model.AppProject, error) {
	return s.UpsertProjectOver(ctx, p, by, 0)
}

// UpsertProjectOver is UpsertProject over one version only: Conflict
// (version_conflict) when there is another, or none. 0 is any.
func (s *Store) UpsertProjectOver(ctx context.Context, p model.AppProject, by string, expected int64) (model.AppProject, error) {
	name := p.Metadata.Name
	p.Metadata = asWritten(p.Metadata)
	p.Status = nil
	doc, err := document(p)
	if err != nil {
		return model.AppProject{}, wrap(err, "encode the project")
	}
	err = s.tx(ctx, "store the project", func(tx pgx.Tx) error {
		heirs, err := s.lockHeirs(ctx, tx, p)
		if err != nil {
			return err
		}
		if expected != 0 {
			var version int64
			err := tx.QueryRow(ctx, q("ProjectVersion"), name).Scan(&version)
			if errors.Is(err, pgx.ErrNoRows) || err == nil && version != expected {
				return fault.New(fault.Conflict, "version_conflict", "project %q was changed meanwhile", name).
					WithFix("read it again and repeat the change")
			}
			if err != nil {
				return err
			}
		}
		written, err := tx.Exec(ctx, q("UpsertProject"), name, doc, s.now(), text(by))
		if err != nil || written.RowsAffected() == 0 {
			return err
		}
		roles := make([]string, len(p.Spec.Roles))
		for i, r := range p.Spec.Roles {
			roles[i] = r.Name
		}
		if _, err := tx.Exec(ctx, q("DeleteTokensOfRoles"), name, roles); err != nil {
			return err
		}
		if len(heirs) > 0 {
			if _, err := tx.Exec(ctx, q("RaiseProjects"), heirs); err != nil {
				return err
			}
		}
		// Its limits travel with the desired states of its applications.
		for _, of := range append(heirs, name) {
			if _, err := tx.Exec(ctx, q("ForgetRendersOfProject"), of); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return model.AppProject{}, err
	}
	return s.Project(ctx, name)
}

// lockHeirs locks, in order of their names, the projects that inherit from p, or
// did so as it was.
func (s *Store) lockHeirs(ctx context.Context, tx pgx.Tx, p model.AppProject) ([]string, error) {
	rows, err := tx.Query(ctx, q("ProjectDocuments"))
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p model.AppProject, err error) {
		var doc []byte
		if err := r.Scan(&p.Metadata.Name, &doc); err != nil {
			return p, err
		}
		return p, decode(doc, &p)
	})
	if err != nil {
		return nil, err
	}
	was := p
	for _, x := range all {
		if x.Metadata.Name == p.Metadata.Name {
			was = x
		}
	}
	var heirs []string
	for _, x := range all {
		if policy.Inherits(x, p) || policy.Inherits(x, was) {
			heirs = append(heirs, x.Metadata.Name)
		}
	}
	if len(heirs) == 0 {
		return nil, nil
	}
	locked, err := tx.Query(ctx, q("LockProjects"), append([]string{p.Metadata.Name}, heirs...))
	if err != nil {
		return nil, err
	}
	_, err = pgx.CollectRows(locked, pgx.RowTo[string])
	return heirs, err
}

// ObjectsOfProject is how many objects were accepted of each application of a
// project.
func (s *Store) ObjectsOfProject(ctx context.Context, project string) (map[model.AppUID]int, error) {
	rows, err := s.pool.Query(ctx, q("ObjectsOfProject"), project)
	if err != nil {
		return nil, wrap(err, "count objects")
	}
	out := map[model.AppUID]int{}
	var uid model.AppUID
	var n int
	_, err = pgx.ForEachRow(rows, []any{&uid, &n}, func() error {
		out[uid] = n
		return nil
	})
	return out, wrap(err, "count objects")
}

// ProjectObjects is how many objects were accepted of each application, by
// project.
func (s *Store) ProjectObjects(ctx context.Context) (map[string]map[model.AppUID]int, error) {
	rows, err := s.pool.Query(ctx, q("ProjectObjects"))
	if err != nil {
		return nil, wrap(err, "count objects")
	}
	out := map[string]map[model.AppUID]int{}
	var project string
	var uid model.AppUID
	var n int
	_, err = pgx.ForEachRow(rows, []any{&project, &uid, &n}, func() error {
		if out[project] == nil {
			out[project] = map[model.AppUID]int{}
		}
		out[project][uid] = n
		return nil
	})
	return out, wrap(err, "count objects")
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

// ProjectAndGlobals reads one project, if there is one of that name, and all that
// can hand rules on, by name.
func (s *Store) ProjectAndGlobals(ctx context.Context, name string) ([]model.AppProject, error) {
	rows, err := s.pool.Query(ctx, q("ProjectAndGlobals"), text(name))
	if err != nil {
		return nil, wrap(err, "read the project")
	}
	out, err := collectProjects(rows)
	return out, wrap(err, "read the project")
}

func (s *Store) projects(ctx context.Context, name string) ([]model.AppProject, error) {
	rows, err := s.pool.Query(ctx, q("Projects"), text(name))
	if err != nil {
		return nil, err
	}
	return collectProjects(rows)
}

func collectProjects(rows pgx.Rows) ([]model.AppProject, error) {
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p model.AppProject, err error) {
		var stored string
		var doc []byte
		var version int64
		var created, changed time.Time
		var by string
		if err := r.Scan(&stored, &doc, &version, &created, &changed, &by); err != nil {
			return p, err
		}
		if err := decode(doc, &p); err != nil {
			return p, err
		}
		p.Metadata.Name = stored
		p.Metadata.ResourceVersion, p.Metadata.Generation = strconv.FormatInt(version, 10), version
		p.Metadata.CreationTimestamp = utc(&created)
		p.Status, err = json.Marshal(model.ProjectStatus{ChangedAt: utc(&changed), ChangedBy: by})
		return p, err
	})
}

// DeleteProject removes a project. Precondition (project_in_use) while
// applications, application sets or repositories belong to it, and for the default project (project_default).
func (s *Store) DeleteProject(ctx context.Context, name string, expected int64) error {
	if name == model.DefaultProject {
		return fault.New(fault.Precondition, "project_default", "the project %q always exists", name)
	}
	err := s.tx(ctx, "delete the project", func(tx pgx.Tx) error {
		var version int64
		err := tx.QueryRow(ctx, q("LockProject"), text(name)).Scan(&name, &version)
		if errors.Is(err, pgx.ErrNoRows) {
			return projectUnknown(name)
		}
		if err != nil {
			return err
		}
		if expected != 0 && expected != version {
			return changedMeanwhile("project " + strconv.Quote(name))
		}
		heirs, err := s.lockHeirs(ctx, tx, model.AppProject{Metadata: model.ObjectMeta{Name: name}})
		if err != nil {
			return err
		}
		if len(heirs) > 0 {
			return fault.New(fault.Precondition, "project_in_use", "the rules of project %q count in other projects: %s", name, listed(heirs[:min(len(heirs), 11)], 10)).
				WithFix("remove spec.inheritedBy first; then what they allow is decided again")
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
