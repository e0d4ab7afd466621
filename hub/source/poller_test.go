package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// asked is a Resolve that answers when the test says so.
type asked struct {
	calls   chan string // "url: revisions"
	answers chan answer
}

type answer struct {
	commit string
	err    error
}

func newAsked() *asked { return &asked{calls: make(chan string), answers: make(chan answer)} }

func (a *asked) Resolve(ctx context.Context, url string, targets []fleet.Target) (map[fleet.Target]Resolved, error) {
	var revisions []string
	for _, t := range targets {
		revisions = append(revisions, t.Revision)
	}
	select {
	case a.calls <- url + ": " + strings.Join(revisions, " "):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case ans := <-a.answers:
		if ans.err != nil {
			return nil, ans.err
		}
		out := map[fleet.Target]Resolved{}
		for _, t := range targets {
			out[t] = Resolved{Commit: ans.commit}
		}
		return out, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *asked) expect(t *testing.T, want string, ans answer) {
	t.Helper()
	select {
	case got := <-a.calls:
		if got != want {
			t.Fatalf("asked %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("not asked %q", want)
	}
	a.answers <- ans
}

func startPoller(t *testing.T, opts PollerOptions) (*Poller, chan string) {
	t.Helper()
	changes := make(chan string, 100)
	opts.Changed = func(url string, resolved map[fleet.Target]Resolved, err error) {
		if err != nil {
			changes <- url + " error " + err.Error()
			return
		}
		for t, v := range resolved {
			changes <- fmt.Sprintf("%s %s=%s", url, t.Revision, v.Commit)
		}
	}
	p := NewPoller(opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return p, changes
}

func expectChange(t *testing.T, changes chan string, want string) {
	t.Helper()
	select {
	case got := <-changes:
		if got != want {
			t.Fatalf("change %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no change %q", want)
	}
}

func TestARevisionThatComesBackIsAnswered(t *testing.T) {
	// Whoever stopped following a revision has forgotten what it was.
	a := newAsked()
	p, changes := startPoller(t, PollerOptions{Sources: a, Interval: time.Hour})
	p.SetTargets(targetsOf("repo", "dev", "main"))
	a.expect(t, "repo: dev main", answer{commit: "1"})
	<-changes
	<-changes
	p.SetTargets(targetsOf("repo", "main"))
	p.SetTargets(targetsOf("repo", "dev", "main"))
	a.expect(t, "repo: dev main", answer{commit: "1"})
	got := map[string]bool{}
	for range 2 {
		select {
		case c := <-changes:
			got[c] = true
		case <-time.After(20 * time.Second):
			t.Fatalf("told only %v", got)
		}
	}
	if !got["repo dev=1"] {
		t.Errorf("told %v", got)
	}
}

func TestPokesAreCoalesced(t *testing.T) {
	a := newAsked()
	p, changes := startPoller(t, PollerOptions{Sources: a, Interval: time.Hour})
	p.SetTargets(targetsOf("repo", "main", "dev", "main"))
	<-a.calls // the first look is running
	for range 10 {
		if !p.Poke("repo") {
			t.Error("the repository is not known")
		}
	}
	if p.Poke("other") {
		t.Error("another repository is known")
	}
	a.answers <- answer{commit: "1"}
	a.expect(t, "repo: dev main", answer{commit: "2"}) // exactly one more
	select {
	case c := <-a.calls:
		t.Fatalf("asked once too often: %s", c)
	case <-time.After(50 * time.Millisecond):
	}
	for range 4 { // two revisions, two commits
		<-changes
	}
	p.Poke("repo")
	a.expect(t, "repo: dev main", answer{commit: "2"})
	p.Poke("repo")
	a.expect(t, "repo: dev main", answer{commit: "2"})
	if len(changes) != 0 {
		t.Errorf("a look without news was reported: %s", <-changes)
	}
}

func TestErrorsAreNotEmpty(t *testing.T) {
	a := newAsked()
	p, changes := startPoller(t, PollerOptions{Sources: a, Interval: time.Hour, RetryAfter: time.Millisecond})
	p.SetTargets(targetsOf("repo", "main"))
	a.expect(t, "repo: main", answer{commit: "1"})
	expectChange(t, changes, "repo main=1")
	p.Poke("repo")
	a.expect(t, "repo: main", answer{err: errors.New("down")})
	expectChange(t, changes, "repo error down")
	a.expect(t, "repo: main", answer{err: errors.New("down")}) // comes by itself, sooner than the interval
	a.expect(t, "repo: main", answer{commit: "1"})
	expectChange(t, changes, "repo main=1") // the end of the error is news
}

func TestIntervalAndJitter(t *testing.T) {
	a := newAsked()
	p, changes := startPoller(t, PollerOptions{Sources: a, Interval: 2 * time.Millisecond})
	p.SetTargets(targetsOf("repo", "main"))
	for i := range 5 {
		a.expect(t, "repo: main", answer{commit: fmt.Sprint(i)})
		expectChange(t, changes, fmt.Sprintf("repo main=%d", i))
	}
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := jitter(time.Minute, 0.1)
		low, high = min(low, d), max(high, d)
	}
	if low < 54*time.Second || high > 66*time.Second || high-low < 8*time.Second {
		t.Errorf("waits from %s to %s", low, high)
	}
}

func TestSetTargets(t *testing.T) {
	a := newAsked()
	p, changes := startPoller(t, PollerOptions{Sources: a, Interval: time.Hour})
	p.SetTargets(targetsOf("repo", "main"))
	a.expect(t, "repo: main", answer{commit: "1"})
	expectChange(t, changes, "repo main=1")
	p.SetTargets(targetsOf("repo", "main")) // nothing new, no look
	p.SetTargets(targetsOf("repo", "dev", "main"))
	a.expect(t, "repo: dev main", answer{commit: "1"})
	<-changes
	<-changes
	p.SetTargets(targetsOf("repo", "dev")) // fewer: no look
	p.SetTargets(slices.Concat(targetsOf("repo", "dev"), targetsOf("second", "")))
	a.expect(t, "second: ", answer{commit: "2"})
	expectChange(t, changes, "second =2")
	if got := len(p.Repositories()); got != 2 {
		t.Errorf("%d repositories", got)
	}
	p.SetTargets(nil)
	if p.Poke("repo") || len(p.Repositories()) != 0 {
		t.Error("a repository is still under watch")
	}
	p.SetTargets(targetsOf("repo", "dev")) // again: as new
	a.expect(t, "repo: dev", answer{commit: "1"})
	expectChange(t, changes, "repo dev=1")
}

func TestALookThatNobodyWantsAnyMoreIsNotReported(t *testing.T) {
	a := newAsked()
	p, changes := startPoller(t, PollerOptions{Sources: a, Interval: time.Hour})
	p.SetTargets(targetsOf("repo", "main"))
	<-a.calls
	p.SetTargets(nil)
	p.SetTargets(targetsOf("other", "main"))
	a.expect(t, "other: main", answer{commit: "1"})
	expectChange(t, changes, "other main=1")
	if len(changes) != 0 {
		t.Errorf("reported %s", <-changes)
	}
}

func TestPollerBeforeAndAfterRun(t *testing.T) {
	var mu sync.Mutex
	looked := 0
	first := make(chan struct{})
	p := NewPoller(PollerOptions{
		Sources:  nothing{},
		Changed:  func(string, map[fleet.Target]Resolved, error) {},
		Interval: time.Hour,
		Looked: func(string, time.Time, error) {
			mu.Lock()
			defer mu.Unlock()
			if looked++; looked == 1 {
				close(first)
			}
		},
	})
	p.SetTargets(targetsOf("repo", "main"))
	p.Poke("repo")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	<-first
	cancel()
	<-done
	p.Poke("repo")
	p.SetTargets(targetsOf("later", "main"))
}

// nothing is a Resolver that finds nothing.
type nothing struct{}

func (nothing) Resolve(context.Context, string, []fleet.Target) (map[fleet.Target]Resolved, error) {
	return map[fleet.Target]Resolved{}, nil
}

// stuck is a Resolver that never answers.
type stuck struct{}

func (stuck) Resolve(ctx context.Context, _ string, _ []fleet.Target) (map[fleet.Target]Resolved, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestALookThatTakesTooLongIsAnError(t *testing.T) {
	p, changes := startPoller(t, PollerOptions{Sources: stuck{}, Interval: time.Hour, Timeout: 10 * time.Millisecond})
	p.SetTargets(targetsOf("repo", "main"))
	expectChange(t, changes, "repo error repo did not answer within 10ms: context deadline exceeded")
}

// stubborn is a Resolve that answers, however late, and whoever may have gone.
type stubborn struct {
	calls   chan struct{}
	answers chan string
}

func (s stubborn) Resolve(_ context.Context, _ string, targets []fleet.Target) (map[fleet.Target]Resolved, error) {
	s.calls <- struct{}{}
	commit := <-s.answers
	return map[fleet.Target]Resolved{targets[0]: {Commit: commit}}, nil
}

// An answer to a look of before is not taken for one of after.
func TestARepositoryThatIsFollowedAgainWaitsForTheEndOfItsLastLook(t *testing.T) {
	s := stubborn{make(chan struct{}), make(chan string)}
	p, changes := startPoller(t, PollerOptions{Sources: s, Interval: time.Hour})
	main := []fleet.Target{{RepoURL: "u", Revision: "main"}}
	p.SetTargets(main)
	<-s.calls
	p.SetTargets(nil)
	p.SetTargets(main)
	select {
	case <-s.calls:
		t.Fatal("two looks at once")
	case <-time.After(50 * time.Millisecond): // nothing tells that it waits
	}
	s.answers <- "old"
	<-s.calls
	s.answers <- "new"
	expectChange(t, changes, "u main=new")
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.leaving) != 0 {
		t.Errorf("%d leave for ever", len(p.leaving))
	}
}

func TestTargetsDifferInEachOfTheirFields(t *testing.T) {
	all := []fleet.Target{
		{}, {RepoURL: "x"}, {Chart: "x"}, {Revision: "x"}, {TagPrefix: "x"}, {PassCredentials: true},
	}
	for i, a := range all {
		for j, b := range all {
			if got := compareTargets(a, b); (got == 0) != (i == j) || got != -compareTargets(b, a) {
				t.Errorf("%+v and %+v: %d", a, b, got)
			}
		}
	}
}
