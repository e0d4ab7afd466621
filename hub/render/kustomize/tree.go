package kustomize

import (
	"bytes"
	"errors"
	"fmt"
	iofs "io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// maxServed bounds what one build reads, a file as often as it is read: a base
// that many overlays share is read by the library once for each.
const maxServed = 512 << 20

// mountName is the directory of tree number n in the file system of a build.
const mountName = "/hawser-tree-"

var mounted = regexp.MustCompile(regexp.QuoteMeta(mountName) + `(\d+)(/|\b)`)

// mount is one tree of the build.
type mount struct {
	tree     string // name for the host
	label    string // what stands before its paths in messages; "" for the source
	revision string // that a remote reference asks for
	apart    string // why the tree is there more than once; see plan.apart
}

// tree is the file system of one build: lazy, read-only for the library, and
// closed. Absolute paths are /hawser-tree-N/path; whatever is not below a mount
// does not exist. It is for one goroutine.
type tree struct {
	w       *workspace.Workspace
	mounts  []mount
	info    map[place]workspace.Info
	content map[place][]byte
	// written holds files that the plan put there or changed.
	written map[string][]byte
	served  int64
	// failed is the first failure of the host. The library takes errors of
	// reading for "not there" and goes on, so it is kept here.
	failed error
}

// place is a path in a tree of the host.
type place struct{ tree, path string }

var _ filesys.FileSystem = (*tree)(nil)

func newTree(w *workspace.Workspace) *tree {
	return &tree{
		w: w, mounts: []mount{{tree: workspace.Main}},
		info: map[place]workspace.Info{}, content: map[place][]byte{}, written: map[string][]byte{},
	}
}

// mount adds a tree, once, and returns its directory.
func (t *tree) mount(m mount) string {
	for i, known := range t.mounts {
		if known.tree == m.tree && known.apart == m.apart {
			return mountName + strconv.Itoa(i)
		}
	}
	t.mounts = append(t.mounts, m)
	return mountName + strconv.Itoa(len(t.mounts)-1)
}

// again returns the path in another mount of the same tree.
func (t *tree) again(abs, apart string) string {
	m, _, p, _ := t.split(abs)
	m.apart = "for " + apart
	return path.Join(t.mount(m), p)
}

// split returns the mount and the path in it of a clean absolute path.
func (t *tree) split(abs string) (m mount, dir, inTree string, ok bool) {
	rest, below := strings.CutPrefix(abs, mountName)
	if !below {
		return mount{}, "", "", false
	}
	number, inTree, _ := strings.Cut(rest, "/")
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(t.mounts) || strconv.Itoa(i) != number {
		return mount{}, "", "", false
	}
	return t.mounts[i], mountName + number, inTree, true
}

// name is an absolute path as users know it.
func (t *tree) name(abs string) string {
	m, _, p, ok := t.split(abs)
	switch {
	case !ok:
		return abs
	case m.label == "" && p == "":
		return "."
	case m.label == "":
		return p
	case p == "":
		return m.label
	}
	return m.label + "//" + p
}

// plain replaces the paths of mounts in a text by what users know.
func (t *tree) plain(text string) string {
	return mounted.ReplaceAllStringFunc(text, func(found string) string {
		rest := strings.TrimPrefix(found, mountName)
		number, _, _ := strings.Cut(rest, "/")
		i, err := strconv.Atoi(number)
		if err != nil || i >= len(t.mounts) || t.mounts[i].label == "" {
			if strings.HasSuffix(rest, "/") {
				return ""
			}
			return "."
		}
		if strings.HasSuffix(rest, "/") {
			return t.mounts[i].label + "//"
		}
		return t.mounts[i].label
	})
}

func clean(p string) string { return path.Clean("/" + p) }

// stat asks the host what is at a path, once.
func (t *tree) stat(abs string) (workspace.Info, error) {
	abs = clean(abs)
	if content, ok := t.written[abs]; ok {
		return workspace.Info{Path: abs, Exists: true, Size: int64(len(content))}, nil
	}
	m, _, p, ok := t.split(abs)
	if !ok {
		return workspace.Info{Path: abs}, nil
	}
	at := place{m.tree, p}
	if info, ok := t.info[at]; ok {
		return info, nil
	}
	info, err := t.w.Host.Stat(m.tree, p)
	if err != nil {
		t.fail(err)
		return workspace.Info{}, err
	}
	if info.Broken {
		info.Exists = false
	}
	t.info[at] = info
	return info, nil
}

// real is the path of a directory after following symbolic links: the library
// takes ".." in a kustomization from there.
func (t *tree) real(abs string, info workspace.Info) string {
	_, dir, _, ok := t.split(abs)
	if !ok {
		return abs
	}
	return path.Join(dir, info.Path)
}

// read returns a file. It is notExist for what is no file.
func (t *tree) read(abs string) ([]byte, error) {
	abs = clean(abs)
	content, ok := t.written[abs]
	m, _, p, _ := t.split(abs)
	at := place{m.tree, p}
	if !ok {
		content, ok = t.content[at]
	}
	if !ok {
		info, err := t.stat(abs)
		if err != nil {
			return nil, err
		}
		if !info.Exists || info.Dir {
			return nil, notExist(abs)
		}
		content, err = t.w.Read(m.tree, p)
		if err == nil {
			err = bomb(t.name(abs), content, t.w.Limits.Manifest)
		}
		if err != nil {
			t.fail(err)
			return nil, err
		}
		t.content[at] = content
	}
	t.served += int64(len(content))
	if t.served > maxServed {
		err := fault.New(fault.Unprocessable, "too_large", "the build reads more than %d MiB: files of bases that many overlays share count once for each", maxServed>>20)
		t.fail(err)
		return nil, err
	}
	return content, nil
}

// bomb finds YAML that aliases would make too large; the library has no limit of
// its own. What else is wrong with a file the library says, if it reads the file
// as YAML at all.
func bomb(name string, content []byte, lim manifest.Limits) error {
	if !bytes.ContainsRune(content, '&') || !bytes.ContainsRune(content, '*') {
		return nil
	}
	lim.MaxBytes = max(len(content), 1)
	if _, err := manifest.Parse(name, content, lim); fault.HasCode(err, "yaml_alias_limit") {
		return err
	}
	return nil
}

// write puts a file into the build.
func (t *tree) write(abs string, content []byte) { t.written[clean(abs)] = content }

func (t *tree) fail(err error) {
	if t.failed == nil {
		t.failed = err
	}
}

func notExist(abs string) error { return fmt.Errorf("'%s' doesn't exist: %w", abs, iofs.ErrNotExist) }

// The rest is filesys.FileSystem.

var errReadOnly = errors.New("a build writes no files")

func (t *tree) Create(string) (filesys.File, error) { return nil, errReadOnly }
func (t *tree) Mkdir(string) error                  { return errReadOnly }
func (t *tree) MkdirAll(string) error               { return errReadOnly }
func (t *tree) RemoveAll(string) error              { return errReadOnly }
func (t *tree) WriteFile(string, []byte) error      { return errReadOnly }

// Open is not used by builds.
func (t *tree) Open(string) (filesys.File, error) { return nil, errReadOnly }

// IsDir implements filesys.FileSystem.
func (t *tree) IsDir(p string) bool {
	info, err := t.stat(p)
	return err == nil && info.Exists && info.Dir
}

// Exists implements filesys.FileSystem.
func (t *tree) Exists(p string) bool {
	info, err := t.stat(p)
	return err == nil && info.Exists
}

// CleanedAbs implements filesys.FileSystem.
func (t *tree) CleanedAbs(p string) (filesys.ConfirmedDir, string, error) {
	abs := clean(p)
	info, err := t.stat(abs)
	switch {
	case err != nil:
		return "", "", err
	case !info.Exists:
		return "", "", notExist(abs)
	case info.Dir:
		return filesys.ConfirmedDir(t.real(abs, info)), "", nil
	}
	return filesys.ConfirmedDir(path.Dir(abs)), path.Base(abs), nil
}

// ReadFile implements filesys.FileSystem.
func (t *tree) ReadFile(p string) ([]byte, error) { return t.read(p) }

// ReadDir implements filesys.FileSystem.
func (t *tree) ReadDir(p string) ([]string, error) {
	abs := clean(p)
	m, _, dir, ok := t.split(abs)
	if !ok {
		return nil, notExist(abs)
	}
	found, err := t.w.Host.List(m.tree, dir, false)
	if err != nil {
		t.fail(err)
		return nil, err
	}
	names := make([]string, 0, len(found))
	for _, f := range found {
		if !f.Broken {
			names = append(names, path.Base(f.Path))
		}
	}
	return names, nil
}

// Glob implements filesys.FileSystem. It lists only directories whose names a
// pattern leaves open.
func (t *tree) Glob(pattern string) ([]string, error) {
	abs := clean(pattern)
	_, dir, rest, ok := t.split(abs)
	if !ok {
		return nil, nil
	}
	matches := []string{dir}
	for _, part := range strings.Split(rest, "/") {
		var next []string
		for _, parent := range matches {
			if !strings.ContainsAny(part, `*?[\`) {
				if child := path.Join(parent, part); t.Exists(child) {
					next = append(next, child)
				}
				continue
			}
			if !t.IsDir(parent) {
				continue
			}
			names, err := t.ReadDir(parent)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				fits, err := path.Match(part, name)
				if err != nil {
					return nil, err
				}
				if fits {
					next = append(next, path.Join(parent, name))
				}
			}
		}
		matches = next
	}
	return matches, nil
}

// Walk implements filesys.FileSystem; builds do not walk.
func (t *tree) Walk(string, filepath.WalkFunc) error { return errReadOnly }
