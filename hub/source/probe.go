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

// Probe tries to reach a repository with a credential (nil: none) and tells how
// far it came: the steps up to the first that fails. It stores nothing. The
// error is that of a probe that could not be made at all.
func (s *Sources) Probe(ctx context.Context, repoURL string, cred *fleet.Credential) ([]Step, error) {
	if strings.HasPrefix(strings.ToLower(repoURL), "oci://") || cred != nil && (cred.Type == fleet.Helm || cred.Type == fleet.OCI) {
		return s.probeCharts(ctx, repoURL, cred)
	}
	u, err := s.checkURL(repoURL)
	if err != nil {
		return nil, err
	}
	request := &workerv1.GitProbe{Remote: s.remote(u.String(), cred), Directory: s.opts.Dir}
	answer, err := s.converse(ctx, "probe "+s.directory(u), u.String(), &workerv1.GitRequest{Request: &workerv1.GitRequest_Probe{Probe: request}})
	if err != nil {
		return nil, err
	}
	return stepsOf(answer.GetProbed()), nil
}

func stepsOf(p *workerv1.GitProbed) []Step {
	out := make([]Step, len(p.GetSteps()))
	for i, s := range p.GetSteps() {
		out[i] = Step{Name: s.GetName(), Detail: s.GetDetail(), Took: time.Duration(s.GetTookNanos())}
		if s.GetProblem() != nil {
			out[i].Err = worker.Fault(s.GetProblem())
		}
	}
	return out
}
