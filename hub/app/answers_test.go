package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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
	dsn      string
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
	w.db, w.dsn = db, dsn
	// They are being deleted, so that hubs render none of them: what they would say of
	// that each would know by itself for a while.
	for _, statement := range []string{
		`INSERT INTO projects (name, document, created_at, updated_at)
		 SELECT 'team-' || n, ('{"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "team-' || n || '"}, "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}}')::json, now(), now()
		 FROM generate_series(0, 9) n`,
		`INSERT INTO clusters (id, name, labels, created_at, enrolled_at) VALUES ('6f1c1b52-6d0c-4a3e-9a57-0a4b6a1f0001', 'eu', '{}', now(), now())`,
		fmt.Sprintf(`INSERT INTO apps (uid, name, project, cluster_id, document, created_at, updated_at, deleting)
		 SELECT 'uid-' || n, 'web-' || n, 'team-' || n %% 10, '6f1c1b52-6d0c-4a3e-9a57-0a4b6a1f0001', '{}', now(), now(), true
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

// pages asks a list as somebody, and is what a hub of it answers without the time at
// which it is known to hold.
func (w *answering) page(h hubProcess, token, query string) string {
	w.t.Helper()
	got := h.ok(w.t, "GET", "/applications?"+query, token, "", "")
	var out map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got), &out); err != nil {
		w.t.Fatal(err)
	}
	delete(out, "asOf")
	text, err := json.Marshal(out)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// settle waits until what a hub has read has been the same for a while.
func (w *answering) settle(h hubProcess) {
	w.t.Helper()
	for before := h.looks(w.t, "memory", "pages", ""); h.looks(w.t, "memory", "pages", "") == before; time.Sleep(50 * time.Millisecond) {
		h.ok(w.t, "GET", "/applications?limit=1&facets=none", w.admin, "", "")
	}
}

// taken asks one hub and then the other, until what the first has made was taken from
// the Redis by the second: on a busy machine it may not answer in time. Both have to
// answer the same each time.
func (w *answering) taken(space string, ask func(h hubProcess, try int) string) string {
	w.t.Helper()
	for try := range 40 {
		before := w.two.asked(w.t, space, "hit")
		first := ask(w.one, try)
		if second := ask(w.two, try); second != first {
			w.t.Fatalf("the second hub answers\n%s\nthe first\n%s", second, first)
		}
		if w.two.asked(w.t, space, "hit") == before+1 {
			return first
		}
	}
	w.t.Fatalf("the second hub takes no %s from the Redis", space)
	return ""
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
	w.taken("trees", func(h hubProcess, try int) string {
		if h.addr == w.one.addr {
			w.report("uid-1", tree(fmt.Sprint("try-", try)))
		}
		return h.ok(t, "GET", "/applications/web-1/tree", w.admin, "", "")
	})
	before := w.two.asked(t, "trees", "")
	w.two.ok(t, "GET", "/applications/web-1/tree", w.admin, "", "")
	if w.two.asked(t, "trees", "") != before {
		t.Error("it does not remember what it has taken")
	}

	// Everything that was ever there is put back, under each other's names too, while
	// other trees are reported.
	thief := newThief(t, w.server)
	for i := range 5 {
		thief.replay()
		pod := fmt.Sprint("pod-", i)
		w.report("uid-1", tree(pod))
		thief.replay()
		ask(w.one, pod)
		ask(w.two, pod)
	}
	thief.replay()
	w.report("uid-1", tree("last"))
	ask(w.one, "last")
	thief.replay()
	thief.swap("garbage")
	for k := range thief.stolen { // and the newest one's is garbage, or another's, with more behind it
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

// TestA38_TwoHubsSharePages: what one hub has made the other takes from the Redis, only
// for those who see the same, and only as long as it is so. Whatever becomes of the
// Redis, both answer what the database has.
func TestA38_TwoHubsSharePages(t *testing.T) {
	w := newAnswering(t, 6000)
	viewer := func(projects ...string) string {
		t.Helper()
		grants := make([]string, len(projects))
		for i, p := range projects {
			grants[i] = fmt.Sprintf(`{"project": %q, "role": "viewer"}`, p)
		}
		body := fmt.Sprintf(`{"name": %q, "ttl": "24h", "grants": [%s]}`, strings.ReplaceAll(strings.Join(projects, "-"), "*", "all"), strings.Join(grants, ","))
		var out struct{ Token string }
		if err := json.Unmarshal([]byte(w.one.ok(t, "POST", "/tokens", w.admin, "application/json", body)), &out); err != nil || out.Token == "" {
			t.Fatal(err)
		}
		return out.Token
	}
	five := viewer("team-0", "team-1", "team-2", "team-3", "team-4")
	six := viewer("team-0", "team-1", "team-2", "team-3", "team-4", "team-5")
	w.settle(w.one)
	w.settle(w.two)
	page := func(token, query string) func(h hubProcess, try int) string {
		return func(h hubProcess, try int) string { return w.page(h, token, fmt.Sprintf("limit=%d&%s", 50+try, query)) }
	}
	for _, query := range []string{"", "sort=-name", "group=project", "fields=name", "selector=!env"} {
		if made := w.taken("pages", page(w.admin, query)); !strings.Contains(made, `"total":6000`) {
			t.Fatalf("%s: %s", query, made)
		}
	}
	// Of those who see other things: each his own.
	for _, c := range []struct{ token, total string }{{five, `"total":3000`}, {six, `"total":3600`}} {
		if got := w.taken("pages", page(c.token, "")); !strings.Contains(got, c.total) || strings.Contains(got, "team-9") {
			t.Errorf("want %s: %s", c.total, got)
		}
	}
	before := w.two.asked(t, "pages", "")
	w.page(w.two, w.admin, "limit=50")
	if w.two.asked(t, "pages", "") != before {
		t.Error("it does not remember what it has taken")
	}

	// Each name gets the value of another, and one gets garbage, before a hub that
	// remembers nothing asks.
	thief := newThief(t, w.server)
	thief.steal()
	three := startHubOf(t, w.dsn, "REDIS_URL=redis://"+w.server.Addr())
	w.settle(three)
	thief.swap("garbage")
	callers := []string{w.admin, five, six}
	same := func(when string, hubs ...hubProcess) {
		t.Helper()
		for _, token := range callers {
			for _, h := range hubs {
				if got, want := w.page(h, token, "limit=50"), w.page(w.one, token, "limit=50"); got != want {
					t.Errorf("%s: %s\nwant %s", when, got, want)
				}
			}
		}
	}
	same("swapped", three)
	if three.asked(t, "pages", "tampered") == 0 {
		t.Error("what was written there is not counted")
	}

	// Something is new. Whoever was told sees it, and no page from before, though all of
	// them are put back.
	thief.restore()
	w.one.ok(t, "POST", "/apply", w.admin, "application/yaml", `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: a-new-one}
spec:
  project: team-0
  source: {repoURL: "https://git.invalid/shop", path: web, targetRevision: main}
  destination: {name: eu, namespace: web}
`)
	for range 3 {
		for i, want := range []string{`"total":6001`, `"total":3001`, `"total":3601`} {
			if got := w.page(w.one, callers[i], "limit=50"); !strings.Contains(got, want) || !strings.Contains(got, "a-new-one") {
				t.Errorf("want %s and a-new-one: %s", want, got)
			}
		}
	}
	w.settle(w.one)
	if got := w.page(w.one, w.admin, "limit=50"); !strings.Contains(got, "a-new-one") {
		t.Errorf("after a while: %s", got)
	}
	four := startHubOf(t, w.dsn, "REDIS_URL=redis://"+w.server.Addr())
	w.settle(four)
	for _, lost := range []struct {
		how string
		do  func()
	}{{"flushed", func() { thief.FlushAll(t.Context()) }}, {"hung", w.server.Hang}, {"killed", func() { w.server.Wake(); w.server.Kill() }}} {
		lost.do()
		for _, token := range callers {
			if got := w.page(four, token, "limit=60&sort=-name&facets=sync,"+map[string]string{"flushed": "health", "hung": "cluster", "killed": "project"}[lost.how]); !strings.Contains(got, `"total":`) {
				t.Errorf("%s: %s", lost.how, got)
			}
		}
		same(lost.how, four)
	}
}
