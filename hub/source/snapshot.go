package source

import (
	"context"
	"path"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Mode is the kind of a file in a snapshot.
type Mode uint32

// The modes, as Git writes them.
const (
	ModeDir        Mode = 0o040000
	ModeRegular    Mode = 0o100644
	ModeExecutable Mode = 0o100755
	ModeSymlink    Mode = 0o120000
	ModeSubmodule  Mode = 0o160000
)

// Snapshot is one immutable tree of files: a commit of Git, a chart or an OCI
// artifact. It holds no resource and is safe for concurrent use. Its methods
// read through the parent's cache from a worker process; a submodule is fetched
// when something in it is looked at. Errors are Unprocessable for what is wrong
// with the content and Unavailable or Upstream for trouble that may pass.
type Snapshot struct {
	sources  *Sources
	revision model.Revision
	root     *module
	permit   func(repoURL string) error // nil: every submodule may be fetched

	// modules are the submodules that were looked at, by their path. It is
	// shared with copies that have the same permit.
	modules *modules
}

type modules struct {
	mu     sync.Mutex
	byPath map[string]*module
}

// module is one tree in an object store: the snapshot's own, or that of a
// submodule.
type module struct {
	dir  string // of the object store
	tree string
	// again brings the objects back when the store has lost them.
	again func(context.Context) error
	path  string // in the snapshot, "" for its own

	// For Git only.
	url        URL
	commit     string
	submodules bool // are shown
	large      bool // files of Git LFS are shown
	depth      int
}

// newSnapshot makes a snapshot of a tree that is in an object store. again
// brings the tree back when the store has lost it.
func (s *Sources) newSnapshot(dir, tree string, revision model.Revision, again func(context.Context) error) *Snapshot {
	return &Snapshot{
		sources: s, revision: revision, root: &module{dir: dir, tree: tree, again: again},
		modules: &modules{byPath: map[string]*module{}},
	}
}

// At returns what Resolve named, fetching it when it is not here. commit is
// Resolved.Commit. Codes of Resolve, and revision_not_found when the repository
// does not have it any more.
func (s *Sources) At(ctx context.Context, t fleet.Target, commit string) (*Snapshot, error) {
	if t.Type() != fleet.Git {
		return s.chartAt(ctx, t, commit)
	}
	m, c, err := s.module(ctx, t.RepoURL, commit)
	if err != nil {
		return nil, err
	}
	snap := s.newSnapshot(m.dir, m.tree, revisionOf(c), m.again)
	snap.root = m
	if m.submodules {
		// Without any they need no permission, and equal trees are equal.
		_, found, err := snap.child(ctx, m, m.tree, modulesFile)
		if err != nil {
			return nil, err
		}
		m.submodules = found
	}
	return snap, nil
}

// module is a commit of a Git repository, which is fetched when it is not here.
func (s *Sources) module(ctx context.Context, repoURL, commit string) (*module, *workerv1.GitCommit, error) {
	if !IsCommit(commit) {
		return nil, nil, fault.Wrap(errNoCommit, fault.Internal, "internal", "internal error")
	}
	u, err := s.checkURL(repoURL)
	if err != nil {
		return nil, nil, err
	}
	commit = strings.ToLower(commit)
	dir := s.directory(u)
	fetch := func(ctx context.Context) error {
		t := fleet.Target{RepoURL: repoURL, Revision: commit}
		resolved, err := s.resolveGit(ctx, repoURL, []fleet.Target{t})
		if err != nil {
			return err
		}
		return resolved[t].Err
	}
	c, submodules, large := s.known(dir, commit)
	if c == nil {
		if err := fetch(ctx); err != nil {
			return nil, nil, err
		}
		if c, submodules, large = s.known(dir, commit); c == nil {
			return nil, nil, fault.New(fault.Unavailable, "git_objects_missing", "commit %s was fetched and is missing again", short(commit))
		}
	}
	return &module{
		dir: dir, tree: c.GetTree(), url: u, commit: commit, submodules: submodules, large: large,
		again: func(ctx context.Context) error {
			s.forget(dir)
			return fetch(ctx)
		},
	}, c, nil
}

func short(commit string) string { return commit[:min(7, len(commit))] }

// Within returns the snapshot for somebody who may use some repositories only:
// permit is asked, by URL, before a submodule is opened, and its errors are the
// answers about what is in it.
func (s *Snapshot) Within(permit func(repoURL string) error) *Snapshot {
	if !s.root.submodules {
		return s
	}
	c := *s
	c.permit, c.modules = permit, &modules{byPath: map[string]*module{}}
	return &c
}

// Revision describes what the snapshot is of.
func (s *Snapshot) Revision() model.Revision { return s.revision }

// Root identifies the whole content; "" means that nobody knows, which is so
// where it depends on what somebody may see.
func (s *Snapshot) Root() string {
	switch {
	case s.root.submodules && s.permit != nil:
		return ""
	case s.root.submodules && s.root.large:
		return s.root.tree + "+submodules+lfs"
	case s.root.submodules:
		return s.root.tree + "+submodules"
	case s.root.large:
		return s.root.tree + "+lfs"
	}
	return s.root.tree
}

const (
	maxEntries = 50_000
	// maxInline is how much content travels with the listing of a directory.
	maxInline = 4 << 20
	// maxRead bounds the files of one read.
	maxRead  = 64 << 20
	readTime = time.Minute
)

// inlineSuffixes are files that whoever lists a directory most likely reads.
var inlineSuffixes = []string{".yaml", ".yml", ".json"}

// emptyTree is the hash of a directory with nothing in it.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// cacheName of a value. Repositories share nothing in the cache, so that one
// cannot put content under another's hash.
func (m *module) cacheName(kind, hash string) string {
	return kind + " " + hash + " " + path.Base(m.dir)
}

// readTree lists a directory, in the order of paths, with what is below it when
// recurse is set.
func (s *Snapshot) readTree(ctx context.Context, m *module, hash string, recurse bool) ([]*workerv1.GitEntry, error) {
	if hash == emptyTree {
		return nil, nil
	}
	kind := "tree"
	if recurse {
		kind = "all"
	}
	if m.large {
		kind += "+lfs"
	}
	name := m.cacheName(kind, hash)
	if v, ok := s.sources.trees.get(name); ok {
		return v.([]*workerv1.GitEntry), nil
	}
	answer, err := s.read(ctx, m, &workerv1.GitRequest{Request: &workerv1.GitRequest_ReadTree{ReadTree: &workerv1.GitReadTree{
		Directory: m.dir, Tree: hash, Recurse: recurse, InlineSuffixes: inlineSuffixes, InlineBytes: maxInline, MaxEntries: maxEntries,
		LargeFiles: m.large,
	}}})
	if err != nil {
		return nil, err
	}
	entries := answer.GetTree().GetEntries()
	var size int64
	for _, e := range entries {
		if e.GetHasContent() && Mode(e.GetMode()) != ModeSymlink {
			// Contents have a place of their own in the cache.
			content := e.GetContent()
			s.sources.cache.put(m.cacheName("blob", e.GetHash()), content, int64(len(content)))
			e.Content, e.HasContent = nil, false
		}
		size += int64(len(e.GetPath())+len(e.GetHash())+len(e.GetContent())) + 160
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].GetPath() < entries[j].GetPath() })
	s.sources.trees.put(name, entries, size)
	return entries, nil
}

// child finds one name in a directory.
func (s *Snapshot) child(ctx context.Context, m *module, tree, name string) (*workerv1.GitEntry, bool, error) {
	entries, err := s.readTree(ctx, m, tree, false)
	if err != nil {
		return nil, false, err
	}
	i := sort.Search(len(entries), func(i int) bool { return entries[i].GetPath() >= name })
	if i < len(entries) && entries[i].GetPath() == name {
		return entries[i], true, nil
	}
	return nil, false, nil
}

// read asks a worker. A store that lost objects, or that was begun anew since
// the snapshot was taken, gets them again first.
func (s *Snapshot) read(ctx context.Context, m *module, req *workerv1.GitRequest) (*workerv1.GitAnswer, error) {
	answer, err := s.sources.ask(ctx, readTime, req, nil)
	if !fault.HasCode(err, "git_objects_missing") {
		return answer, err
	}
	if err := m.again(ctx); err != nil {
		return nil, err
	}
	return s.sources.ask(ctx, readTime, req, nil)
}

// Stat tells what is at a path, after following symbolic links: what identifies
// its content (Contents takes it, for files), its size and its mode; mode 0
// means that nothing is there. Code symlink_out_of_bounds, and those of
// submodules.
func (s *Snapshot) Stat(ctx context.Context, p string) (hash string, size int64, mode uint32, err error) {
	n, ok, err := s.walk(ctx, p)
	if err != nil || !ok {
		return "", 0, 0, err
	}
	if n.mode == ModeDir {
		return n.hash, 0, uint32(ModeDir), nil
	}
	return n.identity(), n.size, uint32(n.mode), nil
}

// List visits what is in a directory, in the order of paths: files and
// directories, or with recurse all files below it and no directories. A symbolic
// link is what it leads to; one that leads nowhere or in a circle, and with
// recurse one to a directory, is broken and has no content. Codes
// path_not_found (which names what is there), symlink_out_of_bounds, too_large.
func (s *Snapshot) List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error {
	n, ok, err := s.walk(ctx, dir)
	if err != nil {
		return err
	}
	if !ok || n.mode != ModeDir {
		return s.pathNotFound(ctx, dir, ok)
	}
	found, err := s.list(ctx, nil, n, strings.Trim(path.Clean("/"+dir), "/"), recurse)
	if err != nil {
		return err
	}
	sort.Slice(found, func(i, j int) bool { return found[i].path < found[j].path })
	for _, f := range found {
		if f.broken {
			visit(f.path, "", 0, uint32(f.mode), true)
			continue
		}
		visit(f.path, f.identity(), f.size, uint32(f.mode), false)
	}
	return nil
}

// listed is a node under the path by which it was found.
type listed struct {
	node
	path   string
	broken bool
}

// list appends what is in a directory. as is the path that it was asked for by.
func (s *Snapshot) list(ctx context.Context, out []listed, n node, as string, recurse bool) ([]listed, error) {
	entries, err := s.readTree(ctx, n.module, n.hash, recurse)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if len(out) >= maxEntries {
			return nil, fault.New(fault.Unprocessable, "too_large", "the directory has more than %d entries", maxEntries)
		}
		l := listed{node: newNode(n, e), path: path.Join(as, e.GetPath())}
		switch l.mode {
		case ModeDir:
			if recurse {
				continue // its files have entries of their own
			}
		case ModeSubmodule:
			if recurse {
				sub, err := s.enter(ctx, l.node)
				if err != nil {
					return nil, err
				}
				if out, err = s.list(ctx, out, sub, l.path, true); err != nil {
					return nil, err
				}
				continue
			}
			l.mode = ModeDir
		case ModeSymlink:
			target, ok, err := s.follow(ctx, l.node, l.path)
			switch {
			case err != nil:
				return nil, err
			case !ok:
				l.broken = true
			default:
				l.node, l.broken = target, recurse && target.mode == ModeDir
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// Contents returns the contents that hashes of Stat and List identify, in their
// order. They are shared and must not be changed. Codes too_large, and those of
// Git LFS.
func (s *Snapshot) Contents(ctx context.Context, hashes []string) ([][]byte, error) {
	wanted := map[*module]*contentsOf{}
	for _, h := range hashes {
		id, err := s.parseIdentity(h)
		if err != nil {
			return nil, err
		}
		w, ok := wanted[id.module]
		if !ok {
			w = &contentsOf{got: map[string][]byte{}}
			wanted[id.module] = w
		}
		w.add(h, id)
	}
	for m, w := range wanted {
		if err := s.readBlobs(ctx, m, w); err != nil {
			return nil, err
		}
		if err := s.readLarge(ctx, m, w); err != nil {
			return nil, err
		}
	}
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		for _, w := range wanted {
			if content, ok := w.got[h]; ok {
				out[i] = content
				break
			}
		}
	}
	return out, nil
}

// contentsOf are the contents that are asked of one module, by identity.
type contentsOf struct {
	blobs []string // identities
	large []string
	ids   map[string]identity
	got   map[string][]byte
}

func (w *contentsOf) add(h string, id identity) {
	if _, ok := w.ids[h]; ok {
		return
	}
	if w.ids == nil {
		w.ids = map[string]identity{}
	}
	w.ids[h] = id
	if id.large != nil {
		w.large = append(w.large, h)
	} else {
		w.blobs = append(w.blobs, h)
	}
}

func (s *Snapshot) readBlobs(ctx context.Context, m *module, w *contentsOf) error {
	var missing, hashes []string
	for _, h := range w.blobs {
		if v, ok := s.sources.cache.get(m.cacheName("blob", w.ids[h].hash)); ok {
			w.got[h] = v.([]byte)
			continue
		}
		missing = append(missing, h)
		hashes = append(hashes, w.ids[h].hash)
	}
	if len(missing) == 0 {
		return nil
	}
	answer, err := s.read(ctx, m, &workerv1.GitRequest{Request: &workerv1.GitRequest_ReadBlobs{ReadBlobs: &workerv1.GitReadBlobs{
		Directory: m.dir, Hashes: hashes, MaxBytes: maxRead,
	}}})
	if err != nil {
		return err
	}
	contents := answer.GetBlobs().GetContents()
	if len(contents) != len(missing) {
		return fault.New(fault.Internal, "internal", "the Git worker answered with %d files of %d", len(contents), len(missing))
	}
	for i, h := range missing {
		w.got[h] = contents[i]
		s.sources.cache.put(m.cacheName("blob", hashes[i]), contents[i], int64(len(contents[i])))
	}
	return nil
}
