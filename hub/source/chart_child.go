package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/hawser-dev/hawser/hub/source/archive"
	"github.com/hawser-dev/hawser/hub/source/helmrepo"
	"github.com/hawser-dev/hawser/hub/source/ociregistry"
	"github.com/hawser-dev/hawser/hub/source/web"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// fetchedState is what the state file of a store has about charts and
// artifacts. A tree counts as present when it is in here, which is written
// after all its objects.
type fetchedState struct {
	Index *fetchedIndex `json:"index,omitempty"`
	// Trees by the digest of the archive or manifest.
	Trees map[string]*fetchedTree `json:"trees,omitempty"`
	// Archives are the digests of archives that the index has none of, by what
	// it does have: it is not fetched again while that is the same.
	Archives map[string]string `json:"archives,omitempty"`
}

// fetchedIndex is about the file index.yaml beside the objects.
type fetchedIndex struct {
	helmrepo.Validators
	At time.Time `json:"at"`
}

type fetchedTree struct {
	Tree    string `json:"tree"`
	Bytes   int64  `json:"bytes"`
	Title   string `json:"title,omitempty"`
	Author  string `json:"author,omitempty"`
	Created int64  `json:"created,omitempty"`
}

const (
	indexFile = "index.yaml"
	// indexTime bounds the transfer of an index.
	indexTime = 2 * time.Minute
	// maxTail is what may be left of an archive that could not be read.
	maxTail = 100 << 20
	// maxTrees of one store, and the bytes in them, are a reason to begin anew.
	maxTrees     = 1_000
	maxTreeBytes = 8 << 30
)

// fetch answers a Fetch in the child.
func (c *child) fetch(ctx context.Context, req *workerv1.Fetch) (*workerv1.FetchAnswer, error) {
	switch r := req.GetWhat().(type) {
	case *workerv1.Fetch_Charts:
		return c.fetchCharts(ctx, r.Charts)
	case *workerv1.Fetch_Artifacts:
		return c.fetchArtifacts(ctx, r.Artifacts)
	case *workerv1.Fetch_File:
		content, err := fetchFile(ctx, r.File)
		return &workerv1.FetchAnswer{File: content}, err
	}
	return nil, fault.New(fault.Internal, "internal", "the worker got a request that it does not know")
}

// treeJob fetches trees into one store.
type treeJob struct {
	store  *objectStore
	state  storeState
	name   string // of the place, in messages
	host   string
	limits archive.Limits
}

func (c *child) treeJob(dir, name, host string, l *workerv1.FetchLimits) (*treeJob, error) {
	store, err := c.store(dir)
	if err != nil {
		return nil, err
	}
	j := &treeJob{
		store: store, state: store.readState(), name: name, host: host,
		limits: archive.Limits{Packed: l.GetPackedBytes(), Total: l.GetTotalBytes(), File: l.GetFileBytes(), Files: maxEntries},
	}
	j.prepare()
	return j, nil
}

func (j *treeJob) prepare() {
	if j.state.Fetched.Trees == nil {
		j.state.Fetched.Trees = map[string]*fetchedTree{}
	}
	if j.state.Fetched.Archives == nil {
		j.state.Fetched.Archives = map[string]string{}
	}
}

// offline answers from the store, nil when something is not there.
func (j *treeJob) offline(wanted []*workerv1.Wanted) *workerv1.FetchAnswer {
	out := &workerv1.FetchAnswer{}
	for _, w := range wanted {
		t := j.state.Fetched.Trees[w.GetDigest()]
		if t == nil {
			return nil
		}
		out.Trees = append(out.Trees, t.answer(w.GetDigest(), w.GetRevision()))
	}
	return out
}

func (t *fetchedTree) answer(digest, version string) *workerv1.FetchedTree {
	return &workerv1.FetchedTree{
		Tree: t.Tree, Digest: digest, Version: version, Title: t.Title, Author: t.Author, CreatedUnix: t.Created,
	}
}

// tidy begins a new store when the old one has grown too large.
func (j *treeJob) tidy() error {
	var total int64
	for _, t := range j.state.Fetched.Trees {
		total += t.Bytes
	}
	lost, err := j.store.lost(j.state)
	if err != nil {
		return err
	}
	if !lost && len(j.state.Fetched.Trees) < maxTrees && total < maxTreeBytes {
		return nil
	}
	if err := j.store.reset(); err != nil {
		return err
	}
	j.state = storeState{}
	j.prepare()
	return nil
}

// problem puts the error about one tree, or about a whole place, into words.
func (j *treeJob) problem(err error) error {
	if onDisk(err) {
		return storeFault(err)
	}
	return chartFault(upstream(j.name, j.host, err))
}

// unpack stores the files of an archive; nothing counts before it is recorded.
// chart says that it has to be one.
func (j *treeJob) unpack(r io.Reader, name string, chart bool) (*fetchedTree, error) {
	var (
		files []treeFile
		total int64
		isOne = !chart
	)
	err := archive.Extract(r, archive.Options{Name: name, Limits: j.limits, StripTop: chart}, func(f archive.File, content io.Reader) error {
		isOne = isOne || f.Path == "Chart.yaml"
		if f.Link != "" {
			files = append(files, treeFile{Path: f.Path, Mode: ModeSymlink, Content: []byte(f.Link)})
			return nil
		}
		data, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		total += int64(len(data))
		h, err := j.store.put(plumbing.BlobObject, data)
		if err != nil {
			return err
		}
		mode := ModeRegular
		if f.Executable {
			mode = ModeExecutable
		}
		files = append(files, treeFile{Path: f.Path, Mode: mode, stored: h})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !isOne {
		return nil, fault.New(fault.Unprocessable, "archive_invalid", "%s is not a chart: it has no Chart.yaml", name)
	}
	tree, err := j.store.writeTree(files)
	return &fetchedTree{Tree: tree, Bytes: total}, err
}

func (j *treeJob) record(digest string, t *fetchedTree) error {
	j.state.Fetched.Trees[digest] = t
	return j.store.writeState(j.state)
}

// getterOf speaks HTTP with the server of a remote.
func getterOf(r *workerv1.Remote, name string) (*web.Getter, error) {
	home, err := url.Parse(r.GetUrl())
	if err != nil {
		return nil, err
	}
	t, err := transport(r, home)
	if err != nil {
		return nil, err
	}
	return &web.Getter{
		Transport: attended{t}, Name: name, Home: home, Credential: webCredential(r),
		PassCredentials: r.GetPassCredentials(), AllowHTTP: r.GetAllowHttpCredentials(),
	}, nil
}

func webCredential(r *workerv1.Remote) web.Credential {
	return web.Credential{Username: r.GetUsername(), Password: r.GetPassword(), BearerToken: r.GetBearerToken()}
}

// attended ends answers that stand still.
type attended struct{ next http.RoundTripper }

func (a attended) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(req)
	if err == nil {
		body := resp.Body
		resp.Body = struct {
			io.Reader
			io.Closer
		}{&stallReader{r: body, close: body.Close, limit: stallLimit}, body}
	}
	return resp, err
}

// fetchCharts asks a chart repository.
func (c *child) fetchCharts(ctx context.Context, req *workerv1.FetchCharts) (*workerv1.FetchAnswer, error) {
	get, err := getterOf(req.GetRemote(), req.GetName())
	if err != nil {
		return nil, err
	}
	j, err := c.treeJob(req.GetDirectory(), req.GetName(), get.Home.Host, req.GetLimits())
	if err != nil {
		return nil, err
	}
	if req.GetOffline() {
		if answer := j.offline(req.GetWanted()); answer != nil {
			return answer, nil
		}
	}
	h := &helmJob{treeJob: j, req: req, repo: &helmrepo.Repository{Get: get, MaxIndex: req.GetLimits().GetIndexBytes()}}
	found, err := h.index(ctx)
	if err != nil {
		return nil, j.problem(err)
	}
	out := &workerv1.FetchAnswer{}
	for _, w := range req.GetWanted() {
		t, err := h.one(ctx, found[w.GetChart()], w)
		if err != nil {
			t = &workerv1.FetchedTree{Problem: worker.Problem(j.problem(err))}
		}
		out.Trees = append(out.Trees, t)
	}
	return out, nil
}

// helmJob is one conversation with a chart repository.
type helmJob struct {
	*treeJob
	req  *workerv1.FetchCharts
	repo *helmrepo.Repository
}

// index returns what the index has of the wanted charts, and asks for it when it
// is not fresh.
func (h *helmJob) index(ctx context.Context) (map[string]helmrepo.Chart, error) {
	names := make([]string, len(h.req.GetWanted()))
	for i, w := range h.req.GetWanted() {
		names[i] = w.GetChart()
	}
	path := filepath.Join(h.store.dir, indexFile)
	have := h.state.Fetched.Index
	if have != nil {
		if age := time.Since(have.At); age >= 0 && age < time.Duration(h.req.GetMaxAgeNanos()) {
			if found, err := h.find(path, names); !errors.Is(err, os.ErrNotExist) {
				return found, err
			}
			have = nil
		}
	}
	if err := h.tidy(); err != nil {
		return nil, err
	}
	var validators helmrepo.Validators
	if have != nil {
		if _, err := os.Stat(path); err == nil {
			validators = have.Validators
		}
	}
	next := path + ".tmp"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	timed, cancel := context.WithTimeout(ctx, indexTime)
	defer cancel()
	now, modified, err := h.repo.Index(timed, validators, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(next))
	}
	if !modified {
		if err := os.Remove(next); err != nil {
			return nil, err
		}
		next = path
	}
	// It takes the place of the old one when it can be read.
	found, err := h.find(next, names)
	if err != nil {
		return nil, err
	}
	if modified {
		if err := os.Rename(next, path); err != nil {
			return nil, err
		}
	}
	h.state.Fetched.Index = &fetchedIndex{Validators: now, At: time.Now()}
	return found, h.store.writeState(h.state)
}

func (h *helmJob) find(path string, names []string) (map[string]helmrepo.Chart, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return helmrepo.Find(f, h.name, names...)
}

// one fetches one chart, unless it is here.
func (h *helmJob) one(ctx context.Context, chart helmrepo.Chart, w *workerv1.Wanted) (*workerv1.FetchedTree, error) {
	if t := h.state.Fetched.Trees[w.GetDigest()]; t != nil {
		return t.answer(w.GetDigest(), w.GetRevision()), nil
	}
	v, err := chart.Pick(h.name, w.GetRevision())
	if err != nil {
		return nil, err
	}
	where, ok := h.repo.Location(v)
	if !ok {
		return nil, fault.New(fault.Unprocessable, "chart_not_found", "the index of %s has version %s of chart %q without a URL that can be fetched", h.name, web.Printable(v.Version), web.Printable(chart.Name))
	}
	// The digest of an index is that of an archive; a registry has its own.
	expected := ""
	if v.Digest != "" && where.Scheme != "oci" {
		expected = "sha256:" + v.Digest
	}
	entry := strings.Join([]string{chart.Name, v.Version, v.Created, v.Digest, where.String()}, " ")
	digest := expected
	if digest == "" {
		digest = h.state.Fetched.Archives[entry]
	}
	t := h.state.Fetched.Trees[digest]
	if t == nil {
		if t, digest, err = h.get(ctx, fmt.Sprintf("chart %q %s", chart.Name, v.Version), where, expected); err != nil {
			return nil, err
		}
		t.Title = chart.Name + " " + v.Version
		if v.AppVersion != "" {
			t.Title += " (app " + v.AppVersion + ")"
		}
		t.Title = web.Clip(web.Printable(t.Title), 200)
		if at, err := time.Parse(time.RFC3339Nano, v.Created); err == nil {
			t.Created = at.Unix()
		}
		if expected == "" {
			h.state.Fetched.Archives[entry] = digest
		}
		if err := h.record(digest, t); err != nil {
			return nil, err
		}
	}
	if w.GetDigest() != "" && w.GetDigest() != digest {
		return nil, fault.New(fault.Unprocessable, "chart_changed", "chart %q %s was published again with other content, and the hub has the earlier one no more", web.Printable(chart.Name), web.Printable(v.Version)).
			WithFix("refresh the application, so that the new content is rendered")
	}
	return t.answer(digest, v.Version), nil
}

// get fetches an archive and stores what is in it.
func (h *helmJob) get(ctx context.Context, name string, where *url.URL, expected string) (*fetchedTree, string, error) {
	if where.Scheme == "oci" {
		return h.getFromRegistry(ctx, name, where)
	}
	body, err := h.repo.Archive(ctx, where)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = body.Close() }() // read as far as anybody wanted
	sum := sha256.New()
	t, err := h.unpack(io.TeeReader(body, sum), name, true)
	if err != nil && !fault.HasCode(err, "archive_invalid") {
		return nil, "", err
	}
	// What is behind the archive belongs to its digest, and damage on the way
	// is not the chart's fault.
	if _, err := io.Copy(sum, io.LimitReader(body, maxTail)); err != nil {
		return nil, "", err
	}
	digest := "sha256:" + hex.EncodeToString(sum.Sum(nil))
	if expected != "" && digest != expected {
		return nil, "", fault.New(fault.Upstream, "digest_mismatch", "%s is not what the index of %s says: its digest is %.12s…, expected %.12s…; nothing was taken",
			name, h.name, strings.TrimPrefix(digest, "sha256:"), strings.TrimPrefix(expected, "sha256:"))
	}
	return t, digest, err
}

// getFromRegistry is for indexes that point into a registry, as Bitnami's does.
// The credential is the chart repository's, and goes to other hosts on demand
// only.
func (h *helmJob) getFromRegistry(ctx context.Context, name string, where *url.URL) (*fetchedTree, string, error) {
	path, revision := where.Path, ""
	if i := strings.LastIndexByte(path, '@'); i > 0 {
		path, revision = path[:i], path[i+1:]
	} else if i := strings.LastIndexByte(path, ':'); i > strings.LastIndexByte(path, '/') {
		path, revision = path[:i], path[i+1:]
	}
	if revision == "" {
		return nil, "", fault.New(fault.Unprocessable, "chart_not_found", "%s is at %s, which names no version", name, web.Printable(where.String()))
	}
	o := ociregistry.Options{Transport: h.repo.Get.Transport}
	if h.repo.Get.PassCredentials || strings.EqualFold(where.Host, h.repo.Get.Home.Host) {
		o.Credential, o.PassCredentials = h.repo.Get.Credential, h.repo.Get.PassCredentials
	}
	repo, err := ociregistry.Open(where.Host, path, o)
	if err != nil {
		return nil, "", err
	}
	found, err := repo.Find(ctx, revision, "")
	if err != nil {
		return nil, "", err
	}
	t, err := h.artifact(ctx, repo, found.Digest, name, true)
	return t, found.Digest, err
}

// fetchFile gets one file.
func fetchFile(ctx context.Context, req *workerv1.FetchFile) ([]byte, error) {
	name := Mask(req.GetRemote().GetUrl())
	get, err := getterOf(req.GetRemote(), name)
	if err != nil {
		return nil, err
	}
	fail := func(err error) ([]byte, error) { return nil, chartFault(upstream(name, get.Home.Host, err)) }
	resp, err := get.Get(ctx, get.Home, http.Header{"Accept-Encoding": {"identity"}})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = resp.Body.Close() }() // read as far as anybody wanted
	limit := req.GetMaxBytes()
	var content bytes.Buffer
	n, err := io.Copy(&content, io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return fail(err)
	}
	if n > limit {
		return nil, fault.New(fault.Unprocessable, "too_large", "%s has more than %d MiB", name, limit>>20)
	}
	return content.Bytes(), nil
}
