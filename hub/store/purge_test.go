package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
)

// What has expired goes, a session soon and a token after it was listed for a while;
// whatever works stays, audit records too, and of two hubs each row is one's.
func TestWhatHasExpiredIsRemoved(t *testing.T) {
	b := setup(t)
	ctx, now := b.ctx(), b.now()
	b.append(command("a"))
	put := func(sql string, args ...any) {
		t.Helper()
		if _, err := b.pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	const expired = purgeBatch + 200 // of API tokens: more than one batch
	kept := now.Add(-fleet.KeptExpired)
	for i, ends := range []time.Time{now.Add(time.Hour), now.Add(-time.Hour), kept.Add(-time.Hour)} {
		id := fmt.Sprint("t", i)
		put(`INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at) VALUES ($1, $1, $1::text::bytea, true, $2, $3)`, id, kept, ends)
		put(`INSERT INTO role_tokens (id, project, role, name, hash, created_by, created_at, expires_at) VALUES ($1, 'default', 'ci', $1, $1::text::bytea, 'ann', $2, $3)`, id, kept, ends)
		put(`INSERT INTO enrolment_tokens (id, hash, cluster, labels, project, created_by, created_at, expires_at) VALUES ($1, $1::text::bytea, 'eu', '{}', '', 'ann', $2, $3)`, id, kept, ends)
	}
	put(`INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at) SELECT 'old-' || i, 'old', ('old' || i)::bytea, false, $1, $1 FROM generate_series(1, $2::int - 1) i`, kept.Add(-time.Hour), expired)
	must(t, second(b.PutIdentityProvider(ctx, fleet.IdentityProvider{Name: "dex", Issuer: "https://idp", ClientID: "c", ChangedBy: "ann"}, true)))
	session := func(id string, seen, ends time.Time) {
		must(t, b.CreateLoginSession(ctx, fleet.LoginSession{ID: id, Hash: []byte(id), Provider: "dex", Subject: "sub", Name: "ann", CreatedAt: seen, AuthenticatedAt: seen, SeenAt: seen, ExpiresAt: ends}, ""))
	}
	session("works", now, now.Add(time.Hour))
	session("is over", now, now.Add(-2*time.Hour))
	session("is idle", now.Add(-3*time.Hour), now.Add(time.Hour))
	var mu sync.Mutex
	var all fleet.Purged
	var hubs sync.WaitGroup
	for range 2 {
		hubs.Go(func() {
			p, err := b.PurgeExpired(ctx, now)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			all.Sessions += p.Sessions
			all.APITokens += p.APITokens
			all.RoleTokens += p.RoleTokens
			all.EnrolmentTokens += p.EnrolmentTokens
		})
	}
	hubs.Wait()
	again, err := b.PurgeExpired(ctx, now) // what one skipped because the other had it
	must(t, err)
	all.Sessions, all.APITokens = all.Sessions+again.Sessions, all.APITokens+again.APITokens
	all.RoleTokens, all.EnrolmentTokens = all.RoleTokens+again.RoleTokens, all.EnrolmentTokens+again.EnrolmentTokens
	if all != (fleet.Purged{Sessions: 2, APITokens: expired, RoleTokens: 1, EnrolmentTokens: 1}) {
		t.Errorf("%+v", all)
	}
	for table, want := range map[string]int{"login_sessions": 1, "api_tokens": 2, "role_tokens": 2, "enrolment_tokens": 2, "audit": 1} {
		if n := b.count(`SELECT count(*) FROM ` + table); n != want {
			t.Errorf("%d rows are left of %s, want %d", n, table, want)
		}
	}
	if _, err := b.LoginByID(ctx, "works"); err != nil {
		t.Error(err)
	}
}

// The few handovers among many records are found by an index.
func TestHandoversAreFoundByAnIndex(t *testing.T) {
	b := setup(t)
	many := make([]fleet.AuditEntry, 500)
	for i := range many {
		many[i] = command(fmt.Sprint("c", i))
	}
	for range 4 {
		b.append(many...)
	}
	if _, err := b.pool.Exec(b.ctx(), `ANALYZE audit`); err != nil {
		t.Fatal(err)
	}
	plan := func(f fleet.AuditFilter) string {
		t.Helper()
		var none *string
		// Simple, because a plan cannot be asked for with parameters.
		args := []any{pgx.QueryExecModeSimpleProtocol, none, none, none, none, none, none, none, string(f.Kind), none, none, (*time.Time)(nil), (*time.Time)(nil), f.After, f.Before, 200}
		rows, err := b.pool.Query(b.ctx(), "EXPLAIN "+auditQuery(f), args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	month := "audit_" + time.Now().UTC().Format("2006_01")
	if got := plan(fleet.AuditFilter{Kind: audit.Handover, OldestFirst: true}); !strings.Contains(got, month+"_seq_idx") {
		t.Errorf("handovers are found by\n%s", got)
	}
	if got := plan(fleet.AuditFilter{Kind: audit.Command, OldestFirst: true}); strings.Contains(got, month+"_seq_idx") {
		t.Errorf("commands are found by\n%s", got)
	}
}
