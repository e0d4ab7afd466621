package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/source/helmrepo"
	"github.com/hawser-dev/hawser/hub/source/versions"
	"github.com/hawser-dev/hawser/hub/source/web"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// probeCharts are the steps of Probe for a chart repository or OCI registry:
// dns, tcp, tls, auth, and index or tags.
func (s *Sources) probeCharts(ctx context.Context, repoURL string, cred *fleet.Credential, each func(Step)) error {
	kind := fleet.Helm
	if strings.HasPrefix(strings.ToLower(repoURL), "oci://") || cred != nil && cred.Type == fleet.OCI {
		kind = fleet.OCI
	}
	chart := ""
	if kind == fleet.OCI && registryOnly(repoURL) {
		chart = wholeRegistry
	}
	p, err := s.chartPlace(kind, repoURL, chart, cred)
	if err != nil {
		return err
	}
	request := &workerv1.GitProbe{Remote: s.remote(p.url.String(), cred), Type: kind}
	if err := s.probe(ctx, p.dir, p.name, request, each); err != nil {
		return chartFault(err)
	}
	return nil
}

// wholeRegistry stands for a path where there is none.
const wholeRegistry = "hawser-probe"

func registryOnly(repoURL string) bool {
	_, rest, ok := strings.Cut(repoURL, "://")
	if !ok {
		rest = repoURL
	}
	return !strings.Contains(strings.TrimRight(rest, "/"), "/")
}

// probeCharts makes the steps, in the child process.
func probeCharts(ctx context.Context, req *workerv1.GitProbe, tell func(*workerv1.ProbeStep)) {
	r := req.GetRemote()
	p := &prober{repo: Mask(r.GetUrl()), tell: func(s *workerv1.ProbeStep) {
		if problem := s.GetProblem(); problem != nil {
			problem.Code = fault.As(chartFault(&fault.Error{Code: problem.GetCode()})).Code
		}
		tell(s)
	}}
	var err error
	if req.GetType() == fleet.OCI {
		err = p.registry(ctx, r)
	} else {
		err = p.index(ctx, r)
	}
	if err != nil {
		p.add("url", "", 0, p.repo, err)
	}
}

// admission makes the step auth of a try that needed permission, and reports
// whether to go on.
func (p *prober) admission(host string, took time.Duration, r *workerv1.Remote, err error) bool {
	if fault.HasCode(err, "repository_auth_failed") || fault.HasCode(err, "repo_insecure") {
		return p.add("auth", "", took, host, err)
	}
	if err != nil {
		return true // of the next step
	}
	detail := "no credential was needed"
	if !webCredential(r).IsZero() {
		detail = "accepted " + credentialName(r)
	}
	return p.add("auth", detail, took, host, nil)
}

func (p *prober) index(ctx context.Context, r *workerv1.Remote) error {
	get, err := getterOf(r, p.repo)
	if err != nil {
		return err
	}
	if !p.reach(ctx, r, get.Home) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, indexTime)
	defer cancel()
	start := time.Now()
	reader, writer := io.Pipe()
	// The goroutine ends with the transfer, which ctx and the reader end.
	transferred := make(chan error, 1)
	go func() {
		_, _, err := (&helmrepo.Repository{Get: get}).Index(ctx, helmrepo.Validators{}, writer)
		_ = writer.CloseWithError(err) // never fails
		transferred <- err
	}()
	charts, err := helmrepo.Find(reader, p.repo, "")
	_ = reader.CloseWithError(errors.New("enough")) // never fails
	if failed := <-transferred; failed != nil && err != nil {
		err = failed
	}
	took := time.Since(start)
	if !p.admission(get.Home.Host, took, r, err) {
		return nil
	}
	detail := ""
	if err == nil {
		detail = fmt.Sprintf("%d charts", len(charts[""].Names))
	}
	p.add("index", detail, took, get.Home.Host, err)
	return nil
}

func (p *prober) registry(ctx context.Context, r *workerv1.Remote) error {
	repo, at, err := openRegistry(r, nil)
	if err != nil {
		return err
	}
	whole := strings.HasSuffix(at.Path, "/"+wholeRegistry)
	if p.repo = repo.Name(); whole {
		p.repo = strings.TrimSuffix(p.repo, "/"+wholeRegistry)
	}
	api := &url.URL{Scheme: at.Scheme, Host: repo.Host()}
	if !p.reach(ctx, r, api) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*probeTime)
	defer cancel()
	start := time.Now()
	err = repo.Ping(ctx)
	if !p.admission(api.Host, time.Since(start), r, err) {
		return nil
	}
	if err != nil || whole {
		if err != nil {
			p.add("auth", "", time.Since(start), api.Host, err)
		}
		return nil
	}
	start = time.Now()
	tags, err := repo.Tags(ctx)
	detail := ""
	switch {
	case web.Status(err) == http.StatusNotFound:
		detail, err = "there is nothing of just this name; charts below it are found by theirs", nil
	case err == nil:
		detail = fmt.Sprintf("%d tags", len(tags))
		if newest := versions.Newest(tags); newest != "" {
			detail += ", the newest version is " + newest
		}
	}
	p.add("tags", detail, time.Since(start), api.Host, err)
	return nil
}
