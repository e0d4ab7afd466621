package gateway

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// lobby holds the connections of which nobody knows yet who is at the other
// end: from when they are accepted to the end of the handshake (browsers), or to
// a hello or a request that was accepted (agents). It bounds how many there are,
// over all and from one address, and how long each may take.
//
// An honest client makes us wait for a round trip, so when it is crowded those
// have to go that made us wait longest, of the address that has most. One that
// waits for us, for its turn, never has to.
type lobby struct {
	most  int // over all
	ofOne int // of one address
	grace time.Duration
	// refused is told of those that had to go; it must not block.
	refused func(reason string, from net.Addr)

	mu     sync.Mutex
	count  int
	rooms  map[netip.Prefix]*list.List // of *guest, by when they came
	leaves chan struct{}               // holds one
}

// Why a guest had to go.
const (
	refusedCrowded = "connections_crowded"
	refusedFast    = "connections_rate"
	refusedSilent  = "hello_timeout"
)

// guest is one connection in the lobby. Methods of nil do nothing.
type guest struct {
	lobby *lobby
	conn  net.Conn
	from  netip.Prefix

	// All below is guarded by lobby.mu.
	place *list.Element // nil: it has left
	since time.Time     // when its present part began
	busy  bool          // it waits for us
	limit *time.Timer
}

func newLobby(most, ofOne int, grace time.Duration, refused func(string, net.Addr)) *lobby {
	return &lobby{most: most, ofOne: ofOne, grace: grace, refused: refused, rooms: map[netip.Prefix]*list.List{}, leaves: make(chan struct{}, 1)}
}

// addressOf is what counts as one address: of IPv6 the network, because whoever
// has one address there has all of it.
func addressOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // an address that is none is the zero prefix
	return p
}

// await waits until there is room for one more, and makes some when it can. One
// goroutine awaits and enters.
func (l *lobby) await(ctx context.Context) bool {
	for {
		l.mu.Lock()
		if l.count < l.most {
			l.mu.Unlock()
			return true
		}
		gone := l.longest()
		l.mu.Unlock()
		if gone != nil {
			l.showOut(gone)
			continue
		}
		again := time.NewTimer(l.grace/8 + time.Millisecond)
		select {
		case <-l.leaves:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return false
		}
		again.Stop()
	}
}

// enter takes a connection in.
func (l *lobby) enter(conn net.Conn) *guest {
	g := &guest{lobby: l, conn: conn, from: addressOf(conn.RemoteAddr())}
	l.mu.Lock()
	room := l.rooms[g.from]
	if room == nil {
		room = list.New()
		l.rooms[g.from] = room
	}
	var gone *guest
	if room.Len() >= l.ofOne {
		if gone = l.longestOf(room); gone != nil {
			l.remove(gone)
			if l.rooms[g.from] == nil { // it was the last of them
				l.rooms[g.from] = room
			}
		}
	}
	g.since, g.place = time.Now(), room.PushBack(g)
	l.count++
	l.mu.Unlock()
	if gone != nil {
		l.showOut(gone)
	}
	return g
}

// longest takes out the guest who has to go first. l.mu is held.
func (l *lobby) longest() *guest {
	var out *guest
	most := 0
	for _, room := range l.rooms {
		if room.Len() <= most {
			continue
		}
		if g := l.longestOf(room); g != nil {
			out, most = g, room.Len()
		}
	}
	if out != nil {
		l.remove(out)
	}
	return out
}

// longestOf finds the guest of one address who has to go first. l.mu is held.
func (l *lobby) longestOf(room *list.List) *guest {
	for e := room.Front(); e != nil; e = e.Next() {
		if g := e.Value.(*guest); !g.busy && time.Since(g.since) > l.grace {
			return g
		}
	}
	return nil
}

func (l *lobby) showOut(g *guest) {
	l.refused(refusedCrowded, g.conn.RemoteAddr())
	g.conn.Close()
}

// remove is called with l.mu held.
func (l *lobby) remove(g *guest) {
	if g.place == nil {
		return
	}
	room := l.rooms[g.from]
	room.Remove(g.place)
	g.place = nil
	if room.Len() == 0 {
		delete(l.rooms, g.from)
	}
	if g.limit != nil {
		g.limit.Stop()
		g.limit = nil // the guest is kept as long as its connection
	}
	l.count--
	select {
	case l.leaves <- struct{}{}:
	default:
	}
}

// leave ends a guest's stay, well or not.
func (g *guest) leave() {
	if g == nil {
		return
	}
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	g.lobby.remove(g)
}

// work says whether it is us that the guest waits for.
func (g *guest) work(busy bool) {
	if g == nil {
		return
	}
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	g.busy = busy
}

// next begins a part of the stay that may take so long.
func (g *guest) next(limit time.Duration) {
	if g == nil {
		return
	}
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.place == nil {
		return
	}
	if g.limit != nil {
		g.limit.Stop()
	}
	g.since, g.busy = time.Now(), false
	g.limit = time.AfterFunc(limit, func() {
		l.mu.Lock()
		here := g.place != nil && !g.busy
		if here {
			l.remove(g)
		}
		l.mu.Unlock()
		if here {
			l.refused(refusedSilent, g.conn.RemoteAddr())
			g.conn.Close()
		}
	})
}

// waiting is how many there are.
func (l *lobby) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// some lets a few lines of a kind into the log in each span: strangers can cause
// any number of them.
type some struct {
	mu   sync.Mutex
	from time.Time
	n    int
}

const (
	someLines = 20
	someSpan  = 10 * time.Second
)

// next answers whether to write a line, and how many were left out before it.
func (s *some) next(now time.Time) (write bool, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.from) >= someSpan {
		left = max(0, s.n-someLines)
		s.from, s.n = now, 0
	}
	s.n++
	return s.n <= someLines, left
}
