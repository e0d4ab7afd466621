package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// File is one file of an archive.
type File struct {
	// Path from the root, clean, with slashes.
	Path       string
	Executable bool
	// Link is the target of a symbolic link, "" for a regular file. It is
	// relative to the link's directory and does not leave the root.
	Link string
	// Size of a regular file in bytes.
	Size int64
}

// Limits bound an archive; a zero field means its default.
type Limits struct {
	Packed int64 // bytes of the archive itself: 100 MiB
	Total  int64 // bytes that it unpacks to: 1 GiB
	File   int64 // bytes of one file: 64 MiB
	Files  int   // entries of any kind: 50,000
	// Ratio of unpacked to packed bytes, once more than ratioFrom bytes are
	// unpacked: 200. Text of a real chart packs to a tenth, or less.
	Ratio int64
}

// ratioFrom is so little that its ratio does not matter.
const ratioFrom = 16 << 20

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		v *int64
		d int64
	}{{&l.Packed, 100 << 20}, {&l.Total, 1 << 30}, {&l.File, 64 << 20}, {&l.Ratio, 200}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	if l.Files <= 0 {
		l.Files = 50_000
	}
	return l
}

// Options of Extract.
type Options struct {
	// Name of the archive in messages, such as: chart "redis" 20.1.0.
	Name   string
	Limits Limits
	// StripTop takes the one folder that everything is in off the paths;
	// files beside it are an error.
	StripTop bool
}

// Extract reads a tar file, packed with gzip or not, and calls put for each
// file, in the order of the archive. content is valid during the call; it is
// empty for a symbolic link. An error of put ends the extraction and is
// returned; so is one of r, other than the archive ending too early.
//
// Codes, all Unprocessable: archive_invalid, symlink_out_of_bounds, too_large.
// What put got before an error is not the whole archive and must not be used.
func Extract(r io.Reader, o Options, put func(f File, content io.Reader) error) error {
	x := &extraction{options: o, limits: o.Limits.withDefaults(), seen: map[string]kind{}, folded: map[string]string{}, put: put}
	x.packed = &source{x: x, r: r}
	err := x.run()
	switch {
	case err == nil:
		return nil
	case x.packed.failed != nil:
		return x.packed.failed // whatever a reader above made of it
	case x.tooLarge != nil:
		return x.tooLarge
	}
	if x.unreadable != nil {
		err = x.unreadable // which put has met, and perhaps wrapped
	} else if x.putFailed {
		return err
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return x.invalid("ends in the middle")
	}
	return fault.Wrap(err, fault.Unprocessable, "archive_invalid", "%s is not a tar file, packed with gzip or not, that can be read", x.name())
}

type kind byte

const (
	directory kind = 1 // 0 is absent
	file      kind = 2
)

type extraction struct {
	options   Options
	limits    Limits
	put       func(File, io.Reader) error
	packed    *source
	unpacked  int64
	tooLarge  error // the limit that was passed
	putFailed bool
	// unreadable is what was wrong with the content of a file.
	unreadable error
	entries    int
	files      int
	top        string
	seen       map[string]kind
	folded     map[string]string // lower case → name, of files
}

// source counts the bytes of the archive itself.
type source struct {
	x      *extraction
	r      io.Reader
	n      int64
	failed error // of r, not its end
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	if s.n > s.x.limits.Packed {
		return 0, s.x.exceeds("is larger than %s", size(s.x.limits.Packed))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	return n, err
}

// stream is what the archive unpacks to.
type stream struct {
	x *extraction
	r io.Reader
}

func (s stream) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	x := s.x
	x.unpacked += int64(n)
	switch {
	case x.unpacked > x.limits.Total:
		return 0, x.exceeds("unpacks to more than %s", size(x.limits.Total))
	case x.unpacked > ratioFrom && x.unpacked > x.packed.n*x.limits.Ratio:
		return 0, x.exceeds("unpacks to more than %d times its size, as no chart or manifests do", x.limits.Ratio)
	}
	return n, err
}

func (x *extraction) exceeds(format string, args ...any) error {
	if x.tooLarge == nil {
		x.tooLarge = fault.New(fault.Unprocessable, "too_large", "%s %s", x.name(), fmt.Sprintf(format, args...))
	}
	return x.tooLarge
}

func (x *extraction) name() string {
	if x.options.Name == "" {
		return "the archive"
	}
	return x.options.Name
}

func (x *extraction) invalid(format string, args ...any) error {
	return fault.New(fault.Unprocessable, "archive_invalid", "%s %s", x.name(), fmt.Sprintf(format, args...))
}

func (x *extraction) run() error {
	buffered := bufio.NewReaderSize(x.packed, 64<<10)
	head, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	plain := stream{x, buffered}
	switch {
	case len(head) == 0:
		return x.invalid("is empty")
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		plain.r = unzipped
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return x.invalid("is packed with zstd; a tar file may be packed with gzip or not at all")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return x.invalid("is a zip file; allowed is a tar file, packed with gzip or not")
	case head[0] == '<':
		return x.invalid("is a web page, not a tar file")
	}
	entries := tar.NewReader(plain)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if x.entries++; x.entries > x.limits.Files {
			return x.exceeds("has more than %d entries", x.limits.Files)
		}
		if err := x.entry(h, entries); err != nil {
			return err
		}
	}
	if x.files == 0 {
		return x.invalid("has no file in it")
	}
	return x.drain(plain)
}

// maxPadding is how much may follow the end of a tar file: tools fill up whole
// records.
const maxPadding = 1 << 20

// drain reads to the end, so that the checksum of gzip is verified.
func (x *extraction) drain(r io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxPadding+1))
	if err != nil {
		return err
	}
	if n > maxPadding {
		return x.invalid("goes on after its end")
	}
	return nil
}

func (x *extraction) entry(h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil // comments, as git archive writes them
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink:
	default:
		return x.invalid("has %q, which is %s; only files, directories and symbolic links are taken", shown(h.Name), kindName(h.Typeflag))
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return x.invalid("has %q, which is a sparse file; only files, directories and symbolic links are taken", shown(h.Name))
		}
	}
	name, err := x.path(h.Name)
	if err != nil {
		return err
	}
	if x.options.StripTop {
		top, rest, below := strings.Cut(name, "/")
		switch {
		case x.top == "":
			x.top = top
		case top != x.top:
			return x.invalid("has %q beside the folder %q; everything is in one folder", shown(h.Name), shown(x.top))
		}
		if !below && h.Typeflag != tar.TypeDir {
			return x.invalid("has the file %q outside of any folder", shown(h.Name))
		}
		name = rest
	}
	if h.Typeflag == tar.TypeDir {
		return x.directory(name, h.Name)
	}
	if name == "" {
		return x.invalid("has a file without a name")
	}
	if err := x.reserve(name); err != nil {
		return err
	}
	f := File{Path: name, Executable: h.Mode&0o111 != 0, Size: h.Size}
	x.files++
	if h.Typeflag == tar.TypeSymlink {
		f.Size, f.Executable = 0, false
		if f.Link, err = x.link(name, h.Linkname); err != nil {
			return err
		}
		return x.hand(f, strings.NewReader(""))
	}
	if h.Size > x.limits.File {
		return x.exceeds("has %q with %s; one file may have %s", shown(name), size(h.Size), size(x.limits.File))
	}
	return x.hand(f, &contentReader{x, content})
}

// contentReader is the content of one file.
type contentReader struct {
	x *extraction
	r io.Reader
}

func (c *contentReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		c.x.unreadable = err
	}
	return n, err
}

func (x *extraction) hand(f File, content io.Reader) error {
	err := x.put(f, content)
	x.putFailed = err != nil
	return err
}

func kindName(flag byte) string {
	switch flag {
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a pipe"
	case tar.TypeGNUSparse:
		return "a sparse file"
	}
	return fmt.Sprintf("of type %q", string(rune(flag)))
}

func size(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
