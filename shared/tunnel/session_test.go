package tunnel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

func input(b []byte) *agentv1.AccessInput {
	return &agentv1.AccessInput{Input: &agentv1.AccessInput_Stdin{Stdin: b}}
}

// echo answers every message of every stream with itself until the session ends.
func echo(s *Session) {
	for {
		st, err := s.Accept()
		if err != nil {
			return
		}
		go func() {
			defer st.Close()
			var m agentv1.AccessInput
			for st.Receive(context.Background(), &m) == nil {
				if st.Send(context.Background(), &m) != nil {
					return
				}
			}
		}()
	}
}

func TestMessagesGoBothWays(t *testing.T) {
	defer leaks(t)()
	t.Run("", func(t *testing.T) {
		hub, agent, _ := newSessions(t, Options{})
		go echo(agent)
		ctx := within(t)
		st, err := hub.Open()
		if err != nil {
			t.Fatal(err)
		}
		// Far more than one window, in messages from empty to the largest.
		sizes := []int{0, 1, 100, firstWindow, MaxMessage - 16, 3, 700_000, MaxMessage - 16, MaxMessage - 16, 5}
		go func() {
			for i, n := range sizes {
				if err := st.Send(ctx, input(bytes.Repeat([]byte{byte(i)}, n))); err != nil {
					t.Errorf("message %d: %v", i, err)
				}
			}
		}()
		for i, n := range sizes {
			var m agentv1.AccessInput
			if err := st.Receive(ctx, &m); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			if got := m.GetStdin(); len(got) != n || n > 0 && got[n-1] != byte(i) {
				t.Fatalf("message %d has %d bytes", i, len(got))
			}
		}
		if err := st.Send(ctx, input(make([]byte, MaxMessage+1))); !fault.Is(err, fault.TooLarge) {
			t.Errorf("a message above the limit: %v", err)
		}
		st.Close()
		if err := st.Send(ctx, input(nil)); err == nil {
			t.Error("a closed stream sends")
		}
		awaitStreams(t, hub, 0)
		awaitStreams(t, agent, 0)
	})
}

func awaitStreams(t testing.TB, s *Session, n int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for s.Streams() != n {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are open instead of %d", s.Streams(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

// A peer's close is seen at once, although messages are still to be received.
func TestCloseIsSeenBeforeTheLastMessage(t *testing.T) {
	defer leaks(t)()
	t.Run("", func(t *testing.T) {
		hub, agent, _ := newSessions(t, Options{})
		ctx := within(t)
		st, err := hub.Open()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := st.Send(ctx, input([]byte("x"))); err != nil {
				t.Fatal(err)
			}
		}
		st.Close()
		other, err := agent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-other.Done():
		case <-ctx.Done():
			t.Fatal("the close was not seen")
		}
		for range 3 {
			if err := other.Receive(ctx, &agentv1.AccessInput{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := other.Receive(ctx, &agentv1.AccessInput{}); !errors.Is(err, io.EOF) {
			t.Errorf("after the last message: %v", err)
		}
		if err := other.Send(ctx, input(nil)); err == nil {
			t.Error("a stream that the peer closed still sends")
		}
		other.Close()
	})
}

// One reader that stops does not keep the others waiting, and holds no more
// than its first window.
func TestSlowReaderKeepsNobodyWaiting(t *testing.T) {
	defer leaks(t)()
	t.Run("", func(t *testing.T) {
		hub, agent, _ := newSessions(t, Options{})
		ctx := within(t)
		flood := func(st *Stream) {
			defer st.Close()
			for st.Send(ctx, input(make([]byte, 32<<10))) == nil {
			}
		}
		go func() {
			for {
				st, err := agent.Accept()
				if err != nil {
					return
				}
				go flood(st)
			}
		}()
		slow, err := hub.Open()
		if err != nil {
			t.Fatal(err)
		}
		var readers sync.WaitGroup
		for range 20 {
			st, err := hub.Open()
			if err != nil {
				t.Fatal(err)
			}
			readers.Go(func() {
				defer st.Close()
				var m agentv1.AccessInput
				for n := 0; n < 4<<20; n += len(m.GetStdin()) {
					if err := st.Receive(ctx, &m); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		readers.Wait()
		slow.mu.Lock()
		held := 0
		for _, b := range slow.queue {
			held += len(*b)
		}
		slow.mu.Unlock()
		if held == 0 || held > firstWindow+MaxMessage {
			t.Errorf("the stream that nobody reads holds %d bytes", held)
		}
		slow.Close()
	})
}

// The window of a reader that keeps up grows, all windows together stay within
// the session's bound, and a reader that becomes slow gives its back.
func TestWindowsFollowTheReaders(t *testing.T) {
	defer leaks(t)()
	t.Run("", func(t *testing.T) {
		o := Options{Streams: 8, Unread: 8*firstWindow + 3<<20}
		hub, agent, _ := newSessions(t, o)
		ctx := within(t)
		go func() {
			for {
				st, err := agent.Accept()
				if err != nil {
					return
				}
				go func() {
					defer st.Close()
					for st.Send(ctx, input(make([]byte, 16<<10))) == nil {
					}
				}()
			}
		}()
		var streams []*Stream
		for range 4 {
			st, err := hub.Open()
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, st)
		}
		read := func(st *Stream, n int) {
			var m agentv1.AccessInput
			for ; n > 0; n -= len(m.GetStdin()) {
				if err := st.Receive(ctx, &m); err != nil {
					t.Error(err)
					return
				}
			}
		}
		var wg sync.WaitGroup
		for _, st := range streams {
			wg.Go(func() { read(st, 16<<20) })
		}
		wg.Wait()
		hub.mu.Lock()
		grown := hub.grown
		hub.mu.Unlock()
		if grown <= 0 || grown > 3<<20 {
			t.Errorf("the windows have grown by %d bytes, at most %d are allowed", grown, 3<<20)
		}
		// From here on the sender is always ahead: after a while of filling.
		st := streams[0]
		for range 200 {
			fill(t, st)
			read(st, 64<<10)
			if hub.windowOf(st) == firstWindow {
				break
			}
		}
		if w := hub.windowOf(st); w != firstWindow {
			t.Errorf("the window of a slow reader is still %d", w)
		}
		for _, st := range streams {
			st.Close()
		}
		awaitStreams(t, hub, 0)
		hub.mu.Lock()
		defer hub.mu.Unlock()
		if hub.grown != 0 {
			t.Errorf("%d bytes are granted although no stream is open", hub.grown)
		}
	})
}

// fill waits until the sender of a stream has used all its credit.
func fill(t testing.TB, st *Stream) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		st.mu.Lock()
		full := st.owed <= 0
		st.mu.Unlock()
		if full {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the sender does not use its credit")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestStreamsAreLimited(t *testing.T) {
	defer leaks(t)()
	t.Run("", func(t *testing.T) {
		hub, agent, _ := newSessions(t, Options{Streams: 4})
		go echo(agent)
		ctx := within(t)
		var streams []*Stream
		for range 4 {
			st, err := hub.Open()
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, st)
		}
		if _, err := hub.Open(); !fault.HasCode(err, "access_limit") {
			t.Errorf("one stream too many: %v", err)
		}
		streams[0].Close()
		awaitStreams(t, hub, 3)
		st, err := hub.Open()
		if err != nil {
			t.Fatalf("after one was closed: %v", err)
		}
		if err := st.Send(ctx, input([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		if err := st.Receive(ctx, &agentv1.AccessInput{}); err != nil {
			t.Error(err)
		}
	})
}

func TestIdleSessionClosesOnlyWhenIdle(t *testing.T) {
	defer leaks(t)()
	t.Run("", func(t *testing.T) {
		hub, agent, _ := newSessions(t, Options{})
		go echo(agent)
		if hub.CloseIdle(time.Hour) {
			t.Error("closed before its time")
		}
		st, err := hub.Open()
		if err != nil {
			t.Fatal(err)
		}
		if hub.CloseIdle(0) {
			t.Error("closed with an open stream")
		}
		st.Close()
		awaitStreams(t, hub, 0)
		if !hub.CloseIdle(0) {
			t.Error("not closed although idle")
		}
		if _, err := hub.Open(); !fault.HasCode(err, "tunnel_closed") {
			t.Errorf("a stream of a closed session: %v", err)
		}
		select {
		case <-agent.Done():
		case <-time.After(patience):
			t.Error("the agent's session has not ended")
		}
	})
}

func TestCutSessionEndsItsStreams(t *testing.T) {
	defer leaks(t)()
	t.Run("", func(t *testing.T) {
		hub, agent, l := newSessions(t, Options{})
		go echo(agent)
		ctx := within(t)
		st, err := hub.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Send(ctx, input([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		if err := st.Receive(ctx, &agentv1.AccessInput{}); err != nil {
			t.Fatal(err)
		}
		l.cut()
		if err := st.Receive(ctx, &agentv1.AccessInput{}); !fault.HasCode(err, "tunnel_lost") || errors.Is(err, io.EOF) {
			t.Errorf("a stream of a cut session ends with %v", err)
		}
		for _, s := range []*Session{hub, agent} {
			select {
			case <-s.Done():
			case <-ctx.Done():
				t.Fatal("a session survives the cut")
			}
			if err := s.Err(); !fault.Is(err, fault.Unavailable) {
				t.Errorf("the session ends with %v", err)
			}
		}
	})
}

// hostile is the other end of a session, written by hand.
type hostile struct {
	t    testing.TB
	conn net.Conn
}

func (h hostile) frame(kind byte, flags uint16, stream, length uint32, body []byte) {
	b := make([]byte, headerBytes, headerBytes+len(body))
	b[1] = kind
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint32(b[4:], stream)
	binary.BigEndian.PutUint32(b[8:], length)
	h.conn.Write(append(b, body...)) // it may be cut off already
}

func record(kind byte, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(kind)<<24|uint32(len(body)))
	return append(b, body...)
}

const (
	typeWindow = 1
	flagAck    = 2
	flagRst    = 8
)

// What a peer may do to make the hub hold memory, spin or wait. Each must end
// the session with its name, and nothing else.
func TestHostilePeers(t *testing.T) {
	data := func(h hostile, body []byte) { h.frame(typeData, 0, 1, uint32(len(body)), body) }
	for name, attack := range map[string]func(h hostile){
		"opens a stream":         func(h hostile) { h.frame(typeWindow, flagSyn, 2, 0, nil) },
		"floods with pings":      func(h hostile) { floodPings(h) },
		"floods with credit":     func(h hostile) { floodSmall(h, typeWindow, 0) },
		"floods with no data":    func(h hostile) { floodSmall(h, typeData, 0) },
		"floods with pongs":      func(h hostile) { floodSmall(h, typePing, flagAck) },
		"garbage":                func(h hostile) { h.conn.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 10)) },
		"an unknown frame":       func(h hostile) { h.frame(9, 0, 0, 0, nil) },
		"an unknown record":      func(h hostile) { data(h, record(7, []byte("abcd"))) },
		"a message too large":    func(h hostile) { data(h, binary.BigEndian.AppendUint32(nil, MaxMessage+1)) },
		"credit of nothing":      func(h hostile) { data(h, record(recordCredit, []byte{0, 0, 0, 0})) },
		"credit without end":     func(h hostile) { data(h, record(recordCredit, []byte{0xff, 0xff, 0xff, 0xff})) },
		"a short credit":         func(h hostile) { data(h, record(recordCredit, []byte{1})) },
		"more than was granted":  func(h hostile) { overrun(h) },
		"a message of garbage":   func(h hostile) { data(h, record(recordMessage, []byte{0xff, 0xff, 0xff})) },
		"more than yamux grants": func(h hostile) { h.frame(typeData, 0, 1, streamWindow+1, make([]byte, streamWindow+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer leaks(t)()
			near, far := net.Pipe()
			s, err := NewOpener(near, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close(nil)
			defer far.Close()
			go io.Copy(io.Discard, far)
			st, err := s.Open()
			if err != nil {
				t.Fatal(err)
			}
			h := hostile{t, far}
			h.frame(typeWindow, flagAck, 1, 0, nil)
			go attack(h)
			if name == "a message of garbage" {
				err := st.Receive(within(t), &agentv1.AccessAnswer{})
				if !fault.HasCode(err, "tunnel_violated") {
					t.Errorf("the garbage was received: %v", err)
				}
			}
			select {
			case <-s.Done():
			case <-time.After(patience):
				t.Fatal("the session lives")
			}
			if err := s.Err(); err == nil {
				t.Error("no reason")
			}
			if err := st.Receive(within(t), &agentv1.AccessAnswer{}); err == nil {
				t.Error("the stream lives")
			}
		})
	}
}

func floodPings(h hostile) {
	for i := range uint32(maxPings + 1) {
		h.frame(typePing, flagSyn, 0, i, nil)
	}
}

func floodSmall(h hostile, kind byte, flags uint16) {
	for range maxSmall + 1 {
		h.frame(kind, flags, 1, 0, nil)
	}
}

// overrun sends messages that nobody reads, above its credit but within what
// yamux itself allows.
func overrun(h hostile) {
	r := record(recordMessage, make([]byte, 64<<10))
	for range firstWindow/len(r) + 2 {
		h.frame(typeData, 0, 1, uint32(len(r)), r)
	}
}

// A hub that opens without end is cut off by the agent, and before that gets
// only as many streams as are allowed.
func TestHostileOpener(t *testing.T) {
	defer leaks(t)()
	near, far := net.Pipe()
	s, err := NewAcceptor(near, Options{Streams: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(nil)
	defer far.Close()
	go io.Copy(io.Discard, far)
	accepted := make(chan int, 1)
	go func() {
		n := 0
		for {
			if _, err := s.Accept(); err != nil {
				accepted <- n
				return
			}
			n++
		}
	}()
	h := hostile{t, far}
	for i := range uint32(1000) {
		h.frame(typeWindow, flagSyn, 2*i+1, 0, nil)
	}
	select {
	case n := <-accepted:
		if n > 4 {
			t.Errorf("%d streams were accepted", n)
		}
	case <-time.After(patience):
		t.Fatal("the session lives")
	}
	if err := s.Err(); !fault.HasCode(err, "tunnel_violated") {
		t.Errorf("it ended with %v", err)
	}
}

// A connection that takes nothing is given up, although it is not broken, and
// nobody waits longer than that.
func TestStuckConnectionIsGivenUp(t *testing.T) {
	defer leaks(t)()
	near, far := net.Pipe() // nobody reads far
	defer far.Close()
	const timeout = 300 * time.Millisecond
	s, err := NewOpener(near, Options{writeTimeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(nil)
	began := time.Now()
	_, err = s.Open()
	if !fault.HasCode(err, "tunnel_stuck") || time.Since(began) > 10*timeout {
		t.Errorf("Open took %s: %v", time.Since(began), err)
	}
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Error("the session survives a write timeout")
	}
}

func TestResetStreamEndsAlone(t *testing.T) {
	defer leaks(t)()
	near, far := net.Pipe()
	s, err := NewOpener(near, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(nil)
	defer far.Close()
	go io.Copy(io.Discard, far)
	st, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	h := hostile{t, far}
	h.frame(typeWindow, flagAck, 1, 0, nil)
	h.frame(typeWindow, flagRst, 1, 0, nil)
	if err := st.Receive(within(t), &agentv1.AccessAnswer{}); !fault.HasCode(err, "stream_closed") {
		t.Errorf("a reset stream ends with %v", err)
	}
	if s.Err() != nil {
		t.Errorf("the session ended with it: %v", s.Err())
	}
}

// The guard reads frames as they come, whatever the pieces.
func TestGuardSeesFramesInAnyPieces(t *testing.T) {
	var frames []byte
	add := func(kind byte, flags uint16, length uint32, body int) {
		b := make([]byte, headerBytes+body)
		b[1] = kind
		binary.BigEndian.PutUint16(b[2:], flags)
		binary.BigEndian.PutUint32(b[8:], length)
		// A body that would look like a stream that is opened.
		for i := headerBytes; i < len(b); i++ {
			b[i] = 1
		}
		frames = append(frames, b...)
	}
	add(typeData, 0, 100, 100)
	add(typeWindow, 0, 5000, 0) // its length is a number and no body
	add(typePing, flagSyn, 77, 0)
	add(typeData, flagAck, 13, 13)
	add(typeWindow, flagSyn, 0, 0)
	add(typeData, 0, 0, 0)
	for _, piece := range []int{1, 2, 7, 12, 13, 64, len(frames)} {
		opened := 0
		g := &guard{mayOpen: func() error { opened++; return nil }}
		for rest := frames; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			if err := g.watch(rest[:min(piece, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if opened != 1 || g.pings != 1 || g.have != 0 || g.skip != 0 {
			t.Errorf("in pieces of %d: %d streams opened, %d pings, %d and %d bytes left", piece, opened, g.pings, g.have, g.skip)
		}
	}
}

// What the guard reads is what yamux writes.
func TestGuardKnowsYamux(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	client, err := yamux.Client(far, config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	opened := make(chan struct{}, 1)
	g := &guard{Conn: near, mayOpen: func() error { opened <- struct{}{}; return fmt.Errorf("no") }}
	go func() {
		b := make([]byte, 3)
		for {
			if _, err := g.Read(b); err != nil {
				return
			}
		}
	}()
	go client.Open()
	select {
	case <-opened:
	case <-time.After(patience):
		t.Error("a stream that yamux opens is not seen")
	}
}
