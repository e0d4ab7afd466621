package worker

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"
)

// A worker may have been taken over by what it reads: its messages end the
// conversation when they are none, and memory follows what came, not what was said.
func FuzzConn(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 2, 10, 0})
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Add([]byte{0, 16, 0, 0, 1})
	f.Fuzz(func(t *testing.T, said []byte) {
		c := NewConn(bytes.NewReader(said), io.Discard)
		for rest := len(said); ; {
			var m structpb.Value
			if err := c.Receive(&m); err != nil {
				return
			}
			from := len(said) - rest
			rest -= 4 + int(binary.BigEndian.Uint32(said[from:]))
			if rest < 0 {
				t.Fatal("a message was read that was not there")
			}
		}
	})
}
