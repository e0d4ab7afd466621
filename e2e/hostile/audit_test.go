package hostile

import (
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/shared/audit"
)

// kept are the audit records of a gateway.
type kept struct {
	mu      sync.Mutex
	entries []fleet.AuditEntry
}

func (k *kept) Add(entries ...fleet.AuditEntry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entries = append(k.entries, entries...)
}

func (k *kept) of(action string) (out []audit.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.entries {
		if e.Record.Action == action {
			out = append(out, e.Record)
		}
	}
	return out
}

// Who is let in as a cluster has a record that ends the one which his certificate
// began, and who is not has one without a name, by his address.
func TestS13_WhoEnrolsHasARecord(t *testing.T) {
	k := &kept{}
	w := newWorld(t, func(o *gateway.Options, _ *gateway.MuxOptions) { o.Audit = k })
	w.join("eu")
	done := k.of("enrolCluster")
	if len(done) != 1 || done[0].Outcome != audit.Done || done[0].Cluster != "eu" || !strings.HasPrefix(done[0].From, "127.0.0.1") {
		t.Fatalf("%+v", done)
	}
	if begun := k.entries[0].Begun; !strings.HasSuffix(done[0].Reason, strings.TrimPrefix(begun, "certificate ")) || begun == "" {
		t.Errorf("it ends %q, and says %q", begun, done[0].Reason)
	}
	_, err := w.enrol("hwe_nonsense", "eu", nil)
	if refused := k.of("agentRefused"); err == nil || len(refused) != 1 || refused[0].Kind != audit.Refusal || refused[0].Code != "enrolment_token_malformed" || refused[0].From != "127.0.0.1" || refused[0].Actor != "" {
		t.Errorf("%v, %+v", err, refused)
	}
}
