package source

import (
	"context"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// freshCommit is what a target was resolved to, and when.
type freshCommit struct {
	commit string
	at     time.Time
}

// maxFresh bounds how many are remembered.
const maxFresh = 10_000

// Base returns a Git repository at a revision that no poller follows, such as a
// remote base of Kustomize. What the revision is is asked once per
// Options.Freshness, whoever asks. Codes of Resolve.
func (s *Sources) Base(ctx context.Context, repoURL, revision string) (*Snapshot, error) {
	t := fleet.Target{RepoURL: repoURL, Revision: revision}
	commit, err := s.freshly(ctx, t)
	if err != nil {
		return nil, err
	}
	return s.At(ctx, t, commit)
}

// freshly resolves one target, or remembers what it was lately.
func (s *Sources) freshly(ctx context.Context, t fleet.Target) (string, error) {
	if commit, ok := s.lately(t); ok {
		return commit, nil
	}
	unlock, err := s.lock(ctx, "fresh "+t.RepoURL)
	if err != nil {
		return "", err
	}
	defer unlock()
	if commit, ok := s.lately(t); ok {
		return commit, nil // somebody else has asked meanwhile
	}
	resolved, err := s.Resolve(ctx, t.RepoURL, []fleet.Target{t})
	if err != nil {
		return "", err
	}
	r, ok := resolved[t]
	switch {
	case !ok:
		return "", fault.New(fault.Internal, "internal", "a repository was asked for one revision and answered about others")
	case r.Err != nil:
		return "", r.Err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) >= maxFresh {
		clear(s.fresh)
	}
	s.fresh[t] = freshCommit{r.Commit, time.Now()}
	return r.Commit, nil
}

func (s *Sources) lately(t fleet.Target) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.fresh[t]
	return f.commit, ok && time.Since(f.at) < s.opts.Freshness
}
