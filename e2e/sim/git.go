package sim

import (
	"errors"
	"fmt"

	"github.com/hawser-dev/hawser/shared/model"
)

// git is one repository: the head's objects by path.
type git struct {
	w        *world
	revision int
	head     map[string]Objects
	changed  map[string]string // path → revision that changed it last
	down     bool
}

var errGitDown = errors.New("git: the server does not answer")

func newGit(w *world) *git {
	return &git{w: w, head: map[string]Objects{}, changed: map[string]string{}}
}

func (g *git) commit(path string, objects Objects) {
	g.revision++
	g.head[path] = objects
	g.changed[path] = g.name()
	g.w.record(Event{Kind: GitCommit, Path: path, Revision: g.name(), Objects: objects})
}

func (g *git) name() string { return fmt.Sprintf("r%d", g.revision) }

// read returns a path's objects at the head. A server that is down is an
// error, and never an empty answer.
func (g *git) read(path string) (Objects, string, error) {
	if g.down {
		return nil, "", errGitDown
	}
	return g.head[path], g.changed[path], nil
}

// change makes a path's next content. A path has at most a dozen objects; now
// and then it loses many, or all, or gains many.
func (g *git) change(path string) {
	w := g.w
	next := Objects{}
	for _, k := range sortedKeys(g.head[path]) {
		next[k] = g.head[path][k]
	}
	content := func() string { return w.id("v") }
	switch p := w.rng.IntN(20); {
	case len(next) == 0 || p < 2:
		for i := range 2 + w.rng.IntN(4) {
			next[objectKey(path, i)] = content()
		}
	case p < 3:
		for i := range 14 {
			next[objectKey(path, i)] = content()
		}
	case p < 4:
		next = Objects{}
	case p < 5:
		keys := sortedKeys(next)
		for _, k := range keys[:len(keys)*3/4] {
			delete(next, k)
		}
	case p < 8:
		keys := sortedKeys(next)
		delete(next, keys[w.rng.IntN(len(keys))])
	case p < 12:
		next[objectKey(path, w.rng.IntN(16))] = content()
	case p < 13:
		k := objectKey(path, 0)
		k.Kind, k.Name = "PersistentVolumeClaim", path+"-data"
		if _, ok := next[k]; ok {
			delete(next, k)
		} else {
			next[k] = content()
		}
	default:
		keys := sortedKeys(next)
		next[keys[w.rng.IntN(len(keys))]] = content()
	}
	g.commit(path, next)
}

func objectKey(path string, i int) model.ObjectKey {
	return model.ObjectKey{Kind: "ConfigMap", Namespace: path, Name: fmt.Sprintf("%s-c%d", path, i)}
}
