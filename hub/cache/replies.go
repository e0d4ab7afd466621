package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
)

const (
	// maxLine of a reply that is one line.
	maxLine = 4096
	// A greeting is a list, with a list of modules in it. Nothing else is.
	maxLists  = 256
	maxMember = 64
)

var errReply = errors.New("the server's reply is none that was asked for")

// replies is a connection to a server that is not trusted: it ends at the first
// reply that none of our commands has. The client would make room for whatever
// length a server names.
type replies struct {
	net.Conn
	line []byte // of the reply that has begun
	body int    // bytes of a value that are to come, with its line's end
	// lists that came so far.
	lists int
	err   error
}

func (r *replies) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.Conn.Read(p)
	for i := 0; i < n; {
		if r.body > 0 {
			k := min(r.body, n-i)
			r.body -= k
			i += k
			continue
		}
		r.line = append(r.line, p[i])
		i++
		if r.err = r.judge(); r.err != nil {
			return 0, r.err
		}
	}
	return n, err
}

// judge looks at the line as far as it is there.
func (r *replies) judge() error {
	switch r.line[0] {
	case '+', '-', ':', '$', '*':
	default:
		return errReply
	}
	if len(r.line) > maxLine || (r.line[0] == '$' || r.line[0] == '*') && len(r.line) > 16 {
		return errReply
	}
	if r.line[len(r.line)-1] != '\n' {
		return nil
	}
	if len(r.line) < 3 || r.line[len(r.line)-2] != '\r' {
		return errReply
	}
	size, err := strconv.Atoi(string(r.line[1 : len(r.line)-2]))
	switch r.line[0] {
	case '*':
		if r.lists++; err != nil || size < -1 || size > maxMember || r.lists > maxLists {
			return errReply
		}
	case '$':
		if err != nil || size < -1 || size > MaxValue+overhead+1 {
			return errReply
		}
		if size >= 0 {
			r.body = size + 2
		}
	}
	r.line = r.line[:0]
	return nil
}

// dial connects, with TLS if config is not nil.
func dial(config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if config != nil {
			conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &replies{Conn: conn}, nil
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &replies{Conn: conn}, nil
	}
}
