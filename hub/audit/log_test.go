package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// memory is a chain without a database.
type memory struct {
	mu      sync.Mutex
	records []audit.Record
	begun   map[string]audit.Record
	known   []audit.Head
	open    int
	down    bool
	seed    byte
	tried   chan struct{} // of each append

	schemaLooks, schemaFails int
}

func (m *memory) BeginAudit(_ context.Context, id string, r audit.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errors.New("away")
	}
	if m.begun == nil {
		m.begun = map[string]audit.Record{}
	}
	m.begun[id] = r
	return nil
}

func (m *memory) head() audit.Head {
	return audit.Head{Seq: int64(len(m.records)), Hash: audit.HashOf([]byte{byte(len(m.records))})}
}

func (m *memory) AppendAudit(_ context.Context, known audit.Head, entries []fleet.AuditEntry) (audit.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tried != nil {
		select {
		case m.tried <- struct{}{}:
		default:
		}
	}
	if m.down {
		return audit.Head{}, errors.New("away")
	}
	for _, e := range entries {
		delete(m.begun, e.Begun)
		m.records = append(m.records, e.Record)
	}
	m.known = append(m.known, known)
	return m.head(), nil
}

func (m *memory) CloseAudit(_ context.Context, known audit.Head, _ time.Duration) (audit.Head, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == 0 {
		return known, 0, nil
	}
	m.open--
	m.records = append(m.records, audit.Record{Kind: audit.Effect})
	return m.head(), 1, nil
}

// AuditSchema fails as often as schemaFails says.
func (m *memory) AuditSchema(_ context.Context, known audit.Head, _ string) (audit.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.schemaLooks++; m.schemaLooks <= m.schemaFails {
		return known, errors.New("away")
	}
	return known, nil
}

func (m *memory) RetireAudit(_ context.Context, known audit.Head, _ time.Time) (audit.Head, int, error) {
	return known, 0, nil
}

func (m *memory) AuditRecords(_ context.Context, f fleet.AuditFilter) (out []audit.Signed, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		text, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		out = append(out, audit.Signed{Record: text})
	}
	return out, nil
}

func (m *memory) AuditSeed(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Repeat([]byte{m.seed}, ed25519.SeedSize), nil
}

func (m *memory) AuditHead(context.Context) (audit.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head(), nil
}

func (m *memory) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a Log until the test ends, or stop is called.
func start(t *testing.T, m *memory) (l *Log, log *lines, stop func()) {
	t.Helper()
	log = &lines{}
	now := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	l, err := New(t.Context(), Options{Store: m, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.Run(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return l, log, stop
}

func entry(kind audit.Kind, from string) fleet.AuditEntry {
	return fleet.AuditEntry{Record: audit.Record{Kind: kind, From: from}}
}

func TestWhatWasAddedIsStoredWithTheHeadThatIsKnown(t *testing.T) {
	m := &memory{}
	l, _, _ := start(t, m)
	for range 3 {
		l.Add(entry(audit.Command, "a"), entry(audit.Command, "b"))
		if _, err := l.Records(t.Context(), fleet.AuditFilter{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.len(); n != 6 {
		t.Errorf("%d records", n)
	}
	if last := m.known[len(m.known)-1]; last.Seq != 4 {
		t.Errorf("the last head known is %d", last.Seq)
	}
}

// TestS13_NoiseDoesNotHideWhatWasDone: a stranger who has thousands of requests
// refused has some records, his neighbour has his own, and every command has one.
func TestS13_NoiseDoesNotHideWhatWasDone(t *testing.T) {
	m := &memory{}
	l, _, _ := start(t, m)
	for range 5000 {
		l.Add(entry(audit.Refusal, "192.0.2.66"))
	}
	l.Add(entry(audit.Refusal, "192.0.2.7"))
	for range 100 {
		l.Add(entry(audit.Command, "192.0.2.66"))
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var noise, neighbour, commands int
	var suppressed int64
	for _, r := range m.records {
		suppressed += r.Suppressed
		switch {
		case r.Kind == audit.Command:
			commands++
		case r.From == "192.0.2.7":
			neighbour++
		default:
			noise++
		}
	}
	if noise != callerBurst || neighbour != 1 || commands != 100 || suppressed != 5000-callerBurst {
		t.Errorf("%d of the noise, %d of the neighbour, %d commands, %d suppressed", noise, neighbour, commands, suppressed)
	}
	// Nor is a flood from many addresses written.
	before := m.len()
	for i := range 5000 {
		l.Add(entry(audit.Refusal, strings.Repeat("x", i%977)+"y"))
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := m.len() - before; n > allBurst {
		t.Errorf("%d records of a flood", n)
	}
}

// TestS13_WhatDoesNotFitInMemoryIsCounted: while the database is away so many records
// wait. A command above them that was begun has its record when it is abandoned; what
// was not begun is lost, and that is counted in the next record and in the metric, and
// said.
func TestS13_WhatDoesNotFitInMemoryIsCounted(t *testing.T) {
	m := &memory{}
	var said lines
	failed := 0
	l, err := New(t.Context(), Options{Store: m, Log: slog.New(slog.NewTextHandler(&said, nil)), Failed: func() { failed++ }})
	if err != nil {
		t.Fatal(err)
	}
	for range most {
		l.Add(entry(audit.Command, "a"))
	}
	begun := entry(audit.Command, "a")
	begun.Begun = "an id"
	l.Add(begun)
	if failed != 0 || said.String() != "" {
		t.Fatalf("%d failures before anything was lost: %s", failed, &said)
	}
	l.Add(entry(audit.Command, "a"), entry(audit.Alarm, ""), entry(audit.Refusal, "b"))
	l.Add(entry(audit.Effect, "a"))
	if failed != 3 || strings.Count(said.String(), "audit_overflow") != 1 {
		t.Errorf("%d failures are counted of 3; the log: %s", failed, &said)
	}
	l.write(t.Context())
	l.Add(entry(audit.Command, "a"))
	l.write(t.Context())
	if n := len(m.records); n != most+1 || m.records[n-1].Suppressed != 4 {
		t.Errorf("%d records, %d before the last are said to have none", n, m.records[n-1].Suppressed)
	}
}

func TestWhatCannotBeStoredWaits(t *testing.T) {
	m := &memory{down: true, tried: make(chan struct{}, 1)}
	l, _, _ := start(t, m)
	l.Add(entry(audit.Command, "a"))
	<-m.tried
	if _, err := l.Begin(t.Context(), audit.Record{}); !fault.HasCode(err, "audit_unavailable") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Flush(ctx); !fault.HasCode(err, "audit_unavailable") {
		t.Errorf("got %v", err)
	}
	m.mu.Lock()
	m.down = false
	m.mu.Unlock()
	l.Add(entry(audit.Command, "b"))
	if err := l.Flush(t.Context()); err != nil || m.len() != 2 {
		t.Errorf("%d records, %v", m.len(), err)
	}
}

func TestWhatIsLeftIsWrittenAtTheEnd(t *testing.T) {
	m := &memory{open: 2}
	l, log, stop := start(t, m)
	id, err := l.Begin(t.Context(), audit.Record{})
	if err != nil || len(id) != 32 {
		t.Fatalf("%q, %v", id, err)
	}
	e := entry(audit.Command, "a")
	e.Begun = id
	l.Add(e)
	l.Ended()
	stop()
	if m.len() != 3 || len(m.begun) != 0 {
		t.Errorf("%d records, %d open", m.len(), len(m.begun))
	}
	if !strings.Contains(log.String(), "audit head") || !strings.Contains(log.String(), "head=3:") {
		t.Errorf("the log has no head: %s", log)
	}
}

// A hub that runs looks for a change of the schema at its start, once more as long as
// it cannot tell, and then every hour.
func TestS13_TheSchemaIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{schemaFails: 2}
		l, err := New(t.Context(), Options{Store: m, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { _ = l.Run(ctx) }) // ends with ctx
		looks := func(after time.Duration) int {
			time.Sleep(after)
			synctest.Wait()
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.schemaLooks
		}
		if n := looks(time.Second); n != 1 {
			t.Errorf("%d looks at the start", n)
		}
		if n := looks(time.Minute); n != 3 {
			t.Errorf("%d looks after two that failed", n)
		}
		if n := looks(time.Hour); n != 4 {
			t.Errorf("%d looks after an hour", n)
		}
		cancel()
		run.Wait()
	})
}

func TestRetentionHasALeast(t *testing.T) {
	if _, err := New(t.Context(), Options{Store: &memory{}, Kept: time.Hour}); !fault.HasCode(err, "audit_retention_invalid") {
		t.Errorf("got %v", err)
	}
}

func TestDigestsNeedTheKey(t *testing.T) {
	a, _ := New(t.Context(), Options{Store: &memory{}})
	same, _ := New(t.Context(), Options{Store: &memory{}})
	other, _ := New(t.Context(), Options{Store: &memory{seed: 1}})
	x := a.Digest([]byte("x"))
	if x != same.Digest([]byte("x")) || x == other.Digest([]byte("x")) || x == a.Digest([]byte("y")) {
		t.Error("digests are not keyed")
	}
}
