package store

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
)

func TestOneHubAtATimeSendsAuditRecords(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	const to = "syslog+tcp://a:601"
	head := b.append(command("a"), command("b"))
	hold := func(holder string, long time.Duration, want bool) audit.Head {
		t.Helper()
		at, held, err := b.HoldAuditExport(ctx, to, holder, long)
		if err != nil || held != want {
			t.Fatalf("%s: held %v, %v", holder, held, err)
		}
		return at
	}
	if at := hold("one", time.Minute, true); at.Seq != 0 {
		t.Errorf("a new receiver is at %s", at)
	}
	hold("two", time.Minute, false)
	must(t, b.MoveAuditExport(ctx, to, "two", audit.Head{Seq: 7, Hash: head.Hash}))
	must(t, b.MoveAuditExport(ctx, to, "one", head))
	if at := hold("one", time.Minute, true); at.String() != head.String() {
		t.Errorf("it is at %s", at)
	}
	must(t, b.LeaveAuditExport(ctx, to, "two"))
	hold("two", time.Minute, false)
	must(t, b.LeaveAuditExport(ctx, to, "one"))
	// One that died keeps it until its time is over.
	hold("two", -time.Second, true)
	if at := hold("one", time.Minute, true); at.String() != head.String() {
		t.Errorf("it is at %s", at)
	}
	left, err := b.AuditRecords(ctx, fleet.AuditFilter{After: head.Seq, OldestFirst: true, Limit: 10})
	if err != nil || len(left) != 0 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}
