package testbed

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Network is the state of the network that a Proxy imitates. The zero value is
// a good network.
type Network struct {
	// Latency is added to every piece of data in each direction, Jitter a random
	// part on top of it; order is kept.
	Latency, Jitter time.Duration
	// HoldUp and HoldDown let nothing pass from the client to the target and from
	// the target to the client. What was sent waits and arrives when the network
	// is well again, as TCP repeats it; no side is told. Both together are a black
	// hole, one alone is a one-way partition.
	HoldUp, HoldDown bool
	// Cut resets every connection, also new ones.
	Cut bool
	// HalfOpen makes the target lose its side of every connection while the
	// client is told nothing and can go on sending into the void, as when a
	// middlebox has forgotten the connection. When the network is well again those
	// clients get a reset.
	HalfOpen bool
}

// Networks that tests ask for most.
var (
	Well       = Network{}
	Blackhole  = Network{HoldUp: true, HoldDown: true}
	OneWayUp   = Network{HoldDown: true} // only the client's data arrives
	OneWayDown = Network{HoldUp: true}   // only the target's data arrives
	Cut        = Network{Cut: true}
	HalfOpen   = Network{HalfOpen: true}
)

// Slow is a network with latency in each direction and jitter.
func Slow(latency, jitter time.Duration) Network { return Network{Latency: latency, Jitter: jitter} }

func (n Network) String() string {
	switch n {
	case Well:
		return "well"
	case Blackhole:
		return "black hole"
	case OneWayUp:
		return "one way up"
	case OneWayDown:
		return "one way down"
	case Cut:
		return "cut"
	case HalfOpen:
		return "half open"
	}
	return fmt.Sprintf("%+v", struct {
		Latency, Jitter                 time.Duration
		HoldUp, HoldDown, Cut, HalfOpen bool
	}(n))
}

// Proxy passes TCP connections on to a target through an imitated network that
// can be changed at any time. The random part comes from a seed.
type Proxy struct {
	target   string
	port     *port
	listener net.Listener
	done     chan struct{}
	running  sync.WaitGroup

	mu       sync.Mutex
	rand     *rand.Rand
	state    networkState
	links    map[*link]bool
	accepted int
	closed   bool
}

// networkState is a Network and the signal that it is no longer in force.
type networkState struct {
	Network
	changed chan struct{}
}

// StartProxy listens on a port of 127.0.0.1 and passes connections on to target,
// an address of host and port.
func StartProxy(target string, seed uint64) (*Proxy, error) {
	port, ln, err := reserveAndListen()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		target: target, port: port, listener: ln, done: make(chan struct{}),
		rand:  rand.New(rand.NewPCG(seed, 0)),
		state: networkState{changed: make(chan struct{})},
		links: map[*link]bool{},
	}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is the address that clients connect to.
func (p *Proxy) Addr() string { return p.port.address() }

// Port is the port of Addr.
func (p *Proxy) Port() int { return p.port.number }

// Accepted is how many connections have come.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Active is how many connections are open on the client's side.
func (p *Proxy) Active() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Set changes the network for the connections there are and for new ones.
func (p *Proxy) Set(n Network) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	close(p.state.changed)
	p.state = networkState{Network: n, changed: make(chan struct{})}
	for l := range p.links {
		switch {
		case n.Cut, l.halfOpen && !n.HalfOpen:
			l.reset()
		case n.HalfOpen:
			l.loseTarget()
		}
	}
}

// Reset breaks the connections there are, once; new ones are served.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// Close resets everything and ends the proxy.
func (p *Proxy) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	close(p.done)
	p.listener.Close()
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	p.running.Wait()
	p.port.release()
}

func (p *Proxy) current() networkState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// delay is the latency of one piece of data.
func (p *Proxy) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.state.Latency
	if p.state.Jitter > 0 {
		d += time.Duration(p.rand.Int64N(int64(p.state.Jitter)))
	}
	return d
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		l := &link{proxy: p, client: conn.(*net.TCPConn), ended: make(chan struct{})}
		p.mu.Lock()
		p.accepted++
		if p.closed || p.state.Cut {
			l.reset()
			p.mu.Unlock()
			continue
		}
		p.links[l] = true
		l.halfOpen = p.state.HalfOpen
		p.running.Go(l.serve)
		p.mu.Unlock()
	}
}

// link is one connection. Its fields below proxy are guarded by proxy.mu, except
// client, which never changes.
type link struct {
	proxy    *Proxy
	client   *net.TCPConn
	target   *net.TCPConn // nil until dialled and when lost
	halfOpen bool
	ended    chan struct{} // closed by reset and finish
	isReset  bool          // or finished
}

// reset tells both sides at once that the connection is broken.
func (l *link) reset() {
	if l.isReset {
		return
	}
	l.isReset = true
	close(l.ended)
	breakConn(l.client)
	if l.target != nil {
		breakConn(l.target)
	}
}

// finish closes both sides in order: what they were sent still arrives.
func (l *link) finish() {
	if l.isReset {
		return
	}
	l.isReset = true
	close(l.ended)
	l.client.Close()
	if l.target != nil {
		l.target.Close()
	}
}

// loseTarget breaks the target's side and lets the client believe all is well.
func (l *link) loseTarget() {
	l.halfOpen = true
	if l.target != nil {
		breakConn(l.target)
		l.target = nil
	}
}

// breakConn closes with a reset instead of an orderly end.
func breakConn(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

func (l *link) serve() {
	p := l.proxy
	defer func() {
		p.mu.Lock()
		l.reset() // unless it ended in order
		delete(p.links, l)
		p.mu.Unlock()
	}()
	// The handshake needs both directions.
	if !l.wait(func(n Network) bool { return !n.HoldUp && !n.HoldDown && !n.HalfOpen }) {
		return
	}
	conn, err := net.DialTimeout("tcp", p.target, 10*time.Second)
	if err != nil {
		return
	}
	target := conn.(*net.TCPConn)
	p.mu.Lock()
	if l.isReset || l.halfOpen {
		breakConn(target)
	} else {
		l.target = target
	}
	p.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() { l.pump(l.client, target, func(n Network) bool { return !n.HoldUp }) })
	both.Go(func() { l.pump(target, l.client, func(n Network) bool { return !n.HoldDown }) })
	both.Wait()
	p.mu.Lock()
	l.finish()
	p.mu.Unlock()
}

// wait returns true when the network lets it pass, false when the connection has
// ended.
func (l *link) wait(passes func(Network) bool) bool {
	for {
		state := l.proxy.current()
		if passes(state.Network) {
			select {
			case <-l.ended:
				return false
			default:
				return true
			}
		}
		select {
		case <-state.changed:
		case <-l.ended:
			return false
		}
	}
}

// piece is data on its way, or the orderly end (nil data), or a reset.
type piece struct {
	data  []byte
	due   time.Time
	broke bool
}

// pump carries data from one side to the other, piece by piece in order. The
// channel's size is the room that a network has; when it is full the sender has
// to wait, as with a full TCP window.
func (l *link) pump(from, to *net.TCPConn, passes func(Network) bool) {
	pieces := make(chan piece, 64)
	l.proxy.running.Go(func() {
		defer close(pieces)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			now := time.Now().Add(l.proxy.delay())
			send := func(pc piece) bool {
				select {
				case pieces <- pc:
					return true
				case <-l.ended:
					return false
				}
			}
			if n > 0 && !send(piece{data: buf[:n], due: now}) {
				return
			}
			if err != nil {
				send(piece{due: now, broke: err != io.EOF})
				return
			}
		}
	})
	for pc := range pieces {
		if !l.arrives(pc.due) || !l.wait(passes) {
			return
		}
		if l.lost() {
			// Into the void; the end of the target's side is what the client is not
			// told of.
			if from == l.client {
				continue
			}
			<-l.ended
			return
		}
		if pc.data == nil {
			if pc.broke {
				l.proxy.mu.Lock()
				l.reset()
				l.proxy.mu.Unlock()
				return
			}
			to.CloseWrite()
			return
		}
		if _, err := to.Write(pc.data); err != nil {
			if l.lost() {
				continue
			}
			l.proxy.mu.Lock()
			l.reset()
			l.proxy.mu.Unlock()
			return
		}
	}
}

func (l *link) lost() bool {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	return l.halfOpen
}

// arrives waits until data is due.
func (l *link) arrives(due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ended:
		return false
	}
}

// Weather is one period of a disturbed network.
type Weather struct {
	Network Network
	For     time.Duration
}

// Forecast draws a series of disturbances from a seed: each of the networks comes
// at random, for a random time around mean, and between them the network is well
// for about as long. The whole lasts at least total and ends well.
func Forecast(seed uint64, total, mean time.Duration, networks ...Network) []Weather {
	r := rand.New(rand.NewPCG(seed, 1))
	// Between half and one and a half of the mean.
	length := func() time.Duration { return mean/2 + time.Duration(r.Int64N(int64(mean)+1)) }
	var all []Weather
	for passed := time.Duration(0); passed < total && len(networks) > 0; {
		bad := Weather{networks[r.IntN(len(networks))], length()}
		good := Weather{Well, length()}
		all = append(all, bad, good)
		passed += bad.For + good.For
	}
	return all
}

// Play puts the periods into force one after another, and leaves the network
// well. It returns early when ctx ends.
func (p *Proxy) Play(ctx context.Context, periods []Weather) error {
	defer p.Set(Well)
	for _, w := range periods {
		p.Set(w.Network)
		timer := time.NewTimer(w.For)
		select {
		case <-timer.C:
		case <-p.done:
			timer.Stop()
			return net.ErrClosed
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
	return nil
}
