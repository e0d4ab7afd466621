package source

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// node is what a path is.
type node struct {
	module *module
	path   string // real, after links, in the snapshot
	mode   Mode
	hash   string // of the blob, the tree, or a submodule's commit
	size   int64
	large  *workerv1.GitLargeFile
	link   []byte // target of a symbolic link, nil when it was not told
}

func newNode(parent node, e *workerv1.GitEntry) node {
	n := node{
		module: parent.module, path: path.Join(parent.path, e.GetPath()), mode: Mode(e.GetMode()), hash: e.GetHash(), size: e.GetSize(),
	}
	if n.mode == ModeSymlink && e.GetHasContent() {
		n.link = e.GetContent()
	}
	if n.large = e.GetLarge(); n.large != nil {
		n.size = n.large.GetSize()
	}
	return n
}

// identity names a content: where it is, and what.
type identity struct {
	module *module
	hash   string
	large  *workerv1.GitLargeFile
}

// identity of a file's content. Those of submodules name their store too.
func (n node) identity() string {
	id := n.hash
	if n.large != nil {
		id = fmt.Sprintf("lfs-%s-%d", n.large.GetId(), n.large.GetSize())
	}
	if n.module.path != "" {
		id += "@" + n.module.path
	}
	return id
}

var largeIdentity = regexp.MustCompile(`^lfs-([0-9a-f]{64})-([0-9]{1,18})$`)

func (s *Snapshot) parseIdentity(text string) (identity, error) {
	unknown := fault.New(fault.Internal, "internal", "no file of the repository has this identity")
	hash, at, inModule := strings.Cut(text, "@")
	id := identity{module: s.root, hash: hash}
	if inModule {
		s.modules.mu.Lock()
		id.module = s.modules.byPath[at]
		s.modules.mu.Unlock()
		if id.module == nil {
			return identity{}, unknown
		}
	}
	if fullCommit.MatchString(hash) {
		return id, nil
	}
	m := largeIdentity.FindStringSubmatch(hash)
	if m == nil {
		return identity{}, unknown
	}
	size, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return identity{}, unknown
	}
	id.large = &workerv1.GitLargeFile{Id: m[1], Size: size}
	return id, nil
}

// maxLinks bounds the symbolic links of one path.
const maxLinks = 40

// walk finds a path, following symbolic links. A missing path is ok=false; a
// link that leaves the repository is an error. ".." in the path itself stops at
// the root.
func (s *Snapshot) walk(ctx context.Context, p string) (n node, ok bool, err error) {
	p = strings.Trim(path.Clean("/"+p), "/")
	root := node{module: s.root, mode: ModeDir, hash: s.root.tree}
	return confine([]node{root}, p, p, s.steps(ctx))
}

// follow finds where a symbolic link leads; as is the path that it is known by.
func (s *Snapshot) follow(ctx context.Context, link node, as string) (n node, ok bool, err error) {
	n, ok, err = s.walk(ctx, link.path)
	if fault.HasCode(err, "symlink_out_of_bounds") {
		err = outOfBounds(as)
	}
	return n, ok, err
}

// steps are how confine moves in a tree of nodes.
type steps[N any] struct {
	// child finds a name in a directory; ok is false when n is no directory, or
	// has none of that name.
	child func(n N, name string) (c N, ok bool, err error)
	// link is where a symbolic link points, ok is false when n is none.
	link func(n N) (target string, ok bool, err error)
}

func (s *Snapshot) steps(ctx context.Context) steps[node] {
	return steps[node]{
		child: func(n node, name string) (node, bool, error) {
			if n.mode != ModeDir {
				return node{}, false, nil
			}
			e, ok, err := s.child(ctx, n.module, n.hash, name)
			if err != nil || !ok {
				return node{}, false, err
			}
			c := newNode(n, e)
			if c.mode == ModeSubmodule {
				c, err = s.enter(ctx, c)
			}
			return c, err == nil, err
		},
		link: func(n node) (string, bool, error) {
			if n.mode != ModeSymlink {
				return "", false, nil
			}
			target, err := s.target(ctx, n)
			return target, true, err
		},
	}
}

// confine walks p from the last of dirs, which are the directories from the root
// down, and never above the first. Links are followed as an operating system
// does: ".." leaves the directory that a link has led to. asked is for the
// message.
func confine[N any](dirs []N, p, asked string, s steps[N]) (n N, ok bool, err error) {
	var none N
	rest := strings.Split(p, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if len(dirs) == 1 {
				return none, false, outOfBounds(asked)
			}
			dirs = dirs[:len(dirs)-1]
			continue
		}
		c, ok, err := s.child(dirs[len(dirs)-1], name)
		if err != nil || !ok {
			return none, false, err
		}
		target, isLink, err := s.link(c)
		if err != nil {
			return none, false, err
		}
		if !isLink {
			dirs = append(dirs, c)
			continue
		}
		if links++; links > maxLinks || target == "" {
			return none, false, nil
		}
		if strings.HasPrefix(target, "/") {
			return none, false, outOfBounds(asked)
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return dirs[len(dirs)-1], true, nil
}

func outOfBounds(p string) error {
	return fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s is a symbolic link to outside the repository", clip(p, 200))
}

// target reads where a symbolic link points.
func (s *Snapshot) target(ctx context.Context, n node) (string, error) {
	if n.link != nil {
		return string(n.link), nil
	}
	if n.size > 4096 {
		return "", fault.New(fault.Unprocessable, "tree_invalid", "the symbolic link %s has a target of %d bytes", clip(n.path, 200), n.size)
	}
	content, err := s.blob(ctx, n.module, n.hash)
	return string(content), err
}

// blob reads one small file by the hash of its blob.
func (s *Snapshot) blob(ctx context.Context, m *module, hash string) ([]byte, error) {
	w := &contentsOf{got: map[string][]byte{}}
	w.add(hash, identity{module: m, hash: hash})
	err := s.readBlobs(ctx, m, w)
	return w.got[hash], err
}

// pathNotFound names what the repository has instead.
func (s *Snapshot) pathNotFound(ctx context.Context, p string, isFile bool) error {
	at := "at " + s.name()
	if isFile {
		return pathIsFile(p, at)
	}
	// The deepest directory that exists, and what is in it.
	parent := path.Dir(p)
	var names []string
	for {
		if parent == "." || parent == "/" {
			parent = ""
		}
		n, ok, err := s.walk(ctx, parent)
		if err != nil {
			return err
		}
		if ok && n.mode == ModeDir {
			entries, err := s.readTree(ctx, n.module, n.hash, false)
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
	return pathMissing(p, at, "that revision", names)
}

// pathIsFile is the error for a source that is a file; at says of what.
func pathIsFile(p, at string) error {
	return fault.New(fault.Unprocessable, "path_not_found", "path %q %s is a file; a source is a directory", clip(p, 100), at).
		WithField("spec.source.path")
}

// pathMissing is the error for a source that is not there. names are the
// directories in the deepest directory of its path that exists; at and owner say
// of what.
func pathMissing(p, at, owner string, names []string) error {
	has := "that directory has no subdirectory"
	if near := nearestPaths(p, names); len(near) > 0 {
		has = "closest: " + strings.Join(near, ", ")
	} else if len(names) > 0 {
		has = owner + " has: " + strings.Join(names[:min(len(names), 5)], ", ")
	}
	return fault.New(fault.Unprocessable, "path_not_found", "%s", clip(fmt.Sprintf("path %q does not exist %s; %s", clip(p, 100), at, has), 300)).
		WithField("spec.source.path").WithFound(clip(p, 200), strings.Join(names[:min(len(names), 20)], ", "))
}

// name of the snapshot in messages.
func (s *Snapshot) name() string {
	if IsCommit(s.revision.Commit) {
		return short(s.revision.Commit)
	}
	return clip(s.revision.Commit, 60)
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
