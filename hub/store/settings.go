package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// settingsCustomizations names the customizations among the settings.
const settingsCustomizations = "customizations"

// Customizations reads those in force; version 0 when nobody has set any.
func (s *Store) Customizations(ctx context.Context) (fleet.Customizations, error) {
	c, err := readCustomizations(ctx, s.pool, 0)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Customizations{Settings: model.Settings{Customizations: model.Customizations{}}}, nil
	}
	return c, wrap(err, "read the customizations")
}

// CustomizationsAt reads an earlier version. NotFound
// (settings_version_unknown) when it never was, or is no longer kept.
func (s *Store) CustomizationsAt(ctx context.Context, version int64) (fleet.Customizations, error) {
	if version > 0 {
		c, err := readCustomizations(ctx, s.pool, version)
		if !errors.Is(err, pgx.ErrNoRows) {
			return c, wrap(err, "read the customizations")
		}
	}
	return fleet.Customizations{}, notFound("settings_version_unknown", "there is no version %d of the customizations; the newest %d are kept", version, fleet.KeptSettings)
}

func readCustomizations(ctx context.Context, db querier, version int64) (c fleet.Customizations, err error) {
	var doc []byte
	if err := db.QueryRow(ctx, q("Settings"), settingsCustomizations, version).Scan(&c.Version, &doc, &c.ChangedBy, &c.ChangedAt); err != nil {
		return c, err
	}
	c.ChangedAt = c.ChangedAt.UTC()
	c.Customizations = model.Customizations{}
	return c, decode(doc, &c.Customizations)
}

// CustomizationsVersions lists the versions that are kept, the newest first.
func (s *Store) CustomizationsVersions(ctx context.Context) ([]fleet.SettingsVersion, error) {
	rows, err := s.pool.Query(ctx, q("SettingsVersions"), settingsCustomizations)
	if err != nil {
		return nil, wrap(err, "list the versions of the customizations")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (v fleet.SettingsVersion, err error) {
		err = r.Scan(&v.Version, &v.ChangedBy, &v.ChangedAt)
		v.ChangedAt = v.ChangedAt.UTC()
		return v, err
	})
	return out, wrap(err, "list the versions of the customizations")
}

// PutCustomizations stores customizations as the next version; the same content
// as before stores nothing and changed is false. expected is the version that
// they were made from, 0 for any: Conflict (version_conflict) when another is in
// force.
func (s *Store) PutCustomizations(ctx context.Context, c model.Customizations, by string, expected int64) (stored fleet.Customizations, changed bool, err error) {
	if c == nil {
		c = model.Customizations{}
	}
	doc, err := document(c)
	if err != nil {
		return stored, false, wrap(err, "encode the customizations")
	}
	for attempt := 1; ; attempt++ {
		stored, changed, err = s.putCustomizations(ctx, c, doc, by, expected)
		// Somebody else stored a version meanwhile: whoever did not say which one
		// is to be replaced replaces that.
		if fault.HasCode(err, "version_conflict") && expected == 0 && attempt < maxAttempts {
			continue
		}
		return stored, changed, wrap(err, "store the customizations")
	}
}

func (s *Store) putCustomizations(ctx context.Context, c model.Customizations, doc []byte, by string, expected int64) (stored fleet.Customizations, changed bool, err error) {
	err = s.tx(ctx, "store the customizations", func(tx pgx.Tx) error {
		old, err := readCustomizations(ctx, tx, 0)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if expected != 0 && expected != old.Version {
			return fault.New(fault.Conflict, "version_conflict", "the customizations are at version %d, not %d", old.Version, expected).
				WithFix("read them again, and send the change with the newer version")
		}
		if changed = old.Version == 0 || old.Customizations.Digest() != c.Digest(); !changed {
			stored = old
			return nil
		}
		stored = fleet.Customizations{Settings: model.Settings{Version: old.Version + 1, Customizations: c}, ChangedBy: text(by), ChangedAt: s.now()}
		tag, err := tx.Exec(ctx, q("PutSettings"), settingsCustomizations, stored.Version, doc, stored.ChangedBy, stored.ChangedAt)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Conflict, "version_conflict", "somebody else changed the customizations at the same time").
				WithFix("read them again, and send the change with the newer version")
		}
		_, err = tx.Exec(ctx, q("ForgetSettings"), settingsCustomizations, stored.Version-fleet.KeptSettings)
		return err
	})
	return stored, changed, err
}

// maxBehind is how many clusters SettingsHolders names.
const maxBehind = 20

// SettingsHolders counts the enrolled clusters by whether their agents have
// stored the content.
func (s *Store) SettingsHolders(ctx context.Context, content model.Digest) (h fleet.SettingsHolders, err error) {
	err = s.pool.QueryRow(ctx, q("SettingsHolders"), string(content), maxBehind).Scan(&h.Current, &h.Behind, &h.BehindNames)
	return h, wrap(err, "count who has the customizations")
}
