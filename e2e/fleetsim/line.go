package fleetsim

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// line is the network between one agent and the hub.
type line struct {
	source *net.TCPAddr // nil: whatever the system takes

	mu       sync.Mutex
	down     bool
	conns    map[*wire]struct{}
	attempts []Attempt
}

// Attempt is one attempt of an agent to reach the hub.
type Attempt struct {
	At time.Time
	// Connected: something listened. Whether it let the agent in is another matter.
	Connected bool
}

// keepAttempts bounds what is kept of each agent.
const keepAttempts = 64

var errDown = errors.New("the line is down")

// newLine is a line that begins, where the hub is on this machine, at an address of
// its own: agents are not neighbours, and the hub counts by address.
func newLine(hub string, number int) *line {
	l := &line{conns: map[*wire]struct{}{}}
	if to, err := netip.ParseAddrPort(hub); err == nil && to.Addr().IsLoopback() && to.Addr().Is4() && runtime.GOOS == "linux" {
		n := number + 1
		l.source = &net.TCPAddr{IP: net.IPv4(127, byte(64+n>>16), byte(n>>8), byte(n))}
	}
	return l
}

// wire is a connection that the line can cut.
type wire struct {
	net.Conn
	line *line
}

func (w *wire) Close() error {
	w.line.mu.Lock()
	delete(w.line.conns, w)
	w.line.mu.Unlock()
	return w.Conn.Close()
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	begin := time.Now()
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
	if down {
		return nil, errDown
	}
	d := net.Dialer{}
	if l.source != nil {
		d.LocalAddr = l.source
	}
	conn, err := d.DialContext(ctx, network, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.attempts) == keepAttempts {
		l.attempts = append(l.attempts[:0], l.attempts[1:]...)
	}
	l.attempts = append(l.attempts, Attempt{At: begin, Connected: err == nil})
	if err != nil {
		return nil, err
	}
	if l.down {
		conn.Close()
		return nil, errDown
	}
	w := &wire{Conn: conn, line: l}
	l.conns[w] = struct{}{}
	return w, nil
}

// cut ends all connections; down keeps new ones from being made.
func (l *line) cut(down bool) {
	l.mu.Lock()
	l.down = down
	conns := make([]*wire, 0, len(l.conns))
	for w := range l.conns {
		conns = append(conns, w)
	}
	l.mu.Unlock()
	for _, w := range conns {
		w.Close()
	}
}

// take answers the attempts since the last time it was asked.
func (l *line) take() []Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.attempts
	l.attempts = nil
	return out
}
