package backup

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Inspect reads what a backup says of itself, without a database. It holds the
// manifest to the seal, and every table to the manifest.
func Inspect(from io.ReaderAt, size int64, key Sealer) (Manifest, error) {
	archive, m, err := open(from, size, key)
	if err != nil {
		return m, err
	}
	for _, t := range m.Tables {
		f, err := archive.Open(t.file())
		if err != nil {
			return m, damaged("the table " + t.Name + " is missing")
		}
		err = whole(t, f, io.Discard)
		f.Close()
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

func open(from io.ReaderAt, size int64, key Sealer) (*zip.Reader, Manifest, error) {
	archive, err := zip.NewReader(from, size)
	if err != nil {
		return nil, Manifest{}, damaged("it is no archive, or its end is missing")
	}
	m, err := readManifest(archive, key)
	return archive, m, err
}

// Read restores a backup into a database that no hub has used, in one transaction:
// all of it or nothing. The schema becomes the backup's; the caller brings it up to
// date afterwards. The hub's deletions are held from the first moment.
func Read(ctx context.Context, dsn string, key Sealer, from io.ReaderAt, size int64) (m Manifest, err error) {
	archive, m, err := open(from, size, key)
	if err != nil {
		return m, err
	}
	if newest := migrations.Newest(); m.Schema > newest {
		return m, fault.New(fault.Invalid, "backup_too_new", "the backup has schema %d, this program knows schemas up to %d", m.Schema, newest).
			WithFix("restore it with hawser-hub %s or newer", m.Program)
	}
	conn, err := connect(ctx, dsn)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := unused(ctx, conn, m); err != nil {
		return m, err
	}
	if err := migrations.UpTo(ctx, dsn, m.Schema); err != nil {
		return m, err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return m, unavailable(err, "begin to write")
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after a commit it does nothing
	// A hub that starts on the database now waits here, and then finds itself in it.
	if _, err := tx.Exec(ctx, `LOCK TABLE hub IN ACCESS EXCLUSIVE MODE`); err != nil {
		return m, unavailable(err, "lock it against hubs that start")
	}
	if err := unused(ctx, tx, m); err != nil {
		return m, err
	}
	if err := restore(ctx, tx, archive, m); err != nil {
		return m, err
	}
	if err := tx.Commit(ctx); err != nil {
		return m, unavailable(err, "commit")
	}
	return m, nil
}

type querier interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}

// unused refuses a database that holds anything of a hub.
func unused(ctx context.Context, db querier, m Manifest) error {
	schema, err := schemaOf(ctx, db)
	if err != nil || schema == 0 {
		return err
	}
	inUse := fault.New(fault.Conflict, "database_in_use", "the database is a hub's already: a restore replaces nothing").
		WithField("--database-url").WithFix("give an empty database; drop this one only when you are sure")
	var used bool
	if err := db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM hub)`).Scan(&used); err != nil {
		return unavailable(err, "see whether a hub has used it")
	}
	if used {
		return inUse
	}
	if schema > m.Schema {
		return fault.New(fault.Conflict, "database_in_use", "the database has schema %d, newer than the backup's %d", schema, m.Schema).
			WithField("--database-url").WithFix("give an empty database; the restore makes the schema, and brings it up to date")
	}
	return nil
}

// restore fills the tables. The order is that of the references between them;
// versions of the vault's key come first, because no sealed value is taken without its own.
func restore(ctx context.Context, tx pgx.Tx, archive *zip.Reader, m Manifest) error {
	there, err := tables(ctx, tx)
	if err != nil {
		return err
	}
	byName := map[string]Table{}
	for _, t := range there {
		byName[t.Name] = t
	}
	for _, t := range m.Tables {
		known, ok := byName[t.Name]
		if !ok || !slices.Equal(known.Columns, t.Columns) {
			return damaged("the table " + t.Name + " is not that of schema " + fmt.Sprint(m.Schema))
		}
	}
	for _, month := range m.AuditMonths {
		if _, err := tx.Exec(ctx, `SELECT audit_partition($1::text::date)`, month); err != nil {
			return unavailable(err, "make the table for the audit records of "+month)
		}
	}
	order, err := referencesFirst(ctx, tx, m.Tables)
	if err != nil {
		return err
	}
	// What the migrations put into tables is in the backup too.
	for _, t := range slices.Backward(order) {
		if t.Name == "audit" {
			continue // nobody may delete its rows, and no migration writes any
		}
		if _, err := tx.Exec(ctx, `DELETE FROM `+quote(t.Name)); err != nil {
			return unavailable(err, "empty the table "+t.Name)
		}
	}
	for _, t := range order {
		if err := readTable(ctx, tx, archive, t); err != nil {
			return err
		}
	}
	for _, s := range m.Sequences {
		if _, err := tx.Exec(ctx, `SELECT setval($1::text::regclass, $2, $3)`, quote(s.Name), s.Last, s.Called); err != nil {
			return unavailable(err, "set the sequence "+s.Name)
		}
	}
	for _, sql := range []string{
		`UPDATE hub SET hold_deletes = true`,
		`UPDATE sessions SET closed_at = now() WHERE closed_at IS NULL`,
		// Who submitted them has seen them end, or has to decide again.
		`UPDATE job_items SET phase = 'Cancelled', finished_at = now() WHERE phase = 'Pending'`,
		`UPDATE jobs SET cancelled_by = 'the restore of a backup' WHERE phase = 'Running' AND cancelled_by = ''`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return unavailable(err, "hold deletions, and end sessions and bulk commands")
		}
	}
	return nil
}

func readTable(ctx context.Context, tx pgx.Tx, archive *zip.Reader, t Table) error {
	f, err := archive.Open(t.file())
	if err != nil {
		return damaged("the table " + t.Name + " is missing")
	}
	defer f.Close()
	r, w := io.Pipe()
	checked := make(chan error, 1)
	go func() {
		err := whole(t, f, w)
		w.CloseWithError(err) // nil ends the copy in good order
		checked <- err
	}()
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, r, `COPY `+quote(t.Name)+` (`+columns(t)+`) FROM STDIN`)
	r.CloseWithError(io.ErrClosedPipe) // ends the goroutine when the database took no more
	if wrong := <-checked; wrong != nil && !errors.Is(wrong, io.ErrClosedPipe) {
		return wrong
	}
	switch {
	case err != nil:
		return unavailable(err, "take the rows of "+t.Name)
	case tag.RowsAffected() != t.Rows:
		return damaged(fmt.Sprintf("the table %s has %d rows, the manifest says %d", t.Name, tag.RowsAffected(), t.Rows))
	}
	return nil
}

// whole copies a table's rows and holds them to what the manifest says.
func whole(t Table, from io.Reader, to io.Writer) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(from, t.Bytes+1))
	switch {
	case errors.Is(err, io.ErrClosedPipe):
		return err
	case err != nil:
		return damaged("the rows of " + t.Name + " cannot be read")
	case n != t.Bytes || hex.EncodeToString(sum.Sum(nil)) != t.SHA256:
		return damaged("the rows of " + t.Name + " were changed")
	}
	return nil
}

// referencesFirst orders tables so that each comes after those that it refers to.
func referencesFirst(ctx context.Context, tx pgx.Tx, all []Table) ([]Table, error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT c.relname::text, r.relname::text FROM pg_constraint f
		JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class r ON r.oid = f.confrelid
		WHERE f.contype = 'f' AND c.relnamespace = current_schema()::regnamespace AND c.oid <> r.oid`)
	if err != nil {
		return nil, unavailable(err, "read the references between tables")
	}
	refers := map[string][]string{}
	var from, to string
	if _, err := pgx.ForEachRow(rows, []any{&from, &to}, func() error {
		refers[from] = append(refers[from], to)
		return nil
	}); err != nil {
		return nil, unavailable(err, "read the references between tables")
	}
	left := map[string]Table{}
	for _, t := range all {
		left[t.Name] = t
	}
	var order []Table
	take := func(name string) {
		order = append(order, left[name])
		delete(left, name)
	}
	if _, ok := left["vault_keys"]; ok {
		take("vault_keys")
	}
	for len(left) > 0 {
		before := len(order)
		for _, t := range all {
			_, waits := left[t.Name]
			free := !slices.ContainsFunc(refers[t.Name], func(to string) bool { _, there := left[to]; return there })
			if waits && free {
				take(t.Name)
			}
		}
		if len(order) == before {
			return nil, fmt.Errorf("backup: tables refer to each other in a circle: %v", left)
		}
	}
	return order, nil
}
