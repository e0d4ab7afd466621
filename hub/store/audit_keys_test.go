package store

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

func (b *bench) public() string {
	b.t.Helper()
	return audit.Hex(b.auditKey().Public().(ed25519.PublicKey)).String()
}

// rested sets the last rotation back.
func (b *bench) rested(since time.Duration) {
	b.t.Helper()
	plain, err := b.Secret(b.ctx(), auditKeyBeforeName)
	if err != nil {
		b.t.Fatal(err)
	}
	plain = binary.BigEndian.AppendUint64(plain[:ed25519.SeedSize], uint64(time.Now().Add(-since).UnixMicro()))
	sealed, err := b.seal(b.ctx(), plain, secretPlace(auditKeyBeforeName))
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.pool.Exec(b.ctx(), q("PutAuditKey"), auditKeyBeforeName, sealed); err != nil {
		b.t.Fatal(err)
	}
}

// kinds counts records of what was begun, and alarms.
func (b *bench) begunAndAlarms() (begun, alarms int) {
	b.t.Helper()
	got, err := b.AuditRecords(b.ctx(), fleet.AuditFilter{Limit: 10000})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range got {
		var r audit.Record
		if err := json.Unmarshal(s.Record, &r); err != nil {
			b.t.Fatal(err)
		}
		if r.Kind == audit.Alarm {
			alarms++
		} else if strings.HasPrefix(r.Name, "begun") {
			begun++
		}
	}
	return begun, alarms
}

// The key is rotated while several hubs add records, begin commands and end them: it
// stays one chain, which anybody verifies, and what was begun before is believed.
func TestS13_TheAuditKeyIsRotatedUnderLoad(t *testing.T) {
	b := setup(t)
	hubs := []*Store{b.Store}
	for range 2 {
		s, err := Open(b.ctx(), b.dsn, b.box, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		hubs = append(hubs, s)
	}
	old := b.public()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var began, added atomic.Int64
	for i, s := range hubs {
		wg.Go(func() {
			for j := 0; ; j++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("begun %d %d", i, j)
				if err := s.BeginAudit(b.ctx(), name, command(name).Record); err != nil {
					t.Error(err)
					return
				}
				began.Add(1)
				if j%3 == 0 { // the others are left, as by a killed hub
					e := command(name)
					e.Begun = name
					if _, err := s.AppendAudit(b.ctx(), audit.Head{}, []fleet.AuditEntry{e}); err != nil {
						t.Error(err)
						return
					}
				}
				added.Add(1)
			}
		})
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := s.CloseAudit(b.ctx(), audit.Head{}, 20*time.Millisecond); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, at := range []int64{20, 100, 200} {
		for added.Load() < at && !t.Failed() {
			time.Sleep(time.Millisecond) // the load has no signal but its count
		}
		if at > 20 {
			b.rested(AuditKeyRest)
		}
		key, err := b.RotateAuditKey(b.ctx(), audit.Record{Actor: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.public(); got != audit.Hex(key).String() || got == old {
			t.Errorf("the key is %s", got)
		}
		// A hub learns of it in begunKeyFresh; here they do in no time, so that the
		// next rotation may come.
		for _, s := range hubs {
			s.begunKey.Store(nil)
			if err := s.learnBegunKey(b.ctx()); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	wg.Wait()
	for {
		_, n, err := b.CloseAudit(b.ctx(), audit.Head{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	sum, err := b.verify()
	if err != nil || len(sum.Handovers) != 3 || sum.Key.String() != b.public() {
		t.Errorf("%+v, %v", sum, err)
	}
	if begun, alarms := b.begunAndAlarms(); alarms > 0 || begun != int(began.Load()) {
		t.Errorf("%d of %d have a record, %d alarms", begun, began.Load(), alarms)
	}
}

// What was begun before a rotation counts after it, however late; what was begun with
// the key before, at that moment, for a day.
func TestWhatWasBegunWithTheKeyBefore(t *testing.T) {
	b := setup(t)
	begin := func(s *Store, name string) {
		t.Helper()
		if err := s.BeginAudit(b.ctx(), name, command(name).Record); err != nil {
			t.Fatal(err)
		}
	}
	begin(b.Store, "begun before")
	begin(b.Store, "begun before, and left for long")
	stale := b.begunKey.Load()
	if _, err := b.RotateAuditKey(b.ctx(), audit.Record{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.RotateAuditKey(b.ctx(), audit.Record{}); !fault.HasCode(err, "audit_key_new") || !fault.Is(err, fault.Conflict) {
		t.Errorf("a second rotation: %v", err)
	}
	late := *stale
	late.read = b.monotonic()
	b.begunKey.Store(&late) // as a hub that has not read it yet
	begin(b.Store, "begun at that moment")
	b.exec(`UPDATE audit_pending SET begun_at = begun_at + interval '1 hour' WHERE id = 'begun before, and left for long'`)
	if _, n, err := b.CloseAudit(b.ctx(), audit.Head{}, 0); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	b.exec(`UPDATE audit_pending SET begun_at = begun_at - interval '1 hour'`)
	if begun, alarms := b.begunAndAlarms(); begun != 2 || alarms != 0 {
		t.Errorf("%d, and %d alarms", begun, alarms)
	}
	begin(b.Store, "begun at that moment, and left for long")
	b.begunKey.Store(nil)
	begin(b.Store, "begun after it, and left for long")
	b.rested(begunBefore + time.Minute)
	if _, n, err := b.CloseAudit(b.ctx(), audit.Head{}, 0); n != 3 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if begun, alarms := b.begunAndAlarms(); begun != 4 || alarms != 1 {
		t.Errorf("%d, and %d alarms", begun, alarms)
	}
	if _, err := b.verify(); err != nil {
		t.Error(err)
	}
}

// cutter ends a context at its nth statement.
type cutter struct {
	left atomic.Int64
	cut  atomic.Pointer[context.CancelFunc]
}

func (c *cutter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if cut := c.cut.Load(); cut != nil && c.left.Add(-1) < 0 {
		(*cut)()
	}
	return ctx
}
func (c *cutter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A rotation that ends at any of its statements has done all or nothing.
func TestS13_ARotationThatIsCutDoesAllOrNothing(t *testing.T) {
	b := setup(t)
	b.append(command("a"))
	c := &cutter{}
	s, err := Open(b.ctx(), b.dsn, b.box, Options{tracer: c})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.learnBegunKey(b.ctx()); err != nil {
		t.Fatal(err)
	}
	begun := 0
	var done []int64
	for at := int64(0); ; at++ {
		name := fmt.Sprint("begun ", at)
		if err := b.BeginAudit(b.ctx(), name, command(name).Record); err != nil {
			t.Fatal(err)
		}
		begun++
		before := b.public()
		ctx, cancel := context.WithCancel(b.ctx())
		c.left.Store(at)
		c.cut.Store(&cancel)
		_, err := s.RotateAuditKey(ctx, audit.Record{})
		c.cut.Store(nil)
		cancel()
		b.append(command("goes on"))
		sum, bad := b.verify()
		if bad != nil {
			t.Fatalf("cut at statement %d: %v", at, bad)
		}
		if changed := b.public() != before; changed != (len(sum.Handovers) == 1) {
			t.Fatalf("cut at statement %d: changed %v, %+v", at, changed, sum)
		}
		if err == nil {
			done = append(done, at)
			break
		}
		if !errors.Is(err, context.Canceled) && !fault.Is(err, fault.Unavailable) {
			t.Fatalf("cut at statement %d: %v", at, err)
		}
		if at > 40 {
			t.Fatal("it never comes to its end")
		}
	}
	if slices.Max(done) < 5 {
		t.Errorf("it was done at statement %v", done)
	}
	if _, n, err := b.CloseAudit(b.ctx(), audit.Head{}, 0); n != begun || err != nil {
		t.Errorf("%d of %d, %v", n, begun, err)
	}
	if _, alarms := b.begunAndAlarms(); alarms != 0 {
		t.Errorf("%d alarms", alarms)
	}
}
