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

// UpsertApplicationSet stores a set under its name. expected 0 overwrites
// whatever there is; else Conflict (version_conflict) when the stored version
// differs. A document that is as stored changes nothing, not even the version.
// Invalid (project_unknown) when the one project of the set does not exist.
func (s *Store) UpsertApplicationSet(ctx context.Context, set model.ApplicationSet, expected int64) (stored model.ApplicationSet, created bool, err error) {
	name := set.Metadata.Name
	set.Metadata = asWritten(set.Metadata)
	set.Status = nil
	doc, err := document(set)
	if err != nil {
		return stored, false, wrap(err, "encode the application set")
	}
	project, _ := set.Project()
	err = s.tx(ctx, "store the application set", func(tx pgx.Tx) error {
		created = false
		var version int64
		var same bool
		err := tx.QueryRow(ctx, q("LockApplicationSet"), text(name), doc).Scan(&version, &same)
		switch {
		case errors.Is(err, pgx.ErrNoRows) && expected != 0:
			return fault.New(fault.Conflict, "version_conflict", "the application set %q does not exist any more", name)
		case errors.Is(err, pgx.ErrNoRows):
			created = true
			_, err = tx.Exec(ctx, q("InsertApplicationSet"), text(name), text(project), doc, s.now())
			return err
		case err != nil:
			return err
		case expected != 0 && expected != version:
			return fault.New(fault.Conflict, "version_conflict", "the application set %q was changed by somebody else", name).
				WithFound(strconv.FormatInt(expected, 10), strconv.FormatInt(version, 10)).WithFix("read it again and repeat the change")
		case same:
			return nil
		}
		_, err = tx.Exec(ctx, q("UpdateApplicationSet"), text(name), text(project), doc, s.now())
		return err
	})
	if sqlState(err) == codeForeignKey {
		return stored, false, fault.New(fault.Invalid, "project_unknown", "there is no project %q", project).
			WithField("spec.template.spec.project").WithFix("create the project first")
	}
	if err != nil {
		return stored, false, err
	}
	stored, err = s.ApplicationSet(ctx, name)
	return stored, created, err
}

// ApplicationSet reads one. NotFound (applicationset_not_found).
func (s *Store) ApplicationSet(ctx context.Context, name string) (model.ApplicationSet, error) {
	if name != "" {
		found, err := s.applicationSets(ctx, name)
		if err != nil {
			return model.ApplicationSet{}, wrap(err, "read the application set")
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return model.ApplicationSet{}, fleet.ApplicationSetUnknown(name)
}

// ApplicationSets lists all by name.
func (s *Store) ApplicationSets(ctx context.Context) ([]model.ApplicationSet, error) {
	out, err := s.applicationSets(ctx, "")
	return out, wrap(err, "list application sets")
}

func (s *Store) applicationSets(ctx context.Context, name string) ([]model.ApplicationSet, error) {
	rows, err := s.pool.Query(ctx, q("ApplicationSets"), text(name))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (set model.ApplicationSet, err error) {
		var stored, project string
		var doc []byte
		var version int64
		var created time.Time
		if err := r.Scan(&stored, &project, &doc, &version, &created); err != nil {
			return set, err
		}
		if err := decode(doc, &set); err != nil {
			return set, err
		}
		set.Metadata.Name = stored
		set.Metadata.ResourceVersion, set.Metadata.Generation = strconv.FormatInt(version, 10), version
		set.Metadata.CreationTimestamp = utc(&created)
		return set, nil
	})
}

// DeleteApplicationSet removes a set; no application is touched. expected 0
// means any version. NotFound, or Conflict (version_conflict).
func (s *Store) DeleteApplicationSet(ctx context.Context, name string, expected int64) error {
	tag, err := s.pool.Exec(ctx, q("DeleteApplicationSet"), text(name), expected)
	if err != nil {
		return wrap(err, "delete the application set")
	}
	if tag.RowsAffected() > 0 {
		return nil
	}
	if _, err := s.ApplicationSet(ctx, name); err != nil {
		return err
	}
	return fault.New(fault.Conflict, "version_conflict", "the application set %q was changed by somebody else", name).
		WithFix("read it again and repeat the change")
}
