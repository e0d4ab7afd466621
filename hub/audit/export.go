package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Cursors keep how far receivers have come, and read the chain. Hubs on one database
// share them; hub/store has them.
type Cursors interface {
	HoldAuditExport(ctx context.Context, receiver, holder string, long time.Duration) (at audit.Head, held bool, err error)
	MoveAuditExport(ctx context.Context, receiver, holder string, at audit.Head) error
	LeaveAuditExport(ctx context.Context, receiver, holder string) error
	AuditRecords(ctx context.Context, f fleet.AuditFilter) ([]audit.Signed, error)
	AuditHead(ctx context.Context) (audit.Head, error)
}

const (
	// held is how long a hub that died keeps others from sending in its place.
	held = 30 * time.Second
	// look is how often the chain is looked at, and longestWait how long a receiver
	// that fails is let alone at most.
	look        = time.Second
	longestWait = time.Minute
	// sentAtOnce records are one message of OTLP, or written before a look back.
	sentAtOnce = 500
)

// sender brings records to a receiver. It belongs to one goroutine.
type sender interface {
	// send returns once the receiver has taken the records, as far as its protocol
	// tells; otherwise they are sent again. It ends with ctx.
	send(ctx context.Context, records []taken) error
	// name of the receiver, without anything secret; with it the cursor is kept.
	name() string
	close()
}

// rejected is what a receiver says that has taken all but n records, for good.
type rejected struct {
	n   int64
	why string
}

func (r rejected) Error() string { return fmt.Sprintf("%d records are not wanted: %s", r.n, r.why) }

// taken is a record on its way: the line of an export, which can be verified, and
// what is in it.
type taken struct {
	line   []byte
	record audit.Record
	signed audit.Signed
}

// Exporter sends the chain to a receiver, each record at least once and in order,
// from a cursor in the database. It reads what is stored, so that nobody who is
// recorded waits for it.
type Exporter struct {
	cursors Cursors
	to      sender
	holder  string
	log     *slog.Logger
	behind  Behind
	wait    time.Duration // the first after a failure
	look    time.Duration
}

// Behind is told how far receivers are behind. Its methods must not block.
type Behind interface {
	// AuditBehind says how many records a receiver has not taken, and from when the
	// oldest of them is; AuditElsewhere that this hub does not send to it (any more).
	AuditBehind(receiver string, records int64, oldest time.Time)
	AuditElsewhere(receiver string)
}

// NewExporter makes an Exporter, whose Run sends.
func NewExporter(r Receiver, cursors Cursors, behind Behind, log *slog.Logger) *Exporter {
	return &Exporter{cursors: cursors, to: r.open(), holder: rand.Text(), log: log, behind: behind, wait: look, look: look}
}

// Run sends until ctx ends.
func (e *Exporter) Run(ctx context.Context) error {
	defer func() {
		e.to.close()
		e.behind.AuditElsewhere(e.to.name())
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := e.cursors.LeaveAuditExport(last, e.to.name(), e.holder); err != nil {
			e.log.InfoContext(last, "another hub waits before it sends audit records", "receiver", e.to.name(), "error", err)
		}
	}()
	wait := e.wait
	failing := false
	for {
		pause := e.look
		more, err := e.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if !failing {
				e.log.WarnContext(ctx, "audit records do not reach their receiver; they wait in the database", "receiver", e.to.name(), "error", err)
			}
			failing, pause = true, wait
			wait = min(2*wait, longestWait)
		default:
			if failing && more {
				e.log.InfoContext(ctx, "audit records reach their receiver again", "receiver", e.to.name())
				failing = false
			}
			wait = e.wait
			if more {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// step sends some records, if there are any and no other hub does.
func (e *Exporter) step(ctx context.Context) (more bool, err error) {
	at, mine, err := e.cursors.HoldAuditExport(ctx, e.to.name(), e.holder, held)
	if err != nil {
		return false, err
	}
	if !mine {
		e.behind.AuditElsewhere(e.to.name())
		return false, nil
	}
	signed, err := e.cursors.AuditRecords(ctx, fleet.AuditFilter{After: at.Seq, OldestFirst: true, Limit: sentAtOnce})
	if err != nil {
		return false, err
	}
	if len(signed) == 0 {
		// A chain that was cut ends before what was sent; what is chained anew follows
		// its new end.
		head, err := e.cursors.AuditHead(ctx)
		if err == nil {
			e.behind.AuditBehind(e.to.name(), 0, time.Time{})
		}
		if err == nil && head.Seq < at.Seq {
			e.log.ErrorContext(ctx, "audit records that were sent are not in the database any more", "receiver", e.to.name(), "sent", at.String(), "head", head.String())
			err = e.cursors.MoveAuditExport(ctx, e.to.name(), e.holder, head)
		}
		return false, err
	}
	records := make([]taken, len(signed))
	for i, s := range signed {
		t := taken{signed: s}
		if t.line, err = json.Marshal(audit.Line{Signed: &s}); err == nil {
			err = json.Unmarshal(s.Record, &t.record)
		}
		if err != nil {
			return false, fault.Wrap(err, fault.Internal, "audit_damaged", "an audit record after %d cannot be read", at.Seq)
		}
		records[i] = t
	}
	if first := records[0].record; at.Seq > 0 && (first.Seq != at.Seq+1 || first.Prev != at.Hash.String()) {
		e.log.ErrorContext(ctx, "audit records were removed or changed before they were sent", "receiver", e.to.name(), "sent", at.String(), "next", first.Seq)
	}
	head, err := e.cursors.AuditHead(ctx)
	if err != nil {
		return false, err
	}
	e.behind.AuditBehind(e.to.name(), head.Seq-records[0].record.Seq+1, records[0].record.At)
	// Another hub may have it once this one is held up for so long.
	bounded, cancel := context.WithTimeout(ctx, held*2/3)
	defer cancel()
	err = e.to.send(bounded, records)
	if no := (rejected{}); errors.As(err, &no) {
		e.log.ErrorContext(ctx, "a receiver did not want audit records, and is not sent them again", "receiver", e.to.name(), "records", no.n, "after", at.Seq, "reason", no.why)
		err = nil
	}
	if err != nil {
		return false, err
	}
	last := signed[len(signed)-1]
	return true, e.cursors.MoveAuditExport(ctx, e.to.name(), e.holder, audit.Head{Seq: records[len(records)-1].record.Seq, Hash: bytes.Clone(last.Hash)})
}
