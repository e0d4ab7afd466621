package source

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Limits of a directory that somebody sends.
const (
	unpackedBytes   = 48 << 20
	unpackedEntries = 10_000
	unpackedDepth   = 64
)

// Unpack writes the files of a gzipped tar that a user sent into an empty
// directory, through an os.Root: nothing outside of it can be reached, whatever the
// names and links say. Files, directories and links that stay inside are taken; all
// else is refused, and so is what is larger than the limits.
//
// Codes archive_invalid, too_large, path_escapes_repo, symlink_out_of_bounds; an
// error of the reader such as *http.MaxBytesError is kept.
func Unpack(from io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "internal", "internal error")
	}
	defer func() { _ = root.Close() }() // a directory that was only named
	plain, err := gzip.NewReader(from)
	if err != nil {
		return archiveInvalid(err)
	}
	// Headers count too: a tar may be made of them alone.
	r := tar.NewReader(&atMost{plain, unpackedBytes + unpackedEntries*1024})
	var links []string
	for entries := 0; ; entries++ {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return archiveInvalid(err)
		}
		if entries >= unpackedEntries {
			return fault.New(fault.TooLarge, "too_large", "the directory has more than %d entries", unpackedEntries)
		}
		name := strings.TrimSuffix(path.Clean(head.Name), "/")
		if name == "." && head.Typeflag == tar.TypeDir {
			continue
		}
		if err := unpackable(name, head.Name); err != nil {
			return err
		}
		if head.Typeflag == tar.TypeSymlink {
			links = append(links, name)
		}
		if err := unpackEntry(root, name, head, r); err != nil {
			return err
		}
	}
	// One link may lead through another, so they are followed once all are there.
	for _, name := range links {
		if _, err := root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return outOfBounds(name)
		}
	}
	return nil
}

func unpackable(name, written string) error {
	if !fs.ValidPath(name) || strings.ContainsAny(written, "\x00\\") || path.IsAbs(written) || strings.Contains("/"+written+"/", "/../") {
		return fault.New(fault.Invalid, "path_escapes_repo", "the name %q is not one of a file in the directory", clip(written, 100))
	}
	if strings.Count(name, "/") >= unpackedDepth {
		return fault.New(fault.TooLarge, "too_large", "%s is more than %d directories deep", clip(name, 100), unpackedDepth)
	}
	return nil
}

func unpackEntry(root *os.Root, name string, head *tar.Header, r io.Reader) error {
	err := root.MkdirAll(path.Dir(name), 0o700)
	switch {
	case err != nil:
	case head.Typeflag == tar.TypeDir:
		err = root.MkdirAll(name, 0o700)
	case head.Typeflag == tar.TypeSymlink:
		to := path.Join(path.Dir(name), head.Linkname)
		if path.IsAbs(head.Linkname) || to == ".." || strings.HasPrefix(to, "../") {
			return outOfBounds(name)
		}
		err = root.Symlink(head.Linkname, name)
	case head.Typeflag == tar.TypeReg:
		if head.Size > maxDirectoryFile {
			return fault.New(fault.TooLarge, "too_large", "%s has more than %d MiB", clip(name, 200), maxDirectoryFile>>20)
		}
		err = unpackFile(root, name, head.Mode&0o111 != 0, r)
	default:
		return fault.New(fault.Invalid, "archive_invalid", "%s is no file, link or directory", clip(name, 200))
	}
	var known *fault.Error
	var cut *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.As(err, &cut), errors.Is(err, io.ErrUnexpectedEOF):
		return archiveInvalid(err)
	}
	return fault.Wrap(err, fault.Invalid, "archive_invalid", "%s cannot be written: it may be there twice, or lead elsewhere", clip(name, 200))
}

func unpackFile(root *os.Root, name string, executable bool, from io.Reader) error {
	mode := os.FileMode(0o600)
	if executable {
		mode = 0o700
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// archiveInvalid keeps errors that say more.
func archiveInvalid(err error) error {
	var known *fault.Error
	var cut *http.MaxBytesError
	if errors.As(err, &known) || errors.As(err, &cut) {
		return err
	}
	return fault.Wrap(err, fault.Invalid, "archive_invalid", "the body is no gzipped tar")
}

// atMost is a reader that fails after a number of bytes, so that a small archive
// does not fill the disk.
type atMost struct {
	r    io.Reader
	left int64
}

func (a *atMost) Read(b []byte) (int, error) {
	if a.left <= 0 {
		return 0, fault.New(fault.TooLarge, "too_large", "the files are larger than %d MiB together", unpackedBytes>>20)
	}
	n, err := a.r.Read(b[:min(int64(len(b)), a.left)])
	a.left -= int64(n)
	return n, err
}
