package tunnel

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/shared/fault"
)

// On a stream travel records: a byte that says what it is, three bytes of
// length, the content. A message is a protobuf message. A credit is four bytes,
// the number of bytes that the receiver grants on top of what it has granted;
// records of messages count with their four bytes.
const (
	recordHeader  = 4
	recordMessage = 0
	recordCredit  = 1
)

const (
	// MaxMessage is the encoded length of the largest message.
	MaxMessage = 1 << 20
	// firstWindow is what each end grants without a word, and what a slow
	// reader has.
	firstWindow = 256 << 10
	// maxWindow is what a reader may have that keeps up. A sender may begin a
	// message when it has any credit at all, so the largest message comes on top;
	// together they fit yamux's window.
	maxWindow = 2 << 20
)

// Stream carries messages in both directions. One goroutine may send while
// another receives. Close may be called at any time.
type Stream struct {
	s   *Session
	raw *yamux.Stream

	window int // granted to the peer; guarded by Session.mu

	sendMu sync.Mutex // held by a Send, also while it waits for credit
	buf    []byte     // guarded by sendMu

	mu       sync.Mutex
	credit   int       // granted by the peer and not used
	queue    []*[]byte // received messages, of messageBuffer
	consumed int       // since the last credit was given
	starved  bool      // Receive had to wait since the last credit was given
	owed     int       // bytes that the peer may send
	ended    error     // why nothing more comes
	closed   bool      // by us

	more    chan struct{} // something was queued, or the end came
	granted chan struct{} // credit came, or the end
	done    chan struct{} // closed when the peer closed, or the session ended
}

func newStream(s *Session) *Stream {
	return &Stream{
		s: s, window: firstWindow, credit: firstWindow, owed: firstWindow,
		more: make(chan struct{}, 1), granted: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

func (st *Stream) start(raw *yamux.Stream) {
	st.raw = raw
	go st.read()
}

// read takes records off the stream as they come, so that the peer's end is
// seen at once, and ends with it.
func (st *Stream) read() {
	err := st.records(bufio.NewReaderSize(st.raw, 4<<10))
	// yamux ends the streams of a session that broke as if the peer had.
	if !errors.Is(err, io.EOF) || st.s.mux.IsClosed() {
		err = st.s.fail(err)
	}
	st.mu.Lock()
	st.ended = err
	st.mu.Unlock()
	close(st.done)
	poke(st.more)
	poke(st.granted)
	st.s.remove(st)
}

func (st *Stream) records(in io.Reader) error {
	var header [recordHeader]byte
	for {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return err
		}
		word := binary.BigEndian.Uint32(header[:])
		kind, length := word>>24, int(word&0xffffff)
		switch {
		case kind == recordCredit && length == 4:
			var n [4]byte
			if _, err := io.ReadFull(in, n[:]); err != nil {
				return noEOF(err)
			}
			if err := st.takeCredit(binary.BigEndian.Uint32(n[:])); err != nil {
				return err
			}
		case kind == recordMessage && length <= MaxMessage:
			if err := st.announce(length + recordHeader); err != nil {
				return err
			}
			b := messageBuffer(length)
			if _, err := io.ReadFull(in, *b); err != nil {
				return noEOF(err)
			}
			st.push(b)
		default:
			return violation("a record of type %d has %d bytes", kind, length)
		}
	}
}

// noEOF: a stream that ends within a record was not ended properly; nobody has
// interest in it any more.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return yamux.ErrConnectionReset
	}
	return err
}

// pooled is the size of the buffers that are used again: for messages of about
// 32 KiB, which is what floods are made of.
const pooled = 36 << 10

var messages = sync.Pool{New: func() any { b := make([]byte, pooled); return &b }}

func messageBuffer(n int) *[]byte {
	if n > pooled || n < pooled*3/4 { // a queue must not hold more than it counts
		b := make([]byte, n)
		return &b
	}
	b := messages.Get().(*[]byte)
	*b = (*b)[:n]
	return b
}

func releaseMessage(b *[]byte) {
	if cap(*b) == pooled {
		messages.Put(b)
	}
}

func (st *Stream) takeCredit(n uint32) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if n == 0 || int64(st.credit)+int64(n) > maxWindow {
		return violation("it granted %d bytes on top of %d", n, st.credit)
	}
	st.credit += int(n)
	poke(st.granted)
	return nil
}

// announce counts a message that comes, and refuses it before its bytes are
// read when the sender has no credit.
func (st *Stream) announce(n int) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.owed <= 0 {
		return violation("it sent more than was granted")
	}
	st.owed -= n
	return nil
}

// push queues a message for Receive; of a closed stream it is dropped.
func (st *Stream) push(b *[]byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return
	}
	st.queue = append(st.queue, b)
	poke(st.more)
}

// Send sends a message. It waits until the peer has granted credit, ctx ends,
// or the stream does; a message that was begun is finished.
func (st *Stream) Send(ctx context.Context, m proto.Message) error {
	st.sendMu.Lock()
	defer st.sendMu.Unlock()
	n := proto.Size(m)
	if n > MaxMessage {
		return fault.New(fault.TooLarge, "message_too_large", "a message has %d bytes; the tunnel takes %d", n, MaxMessage)
	}
	if err := st.spend(ctx, n+recordHeader); err != nil {
		return err
	}
	st.buf = append(st.buf[:0], 0, 0, 0, 0)
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(st.buf, m)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "message_invalid", "a message does not encode")
	}
	st.buf = b
	return st.write(recordMessage, b)
}

// spend takes credit for n bytes.
func (st *Stream) spend(ctx context.Context, n int) error {
	for {
		st.mu.Lock()
		switch {
		case st.closed:
			st.mu.Unlock()
			return errClosedHere
		case st.ended != nil:
			err := st.ended
			st.mu.Unlock()
			if errors.Is(err, io.EOF) {
				return errHungUp
			}
			return err
		case st.credit > 0:
			st.credit -= n
			st.mu.Unlock()
			return nil
		}
		st.mu.Unlock()
		select {
		case <-st.granted:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errClosedHere = fault.New(fault.Unavailable, "stream_closed", "the stream was closed")

// write sends a record whose first bytes are left for the header. yamux writes
// the whole of it before another.
func (st *Stream) write(kind byte, b []byte) error {
	binary.BigEndian.PutUint32(b, uint32(kind)<<24|uint32(len(b)-recordHeader))
	// Only a peer that does not keep to yamux's rules makes this wait.
	_ = st.raw.SetWriteDeadline(time.Now().Add(st.s.o.writeTimeout)) // never fails
	if _, err := st.raw.Write(b); err != nil {
		return st.s.fail(err)
	}
	return nil
}

// Receive waits for the next message. It returns io.EOF when the peer closed
// the stream and all was received, and another error when the stream or ctx
// ended otherwise.
func (st *Stream) Receive(ctx context.Context, m proto.Message) error {
	for {
		b, grant, err := st.next()
		if grant > 0 {
			if err := st.grant(grant); err != nil {
				return err
			}
		}
		switch {
		case err != nil:
			return err
		case b != nil:
			err := proto.Unmarshal(*b, m) // it keeps nothing of b
			releaseMessage(b)
			if err != nil {
				err := violation("a message does not decode")
				st.s.Close(err)
				return err
			}
			return nil
		}
		select {
		case <-st.more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// next takes a message from the queue, nil when there is none yet, and answers
// what is to be granted to the peer.
func (st *Stream) next() (b *[]byte, grant int, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.closed:
		return nil, 0, errClosedHere
	case len(st.queue) == 0 && st.ended != nil:
		return nil, 0, st.ended
	case len(st.queue) == 0:
		st.starved = true
		return nil, 0, nil
	}
	b = st.queue[0]
	st.queue[0] = nil
	if st.queue = st.queue[1:]; len(st.queue) == 0 {
		st.queue = nil
	}
	st.consumed += len(*b) + recordHeader
	if st.ended == nil {
		grant = st.refill()
	}
	return b, grant, nil
}

// refill decides what to grant when half of the window was read: as much as was
// read, and more when the reader waited for the sender, less when it did not.
// st.mu is held.
func (st *Stream) refill() int {
	window := st.s.windowOf(st)
	if st.consumed < window/2 {
		return 0
	}
	grant := st.consumed
	if st.starved {
		grant += st.s.widen(st, min(window, maxWindow-window))
	} else if window > firstWindow {
		grant += st.s.widen(st, -min(window-firstWindow, st.consumed))
	}
	st.consumed, st.starved = 0, false
	st.owed += grant
	return grant
}

func (s *Session) windowOf(st *Stream) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return st.window
}

func (st *Stream) grant(n int) error {
	if n <= 0 {
		return nil
	}
	var b [recordHeader + 4]byte
	binary.BigEndian.PutUint32(b[recordHeader:], uint32(n))
	return st.write(recordCredit, b[:])
}

// Done is closed when the peer has closed the stream, or the session has ended.
// Messages that came before can still be received.
func (st *Stream) Done() <-chan struct{} { return st.done }

// Close tells the peer that there is no more interest, and drops what was not
// received. It waits only while the connection takes nothing.
func (st *Stream) Close() {
	st.mu.Lock()
	if st.closed {
		st.mu.Unlock()
		return
	}
	st.closed = true
	st.queue = nil
	st.mu.Unlock()
	poke(st.more)
	poke(st.granted)
	_ = st.raw.Close() // it never fails
}
