package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// WorkerMain is the Git worker process: it answers GitRequests on in with
// GitAnswers on out until in ends. The hub binary calls it for its hidden
// subcommand worker-git.
func WorkerMain(in, out *os.File) error {
	if _, err := worker.Sandbox(); err != nil {
		return err
	}
	debug.SetMaxStack(64 << 20)
	c := &child{stores: map[string]*objectStore{}}
	return worker.Serve(in, out, c.handle)
}

// child is the state of a worker process: the stores that it has open.
type child struct {
	stores map[string]*objectStore
	recent []string // directories, the last one was used last
}

// maxOpenStores bounds file descriptors and caches of one process.
const maxOpenStores = 32

func (c *child) handle(conn *worker.Conn) error {
	var req workerv1.GitRequest
	if err := conn.Receive(&req); err != nil {
		return err
	}
	if probe := req.GetProbe(); probe != nil {
		return c.steps(conn, probe)
	}
	answer, err := c.answer(&req)
	if err != nil {
		answer = &workerv1.GitAnswer{Problem: worker.Problem(err)}
	}
	redact(remoteOf(&req), answer)
	return conn.Send(answer)
}

// steps answers a probe: each step when it is done, and then that there are no
// more.
func (c *child) steps(conn *worker.Conn, req *workerv1.GitProbe) error {
	var gone error
	tell := func(s *workerv1.ProbeStep) {
		if gone == nil {
			answer := &workerv1.GitAnswer{Probed: &workerv1.GitProbed{Steps: []*workerv1.ProbeStep{s}}}
			redact(req.GetRemote(), answer)
			gone = conn.Send(answer)
		}
	}
	if req.GetType() != "" {
		probeCharts(context.Background(), req, tell)
	} else {
		c.probe(context.Background(), req, tell)
	}
	if gone != nil {
		return gone
	}
	return conn.Send(&workerv1.GitAnswer{Probed: &workerv1.GitProbed{}})
}

func (c *child) answer(req *workerv1.GitRequest) (*workerv1.GitAnswer, error) {
	switch r := req.GetRequest().(type) {
	case *workerv1.GitRequest_Sync:
		// The hub kills this process at its deadline; nothing else cancels.
		synced, err := c.sync(context.Background(), r.Sync)
		return &workerv1.GitAnswer{Synced: synced}, err
	case *workerv1.GitRequest_ReadTree:
		tree, err := c.readTree(r.ReadTree)
		return &workerv1.GitAnswer{Tree: tree}, err
	case *workerv1.GitRequest_ReadBlobs:
		blobs, err := c.readBlobs(r.ReadBlobs)
		return &workerv1.GitAnswer{Blobs: blobs}, err
	case *workerv1.GitRequest_ReadLarge:
		large, err := c.readLarge(r.ReadLarge)
		return &workerv1.GitAnswer{Large: large}, err
	case *workerv1.GitRequest_FetchLarge:
		return &workerv1.GitAnswer{}, c.fetchLarge(context.Background(), r.FetchLarge)
	case *workerv1.GitRequest_AppToken:
		token, err := appTokenFor(context.Background(), r.AppToken.GetRemote())
		return &workerv1.GitAnswer{AppToken: token}, err
	case *workerv1.GitRequest_Verify:
		verified, err := c.verify(context.Background(), r.Verify)
		return &workerv1.GitAnswer{Verified: verified}, err
	case *workerv1.GitRequest_Fetch:
		fetched, err := c.fetch(context.Background(), r.Fetch)
		return &workerv1.GitAnswer{Fetch: fetched}, err
	}
	return nil, fault.New(fault.Internal, "internal", "the Git worker got a request that it does not know")
}

func (c *child) store(dir string) (*objectStore, error) {
	if s, ok := c.stores[dir]; ok {
		i := slices.Index(c.recent, dir)
		c.recent = append(slices.Delete(c.recent, i, i+1), dir)
		return s, nil
	}
	if len(c.recent) >= maxOpenStores {
		c.forget(c.recent[0])
	}
	s, err := openStore(dir)
	if err != nil {
		return nil, storeFault(err)
	}
	c.stores[dir] = s
	c.recent = append(c.recent, dir)
	return s, nil
}

func (c *child) forget(dir string) {
	if s, ok := c.stores[dir]; ok {
		_ = s.close() // only descriptors for reading
		delete(c.stores, dir)
		c.recent = slices.DeleteFunc(c.recent, func(d string) bool { return d == dir })
	}
}

// errMissing says that a commit's objects are not in the store, although they
// should be: somebody cleared the directory, or a disk lost them. The state is
// dropped so that the next sync fetches anew.
func (c *child) errMissing(dir string, cause error) error {
	c.forget(dir)
	err := os.Remove(filepath.Join(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return fault.Wrap(errors.Join(cause, err), fault.Unavailable, "git_objects_missing", "objects of the repository are missing in the hub's store; it is fetched again")
}

func (c *child) readTree(req *workerv1.GitReadTree) (*workerv1.GitTree, error) {
	s, err := c.store(req.GetDirectory())
	if err != nil {
		return nil, err
	}
	l := lister{store: s, req: req, out: &workerv1.GitTree{}}
	if err := l.list(req.GetTree(), "", 0); err != nil {
		var known *fault.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, c.errMissing(req.GetDirectory(), err)
	}
	return l.out, nil
}

// lister walks a tree.
type lister struct {
	store  *objectStore
	req    *workerv1.GitReadTree
	out    *workerv1.GitTree
	inline int64
}

// maxTreeDepth is deeper than any path that a file system takes.
const maxTreeDepth = 128

func (l *lister) list(id, prefix string, depth int) error {
	if depth > maxTreeDepth {
		return fault.New(fault.Unprocessable, "too_large", "directories of the repository are nested deeper than %d", maxTreeDepth)
	}
	o, err := l.store.object(plumbing.TreeObject, id)
	if err != nil {
		return err
	}
	var tree object.Tree
	if err := tree.Decode(o); err != nil {
		return fault.Wrap(err, fault.Unprocessable, "tree_invalid", "the directory %q of the repository cannot be read: it is malformed", clip(strings.TrimSuffix(prefix, "/"), 100))
	}
	for _, e := range tree.Entries {
		if !validName(e.Name) {
			return fault.New(fault.Unprocessable, "tree_invalid", "the repository has an entry with the name %q, which is not possible in a directory", clip(e.Name, 60))
		}
		if int64(len(l.out.Entries)) >= l.req.GetMaxEntries() {
			return fault.New(fault.Unprocessable, "too_large", "the directory has more than %d entries", l.req.GetMaxEntries())
		}
		path := strings.ToValidUTF8(prefix+e.Name, "\ufffd")
		entry := &workerv1.GitEntry{Path: path, Mode: uint32(e.Mode), Hash: e.Hash.String()}
		l.out.Entries = append(l.out.Entries, entry)
		switch e.Mode {
		case filemode.Dir:
			if l.req.GetRecurse() {
				if err := l.list(entry.Hash, prefix+e.Name+"/", depth+1); err != nil {
					return err
				}
			}
		case filemode.Submodule:
		default:
			if err := l.file(entry, e.Hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxInlineFile is the largest file that travels with a listing.
const maxInlineFile = 256 << 10

func (l *lister) file(entry *workerv1.GitEntry, h plumbing.Hash) error {
	wanted := entry.Mode == uint32(filemode.Symlink)
	for _, suffix := range l.req.GetInlineSuffixes() {
		wanted = wanted || strings.HasSuffix(entry.Path, suffix)
	}
	size, err := l.store.size(h)
	if err != nil {
		return err
	}
	entry.Size = size
	if l.req.GetLargeFiles() && Mode(entry.GetMode()) != ModeSymlink && size >= minPointer && size <= maxPointer {
		content, err := l.store.blob(entry.Hash)
		if err != nil {
			return err
		}
		if entry.Large = parsePointer(content); entry.Large != nil {
			return nil
		}
	}
	if !wanted || size > maxInlineFile || l.inline+size > l.req.GetInlineBytes() {
		return nil
	}
	content, err := l.store.blob(entry.Hash)
	if err != nil {
		return err
	}
	l.inline += size
	entry.Content, entry.HasContent = content, true
	return nil
}

func (s *objectStore) blob(id string) ([]byte, error) {
	o, err := s.object(plumbing.BlobObject, id)
	if err != nil {
		return nil, err
	}
	return contentOf(o)
}

func (c *child) readBlobs(req *workerv1.GitReadBlobs) (*workerv1.GitBlobs, error) {
	s, err := c.store(req.GetDirectory())
	if err != nil {
		return nil, err
	}
	out := &workerv1.GitBlobs{Contents: make([][]byte, 0, len(req.GetHashes()))}
	var total int64
	for _, id := range req.GetHashes() {
		size, err := s.size(plumbing.NewHash(id))
		if err != nil {
			return nil, c.errMissing(req.GetDirectory(), err)
		}
		if total += size; total > req.GetMaxBytes() {
			return nil, fault.New(fault.Unprocessable, "too_large", "the files that are asked for have more than %d MiB", req.GetMaxBytes()>>20)
		}
		data, err := s.blob(id)
		if err != nil {
			return nil, c.errMissing(req.GetDirectory(), err)
		}
		out.Contents = append(out.Contents, data)
	}
	return out, nil
}
