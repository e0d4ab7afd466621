package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Versions of the key that values are sealed with. A version is announced first;
// when every hub that runs opens it, it is the one that seals; then what older ones
// sealed is sealed anew in small batches; when nothing is left the old version is
// retired. Each step is one transaction, may be repeated, and may be done by any
// process that has the key file.

const (
	// readerAlive is how long a hub counts as running after it was seen last. It must
	// be more than knownFor: a hub that is not counted has no knowledge that it would
	// still seal with.
	readerAlive = 60 * time.Second
	// knownFor is how long the versions count as known after they were read.
	knownFor = 30 * time.Second

	// resealRows and resealBytes bound a batch.
	resealRows  = 50
	resealBytes = 8 << 20
)

// sealedColumn is a column with sealed values.
type sealedColumn struct {
	name string // table.column
	// places are what a value of a row may be bound to; it is sealed anew for the
	// first.
	places func(row, bound string) []string
}

// sealedColumns are all there are. Each has a trigger vault_check, the statements
// "SealedOtherwise" and "Reseal", and a line in "SealedCounts".
var sealedColumns = []sealedColumn{
	{"secrets.sealed", func(row, _ string) []string { return []string{secretPlace(row)} }},
	{"repositories.credential", repositoryPlaces},
	{"repository_templates.credential", func(row, bound string) []string { return []string{templatePlace(row, bound)} }},
	{"first_login.sealed", func(string, string) []string { return []string{firstLoginPlace} }},
	{"identity_providers.sealed", func(row, _ string) []string { return []string{providerPlace(row)} }},
	{"external_logins.sealed", func(row, _ string) []string { return []string{externalLoginPlace(row)} }},
	{"bundles.sealed", func(row, _ string) []string { return []string{bundlePlace(model.Digest(row))} }},
}

func versionBytes(v uint32) []byte  { return binary.BigEndian.AppendUint32(nil, v) }
func versionText(b []byte) string   { return fmt.Sprintf("%x", b) }
func versionNumber(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// vaultKey is a row of vault_keys.
type vaultKey struct {
	version, wrapped             []byte
	state                        string
	madeAt, sealingAt, retiredAt *time.Time
}

func vaultKeys(ctx context.Context, db querier) ([]vaultKey, error) {
	rows, err := db.Query(ctx, q("VaultKeys"))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (k vaultKey, err error) {
		err = r.Scan(&k.version, &k.wrapped, &k.state, &k.madeAt, &k.sealingAt, &k.retiredAt)
		return k, err
	})
}

// LearnKeys reads the versions that the database has. Codes: vault_key_unknown when
// the key file lacks the key that the one that seals is kept under, and
// vault_value_damaged.
func (s *Store) LearnKeys(ctx context.Context) error {
	keys, err := vaultKeys(ctx, s.pool)
	if err != nil {
		return wrap(err, "read the key versions")
	}
	return s.learn(keys)
}

func (s *Store) learn(keys []vaultKey) error {
	var problem error
	for _, k := range keys {
		if k.wrapped == nil {
			continue
		}
		if err := s.box.Learn(versionNumber(k.version), k.wrapped); err != nil {
			if k.state == fleet.KeySealing {
				return err
			}
			problem = err // of what it sealed only that is lost
		}
	}
	if problem != nil {
		s.log.Warn("a version of the vault's key cannot be opened", "error", problem)
	}
	for _, k := range keys {
		if k.state == fleet.KeySealing {
			if err := s.box.Use(versionNumber(k.version)); err != nil {
				return err
			}
		}
	}
	for _, k := range keys {
		if k.state == fleet.KeyRetired {
			s.box.Forget(versionNumber(k.version))
		}
	}
	s.learnt.Store(s.monotonic())
	return nil
}

// seal is a value sealed for a place, with what was the version a moment ago: a hub
// that slept looks first.
func (s *Store) seal(ctx context.Context, plain []byte, place string) ([]byte, error) {
	if at := s.learnt.Load(); at == 0 || s.monotonic()-at > int64(knownFor) {
		if err := s.LearnKeys(ctx); err != nil {
			return nil, err
		}
	}
	return s.box.Seal(plain, place)
}

// unseal opens a value that was sealed for one of the places. A version that is not
// known may be new.
func (s *Store) unseal(ctx context.Context, sealed []byte, places ...string) (plain []byte, err error) {
	for again := false; ; again = true {
		for _, place := range places {
			if plain, err = s.box.Open(sealed, place); err == nil {
				return plain, nil
			}
		}
		if again || !fault.HasCode(err, "vault_key_unknown") {
			return nil, err
		}
		if learning := s.LearnKeys(ctx); learning != nil {
			return nil, learning
		}
	}
}

// ReadKeys is a hub's sign of life: it learns the versions and says which it opens.
func (s *Store) ReadKeys(ctx context.Context, instance string) error {
	if err := s.LearnKeys(ctx); err != nil {
		return err
	}
	var versions [][]byte
	for _, v := range s.box.Versions() {
		versions = append(versions, versionBytes(v))
	}
	_, err := s.pool.Exec(ctx, q("ReadKeys"), instance, versions)
	return wrap(err, "say which key versions this hub has")
}

// LeaveKeys says that a hub runs no more.
func (s *Store) LeaveKeys(ctx context.Context, instance string) error {
	_, err := s.pool.Exec(ctx, q("ForgetReader"), instance)
	return wrap(err, "say that this hub ends")
}

// AnnounceKey makes a version, unless one is announced already, and says which it
// is. All versions are from then on kept under the first key of the key file.
func (s *Store) AnnounceKey(ctx context.Context) (version string, err error) {
	err = s.tx(ctx, "make a key version", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, q("LockVaultKeys")); err != nil {
			return err
		}
		keys, err := vaultKeys(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.learn(keys); err != nil {
			return err
		}
		for _, k := range keys {
			if k.state == fleet.KeyRetired {
				continue
			}
			if err := s.rewrap(ctx, tx, k); err != nil {
				return err
			}
		}
		if i := slices.IndexFunc(keys, func(k vaultKey) bool { return k.state == fleet.KeyAnnounced }); i >= 0 {
			version = versionText(keys[i].version)
			return nil
		}
		// What sealed before there were versions is one too, so that it can be retired.
		// Of the key file all may have.
		for _, v := range s.box.FileVersions() {
			state := fleet.KeyOpening
			if v == s.box.Primary() {
				state = fleet.KeySealing
			}
			if _, err := tx.Exec(ctx, q("InsertVaultKey"), versionBytes(v), nil, state); err != nil {
				return err
			}
		}
		made, wrapped, err := s.box.Make()
		if err != nil {
			return err
		}
		version = versionText(versionBytes(made))
		_, err = tx.Exec(ctx, q("InsertVaultKey"), versionBytes(made), wrapped, fleet.KeyAnnounced)
		return err
	})
	return version, err
}

func (s *Store) rewrap(ctx context.Context, tx pgx.Tx, k vaultKey) error {
	if k.wrapped == nil {
		return nil
	}
	again, changed, err := s.box.Rewrap(versionNumber(k.version), k.wrapped)
	if err != nil || !changed {
		return err
	}
	_, err = tx.Exec(ctx, q("RewrapVaultKey"), k.version, again, k.wrapped)
	return err
}

// sealing repeats what seals and stores when the version was retired in between.
func (s *Store) sealing(write func() error) error {
	err := write()
	for range maxAttempts - 1 {
		if !s.sealedLate(err) {
			break
		}
		err = write()
	}
	return err
}

// sealedLate reports whether the database refused a value because of its version,
// which is then read anew before anything else is sealed.
func (s *Store) sealedLate(err error) bool {
	late := sqlState(err) == codeKeyRetired
	if late {
		s.learnt.Store(0)
	}
	return late
}

// UseAnnouncedKey makes the announced version the one that seals, when all hubs that
// run have learnt it; waiting are those that have not. done is false while there are
// such, and when no version is announced.
func (s *Store) UseAnnouncedKey(ctx context.Context) (done bool, waiting []string, err error) {
	err = s.tx(ctx, "begin to seal with the new key version", func(tx pgx.Tx) error {
		done, waiting = false, nil
		if _, err := tx.Exec(ctx, q("LockVaultKeys")); err != nil {
			return err
		}
		keys, err := vaultKeys(ctx, tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(k vaultKey) bool { return k.state == fleet.KeyAnnounced })
		if i < 0 {
			return nil
		}
		version := keys[i].version
		if err := s.box.Learn(versionNumber(version), keys[i].wrapped); err != nil {
			return err
		}
		readers, err := readers(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range readers {
			if r.Live && !slices.Contains(r.Versions, versionText(version)) {
				waiting = append(waiting, r.Instance)
			}
		}
		if len(waiting) > 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, q("StopSealing")); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, q("StartSealing"), version); err != nil {
			return err
		}
		done = true
		return nil
	})
	if err == nil && done {
		err = s.LearnKeys(ctx)
	}
	return done, waiting, err
}

func readers(ctx context.Context, db querier) ([]fleet.KeyReader, error) {
	rows, err := db.Query(ctx, q("KeyReaders"), pgtype.Interval{Microseconds: readerAlive.Microseconds(), Valid: true})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r fleet.KeyReader, err error) {
		var versions [][]byte
		err = row.Scan(&r.Instance, &versions, &r.SeenAt, &r.Live)
		r.SeenAt, r.Versions = r.SeenAt.UTC(), []string{}
		for _, v := range versions {
			r.Versions = append(r.Versions, versionText(v))
		}
		return r, err
	})
}

// Reseal seals one batch of values anew that other versions than the present one
// sealed. A value that was written meanwhile stays as it is. It does nothing while
// no version was ever announced.
func (s *Store) Reseal(ctx context.Context) (out fleet.Resealed, err error) {
	err = s.tx(ctx, "seal values anew", func(tx pgx.Tx) error {
		out = fleet.Resealed{}
		var alone bool
		if err := tx.QueryRow(ctx, q("LockResealing")).Scan(&alone); err != nil {
			return err
		}
		if out.Busy = !alone; out.Busy {
			return nil
		}
		keys, err := vaultKeys(ctx, tx)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := s.learn(keys); err != nil {
			return err
		}
		present := versionBytes(s.box.Primary())
		size := 0
		for _, c := range sealedColumns {
			for after := ""; ; {
				rows, err := tx.Query(ctx, q("SealedOtherwise "+c.name), after, present, resealRows)
				if err != nil {
					return err
				}
				type found struct {
					row, bound string
					sealed     []byte
				}
				batch, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (f found, err error) {
					err = r.Scan(&f.row, &f.bound, &f.sealed)
					return f, err
				})
				if err != nil {
					return err
				}
				for _, f := range batch {
					after = f.row
					plain, err := s.openAny(f.sealed, c.places(f.row, f.bound))
					if err != nil {
						out.Damaged = append(out.Damaged, c.name+" "+f.row)
						continue
					}
					again, err := s.box.Seal(plain, c.places(f.row, f.bound)[0])
					clear(plain)
					if err != nil {
						return err
					}
					// Its first 17 bytes name a sealed value: they hold its nonce.
					tag, err := tx.Exec(ctx, q("Reseal "+c.name), f.row, f.sealed[:min(len(f.sealed), 17)], again)
					if err != nil {
						return err
					}
					out.Done += int(tag.RowsAffected())
					size += len(again)
					if out.Done >= resealRows || size >= resealBytes {
						out.More = true
						return nil
					}
				}
				if len(batch) < resealRows {
					break
				}
			}
		}
		return nil
	})
	return out, err
}

func (s *Store) openAny(sealed []byte, places []string) (plain []byte, err error) {
	for _, place := range places {
		if plain, err = s.box.Open(sealed, place); err == nil {
			return plain, nil
		}
	}
	return nil, err
}

// ResealingDue reports whether a version is neither the one that seals nor retired.
func (s *Store) ResealingDue(ctx context.Context) (announced, opening bool, err error) {
	keys, err := vaultKeys(ctx, s.pool)
	for _, k := range keys {
		announced = announced || k.state == fleet.KeyAnnounced
		opening = opening || k.state == fleet.KeyOpening
	}
	return announced, opening, wrap(err, "read the key versions")
}

// KeyStatus counts what is sealed with which version.
func (s *Store) KeyStatus(ctx context.Context) (out fleet.KeyStatus, err error) {
	keys, err := vaultKeys(ctx, s.pool)
	if err != nil {
		return out, wrap(err, "read the key versions")
	}
	out.Keys, out.Readers = []fleet.VaultKey{}, []fleet.KeyReader{}
	for _, k := range keys {
		v := fleet.VaultKey{Version: versionText(k.version), State: k.state, MadeAt: utc(k.madeAt), SealingAt: utc(k.sealingAt), RetiredAt: utc(k.retiredAt), Values: map[string]int{}}
		if len(k.wrapped) > 4 {
			v.KeptUnder = versionText(k.wrapped[1:5])
		}
		out.Keys = append(out.Keys, v)
	}
	if len(keys) == 0 {
		for i, v := range s.box.FileVersions() {
			state := fleet.KeyOpening
			if i == 0 {
				state = fleet.KeySealing
			}
			out.Keys = append(out.Keys, fleet.VaultKey{Version: versionText(versionBytes(v)), State: state, Values: map[string]int{}})
		}
	}
	counts, err := sealedCounts(ctx, s.pool)
	if err != nil {
		return out, wrap(err, "count sealed values")
	}
	for _, c := range counts {
		i := slices.IndexFunc(out.Keys, func(k fleet.VaultKey) bool { return k.Version == versionText(c.version) })
		if i < 0 { // of a key that nobody here has, or damaged
			out.Keys = append(out.Keys, fleet.VaultKey{Version: versionText(c.version), State: "unknown", Values: map[string]int{}})
			i = len(out.Keys) - 1
		}
		out.Keys[i].Values[c.column] = c.count
	}
	out.Readers, err = readers(ctx, s.pool)
	return out, wrap(err, "list the hubs that run")
}

type sealedCount struct {
	column  string
	version []byte
	count   int
}

func sealedCounts(ctx context.Context, db querier) ([]sealedCount, error) {
	rows, err := db.Query(ctx, q("SealedCounts"))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c sealedCount, err error) {
		err = r.Scan(&c.column, &c.version, &c.count)
		return c, err
	})
}

// RetireKeys ends the versions that no longer seal and that nothing is sealed with:
// their keys are removed from the database, and no value of theirs is taken any
// more. held are versions that something is sealed with, with how many values.
func (s *Store) RetireKeys(ctx context.Context) (retired []string, held map[string]int, err error) {
	err = s.tx(ctx, "retire key versions", func(tx pgx.Tx) error {
		retired, held = nil, map[string]int{}
		if _, err := tx.Exec(ctx, q("LockVaultKeys")); err != nil {
			return err
		}
		keys, err := vaultKeys(ctx, tx)
		if err != nil {
			return err
		}
		counts, err := sealedCounts(ctx, tx)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.state != fleet.KeyOpening {
				continue
			}
			n := 0
			for _, c := range counts {
				if bytes.Equal(c.version, k.version) {
					n += c.count
				}
			}
			if n > 0 {
				held[versionText(k.version)] = n
				continue
			}
			if _, err := tx.Exec(ctx, q("RetireVaultKey"), k.version); err != nil {
				return err
			}
			retired = append(retired, versionText(k.version))
		}
		return nil
	})
	if err == nil {
		err = s.LearnKeys(ctx)
	}
	return retired, held, err
}

// errRetired is about a value that the database refused because of its version.
func errRetired(err error) error {
	return fault.Wrap(err, fault.Unavailable, "vault_key_retired", "the hub sealed a value with a key version that was retired meanwhile").WithFix("try again")
}

// repositoryPlaces are what a repository's credential may be bound to: earlier
// releases bound it to the row alone.
func repositoryPlaces(id, match string) []string {
	return []string{repositoryPlace(id, match), strings.TrimSuffix(repositoryPlace(id, ""), "/")}
}
