package store

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// auditKey is the one that signs now.
func (b *bench) auditKey() ed25519.PrivateKey {
	b.t.Helper()
	seed, err := b.AuditSeed(b.ctx())
	if err != nil {
		b.t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// firstKey is the one that signed the first record.
func (b *bench) firstKey() audit.Hex {
	b.t.Helper()
	handed, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Kind: audit.Handover, OldestFirst: true, Limit: 1})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(handed) == 0 {
		return audit.Hex(b.auditKey().Public().(ed25519.PublicKey))
	}
	var r audit.Record
	var key audit.Hex
	if json.Unmarshal(handed[0].Record, &r) != nil || key.UnmarshalText([]byte(r.Key)) != nil {
		b.t.Fatalf("%s", handed[0].Record)
	}
	return key
}

func command(name string) fleet.AuditEntry {
	return fleet.AuditEntry{Record: audit.Record{Kind: audit.Command, Actor: "ann", Action: "syncApplication", Resource: "applications", Name: name, Outcome: audit.Done, Request: "r-" + name}}
}

func (b *bench) append(entries ...fleet.AuditEntry) audit.Head {
	b.t.Helper()
	head, err := b.AppendAudit(b.ctx(), audit.Head{}, entries)
	if err != nil {
		b.t.Fatal(err)
	}
	return head
}

// verify follows the whole chain, as the command line does.
func (b *bench) verify(heads ...audit.Head) (audit.Summary, error) {
	b.t.Helper()
	v := &audit.Verifier{Heads: heads}
	line := func(l audit.Line) error {
		text, err := json.Marshal(l)
		if err != nil {
			b.t.Fatal(err)
		}
		return v.Line(text)
	}
	records, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{OldestFirst: true, Limit: 10000})
	if err != nil {
		return audit.Summary{}, err
	}
	if err := line(audit.Line{Begin: &audit.Begin{Key: b.firstKey()}}); err != nil {
		b.t.Fatal(err)
	}
	for _, s := range records {
		if err := line(audit.Line{Signed: &s}); err != nil {
			return audit.Summary{}, err
		}
	}
	if err := line(audit.Line{End: &audit.End{Records: int64(len(records))}}); err != nil {
		return audit.Summary{}, err
	}
	return v.Done()
}

func TestAuditIsOneChainWhoeverAppends(t *testing.T) {
	b := setup(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				if _, err := b.AppendAudit(b.ctx(), audit.Head{}, []fleet.AuditEntry{command(fmt.Sprint(i)), command(fmt.Sprint(i, "-", j))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sum, err := b.verify()
	if err != nil || sum.Records != 80 || sum.Head.Seq != 80 {
		t.Fatalf("%+v, %v", sum, err)
	}
	got, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Name: "3", Actor: "ann", Limit: 2})
	if err != nil || len(got) != 2 || !strings.Contains(string(got[0].Record), `"name":"3"`) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestAuditFilters(t *testing.T) {
	b := setup(t)
	b.append(command("a"), command("b"), command("c"))
	now := time.Now()
	past, future := now.Add(-time.Hour), now.Add(time.Hour)
	for _, c := range []struct {
		filter fleet.AuditFilter
		want   int
	}{
		{fleet.AuditFilter{}, 3}, {fleet.AuditFilter{Name: "b"}, 1}, {fleet.AuditFilter{Actor: "bob"}, 0}, {fleet.AuditFilter{Action: "syncApplication"}, 3},
		{fleet.AuditFilter{Resource: "projects"}, 0}, {fleet.AuditFilter{Kind: audit.Effect}, 0}, {fleet.AuditFilter{Outcome: audit.Done}, 3},
		{fleet.AuditFilter{Request: "r-c"}, 1}, {fleet.AuditFilter{After: 1}, 2}, {fleet.AuditFilter{Before: 2}, 1}, {fleet.AuditFilter{Since: &past, Until: &future}, 3},
		{fleet.AuditFilter{Since: &future}, 0}, {fleet.AuditFilter{Until: &past}, 0}, {fleet.AuditFilter{Project: "x"}, 0}, {fleet.AuditFilter{Cluster: "x"}, 0}, {fleet.AuditFilter{Operation: "x"}, 0},
		{fleet.AuditFilter{Name: "' OR true --"}, 0},
	} {
		c.filter.Limit = 10
		got, err := b.AuditRecords(b.ctx(), c.filter)
		if err != nil || len(got) != c.want {
			t.Errorf("%+v: %d records, %v", c.filter, len(got), err)
		}
	}
}

// hubRole makes the role of a hub that does not own its tables, and a store that
// logs in as it.
func (b *bench) hubRole() (dsn string) {
	b.t.Helper()
	// Roles belong to the server, which this package's tests share.
	role := fmt.Sprintf("hub_%d", time.Now().UnixNano())
	if _, err := b.pool.Exec(b.ctx(), `CREATE ROLE `+role+` LOGIN PASSWORD 'x'`); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		for _, sql := range []string{`DROP OWNED BY `, `DROP ROLE `} {
			if _, err := b.pool.Exec(context.Background(), sql+role); err != nil {
				b.t.Error(err)
			}
		}
	})
	if err := migrations.Grant(b.ctx(), b.dsn, role); err != nil {
		b.t.Fatal(err)
	}
	tcp, _ := dbtest.TCP(b.t, b.dsn)
	u, err := url.Parse(tcp)
	if err != nil {
		b.t.Fatal(err)
	}
	u.User = url.UserPassword(role, "x")
	return u.String()
}

// TestS13_TheHubsRoleOnlyAddsAuditRecords logs in as the role of a hub, and tries
// what somebody would who took the hub over.
func TestS13_TheHubsRoleOnlyAddsAuditRecords(t *testing.T) {
	b := setup(t)
	b.append(command("a"), command("b"))
	dsn := b.hubRole()
	s, err := Open(t.Context(), dsn, b.box, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := migrations.Up(t.Context(), dsn); err != nil {
		t.Errorf("a hub of this role does not start on a schema that is up to date: %v", err)
	}
	if _, err := s.AppendAudit(t.Context(), audit.Head{}, []fleet.AuditEntry{command("c")}); err != nil {
		t.Fatal(err)
	}
	if err := s.BeginAudit(t.Context(), "p", command("d").Record); err != nil {
		t.Fatal(err)
	}
	month := "audit_" + time.Now().UTC().Format("2006_01")
	for _, sql := range []string{
		`UPDATE audit SET record = '{}' WHERE seq = 1`, `UPDATE audit SET seq = 9 WHERE seq = 1`, `DELETE FROM audit WHERE seq = 1`, `TRUNCATE audit`, `DROP TABLE audit`,
		`UPDATE ` + month + ` SET record = '{}'`, `DELETE FROM ` + month, `TRUNCATE ` + month, `DROP TABLE ` + month, `INSERT INTO ` + month + ` (part, seq, at, record, hash, signature) VALUES (now(), 9, now(), '{}', '', '')`,
		`ALTER TABLE audit DISABLE TRIGGER ALL`, `ALTER TABLE audit DETACH PARTITION ` + month, `DROP TRIGGER audit_append_only ON audit`, `GRANT UPDATE ON audit TO CURRENT_USER`,
		`CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`, `SET session_replication_role = replica`,
		`SELECT audit_drop(date_trunc('month', now())::date)`, `SELECT audit_drop('2026-01-01'::date - 1)`, `SELECT audit_partition((now() + interval '3 months')::date)`,
		`UPDATE goose_db_version SET version_id = 1`,
	} {
		if _, err := s.pool.Exec(t.Context(), sql); err == nil && !strings.Contains(sql, "GRANT") {
			t.Errorf("%s: nobody refused", sql)
		}
	}
	// A GRANT of what one has not is a warning.
	if _, err := s.pool.Exec(t.Context(), `UPDATE audit SET record = '{}'`); err == nil {
		t.Error("the role gave itself the right")
	}
	if sum, err := b.verify(); err != nil || sum.Records != 3 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestS13_NotEvenTheOwnerChangesAuditRecordsByMistake: a hub that owns its tables,
// as with the private Postgres, is refused too.
func TestS13_NotEvenTheOwnerChangesAuditRecordsByMistake(t *testing.T) {
	b := setup(t)
	b.append(command("a"))
	month := "audit_" + time.Now().UTC().Format("2006_01")
	for _, sql := range []string{`UPDATE audit SET record = '{}'`, `DELETE FROM audit`, `TRUNCATE audit`, `TRUNCATE ` + month, `DELETE FROM ` + month, `UPDATE ` + month + ` SET hash = ''`} {
		if _, err := b.pool.Exec(b.ctx(), sql); err == nil {
			t.Errorf("%s: nobody refused", sql)
		}
	}
	if sum, err := b.verify(); err != nil || sum.Records != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	if err := migrations.Grant(b.ctx(), b.dsn, "nobody_of_that_name"); err == nil {
		t.Error("a role that there is not was granted something")
	}
	cfg, err := pgx.ParseConfig(b.dsn)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrations.Grant(b.ctx(), b.dsn, cfg.User); err == nil {
		t.Error("the owner counts as a role that can be bound")
	}
}

// TestS13_WhatTheOwnerForcesIsFound: an owner of the database takes the triggers
// away and changes records, one by one; the chain tells.
func TestS13_WhatTheOwnerForcesIsFound(t *testing.T) {
	for name, c := range map[string]struct{ sql, want string }{
		"a record changed":                    {`UPDATE audit SET record = replace(record, '"ann"', '"bob"') WHERE seq = 2`, "record 2: it was changed"},
		"a record changed with its hash":      {`UPDATE audit SET record = replace(record, '"ann"', '"bob"'), hash = sha256(convert_to(E'hawser audit record v1\n' || replace(record, '"ann"', '"bob"'), 'UTF8')) WHERE seq = 2`, "record 2: its signature"},
		"a record removed":                    {`DELETE FROM audit WHERE seq = 2`, "record 2: it is missing"},
		"the newest removed":                  {`DELETE FROM audit WHERE seq = 3`, "record 3: it is missing, with all after it"},
		"the oldest removed":                  {`DELETE FROM audit WHERE seq = 1`, "record 1: it is missing, with all before it"},
		"the time of a record's column":       {`UPDATE audit SET at = at - interval '1 day' WHERE seq = 2`, "record 2 is not what its columns say"},
		"a record's text put under another's": {`UPDATE audit SET record = (SELECT record FROM audit WHERE seq = 1) WHERE seq = 2`, "record 2 is not what its columns say"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			head := b.append(command("a"), command("b"), command("c"))
			b.force(c.sql)
			_, err := b.verify(head)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// force runs a statement as an owner of the database who minds no trigger.
func (b *bench) force(sql string) {
	b.t.Helper()
	for _, s := range []string{`ALTER TABLE audit DISABLE TRIGGER audit_append_only`, `GRANT UPDATE, DELETE ON audit TO CURRENT_USER`, sql} {
		if _, err := b.pool.Exec(b.ctx(), s); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestS13_ARunningHubMissesWhatItWrote: the newest records are taken away while
// the hub runs.
func TestS13_ARunningHubMissesWhatItWrote(t *testing.T) {
	b := setup(t)
	head := b.append(command("a"), command("b"))
	b.force(`DELETE FROM audit WHERE seq = 2`)
	if _, err := b.AppendAudit(b.ctx(), head, []fleet.AuditEntry{command("c")}); err != nil {
		t.Fatal(err)
	}
	sum, err := b.verify()
	if err != nil || len(sum.Alarms) != 1 || sum.Records != 3 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if _, err := b.verify(head); err == nil {
		t.Error("the head that was cut off is not missed")
	}
}

// TestS13_AClockThatIsSetBackReordersNothing: records go into the month of the one
// before, and the order is that of their numbers.
func TestS13_AClockThatIsSetBackReordersNothing(t *testing.T) {
	b := setup(t)
	b.append(command("a"))
	next := time.Now().UTC().AddDate(0, 0, 25)
	next = time.Date(next.Year(), next.Month(), 1, 0, 0, 0, 0, time.UTC)
	if next.Before(time.Now()) {
		next = next.AddDate(0, 1, 0)
	}
	// A record that was made when the clock was a month ahead.
	records, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	ahead := command("ahead").Record
	ahead.Seq, ahead.Prev, ahead.At = 2, records[0].Hash.String(), next
	signed, err := audit.Seal(b.auditKey(), ahead)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(b.ctx(), q("AuditPartition"), next); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(b.ctx(), q("AppendAudit"), next, 2, next, string(signed.Record), []byte(signed.Hash), []byte(signed.Signature)); err != nil {
		t.Fatal(err)
	}
	b.append(command("b"))
	sum, err := b.verify()
	if err != nil || sum.Records != 3 || sum.ClockBack != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	var part time.Time
	if err := b.pool.QueryRow(b.ctx(), `SELECT part FROM audit WHERE seq = 3`).Scan(&part); err != nil || !part.Equal(next) {
		t.Errorf("the record after it is of %s: %v", part, err)
	}
}

func TestAuditIsRetiredByMonth(t *testing.T) {
	b := setup(t)
	old := time.Now().UTC().AddDate(0, -8, 0)
	old = time.Date(old.Year(), old.Month(), 1, 0, 0, 0, 0, time.UTC)
	prev := ""
	for i, month := range []time.Time{old, old, old.AddDate(0, 1, 0)} {
		if _, err := b.pool.Exec(b.ctx(), q("AuditPartition"), month); err != nil {
			t.Fatal(err)
		}
		r := command(fmt.Sprint(i)).Record
		r.Seq, r.Prev, r.At = int64(i+1), prev, month
		s, err := audit.Seal(b.auditKey(), r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.pool.Exec(b.ctx(), q("AppendAudit"), month, r.Seq, r.At, string(s.Record), []byte(s.Hash), []byte(s.Signature)); err != nil {
			t.Fatal(err)
		}
		prev = s.Hash.String()
	}
	b.append(command("now"))
	if _, n, err := b.RetireAudit(b.ctx(), audit.Head{}, old); n != 0 || err != nil {
		t.Fatalf("%d months, %v", n, err)
	}
	head, n, err := b.RetireAudit(b.ctx(), audit.Head{}, old.AddDate(0, 1, 0))
	if err != nil || n != 1 || head.Seq != 5 {
		t.Fatalf("%d months, %v, %v", n, head, err)
	}
	sum, err := b.verify(head)
	if err != nil || sum.First != 3 || sum.Records != 3 {
		t.Fatalf("%+v, %v", sum, err)
	}
	// A hub that is told to keep nothing still keeps what is of the last 90 days,
	// and the month in which it writes.
	if _, _, err := b.RetireAudit(b.ctx(), audit.Head{}, time.Now().AddDate(1, 0, 0)); err == nil {
		t.Error("records of this month were retired")
	}
	if sum, err := b.verify(); err != nil || sum.Records < 2 {
		t.Fatalf("%+v, %v", sum, err)
	}
}

func TestWhatAKilledHubLeftOpenHasARecord(t *testing.T) {
	b := setup(t)
	if err := b.BeginAudit(b.ctx(), "one", command("one").Record); err != nil {
		t.Fatal(err)
	}
	if err := b.BeginAudit(b.ctx(), "two", command("two").Record); err != nil {
		t.Fatal(err)
	}
	two := command("two")
	two.Begun = "two"
	b.append(two)
	if _, n, err := b.CloseAudit(b.ctx(), audit.Head{}, time.Hour); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, n, err := b.CloseAudit(b.ctx(), audit.Head{}, 0); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	got, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Outcome: audit.Unknown, Limit: 5})
	if err != nil || len(got) != 1 || !strings.Contains(string(got[0].Record), `"name":"one"`) {
		t.Errorf("%s, %v", got, err)
	}
	if _, n, _ := b.CloseAudit(b.ctx(), audit.Head{}, 0); n != 0 {
		t.Errorf("%d more", n)
	}
}

// Who writes the database begins no command in somebody's name that a hub then signs,
// and changes none that is under way.
func TestS13_WhatNoHubBeganIsAnAlarm(t *testing.T) {
	b := setup(t)
	for _, id := range []string{"good", "changed", "renamed", "cut"} {
		if err := b.BeginAudit(b.ctx(), id, command(id).Record); err != nil {
			t.Fatal(err)
		}
	}
	forged := `{"kind":"command","actor":"bob","action":"deleteApplication","resource":"applications","name":"forged","outcome":"unknown"}`
	for _, sql := range []string{
		`UPDATE audit_pending SET record = replace(record, 'ann', 'bob') WHERE id = 'changed'`, `UPDATE audit_pending SET id = 'another' WHERE id = 'renamed'`,
		`UPDATE audit_pending SET record = '{' WHERE id = 'cut'`, `INSERT INTO audit_pending (id, record) VALUES ('plain', '` + forged + `')`,
		`INSERT INTO audit_pending (id, record) SELECT 'copied', json_build_object('record', '` + forged + `'::json, 'mac', record::json ->> 'mac')::text FROM audit_pending WHERE id = 'good'`,
	} {
		b.exec(sql)
	}
	if _, n, err := b.CloseAudit(b.ctx(), audit.Head{}, 0); n != 6 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	got, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	alarms := 0
	for _, r := range got {
		text := string(r.Record)
		if strings.Contains(text, `"kind":"alarm"`) {
			alarms++
		} else if !strings.Contains(text, `"name":"good"`) {
			t.Errorf("signed: %s", text)
		}
		if strings.Contains(text, "bob") || strings.Contains(text, "deleteApplication") {
			t.Errorf("a forged word is signed: %s", text)
		}
	}
	if alarms != 5 {
		t.Errorf("%d alarms", alarms)
	}
	if sum, err := b.verify(); err != nil || len(sum.Alarms) != 5 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestAuditIsUnavailableWithItsDatabase(t *testing.T) {
	b := setup(t)
	ctx, cancel := context.WithCancel(b.ctx())
	cancel()
	if err := b.BeginAudit(ctx, "x", audit.Record{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

// TestTheEndOfAnOperationHasOneRecord: from several hubs that look at once.
func TestTheEndOfAnOperationHasOneRecord(t *testing.T) {
	b := setup(t)
	cluster := b.cluster("eu")
	for id, phase := range map[string]string{"op-1": "Succeeded", "op-2": "Failed", "op-3": "Running"} {
		if _, err := b.pool.Exec(b.ctx(), `INSERT INTO operations (id, seq, app_uid, app_name, project, cluster_id, kind, spec, phase, message, initiated_by, created_at)
			VALUES ($1, nextval('operation_seq'), 'a', 'web', 'shop', $2, 'sync', '{}', $3, 'see https://bob:CANARY@git/x', 'ann', now())`, id, cluster, phase); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, _, err := b.CloseAudit(b.ctx(), audit.Head{}, time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for id, want := range map[string]string{"op-1": `"action":"operationSucceeded"`, "op-2": `"outcome":"failed"`} {
		got, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Operation: id, Kind: audit.Effect, Limit: 5})
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %d records, %v", id, len(got), err)
		}
		text := string(got[0].Record)
		for _, part := range []string{want, `"cluster":"eu"`, `"project":"shop"`, `"name":"web"`, `"actor":"ann"`} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %s", text, part)
			}
		}
		if strings.Contains(text, "CANARY") {
			t.Errorf("a secret: %s", text)
		}
	}
	if sum, err := b.verify(); err != nil || sum.Records != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// A certificate and the record of its issue are stored together: a hub that is killed
// right after has told, without knowing.
func TestS13_NoCertificateWithoutARecord(t *testing.T) {
	b := setup(t)
	must(t, b.CreateEnrolmentToken(b.ctx(), fleet.EnrolmentToken{ID: "tok", Hash: []byte("hash"), Cluster: "eu", CreatedBy: "ann", CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour)}))
	cluster, err := b.Enrol(b.ctx(), []byte("hash"), "eu", "192.0.2.1:7", func(id model.ClusterID) (fleet.Certificate, error) {
		return fleet.Certificate{Serial: "first", Cluster: id, NotBefore: b.now(), NotAfter: b.now().Add(time.Hour)}, nil
	})
	must(t, err)
	must(t, b.RecordCertificate(b.ctx(), fleet.Certificate{Serial: "second", Cluster: cluster.ID, NotBefore: b.now(), NotAfter: b.now().Add(time.Hour)}))
	told := command("told")
	told.Begun = fleet.CertificateRecord("second")
	b.append(told)
	if _, n, err := b.CloseAudit(b.ctx(), audit.Head{}, 0); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	got, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Action: "enrolCluster", Limit: 5})
	if err != nil || len(got) != 1 || !strings.Contains(string(got[0].Record), `"from":"192.0.2.1:7"`) || !strings.Contains(string(got[0].Record), "certificate first") {
		t.Errorf("%s, %v", got, err)
	}
}
