package store

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/devdb"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// TestDatabaseRestartedUnderLoad kills Postgres while operations and reports
// are written. Every error says that the database is away, every operation that
// was answered is there afterwards, once, and the store works again by itself.
func TestDatabaseRestartedUnderLoad(t *testing.T) {
	dir, err := os.MkdirTemp("", "hawser-outage-")
	must(t, err)
	defer os.RemoveAll(dir)
	must(t, os.Chmod(dir, 0o711))
	db, err := devdb.Start(t.Context(), devdb.Options{Dir: dir})
	must(t, err)
	defer func() {
		if db != nil {
			db.Stop()
		}
	}()
	must(t, migrations.Up(t.Context(), db.TCPDSN()))
	b := setupOn(t, db.TCPDSN(), Options{})
	one := b.cluster("one")
	o := b.session(one)
	apps := make([]fleet.App, 12)
	for i := range apps {
		apps[i] = b.app(fmt.Sprint("app", i), one)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var (
		wg        sync.WaitGroup
		mu        sync.Mutex
		answered  = map[string]model.OperationID{} // by idempotency key
		unknown   = map[string]bool{}
		failures  atomic.Int64
		afterward atomic.Int64 // successes since the restart
		restarted atomic.Bool
		stop      = make(chan struct{})
	)
	worker := func(i int) {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-ctx.Done():
				return
			default:
			}
			key := fmt.Sprintf("key-%d-%d", i, n)
			op, _, err := b.CreateOperation(ctx, fleet.NewOperation{App: apps[i].UID, Kind: model.OperationSync, IdempotencyKey: key})
			if err == nil {
				err = b.SaveReports(ctx, []fleet.Report{b.report(apps[i], o, uint64(n+1))})
				mu.Lock()
				answered[key] = op.ID
				mu.Unlock()
				if restarted.Load() {
					afterward.Add(1)
				}
			} else if fault.HasCode(err, "commit_unknown") {
				mu.Lock()
				unknown[key] = true
				mu.Unlock()
			}
			if err != nil {
				failures.Add(1)
				if !fault.Is(err, fault.Unavailable) {
					t.Errorf("an outage is told as: %v", err)
				}
			}
		}
	}
	for i := range apps {
		wg.Go(func() { worker(i) })
	}
	reach := func(what string, done func() bool) {
		t.Helper()
		for !done() {
			select {
			case <-ctx.Done():
				t.Fatalf("waited in vain until %s", what)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(answered)
	}
	reach("operations were stored", func() bool { return count() > 100 })
	port := db.Port()
	must(t, db.Kill())
	reach("the outage was noticed", func() bool { return failures.Load() > 20 })
	must(t, db.Stop())
	if db, err = devdb.Start(ctx, devdb.Options{Dir: dir, Port: port}); err != nil {
		t.Fatal(err)
	}
	restarted.Store(true)
	reach("the store worked again", func() bool { return afterward.Load() > 100 })
	close(stop)
	wg.Wait()

	rows, err := b.pool.Query(t.Context(), `SELECT idempotency_key, id FROM operations`)
	must(t, err)
	defer rows.Close()
	stored := map[string]model.OperationID{}
	for rows.Next() {
		var key string
		var id model.OperationID
		must(t, rows.Scan(&key, &id))
		stored[key] = id
	}
	must(t, rows.Err())
	for key, id := range answered {
		if stored[key] != id {
			t.Errorf("operation %s was answered as %s and is stored as %q", key, id, stored[key])
		}
	}
	for key := range stored {
		if answered[key] == "" && !unknown[key] {
			t.Errorf("operation %s was refused and is stored", key)
		}
	}
	t.Logf("%d operations answered, %d of unknown outcome, %d errors", len(answered), len(unknown), failures.Load())
}

func TestUnreachableDatabase(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := Open(ctx, "postgres://hawser:CANARY@127.0.0.1:1/x", nil, Options{})
	wantCode(t, err, fault.Unavailable, "db_unavailable")
	_, err = Open(ctx, "postgres://hawser:CANARY@[", nil, Options{})
	wantCode(t, err, fault.Invalid, "database_url_invalid")
}
