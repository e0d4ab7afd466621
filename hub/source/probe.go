package source

import (
	"context"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
)

// Step is one step of reaching a repository.
type Step struct {
	// Name is dns, tcp, tls, ssh, auth, ls-remote, index or tags.
	Name string
	// Detail is what was found: addresses, a certificate, a fingerprint.
	Detail string
	Took   time.Duration
	// Err ends the list.
	Err error
}

// Probe tries to reach a repository with a credential (nil: none) and tells each
// step when it is done, up to the first that fails. It stores nothing. each runs
// in the caller's goroutine, and not after Probe has returned. The error is that
// of a probe that could not be made at all, or not to its end.
func (s *Sources) Probe(ctx context.Context, repoURL string, cred *fleet.Credential, each func(Step)) error {
	if strings.HasPrefix(strings.ToLower(repoURL), "oci://") || cred != nil && (cred.Type == fleet.Helm || cred.Type == fleet.OCI) {
		return s.probeCharts(ctx, repoURL, cred, each)
	}
	u, err := s.checkURL(repoURL)
	if err != nil {
		return err
	}
	request := &workerv1.GitProbe{Remote: s.remote(u.String(), cred), Directory: s.opts.Dir}
	return s.probe(ctx, s.directory(u), u.String(), request, each)
}

// probe has a worker make the steps, which come one by one. repo is for messages.
func (s *Sources) probe(ctx context.Context, dir, repo string, request *workerv1.GitProbe, each func(Step)) error {
	told := func(a *workerv1.GitAnswer) (more bool) {
		for _, st := range a.GetProbed().GetSteps() {
			more = true
			step := Step{Name: st.GetName(), Detail: st.GetDetail(), Took: time.Duration(st.GetTookNanos())}
			if st.GetProblem() != nil {
				step.Err = worker.Fault(st.GetProblem())
			}
			each(step)
		}
		return more
	}
	_, err := s.conversation(ctx, "probe "+dir, repo, &workerv1.GitRequest{Request: &workerv1.GitRequest_Probe{Probe: request}}, told)
	return err
}
