package source

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/klauspost/compress/zlib"
)

// checksum hashes the objects of the file, and notes the checksum of each.
func (p *packIndexer) checksum() (sum [20]byte, err error) {
	h := sha1.New() // what Git's format has; it protects from accidents only
	r := bufio.NewReaderSize(io.NewSectionReader(p.file, 0, p.end), 256<<10)
	copyN := func(to io.Writer, n int64) error {
		_, err := io.CopyN(to, r, n)
		return cut(err)
	}
	if err := copyN(h, 12); err != nil {
		return sum, err
	}
	crc := crc32.NewIEEE()
	for i := range p.entries {
		end := p.end
		if i+1 < len(p.entries) {
			end = p.entries[i+1].offset
		}
		crc.Reset()
		if err := copyN(io.MultiWriter(h, crc), end-p.entries[i].offset); err != nil {
			return sum, err
		}
		p.entries[i].crc = crc.Sum32()
	}
	return [20]byte(h.Sum(nil)), nil
}

// complete appends the objects from outside that deltas need, so that the pack
// needs nothing but itself.
func (p *packIndexer) complete() error {
	if len(p.bases) == 0 {
		return nil
	}
	if _, err := p.file.Seek(p.end, io.SeekStart); err != nil {
		return err
	}
	if err := p.file.Truncate(p.end); err != nil {
		return err
	}
	for _, b := range p.bases {
		var out bytes.Buffer
		first, size := byte(b.typ)<<4|byte(len(b.content)&15), len(b.content)>>4
		for ; size > 0; size >>= 7 {
			out.WriteByte(first | 0x80)
			first = byte(size & 0x7f)
		}
		out.WriteByte(first)
		z, err := zlib.NewWriterLevel(&out, zlib.BestSpeed)
		if err != nil {
			return err
		}
		if _, err := z.Write(b.content); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		p.entries = append(p.entries, packed{offset: p.end, size: int64(len(b.content)), hash: b.hash, base: -1, typ: b.typ})
		if _, err := p.file.Write(out.Bytes()); err != nil {
			return err
		}
		p.end += int64(out.Len())
	}
	var count [4]byte
	binary.BigEndian.PutUint32(count[:], uint32(len(p.entries)))
	if _, err := p.file.WriteAt(count[:], 8); err != nil {
		return err
	}
	sum, err := p.checksum()
	if err != nil {
		return err
	}
	_, err = p.file.WriteAt(sum[:], p.end)
	return err
}

// store makes the file a pack of the directory, with an index. The pack gets its
// name last: an index alone is nothing.
func (p *packIndexer) store(dir string) error {
	if err := p.complete(); err != nil {
		return err
	}
	var sum [20]byte
	if _, err := p.file.ReadAt(sum[:], p.end); err != nil {
		return err
	}
	name := filepath.Join(dir, fmt.Sprintf("pack-%x", sum))
	idx, err := os.CreateTemp(dir, "tmp_idx_*")
	if err != nil {
		return err
	}
	err = p.writeIndex(idx, sum)
	if err := errors.Join(err, idx.Close()); err != nil {
		return errors.Join(err, os.Remove(idx.Name()))
	}
	if err := os.Rename(idx.Name(), name+".idx"); err != nil {
		return err
	}
	return os.Rename(p.file.Name(), name+".pack")
}

// indexWriter is a file that is hashed while it is written.
type indexWriter struct {
	out *bufio.Writer
	sum hash.Hash
	err error
}

func (w *indexWriter) bytes(b []byte) {
	if w.err == nil {
		w.sum.Write(b)
		_, w.err = w.out.Write(b)
	}
}

func (w *indexWriter) uint32(n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	w.bytes(b[:])
}

// writeIndex writes an index of version 2.
func (p *packIndexer) writeIndex(to io.Writer, pack [20]byte) error {
	order := make([]int32, len(p.entries))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return bytes.Compare(p.entries[a].hash[:], p.entries[b].hash[:]) })
	// An object that is there twice is listed once.
	order = slices.CompactFunc(order, func(a, b int32) bool { return p.entries[a].hash == p.entries[b].hash })
	w := &indexWriter{out: bufio.NewWriterSize(to, 256<<10), sum: sha1.New()}
	w.bytes([]byte{0xff, 't', 'O', 'c', 0, 0, 0, 2})
	var fan [256]uint32
	for _, i := range order {
		fan[p.entries[i].hash[0]]++
	}
	var below uint32
	for _, n := range fan {
		below += n
		w.uint32(below)
	}
	for _, i := range order {
		w.bytes(p.entries[i].hash[:])
	}
	for _, i := range order {
		w.uint32(p.entries[i].crc)
	}
	var far []int64
	for _, i := range order {
		offset := p.entries[i].offset
		if offset < 1<<31 {
			w.uint32(uint32(offset))
			continue
		}
		w.uint32(1<<31 | uint32(len(far)))
		far = append(far, offset)
	}
	for _, offset := range far {
		w.uint32(uint32(offset >> 32))
		w.uint32(uint32(offset))
	}
	w.bytes(pack[:])
	if w.err != nil {
		return w.err
	}
	if _, err := w.out.Write(w.sum.Sum(nil)); err != nil {
		return err
	}
	return w.out.Flush()
}

// addPack stores the objects of a pack; limit bounds what may be transferred (0:
// nothing does). A pack may have differences to objects that are here.
func (s *objectStore) addPack(r io.Reader, limit int64) (err error) {
	dir := filepath.Join(s.dir, "objects", "pack")
	file, err := os.CreateTemp(dir, "tmp_pack_*")
	if err != nil {
		return err
	}
	stored := false
	defer func() {
		err = errors.Join(err, file.Close())
		if !stored {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	p := &packIndexer{file: file, outside: s.outside}
	if err := p.read(r, limit*maxInflation); err != nil {
		return err
	}
	if len(p.entries) <= looseLimit && p.small() {
		p.keep = func(typ plumbing.ObjectType, content []byte) error {
			s.writing.Lock()
			defer s.writing.Unlock()
			_, err := s.put(typ, content)
			return err
		}
		return p.resolve()
	}
	if err := p.resolve(); err != nil {
		return err
	}
	if err := p.store(dir); err != nil {
		return err
	}
	stored = true
	s.objects.Reindex()
	return nil
}

// looseBytes is the most that objects which are stored one by one have together.
const looseBytes = 32 << 20

// small reports whether the objects of a pack may be stored one by one.
func (p *packIndexer) small() bool {
	var total int64
	for i := range p.entries {
		total += p.entries[i].size
	}
	return total <= looseBytes
}

// outside reads an object that a pack does not have.
func (s *objectStore) outside(h plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	o, err := s.object(plumbing.AnyObject, h.String())
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return 0, nil, err
	}
	if err != nil {
		return 0, nil, errors.Join(errDamaged, err)
	}
	if o.Size() > maxObject {
		return 0, nil, errLargeObject
	}
	content, err := contentOf(o)
	if err != nil {
		return 0, nil, errors.Join(errDamaged, err)
	}
	return o.Type(), content, nil
}

// errDamaged is about an object that is here and cannot be read.
var errDamaged = errors.New("an object in the store cannot be read")

func contentOf(o plumbing.EncodedObject) (_ []byte, err error) {
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data := make([]byte, o.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("object %s: %w", o.Hash(), err)
	}
	return data, nil
}
