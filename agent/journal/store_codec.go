package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/hawser-dev/hawser/shared/model"
)

// Codec turns state into the bytes of a Secret: a mark, a checksum of the rest,
// and zstd of JSON. It may be used by several stores at a time.
type Codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

const (
	mark = "HWJ1"
	// maxDecoded bounds what a shard may expand to.
	maxDecoded = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NewCodec makes a codec, which keeps half a MiB of buffers.
func NewCodec() (*Codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecoded), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return &Codec{enc: enc, dec: dec}, nil
}

func (c *Codec) encode(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(mark)+4, len(mark)+4+len(plain)/4)
	copy(out, mark)
	out = c.enc.EncodeAll(plain, out)
	binary.BigEndian.PutUint32(out[len(mark):], crc32.Checksum(out[len(mark)+4:], castagnoli))
	return out, nil
}

var (
	errMark     = errors.New("the mark at the beginning is missing")
	errChecksum = errors.New("the checksum is wrong")
)

func (c *Codec) decode(data []byte, v any) error {
	if len(data) < len(mark)+4 || string(data[:len(mark)]) != mark {
		return errMark
	}
	rest := data[len(mark)+4:]
	if crc32.Checksum(rest, castagnoli) != binary.BigEndian.Uint32(data[len(mark):]) {
		return errChecksum
	}
	plain, err := c.dec.DecodeAll(rest, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, v)
}

// shardDoc is the content of a state Secret.
type shardDoc struct {
	// Seq rises with each write of the journal; of two copies of a record, as a
	// crash between the writes of a move leaves, the one with the higher wins.
	Seq     int64                         `json:"seq"`
	Records []json.RawMessage             `json:"records"`
	Bundles map[model.Digest][]bundlePart `json:"bundles"`
}

// rawRecord is the JSON of a record, pressed: it is needed again only when another
// record of its shard changes, and there is one for every application.
type rawRecord struct {
	block []byte // s2
	size  int    // of the JSON
}

func pressed(plain []byte) rawRecord {
	return rawRecord{block: slices.Clone(s2.Encode(nil, plain)), size: len(plain)}
}

func (r rawRecord) json() (json.RawMessage, error) { return s2.Decode(nil, r.block) }

// headDoc is the content of the head Secret.
type headDoc struct {
	Seq  int64 `json:"seq"`
	Head Head  `json:"head"`
}

// bundlePart is a piece of an encoded bundle.
type bundlePart struct {
	Pack   string `json:"p"`
	Offset int    `json:"o"`
	Length int    `json:"n"`
}

func sortedCodes(m map[string]model.Condition) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
