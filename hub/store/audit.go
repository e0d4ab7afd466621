package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// BeginAudit keeps the record of a command that is about to be carried out, so
// that there is one should the hub be killed.
func (s *Store) BeginAudit(ctx context.Context, id string, r audit.Record) error {
	err := s.learnBegunKey(ctx)
	if err == nil {
		err = s.beginAudit(ctx, s.pool, id, r)
	}
	return wrap(err, "begin an audit record")
}

// begunAudit is how the record of a command is kept while it is under way. What is
// left of it is signed into the chain, so it must be what a hub wrote.
type begunAudit struct {
	Record json.RawMessage `json:"record"`
	// MAC of the id and the record, with the hubs' key of audit records.
	MAC []byte `json:"mac"`
}

// beginAudit is BeginAudit in a transaction, before which learnBegunKey was called.
func (s *Store) beginAudit(ctx context.Context, on execer, id string, r audit.Record) error {
	key := s.begunKey.Load()
	if key == nil {
		return fault.New(fault.Internal, "internal", "the key of begun audit records was not read")
	}
	record, err := json.Marshal(r)
	if err != nil {
		return err
	}
	text, err := json.Marshal(begunAudit{record, key.mac(id, record)})
	if err == nil {
		_, err = on.Exec(ctx, q("BeginAudit"), id, string(text))
	}
	return err
}

// readBegun is a record that a hub began, or an Alarm in place of one that none did.
func (s *Store) readBegun(ctx context.Context, keys auditKeys, id string, text []byte) audit.Record {
	var kept begunAudit
	var r audit.Record
	if json.Unmarshal(text, &kept) == nil && keys.began(id, kept) && json.Unmarshal(kept.Record, &r) == nil {
		if r.Outcome = audit.Unknown; r.Reason != "" {
			r.Reason += "; "
		}
		r.Reason += "the hub ended before it could tell"
		return r
	}
	s.log.ErrorContext(ctx, "a command under way in the database was begun by no hub, or was changed", "id", id)
	return audit.Record{Kind: audit.Alarm, Action: "auditBegunForged", Resource: "audit", Outcome: audit.Failed, Name: id,
		Reason: "a command under way in the database was begun by no hub, or was changed: what it says is left out"}
}

// AppendAudit adds records to the chain, in one transaction, and ends those that
// were begun. known is the head that the caller has seen, the zero value for
// none; when it is not in the chain any more, an Alarm comes before the records.
// It returns the new head.
func (s *Store) AppendAudit(ctx context.Context, known audit.Head, entries []fleet.AuditEntry) (head audit.Head, err error) {
	if err := s.learnBegunKey(ctx); err != nil {
		return head, wrap(err, "add audit records")
	}
	err = s.tx(ctx, "add audit records", func(tx pgx.Tx) error {
		records := make([]audit.Record, 0, len(entries)+1)
		for _, e := range entries {
			if e.Begun != "" {
				if _, err := tx.Exec(ctx, q("EndAudit"), e.Begun); err != nil {
					return err
				}
			}
			records = append(records, e.Record)
		}
		head, err = s.chain(ctx, tx, known, records)
		return err
	})
	if fault.HasCode(err, "commit_unknown") {
		// Whether it was done can be seen: nobody else could have made this head.
		if there, asked := holds(ctx, s.pool, audit.Head{}, head); asked == nil && there {
			return head, nil
		}
	}
	return head, err
}

// CloseAudit adds the records of what this hub and others left open: commands
// that were begun longer than after ago, and operations that ended. It returns
// the new head and how many there were.
func (s *Store) CloseAudit(ctx context.Context, known audit.Head, after time.Duration) (head audit.Head, n int, err error) {
	if err := s.learnBegunKey(ctx); err != nil {
		return head, 0, wrap(err, "add audit records")
	}
	err = s.tx(ctx, "add audit records", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, q("AbandonedAudit"), after.Seconds())
		if err != nil {
			return err
		}
		type begun struct{ id, text string }
		left, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (b begun, err error) {
			err = r.Scan(&b.id, &b.text)
			return b, err
		})
		if err != nil {
			return err
		}
		var records []audit.Record
		if len(left) > 0 {
			// After the rows are this transaction's: what a rotation of the key did to
			// them before is seen, and it does nothing to them now.
			keys, err := s.auditKeys(ctx, tx)
			if err != nil {
				return err
			}
			for _, b := range left {
				records = append(records, s.readBegun(ctx, keys, b.id, []byte(b.text)))
			}
		}
		if rows, err = tx.Query(ctx, q("UnauditedOperations")); err != nil {
			return err
		}
		ended, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (a audit.Record, err error) {
			var seq int64
			var kind, phase string
			err = r.Scan(&seq, &a.Operation, &kind, &a.Name, &a.Project, &a.Cluster, &phase, &a.Actor, &a.Reason)
			a.Kind, a.Action, a.Resource, a.Verb = audit.Effect, "operation"+phase, "applications", kind
			a.Reason = fleet.MaskURLs(a.Reason)
			a.Outcome = audit.Failed
			if phase == "Succeeded" {
				a.Outcome = audit.Done
			}
			return a, err
		})
		if err != nil {
			return err
		}
		records = append(records, ended...)
		if n = len(records); n == 0 {
			head = known
			return nil
		}
		head, err = s.chain(ctx, tx, known, records)
		return err
	})
	return head, n, err
}

// chain adds records at the end of the chain. Until the transaction ends nobody
// else does.
func (s *Store) chain(ctx context.Context, tx pgx.Tx, known audit.Head, records []audit.Record) (audit.Head, error) {
	var head audit.Head
	if _, err := tx.Exec(ctx, q("LockAudit")); err != nil {
		return head, err
	}
	keys, err := s.auditKeys(ctx, tx)
	if err != nil {
		return head, err
	}
	var part, now time.Time
	err = tx.QueryRow(ctx, q("AuditHead")).Scan(&part, &head.Seq, &head.Hash)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return head, err
	}
	if err := tx.QueryRow(ctx, q("AuditClock")).Scan(&now); err != nil {
		return head, err
	}
	now = now.UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	if month.After(part) {
		part = month
		if _, err := tx.Exec(ctx, q("AuditPartition"), part); err != nil {
			return head, err
		}
	}
	if known.Seq > 0 {
		there, err := holds(ctx, tx, head, known)
		if err != nil {
			return head, err
		}
		if !there {
			s.log.ErrorContext(ctx, "audit records were removed or changed in the database", "missing", known.String(), "head", head.String())
			alarm := audit.Record{Kind: audit.Alarm, Action: "auditChainCut", Resource: "audit", Outcome: audit.Failed, Through: known.Seq, ThroughHash: known.Hash.String(),
				Reason: fmt.Sprintf("this hub knows record %d, which is not in the database as it was; the newest there was %d", known.Seq, head.Seq)}
			records = append([]audit.Record{alarm}, records...)
		}
	}
	var batch pgx.Batch
	for _, r := range records {
		r.Seq, r.Prev, r.At = head.Seq+1, head.Hash.String(), now
		signed, err := audit.Seal(keys.signing, r)
		if err != nil {
			return head, err
		}
		batch.Queue(q("AppendAudit"), part, r.Seq, now, string(signed.Record), []byte(signed.Hash), []byte(signed.Signature))
		head = audit.Head{Seq: r.Seq, Hash: signed.Hash}
	}
	return head, tx.SendBatch(ctx, &batch).Close()
}

// holds reports whether a record that somebody knows is in the chain, which ends
// with head. One that was retired is not asked for: no caller's is so old.
func holds(ctx context.Context, tx querier, head, known audit.Head) (bool, error) {
	hash := []byte(head.Hash)
	if known.Seq != head.Seq {
		err := tx.QueryRow(ctx, q("AuditAt"), known.Seq).Scan(&hash)
		if errors.Is(err, pgx.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return bytes.Equal(hash, known.Hash), nil
}

// AuditHead reads the newest record's number and hash; the zero value for none.
func (s *Store) AuditHead(ctx context.Context) (audit.Head, error) {
	var head audit.Head
	var part time.Time
	err := s.pool.QueryRow(ctx, q("AuditHead")).Scan(&part, &head.Seq, &head.Hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Head{}, nil
	}
	return head, wrap(err, "read the audit records")
}

// auditQuery is the statement for AuditRecords.
func auditQuery(f fleet.AuditFilter) string {
	text := q("AuditRecords")
	if f.Kind == audit.Handover {
		text += " AND kind = 'handover'" // as its index has it
	}
	if f.OldestFirst {
		return text + " ORDER BY seq LIMIT $15"
	}
	return text + " ORDER BY seq DESC LIMIT $15"
}

// AuditRecords lists records, the newest first or as f says.
func (s *Store) AuditRecords(ctx context.Context, f fleet.AuditFilter) ([]audit.Signed, error) {
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	rows, err := s.pool.Query(ctx, auditQuery(f), text(f.Actor), text(f.Action), text(f.Resource), text(f.Project), text(f.Cluster), text(f.Name),
		text(string(f.Outcome)), text(string(f.Kind)), text(f.Request), text(f.Operation), f.Since, f.Until, f.After, f.Before, f.Limit)
	if err != nil {
		return nil, wrap(err, "read the audit records")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (signed audit.Signed, err error) {
		var seq int64
		var at time.Time
		var text []byte
		if err = r.Scan(&seq, &at, &text, &signed.Hash, &signed.Signature); err != nil {
			return signed, err
		}
		signed.Record = text
		var inner audit.Record
		if json.Unmarshal(text, &inner) != nil || inner.Seq != seq || !inner.At.Equal(at) {
			// The columns by which it was found say something else than what was signed.
			return signed, fault.New(fault.Internal, "audit_damaged", "audit record %d is not what its columns say", seq)
		}
		return signed, nil
	})
	return out, wrap(err, "read the audit records")
}

// RetireAudit removes the records of the oldest months that ended before a time,
// one month in each transaction, with a record of it. It returns the new head.
func (s *Store) RetireAudit(ctx context.Context, known audit.Head, before time.Time) (head audit.Head, months int, err error) {
	if err := s.learnBegunKey(ctx); err != nil {
		return head, 0, wrap(err, "retire audit records")
	}
	head = known
	for {
		var done bool
		err := s.tx(ctx, "retire audit records", func(tx pgx.Tx) error {
			done = true
			var part time.Time
			last := audit.Head{}
			if _, err := tx.Exec(ctx, q("LockAudit")); err != nil {
				return err
			}
			err := tx.QueryRow(ctx, q("OldestAudit")).Scan(&part, &last.Seq)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			month := time.Date(part.Year(), part.Month(), 1, 0, 0, 0, 0, time.UTC)
			if month.AddDate(0, 1, 0).After(before) {
				return nil
			}
			if err := tx.QueryRow(ctx, q("AuditAt"), last.Seq).Scan(&last.Hash); err != nil {
				return err
			}
			head, err = s.chain(ctx, tx, audit.Head{}, []audit.Record{{
				Kind: audit.Retired, Action: "retireAudit", Resource: "audit", Name: month.Format("2006-01"), Outcome: audit.Done, Through: last.Seq, ThroughHash: last.Hash.String(),
			}})
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, q("DropAudit"), month); err != nil {
				return err
			}
			done = false
			return nil
		})
		if err != nil || done {
			return head, months, err
		}
		months++
	}
}
