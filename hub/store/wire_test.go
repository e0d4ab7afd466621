package store

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hawser-dev/hawser/e2e/dbtest"
)

// wire is a proxy between a store and its database that counts round trips and
// can cut a connection at a chosen message.
type wire struct {
	t      testing.TB
	listen net.Listener
	to     string
	turns  atomic.Int64

	mu     sync.Mutex
	onSend func(b []byte) verdict // nil: pass
	conns  []net.Conn
}

type verdict int

const (
	pass       verdict = iota
	cutBefore          // the message does not arrive
	cutAfter           // the message arrives, its answer does not
	refuseMore         // as cutAfter, and no new connections
)

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &wire{t: t, listen: l, to: to}
	go w.accept()
	t.Cleanup(func() {
		l.Close()
		w.cut()
	})
	return w
}

func setupProxied(t testing.TB) (*bench, *wire) {
	t.Helper()
	dsn, address := dbtest.TCP(t, dbtest.Postgres(t))
	w := newWire(t, address)
	b := setupOn(t, string(bytes.ReplaceAll([]byte(dsn), []byte(portOf(t, address)), []byte(portOf(t, w.listen.Addr().String())))), Options{})
	return b, w
}

func portOf(t testing.TB, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	return port
}

// trips counts how often the direction turned from answer to question.
func (w *wire) trips() int64 { return w.turns.Load() }

func (w *wire) intercept(fn func(b []byte) verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onSend = fn
}

// cut closes all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func (w *wire) accept() {
	for {
		client, err := w.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.to)
		if err != nil {
			client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, server)
		w.mu.Unlock()
		var answered, muted atomic.Bool
		answered.Store(true)
		go func() {
			defer client.Close()
			buf := make([]byte, 64<<10)
			for {
				n, err := server.Read(buf)
				if err != nil {
					return
				}
				if muted.Load() {
					continue
				}
				answered.Store(true)
				if _, err := client.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
		go func() {
			defer server.Close()
			buf := make([]byte, 256<<10)
			for {
				n, err := client.Read(buf)
				if err != nil {
					return
				}
				if answered.CompareAndSwap(true, false) {
					w.turns.Add(1)
				}
				switch w.judge(buf[:n]) {
				case cutBefore:
					client.Close()
					return
				case cutAfter, refuseMore:
					muted.Store(true)
					_, _ = server.Write(buf[:n])
					client.Close()
					// The server sees the message and then the end.
					if half, ok := server.(*net.TCPConn); ok {
						_ = half.CloseWrite()
						_, _ = io.Copy(io.Discard, server)
					}
					return
				}
				if _, err := server.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func (w *wire) judge(b []byte) verdict {
	w.mu.Lock()
	fn := w.onSend
	w.mu.Unlock()
	if fn == nil {
		return pass
	}
	v := fn(b)
	if v == refuseMore {
		w.listen.Close()
	}
	return v
}

// isCommit recognises pgx's COMMIT, a simple query.
func isCommit(b []byte) bool {
	return len(b) > 0 && b[0] == 'Q' && bytes.Contains(b, []byte("commit\x00"))
}
