package plugin

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"strings"

	pluginv1 "github.com/hawser-dev/hawser/proto/gen/hawser/plugin/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// pieceBytes is the size of the pieces that tars and outputs travel in.
const pieceBytes = 128 << 10

// Contents are read so many bytes and files at a time.
const (
	batchBytes = 8 << 20
	batchFiles = 256
)

// maxLinkDepth is how many links to directories may follow each other.
const maxLinkDepth = 8

// entry is a file to send.
type entry struct {
	path, hash string
	size       int64
	mode       uint32
}

// sendInput sends the header, all files as a tar, and the end. The error is
// io.EOF when the other end does not take any more.
func sendInput(ctx context.Context, limits Limits, run Run, header *pluginv1.Header, send func(*pluginv1.Input) error) error {
	if err := send(&pluginv1.Input{Input: &pluginv1.Input_Header{Header: header}}); err != nil {
		return err
	}
	files, err := entries(ctx, limits, run.Files)
	if err != nil {
		return err
	}
	out := &pieces{send: func(b []byte) error {
		return send(&pluginv1.Input{Input: &pluginv1.Input_Tar{Tar: b}})
	}}
	w := tar.NewWriter(out)
	var end pluginv1.End
	for len(files) > 0 {
		n, sum := 0, int64(0)
		for n < len(files) && n < batchFiles && (n == 0 || sum+files[n].size <= batchBytes) {
			sum += files[n].size
			n++
		}
		hashes := make([]string, n)
		for i, f := range files[:n] {
			hashes[i] = f.hash
		}
		contents, err := run.Files.Contents(ctx, hashes)
		if err != nil {
			return err
		}
		if len(contents) != n {
			return fault.Wrap(errors.New("not as many contents as files"), fault.Internal, "internal", "the files of the source cannot be read")
		}
		for i, f := range files[:n] {
			mode := int64(0o644)
			if f.mode&0o111 != 0 {
				mode = 0o755
			}
			// A file's size is that of its content: that of a work tree may have
			// changed since it was listed.
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: mode, Size: int64(len(contents[i]))}); err != nil {
				return err
			}
			if _, err := w.Write(contents[i]); err != nil {
				return err
			}
			end.Files++
			end.Bytes += int64(len(contents[i]))
		}
		files = files[n:]
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	return send(&pluginv1.Input{Input: &pluginv1.Input_End{End: &end}})
}

// entries lists all files. A link to a directory brings the files in it under
// the link's name; a link that leads nowhere is left out.
func entries(ctx context.Context, limits Limits, files Files) ([]entry, error) {
	var out []entry
	var total int64
	var list func(dir string, depth int) error
	list = func(dir string, depth int) error {
		var links []string
		var tooLarge error
		err := files.List(ctx, dir, true, func(p, hash string, bytes int64, mode uint32, broken bool) {
			switch {
			case tooLarge != nil:
			case mode&0o170000 == 0o040000 || mode&0o170000 == 0o160000:
				links = append(links, p)
			case broken || mode == 0:
			default:
				out, total = append(out, entry{p, hash, bytes, mode}), total+bytes
				tooLarge = limits.allows(len(out), total)
			}
		})
		if err = errors.Join(err, tooLarge); err != nil {
			return err
		}
		if depth == maxLinkDepth {
			return nil
		}
		for _, p := range links {
			// A link to a directory that it is in would never end.
			if err := list(p, depth+1); err != nil && !fault.HasCode(err, "path_not_found") {
				return err
			}
		}
		return nil
	}
	err := list("", 0)
	var known *fault.Error
	if errors.As(err, &known) {
		return nil, known
	}
	return out, err
}

// allows checks the size of an input.
func (l Limits) allows(files int, bytes int64) error {
	if files > l.InputFiles {
		return fault.New(fault.Unprocessable, "too_large", "the source has more than %d files, which is the limit for plugins", l.InputFiles)
	}
	if bytes > l.InputBytes {
		return fault.New(fault.Unprocessable, "too_large", "the source has more than %s of files, which is the limit for plugins", size(l.InputBytes))
	}
	return nil
}

// pieces collects writes into messages of one size.
type pieces struct {
	send func([]byte) error
	buf  []byte
}

func (p *pieces) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		take := min(len(b), pieceBytes-len(p.buf))
		p.buf = append(p.buf, b[:take]...)
		b = b[take:]
		if len(p.buf) == pieceBytes {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (p *pieces) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	b := p.buf
	p.buf = make([]byte, 0, pieceBytes) // a message may be kept until it is sent
	return p.send(b)
}

// cleanPath says whether p is a relative path that leads nowhere else.
func cleanPath(p string) bool {
	if p == "" || strings.HasPrefix(p, "/") || strings.ContainsAny(p, "\x00\\") || len(p) > 4096 {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

func errInput(format string, args ...any) error {
	return fault.Wrap(fmt.Errorf(format, args...), fault.Upstream, "plugin_unavailable", "what the hub sent to the plugin host cannot be used")
}
