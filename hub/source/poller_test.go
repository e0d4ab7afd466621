package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
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

func (a *asked) Resolve(ctx context.Context, url string, revisions []string) (map[string]Resolved, error) {
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
		out := map[string]Resolved{}
		for _, r := range revisions {
			out[r] = Resolved{Commit: ans.commit}
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
	opts.Changed = func(url string, resolved map[string]Resolved, err error) {
		if err != nil {
			changes <- url + " error " + err.Error()
			return
		}
		for r, v := range resolved {
			changes <- fmt.Sprintf("%s %s=%s", url, r, v.Commit)
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
	p.SetRevisions(map[string][]string{"repo": {"dev", "main"}})
	a.expect(t, "repo: dev main", answer{commit: "1"})
	<-changes
	<-changes
	p.SetRevisions(map[string][]string{"repo": {"main"}})
	p.SetRevisions(map[string][]string{"repo": {"dev", "main"}})
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
	p.SetRevisions(map[string][]string{"repo": {"main", "dev", "main"}})
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
	p.SetRevisions(map[string][]string{"repo": {"main"}})
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
	p.SetRevisions(map[string][]string{"repo": {"main"}})
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

func TestSetRevisions(t *testing.T) {
	a := newAsked()
	p, changes := startPoller(t, PollerOptions{Sources: a, Interval: time.Hour})
	p.SetRevisions(map[string][]string{"repo": {"main"}, "none": nil})
	a.expect(t, "repo: main", answer{commit: "1"})
	expectChange(t, changes, "repo main=1")
	p.SetRevisions(map[string][]string{"repo": {"main"}}) // nothing new, no look
	p.SetRevisions(map[string][]string{"repo": {"dev", "main"}})
	a.expect(t, "repo: dev main", answer{commit: "1"})
	<-changes
	<-changes
	p.SetRevisions(map[string][]string{"repo": {"dev"}}) // fewer: no look
	p.SetRevisions(map[string][]string{"repo": {"dev"}, "second": {""}})
	a.expect(t, "second: ", answer{commit: "2"})
	expectChange(t, changes, "second =2")
	if got := len(p.Repositories()); got != 2 {
		t.Errorf("%d repositories", got)
	}
	p.SetRevisions(nil)
	if p.Poke("repo") || len(p.Repositories()) != 0 {
		t.Error("a repository is still under watch")
	}
	p.SetRevisions(map[string][]string{"repo": {"dev"}}) // again: as new
	a.expect(t, "repo: dev", answer{commit: "1"})
	expectChange(t, changes, "repo dev=1")
}

func TestALookThatNobodyWantsAnyMoreIsNotReported(t *testing.T) {
	a := newAsked()
	p, changes := startPoller(t, PollerOptions{Sources: a, Interval: time.Hour})
	p.SetRevisions(map[string][]string{"repo": {"main"}})
	<-a.calls
	p.SetRevisions(nil)
	p.SetRevisions(map[string][]string{"other": {"main"}})
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
		Changed:  func(string, map[string]Resolved, error) {},
		Interval: time.Hour,
		Looked: func(string, time.Time, error) {
			mu.Lock()
			defer mu.Unlock()
			if looked++; looked == 1 {
				close(first)
			}
		},
	})
	p.SetRevisions(map[string][]string{"repo": {"main"}})
	p.Poke("repo")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	<-first
	cancel()
	<-done
	p.Poke("repo")
	p.SetRevisions(map[string][]string{"later": {"main"}})
}

// nothing is a Resolver that finds nothing.
type nothing struct{}

func (nothing) Resolve(context.Context, string, []string) (map[string]Resolved, error) {
	return map[string]Resolved{}, nil
}

// stuck is a Resolver that never answers.
type stuck struct{}

func (stuck) Resolve(ctx context.Context, _ string, _ []string) (map[string]Resolved, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestALookThatTakesTooLongIsAnError(t *testing.T) {
	p, changes := startPoller(t, PollerOptions{Sources: stuck{}, Interval: time.Hour, Timeout: 10 * time.Millisecond})
	p.SetRevisions(map[string][]string{"repo": {"main"}})
	expectChange(t, changes, "repo error repo did not answer within 10ms: context deadline exceeded")
}
