package store

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	gpg "github.com/hawser-dev/hawser/shared/signature"
)

func scanGPGKey(r pgx.CollectableRow) (k fleet.GPGKey, err error) {
	var doc []byte
	if err := r.Scan(&doc, &k.AddedBy, &k.AddedAt); err != nil {
		return k, err
	}
	k.AddedAt = k.AddedAt.UTC()
	return k, decode(doc, &k.Key)
}

// GPGKeys lists the public keys, by id.
func (s *Store) GPGKeys(ctx context.Context) ([]fleet.GPGKey, error) {
	rows, err := s.pool.Query(ctx, q("GPGKeys"))
	if err != nil {
		return nil, wrap(err, "list the keys")
	}
	out, err := pgx.CollectRows(rows, scanGPGKey)
	return out, wrap(err, "list the keys")
}

// GPGKey reads one key by its id or fingerprint. NotFound (gpg_key_unknown).
func (s *Store) GPGKey(ctx context.Context, id string) (fleet.GPGKey, error) {
	rows, err := s.pool.Query(ctx, q("GPGKey"), keyName(id))
	if err != nil {
		return fleet.GPGKey{}, wrap(err, "read the key")
	}
	k, err := pgx.CollectExactlyOneRow(rows, scanGPGKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return k, unknownGPGKey(id)
	}
	return k, wrap(err, "read the key")
}

func unknownGPGKey(id string) error {
	return notFound("gpg_key_unknown", "the hub has no GnuPG key %.60s", id)
}

// keyName is how a key is named in the database.
func keyName(id string) string {
	return text(strings.ToUpper(strings.TrimPrefix(strings.ReplaceAll(id, " ", ""), "0x")))
}

// PutGPGKeys adds keys, all or none; one that is there is replaced. Precondition
// (gpg_key_limit) when there would be more than fleet.MaxGPGKeys.
func (s *Store) PutGPGKeys(ctx context.Context, keys []gpg.Key, by string) error {
	return s.tx(ctx, "add keys", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, q("LockGPGKeys")); err != nil {
			return err
		}
		fingerprints := make([]string, len(keys))
		for i, k := range keys {
			fingerprints[i] = k.Fingerprint
		}
		var others int
		if err := tx.QueryRow(ctx, q("CountGPGKeys"), fingerprints).Scan(&others); err != nil {
			return err
		}
		if others+len(keys) > fleet.MaxGPGKeys {
			return fault.New(fault.Precondition, "gpg_key_limit", "the hub has %d other keys; it keeps at most %d", others, fleet.MaxGPGKeys).
				WithFix("remove keys that nobody signs with any more")
		}
		for _, k := range keys {
			doc, err := document(k)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, q("PutGPGKey"), text(k.Fingerprint), text(k.ID), doc, text(by), s.now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteGPGKey forgets a key. NotFound (gpg_key_unknown).
func (s *Store) DeleteGPGKey(ctx context.Context, id string) error {
	tag, err := s.pool.Exec(ctx, q("DeleteGPGKey"), keyName(id))
	if err == nil && tag.RowsAffected() == 0 {
		return unknownGPGKey(id)
	}
	return wrap(err, "remove the key")
}
