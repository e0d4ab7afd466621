package tunnel

import (
	"bytes"
	"encoding/binary"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
)

// The guard comes to the same end whatever the pieces that frames come in.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0, typePing, 0, flagSyn, 0, 0, 0, 0, 0, 0, 0, 1}, uint8(5))
	f.Add(append([]byte{0, typeData, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3}, "abc\x00\x01\x00\x01"...), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		type end struct {
			opened, pings, small, have int
			skip                       uint32
		}
		run := func(piece int) end {
			opened := 0
			g := &guard{mayOpen: func() error { opened++; return nil }}
			for rest := b; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if g.watch(rest[:min(piece, len(rest))]) != nil {
					return end{opened: -1}
				}
			}
			return end{opened, g.pings, g.small, g.have, g.skip}
		}
		if whole, parts := run(len(b)+1), run(int(piece)+1); whole != parts {
			t.Errorf("in pieces of %d: %+v, as a whole: %+v", piece+1, parts, whole)
		}
	})
}

// Whatever a peer puts on a stream, no more is kept than it was granted.
func FuzzRecords(f *testing.F) {
	f.Add(record(recordMessage, []byte("abc")))
	f.Add(record(recordCredit, binary.BigEndian.AppendUint32(nil, 1000)))
	f.Add(binary.BigEndian.AppendUint32(nil, MaxMessage+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Session{o: Options{}.withDefaults(), streams: map[*Stream]struct{}{}}
		st := newStream(s)
		if st.records(bytes.NewReader(b)) == nil {
			t.Error("records never end by themselves")
		}
		held := 0
		for _, m := range st.queue {
			held += len(*m)
		}
		if held > firstWindow+MaxMessage {
			t.Errorf("%d bytes are held", held)
		}
		if st.credit > maxWindow {
			t.Errorf("it was granted %d", st.credit)
		}
	})
}

// A frame is the same to the codec as to protobuf, or refused by both.
func FuzzFrame(f *testing.F) {
	for _, m := range []*agentv1.Frame{{Open: "id"}, {Data: []byte("data")}, {End: true}, {Data: []byte("data"), End: true}} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint8) {
		var want agentv1.Frame
		wantErr := proto.Unmarshal(b, &want)
		n := min(int(at), len(b))
		var got incoming
		err := codec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b[:n]), mem.SliceBuffer(b[n:])}, &got)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("the codec says %v, protobuf %v", err, wantErr)
		}
		if err != nil {
			return
		}
		data := got.other.Data
		if got.data != nil {
			data = make([]byte, got.data.Remaining())
			if _, err := got.data.Read(data); err != nil && len(data) > 0 {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(data, want.Data) || got.other.Open != want.Open || got.other.End != want.End {
			t.Errorf("the codec has %q, %q, %t; protobuf %v", data, got.other.Open, got.other.End, &want)
		}
	})
}
