package tunnel

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// What the guard looks at, from yamux's spec.md: every frame begins with 12
// bytes, version, type, flags (2), stream (4) and length (4), and only frames of
// type data have length bytes after that.
const (
	headerBytes = 12

	typeData = 0
	typePing = 2

	flagSyn = 1
)

const (
	// maxPings and pingSpan bound the pings that a peer may send: each costs a
	// goroutine. An honest one sends one in keepAlive.
	maxPings = 30
	pingSpan = 10 * time.Second
	// maxSmall frames without smallBytes of content may come in pingSpan: they
	// cost work and carry nothing. An honest peer sends one of credit for each
	// 128 KiB, and for each key that somebody strikes.
	maxSmall   = 50_000
	smallBytes = 16
)

// guard watches the frames that come in for what yamux itself does not limit.
// Its error ends the session.
type guard struct {
	net.Conn
	// mayOpen is asked for each stream that the peer opens.
	mayOpen func() error
	// traffic counts; may be nil.
	traffic Traffic

	header [headerBytes]byte
	have   int    // bytes of the header
	skip   uint32 // bytes of a body that are still to come

	pings     int
	small     int
	countFrom time.Time // of both
	now       func() time.Time
}

// Read implements net.Conn. yamux reads in one goroutine.
func (g *guard) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if g.traffic != nil && n > 0 {
		g.traffic.Received(n)
	}
	if watched := g.watch(b[:n]); watched != nil {
		return 0, watched
	}
	return n, err
}

// Write implements net.Conn.
func (g *guard) Write(b []byte) (int, error) {
	n, err := g.Conn.Write(b)
	if g.traffic != nil && n > 0 {
		g.traffic.Sent(n)
	}
	return n, err
}

func (g *guard) watch(b []byte) error {
	for len(b) > 0 {
		if g.skip > 0 {
			n := min(uint32(len(b)), g.skip)
			g.skip -= n
			b = b[n:]
			continue
		}
		n := copy(g.header[g.have:], b)
		g.have += n
		b = b[n:]
		if g.have < headerBytes {
			return nil
		}
		g.have = 0
		length := binary.BigEndian.Uint32(g.header[8:12])
		if err := g.frame(g.header[1], binary.BigEndian.Uint16(g.header[2:4]), length); err != nil {
			return err
		}
		if g.header[1] == typeData {
			g.skip = length
		}
	}
	return nil
}

func (g *guard) frame(kind byte, flags uint16, length uint32) error {
	if now := g.clock(); now.Sub(g.countFrom) > pingSpan {
		g.pings, g.small, g.countFrom = 0, 0, now
	}
	if kind != typeData || length < smallBytes {
		if g.small++; g.small > maxSmall {
			return violation("more than %d frames without content in %s", maxSmall, pingSpan)
		}
	}
	if flags&flagSyn == 0 {
		return nil
	}
	if kind != typePing {
		return g.mayOpen()
	}
	if g.pings++; g.pings > maxPings {
		return violation("more than %d pings in %s", maxPings, pingSpan)
	}
	return nil
}

func (g *guard) clock() time.Time {
	if g.now != nil {
		return g.now()
	}
	return time.Now()
}

// violation is an error of a peer that does not keep to the rules.
func violation(format string, args ...any) error {
	e := fault.New(fault.Invalid, "tunnel_violated", "the other end of the access tunnel does not keep to the rules: ")
	e.Message += fault.New(fault.Invalid, "", format, args...).Message
	return e
}
