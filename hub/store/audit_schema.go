package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/shared/audit"
)

// Who changed the schema is not known: it is the owner of the tables, at a time when
// there may have been none for records. These two name the record of it.
const (
	schemaActor  = "migration"
	schemaAction = "migrateSchema"
)

// AuditSchema adds a record when the versions of the schema, or the times at which they
// were made, are others than the newest record of that says. known is as in AppendAudit,
// from the hub that finds out. It returns the new head, known for no record.
func (s *Store) AuditSchema(ctx context.Context, known audit.Head, from string) (head audit.Head, err error) {
	if err := s.learnBegunKey(ctx); err != nil {
		return known, wrap(err, "record the schema")
	}
	head = known
	err = s.tx(ctx, "record the schema", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, q("LockAudit")); err != nil { // of several hubs one records it
			return err
		}
		rows, err := tx.Query(ctx, q("SchemaVersions"))
		if err != nil {
			return err
		}
		versions, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (v schemaVersion, err error) {
			err = r.Scan(&v.number, &v.applied, &v.at)
			return v, err
		})
		if err != nil {
			return err
		}
		var text []byte
		var last audit.Record
		switch err := tx.QueryRow(ctx, q("NewestSchemaRecord"), schemaActor, schemaAction).Scan(&text); {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return err
		default:
			_ = json.Unmarshal(text, &last) // one that cannot be read tells nothing, and is followed by another
		}
		r := schemaRecord(versions, last)
		if r.Digest == last.Digest {
			return nil
		}
		r.From = from
		head, err = s.chain(ctx, tx, known, []audit.Record{r})
		return err
	})
	return head, err
}

// schemaVersion is a row of what the migrations keep of themselves; at is the
// database's clock.
type schemaVersion struct {
	number  int64
	applied bool
	at      string
}

// schemaRecord says what is new since the last record, the zero value for none.
func schemaRecord(versions []schemaVersion, last audit.Record) audit.Record {
	was, err := strconv.ParseInt(last.Name, 10, 64)
	if err != nil {
		was = 0
	}
	sum := sha256.New()
	var newest, count int64
	var at string
	for _, v := range versions {
		_, _ = fmt.Fprintf(sum, "%d %t %s\n", v.number, v.applied, v.at) // never fails
		newest = max(newest, v.number)
		if v.number > was {
			count++
			at = v.at
		}
	}
	r := audit.Record{
		Kind: audit.Command, Actor: schemaActor, Action: schemaAction, Verb: "update", Resource: "schema", Outcome: audit.Done,
		Name: strconv.FormatInt(newest, 10), Digest: hex.EncodeToString(sum.Sum(nil)[:16]),
	}
	switch {
	case count > 0:
		r.Reason = fmt.Sprintf("versions %d to %d of the schema were made, the last at %s by the database's clock", was+1, newest, strings.TrimSuffix(at, ".000000"))
	default:
		r.Reason = fmt.Sprintf("what the database says of its versions was changed; it was %d and is %d", was, newest)
	}
	return r
}
