package tunnel

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
)

// ContentSubtype is that of calls of Access.Tunnel. It chooses a codec which
// encodes Frames as protobuf does and spares the copies that the general one
// makes. Only callers that ask for it are served.
const ContentSubtype = "hawser-frame"

func init() { encoding.RegisterCodecV2(codec{}) }

// fieldData is the number of Frame.data.
const fieldData = 2

// outgoing is a Frame with nothing but data. Sending it gives the data to gRPC.
type outgoing struct{ data *[]byte }

// incoming is a Frame that was received: data alone, to be read from where gRPC
// has them, or something else.
type incoming struct {
	other agentv1.Frame
	data  *mem.Reader
}

type codec struct{}

// Name implements encoding.CodecV2.
func (codec) Name() string { return ContentSubtype }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	switch f := v.(type) {
	case *outgoing:
		head := protowire.AppendTag(make([]byte, 0, 8), fieldData, protowire.BytesType)
		head = protowire.AppendVarint(head, uint64(len(*f.data)))
		return mem.BufferSlice{mem.SliceBuffer(head), mem.NewBuffer(f.data, mem.DefaultBufferPool())}, nil
	case proto.Message:
		b, err := proto.Marshal(f)
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	return nil, fmt.Errorf("a tunnel does not send %T", v)
}

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*incoming)
	if !ok {
		return fmt.Errorf("a tunnel does not receive %T", v)
	}
	// A frame of data alone begins with their tag and length and ends with them.
	var head []byte
	if len(data) > 0 {
		head = data[0].ReadOnlyData()
	}
	number, kind, n := protowire.ConsumeTag(head)
	if n > 0 && number == fieldData && kind == protowire.BytesType {
		length, m := protowire.ConsumeVarint(head[n:])
		if m > 0 && length == uint64(data.Len()-n-m) {
			f.data = data.Reader()
			_, err := f.data.Discard(n + m)
			return err
		}
	}
	return proto.Unmarshal(data.Materialize(), &f.other)
}
