package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// setting names one of the settings.
type setting struct {
	name string
	// noun is what messages call it.
	noun string
}

var (
	customizationsSetting = setting{"customizations", "customizations"}
	rbacSetting           = setting{"rbac", "RBAC policy"}
)

// Customizations reads those in force; version 0 when nobody has set any.
func (s *Store) Customizations(ctx context.Context) (fleet.Customizations, error) {
	return s.setting(ctx, customizationsSetting)
}

// CustomizationsAt reads an earlier version. NotFound
// (settings_version_unknown) when it never was, or is no longer kept.
func (s *Store) CustomizationsAt(ctx context.Context, version int64) (fleet.Customizations, error) {
	return s.settingAt(ctx, customizationsSetting, version)
}

// RBAC reads the RBAC policy that is kept; version 0 when nobody has set any.
func (s *Store) RBAC(ctx context.Context) (fleet.RBAC, error) {
	c, err := s.setting(ctx, rbacSetting)
	return rbacOf(c), err
}

// RBACAt is CustomizationsAt of the RBAC policy.
func (s *Store) RBACAt(ctx context.Context, version int64) (fleet.RBAC, error) {
	c, err := s.settingAt(ctx, rbacSetting, version)
	return rbacOf(c), err
}

func rbacOf(c fleet.Customizations) fleet.RBAC {
	return fleet.RBAC{Version: c.Version, Keys: c.Customizations, ChangedBy: c.ChangedBy, ChangedAt: c.ChangedAt}
}

func (s *Store) setting(ctx context.Context, of setting) (fleet.Customizations, error) {
	c, err := readSetting(ctx, s.pool, of, 0)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Customizations{Settings: model.Settings{Customizations: model.Customizations{}}}, nil
	}
	return c, wrap(err, "read the "+of.noun)
}

func (s *Store) settingAt(ctx context.Context, of setting, version int64) (fleet.Customizations, error) {
	if version > 0 {
		c, err := readSetting(ctx, s.pool, of, version)
		if !errors.Is(err, pgx.ErrNoRows) {
			return c, wrap(err, "read the "+of.noun)
		}
	}
	return fleet.Customizations{}, notFound("settings_version_unknown", "there is no version %d of the %s; the newest %d are kept", version, of.noun, fleet.KeptSettings)
}

func readSetting(ctx context.Context, db querier, of setting, version int64) (c fleet.Customizations, err error) {
	var doc []byte
	if err := db.QueryRow(ctx, q("Settings"), of.name, version).Scan(&c.Version, &doc, &c.ChangedBy, &c.ChangedAt); err != nil {
		return c, err
	}
	c.ChangedAt = c.ChangedAt.UTC()
	c.Customizations = model.Customizations{}
	return c, decode(doc, &c.Customizations)
}

// CustomizationsVersions lists the versions that are kept, the newest first.
func (s *Store) CustomizationsVersions(ctx context.Context) ([]fleet.SettingsVersion, error) {
	return s.settingVersions(ctx, customizationsSetting)
}

// RBACVersions is CustomizationsVersions of the RBAC policy.
func (s *Store) RBACVersions(ctx context.Context) ([]fleet.SettingsVersion, error) {
	return s.settingVersions(ctx, rbacSetting)
}

func (s *Store) settingVersions(ctx context.Context, of setting) ([]fleet.SettingsVersion, error) {
	rows, err := s.pool.Query(ctx, q("SettingsVersions"), of.name)
	if err != nil {
		return nil, wrap(err, "list the versions of the "+of.noun)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (v fleet.SettingsVersion, err error) {
		err = r.Scan(&v.Version, &v.ChangedBy, &v.ChangedAt)
		v.ChangedAt = v.ChangedAt.UTC()
		return v, err
	})
	return out, wrap(err, "list the versions of the "+of.noun)
}

// PutCustomizations stores customizations as the next version; the same content
// as before stores nothing and changed is false. expected is the version that
// they were made from, 0 for any: Conflict (version_conflict) when another is in
// force.
func (s *Store) PutCustomizations(ctx context.Context, c model.Customizations, by string, expected int64) (stored fleet.Customizations, changed bool, err error) {
	return s.putSetting(ctx, customizationsSetting, c, by, expected)
}

// PutRBAC is PutCustomizations of the RBAC policy.
func (s *Store) PutRBAC(ctx context.Context, keys map[string]string, by string, expected int64) (stored fleet.RBAC, changed bool, err error) {
	c, changed, err := s.putSetting(ctx, rbacSetting, keys, by, expected)
	return rbacOf(c), changed, err
}

func (s *Store) putSetting(ctx context.Context, of setting, c model.Customizations, by string, expected int64) (stored fleet.Customizations, changed bool, err error) {
	if c == nil {
		c = model.Customizations{}
	}
	doc, err := document(c)
	if err != nil {
		return stored, false, wrap(err, "encode the "+of.noun)
	}
	for attempt := 1; ; attempt++ {
		stored, changed, err = s.tryPutSetting(ctx, of, c, doc, by, expected)
		// Somebody else stored a version meanwhile: whoever did not say which one
		// is to be replaced replaces that.
		if fault.HasCode(err, "version_conflict") && expected == 0 && attempt < maxAttempts {
			continue
		}
		return stored, changed, wrap(err, "store the "+of.noun)
	}
}

func (s *Store) tryPutSetting(ctx context.Context, of setting, c model.Customizations, doc []byte, by string, expected int64) (stored fleet.Customizations, changed bool, err error) {
	err = s.tx(ctx, "store the "+of.noun, func(tx pgx.Tx) error {
		old, err := readSetting(ctx, tx, of, 0)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if expected != 0 && expected != old.Version {
			return fault.New(fault.Conflict, "version_conflict", "the %s: version %d is in force, not %d", of.noun, old.Version, expected).
				WithFix("read them again, and send the change with the newer version")
		}
		if changed = old.Version == 0 || old.Customizations.Digest() != c.Digest(); !changed {
			stored = old
			return nil
		}
		stored = fleet.Customizations{Settings: model.Settings{Version: old.Version + 1, Customizations: c}, ChangedBy: text(by), ChangedAt: s.now()}
		tag, err := tx.Exec(ctx, q("PutSettings"), of.name, stored.Version, doc, stored.ChangedBy, stored.ChangedAt)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Conflict, "version_conflict", "somebody else changed the %s at the same time", of.noun).
				WithFix("read them again, and send the change with the newer version")
		}
		_, err = tx.Exec(ctx, q("ForgetSettings"), of.name, stored.Version-fleet.KeptSettings)
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
