package observe

import (
	"context"
	"strings"
	"sync"

	"github.com/hawser-dev/hawser/agent/live"
)

// inNamespaces is a session of an observer that looks only into some namespaces,
// as it may not look into others: a list and a watch for each. They end together,
// and go on together where each was.
func (r *reflector) inNamespaces(ctx context.Context, kind live.Kind, full bool) error {
	if r.places == nil {
		for _, ns := range r.o.opts.Namespaces {
			r.places = append(r.places, &place{namespace: ns})
		}
	}
	if r.at.version == "" {
		r.o.store.beginList(r.gk)
		versions := map[string]string{}
		for _, p := range r.places {
			if err := r.list(ctx, pathIn(kind, p.namespace), p, kind, full); err != nil {
				return err
			}
			versions[p.namespace] = p.version
		}
		r.emit(r.o.store.endLists(r.gk, versions)...)
		r.at.version = inPlaces
		r.live()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	ended := false
	opened := 0
	open := func() {
		mu.Lock()
		defer mu.Unlock()
		if opened++; opened == len(r.places) {
			r.live() // this session's own goroutine waits
		}
	}
	for _, p := range r.places {
		wg.Go(func() {
			err := r.watch(ctx, pathIn(kind, p.namespace), p, kind, full, open)
			mu.Lock()
			defer mu.Unlock()
			if !ended { // the others end because of this one
				first, ended = err, true
			}
			cancel()
		})
	}
	wg.Wait()
	return first
}

// inPlaces stands for a resource version: each place has its own.
const inPlaces = "in places"

func pathIn(k live.Kind, namespace string) string {
	return strings.TrimSuffix(resourcePath(k), k.Resource) + "namespaces/" + namespace + "/" + k.Resource
}
