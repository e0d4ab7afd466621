package store

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// The key that signs the chain of audit records lies among the hub's own keys, and is
// read again in each transaction that adds records, while nobody else may: a rotation
// needs no word to the hubs that run. The key before is kept for what was begun with
// it, and for nothing else.

const (
	auditKeyName       = "audit"
	auditKeyBeforeName = "audit/before"

	// begunKeyFresh is how long a hub begins records with the key that it read last.
	begunKeyFresh = 10 * time.Second
	// AuditKeyRest is the least time between two rotations: far more than a hub takes
	// to learn of one, so that nothing is begun with a key older than the one before.
	AuditKeyRest = 10 * time.Minute
	// begunBefore is how long what was begun with the key before counts. A rotation
	// itself renews what it finds, so that this is about what was begun at that moment.
	begunBefore = 24 * time.Hour
)

// auditKeys are the key that signs, and those that tell what a hub has begun.
type auditKeys struct {
	signing ed25519.PrivateKey
	begun   begunKey
	// before is the key that was handed over from, at a time; nil for none.
	before    *begunKey
	rotatedAt time.Time
	now       time.Time
}

// begunKey is what commands under way are kept with.
type begunKey struct {
	key  [sha256.Size]byte
	read int64 // as monotonic tells
}

func begunKeyOf(seed []byte) begunKey {
	return begunKey{key: sha256.Sum256(append([]byte("hawser audit begun\n"), seed...))}
}

// mac is of an id and a record.
func (k *begunKey) mac(id string, record []byte) []byte {
	h := hmac.New(sha256.New, k.key[:])
	fmt.Fprintf(h, "%d %s\n", len(id), id)
	_, _ = h.Write(record) // never fails
	return h.Sum(nil)
}

// began reports whether a hub wrote what is kept of a command under way.
func (k *auditKeys) began(id string, kept begunAudit) bool {
	if hmac.Equal(k.begun.mac(id, kept.Record), kept.MAC) {
		return true
	}
	return k.before != nil && k.now.Sub(k.rotatedAt) < begunBefore && hmac.Equal(k.before.mac(id, kept.Record), kept.MAC)
}

// auditKeys reads them. Before a transaction AuditSeed has been called, which makes
// the first.
func (s *Store) auditKeys(ctx context.Context, tx querier) (keys auditKeys, err error) {
	rows, err := tx.Query(ctx, q("AuditKeys"), auditKeyName, auditKeyBeforeName)
	if err != nil {
		return keys, err
	}
	type kept struct {
		name   string
		sealed []byte
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (k kept, err error) {
		err = r.Scan(&k.name, &k.sealed, &keys.now)
		return k, err
	})
	if err != nil {
		return keys, err
	}
	for _, k := range all {
		plain, err := s.unseal(ctx, k.sealed, secretPlace(k.name))
		if err != nil {
			return keys, err
		}
		if k.name == auditKeyName && len(plain) == ed25519.SeedSize {
			keys.signing, keys.begun = ed25519.NewKeyFromSeed(plain), begunKeyOf(plain)
		}
		if k.name == auditKeyBeforeName && len(plain) == ed25519.SeedSize+8 {
			before := begunKeyOf(plain[:ed25519.SeedSize])
			keys.before, keys.rotatedAt = &before, time.UnixMicro(int64(binary.BigEndian.Uint64(plain[ed25519.SeedSize:])))
		}
	}
	if keys.signing == nil {
		return keys, fault.New(fault.Internal, "internal", "the hub has no key for audit records")
	}
	return keys, nil
}

// AuditSeed is the seed of the key that signs now; there is one from its first call
// on.
func (s *Store) AuditSeed(ctx context.Context) ([]byte, error) {
	made := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(made) // never fails
	return s.PutSecretOnce(ctx, auditKeyName, made)
}

// learnBegunKey reads the key of begun records, unless it has just been read. It takes
// a connection of its own, and so comes before a transaction: transactions that hold
// all others, and each wait for one more, would wait for each other.
func (s *Store) learnBegunKey(ctx context.Context) error {
	if k := s.begunKey.Load(); k != nil && s.monotonic()-k.read < int64(begunKeyFresh) {
		return nil
	}
	at := s.monotonic()
	seed, err := s.AuditSeed(ctx)
	if err != nil {
		return err
	}
	k := begunKeyOf(seed)
	k.read = at
	s.begunKey.Store(&k)
	return nil
}

// RotateAuditKey has a new key sign the chain. The old one signs its last record,
// which names the new one; the new one signs that it has taken over. by says who
// wants it. What is under way is renewed under the new key. All of it is one
// transaction, so that a killed call has done all or nothing. Kind Conflict
// (audit_key_new) when the last rotation is not AuditKeyRest ago.
func (s *Store) RotateAuditKey(ctx context.Context, by audit.Record) (key ed25519.PublicKey, err error) {
	if err := s.learnBegunKey(ctx); err != nil {
		return nil, wrap(err, "rotate the key of audit records")
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails
	next := ed25519.NewKeyFromSeed(seed)
	key = next.Public().(ed25519.PublicKey)
	var head audit.Head
	err = s.tx(ctx, "rotate the key of audit records", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, q("LockAudit")); err != nil {
			return err
		}
		keys, err := s.auditKeys(ctx, tx)
		if err != nil {
			return err
		}
		if since := keys.now.Sub(keys.rotatedAt); keys.before != nil && since < AuditKeyRest {
			return fault.New(fault.Conflict, "audit_key_new", "the key of the audit records was rotated %s ago: hubs may still begin records with the one before", since.Round(time.Second)).
				WithFix("the key is new; rotate it again after %s", AuditKeyRest)
		}
		old := audit.Hex(keys.signing.Public().(ed25519.PublicKey)).String()
		r := by
		r.Kind, r.Action, r.Resource, r.Outcome, r.Key, r.NextKey = audit.Handover, "auditKeyHandedOver", "audit", audit.Done, old, audit.Hex(key).String()
		if _, err := s.chain(ctx, tx, audit.Head{}, []audit.Record{r}); err != nil {
			return err
		}
		before := binary.BigEndian.AppendUint64(append([]byte(nil), keys.signing.Seed()...), uint64(keys.now.UnixMicro()))
		for name, plain := range map[string][]byte{auditKeyName: seed, auditKeyBeforeName: before} {
			sealed, err := s.seal(ctx, plain, secretPlace(name))
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, q("PutAuditKey"), name, sealed); err != nil {
				return err
			}
		}
		r.Action, r.Key, r.NextKey = "auditKeyTakenOver", audit.Hex(key).String(), ""
		if head, err = s.chain(ctx, tx, audit.Head{}, []audit.Record{r}); err != nil {
			return err
		}
		return s.renewBegun(ctx, tx, keys, begunKeyOf(seed))
	})
	if fault.HasCode(err, "commit_unknown") {
		// Whether it was done can be seen: nobody else could have made this head.
		if there, asked := holds(ctx, s.pool, audit.Head{}, head); asked == nil && there {
			err = nil
		}
	}
	return key, err
}

// renewBegun keeps what is under way, and was begun by a hub, with another key. What
// somebody ends at this moment is left to him.
func (s *Store) renewBegun(ctx context.Context, tx pgx.Tx, keys auditKeys, next begunKey) error {
	rows, err := tx.Query(ctx, q("BegunAudit"))
	if err != nil {
		return err
	}
	var batch pgx.Batch
	var id, text string
	_, err = pgx.ForEachRow(rows, []any{&id, &text}, func() error {
		var kept begunAudit
		if json.Unmarshal([]byte(text), &kept) != nil || !keys.began(id, kept) {
			return nil // it stays what it is, for an alarm
		}
		kept.MAC = next.mac(id, kept.Record)
		again, err := json.Marshal(kept)
		if err == nil {
			batch.Queue(q("RenewBegunAudit"), id, string(again))
		}
		return err
	})
	if err != nil {
		return err
	}
	return tx.SendBatch(ctx, &batch).Close()
}
