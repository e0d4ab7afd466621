package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func scanSavedView(r pgx.CollectableRow) (v fleet.SavedView, err error) {
	var search []byte
	if err := r.Scan(&v.ID, &v.Things, &v.Name, &v.Owner, &v.Project, &search, &v.ChangedBy, &v.ChangedAt, &v.Default); err != nil {
		return v, err
	}
	v.ChangedAt = v.ChangedAt.UTC()
	return v, decode(search, &v.Search)
}

// SavedViews lists the views of somebody, those of all projects and those of everyone,
// by name.
func (s *Store) SavedViews(ctx context.Context, owner string) ([]fleet.SavedView, error) {
	rows, err := s.pool.Query(ctx, q("SavedViews"), text(owner))
	if err != nil {
		return nil, wrap(err, "list the saved views")
	}
	out, err := pgx.CollectRows(rows, scanSavedView)
	return out, wrap(err, "list the saved views")
}

// SavedView reads one view. NotFound (saved_view_unknown).
func (s *Store) SavedView(ctx context.Context, id string) (fleet.SavedView, error) {
	rows, err := s.pool.Query(ctx, q("SavedView"), text(id))
	if err != nil {
		return fleet.SavedView{}, wrap(err, "read the saved view")
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanSavedView)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, fleet.SavedViewUnknown(id)
	}
	return v, wrap(err, "read the saved view")
}

// PutSavedView keeps a view; one of the same owner or project, list and name is
// replaced, and keeps its id; a default one takes the place of the default that there
// was. Precondition (saved_view_limit) when there would be more
// than fleet.MaxSavedViews.
func (s *Store) PutSavedView(ctx context.Context, v fleet.SavedView) (fleet.SavedView, error) {
	search, err := document(v.Search)
	if err != nil {
		return v, wrap(err, "keep the saved view")
	}
	v.ChangedAt = s.now()
	err = s.tx(ctx, "keep the saved view", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, q("LockSavedViews")); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, q("SavedViewNamed"), text(v.Things), text(v.Name), text(v.Owner), text(v.Project)).Scan(&v.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			var n int
			if err := tx.QueryRow(ctx, q("CountSavedViews"), text(v.Owner), text(v.Project)).Scan(&n); err != nil {
				return err
			}
			if n >= fleet.MaxSavedViews {
				return fault.New(fault.Precondition, "saved_view_limit", "there are %d saved views; at most %d are kept", n, fleet.MaxSavedViews).
					WithFix("delete those that nobody uses")
			}
		} else if err != nil {
			return err
		}
		if v.Default {
			if _, err := tx.Exec(ctx, q("NoDefaultView"), text(v.Things), text(v.Owner), text(v.Project)); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, q("PutSavedView"), v.ID, text(v.Things), text(v.Name), text(v.Owner), text(v.Project), search, text(v.ChangedBy), v.ChangedAt, v.Default)
		return err
	})
	return v, err
}

// DeleteSavedView forgets a view. NotFound (saved_view_unknown).
func (s *Store) DeleteSavedView(ctx context.Context, id string) error {
	tag, err := s.pool.Exec(ctx, q("DeleteSavedView"), text(id))
	if err == nil && tag.RowsAffected() == 0 {
		return fleet.SavedViewUnknown(id)
	}
	return wrap(err, "forget the saved view")
}
