package source

import (
	"net"
	"net/netip"
	"sync"
	"testing"
)

// silent listens on an address of a network that tests block, and counts who
// comes.
type silent struct {
	address string

	mu   sync.Mutex
	seen int
}

// silentServer listens on 127.9.0.1.
func silentServer(t *testing.T) *silent {
	t.Helper()
	ln, err := net.Listen("tcp", "127.9.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silent{address: ln.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.seen++
			s.mu.Unlock()
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = ln.Close(); running.Wait() })
	return s
}

// networks are DefaultBlocked and the one that the server is in.
func (s *silent) networks() []netip.Prefix {
	return append(DefaultBlocked(), netip.MustParsePrefix("127.9.0.0/16"))
}

func (s *silent) sawNothing(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen > 0 {
		t.Errorf("a server in a blocked network was connected to %d times", s.seen)
	}
}
