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
	repoURL string
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
	commit = strings.ToLower(commit)
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
	return &Snapshot{sources: s, dir: dir, repoURL: repoURL, commit: c}, nil
}

func short(commit string) string { return commit[:min(7, len(commit))] }

// Revision describes the commit.
func (s *Snapshot) Revision() model.Revision { return revisionOf(s.commit) }

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

// name of a value in the cache. Repositories share nothing there, so that one
// cannot put content under another's hash.
func (s *Snapshot) name(kind, hash string) string {
	return kind + " " + hash + " " + path.Base(s.dir)
}

// tree lists one directory, not what is below it.
func (s *Snapshot) tree(ctx context.Context, hash string) ([]*workerv1.GitEntry, error) {
	return s.readTree(ctx, hash, false)
}

func (s *Snapshot) readTree(ctx context.Context, hash string, recurse bool) ([]*workerv1.GitEntry, error) {
	name := s.name("tree", hash)
	if recurse {
		name = s.name("all", hash)
	}
	if v, ok := s.sources.cache.get(name); ok {
		return v.([]*workerv1.GitEntry), nil
	}
	answer, err := s.read(ctx, &workerv1.GitRequest{Request: &workerv1.GitRequest_ReadTree{ReadTree: &workerv1.GitReadTree{
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
			s.sources.cache.put(s.name("blob", e.GetHash()), content, int64(len(content)))
			e.Content, e.HasContent = nil, false
		}
		size += int64(len(e.GetPath())+len(e.GetHash())+len(e.GetContent())) + 160
	}
	s.sources.cache.put(name, entries, size)
	return entries, nil
}

// read asks a worker. A store that lost objects, or that was begun anew since
// the snapshot was taken, gets the commit again first.
func (s *Snapshot) read(ctx context.Context, req *workerv1.GitRequest) (*workerv1.GitAnswer, error) {
	answer, err := s.sources.ask(ctx, readTime, req)
	if !fault.HasCode(err, "git_objects_missing") {
		return answer, err
	}
	s.sources.forget(s.dir)
	if _, err := s.sources.Snapshot(ctx, s.repoURL, s.commit.GetId()); err != nil {
		return nil, err
	}
	return s.sources.ask(ctx, readTime, req)
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
		if v, ok := s.sources.cache.get(s.name("blob", h)); ok {
			out[h] = v.([]byte)
			continue
		}
		out[h] = nil
		missing = append(missing, h)
	}
	if len(missing) == 0 {
		return out, nil
	}
	answer, err := s.read(ctx, &workerv1.GitRequest{Request: &workerv1.GitRequest_ReadBlobs{ReadBlobs: &workerv1.GitReadBlobs{
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
		s.sources.cache.put(s.name("blob", h), contents[i], int64(len(contents[i])))
	}
	return out, nil
}
