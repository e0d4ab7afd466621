package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Directory is a work tree on disk, seen as a snapshot is: for people who render
// what they have not committed yet. Nothing outside of it is read, whatever its
// symbolic links say. It is for one goroutine and is not immutable: whoever
// changes files meanwhile gets a mixture.
type Directory struct {
	root *os.Root
	name string
	full string // absolute: no other directory has it
}

// OpenDirectory opens a directory; Close it. Code repository_not_found.
func OpenDirectory(dir string) (*Directory, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "repository_not_found", "%s is not a directory that can be read", dir)
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, errors.Join(fault.Wrap(err, fault.Invalid, "repository_not_found", "%s is not a directory that can be read", dir), root.Close())
	}
	return &Directory{root: root, name: filepath.Base(dir), full: full}, nil
}

// Close ends the use of the directory.
func (d *Directory) Close() error { return d.root.Close() }

// Revision says that it is none.
func (d *Directory) Revision() model.Revision { return model.Revision{Commit: "worktree"} }

// Root identifies nothing but the directory: its content may change.
func (d *Directory) Root() string { return "worktree:" + d.full }

// Stat implements the snapshot of hub/render.
func (d *Directory) Stat(_ context.Context, p string) (hash string, size int64, mode uint32, err error) {
	if p == "" {
		return "", 0, uint32(ModeDir), nil
	}
	info, err := d.root.Stat(filepath.FromSlash(p))
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist), isNotDirectory(err):
		return "", 0, 0, nil
	default:
		return "", 0, 0, d.outOfBounds(p, err)
	}
	if info.IsDir() {
		return "", 0, uint32(ModeDir), nil
	}
	if !info.Mode().IsRegular() {
		return "", 0, 0, nil // a socket or a device is no file of a repository
	}
	if hash, err = d.hash(p); err != nil {
		return "", 0, 0, err
	}
	return hash, info.Size(), uint32(regularMode(info)), nil
}

func regularMode(info fs.FileInfo) Mode {
	if info.Mode()&0o100 != 0 {
		return ModeExecutable
	}
	return ModeRegular
}

// isNotDirectory is an error about a path that goes on below a file.
func isNotDirectory(err error) bool {
	var e *fs.PathError
	return errors.As(err, &e) && strings.Contains(e.Err.Error(), "not a directory")
}

// outOfBounds tells a link that leaves the directory from other trouble.
func (d *Directory) outOfBounds(p string, err error) error {
	if strings.Contains(err.Error(), "escapes") {
		return outOfBounds(p)
	}
	return fault.Wrap(err, fault.Unprocessable, "file_unreadable", "%s cannot be read", clip(p, 200))
}

// maxDirectoryFile bounds one file of a work tree.
const maxDirectoryFile = 64 << 20

func (d *Directory) content(p string) ([]byte, error) {
	f, err := d.root.Open(filepath.FromSlash(p))
	if err != nil {
		return nil, d.outOfBounds(p, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDirectoryFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, d.outOfBounds(p, err)
	}
	if len(data) > maxDirectoryFile {
		return nil, fault.New(fault.Unprocessable, "too_large", "%s has more than %d MiB", clip(p, 200), maxDirectoryFile>>20)
	}
	return data, nil
}

// hash identifies a file by content, and finds it again by path.
func (d *Directory) hash(p string) (string, error) {
	data, err := d.content(p)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]) + ":" + p, nil
}

// List implements the snapshot of hub/render. Directories named ".git" are not
// part of a repository.
func (d *Directory) List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error {
	_, _, mode, err := d.Stat(ctx, dir)
	if err != nil {
		return err
	}
	if Mode(mode) != ModeDir {
		return d.pathNotFound(ctx, dir, mode != 0)
	}
	start := filepath.FromSlash(dir)
	if dir == "" {
		start = "."
	}
	var entries []string
	err = fs.WalkDir(d.root.FS(), filepath.ToSlash(start), func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p == start || p == ".":
			return nil
		case e.IsDir() && e.Name() == ".git":
			return fs.SkipDir
		case len(entries) >= maxEntries:
			return fault.New(fault.Unprocessable, "too_large", "the directory has more than %d entries", maxEntries)
		}
		if !e.IsDir() || !recurse {
			entries = append(entries, path.Clean(p))
		}
		if e.IsDir() && !recurse {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		var known *fault.Error
		if errors.As(err, &known) {
			return err
		}
		return d.outOfBounds(dir, err)
	}
	sort.Strings(entries)
	for _, p := range entries {
		hash, size, mode, err := d.Stat(ctx, p)
		if err != nil {
			return err
		}
		broken := mode == 0 || recurse && Mode(mode) == ModeDir
		visit(p, hash, size, mode, broken)
	}
	return nil
}

// pathNotFound names what the directory has instead.
func (d *Directory) pathNotFound(ctx context.Context, p string, isFile bool) error {
	at := "in " + clip(d.name, 60)
	if isFile {
		return pathIsFile(p, at)
	}
	// The deepest directory that exists, and what is in it.
	for parent := path.Dir(p); ; parent = path.Dir(parent) {
		if parent == "." || parent == "/" {
			parent = ""
		}
		_, _, mode, err := d.Stat(ctx, parent)
		if err != nil {
			return err
		}
		if Mode(mode) != ModeDir {
			continue // the root is one
		}
		var names []string
		err = d.List(ctx, parent, false, func(p, _ string, _ int64, mode uint32, _ bool) {
			if Mode(mode) == ModeDir {
				names = append(names, p)
			}
		})
		if fault.HasCode(err, "symlink_out_of_bounds") {
			err = nil // of something beside it, which nobody has asked for
		}
		if err != nil {
			return err
		}
		return pathMissing(p, at, "it", names)
	}
}

// Contents implements the snapshot of hub/render.
func (d *Directory) Contents(_ context.Context, hashes []string) ([][]byte, error) {
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		_, p, ok := strings.Cut(h, ":")
		if !ok {
			return nil, fault.New(fault.Internal, "internal", "no file of the work tree has this identity")
		}
		var err error
		if out[i], err = d.content(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}
