package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/mem"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
)

const (
	// maxFrame is how many bytes travel in one frame; the largest buffers that
	// gRPC keeps many of have so many.
	maxFrame = 32 << 10
	// linger is how long a closed Conn may take to send what it holds and to
	// hear that the peer has it.
	linger = 3 * time.Second
)

// FrameStream is either end of the gRPC stream below a Conn, a
// grpc.ClientStream or grpc.ServerStream with the ContentSubtype. One goroutine
// sends and another receives.
type FrameStream interface {
	SendMsg(m any) error
	RecvMsg(m any) error
}

// SendOpen sends the frame that opens a tunnel, before a Conn is made of the
// stream.
func SendOpen(stream FrameStream, id string) error {
	return stream.SendMsg(&agentv1.Frame{Open: id})
}

// ReceiveOpen waits for the frame that opens a tunnel, before a Conn is made of
// the stream, and returns its id.
func ReceiveOpen(stream FrameStream) (string, error) {
	var f incoming
	if err := stream.RecvMsg(&f); err != nil {
		return "", err
	}
	if f.other.Open == "" || len(f.other.Data) > 0 || f.other.End {
		return "", violation("its first frame does not open a tunnel")
	}
	return f.other.Open, nil
}

// Conn is a net.Conn over a gRPC stream. Two goroutines belong to it, which end
// soon after Close or when the stream ends.
//
// A Write returns when its bytes are queued; at most 64 KiB are. An error of
// the stream shows in a later Read or Write. A Write that a deadline ended has
// queued exactly the bytes that it says, and the Conn can still be used.
type Conn struct {
	stream    FrameStream
	closeSend func() error // nil at the end that serves
	abort     func()

	readMu   sync.Mutex // held by a Read
	frames   chan *mem.Reader
	rest     *mem.Reader // of the frame that was read last; guarded by readMu
	received chan struct{}
	recvErr  error // why nothing more comes; set before received is closed
	readBy   deadline

	writeMu sync.Mutex // held by a Write
	writeBy deadline
	sent    chan struct{} // closed when nothing more is sent
	over    chan struct{} // closed when the stream has ended in both directions
	overErr error         // set before over is closed

	outMu   sync.Mutex
	out     *[]byte // queued, at most maxFrame; from gRPC's pool
	outLen  int
	end     bool // nothing is queued any more
	room    chan struct{}
	pending chan struct{}

	closeOnce sync.Once
	closed    chan struct{}
}

// NewConn makes a Conn of a stream and takes it over. closeSend is that of a
// client's stream and nil at the server. abort must make pending calls of the
// stream fail soon, whatever the peer does: a client cancels its call, a server
// closes the connection.
func NewConn(stream FrameStream, closeSend func() error, abort func()) *Conn {
	c := &Conn{
		stream: stream, closeSend: closeSend, abort: abort,
		frames: make(chan *mem.Reader), received: make(chan struct{}),
		sent: make(chan struct{}), over: make(chan struct{}),
		room: make(chan struct{}, 1), pending: make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	go c.receive()
	go c.send()
	return c
}

// receive hands frames to Read until the stream ends. What comes after Close,
// or after the peer's end, is dropped.
func (c *Conn) receive() {
	ended := false // by the peer
	for {
		var f incoming
		if err := c.stream.RecvMsg(&f); err != nil {
			if !ended {
				c.recvErr = readError(err)
				close(c.received)
			}
			if errors.Is(err, io.EOF) && c.closeSend == nil {
				return // the client sends no more; the server still may
			}
			c.overErr = err
			close(c.over)
			return
		}
		if ended {
			continue
		}
		if f.data == nil && len(f.other.Data) > 0 {
			f.data = mem.BufferSlice{mem.SliceBuffer(f.other.Data)}.Reader()
		}
		if f.data != nil && f.data.Remaining() > 0 {
			select {
			case c.frames <- f.data:
			case <-c.closed:
			}
		}
		if f.other.End {
			ended = true
			c.recvErr = io.EOF
			close(c.received)
		}
	}
}

// readError: a stream that ends without the peer's word was cut.
func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// send sends what is queued until the end is, or the stream fails. Why it fails
// shows in receive.
func (c *Conn) send() {
	defer close(c.sent)
	for {
		select {
		case <-c.pending:
		case <-c.over:
			return
		}
		c.outMu.Lock()
		out, n, end := c.out, c.outLen, c.end
		c.out, c.outLen = nil, 0
		c.outMu.Unlock()
		poke(c.room)
		if n > 0 {
			*out = (*out)[:n]
			if c.stream.SendMsg(&outgoing{out}) != nil {
				return
			}
		}
		if end {
			if c.stream.SendMsg(&agentv1.Frame{End: true}) == nil && c.closeSend != nil {
				_ = c.closeSend()
			}
			return
		}
	}
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	late := c.readBy.passed()
	switch {
	case isClosed(c.closed):
		return 0, net.ErrClosed
	case isClosed(late):
		return 0, os.ErrDeadlineExceeded
	case len(b) == 0:
		return 0, nil
	}
	for c.rest == nil || c.rest.Remaining() == 0 {
		select {
		case c.rest = <-c.frames:
		case <-c.received: // after the last frame, which was handed over
			return 0, c.recvErr
		case <-c.closed:
			return 0, net.ErrClosed
		case <-late:
			return 0, os.ErrDeadlineExceeded
		}
	}
	return c.rest.Read(b)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (n int, err error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	late := c.writeBy.passed()
	for {
		switch {
		case isClosed(c.closed):
			return n, net.ErrClosed
		case isClosed(late):
			return n, os.ErrDeadlineExceeded
		case isClosed(c.over):
			return n, c.overErr
		}
		queued, ended := c.queue(b[n:])
		if ended {
			return n, net.ErrClosed
		}
		if n += queued; n == len(b) {
			return n, nil
		}
		select {
		case <-c.room:
		case <-c.closed:
		case <-c.over:
		case <-c.sent:
			return n, io.ErrClosedPipe
		case <-late:
		}
	}
}

// queue takes as much of b as there is room for.
func (c *Conn) queue(b []byte) (n int, ended bool) {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	if c.end {
		return 0, true
	}
	n = min(len(b), maxFrame-c.outLen)
	if n > 0 {
		if c.out == nil {
			c.out = mem.DefaultBufferPool().Get(maxFrame)
		}
		copy((*c.out)[c.outLen:], b[:n])
		c.outLen += n
		poke(c.pending)
	}
	return n, false
}

// CloseWrite tells the peer that no more comes; its Reads end with io.EOF after
// what was written before.
func (c *Conn) CloseWrite() error {
	if isClosed(c.closed) {
		return net.ErrClosed
	}
	c.finish()
	return nil
}

func (c *Conn) finish() {
	c.outMu.Lock()
	c.end = true
	c.outMu.Unlock()
	poke(c.pending)
}

// Close ends both directions. What was written before is still sent, as long as
// the peer takes it within a few seconds.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.closeOnce.Do(func() {
		err = nil
		close(c.closed)
		c.finish()
		go c.leave()
	})
	return err
}

// leave waits until the peer has all, or until it has taken too long.
func (c *Conn) leave() {
	late := time.NewTimer(linger)
	defer late.Stop()
	select {
	case <-c.sent:
	case <-late.C:
		c.abort()
		return
	}
	if c.closeSend == nil {
		return // the server's call ends after Sent, and with it the stream
	}
	select {
	case <-c.over: // the server has ended its call after it got all
	case <-late.C:
	}
	c.abort()
}

// Sent is closed when nothing more will be sent: after Close or CloseWrite, or
// when the stream failed. The handler of a server's stream must not return
// before.
func (c *Conn) Sent() <-chan struct{} { return c.sent }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return addr{} }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return addr{} }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if isClosed(c.closed) {
		return net.ErrClosed
	}
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if isClosed(c.closed) {
		return net.ErrClosed
	}
	c.readBy.set(t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if isClosed(c.closed) {
		return net.ErrClosed
	}
	c.writeBy.set(t)
	return nil
}

// addr is no address: the connection below the stream has them.
type addr struct{}

func (addr) Network() string { return "tunnel" }
func (addr) String() string  { return "tunnel" }
