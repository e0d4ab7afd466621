package tunnel

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// streamWindow is yamux's window for each stream. Credit keeps what is under
	// way below it, so that yamux never makes a stream wait.
	streamWindow = 4 << 20
	// writeTimeout is how long the connection may take nothing before the
	// session is given up. yamux leaves a peer's read hanging after such a
	// timeout, so it is never survived.
	writeTimeout = 15 * time.Second
	keepAlive    = 15 * time.Second
	// openTimeout is how long a peer may take to accept a stream.
	openTimeout = 15 * time.Second
	// closeTimeout is how long a peer may take to close a stream that was closed
	// here.
	closeTimeout = 30 * time.Second
)

// Options of a Session. The zero value has defaults.
type Options struct {
	// Streams that may be open at once, 64 by default.
	Streams int
	// Unread is how many bytes may be received and not yet read over all
	// streams, 32 MiB by default; at least Streams times 256 KiB.
	Unread int

	// Traffic counts the bytes on the connection; nil: nobody does.
	Traffic Traffic

	writeTimeout time.Duration // shorter in tests
}

func (o Options) withDefaults() Options {
	if o.Streams <= 0 {
		o.Streams = 64
	}
	if o.Unread <= 0 {
		o.Unread = 32 << 20
	}
	o.Unread = max(o.Unread, o.Streams*firstWindow)
	if o.writeTimeout == 0 {
		o.writeTimeout = writeTimeout
	}
	return o
}

// Traffic counts bytes. Its methods must not block.
type Traffic interface {
	Sent(n int)
	Received(n int)
}

// Session is one end of a tunnel. It is safe for concurrent use.
type Session struct {
	o      Options
	opener bool
	mux    *yamux.Session

	mu      sync.Mutex
	streams map[*Stream]struct{}
	grown   int       // what the streams' windows have above their first
	changed time.Time // when the number of streams last became 0
	closing bool
	cause   error
}

// NewOpener makes the hub's end, which opens streams. It takes conn over.
func NewOpener(conn net.Conn, o Options) (*Session, error) { return newSession(conn, o, true) }

// NewAcceptor makes the agent's end, which accepts streams. It takes conn over.
func NewAcceptor(conn net.Conn, o Options) (*Session, error) { return newSession(conn, o, false) }

func newSession(conn net.Conn, o Options, opener bool) (*Session, error) {
	s := &Session{o: o.withDefaults(), opener: opener, streams: map[*Stream]struct{}{}, changed: time.Now()}
	config := yamux.DefaultConfig()
	config.AcceptBacklog = 2 * s.o.Streams
	config.KeepAliveInterval = keepAlive
	config.ConnectionWriteTimeout = s.o.writeTimeout
	config.MaxStreamWindowSize = streamWindow
	config.StreamOpenTimeout = openTimeout
	config.StreamCloseTimeout = closeTimeout
	// Its lines say nothing that the session's error does not, and a peer can
	// cause any number of them.
	config.LogOutput, config.Logger = nil, log.New(io.Discard, "", 0)

	guarded := &guard{Conn: conn, mayOpen: s.mayOpen, traffic: s.o.Traffic}
	var err error
	// mayOpen is first called from a goroutine of yamux, which may be before
	// s.mux is set: it waits for the lock.
	s.mu.Lock()
	defer s.mu.Unlock()
	if opener {
		s.mux, err = yamux.Client(guarded, config)
	} else {
		s.mux, err = yamux.Server(guarded, config)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "tunnel_failed", "the access tunnel could not be set up")
	}
	return s, nil
}

// mayOpen judges a stream that the peer opens.
func (s *Session) mayOpen() error {
	var err error
	s.mu.Lock()
	mux := s.mux
	s.mu.Unlock()
	switch {
	case s.opener:
		err = violation("it opened a stream")
	case mux.NumStreams() >= 2*s.o.Streams:
		err = violation("it opened more than %d streams", s.o.Streams)
	}
	if err != nil {
		s.note(err)
	}
	return err
}

// Open opens a stream. It blocks only while the connection takes nothing.
// Codes: access_limit (RateLimited) when too many are open, tunnel_closed
// (Unavailable) when the session has ended.
func (s *Session) Open() (*Stream, error) {
	st, err := s.add()
	if err != nil {
		return nil, err
	}
	// Streams that the peer has not closed count too.
	if s.mux.NumStreams() >= s.o.Streams+s.o.Streams/2 {
		s.remove(st)
		return nil, s.full()
	}
	raw, err := s.mux.OpenStream()
	if err != nil {
		s.remove(st)
		return nil, s.fail(err)
	}
	st.start(raw)
	return st, nil
}

// Accept waits for the next stream. Those above the limit are closed at once.
func (s *Session) Accept() (*Stream, error) {
	for {
		raw, err := s.mux.AcceptStream()
		if err != nil {
			return nil, s.fail(err)
		}
		st, err := s.add()
		if err != nil {
			raw.Close()
			continue
		}
		st.start(raw)
		return st, nil
	}
}

func (s *Session) full() error {
	return fault.New(fault.RateLimited, "access_limit", "%d streams of this cluster are open; that is the limit", s.o.Streams).
		WithFix("close some that you do not need, or try again later")
}

// add makes a stream that is not started yet.
func (s *Session) add() (*Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing || s.mux.IsClosed():
		return nil, s.closedError()
	case len(s.streams) >= s.o.Streams:
		return nil, s.full()
	}
	st := newStream(s)
	s.streams[st] = struct{}{}
	return st, nil
}

func (s *Session) remove(st *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.streams[st]; !ok {
		return
	}
	delete(s.streams, st)
	s.grown -= st.window - firstWindow
	if len(s.streams) == 0 {
		s.changed = time.Now()
	}
}

// widen lets a stream's window change by up to n bytes and answers by how many
// it does: there is always room for the first window of every stream.
func (s *Session) widen(st *Stream, n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.streams[st]; !ok {
		return 0
	}
	n = min(n, s.o.Unread-s.o.Streams*firstWindow-s.grown)
	st.window += n
	s.grown += n
	return n
}

// Streams is the number of open streams.
func (s *Session) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// CloseIdle closes the session when no stream has been open for d, and answers
// whether it did. No stream is opened meanwhile.
func (s *Session) CloseIdle(d time.Duration) bool {
	s.mu.Lock()
	idle := len(s.streams) == 0 && time.Since(s.changed) >= d
	s.closing = s.closing || idle
	s.mu.Unlock()
	if idle {
		s.Close(nil)
	}
	return idle
}

// Close ends the session and all its streams. cause is what Err answers, unless
// the session has ended before; it may be nil.
func (s *Session) Close(cause error) {
	if cause == nil {
		cause = errClosed
	}
	s.note(cause)
	s.mux.Close()
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.mux.CloseChan() }

// Err is why the session has ended; nil as long as it has not.
func (s *Session) Err() error {
	if !s.mux.IsClosed() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closedError()
}

var errClosed = fault.New(fault.Unavailable, "tunnel_closed", "the access tunnel was closed")

// note keeps the first cause.
func (s *Session) note(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	if s.cause == nil {
		s.cause = cause
	}
}

func (s *Session) closedError() error {
	if s.cause != nil {
		return s.cause
	}
	return errClosed
}

// fail judges an error of yamux. All but those of a single stream end the
// session.
func (s *Session) fail(err error) error {
	switch {
	case errors.Is(err, yamux.ErrConnectionWriteTimeout), errors.Is(err, yamux.ErrTimeout):
		s.Close(fault.Wrap(err, fault.Unavailable, "tunnel_stuck", "the access tunnel took nothing for %s", s.o.writeTimeout))
	case !s.mux.IsClosed() && (errors.Is(err, yamux.ErrStreamClosed) || errors.Is(err, yamux.ErrConnectionReset)):
		return errHungUp
	case !s.mux.IsClosed():
		s.Close(lost(err))
	default:
		s.note(lost(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closedError()
}

// lost is the error of a connection that broke.
func lost(err error) error {
	var already *fault.Error
	if errors.As(err, &already) {
		return already
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // nobody may take this for the end of a stream
	}
	return fault.Wrap(err, fault.Unavailable, "tunnel_lost", "the access tunnel was lost")
}

// errHungUp: the other end closed this stream.
var errHungUp = fault.New(fault.Unavailable, "stream_closed", "the other end closed the stream")

// AwaitEnd blocks until the session has ended, by itself or because ctx did,
// and answers why.
func (s *Session) AwaitEnd(ctx context.Context) error {
	select {
	case <-s.Done():
	case <-ctx.Done():
		s.Close(nil)
	}
	return s.Err()
}
