package search

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// walk is one reading of one source, in chunks that overlap.
type walk struct {
	s          *Searcher
	where, how string
	src        io.ReaderAt
	size       int64
	level      int
	found      []Finding
	seen       map[string]bool // of each canary and spelling the first is told

	run64, run16 []byte // digits up to here
}

// Readers are used again: most streams that seem to begin are none.
var (
	inflaters = sync.Pool{New: func() any { return flate.NewReader(strings.NewReader("")) }}
	gzips     = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zlibs     sync.Pool // one is made by reading
)

// maxRun bounds a run of digits that is decoded at once; longer ones are decoded in
// pieces that overlap.
const maxRun = 8 << 20

func (w *walk) run() error {
	if w.size <= everywhere && w.level == depth {
		for i := int64(0); i < w.size; i++ {
			w.deflate(i)
		}
	} else {
		w.deflate(0)
	}
	buf := make([]byte, int(min(int64(w.s.chunk), w.size))+w.s.longest+9)
	kept := 0
	for at := int64(0); ; {
		n, err := w.src.ReadAt(buf[kept:], at)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		have := buf[:kept+n]
		w.digits(buf[kept : kept+n])
		at += int64(n)
		start := at - int64(len(have))
		// What begins in the tail is seen with the next chunk, whole.
		tail := min(w.s.longest+8, len(have))
		if last {
			tail = 0
		}
		w.chunk(have, len(have)-tail, start)
		if last {
			w.flush64(false)
			w.flush16(false)
			return nil
		}
		kept = copy(buf, have[len(have)-tail:])
	}
}

// chunk looks at what begins before end in b, which is at start of the source.
func (w *walk) chunk(b []byte, end int, start int64) {
	for i := 0; i < end; i++ {
		if i+4 <= len(b) {
			k := binary.LittleEndian.Uint32(b[i:])
			if w.s.likely[hash(k)] {
				for _, n := range w.s.needles[k] {
					if bytes.HasPrefix(b[i:], n.b) {
						w.tell(n, start+int64(i), b[max(i-80, 0):min(i+len(n.b)+40, len(b))])
					}
				}
			}
		}
		if w.level == 0 || i+2 > len(b) {
			continue
		}
		at := start + int64(i)
		switch {
		case b[i] == 0x1f && b[i+1] == 0x8b && (i+2 == len(b) || b[i+2] == 8):
			w.inner("gzip", at, openGzip)
		case b[i]&0x0f == 8 && b[i]>>4 <= 7 && (int(b[i])<<8|int(b[i+1]))%31 == 0:
			w.inner("zlib", at, openZlib)
		case b[i] == 0x28 && bytes.HasPrefix(b[i:], []byte{0x28, 0xb5, 0x2f, 0xfd}):
			w.inner("zstd", at, openZstd)
		case b[i] == 'P' && bytes.HasPrefix(b[i:], []byte("PK\x03\x04")) && i+30 <= len(b):
			name, extra := binary.LittleEndian.Uint16(b[i+26:]), binary.LittleEndian.Uint16(b[i+28:])
			w.deflate(at + 30 + int64(name) + int64(extra))
		}
	}
}

func (w *walk) tell(n needle, at int64, around []byte) {
	how := n.how
	if w.how != "" {
		how = w.how + ", " + how
	}
	w.add(Finding{Canary: n.canary, How: how, Where: w.where, Offset: at, Around: string(around)})
}

func (w *walk) add(f Finding) {
	if key := f.Canary + "\x00" + f.How; !w.seen[key] {
		w.seen[key] = true
		w.found = append(w.found, f)
	}
}

// deflate looks whether raw deflate begins at an offset.
func (w *walk) deflate(at int64) {
	if w.level == 0 || at >= w.size {
		return
	}
	w.inner("deflate", at, openDeflate)
}

// Each opens a stream, and says how its reader is given back.

func openGzip(r io.Reader) (io.Reader, func(), error) {
	z := gzips.Get().(*gzip.Reader)
	if err := z.Reset(r); err != nil {
		gzips.Put(z)
		return nil, nil, err
	}
	return z, func() { gzips.Put(z) }, nil
}

func openZlib(r io.Reader) (io.Reader, func(), error) {
	z, ok := zlibs.Get().(io.ReadCloser)
	if !ok {
		z, err := zlib.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { zlibs.Put(z) }, nil
	}
	if err := z.(zlib.Resetter).Reset(r, nil); err != nil {
		return nil, nil, err
	}
	return z, func() { zlibs.Put(z) }, nil
}

func openDeflate(r io.Reader) (io.Reader, func(), error) {
	f := inflaters.Get().(io.ReadCloser)
	if err := f.(flate.Resetter).Reset(r, nil); err != nil {
		return nil, nil, err
	}
	return f, func() { inflaters.Put(f) }, nil
}

func openZstd(r io.Reader) (io.Reader, func(), error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}

// inner looks into a compressed stream. What of it can be read is looked at, also
// when its end is missing.
func (w *walk) inner(how string, at int64, open func(io.Reader) (io.Reader, func(), error)) {
	r, done, err := open(&byteReader{r: io.NewSectionReader(w.src, at, w.size-at)})
	if err != nil {
		return
	}
	out, _ := io.ReadAll(io.LimitReader(r, maxInner))
	done()
	if len(out) >= minLength {
		w.within(how, out)
	}
}

func (w *walk) within(how string, b []byte) {
	if w.how != "" {
		how = w.how + ", " + how
	}
	level := w.level - 1
	// What raw deflate makes of chance is looked at as it is.
	if strings.HasSuffix(how, "deflate") {
		level = 0
	}
	for _, f := range w.s.in(w.where, how, b, level) {
		w.add(f)
	}
}

// byteReader reads small pieces: most streams that seem to begin do not.
type byteReader struct {
	r   io.Reader
	buf [512]byte
	b   []byte
}

func (r *byteReader) fill() error {
	if len(r.b) > 0 {
		return nil
	}
	n, err := r.r.Read(r.buf[:])
	r.b = r.buf[:n]
	if n > 0 {
		return nil
	}
	return err
}

func (r *byteReader) Read(p []byte) (int, error) {
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func (r *byteReader) ReadByte() (byte, error) {
	if err := r.fill(); err != nil {
		return 0, err
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}

// The kinds of digits.
const (
	digit64 = 1 << iota
	digit16
)

var kinds = func() (out [256]byte) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_") {
		out[c] |= digit64
	}
	for _, c := range []byte("0123456789abcdefABCDEF") {
		out[c] |= digit16
	}
	return out
}()

// digits follows runs of digits of base64 and hexadecimal numbers, over chunks.
func (w *walk) digits(b []byte) {
	if w.level == 0 {
		return
	}
	for _, c := range b {
		if k := kinds[c]; k&digit64 != 0 {
			if w.run64 = append(w.run64, c); len(w.run64) >= maxRun {
				w.flush64(true)
			}
			if k&digit16 != 0 {
				if w.run16 = append(w.run16, c); len(w.run16) >= maxRun {
					w.flush16(true)
				}
				continue
			}
		} else {
			w.flush64(false)
		}
		w.flush16(false)
	}
}

// minRun is the shortest run of digits that can hold a compressed canary.
const minRun = 2 * minLength

func (w *walk) flush64(more bool) {
	run := w.run64
	if w.run64 = w.run64[:0]; len(run) < minRun {
		return
	}
	for i, c := range run {
		switch c {
		case '-':
			run[i] = '+'
		case '_':
			run[i] = '/'
		}
	}
	// Where the first digit of a group is nobody says: text may stand before it.
	for offset := range 4 {
		group := run[offset:]
		if len(group)%4 == 1 {
			group = group[:len(group)-1]
		}
		out := make([]byte, base64.RawStdEncoding.DecodedLen(len(group)))
		if n, err := base64.RawStdEncoding.Decode(out, group); err == nil {
			w.within("base64", out[:n])
		}
	}
	if more {
		w.run64 = append(w.run64, run[len(run)-maxRun/2:]...)
	}
}

func (w *walk) flush16(more bool) {
	run := w.run16
	if w.run16 = w.run16[:0]; len(run) < 2*minRun {
		return
	}
	for offset := range 2 {
		digits := run[offset:]
		digits = digits[:len(digits)&^1]
		out := make([]byte, len(digits)/2)
		if _, err := hex.Decode(out, digits); err == nil {
			w.within("hex", out)
		}
	}
	if more {
		w.run16 = append(w.run16, run[len(run)-maxRun/2:]...)
	}
}
