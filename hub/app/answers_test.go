package app

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// answering are two hub processes on one Postgres and one redis-server, with clusters,
// applications and trees that somebody wrote into the database.
type answering struct {
	t        *testing.T
	server   *testbed.Redis
	db       *pgx.Conn
	one, two hubProcess
	admin    string
}

func newAnswering(t *testing.T, applications int) *answering {
	t.Helper()
	w := &answering{t: t, server: testbed.NeedRedis(t, testbed.RedisOptions{})}
	dsn := dbtest.Postgres(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close(t.Context()) })
	w.db = db
	for _, statement := range []string{
		`INSERT INTO projects (name, document, created_at, updated_at)
		 SELECT 'team-' || n, ('{"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "team-' || n || '"}, "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}}')::json, now(), now()
		 FROM generate_series(0, 9) n`,
		`INSERT INTO clusters (id, name, labels, created_at, enrolled_at) VALUES ('6f1c1b52-6d0c-4a3e-9a57-0a4b6a1f0001', 'eu', '{}', now(), now())`,
		fmt.Sprintf(`INSERT INTO apps (uid, name, project, cluster_id, document, created_at, updated_at)
		 SELECT 'uid-' || n, 'web-' || n, 'team-' || n %% 10, '6f1c1b52-6d0c-4a3e-9a57-0a4b6a1f0001', '{}', now(), now()
		 FROM generate_series(1, %d) n`, applications),
		`INSERT INTO observed (app_uid, incarnation, number, seq, generation, observed_at, received_at, sync_status, health_status)
		 SELECT uid, 1, 1, 1, 1, now(), now(), 'Synced', 'Healthy' FROM apps`,
	} {
		if _, err := db.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	w.one = startHubOf(t, dsn, "REDIS_URL=redis://"+w.server.Addr())
	w.two = startHubOf(t, dsn, "REDIS_URL=redis://"+w.server.Addr())
	code, err := os.ReadFile(w.one.codeFile())
	if err != nil {
		t.Fatal(err)
	}
	w.admin = w.one.enter(t, map[string]string{"code": strings.TrimSpace(string(code)), "username": "root", "password": "correct horse battery"})
	return w
}

// report has the agent of an application report a tree, by what hubs store of it.
func (w *answering) report(app, tree string) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), `INSERT INTO observed_detail (app_uid, status, tree, tree_at, tree_digest) VALUES ($1, '{}', $2::text::json, now(), md5($2::text))
		ON CONFLICT (app_uid) DO UPDATE SET tree = excluded.tree, tree_at = excluded.tree_at, tree_digest = excluded.tree_digest`, app, tree); err != nil {
		w.t.Fatal(err)
	}
}

// TestA38_TwoHubsShareTrees: what one has made the other takes from the Redis, until
// another is reported; whatever becomes of the Redis both answer what the database has.
func TestA38_TwoHubsShareTrees(t *testing.T) {
	w := newAnswering(t, 3)
	tree := func(pod string) string {
		return `{"nodes": [{"kind": "Pod", "namespace": "n", "name": "` + pod + `", "version": "v1", "health": {"status": "Healthy"}}]}`
	}
	ask := func(h hubProcess, pod string) {
		t.Helper()
		if got := h.ok(t, "GET", "/applications/web-1/tree", w.admin, "", ""); !strings.Contains(got, `"name":"`+pod+`"`) {
			t.Fatalf("want %s, got %s", pod, got)
		}
	}
	hits := func(h hubProcess, want float64, when string) {
		t.Helper()
		if n := h.asked(t, "trees", "hit"); n != want {
			t.Errorf("%s: %v hits in the Redis, want %v", when, n, want)
		}
	}
	w.report("uid-1", tree("first"))
	ask(w.one, "first")
	hits(w.one, 0, "the first hub makes it")
	ask(w.two, "first")
	hits(w.two, 1, "the second takes it")
	ask(w.two, "first")
	hits(w.two, 1, "and remembers it")

	// Everything that was ever there is put back, under each other's names too, while
	// other trees are reported.
	thief := redis.NewClient(&redis.Options{Addr: w.server.Addr(), DisableIdentity: true})
	defer thief.Close()
	stolen := map[string]string{}
	replay := func() {
		for _, k := range thief.Keys(t.Context(), "*").Val() {
			if _, known := stolen[k]; !known {
				stolen[k] = thief.Get(t.Context(), k).Val()
			}
		}
		for k, v := range stolen {
			thief.Set(t.Context(), k, v, 0)
		}
	}
	for i := range 5 {
		replay()
		pod := fmt.Sprint("pod-", i)
		w.report("uid-1", tree(pod))
		replay()
		ask(w.one, pod)
		ask(w.two, pod)
	}
	hits(w.two, 6, "each of them")
	replay()
	swap := func() {
		t.Helper()
		var before string
		for k, v := range stolen { // each has the value of another
			if before != "" {
				thief.Set(t.Context(), k, before, 0)
			}
			before = v
		}
	}
	w.report("uid-1", tree("last"))
	ask(w.one, "last")
	replay()
	swap()
	for k := range stolen { // and the newest one's is garbage, or another's
		thief.Append(t.Context(), k, "x")
	}
	ask(w.two, "last")
	if w.two.asked(t, "trees", "tampered") == 0 {
		t.Error("what was written there is not counted")
	}
	if err := thief.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	w.report("uid-1", tree("flushed"))
	ask(w.one, "flushed")
	ask(w.two, "flushed")
	w.server.Hang()
	w.report("uid-1", tree("hung"))
	ask(w.one, "hung")
	ask(w.two, "hung")
	w.server.Wake()
	w.server.Kill()
	w.report("uid-1", tree("killed"))
	ask(w.one, "killed")
	ask(w.two, "killed")

	// The right to see it is asked about first.
	if status, text, err := w.two.call(t.Context(), http.MethodGet, "/applications/web-1/tree", "", "", ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("%d %s %v", status, text, err)
	}
}
