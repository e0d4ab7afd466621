package migrations

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/devdb"
)

// A server of its own: e2e/dbtest uses this package.
func database(t *testing.T) string {
	t.Helper()
	db, err := devdb.Start(t.Context(), devdb.Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	return db.DSN()
}

// rows that a database has after each version, in the words of that version.
// A new migration needs an entry here, so that later ones meet its rows.
var rows = map[int64]string{
	1: `INSERT INTO hub (hub_id, incarnation, incarnation_signature) VALUES ('h', 1, 's');
	    INSERT INTO secrets (name, sealed) VALUES ('ca', 'x');
	    INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at) VALUES ('t', 'ann', 'h', true, now(), now())`,
	2: `INSERT INTO clusters (id, name, created_at) VALUES ('c', 'one', now());
	    INSERT INTO enrolment_tokens (id, hash, cluster, created_at, expires_at) VALUES ('e', 'h', 'one', now(), now());
	    INSERT INTO certificates (serial, cluster_id, not_before, not_after) VALUES ('1', 'c', now(), now());
	    INSERT INTO sessions (cluster_id, incarnation, number, opened_at, last_seen) VALUES ('c', 1, nextval('session_epoch'), now(), now())`,
	3: `INSERT INTO projects (name, document, created_at, updated_at) VALUES ('p', '{}', now(), now());
	    INSERT INTO repositories (id, url, match_url, created_at) VALUES ('r', 'https://x', 'https://x', now());
	    INSERT INTO apps (uid, name, project, cluster_id, document, created_at, updated_at) VALUES ('a', 'shop', 'p', 'c', '{"odd": "\u0000"}', now(), now());
	    INSERT INTO bundles (digest, sealed, objects, created_at, used_at) VALUES ('d', 'x', 1, now(), now());
	    INSERT INTO app_sources (app_uid, bundle, at) VALUES ('a', 'd', now());
	    INSERT INTO desired (app_uid, cluster_id, generation, content, bundle, bundle_bytes, revision, document, updated_at) VALUES ('a', 'c', 1, 'x', 'd', 1, '{}', '{}', now());
	    INSERT INTO observed (app_uid, incarnation, number, seq, generation, observed_at, received_at, sync_status, health_status) VALUES ('a', 1, 1, 1, 1, now(), now(), 'Synced', 'Healthy');
	    INSERT INTO observed_detail (app_uid, status) VALUES ('a', '{}')`,
	4: `INSERT INTO operations (id, seq, app_uid, app_name, cluster_id, kind, spec, phase, created_at) VALUES ('o', nextval('operation_seq'), 'a', 'shop', 'c', 'delete', '{}', 'Queued', now());
	    INSERT INTO withdrawals (app_uid, cluster_id, name, generation, mode, operation_id, operation_seq, created_at) VALUES ('a', 'c', 'shop', 2, 'orphan', 'o', 1, now());
	    INSERT INTO tombstones (app_uid, cluster_id, name, generation, operation_id, at) VALUES ('z', 'c', 'old', 1, 'o', now())`,
	5: `INSERT INTO repository_templates (id, url, match_url, credential, created_at) VALUES ('rt', 'https://x', 'https://x', 'x', now());
	    INSERT INTO repositories (id, url, match_url, type, name, created_at) VALUES ('r5', 'https://y', 'https://y', 'helm', 'y', now())`,
	6: `UPDATE app_sources SET warnings = '[{"type": "RenderWarning", "message": "m"}]'`,
	7: `INSERT INTO deployments (app_uid, id, generation, bundle, revision, started_at, deployed_at) VALUES ('a', 1, 1, 'd', '{}', now(), now());
	    INSERT INTO pins (app_uid, bundle, document) VALUES ('a', 'd', '{}')`,
	8:  `INSERT INTO settings (name, version, document, changed_at) VALUES ('customizations', 1, '{}', now())`,
	9:  `UPDATE operations SET amendments = '[{"what": "orphan", "by": "ann", "at": "2026-11-28T10:00:00Z"}]'`,
	10: `UPDATE apps SET set_aside = '[{"revision": "r"}]', unpinned_by = 'ann', unpin_reason = 'it is mended'`,
	11: `UPDATE api_tokens SET admin = false, grants = '[{"project": "p", "role": "viewer"}]'; UPDATE operations SET project = 'p'`,
	14: `INSERT INTO gpg_keys (fingerprint, key_id, document, added_at) VALUES ('ff', 'f', '{}', now())`,
	13: `UPDATE projects SET changed_by = 'ann'`,
	12: `INSERT INTO requests (caller, key, digest, created_at) VALUES ('ann', 'k', 'd', now());
	    INSERT INTO jobs (id, kind, initiated_by, token, created_at) VALUES ('j', 'sync', 'ann', 't', now());
	    INSERT INTO job_items (job, number, application) VALUES ('j', 1, 'shop')`,
	15: `INSERT INTO applicationsets (name, project, document, created_at, updated_at) VALUES ('s', 'p', '{}', now(), now())`,
	16: `UPDATE apps SET labels = '{"team": "pay"}'`,
	17: `UPDATE clusters SET version = version + 1`,
	41: `UPDATE observed_detail SET tree = '{"nodes": []}', tree_at = now(), tree_digest = 'd'`,
	40: `UPDATE api_tokens SET expires_at = now() - interval '1 year'`,
	39: `UPDATE saved_views SET is_default = true`,
	37: `UPDATE enrolment_tokens SET preflight_at = now(), preflight = '[{"check": "dns", "outcome": "ok", "message": "m"}]'`,
	38: `UPDATE sessions SET round_trip_us = 38000, clock_ahead_ms = -5;
	      INSERT INTO connection_log (cluster_id, at, kind, code) VALUES ('c', now(), 'lost', 'session_superseded')`,
	36: `INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at, provider, subject, issuer, groups)
	      VALUES ('t36', 'ci', 'h36', true, now(), now(), 'corp', 'ann-1', 'ann', '{dev}')`,
	35: `INSERT INTO saved_views (id, things, name, owner, search, changed_by, changed_at) VALUES ('v', 'applications', 'mine', 'user u', '{"q": "is:ready"}', 'ann', now())`,
	33: `UPDATE enrolment_tokens SET refused_at = now(), refused_code = 'enrolment_token_expired', refused_message = 'm'`,
	34: `INSERT INTO audit_exports (receiver, seq, hash) VALUES ('syslog+tcp://a:601', 1, 'h')`,
	18: `UPDATE enrolment_tokens SET aliases = '{https://10.0.0.1:6443}'`,
	20: `INSERT INTO users (id, name, password, created_at, password_changed_at) VALUES ('u', 'ann', '$argon2id$', now(), now());
	    INSERT INTO login_sessions (id, hash, user_id, provider, subject, name, browser, created_at, authenticated_at, seen_at, expires_at)
	      VALUES ('s', 'h', 'u', 'local', 'u', 'ann', true, now(), now(), now(), now());
	    INSERT INTO login_attempts (key, count, until) VALUES ('user u', 1, now());
	    INSERT INTO first_login (hash, sealed, expires_at) VALUES ('h', 'x', now());
	    UPDATE api_tokens SET owner = 'u'`,
	26: `INSERT INTO role_tokens (id, project, role, hash, created_by, created_at, expires_at) VALUES ('rt', 'p', 'ci', 'h', 'ann', now(), now())`,
	28: `INSERT INTO vault_keys (version, state) VALUES ('\x00000001', 'sealing');
	    INSERT INTO vault_readers (instance, versions) VALUES ('i', '{}')`,
	29: `INSERT INTO cache_epoch (epoch, at) VALUES (gen_random_uuid(), now())`,
	23: `SELECT audit_partition(current_date);
	    INSERT INTO audit (part, seq, at, record, hash, signature) VALUES (current_date, 1, now(), '{"kind": "command"}', 'h', 's');
	    INSERT INTO audit_pending (id, record) VALUES ('p', '{}')`,
	27: `UPDATE clusters SET kubectl = true`,
	30: `UPDATE login_sessions SET address = '192.0.2.1', client = 'x';
	    UPDATE first_login SET on_purpose = true`,
	32: `INSERT INTO agent_keys (fingerprint, cluster_id, since) VALUES ('f', 'c', now());
	    UPDATE certificates SET fingerprint = 'f'; UPDATE clusters SET kube_uid = 'u', doubles = ARRAY[now()], quarantined_at = now()`,
	31: `INSERT INTO identity_providers (name, document, version, changed_by, changed_at) VALUES ('corp', '{}', nextval('identity_provider_versions'), 'ann', now());
	    INSERT INTO external_logins (hash, kind, provider, sealed, due, expires_at) VALUES ('h', 'browser', 'corp', 'x', now(), now())`,
}

// TestEachMigrationKeepsRows steps through the versions with rows in every
// table, and expects every row to be there at the end.
func TestEachMigrationKeepsRows(t *testing.T) {
	dsn := database(t)
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	versions := fileVersions(t)
	tables := func() map[string]int {
		found := map[string]int{}
		names, err := conn.Query(ctx, `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version'`)
		if err != nil {
			t.Fatal(err)
		}
		list, err := pgx.CollectRows(names, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range list {
			var n int
			if err := conn.QueryRow(ctx, `SELECT count(*) FROM `+pgx.Identifier{name}.Sanitize()).Scan(&n); err != nil {
				t.Fatal(err)
			}
			found[name] = n
		}
		return found
	}
	before := map[string]int{}
	for _, v := range versions {
		if err := to(ctx, dsn, v); err != nil {
			t.Fatalf("version %d: %v", v, err)
		}
		for name, n := range tables() {
			if n < before[name] {
				t.Errorf("version %d: table %s had %d rows, now %d", v, name, before[name], n)
			}
		}
		sql, ok := rows[v]
		if !ok {
			t.Fatalf("there are no rows for version %d in this test", v)
		}
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("rows of version %d: %v", v, err)
		}
		before = tables()
		for name, n := range before {
			if n == 0 {
				t.Errorf("version %d: no row in table %s", v, name)
			}
		}
	}
	if len(before) < 15 {
		t.Errorf("only %d tables", len(before))
	}
	// Once more, and from several hubs at the same time: nothing happens.
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := Up(ctx, dsn); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestManyHubsMigrateOnce(t *testing.T) {
	dsn := database(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := Up(t.Context(), dsn); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM projects WHERE name = 'default'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d default projects: %v", n, err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	dsn := database(t)
	ctx := t.Context()
	if err := Up(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`); err != nil {
		t.Fatal(err)
	}
	err = Up(ctx, dsn)
	if err == nil || !strings.Contains(err.Error(), "version 9999") {
		t.Errorf("%v", err)
	}
}

func TestUnreachableDatabase(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Up(ctx, "postgres://hawser:CANARY@127.0.0.1:1/x?connect_timeout=1")
	if err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("%v", err)
	}
}

// fileVersions are the versions of the files in order; they are numbered
// without gaps.
func fileVersions(t *testing.T) []int64 {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".sql") {
			continue
		}
		var v int64
		for _, c := range e.Name()[:5] {
			v = v*10 + int64(c-'0')
		}
		if len(out) > 0 && v <= out[len(out)-1] {
			t.Errorf("%s does not come after number %d", e.Name(), out[len(out)-1])
		}
		out = append(out, v)
	}
	return out
}

// What people see of a credential outlives the columns that it came from.
func TestRepositoriesKeepWhatIsShown(t *testing.T) {
	dsn := database(t)
	ctx := t.Context()
	if err := to(ctx, dsn, 4); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `INSERT INTO repositories (id, url, match_url, username, has_password, has_ssh_key, credential, created_at) VALUES
		('a', 'a', 'a', 'bot', true, false, 'x', now()),
		('b', 'b', 'b', 'token', false, false, 'x', now()),
		('c', 'c', 'c', '', false, true, 'x', now()),
		('d', 'd', 'd', '', false, false, NULL, now())`)
	if err != nil {
		t.Fatal(err)
	}
	if err := Up(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"a": `{"username":"bot","kinds":["password"]}`, "b": `{"kinds":["username"]}`, "c": `{"kinds":["sshKey"]}`, "d": `{}`,
	} {
		var got string
		if err := conn.QueryRow(ctx, `SELECT holds::text FROM repositories WHERE id = $1`, id).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %s, want %s: %v", id, got, want, err)
		}
	}
}

// What is desired when the hub begins to keep a history has its manifests there.
func TestTheHistoryBeginsWithWhatIsDesired(t *testing.T) {
	dsn := database(t)
	ctx := t.Context()
	if err := to(ctx, dsn, 6); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for v := int64(2); v <= 3; v++ {
		if _, err := conn.Exec(ctx, rows[v]); err != nil {
			t.Fatal(err)
		}
	}
	if err := Up(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	var app, bundle string
	var generation int64
	if err := conn.QueryRow(ctx, `SELECT app_uid, generation, bundle FROM issued`).Scan(&app, &generation, &bundle); err != nil || app != "a" || generation != 1 || bundle != "d" {
		t.Errorf("%s %d %s: %v", app, generation, bundle, err)
	}
}
