package testbed

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestPostgresComesBackAfterACrash(t *testing.T) {
	for name, embedded := range map[string]bool{"installed": false, "fetched": true} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			p, err := StartPostgres(ctx, PostgresOptions{Embedded: embedded, Log: testLog{t}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Stop() })
			t.Logf("version %s", p.Version())
			dsn := p.DSN()
			conn, err := pgx.Connect(ctx, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			if _, err := conn.Exec(ctx, "CREATE TABLE kept AS SELECT 42 AS answer"); err != nil {
				t.Fatal(err)
			}
			if err := p.Resume(ctx); err == nil {
				t.Fatal("a running server can be resumed")
			}
			if err := p.Crash(); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(ctx, "SELECT 1"); err == nil {
				t.Fatal("it answers after the crash")
			}
			if err := p.Resume(ctx); err != nil {
				t.Fatal(err)
			}
			if p.DSN() != dsn {
				t.Fatal("the connection string changed")
			}
			again, err := pgx.Connect(ctx, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close(ctx)
			var answer int
			if err := again.QueryRow(ctx, "SELECT answer FROM kept").Scan(&answer); err != nil || answer != 42 {
				t.Fatalf("what was committed: %d, %v", answer, err)
			}
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(p.opts.Dir); !os.IsNotExist(err) {
				t.Fatalf("its directory is still there: %v", err)
			}
		})
	}
}
