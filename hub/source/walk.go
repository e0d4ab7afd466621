package source

import (
	"context"
	"fmt"
	"path"
	"strings"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// node is what a path is.
type node struct {
	path string // real, after links
	mode Mode
	hash string
	size int64
}

// maxLinks bounds the symbolic links of one path.
const maxLinks = 40

// walk finds a path, following symbolic links. A missing path is ok=false; a
// link that leaves the repository is an error. ".." in the path itself stops at
// the root.
func (s *Snapshot) walk(ctx context.Context, p string) (n node, ok bool, err error) {
	p = strings.Trim(path.Clean("/"+p), "/")
	links := 0
	asked := p
	cur := node{mode: ModeDir, hash: s.commit.GetTree()}
	rest := p
	for rest != "" {
		name, tail, _ := strings.Cut(rest, "/")
		rest = tail
		if cur.mode != ModeDir {
			return node{}, false, nil
		}
		entries, err := s.tree(ctx, cur.hash)
		if err != nil {
			return node{}, false, err
		}
		e, found := findEntry(entries, name)
		if !found {
			return node{}, false, nil
		}
		next := node{path: path.Join(cur.path, name), mode: Mode(e.GetMode()), hash: e.GetHash(), size: e.GetSize()}
		if next.mode != ModeSymlink {
			cur = next
			continue
		}
		if links++; links > maxLinks {
			return node{}, false, nil
		}
		target, err := s.link(ctx, next, e)
		if err != nil {
			return node{}, false, err
		}
		if strings.HasPrefix(target, "/") {
			return node{}, false, outOfBounds(asked)
		}
		full := path.Join(cur.path, target)
		if full == ".." || strings.HasPrefix(full, "../") {
			return node{}, false, outOfBounds(asked)
		}
		// From the root again: the target may have links itself.
		rest = strings.Trim(path.Join(full, rest), "/")
		if rest == "." {
			rest = ""
		}
		cur = node{mode: ModeDir, hash: s.commit.GetTree()}
	}
	return cur, true, nil
}

func outOfBounds(p string) error {
	return fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s is a symbolic link to outside the repository", clip(p, 200))
}

// link reads where a symbolic link points.
func (s *Snapshot) link(ctx context.Context, n node, e *workerv1.GitEntry) (string, error) {
	if e.GetHasContent() {
		return string(e.GetContent()), nil
	}
	if n.size > 4096 {
		return "", fault.New(fault.Unprocessable, "tree_invalid", "the symbolic link %s has a target of %d bytes", clip(n.path, 200), n.size)
	}
	m, err := s.blobs(ctx, []string{n.hash})
	if err != nil {
		return "", err
	}
	return string(m[n.hash]), nil
}

func findEntry(entries []*workerv1.GitEntry, name string) (*workerv1.GitEntry, bool) {
	for _, e := range entries {
		if e.GetPath() == name {
			return e, true
		}
	}
	return nil, false
}

// pathNotFound names what the repository has instead.
func (s *Snapshot) pathNotFound(ctx context.Context, p string, isFile bool) error {
	if isFile {
		return fault.New(fault.Unprocessable, "path_not_found", "path %q at %s is a file; a source is a directory", clip(p, 100), short(s.commit.GetId())).
			WithField("spec.source.path")
	}
	// The deepest directory that exists, and what is in it.
	parent := path.Dir(p)
	var names []string
	for {
		if parent == "." {
			parent = ""
		}
		hash, err := s.Tree(ctx, parent)
		if err != nil {
			return err
		}
		if hash != "" {
			entries, err := s.tree(ctx, hash)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if Mode(e.GetMode()) == ModeDir {
					names = append(names, path.Join(parent, e.GetPath()))
				}
			}
			break
		}
		if parent == "" {
			break
		}
		parent = path.Dir(parent)
	}
	has := "that directory has no subdirectory"
	if near := nearestPaths(p, names); len(near) > 0 {
		has = "closest: " + strings.Join(near, ", ")
	} else if len(names) > 0 {
		has = "that revision has: " + strings.Join(names[:min(len(names), 5)], ", ")
	}
	return fault.New(fault.Unprocessable, "path_not_found", "%s", clip(fmt.Sprintf("path %q does not exist at %s; %s", clip(p, 100), short(s.commit.GetId()), has), 300)).
		WithField("spec.source.path").WithFound(p, strings.Join(names[:min(len(names), 20)], ", "))
}

// nearestPaths compares the last elements: what is before them is common.
func nearestPaths(p string, names []string) []string {
	bases := make([]string, len(names))
	for i, n := range names {
		bases[i] = path.Base(n)
	}
	var out []string
	for _, base := range nearest(path.Base(p), bases, 3) {
		for i, b := range bases {
			if b == base {
				out = append(out, names[i])
				break
			}
		}
	}
	return out
}
