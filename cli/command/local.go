package command

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Limits of a directory that is sent; the hub has the same.
const (
	maxLocalPacked = 16 << 20
	maxLocalBytes  = 48 << 20
	maxLocalFiles  = 10_000
)

// localFlags name a directory in place of a source.
type localFlags struct {
	dir, root string
	include   []string
	position  int
}

func (l *localFlags) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&l.dir, "local", "", "compare with the files of this directory: the repository, or the application's directory in it")
	f.StringVar(&l.root, "local-repo-root", "", "directory that stands for the repository (default: the nearest one above with .git, else --local itself)")
	f.StringArrayVar(&l.include, "local-include", nil, "send only files whose name matches this glob, as in *.yaml; may be repeated")
	f.IntVar(&l.position, "local-source", 0, "which of several sources the directory stands for, from 1 (default: the first with manifests)")
}

// packed is a directory as it is sent.
type packed struct {
	dir  string // as the user named it
	path string // of the application in it; "" for where the application says
	data []byte
	at   int
}

// pack reads the directory.
func (l *localFlags) pack(c *call) (*packed, error) {
	root, sub, err := l.place()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	skipped, err := packDirectory(&out, root, l.include)
	if err != nil {
		return nil, err
	}
	if skipped > 0 {
		c.note("%d links that lead out of %s, and special files, are left out", skipped, root)
	}
	if out.Len() > maxLocalPacked {
		return nil, tooLarge(root)
	}
	return &packed{dir: l.dir, path: sub, data: out.Bytes(), at: l.position}, nil
}

func tooLarge(root string) error {
	return fault.New(fault.TooLarge, "too_large", "%s is larger than %d files, %d MiB, or %d MiB packed", root, maxLocalFiles, maxLocalBytes>>20, maxLocalPacked>>20).
		WithFix("send less: --local-include '*.yaml', or a smaller --local-repo-root")
}

// place finds what is sent and where the application is in it. A directory that is
// the root stands for the repository, and the application says where it is.
func (l *localFlags) place() (root, sub string, err error) {
	dir, err := filepath.Abs(l.dir)
	if err != nil {
		return "", "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", "", fault.New(fault.NotFound, "file_not_found", "--local: %s", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", "", fault.New(fault.Invalid, "file_unreadable", "--local: %s is no directory", l.dir)
	}
	root = dir
	if l.root != "" {
		if root, err = filepath.Abs(l.root); err == nil {
			root, err = filepath.EvalSymlinks(root)
		}
		if err != nil {
			return "", "", fault.New(fault.NotFound, "file_not_found", "--local-repo-root: %s", err)
		}
	} else {
		for at := dir; ; at = filepath.Dir(at) {
			if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
				root = at
				break
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", "", fault.New(fault.Invalid, "usage", "--local is not in --local-repo-root")
	}
	if rel == "." {
		return root, "", nil
	}
	return root, filepath.ToSlash(rel), nil
}

// packDirectory writes a gzipped tar of what is below root, without .git. Links
// that lead out of it and what is no file are left out and counted.
func packDirectory(to io.Writer, root string, include []string) (skipped int, err error) {
	opened, err := os.OpenRoot(root)
	if err != nil {
		return 0, fault.New(fault.Invalid, "file_unreadable", "--local: %s", err)
	}
	defer func() { _ = opened.Close() }() // only read
	gz := gzip.NewWriter(to)
	w := tar.NewWriter(gz)
	var files int
	var size int64
	err = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || rel == "." {
			return err
		}
		if e.IsDir() {
			if e.Name() == ".git" {
				return fs.SkipDir
			}
			return nil // made with its files
		}
		if !included(e.Name(), include) {
			return nil
		}
		if files++; files > maxLocalFiles {
			return tooLarge(root)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		head := &tar.Header{Name: filepath.ToSlash(rel), Mode: int64(info.Mode().Perm()), Typeflag: tar.TypeReg, Size: info.Size(), Format: tar.FormatPAX}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			to := path.Join(path.Dir(head.Name), filepath.ToSlash(target))
			if _, err := opened.Stat(rel); err != nil || filepath.IsAbs(target) || to == ".." || strings.HasPrefix(to, "../") {
				skipped++
				return nil
			}
			head.Typeflag, head.Linkname, head.Size = tar.TypeSymlink, filepath.ToSlash(target), 0
			return w.WriteHeader(head)
		case !info.Mode().IsRegular():
			skipped++
			return nil
		}
		if size += info.Size(); size > maxLocalBytes {
			return tooLarge(root)
		}
		return packFile(w, head, opened, rel)
	})
	err = errors.Join(err, w.Close(), gz.Close())
	var known *fault.Error
	if err != nil && !errors.As(err, &known) {
		err = fault.New(fault.Invalid, "file_unreadable", "--local: %s", err)
	}
	return skipped, err
}

func packFile(w *tar.Writer, head *tar.Header, root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	if err := w.WriteHeader(head); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, head.Size)
	return err
}

func included(name string, globs []string) bool {
	for _, g := range globs {
		if ok, err := path.Match(g, name); err == nil && ok {
			return true
		}
	}
	return len(globs) == 0
}

// send has the hub render the directory.
func (p *packed) send(c *call, route string, out any) error {
	q := url.Values{}
	if p.path != "" {
		q.Set("path", p.path)
	}
	if p.at > 0 {
		q.Set("position", positionText(p.at))
	}
	return c.api.DoWith(c.ctx, http.MethodPost, route+suffix(q), http.Header{"Content-Type": {"application/gzip"}}, p.data, out)
}
