// Package dbtest gives tests a database of their own: one private server for
// each test process, and in it a fresh database for each test, copied from one
// that is migrated once. Only tests import it.
package dbtest

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/devdb"
	"github.com/hawser-dev/hawser/migrations"
)

const template = "hawser_template"

var (
	once    sync.Once
	server  *devdb.DB
	failure error
	counter atomic.Int64
	copying sync.Mutex
)

// Run runs a package's tests and stops the server afterwards:
//
//	func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }
//
// Without it the server ends with the process, and its directory is removed by
// a later run.
func Run(m *testing.M) int {
	code := m.Run()
	if server != nil {
		if err := server.Stop(); err != nil {
			fmt.Println(err)
			return max(code, 1)
		}
	}
	return code
}

// Postgres returns the DSN of a fresh, migrated database, which is dropped when
// the test ends.
func Postgres(tb testing.TB) string {
	tb.Helper()
	return create(tb, template)
}

// Empty is Postgres without migrations.
func Empty(tb testing.TB) string {
	tb.Helper()
	return create(tb, "template0")
}

// TCP turns a DSN of this package into one that goes through 127.0.0.1, and
// returns the address too, for tests that put a proxy between.
func TCP(tb testing.TB, dsn string) (tcp, address string) {
	tb.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tcp = withDatabase(tb, server.TCPDSN(), cfg.Database)
	return tcp, fmt.Sprintf("127.0.0.1:%d", cfg.Port)
}

func create(tb testing.TB, from string) string {
	tb.Helper()
	once.Do(start)
	if failure != nil {
		tb.Fatal(failure)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	name := fmt.Sprintf("t%d", counter.Add(1))
	if err := admin(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, from)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := admin(ctx, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			tb.Error(err)
		}
	})
	return withDatabase(tb, server.DSN(), name)
}

func start() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	server, failure = devdb.Start(ctx, devdb.Options{Ephemeral: true})
	if failure != nil {
		return
	}
	if failure = admin(ctx, "CREATE DATABASE "+template+" TEMPLATE template0"); failure != nil {
		return
	}
	var dsn string
	if dsn, failure = database(server.DSN(), template); failure == nil {
		failure = migrations.Up(ctx, dsn)
	}
}

// admin runs a statement on the server; one at a time, because a template must
// not be in use while it is copied.
func admin(ctx context.Context, sql string) error {
	copying.Lock()
	defer copying.Unlock()
	conn, err := pgx.Connect(ctx, server.DSN())
	if err != nil {
		return fmt.Errorf("dbtest: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("dbtest: %s: %w", sql, err)
	}
	return nil
}

func withDatabase(tb testing.TB, dsn, name string) string {
	tb.Helper()
	out, err := database(dsn, name)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func database(dsn, name string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}
