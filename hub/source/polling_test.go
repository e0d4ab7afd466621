package source

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
)

func TestALookIsOneRequestHoweverManyFollow(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	var targets []fleet.Target
	heads := map[string]string{}
	for r := range 3 {
		repo, head := createRepo(t, server, fmt.Sprint("repo-", r), map[string]string{"a": fmt.Sprint(r)})
		heads[repo.URL()] = head
		if err := repo.SetTag(t.Context(), "v1.0.0", head); err != nil {
			t.Fatal(err)
		}
		for app := range 100 {
			revision := []string{"", "main", "v1.0.0", "^1", head}[app%5]
			targets = append(targets, fleet.Target{RepoURL: repo.URL(), Revision: revision})
		}
	}
	looked := make(chan string, 100)
	p := NewPoller(PollerOptions{
		Sources: newSources(t, Options{}), Interval: time.Hour,
		Changed: func(url string, resolved map[fleet.Target]Resolved, err error) {
			if err != nil || len(resolved) != 5 {
				t.Errorf("%s: %v %v", url, resolved, err)
			}
			for target, r := range resolved {
				if r.Commit != heads[url] {
					t.Errorf("%+v: %+v", target, r)
				}
			}
		},
		Looked: func(url string, _ time.Time, _ error) { looked <- url },
	})
	p.SetTargets(targets)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	for round := range 4 {
		for range 3 {
			<-looked
		}
		if got, want := server.Counts(""), (testbed.GitCounts{Refs: 3 * (round + 1), Fetch: 3}); got != want {
			t.Errorf("after %d rounds %+v, want %+v", round+1, got, want)
		}
		for url := range heads {
			p.Poke(url)
		}
	}
}

func TestABaseIsAskedOncePerInterval(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, first := createRepo(t, server, "base", map[string]string{"a": "1"})
	s := newSources(t, Options{Freshness: time.Hour})
	for range 5 {
		snap, err := s.Base(t.Context(), repo.URL(), "main")
		if err != nil {
			t.Fatal(err)
		}
		if got := snap.Revision().Commit; got != first {
			t.Errorf("got %s", got)
		}
	}
	if got := server.Counts("base"); got.Refs != 1 || got.Fetch != 1 {
		t.Errorf("five looks cost %+v", got)
	}
	if _, err := s.Base(t.Context(), repo.URL(), "nothing"); err == nil {
		t.Error("a revision that does not exist is there")
	}
	hasty := newSources(t, Options{Freshness: time.Nanosecond})
	for i := range 2 {
		want := commit(t, repo, map[string]string{"a": fmt.Sprint("again ", i)})
		snap, err := hasty.Base(t.Context(), repo.URL(), "main")
		if err != nil || snap.Revision().Commit != want {
			t.Errorf("%v %v", snap, err)
		}
	}
}
