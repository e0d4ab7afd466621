package cache

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// Whatever lies in a Redis under a name, what is read is what was sealed under it.
func FuzzSealed(f *testing.F) {
	s, err := newSealer(bytes.Repeat([]byte{7}, 32), "acme")
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	name := s.name(Space{Name: "a"}, "k")
	good := s.seal(name, "1", now.Add(time.Hour), []byte("value"))
	f.Add(good)
	f.Add(good[:overhead])
	f.Add(append(bytes.Clone(good), 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		// Each process that fuzzes has sealed the value anew, with the same key.
		value, err := s.open(name, "1", now, sealed)
		if err != nil && bytes.Equal(sealed, good) || err == nil && (string(value) != "value" || len(sealed) != len(good)) {
			t.Errorf("%x is read as %q, %v", sealed, value, err)
		}
		if err == nil {
			changed := bytes.Clone(sealed)
			changed[(int(sealed[len(sealed)-1])*7)%len(sealed)] ^= 1
			if value, err := s.open(name, "1", now, changed); err == nil {
				t.Errorf("%x, which was changed, is read as %q", changed, value)
			}
		}
	})
}

// A server may say what it likes: it is listened to until its first reply that none
// of our commands has, and never believed how long something will be.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "$5\r\nvalue\r\n", "$-1\r\n", "*2\r\n+a\r\n:1\r\n", "$999999999999\r\n", "*-2\r\n", "-ERR\n", "%1\r\n", "$1\r\n", "$+3\r\nabc"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, said []byte, piece int) {
		r := &replies{Conn: &talking{said: said, piece: max(1, piece%64)}}
		buf, read := make([]byte, 16), 0
		for {
			n, err := r.Read(buf)
			read += n
			if len(r.line) > maxLine+1 || r.body < 0 || r.body > MaxValue+overhead+3 {
				t.Fatalf("after %q: a line of %d bytes, %d to come", said, len(r.line), r.body)
			}
			if err != nil {
				break
			}
		}
		if read > len(said) {
			t.Fatalf("%d bytes of %d", read, len(said))
		}
		if _, err := r.Read(buf); err == nil {
			t.Fatal("after the end it goes on")
		}
	})
}

// talking is a connection on which the other end says something in pieces.
type talking struct {
	net.Conn
	said  []byte
	piece int
}

func (c *talking) Read(p []byte) (int, error) {
	if len(c.said) == 0 {
		return 0, net.ErrClosed
	}
	n := copy(p[:min(len(p), c.piece)], c.said)
	c.said = c.said[n:]
	return n, nil
}
