package source

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// What a version of a chart was when it was resolved is written VERSION@DIGEST,
// and of an artifact DIGEST: the digest of the archive, or of the manifest. A
// version that is published again with other content is another one.

// chartCommit is the Resolved.Commit of a chart or artifact.
func chartCommit(t fleet.Target, version, digest string) string {
	if t.Chart == "" {
		return digest
	}
	return version + "@" + digest
}

func parseChartCommit(t fleet.Target, commit string) (version, digest string, err error) {
	digest = commit
	if t.Chart != "" {
		i := strings.LastIndexByte(commit, '@')
		version, digest = commit[:max(i, 0)], commit[i+1:]
	}
	if !strings.HasPrefix(digest, "sha256:") && !strings.HasPrefix(digest, "sha512:") {
		return "", "", fault.New(fault.Internal, "internal", "internal error: a chart or artifact without its digest")
	}
	return version, digest, nil
}

// charts is what was learned about charts and artifacts in this process.
type charts struct {
	mu     sync.Mutex
	trees  map[treeKey]*workerv1.FetchedTree
	failed map[fleet.Target]failure
	files  map[string]freshCommit // URL → name in the cache
}

type treeKey struct{ dir, digest string }

// failure is an error that stands for a while, so that not everybody waits for a
// server that does not answer.
type failure struct {
	err error
	at  time.Time
}

const (
	maxKnownTrees = 10_000
	failureStands = 10 * time.Second
)

func (c *charts) known(dir, digest string) *workerv1.FetchedTree {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trees[treeKey{dir, digest}]
}

func (c *charts) remember(dir string, t *workerv1.FetchedTree) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trees == nil || len(c.trees) >= maxKnownTrees {
		c.trees = map[treeKey]*workerv1.FetchedTree{}
	}
	c.trees[treeKey{dir, t.GetDigest()}] = t
}

func (c *charts) forget(dir, digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.trees, treeKey{dir, digest})
}

// place is where charts or an artifact are.
type place struct {
	kind string // fleet.Helm or fleet.OCI
	dir  string // object store
	url  URL    // https or http; of OCI with the name of the chart
	name string // for messages
}

// chartPlace checks the URL of charts or an artifact. A chart repository may be
// a whole host, which a Git repository cannot.
func (s *Sources) chartPlace(kind, repoURL, chart string, cred *fleet.Credential) (place, error) {
	p := place{kind: kind}
	raw := strings.TrimRight(repoURL, "/")
	if p.kind == fleet.OCI {
		if i := strings.Index(raw, "://"); i >= 0 {
			raw = raw[i+3:]
		}
		raw = "https://" + raw
		if chart != "" {
			raw += "/" + chart
		}
	} else {
		raw += "/index.yaml"
	}
	u, err := s.checkURL(raw)
	if err != nil {
		return p, err
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return p, fault.New(fault.Invalid, "repo_scheme_forbidden", "charts are not fetched with %q; allowed: https, http, oci", u.Scheme).
			WithField("spec.source.repoURL").WithFound(Mask(repoURL), "https, http, oci")
	}
	u.Path = strings.TrimSuffix(u.Path, "/index.yaml")
	p.dir, p.url, p.name = s.storeDirectory(p.kind+" "+u.Identity()), u, strings.TrimRight(u.String(), "/")
	if p.kind == fleet.OCI {
		p.name = "oci" + strings.TrimPrefix(p.name, u.Scheme)
		if cred != nil && cred.InsecurePlainHTTP {
			p.url.Scheme = "http"
		}
	}
	return p, nil
}

// wantedTree is one tree to fetch, and what became of it.
type wantedTree struct {
	target fleet.Target
	// revision in place of the target's, and the content that it has to be;
	// "" for whatever it is.
	revision, digest string

	place place
	tree  *workerv1.FetchedTree
	err   error
}

func (w *wantedTree) commit() string {
	return chartCommit(w.target, w.tree.GetVersion(), w.tree.GetDigest())
}

// fetchTrees fetches charts or artifacts of one repository URL. An index that is
// younger than maxAge is not asked for again; with offline nobody is asked about
// trees that are here. The error is about the repository as a whole.
func (s *Sources) fetchTrees(ctx context.Context, repoURL string, wanted []*wantedTree, maxAge time.Duration, offline bool) error {
	cred, err := s.credential(ctx, repoURL)
	if err != nil {
		return err
	}
	// A chart repository is one place; of a registry each chart is one.
	type placeOf struct {
		dir  string
		pass bool // the credential to other hosts
	}
	var places []placeOf
	byPlace := map[placeOf][]*wantedTree{}
	for _, w := range wanted {
		if w.place, w.err = s.chartPlace(w.target.Type(), repoURL, w.target.Chart, cred); w.err != nil {
			continue
		}
		at := placeOf{w.place.dir, w.target.PassCredentials}
		if byPlace[at] == nil {
			places = append(places, at)
		}
		byPlace[at] = append(byPlace[at], w)
	}
	if len(places) == 0 {
		return wanted[0].err
	}
	var failed error
	failures := 0
	for _, at := range places {
		with := cred
		if at.pass && cred != nil {
			passed := *cred
			passed.PassCredentials, with = true, &passed
		}
		if err := s.fetchFrom(ctx, byPlace[at], with, maxAge, offline); err != nil {
			for _, w := range byPlace[at] {
				w.err = err
			}
			failed, failures = err, failures+1
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
	}
	if failures == len(places) && len(places) == 1 {
		return failed
	}
	return nil
}

// fetchFrom fetches what is in one place.
func (s *Sources) fetchFrom(ctx context.Context, wanted []*wantedTree, cred *fleet.Credential, maxAge time.Duration, offline bool) error {
	p := wanted[0].place
	asked := make([]*workerv1.Wanted, len(wanted))
	for i, w := range wanted {
		asked[i] = &workerv1.Wanted{Chart: w.target.Chart, Revision: w.target.Revision, Digest: w.digest}
		if w.digest != "" {
			asked[i].Revision = w.revision
		}
	}
	remote := s.remote(p.url.String(), cred)
	limits := &workerv1.FetchLimits{
		PackedBytes: s.opts.Archives.Packed, TotalBytes: s.opts.Archives.Total, FileBytes: s.opts.Archives.File,
	}
	fetch := &workerv1.Fetch{}
	if p.kind == fleet.Helm {
		fetch.What = &workerv1.Fetch_Charts{Charts: &workerv1.FetchCharts{
			Directory: p.dir, Remote: remote, Name: p.name, Wanted: asked, MaxAgeNanos: int64(maxAge), Offline: offline, Limits: limits,
		}}
	} else {
		fetch.What = &workerv1.Fetch_Artifacts{Artifacts: &workerv1.FetchArtifacts{
			Directory: p.dir, Remote: remote, Wanted: asked, Offline: offline, Limits: limits, MediaTypes: s.opts.OCIMediaTypes,
		}}
	}
	answer, err := s.converse(ctx, p.dir, p.name, &workerv1.GitRequest{Request: &workerv1.GitRequest_Fetch{Fetch: fetch}})
	if err != nil {
		return chartFault(err)
	}
	trees := answer.GetFetch().GetTrees()
	if len(trees) != len(wanted) {
		return fault.New(fault.Internal, "internal", "a worker was asked for %d trees and answered about %d", len(wanted), len(trees))
	}
	for i, w := range wanted {
		if problem := trees[i].GetProblem(); problem != nil {
			w.err = chartFault(worker.Fault(problem))
			continue
		}
		w.tree = trees[i]
		s.charts.remember(p.dir, w.tree)
	}
	return nil
}

// chartFault takes Git out of the codes of errors that every kind of source has.
func chartFault(err error) error {
	known := fault.As(err)
	switch known.Code {
	case "git_unavailable", "git_tls_untrusted", "git_auth_failed", "git_redirect_refused":
		c := *known
		c.Code = "repository" + strings.TrimPrefix(known.Code, "git")
		c.Message = strings.Replace(c.Message, "the Git server", "the server", 1)
		return &c
	}
	return err
}

// revisionOfTree describes a chart or an artifact.
func revisionOfTree(t fleet.Target, tree *workerv1.FetchedTree) model.Revision {
	r := model.Revision{Commit: tree.GetDigest(), Message: tree.GetTitle(), Author: tree.GetAuthor()}
	if t.Chart != "" {
		r.Commit = tree.GetVersion() // what people call it
	}
	if tree.GetCreatedUnix() != 0 {
		r.CommittedAt = time.Unix(tree.GetCreatedUnix(), 0).UTC()
	}
	return r
}

// resolveCharts answers targets of type helm and oci of one repository.
func (s *Sources) resolveCharts(ctx context.Context, repoURL string, targets []fleet.Target) (map[fleet.Target]Resolved, error) {
	return s.resolveChartsWithin(ctx, repoURL, targets, 0)
}

func (s *Sources) resolveChartsWithin(ctx context.Context, repoURL string, targets []fleet.Target, maxAge time.Duration) (map[fleet.Target]Resolved, error) {
	wanted := make([]*wantedTree, len(targets))
	for i, t := range targets {
		wanted[i] = &wantedTree{target: t}
	}
	if err := s.fetchTrees(ctx, repoURL, wanted, maxAge, false); err != nil {
		return nil, err
	}
	out := make(map[fleet.Target]Resolved, len(targets))
	for _, w := range wanted {
		if w.err != nil {
			out[w.target] = Resolved{Err: w.err}
			continue
		}
		out[w.target] = Resolved{Commit: w.commit(), Ref: w.tree.GetVersion(), Revision: revisionOfTree(w.target, w.tree)}
	}
	return out, nil
}

// chartAt returns what resolveCharts named. Code chart_changed when the version
// was published again with other content and the old one is here no more.
func (s *Sources) chartAt(ctx context.Context, t fleet.Target, commit string) (*Snapshot, error) {
	version, digest, err := parseChartCommit(t, commit)
	if err != nil {
		return nil, err
	}
	w := &wantedTree{target: t, revision: version, digest: digest}
	if version == "" {
		w.revision = digest
	}
	p, err := s.chartPlace(t.Type(), t.RepoURL, t.Chart, nil)
	if err != nil {
		return nil, err
	}
	if w.tree = s.charts.known(p.dir, digest); w.tree == nil {
		if err := s.fetchTrees(ctx, t.RepoURL, []*wantedTree{w}, 0, true); err != nil {
			return nil, err
		}
		if w.err != nil {
			return nil, w.err
		}
	}
	tree := w.tree.GetTree()
	revision := revisionOfTree(t, w.tree)
	if t.Chart != "" {
		revision.Commit = version
	}
	return s.newSnapshot(p.dir, tree, revision, func(ctx context.Context) error {
		s.charts.forget(p.dir, digest)
		again := &wantedTree{target: t, revision: w.revision, digest: digest}
		if err := s.fetchTrees(ctx, t.RepoURL, []*wantedTree{again}, 0, true); err != nil {
			return err
		}
		if again.err == nil && again.tree.GetTree() != tree {
			return fault.New(fault.Unavailable, "git_objects_missing", "%s is lost in the hub's store and came back as something else", short(digest))
		}
		return again.err
	}), nil
}

// Chart returns a chart that no poller follows, such as a dependency, and the
// version that it is. The revision may be a constraint; "" is the newest. A chart
// repository is asked for its index once per Options.Freshness, whoever asks for
// whichever chart, and a registry for a version as often. Codes of Resolve.
func (s *Sources) Chart(ctx context.Context, t fleet.Target) (*Snapshot, string, error) {
	if t.Chart == "" {
		return nil, "", fault.New(fault.Unprocessable, "chart_not_found", "a chart of %s is asked for without its name", Mask(t.RepoURL))
	}
	commit, err := s.freshChart(ctx, t)
	if err != nil {
		return nil, "", err
	}
	found, _, err := parseChartCommit(t, commit)
	if err != nil {
		return nil, "", err
	}
	snapshot, err := s.chartAt(ctx, t, commit)
	return snapshot, found, err
}

// freshChart resolves one chart, or remembers what it was lately.
func (s *Sources) freshChart(ctx context.Context, t fleet.Target) (string, error) {
	if commit, ok, err := s.chartLately(t); ok {
		return commit, err
	}
	unlock, err := s.lock(ctx, "fresh "+t.RepoURL)
	if err != nil {
		return "", err
	}
	defer unlock()
	if commit, ok, err := s.chartLately(t); ok {
		return commit, err // somebody else has asked meanwhile
	}
	resolved, err := s.resolveChartsWithin(ctx, t.RepoURL, []fleet.Target{t}, s.opts.Freshness)
	r := resolved[t]
	if err == nil {
		err = r.Err
	}
	if err != nil {
		if ctx.Err() == nil {
			s.charts.fail(t, err)
		}
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) >= maxFresh {
		clear(s.fresh)
	}
	s.fresh[t] = freshCommit{r.Commit, time.Now()}
	return r.Commit, nil
}

// chartLately is what a chart was found to be, or the error that was met.
func (s *Sources) chartLately(t fleet.Target) (commit string, ok bool, err error) {
	if commit, ok := s.lately(t); ok {
		return commit, true, nil
	}
	s.charts.mu.Lock()
	defer s.charts.mu.Unlock()
	f, ok := s.charts.failed[t]
	return "", ok && time.Since(f.at) < failureStands, f.err
}

func (c *charts) fail(t fleet.Target, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil || len(c.failed) >= maxFresh {
		c.failed = map[fleet.Target]failure{}
	}
	c.failed[t] = failure{err, time.Now()}
}

// maxDownload is the largest single file.
const maxDownload = 10 << 20

// Download returns one file of at most 10 MiB by https. It is asked for once per
// Options.Freshness; the content must not be changed. The credential of the
// longest matching repository goes with it, to its host only. Codes
// repo_url_invalid, repo_scheme_forbidden, address_blocked, too_large, and those
// of a chart repository.
func (s *Sources) Download(ctx context.Context, rawURL string) ([]byte, error) {
	target, err := s.checkDownload(rawURL)
	if err != nil {
		return nil, err
	}
	if content, ok := s.downloaded(rawURL); ok {
		return content, nil
	}
	unlock, err := s.lock(ctx, "download "+rawURL)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if content, ok := s.downloaded(rawURL); ok {
		return content, nil
	}
	cred, err := s.credential(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	file := &workerv1.FetchFile{Remote: s.remote(target.String(), cred), MaxBytes: maxDownload}
	answer, err := s.converse(ctx, "file "+target.Host, Mask(rawURL), &workerv1.GitRequest{Request: &workerv1.GitRequest_Fetch{
		Fetch: &workerv1.Fetch{What: &workerv1.Fetch_File{File: file}},
	}})
	if err != nil {
		return nil, chartFault(err)
	}
	content := answer.GetFetch().GetFile()
	at := time.Now()
	name := "file " + rawURL + " " + at.Format(time.RFC3339Nano)
	s.cache.put(name, content, int64(len(content)))
	s.charts.mu.Lock()
	defer s.charts.mu.Unlock()
	if s.charts.files == nil || len(s.charts.files) >= maxFresh {
		s.charts.files = map[string]freshCommit{}
	}
	s.charts.files[rawURL] = freshCommit{name, at}
	return content, nil
}

func (s *Sources) downloaded(rawURL string) ([]byte, bool) {
	s.charts.mu.Lock()
	f, ok := s.charts.files[rawURL]
	s.charts.mu.Unlock()
	if !ok || time.Since(f.at) >= s.opts.Freshness {
		return nil, false
	}
	content, ok := s.cache.get(f.commit)
	if !ok {
		return nil, false
	}
	return content.([]byte), true
}

// checkDownload is like ParseURL, for files: a query is allowed.
func (s *Sources) checkDownload(raw string) (*url.URL, error) {
	address, query, _ := strings.Cut(raw, "?")
	u, err := s.checkURL(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "repo_scheme_forbidden", "a file is not fetched with %q; allowed: https", u.Scheme).WithFound(Mask(raw), "https")
	}
	target, err := url.Parse(u.String())
	if err != nil || strings.ContainsAny(query, "#") || slices.ContainsFunc([]byte(query), func(b byte) bool { return b <= ' ' || b >= 0x7f }) {
		return nil, fault.New(fault.Invalid, "repo_url_invalid", "%q cannot be read as a URL", Mask(raw))
	}
	target.RawQuery = query
	return target, nil
}
