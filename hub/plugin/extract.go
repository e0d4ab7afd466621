package plugin

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	pluginv1 "github.com/hawser-dev/hawser/proto/gen/hawser/plugin/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// input reads what the hub sends: the header, then the tar as an io.Reader, then
// the end.
type input struct {
	recv func() (*pluginv1.Input, error)
	rest []byte
	end  *pluginv1.End
	// What was extracted.
	files, bytes int64
}

func (in *input) header() (*pluginv1.Header, error) {
	m, err := in.recv()
	if err != nil {
		return nil, err
	}
	header := m.GetHeader()
	if header == nil || header.GetDir() != "" && !cleanPath(header.GetDir()) {
		return nil, errInput("it does not begin with a header")
	}
	return header, nil
}

func (in *input) Read(b []byte) (int, error) {
	for len(in.rest) == 0 {
		if in.end != nil {
			return 0, io.EOF
		}
		m, err := in.recv()
		if errors.Is(err, io.EOF) {
			return 0, errInput("it has no end")
		}
		if err != nil {
			return 0, err
		}
		switch i := m.GetInput().(type) {
		case *pluginv1.Input_Tar:
			in.rest = i.Tar
		case *pluginv1.Input_End:
			in.end = i.End
		default:
			return 0, errInput("a message is out of place")
		}
	}
	n := copy(b, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// finish reads to the end and compares: an input of which a part is missing is
// none.
func (in *input) finish() error {
	if _, err := io.Copy(io.Discard, io.LimitReader(in, 1<<20)); err != nil {
		return err
	}
	if in.end == nil || in.end.GetFiles() != in.files || in.end.GetBytes() != in.bytes {
		return errInput("files are missing")
	}
	return nil
}

// extract writes the files of a tar into a directory, through an os.Root: nothing
// outside of it can be reached, whatever the names and links say. Files, links
// that stay inside and directories are taken; all else is refused.
func extract(in *input, dir string, limits Limits, preserveMode bool) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return noCopy(err)
	}
	defer func() { _ = root.Close() }() // a directory that was only named
	r := tar.NewReader(in)
	var links []string
	entries := 0
	for {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return broken(err)
		}
		name := strings.TrimSuffix(head.Name, "/")
		if !cleanPath(name) {
			return errInput("the name %q", clip(name, 100))
		}
		if entries++; entries > 2*limits.InputFiles {
			return limits.allows(entries, 0)
		}
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return unextractable(name, err)
		}
		switch head.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o700)
		case tar.TypeSymlink:
			if path.IsAbs(head.Linkname) || leaves(path.Join(path.Dir(name), head.Linkname)) {
				return outside(name)
			}
			links = append(links, name)
			err = root.Symlink(head.Linkname, name)
		case tar.TypeReg:
			in.files, in.bytes = in.files+1, in.bytes+head.Size
			if err := limits.allows(int(in.files), in.bytes); err != nil {
				return err
			}
			mode := os.FileMode(0o644)
			if preserveMode && head.Mode&0o111 != 0 {
				mode = 0o755
			}
			err = write(root, name, mode, r)
		default:
			return errInput("%q is no file, link or directory", clip(name, 100))
		}
		if err != nil {
			return unextractable(name, err)
		}
	}
	// One link may lead through another, so they are followed once all are there.
	for _, name := range links {
		if _, err := root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return outside(name)
		}
	}
	return nil
}

func leaves(p string) bool { return p == ".." || strings.HasPrefix(p, "../") }

func outside(name string) error {
	return fault.New(fault.Unprocessable, "symlink_out_of_bounds", "the symbolic link %s leads out of the source", clip(name, 150))
}

// broken keeps the error of whoever was to send.
func broken(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	return fault.Wrap(err, fault.Upstream, "plugin_unavailable", "the files of the source did not arrive")
}

func unextractable(name string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	return fault.Wrap(err, fault.Upstream, "plugin_unavailable", "the plugin's host cannot write its copy of %s", clip(name, 150))
}

func write(root *os.Root, name string, mode os.FileMode, from io.Reader) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Chmod(mode), f.Close())
}
