package source

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/filesystem"
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
	// At is when the state was written.
	At time.Time `json:"at"`
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
	*s = *fresh
	return os.RemoveAll(trash)
}

// addPack stores the objects of a pack.
func (s *objectStore) addPack(r io.Reader) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	head, err := buffered.Peek(12)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if string(head[:4]) != "PACK" {
		return fmt.Errorf("%w: the pack has another beginning", errProtocol)
	}
	switch n := binary.BigEndian.Uint32(head[8:]); {
	case n == 0:
		_, err := io.Copy(io.Discard, buffered)
		return err
	case n <= looseLimit:
		parser, err := packfile.NewParserWithStorage(packfile.NewScanner(buffered), s.objects)
		if err != nil {
			return err
		}
		if _, err := parser.Parse(); err != nil {
			return err
		}
		// Whatever follows belongs to the conversation.
		_, err = io.Copy(io.Discard, buffered)
		return err
	}
	return packfile.WritePackfileToObjectStorage(s.objects, buffered)
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
	n, err := s.objects.EncodedObjectSize(h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		s.objects.Reindex()
		n, err = s.objects.EncodedObjectSize(h)
	}
	return n, err
}
