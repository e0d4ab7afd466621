package source

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// Real is where a path is after following symbolic links, the path itself when
// nothing is there. hub/render asks for directories: what a file in a linked
// directory names with ".." is meant from where the directory really is. Code
// symlink_out_of_bounds.
func (s *Snapshot) Real(ctx context.Context, p string) (string, error) {
	n, ok, err := s.walk(ctx, p)
	if err != nil || !ok {
		return p, err
	}
	return n.path, nil
}

// Real implements the snapshot of hub/render; see Snapshot.Real.
func (d *Directory) Real(_ context.Context, p string) (string, error) {
	asked := strings.Trim(path.Clean("/"+p), "/")
	real, ok, err := confine([]string{""}, asked, asked, steps[string]{
		child: func(dir, name string) (string, bool, error) {
			child := path.Join(dir, name)
			_, err := d.root.Lstat(filepath.FromSlash(child))
			if errors.Is(err, fs.ErrNotExist) || isNotDirectory(err) {
				return "", false, nil
			}
			return child, err == nil, err
		},
		link: func(p string) (string, bool, error) {
			info, err := d.root.Lstat(filepath.FromSlash(p))
			if err != nil || info.Mode()&fs.ModeSymlink == 0 {
				return "", false, err
			}
			target, err := d.root.Readlink(filepath.FromSlash(p))
			return filepath.ToSlash(target), err == nil, err
		},
	})
	if err != nil || !ok {
		return p, err
	}
	return real, nil
}
