package source

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/hawser-dev/hawser/shared/fault"
)

// objectStore is the bare object store of one repository, in the child process.
// Only one process writes to it at a time (Sources sees to that); others may
// read meanwhile, because objects and packs never change.
//
// A commit counts as present when the state file names it, which is written
// after all its objects: a child that is killed leaves nothing half.
type objectStore struct {
	dir     string
	objects *filesystem.Storage
	writing sync.Mutex // objects one by one
}

// stateFile is beside the objects.
const stateFile = "hawser.json"

// storeState is what is known about the objects of a store.
type storeState struct {
	// Commits that are complete, oldest first.
	Commits []string `json:"commits,omitempty"`
	// Shallow are the commits whose parents are not here.
	Shallow []string `json:"shallow,omitempty"`
	// Last is what revisions were when they were fetched last.
	Last map[string]string `json:"last,omitempty"`
	// Prefixes are short commit ids and what they were found to be.
	Prefixes map[string]string `json:"prefixes,omitempty"`
	// Missing are commits that the server did not have when its references
	// were as the digest says; it is not asked again before they change.
	Missing map[string]string `json:"missing,omitempty"`
	// Fetched is for charts and artifacts.
	Fetched fetchedState `json:"fetched,omitzero"`
	// At is when the state was written.
	At time.Time `json:"at"`
}

// onDisk reports whether an error is about files of the hub, and not about a
// server.
func onDisk(err error) bool {
	var path *os.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

// storeFault is the error about the hub's own files.
func storeFault(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.Wrap(err, fault.Unavailable, "git_store_unavailable", "the disk with the hub's directory for repositories is full").
			WithFix("make room, or delete the directory's content, which is a cache")
	}
	return fault.Wrap(err, fault.Unavailable, "git_store_unavailable", "the hub cannot use its directory for repositories")
}

const (
	maxPacks   = 64    // more are a reason to begin anew
	maxCommits = 5_000 // so are more commits
	// looseLimit is the size of a pack, in objects, up to which its objects
	// are stored one by one: many small packs make reading slow.
	looseLimit = 200
)

func openStore(dir string) (*objectStore, error) {
	if err := os.MkdirAll(filepath.Join(dir, "objects", "pack"), 0o700); err != nil {
		return nil, err
	}
	fs := osfs.New(dir, osfs.WithBoundOS())
	return &objectStore{
		dir: dir,
		objects: filesystem.NewStorageWithOptions(fs, cache.NewObjectLRU(8*cache.MiByte), filesystem.Options{
			KeepDescriptors: true,
		}),
	}, nil
}

func (s *objectStore) close() error { return s.objects.Close() }

func (s *objectStore) readState() storeState {
	var st storeState
	data, err := os.ReadFile(filepath.Join(s.dir, stateFile))
	if err != nil {
		return st // nothing is present then
	}
	if json.Unmarshal(data, &st) != nil {
		return storeState{}
	}
	return st
}

func (s *objectStore) writeState(st storeState) error {
	st.At = time.Now().UTC()
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	tmp := filepath.Join(s.dir, stateFile+".tmp")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(s.dir, stateFile))
}

func (st *storeState) has(commit string) bool { return slices.Contains(st.Commits, commit) }

func (st *storeState) add(commits ...string) {
	for _, c := range commits {
		if !st.has(c) {
			st.Commits = append(st.Commits, c)
		}
	}
}

// clean removes what a killed writer left: temporary files, and indexes without
// their pack, which would be taken for whole later.
func (s *objectStore) clean() (packs int, err error) {
	packDir := filepath.Join(s.dir, "objects", "pack")
	entries, err := os.ReadDir(packDir)
	if err != nil {
		return 0, err
	}
	have := map[string]bool{}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".pack"); ok {
			have[name] = true
		}
	}
	for _, e := range entries {
		name := e.Name()
		base, isIndex := strings.CutSuffix(name, ".idx")
		if strings.HasPrefix(name, "tmp_") || (isIndex && !have[base]) {
			if err := os.Remove(filepath.Join(packDir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return 0, err
			}
		}
	}
	return len(have), nil
}

// remains reports whether there are objects.
func (s *objectStore) remains() (bool, error) {
	for _, dir := range []string{"objects", "objects/pack"} {
		entries, err := os.ReadDir(filepath.Join(s.dir, filepath.FromSlash(dir)))
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			if e.Name() != "pack" && e.Name() != "info" {
				return true, nil
			}
		}
	}
	return false, nil
}

// lost reports that objects are here which no state vouches for: a writer was
// killed, or some could not be read. Writing them again would not repair those
// that are there and damaged, so the store begins anew.
func (s *objectStore) lost(st storeState) (bool, error) {
	if !st.At.IsZero() {
		return false, nil
	}
	return s.remains()
}

// reset throws everything away. Readers of other processes keep what they have
// open and otherwise find nothing, which they report as missing.
func (s *objectStore) reset() error {
	if err := s.close(); err != nil {
		return err
	}
	trash, err := os.MkdirTemp(filepath.Dir(s.dir), "trash-*")
	if err != nil {
		return err
	}
	if err := os.Rename(s.dir, filepath.Join(trash, "store")); err != nil {
		return err
	}
	fresh, err := openStore(s.dir)
	if err != nil {
		return err
	}
	s.objects = fresh.objects
	return os.RemoveAll(trash)
}

// object reads an object, looking for new packs of other processes once.
func (s *objectStore) object(typ plumbing.ObjectType, id string) (plumbing.EncodedObject, error) {
	h := plumbing.NewHash(id)
	o, err := s.objects.EncodedObject(typ, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		s.objects.Reindex()
		o, err = s.objects.EncodedObject(typ, h)
	}
	return o, err
}

func (s *objectStore) size(h plumbing.Hash) (int64, error) {
	if n, ok := s.looseSize(h); ok {
		return n, nil
	}
	n, err := s.objects.EncodedObjectSize(h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		s.objects.Reindex()
		n, err = s.objects.EncodedObjectSize(h)
	}
	return n, err
}

// looseSize reads the size of an object that has a file of its own; go-git
// leaves the file open when it does.
func (s *objectStore) looseSize(h plumbing.Hash) (int64, bool) {
	id := h.String()
	f, err := os.Open(filepath.Join(s.dir, "objects", id[:2], id[2:]))
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }() // only read
	r, err := objfile.NewReader(f)
	if err != nil {
		return 0, false
	}
	_, size, err := r.Header()
	return size, errors.Join(err, r.Close()) == nil
}

// treeFile is a file for writeTree.
type treeFile struct {
	Path    string // relative, with slashes
	Mode    Mode   // ModeRegular, ModeExecutable or ModeSymlink
	Content []byte // for a link what it points to
	// stored is the content when it is in the store already.
	stored plumbing.Hash
}

// writeTree stores files as a tree and returns its hash: equal files have equal
// hashes. Paths are confined: no "..", no absolute ones, nothing named .git, and
// no file twice or where a directory is. Code tree_invalid.
func (s *objectStore) writeTree(files []treeFile) (string, error) {
	root := &treeNode{}
	for _, f := range files {
		if err := root.add(f); err != nil {
			return "", err
		}
	}
	h, err := root.write(s)
	return h.String(), err
}

// treeNode is a directory that is being built.
type treeNode struct {
	dirs  map[string]*treeNode
	files map[string]treeFile
}

func (t *treeNode) add(f treeFile) error {
	invalid := func(why string) error {
		return fault.New(fault.Unprocessable, "tree_invalid", "the file %q %s", clip(printable(f.Path), 100), why)
	}
	if f.Mode != ModeRegular && f.Mode != ModeExecutable && f.Mode != ModeSymlink {
		return invalid("is neither a file nor a symbolic link")
	}
	names := strings.Split(f.Path, "/")
	if len(names) > maxTreeDepth {
		return invalid("is nested too deep")
	}
	for i, name := range names {
		if !validName(name) {
			return invalid("has a path that is not possible in a directory")
		}
		if i == len(names)-1 {
			break
		}
		if _, ok := t.files[name]; ok {
			return invalid("is below another file")
		}
		sub, ok := t.dirs[name]
		if !ok {
			sub = &treeNode{}
			if t.dirs == nil {
				t.dirs = map[string]*treeNode{}
			}
			t.dirs[name] = sub
		}
		t = sub
	}
	name := names[len(names)-1]
	if _, ok := t.files[name]; ok {
		return invalid("is there twice")
	}
	if _, ok := t.dirs[name]; ok {
		return invalid("is a directory too")
	}
	if t.files == nil {
		t.files = map[string]treeFile{}
	}
	t.files[name] = f
	return nil
}

func (t *treeNode) write(s *objectStore) (plumbing.Hash, error) {
	var tree object.Tree
	for name, f := range t.files {
		h := f.stored
		if h.IsZero() {
			var err error
			if h, err = s.put(plumbing.BlobObject, f.Content); err != nil {
				return plumbing.ZeroHash, err
			}
		}
		tree.Entries = append(tree.Entries, object.TreeEntry{Name: name, Mode: filemode.FileMode(f.Mode), Hash: h})
	}
	for name, d := range t.dirs {
		h, err := d.write(s)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		tree.Entries = append(tree.Entries, object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: h})
	}
	sort.Sort(object.TreeEntrySorter(tree.Entries))
	o := &plumbing.MemoryObject{}
	if err := tree.Encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	return s.objects.SetEncodedObject(o)
}

func (s *objectStore) put(typ plumbing.ObjectType, content []byte) (plumbing.Hash, error) {
	o := &plumbing.MemoryObject{}
	o.SetType(typ)
	if _, err := o.Write(content); err != nil {
		return plumbing.ZeroHash, err
	}
	return s.objects.SetEncodedObject(o)
}
