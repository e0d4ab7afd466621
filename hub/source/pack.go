package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/klauspost/compress/zlib"
)

// A pack is what a Git server sends objects in. It is written to a file while it
// is read, and each object is hashed on the way; what is a difference to another
// object is put together afterwards, from the file. Nothing is believed: memory
// is taken for what came and not for what was announced.

const (
	// maxObjects of one pack.
	maxObjects = 5_000_000
	// maxObject bounds one object, in bytes.
	maxObject = 256 << 20
	// maxInflation bounds all objects of a pack, in multiples of what may be
	// transferred.
	maxInflation = 4
	// maxLive bounds the objects that are in memory while differences are put
	// together.
	maxLive = 512 << 20
	// maxChain is how many differences may follow one another. Git itself makes
	// no longer ones.
	maxChain = 4096
)

var (
	errManyObjects = errors.New("too many objects")
	errLargeObject = errors.New("an object is too large")
	// errNoBase: a difference to an object that is not here.
	errNoBase = errors.New("the pack needs an object that is not here")
)

func errPack(format string, args ...any) error {
	return fmt.Errorf("%w: the pack is broken: %s", errProtocol, fmt.Sprintf(format, args...))
}

// packed is one object of a pack.
type packed struct {
	offset int64
	size   int64 // of the object, or of the difference
	hash   plumbing.Hash
	crc    uint32
	base   int32 // index of the base of an offset delta, -1 otherwise
	typ    plumbing.ObjectType
}

func (p *packed) isDelta() bool {
	return p.typ == plumbing.OFSDeltaObject || p.typ == plumbing.REFDeltaObject
}

// packIndexer reads one pack.
type packIndexer struct {
	file    *os.File
	entries []packed
	end     int64 // of the objects, where the checksum begins
	// refs are the deltas against an object named by its hash.
	refs map[plumbing.Hash][]int32
	// child and next are the offset deltas of each object, as lists.
	child, next []int32
	// outside finds an object that is not in the pack, and tells its type.
	outside func(plumbing.Hash) (plumbing.ObjectType, []byte, error)
	// bases are the objects from outside that were needed, in the order found.
	bases []outsideBase

	taken []atomic.Bool // deltas that somebody puts together
	done  atomic.Int64  // how many were
	live  atomic.Int64  // bytes in memory
	// keep is called with each object when set.
	keep func(plumbing.ObjectType, []byte) error
}

type outsideBase struct {
	typ     plumbing.ObjectType
	hash    plumbing.Hash
	content []byte
}

// read reads the whole pack from r into the file. limit bounds what objects may
// have together, in bytes.
func (p *packIndexer) read(r io.Reader, limit int64) error {
	out := bufio.NewWriterSize(p.file, 256<<10)
	tee := &countingReader{r: io.TeeReader(r, out)}
	in := bufio.NewReaderSize(tee, 64<<10)
	at := func() int64 { return tee.n - int64(in.Buffered()) }

	var head [12]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return cut(err)
	}
	if string(head[:4]) != "PACK" {
		return fmt.Errorf("%w: the pack has another beginning", errProtocol)
	}
	if v := binary.BigEndian.Uint32(head[4:]); v != 2 {
		return errPack("version %d", v)
	}
	count := binary.BigEndian.Uint32(head[8:])
	if count > maxObjects {
		return errManyObjects
	}
	var inflate inflater
	var total int64
	p.refs = map[plumbing.Hash][]int32{}
	for i := range count {
		e := packed{offset: at(), base: -1}
		if err := p.header(in, &e, int32(i)); err != nil {
			return cut(err)
		}
		if e.size > maxObject {
			return errLargeObject
		}
		if total += e.size; limit > 0 && total > limit {
			return &errTooMuch{limit}
		}
		sink := io.Discard
		var hash plumbing.Hasher
		if !e.isDelta() {
			hash = plumbing.NewHasher(e.typ, e.size)
			sink = hash
		}
		if err := inflate.copy(sink, in, e.size); err != nil {
			return cut(err)
		}
		if !e.isDelta() {
			e.hash = hash.Sum()
		}
		p.entries = append(p.entries, e)
	}
	p.end = at()
	var sum [20]byte
	if _, err := io.ReadFull(in, sum[:]); err != nil {
		return cut(err)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return errPack("there is something behind its end")
	}
	if err := out.Flush(); err != nil {
		return err
	}
	got, err := p.checksum()
	if err != nil {
		return err
	}
	if got != sum {
		return errPack("its checksum is wrong")
	}
	return nil
}

// cut says that an end came where none should be.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// header reads what comes before the compressed bytes of object i.
func (p *packIndexer) header(in *bufio.Reader, e *packed, i int32) error {
	b, err := in.ReadByte()
	if err != nil {
		return err
	}
	e.typ = plumbing.ObjectType(b >> 4 & 7)
	e.size = int64(b & 15)
	for shift := uint(4); b&0x80 != 0; shift += 7 {
		if b, err = in.ReadByte(); err != nil {
			return err
		}
		if shift > 50 {
			return errPack("a size has too many digits")
		}
		e.size |= int64(b&0x7f) << shift
	}
	switch e.typ {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
	case plumbing.OFSDeltaObject:
		back, err := offsetOf(in)
		if err != nil {
			return err
		}
		base := sort.Search(len(p.entries), func(k int) bool { return p.entries[k].offset >= e.offset-back })
		if base == len(p.entries) || p.entries[base].offset != e.offset-back {
			return errPack("a difference is to something that is no object")
		}
		e.base = int32(base)
	case plumbing.REFDeltaObject:
		var base plumbing.Hash
		if _, err := io.ReadFull(in, base[:]); err != nil {
			return err
		}
		p.refs[base] = append(p.refs[base], i)
	default:
		return errPack("an object has the unknown type %d", e.typ)
	}
	return nil
}

// offsetOf reads how far back the base of a delta is.
func offsetOf(in *bufio.Reader) (int64, error) {
	b, err := in.ReadByte()
	if err != nil {
		return 0, err
	}
	n := int64(b & 0x7f)
	for b&0x80 != 0 {
		if b, err = in.ReadByte(); err != nil {
			return 0, err
		}
		if n > 1<<48 {
			return 0, errPack("an offset has too many digits")
		}
		n = (n+1)<<7 | int64(b&0x7f)
	}
	return n, nil
}

// inflater decompresses one object after the other.
type inflater struct {
	z   io.ReadCloser
	buf []byte
}

func (f *inflater) reset(in *bufio.Reader) error {
	if f.z == nil {
		z, err := zlib.NewReader(in)
		if err != nil {
			return errPack("%s", err)
		}
		f.z = z
		f.buf = make([]byte, 32<<10)
		return nil
	}
	if err := f.z.(zlib.Resetter).Reset(in, nil); err != nil {
		return broken(err)
	}
	return nil
}

// broken tells what is wrong with the pack from what is wrong with the transfer.
func broken(err error) error {
	if errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) || errors.Is(err, zlib.ErrDictionary) {
		return errPack("%s", err)
	}
	return err
}

// copy decompresses what must have exactly this size.
func (f *inflater) copy(to io.Writer, in *bufio.Reader, size int64) error {
	if err := f.reset(in); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, io.LimitReader(f.z, size), f.buf)
	if err != nil {
		return broken(err)
	}
	if n < size {
		return errPack("an object is shorter than it says")
	}
	// Reads the end, and its checksum.
	if n, err := f.z.Read(f.buf[:1]); n != 0 || !errors.Is(err, io.EOF) {
		if n != 0 || err == nil {
			return errPack("an object is longer than it says")
		}
		return broken(err)
	}
	return nil
}

// content reads object i from the file, as it is there.
func (p *packIndexer) content(f *fileInflater, i int32) ([]byte, error) {
	e := &p.entries[i]
	end := p.end
	if int(i)+1 < len(p.entries) {
		end = p.entries[i+1].offset
	}
	return f.read(p.file, e, end)
}

// fileInflater reads objects out of a file.
type fileInflater struct {
	inflater
	in *bufio.Reader
}

func (f *fileInflater) read(file io.ReaderAt, e *packed, end int64) ([]byte, error) {
	if f.in == nil {
		f.in = bufio.NewReaderSize(nil, 8<<10)
	}
	f.in.Reset(io.NewSectionReader(file, e.offset, end-e.offset))
	b, err := f.in.ReadByte()
	for ; err == nil && b&0x80 != 0; b, err = f.in.ReadByte() {
	}
	if err == nil {
		switch {
		case e.typ == plumbing.REFDeltaObject:
			_, err = f.in.Discard(20)
		case e.typ == plumbing.OFSDeltaObject:
			_, err = offsetOf(f.in)
		}
	}
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(make([]byte, 0, e.size))
	err = f.copy(out, f.in, e.size)
	return out.Bytes(), err
}

// resolve puts all deltas together, and hashes them.
func (p *packIndexer) resolve() error {
	n := len(p.entries)
	p.child, p.next = make([]int32, n), make([]int32, n)
	p.taken = make([]atomic.Bool, n)
	for i := range n {
		p.child[i], p.next[i] = -1, -1
	}
	deltas := 0
	for i := n - 1; i >= 0; i-- {
		if !p.entries[i].isDelta() {
			continue
		}
		deltas++
		if b := p.entries[i].base; b >= 0 {
			p.next[i] = p.child[b]
			p.child[b] = int32(i)
		}
	}
	if err := p.resolveInside(); err != nil {
		return err
	}
	if int(p.done.Load()) == deltas {
		return nil
	}
	if err := p.resolveOutside(); err != nil {
		return err
	}
	if int(p.done.Load()) != deltas {
		return errNoBase
	}
	return nil
}

// resolveInside begins at each object that is whole, on two processors.
func (p *packIndexer) resolveInside() error {
	var at atomic.Int64
	var failed atomic.Bool
	errs := make([]error, 2)
	var both sync.WaitGroup
	for w := range errs {
		both.Go(func() {
			var f fileInflater
			for !failed.Load() {
				i := at.Add(1) - 1
				if i >= int64(len(p.entries)) {
					return
				}
				if e := &p.entries[i]; e.isDelta() || p.keep == nil && p.child[i] < 0 && len(p.refs[e.hash]) == 0 {
					continue
				}
				if errs[w] = p.from(&f, int32(i)); errs[w] != nil {
					failed.Store(true)
					return
				}
			}
		})
	}
	both.Wait()
	return errors.Join(errs...)
}

// from puts together everything that begins at object i, which is whole.
func (p *packIndexer) from(f *fileInflater, i int32) error {
	content, err := p.content(f, i)
	if err != nil {
		return err
	}
	e := &p.entries[i]
	if p.keep != nil {
		if err := p.keep(e.typ, content); err != nil {
			return err
		}
	}
	return p.grow(f, e.typ, content, p.childrenOf(i, e.hash))
}

// childrenOf are the deltas against an object.
func (p *packIndexer) childrenOf(i int32, hash plumbing.Hash) []int32 {
	var out []int32
	if i >= 0 {
		for c := p.child[i]; c >= 0; c = p.next[c] {
			out = append(out, c)
		}
	}
	return append(out, p.refs[hash]...)
}

// branch is an object whose deltas are put together.
type branch struct {
	content  []byte
	children []int32
	depth    int
}

// grow puts the deltas against an object together, and those against them.
func (p *packIndexer) grow(f *fileInflater, typ plumbing.ObjectType, content []byte, children []int32) error {
	if len(children) == 0 {
		return nil
	}
	hold := func(n int) error {
		if p.live.Add(int64(n)) > maxLive {
			return errLargeObject
		}
		return nil
	}
	stack := []branch{{content, children, 1}}
	if err := hold(len(content)); err != nil {
		return err
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.children) == 0 {
			p.live.Add(-int64(len(top.content)))
			stack = stack[:len(stack)-1]
			continue
		}
		i := top.children[len(top.children)-1]
		top.children = top.children[:len(top.children)-1]
		if !p.taken[i].CompareAndSwap(false, true) {
			continue // its base is in the pack twice
		}
		depth := top.depth
		if depth > maxChain {
			return errPack("more than %d differences follow one another", maxChain)
		}
		delta, err := p.content(f, i)
		if err != nil {
			return err
		}
		object, err := applyDelta(top.content, delta)
		if err != nil {
			return err
		}
		e := &p.entries[i]
		e.hash = plumbing.ComputeHash(typ, object)
		p.done.Add(1)
		if p.keep != nil {
			if err := p.keep(typ, object); err != nil {
				return err
			}
		}
		if len(top.children) == 0 {
			// A long chain needs its last link only.
			p.live.Add(-int64(len(top.content)))
			stack = stack[:len(stack)-1]
		}
		if next := p.childrenOf(i, e.hash); len(next) > 0 {
			if err := hold(len(object)); err != nil {
				return err
			}
			stack = append(stack, branch{object, next, depth + 1})
		}
	}
	return nil
}

// resolveOutside puts together what is against objects that are here already.
func (p *packIndexer) resolveOutside() error {
	var f fileInflater
	hashes := make([]plumbing.Hash, 0, len(p.refs))
	for h := range p.refs {
		hashes = append(hashes, h)
	}
	plumbing.HashesSort(hashes)
	for _, h := range hashes {
		var open []int32
		for _, i := range p.refs[h] {
			if !p.taken[i].Load() {
				open = append(open, i)
			}
		}
		if len(open) == 0 {
			continue
		}
		typ, content, err := p.outside(h)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue // perhaps it is another delta of this pack
		}
		if err != nil {
			return err
		}
		p.bases = append(p.bases, outsideBase{typ, h, content})
		if err := p.grow(&f, typ, content, open); err != nil {
			return err
		}
	}
	return nil
}

// applyDelta makes an object of its base and a difference.
func applyDelta(base, delta []byte) ([]byte, error) {
	bad := errPack("a difference does not fit its base")
	number := func() (int64, bool) {
		var n int64
		for shift := uint(0); len(delta) > 0 && shift < 56; shift += 7 {
			b := delta[0]
			delta = delta[1:]
			n |= int64(b&0x7f) << shift
			if b&0x80 == 0 {
				return n, true
			}
		}
		return 0, false
	}
	from, ok := number()
	if !ok || from != int64(len(base)) {
		return nil, bad
	}
	size, ok := number()
	if !ok {
		return nil, bad
	}
	if size > maxObject {
		return nil, errLargeObject
	}
	// Each byte of a difference makes 16 MiB at most, so this is not taken for
	// nothing by much.
	if size > int64(len(delta))*(1<<24) {
		return nil, bad
	}
	out := make([]byte, 0, size)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			n := int(op)
			if n == 0 || n > len(delta) || int64(len(out)+n) > size {
				return nil, bad
			}
			out = append(out, delta[:n]...)
			delta = delta[n:]
			continue
		}
		var at, n int64
		for k := range 7 {
			if op&(1<<k) == 0 {
				continue
			}
			if len(delta) == 0 {
				return nil, bad
			}
			if k < 4 {
				at |= int64(delta[0]) << (8 * k)
			} else {
				n |= int64(delta[0]) << (8 * (k - 4))
			}
			delta = delta[1:]
		}
		if n == 0 {
			n = 0x10000
		}
		if at+n > int64(len(base)) || int64(len(out))+n > size {
			return nil, bad
		}
		out = append(out, base[at:at+n]...)
	}
	if int64(len(out)) != size {
		return nil, bad
	}
	return out, nil
}
