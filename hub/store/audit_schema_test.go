package store

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/audit"
)

// Each change of the schema is in the chain once, however many hubs find it and by
// whatever means it was made.
func TestS13_AChangeOfTheSchemaHasARecord(t *testing.T) {
	b := setup(t)
	b.append(command("a"))
	schema := func() []audit.Record {
		t.Helper()
		if _, err := b.AuditSchema(b.ctx(), audit.Head{}, "hawser-hub at here"); err != nil {
			t.Fatal(err)
		}
		signed, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Action: "migrateSchema", OldestFirst: true, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		out := make([]audit.Record, len(signed))
		for i := range signed {
			if err := json.Unmarshal(signed[i].Record, &out[i]); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	newest := strconv.FormatInt(migrations.Newest(), 10)
	got := schema()
	if len(got) != 1 || got[0].Actor != "migration" || got[0].Name != newest || got[0].Outcome != audit.Done || !strings.Contains(got[0].Reason, "versions 1 to "+newest) {
		t.Fatalf("%+v", got)
	}
	if got = schema(); len(got) != 1 {
		t.Fatalf("what did not change has %d records", len(got))
	}
	next := migrations.Newest() + 1
	if _, err := b.pool.Exec(b.ctx(), `INSERT INTO goose_db_version (version_id, is_applied, tstamp) VALUES ($1, true, '2026-11-29 10:11:12')`, next); err != nil {
		t.Fatal(err)
	}
	var hubs sync.WaitGroup
	for range 4 {
		hubs.Go(func() {
			if _, err := b.AuditSchema(b.ctx(), audit.Head{}, "hawser-hub at there"); err != nil {
				t.Error(err)
			}
		})
	}
	hubs.Wait()
	got = schema()
	if len(got) != 2 || got[1].Name != strconv.FormatInt(next, 10) || !strings.Contains(got[1].Reason, "at 2026-11-29T10:11:12") {
		t.Fatalf("a migration that four hubs found: %+v", got)
	}
	// By hand, with the versions as they were.
	if _, err := b.pool.Exec(b.ctx(), `DELETE FROM goose_db_version WHERE version_id = $1`, next); err != nil {
		t.Fatal(err)
	}
	if got = schema(); len(got) != 3 || !strings.Contains(got[2].Reason, "was changed") || got[2].Name != newest {
		t.Fatalf("%+v", got)
	}
	if _, err := b.verify(); err != nil {
		t.Error(err)
	}
}

// The hub's own role, which makes no migration, records them all the same.
func TestS13_TheHubsRoleRecordsTheSchema(t *testing.T) {
	b := setup(t)
	s, err := Open(t.Context(), b.hubRole(), b.box, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	head, err := s.AuditSchema(t.Context(), audit.Head{}, "hawser-hub")
	if err != nil || head.Seq != 1 {
		t.Errorf("%v, %v", head, err)
	}
}
