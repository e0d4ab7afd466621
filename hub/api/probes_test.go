package api

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/shared/telemetry/probe"
)

// wire is the way to a database, which a test cuts or holds.
type wire struct {
	net.Listener
	to string

	mu    sync.Mutex
	held  bool
	conns []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: ln, to: to}
	t.Cleanup(func() { ln.Close(); w.hold(true) })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			w.join(c)
		}
	}()
	return w
}

// join connects c with the database, or with nobody while the wire is held.
func (w *wire) join(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	if w.held {
		return
	}
	d, err := net.Dial("tcp", w.to)
	if err != nil {
		c.Close()
		return
	}
	w.conns = append(w.conns, d)
	go func() { _, _ = io.Copy(d, c); d.Close() }()
	go func() { _, _ = io.Copy(c, d); c.Close() }()
}

// hold ends all connections, and lets nothing through the next ones while it is on.
func (w *wire) hold(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = on
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func portOf(t *testing.T, address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// A database that is away, whether it refuses or is silent, makes the hub not
// ready, in time; and the hub lives, so that nobody restarts it.
func TestProbesWhileTheDatabaseIsAway(t *testing.T) {
	box, err := vault.New(make([]byte, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	dsn, address := dbtest.TCP(t, dbtest.Postgres(t))
	way := newWire(t, address)
	s, err := store.Open(t.Context(), strings.ReplaceAll(dsn, portOf(t, address), portOf(t, way.Addr().String())), box, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := newWorld(t, func(o *Options) {
		o.Checks = []probe.Check{{Name: "database", Required: true, Ask: s.Ping}}
	})
	ready := func() (int, string) {
		a := w.call("GET", "/readyz?verbose", "", "Authorization:")
		if live := w.call("GET", "/livez", "", "Authorization:"); live.status != http.StatusOK {
			t.Fatalf("the hub does not live: %d %s", live.status, live.body)
		}
		return a.status, a.body
	}
	if status, body := ready(); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	way.hold(true) // silent
	began := time.Now()
	if status, body := ready(); status != http.StatusServiceUnavailable || !strings.Contains(body, `{"name":"database","ok":false,"code":"`) || strings.Contains(body, "127.0.0.1") {
		t.Errorf("a silent database: %d %s", status, body)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	way.hold(false)
	await(t, "the hub to be ready again", func() bool { status, _ := ready(); return status == http.StatusOK })
	way.Close() // refuses
	way.hold(false)
	if status, body := ready(); status != http.StatusServiceUnavailable || !strings.Contains(body, `{"name":"database","ok":false,"code":"`) {
		t.Errorf("a database that refuses: %d %s", status, body)
	}
}
