package plugin

import (
	"container/list"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/hawser-dev/hawser/shared/fault"
)

// listing is what is in the directory of a source, read once for all plugins.
type listing struct {
	run       Run
	names, in []string // directly in it; files anywhere below it
	below     bool     // in was read
	direct    bool     // names was read
}

// discovered asks one plugin's rule. Globs are matched by the hub against the
// names of files; only a command needs the host.
func (p *Plugins) discovered(ctx context.Context, h *host, l *listing, run Run) (bool, error) {
	d := h.description()
	switch r := d.GetDiscovery(); {
	case r.GetFileName() != "":
		return l.match(ctx, r.GetFileName())
	case r.GetGlob() != "":
		return l.match(ctx, r.GetGlob())
	}
	key, ok := discoveryKey(d.GetName()+" "+d.GetIdentity(), run)
	if ok {
		if found, known := p.found.get(key); known {
			return found, nil
		}
	}
	found, err := h.discover(ctx, p.opts.Limits, run)
	if err == nil && ok {
		p.found.put(key, found)
	}
	return found, err
}

// match says whether something in the directory matches a glob, in which "**"
// stands for any number of directories.
func (l *listing) match(ctx context.Context, pattern string) (bool, error) {
	pattern = path.Clean(pattern)
	if !strings.ContainsAny(pattern, `*?[{\`) {
		if strings.HasPrefix(pattern, "../") {
			return false, nil // nothing outside of the directory says what is in it
		}
		_, _, mode, err := l.run.Files.Stat(ctx, joinDir(l.run.Dir, pattern))
		return mode != 0, err
	}
	names, err := l.list(ctx, strings.Contains(pattern, "/") || strings.Contains(pattern, "**"))
	if err != nil {
		return false, err
	}
	for _, name := range names {
		ok, err := doublestar.Match(pattern, name)
		if err != nil {
			return false, fault.New(fault.Upstream, "plugin_failed", "the plugin's glob %q is none", clip(pattern, 80))
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// list returns paths relative to the directory of the source. A source that has
// no such directory has no files: whoever renders it says what is wrong.
func (l *listing) list(ctx context.Context, recurse bool) ([]string, error) {
	have, out := &l.direct, &l.names
	if recurse {
		have, out = &l.below, &l.in
	}
	if *have {
		return *out, nil
	}
	err := l.run.Files.List(ctx, l.run.Dir, recurse, func(p, _ string, _ int64, _ uint32, _ bool) {
		*out = append(*out, strings.TrimPrefix(strings.TrimPrefix(p, l.run.Dir), "/"))
	})
	if fault.HasCode(err, "path_not_found") {
		err = nil
	}
	*have = err == nil
	return *out, err
}

// discoveryKey identifies what a command of discovery can see. There is none when
// nobody can identify the files.
func discoveryKey(identity string, run Run) (string, bool) {
	rooted, ok := run.Files.(interface{ Root() string })
	if !ok || rooted.Root() == "" || strings.HasPrefix(rooted.Root(), "worktree:") {
		return "", false
	}
	h := sha256.New()
	text := func(s string) { fmt.Fprintf(h, "%d %s\n", len(s), s) }
	text(identity)
	text(rooted.Root())
	text(run.Dir)
	env, _ := environment(run)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		text(name)
		text(env[name])
	}
	return string(h.Sum(nil)), true
}

// discoveries remember what commands said, the newest few thousand of them: the
// same commit is looked at again at every poll.
type discoveries struct {
	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of discovery, the newest first
}

type discovery struct {
	key   string
	found bool
}

const maxDiscoveries = 4096

func (d *discoveries) get(key string) (found, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.byKey[key]
	if !ok {
		return false, false
	}
	d.order.MoveToFront(e)
	return e.Value.(discovery).found, true
}

func (d *discoveries) put(key string, found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byKey == nil {
		d.byKey = map[string]*list.Element{}
	}
	if e, ok := d.byKey[key]; ok {
		e.Value = discovery{key, found}
		return
	}
	d.byKey[key] = d.order.PushFront(discovery{key, found})
	if d.order.Len() > maxDiscoveries {
		last := d.order.Remove(d.order.Back()).(discovery)
		delete(d.byKey, last.key)
	}
}
