package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/fault"
)

// lineStream writes an answer that goes on in lines, as JSON documents or as
// text. Its writer waits for a slow client, and is freed when the permission
// ends. One goroutine uses it.
type lineStream struct {
	l     *look
	c     *gin.Context
	rc    *http.ResponseController
	text  bool
	buf   bytes.Buffer
	json  *json.Encoder
	slow  time.Duration
	begun bool

	mu    sync.Mutex
	ended bool // no deadline is set any more: the connection is the next request's
	over  bool // the permission has ended
}

// stopGrace is how long the last line may take to a client that reads.
const stopGrace = 2 * time.Second

func newLineStream(c *gin.Context, l *look, text bool) *lineStream {
	s := &lineStream{l: l, c: c, rc: http.NewResponseController(c.Writer), text: text, slow: l.a.meters.limits.SlowReader}
	s.json = json.NewEncoder(&s.buf)
	s.json.SetEscapeHTML(false)
	// A write that waits for its client must not outlive the permission.
	context.AfterFunc(l.ctx, func() { s.deadline(func() time.Time { s.over = true; return time.Now().Add(stopGrace) }) })
	return s
}

// deadline sets that of writes, unless the last one was set. Not every writer
// has deadlines; then the server's own hold.
func (s *lineStream) deadline(when func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		_ = s.rc.SetWriteDeadline(when())
	}
}

// normal sets a deadline as long as the permission has not ended.
func (s *lineStream) normal(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended && !s.over {
		_ = s.rc.SetWriteDeadline(t)
	}
}

// begin sends the header. Until then the request can still be refused.
func (s *lineStream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	h := s.c.Writer.Header()
	s.c.Set(keyStream, true)
	h.Set("Content-Type", mediaLines)
	if s.text {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Trailer", endTrailer)
	}
	h.Set("X-Accel-Buffering", "no") // for proxies that would collect it
	s.c.Writer.WriteHeader(http.StatusOK)
}

// endTrailer tells readers of text how an answer ended: "ok", or a code.
const endTrailer = "Hawser-End"

// document adds a JSON line.
func (s *lineStream) document(v any) error { return s.json.Encode(v) }

// flush sends what was added.
func (s *lineStream) flush() error {
	s.begin()
	s.normal(time.Now().Add(s.slow))
	_, err := s.c.Writer.Write(s.buf.Bytes())
	s.buf.Reset()
	if err == nil {
		err = s.rc.Flush()
	}
	// An HTTP/2 stream would be reset by a deadline that passes while idle.
	s.normal(time.Time{})
	return err
}

// end says why the answer ended; a nil error that all went well. A request whose
// answer has not begun is refused with a problem document.
func (s *lineStream) end(err error) {
	defer func() {
		s.deadline(func() time.Time { s.ended = true; return time.Time{} })
	}()
	if err != nil && !s.begun {
		s.l.a.fail(s.c, err)
		return
	}
	endedBy(s.c, err, "ended by itself")
	code := "ok"
	var p *problem
	if err != nil {
		_ = s.c.Error(err) // for the log line
		full := newProblem(err, requestID(s.c))
		p, code = &full, full.Code
	}
	if s.text {
		if p != nil {
			s.buf.WriteString("hawser: " + p.Detail + " (" + p.Code + ")\n")
		}
	} else {
		_ = s.document(struct { // plain values always encode
			End *problem `json:"end"`
		}{p})
	}
	s.deadline(func() time.Time { return time.Now().Add(stopGrace) })
	s.begin()
	_, _ = s.c.Writer.Write(s.buf.Bytes()) // the client may be gone
	s.buf.Reset()
	_ = s.rc.Flush()
	s.c.Writer.Header().Set(endTrailer, code)
}

// pieces hands the pieces of an answer to f until it ends; f adds lines. While
// nothing comes, an empty line shows that the hub is there. It answers why the
// answer ended, nil when it was complete.
func (s *lineStream) pieces(f func(piece) error) error {
	found := make(chan piece)
	ctx, cancel := context.WithCancel(s.l.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := s.l.receive()
			select {
			case found <- piece{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil || m.End != nil {
				return
			}
		}
	}()
	defer func() {
		cancel()
		s.l.stream.Close()
		<-done
	}()
	alive := time.NewTicker(s.l.a.opts.Heartbeat)
	defer alive.Stop()
	for {
		select {
		case p := <-found:
			switch {
			case p.err != nil:
				return p.err
			case p.End != nil:
				return nil
			}
			if err := f(p); err != nil {
				return err
			}
		case <-alive.C:
			if s.text {
				continue
			}
			s.buf.WriteByte('\n')
		case <-s.l.ctx.Done():
			return s.l.explain(s.l.ctx.Err())
		}
		if err := s.flush(); err != nil {
			if cause := s.l.ctx.Err(); cause != nil {
				return s.l.explain(cause)
			}
			return fault.Wrap(err, fault.Unavailable, "client_gone", "the client has gone, or took nothing for %s", s.slow)
		}
	}
}
