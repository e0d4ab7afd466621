package backup

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Left are the tables whose rows no backup has, with the reason. They are of the
// moment: what they say would be wrong, or would let somebody in, when it is restored.
var Left = map[string]string{
	"goose_db_version": "says which schema the database has; the restore makes it",
	"login_sessions":   "people log in again; a session that was ended meanwhile would live again",
	"login_attempts":   "counts wrong passwords of the last minutes",
	"external_logins":  "logins at identity providers that are under way",
	"enrolment_tokens": "valid for an hour and once; one that was used meanwhile would be good again",
	"cache_epoch":      "what hubs share in Redis belongs to the database that they read it from",
	"vault_readers":    "which hubs run",
	"connection_log":   "when agents came and went, of which the restored hub saw nothing",
	"requests":         "answers to requests of the last day, which the restored hub did not give",
}

// Write writes a backup of a database to out, and returns what it holds. Hubs may
// work meanwhile; everything is of one moment. The database is only read. It has to
// have the schema of this program.
func Write(ctx context.Context, dsn string, key Sealer, program string, out io.Writer) (m Manifest, err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return m, unavailable(err, "begin to read")
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was written

	m = Manifest{Format: format, Program: program}
	if err := describe(ctx, tx, &m); err != nil {
		return m, err
	}
	archive := zip.NewWriter(out)
	for i := range m.Tables {
		if err := writeTable(ctx, tx.Conn(), archive, &m.Tables[i]); err != nil {
			return m, err
		}
	}
	if err := writeManifest(archive, m, key); err != nil {
		return m, fault.Wrap(err, fault.Unavailable, "backup_not_written", "the backup cannot be written")
	}
	if err := archive.Close(); err != nil {
		return m, fault.Wrap(err, fault.Unavailable, "backup_not_written", "the backup cannot be written")
	}
	return m, nil
}

// describe fills in what is known before the rows are read.
func describe(ctx context.Context, tx pgx.Tx, m *Manifest) (err error) {
	if m.Schema, err = schemaOf(ctx, tx); err != nil {
		return err
	}
	if newest := migrations.Newest(); m.Schema != newest {
		return fault.New(fault.Precondition, "schema_differs", "the database has schema %d, this program %d", m.Schema, newest).
			WithFix("back up with the program that the hub runs, or bring the schema up to date with hawser-hub migrate")
	}
	err = tx.QueryRow(ctx, `SELECT hub_id, incarnation, now() FROM hub`).Scan(&m.Hub, &m.Incarnation, &m.Taken)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.New(fault.Precondition, "hub_not_initialised", "no hub has run on this database: there is nothing to back up")
	case err != nil:
		return unavailable(err, "read who the hub is")
	}
	m.Taken = m.Taken.UTC()
	if m.Tables, err = tables(ctx, tx); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1`)
	if err != nil {
		return unavailable(err, "list the sequences")
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return unavailable(err, "list the sequences")
	}
	for _, name := range names {
		s := Sequence{Name: name}
		if err := tx.QueryRow(ctx, `SELECT last_value, is_called FROM `+quote(name)).Scan(&s.Last, &s.Called); err != nil {
			return unavailable(err, "read the sequence "+name)
		}
		m.Sequences = append(m.Sequences, s)
	}
	rows, err = tx.Query(ctx, `SELECT DISTINCT to_char(part, 'YYYY-MM-01') FROM audit ORDER BY 1`)
	if err != nil {
		return unavailable(err, "list the months of the audit records")
	}
	if m.AuditMonths, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return unavailable(err, "list the months of the audit records")
	}
	return nil
}

// tables lists those that a backup has, with the columns that are not made from others.
func tables(ctx context.Context, tx pgx.Tx) ([]Table, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		GROUP BY c.relname ORDER BY c.relname`)
	if err != nil {
		return nil, unavailable(err, "list the tables")
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (t Table, err error) {
		err = r.Scan(&t.Name, &t.Columns)
		return t, err
	})
	if err != nil {
		return nil, unavailable(err, "list the tables")
	}
	kept := all[:0]
	for _, t := range all {
		if _, left := Left[t.Name]; !left {
			kept = append(kept, t)
		}
	}
	return kept, nil
}

func writeTable(ctx context.Context, conn *pgx.Conn, archive *zip.Writer, t *Table) error {
	w, err := archive.Create(t.file())
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "backup_not_written", "the backup cannot be written")
	}
	sum := sha256.New()
	counted := &counter{to: io.MultiWriter(w, sum)}
	// A query, because COPY of a table leaves out the rows of its partitions.
	tag, err := conn.PgConn().CopyTo(ctx, counted, `COPY (SELECT `+columns(*t)+` FROM `+quote(t.Name)+`) TO STDOUT`)
	switch {
	case counted.err != nil:
		return fault.Wrap(counted.err, fault.Unavailable, "backup_not_written", "the backup cannot be written")
	case err != nil:
		return unavailable(err, "read the table "+t.Name)
	}
	t.Rows, t.Bytes, t.SHA256 = tag.RowsAffected(), counted.n, hex.EncodeToString(sum.Sum(nil))
	return nil
}

// counter counts what it passes on, and tells whose error an error was.
type counter struct {
	to  io.Writer
	n   int64
	err error
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	c.err = err
	return n, err
}

// connect makes a connection on which a long statement is not ended.
func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fault.New(fault.Invalid, "database_url_invalid", "the database's URL cannot be read").WithField("--database-url")
	}
	c.RuntimeParams["application_name"] = "hawser-hub backup"
	c.RuntimeParams["statement_timeout"] = "0"
	c.RuntimeParams["TimeZone"] = "UTC"
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, unavailable(err, "connect")
	}
	return conn, nil
}

func schemaOf(ctx context.Context, db interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}) (version int64, err error) {
	var there bool
	if err := db.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&there); err != nil {
		return 0, unavailable(err, "read the schema's version")
	}
	if !there {
		return 0, nil
	}
	if err := db.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version); err != nil {
		return 0, unavailable(err, "read the schema's version")
	}
	return version, nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func columns(t Table) string {
	out := ""
	for i, c := range t.Columns {
		if i > 0 {
			out += ", "
		}
		out += quote(c)
	}
	return out
}

func unavailable(err error, what string) error {
	return fault.Wrap(err, fault.Unavailable, "db_unavailable", "%s", "the database does not do this: "+what)
}
