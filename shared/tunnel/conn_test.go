package tunnel

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// The conformance suite of net.Conn, over real TLS: deadlines, closing while
// others read and write, concurrent use.
func TestConnIsANetConn(t *testing.T) {
	defer leaks(t)()
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		l, stop := newLine(t)
		return l.agent, l.hub, stop, nil
	})
}

func TestHalfCloseLeavesTheOtherDirection(t *testing.T) {
	defer leaks(t)()
	l, stop := newLine(t)
	defer stop()
	for name, ends := range map[string][2]*Conn{"the agent": {l.agent, l.hub}} {
		from, to := ends[0], ends[1]
		if _, err := from.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		if err := from.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(to)
		if err != nil || string(got) != "question" {
			t.Fatalf("%s: read %q, %v", name, got, err)
		}
		if _, err := from.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: a write after the half close: %v", name, err)
		}
		answer := bytes.Repeat([]byte("answer"), 100_000)
		go func() {
			to.Write(answer)
			to.Close()
		}()
		got, err = io.ReadAll(from)
		if err != nil || !bytes.Equal(got, answer) {
			t.Errorf("%s: read %d bytes back, %v", name, len(got), err)
		}
	}
}

// A peer that stops reading holds the writer up, and a deadline frees it with
// the number of bytes that will arrive.
func TestUnreadBytesHoldTheWriterUp(t *testing.T) {
	defer leaks(t)()
	l, stop := newLine(t)
	defer stop()
	const most = 16 << 20
	l.agent.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	n, err := l.agent.Write(make([]byte, most))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == most {
		t.Fatalf("%d bytes were written although nobody reads: %v", n, err)
	}
	if n > 9<<20 {
		t.Errorf("%d bytes are under way with windows of 4 MiB", n)
	}
	l.agent.SetWriteDeadline(time.Time{})
	go func() {
		l.agent.Write([]byte("end"))
		l.agent.Close()
	}()
	got, err := io.ReadAll(l.hub)
	if err != nil || len(got) != n+3 {
		t.Errorf("%d bytes arrived of %d, %v", len(got), n+3, err)
	}
}

func TestCutConnectionFailsBothEnds(t *testing.T) {
	defer leaks(t)()
	l, stop := newLine(t)
	defer stop()
	errs := make(chan error, 2)
	for _, c := range []*Conn{l.agent, l.hub} {
		go func() {
			_, err := c.Read(make([]byte, 1))
			errs <- err
		}()
	}
	l.cut()
	for range 2 {
		select {
		case err := <-errs:
			if err == nil || errors.Is(err, io.EOF) {
				t.Errorf("a read of a cut connection ends with %v", err)
			}
		case <-time.After(patience):
			t.Fatal("a read hangs on a cut connection")
		}
	}
	for _, c := range []*Conn{l.agent, l.hub} {
		c.SetWriteDeadline(time.Now().Add(patience))
		var err error
		for err == nil {
			_, err = c.Write(make([]byte, maxFrame))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("writes to a cut connection hang")
		}
	}
}

// stuckStream takes frames and never lets go of the sender, like a peer whose
// process was stopped.
type stuckStream struct{ aborted chan struct{} }

func (s stuckStream) SendMsg(any) error { <-s.aborted; return io.EOF }
func (s stuckStream) RecvMsg(any) error { <-s.aborted; return errors.New("aborted") }

func TestCloseGivesUpOnAStuckPeer(t *testing.T) {
	defer leaks(t)()
	aborted := make(chan struct{})
	c := NewConn(stuckStream{aborted}, nil, func() { close(aborted) })
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.Close(); err != nil || time.Since(began) > time.Second {
		t.Fatalf("Close took %s: %v", time.Since(began), err)
	}
	select {
	case <-c.Sent():
	case <-time.After(patience):
		t.Fatal("the stream was not aborted")
	}
}
