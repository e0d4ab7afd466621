package source

import (
	"context"
	"fmt"
	"path"
	"sort"
	"strings"
	"time"

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

// File is one file of a snapshot, after following symbolic links.
type File struct {
	// Path from the root of the repository, as it was asked for.
	Path string
	// Hash of the content, by Git's rules.
	Hash string
	Size int64
	Mode Mode
	// Target is where a symbolic link ended, "" for other files.
	Target string
	// Broken: a symbolic link inside the repository that leads nowhere, in a
	// circle, or to a directory. It has no content.
	Broken bool
}

// Snapshot is one commit. It is immutable, holds no resource and is safe for
// concurrent use. Its methods read through the parent's cache from a Git
// process; errors are Unprocessable for what is wrong with the repository's
// content and Unavailable for trouble of the hub.
type Snapshot struct {
	sources *Sources
	dir     string
	repo    string
	commit  *workerv1.GitCommit
}

// Snapshot returns a commit, fetching it when it is not here. commit is a full
// commit id, as Resolve gives it.
func (s *Sources) Snapshot(ctx context.Context, repoURL, commit string) (*Snapshot, error) {
	if !IsCommit(commit) {
		return nil, fault.Wrap(errNoCommit, fault.Internal, "internal", "internal error")
	}
	u, err := ParseURL(repoURL, s.opts.AllowFile)
	if err != nil {
		return nil, err
	}
	dir := s.directory(u)
	c := s.known(dir, commit)
	if c == nil {
		resolved, err := s.Resolve(ctx, repoURL, []string{commit})
		if err != nil {
			return nil, err
		}
		if err := resolved[commit].Err; err != nil {
			return nil, err
		}
		if c = s.known(dir, commit); c == nil {
			return nil, fault.New(fault.Unavailable, "git_objects_missing", "commit %s was fetched and is missing again", short(commit))
		}
	}
	return &Snapshot{sources: s, dir: dir, repo: u.String(), commit: c}, nil
}

func short(commit string) string { return commit[:min(7, len(commit))] }

// Revision describes the commit.
func (s *Snapshot) Revision() model.Revision { return revisionOf(s.commit) }

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

// tree lists one directory, not what is below it.
func (s *Snapshot) tree(ctx context.Context, hash string) ([]*workerv1.GitEntry, error) {
	return s.readTree(ctx, hash, false)
}

func (s *Snapshot) readTree(ctx context.Context, hash string, recurse bool) ([]*workerv1.GitEntry, error) {
	name := "tree " + hash
	if recurse {
		name = "all " + hash
	}
	if v, ok := s.sources.cache.get(name); ok {
		return v.([]*workerv1.GitEntry), nil
	}
	answer, err := s.sources.read(ctx, s.dir, &workerv1.GitRequest{Request: &workerv1.GitRequest_ReadTree{ReadTree: &workerv1.GitReadTree{
		Directory: s.dir, Tree: hash, Recurse: recurse, InlineSuffixes: inlineSuffixes, InlineBytes: maxInline, MaxEntries: maxEntries,
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
			s.sources.cache.put("blob "+e.GetHash(), content, int64(len(content)))
			e.Content, e.HasContent = nil, false
		}
		size += int64(len(e.GetPath())+len(e.GetHash())+len(e.GetContent())) + 160
	}
	s.sources.cache.put(name, entries, size)
	return entries, nil
}

func (s *Sources) read(ctx context.Context, dir string, req *workerv1.GitRequest) (*workerv1.GitAnswer, error) {
	answer, err := s.ask(ctx, readTime, req)
	if fault.HasCode(err, "git_objects_missing") {
		s.forget(dir)
	}
	return answer, err
}

// Tree identifies everything below a directory: two directories with the same
// tree hash have the same content. An empty result with no error means that
// there is no such directory. Code symlink_out_of_bounds.
func (s *Snapshot) Tree(ctx context.Context, p string) (string, error) {
	n, ok, err := s.walk(ctx, p)
	if err != nil || !ok || n.mode != ModeDir {
		return "", err
	}
	return n.hash, nil
}

// Entry identifies what is at a path: its mode and hash, "" when nothing is
// there.
func (s *Snapshot) Entry(ctx context.Context, p string) (string, error) {
	n, ok, err := s.walk(ctx, p)
	if err != nil || !ok {
		return "", err
	}
	return fmt.Sprintf("%o-%s", n.mode, n.hash), nil
}

// List calls visit for each file that Files would return: path, what identifies
// its content, its size, and for symbolic links where they end; broken ones have
// no content. Errors as in Files.
func (s *Snapshot) List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, target string, broken bool)) error {
	files, err := s.Files(ctx, dir, recurse)
	for _, f := range files {
		visit(f.Path, f.Hash, f.Size, f.Target, f.Broken)
	}
	return err
}

// Contents returns the contents that hashes of List identify, in their order.
// They are shared and must not be changed.
func (s *Snapshot) Contents(ctx context.Context, hashes []string) ([][]byte, error) {
	contents, err := s.blobs(ctx, hashes)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		out[i] = contents[h]
	}
	return out, nil
}

// Files lists the files of a directory, in order of their paths, with those of
// its subdirectories when recurse is set. Symbolic links to files inside the
// repository appear as the file they lead to; links to directories are not
// followed while recursing. Codes path_not_found (which names what is there),
// symlink_out_of_bounds, too_large.
func (s *Snapshot) Files(ctx context.Context, p string, recurse bool) ([]File, error) {
	n, ok, err := s.walk(ctx, p)
	if err != nil {
		return nil, err
	}
	if !ok || n.mode != ModeDir {
		return nil, s.pathNotFound(ctx, p, ok)
	}
	entries, err := s.readTree(ctx, n.hash, recurse)
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(entries))
	for _, e := range entries {
		f := File{Path: path.Join(p, e.GetPath()), Hash: e.GetHash(), Size: e.GetSize(), Mode: Mode(e.GetMode())}
		switch f.Mode {
		case ModeDir, ModeSubmodule:
			continue
		case ModeSymlink:
			target, ok, err := s.walk(ctx, f.Path)
			if err != nil {
				return nil, err
			}
			if !ok || target.mode == ModeDir || target.mode == ModeSubmodule {
				f.Broken = true
				break
			}
			f.Hash, f.Size, f.Target = target.hash, target.size, target.path
		}
		files = append(files, f)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	return files, nil
}

// Read returns the contents of files by path; a path that is no file is
// missing in the result. The contents are shared and must not be changed.
func (s *Snapshot) Read(ctx context.Context, paths []string) (map[string][]byte, error) {
	hashes := make(map[string]string, len(paths))
	var ask []string
	for _, p := range paths {
		n, ok, err := s.walk(ctx, p)
		if err != nil {
			return nil, err
		}
		if ok && n.mode != ModeDir && n.mode != ModeSubmodule {
			hashes[p] = n.hash
			ask = append(ask, n.hash)
		}
	}
	contents, err := s.blobs(ctx, ask)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(hashes))
	for p, h := range hashes {
		out[p] = contents[h]
	}
	return out, nil
}

// blobs returns contents by hash.
func (s *Snapshot) blobs(ctx context.Context, hashes []string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(hashes))
	var missing []string
	for _, h := range hashes {
		if _, ok := out[h]; ok {
			continue
		}
		if v, ok := s.sources.cache.get("blob " + h); ok {
			out[h] = v.([]byte)
			continue
		}
		out[h] = nil
		missing = append(missing, h)
	}
	if len(missing) == 0 {
		return out, nil
	}
	answer, err := s.sources.read(ctx, s.dir, &workerv1.GitRequest{Request: &workerv1.GitRequest_ReadBlobs{ReadBlobs: &workerv1.GitReadBlobs{
		Directory: s.dir, Hashes: missing, MaxBytes: maxRead,
	}}})
	if err != nil {
		return nil, err
	}
	contents := answer.GetBlobs().GetContents()
	if len(contents) != len(missing) {
		return nil, fault.New(fault.Internal, "internal", "the Git worker answered with %d files of %d", len(contents), len(missing))
	}
	for i, h := range missing {
		out[h] = contents[i]
		s.sources.cache.put("blob "+h, contents[i], int64(len(contents[i])))
	}
	return out, nil
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
