package peers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// directory is a render.Snapshot of a directory that nobody changes.
type directory string

func (d directory) at(p string) string { return filepath.Join(string(d), filepath.FromSlash(p)) }

func (d directory) Revision() model.Revision { return model.Revision{Commit: strings.Repeat("a", 40)} }

func (d directory) Root() string { return "" }

func (d directory) Stat(_ context.Context, p string) (hash string, size int64, mode uint32, err error) {
	info, err := os.Stat(d.at(p))
	switch {
	case os.IsNotExist(err):
		return "", 0, 0, nil
	case err != nil:
		return "", 0, 0, err
	case info.IsDir():
		return "dir " + p, 0, 0o040000, nil
	}
	data, err := os.ReadFile(d.at(p))
	sum := sha256.Sum256(data)
	contents.Store(hex.EncodeToString(sum[:]), data)
	return hex.EncodeToString(sum[:]), int64(len(data)), 0o100644, err
}

func (d directory) List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error {
	var names []string
	if info, err := os.Stat(d.at(dir)); err != nil || !info.IsDir() {
		return fault.New(fault.Unprocessable, "path_not_found", "path %q does not exist", dir)
	}
	err := filepath.WalkDir(d.at(dir)+"/", func(p string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(string(d), p)
		rel = filepath.ToSlash(rel)
		if err != nil || rel == dir || rel == "." && dir == "" {
			return err
		}
		if e.IsDir() && !recurse {
			names = append(names, rel)
			return filepath.SkipDir
		}
		if !e.IsDir() {
			names = append(names, rel)
		}
		return nil
	})
	if err != nil {
		return err
	}
	sort.Strings(names)
	for _, n := range names {
		hash, size, mode, err := d.Stat(ctx, n)
		if err != nil {
			return err
		}
		visit(n, hash, size, mode, mode == 0 || recurse && mode == 0o040000)
	}
	return nil
}

func (d directory) Contents(_ context.Context, hashes []string) ([][]byte, error) {
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		data, _ := contents.Load(h)
		out[i], _ = data.([]byte)
	}
	return out, nil
}
