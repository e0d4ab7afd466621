package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Grant gives a role of the database what a hub needs that logs in as it: reading
// and writing all tables, but of the audit records only reading and adding. The
// caller logs in as the owner of the tables, which is another role: an owner can
// always give himself more. It is called again after each migration.
func Grant(ctx context.Context, dsn, role string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("migrations: open the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var owner, schema string
	var member, super bool
	err = conn.QueryRow(ctx, `SELECT c.relowner::regrole::text, c.relnamespace::regnamespace::text, pg_has_role($1::text, c.relowner, 'MEMBER'), r.rolsuper
		FROM pg_class c, pg_roles r WHERE c.oid = 'audit'::regclass AND r.rolname = $1`, role).Scan(&owner, &schema, &member, &super)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("migrations: the database has no role %q", role)
	case err != nil:
		return fmt.Errorf("migrations: read who owns the tables: %w", err)
	case super, member:
		return fmt.Errorf("migrations: the role %q owns the audit records or is a superuser, so nothing can be kept from it; make one that is neither", role)
	}
	for _, sql := range []string{
		`GRANT USAGE ON SCHEMA SCHEMA TO ROLE`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA SCHEMA TO ROLE`,
		`GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA SCHEMA TO ROLE`,
		`GRANT EXECUTE ON FUNCTION audit_partition(date), audit_drop(date) TO ROLE`,
		`REVOKE INSERT, UPDATE, DELETE ON goose_db_version FROM ROLE`,
		`REVOKE ALL ON audit FROM ROLE`,
		`GRANT SELECT, INSERT ON audit TO ROLE`,
	} {
		sql = strings.NewReplacer("SCHEMA SCHEMA", "SCHEMA "+schema, "ROLE", pgx.Identifier{role}.Sanitize()).Replace(sql)
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("migrations: %s: %w", sql, err)
		}
	}
	// Partitions are reached through their table only.
	rows, err := conn.Query(ctx, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit'::regclass`)
	if err != nil {
		return fmt.Errorf("migrations: list the audit records' months: %w", err)
	}
	parts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("migrations: list the audit records' months: %w", err)
	}
	for _, part := range parts { // regclass quotes where that is needed
		if _, err := conn.Exec(ctx, `REVOKE ALL ON `+part+` FROM `+pgx.Identifier{role}.Sanitize()); err != nil {
			return fmt.Errorf("migrations: keep %s from the role: %w", part, err)
		}
	}
	return nil
}
