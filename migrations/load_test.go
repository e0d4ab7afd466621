package migrations

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// underLoad is from where the migrations are applied to a database in use: a hub of
// the release before writes while `hawser-hub migrate` runs.
const underLoad = 31

// loads are what hubs of that version write, again and again; $1 is another text each
// time. All have to go on while the schema changes under them.
var loads = map[string]string{
	"api_tokens":   `INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at) VALUES ($1::text, 'ann', convert_to($1::text, 'UTF8'), true, now(), now())`,
	"certificates": `INSERT INTO certificates (serial, cluster_id, not_before, not_after) VALUES ($1, 'c', now(), now())`,
	"clusters":     `INSERT INTO clusters (id, name, created_at) VALUES ($1, $1, now())`,
	"enrolment_tokens": `INSERT INTO enrolment_tokens (id, hash, cluster, created_at, expires_at)
		VALUES ($1::text, convert_to($1::text, 'UTF8'), 'one', now(), now())`,
	"operations": `INSERT INTO operations (id, seq, app_uid, app_name, cluster_id, kind, spec, phase, created_at)
		VALUES ($1, nextval('operation_seq'), 'a', 'shop', 'c', 'sync', '{}', 'Queued', now())`,
	"projects": `INSERT INTO projects (name, document, created_at, updated_at) VALUES ($1, '{}', now(), now())`,
}

// A transaction holds what a migration has to change, as a backup does, and hubs
// write. The migration does not hold them up: it lets go, and changes the tables when
// they are free. Nothing that was written is lost.
func TestMigrationsUnderLoad(t *testing.T) {
	dsn := database(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	var writers sync.WaitGroup
	defer func() { cancel(); writers.Wait() }()
	if err := to(ctx, dsn, underLoad); err != nil {
		t.Fatal(err)
	}
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.WithoutCancel(ctx)) })
		return conn
	}
	look := connect()
	for _, v := range fileVersions(t) {
		if v > underLoad {
			break
		}
		if _, err := look.Exec(ctx, rows[v]); err != nil {
			t.Fatalf("rows of version %d: %v", v, err)
		}
	}
	before := map[string]int{}
	count := func(table string) (n int) {
		if err := look.QueryRow(ctx, `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for table := range loads {
		before[table] = count(table)
	}

	// Reading is enough to be in the way of a change of the table.
	holder := connect()
	held, err := holder.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for table := range loads {
		if _, err := held.Exec(ctx, `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()); err != nil {
			t.Fatal(err)
		}
	}

	written := map[string]*atomic.Int64{}
	ended := make(chan struct{})
	for table, sql := range loads {
		n, conn := &atomic.Int64{}, connect()
		written[table] = n
		if _, err := conn.Exec(ctx, fmt.Sprintf("SET lock_timeout = %d", (2*lockTimeout).Milliseconds())); err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if _, err := conn.Exec(ctx, sql, fmt.Sprintf("load-%d", n.Load())); err != nil {
					if ctx.Err() == nil {
						t.Errorf("a write to %s while the schema changes: %v", table, err)
						cancel()
					}
					return
				}
				n.Add(1)
			}
		})
	}
	migrated := make(chan error, 1)
	go func() { migrated <- Up(ctx, dsn) }()

	// Each time that the migration waits for the holder, all writers get on.
	for range 2 {
		await(ctx, t, "the migration waits for a table", func() bool {
			var waits bool
			if err := look.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted)`).Scan(&waits); err != nil {
				t.Fatal(err)
			}
			return waits
		})
		passed := map[string]int64{}
		for table, n := range written {
			passed[table] = n.Load()
		}
		await(ctx, t, "all writers get on behind it", func() bool {
			for table, n := range written {
				if n.Load() < passed[table]+3 {
					return false
				}
			}
			return true
		})
	}
	select {
	case err := <-migrated:
		t.Fatalf("it has ended over a table that is held: %v", err)
	default:
	}
	if err := held.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Fatal(err)
	}
	close(ended)
	writers.Wait()
	for table, n := range written {
		if got, want := count(table), before[table]+int(n.Load()); got != want {
			t.Errorf("%s has %d rows, %d were written", table, got, want)
		}
	}
}

// await looks until holds does: no signal tells who waits for a lock.
func await(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
