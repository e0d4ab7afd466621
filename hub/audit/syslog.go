package audit

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// settle is how long a connection must live on after records were written, before
// they count as received: syslog has no acknowledgements. A receiver that goes away
// ends or resets its connection, which is seen within that time.
const settle = 2 * time.Second

// facility 13 of RFC 5424 is "log audit".
const facility = 13 * 8

// syslog sends RFC 5424 over a connection, with lengths before the messages (RFC 6587
// and, with TLS, RFC 5425).
type syslog struct {
	r    Receiver
	conn net.Conn
	gone chan struct{} // closed when the other end is
}

func (s *syslog) name() string { return s.r.String() }

func (s *syslog) close() {
	if s.conn != nil {
		_ = s.conn.Close() // all that counted as sent has been looked after
		<-s.gone
		s.conn = nil
	}
}

func (s *syslog) send(ctx context.Context, records []taken) (err error) {
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.conn != nil {
		select {
		case <-s.gone:
			s.close()
		default:
		}
	}
	if s.conn == nil {
		if err := s.dial(ctx); err != nil {
			return fault.Wrap(err, fault.Unavailable, "audit_receiver_unavailable", "no connection: %v", err)
		}
	}
	var b bytes.Buffer
	for _, t := range records {
		m := message(s.r.host, t)
		fmt.Fprintf(&b, "%d %s", len(m), m)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Unix(1, 0)) })
	_, err = s.conn.Write(b.Bytes())
	if !stop() || err != nil {
		return fault.New(fault.Unavailable, "audit_receiver_unavailable", "the connection ended: %v", err)
	}
	select {
	case <-s.gone:
		return fault.New(fault.Unavailable, "audit_receiver_unavailable", "the receiver ended the connection")
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settle):
		return nil
	}
}

func (s *syslog) dial(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var conn net.Conn
	var err error
	if s.r.url.Scheme == "syslog+tls" {
		conn, err = (&tls.Dialer{Config: s.r.tls}).DialContext(bounded, "tcp", s.r.url.Host)
	} else {
		conn, err = (&net.Dialer{}).DialContext(bounded, "tcp", s.r.url.Host)
	}
	if err != nil {
		return err
	}
	s.conn, s.gone = conn, make(chan struct{})
	go func(gone chan struct{}) { // ends with the connection
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn) // a receiver says nothing; that it ends is the news
	}(s.gone)
	return nil
}

// message is a record in RFC 5424. Its text is the line of an export, JSON in one
// line, in which nothing can pass for another message.
func message(host string, t taken) []byte {
	severity := 5 // notice
	switch {
	case t.record.Kind == audit.Alarm:
		severity = 1 // alert
	case t.record.Outcome == audit.Failed || t.record.Outcome == audit.Denied:
		severity = 4 // warning
	}
	return fmt.Appendf(nil, "<%d>1 %s %s hawser-hub - %s - %s", facility+severity, t.record.At.UTC().Format("2006-01-02T15:04:05.000000Z"), host, t.record.Kind, t.line)
}
