package source

import (
	"context"
	"errors"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/hawser-dev/hawser/hub/source/ociregistry"
	"github.com/hawser-dev/hawser/hub/source/web"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// openRegistry names the repository of a registry that a remote is.
func openRegistry(r *workerv1.Remote, mediaTypes []string) (*ociregistry.Repository, *url.URL, error) {
	at, err := url.Parse(r.GetUrl())
	if err != nil {
		return nil, nil, err
	}
	t, err := transport(r, at)
	if err != nil {
		return nil, nil, err
	}
	repo, err := ociregistry.Open(at.Host, at.Path, ociregistry.Options{
		Transport: attended{t}, Credential: webCredential(r), PassCredentials: r.GetPassCredentials(),
		PlainHTTP: at.Scheme == "http", MediaTypes: mediaTypes,
	})
	return repo, at, err
}

// fetchArtifacts asks one repository of a registry.
func (c *child) fetchArtifacts(ctx context.Context, req *workerv1.FetchArtifacts) (*workerv1.FetchAnswer, error) {
	repo, at, err := openRegistry(req.GetRemote(), req.GetMediaTypes())
	if err != nil {
		return nil, err
	}
	j, err := c.treeJob(req.GetDirectory(), repo.Name(), at.Host, req.GetLimits())
	if err != nil {
		return nil, err
	}
	if req.GetOffline() {
		if answer := j.offline(req.GetWanted()); answer != nil {
			return answer, nil
		}
	}
	out := &workerv1.FetchAnswer{}
	for _, w := range req.GetWanted() {
		t, err := j.wanted(ctx, repo, w)
		if err != nil {
			err = j.problem(err)
			if len(req.GetWanted()) == 1 && fault.Is(err, fault.Upstream) {
				return nil, err
			}
			t = &workerv1.FetchedTree{Problem: worker.Problem(err)}
		}
		out.Trees = append(out.Trees, t)
	}
	return out, nil
}

// wanted fetches one chart or artifact, unless it is here.
func (j *treeJob) wanted(ctx context.Context, repo *ociregistry.Repository, w *workerv1.Wanted) (*workerv1.FetchedTree, error) {
	digest, version := w.GetDigest(), w.GetRevision()
	if digest == "" {
		found, err := repo.Find(ctx, w.GetRevision(), w.GetChart())
		if err != nil {
			return nil, err
		}
		digest, version = found.Digest, found.Tag
		if w.GetChart() != "" {
			version = strings.ReplaceAll(version, "_", "+")
		}
	}
	if t := j.state.Fetched.Trees[digest]; t != nil {
		return t.answer(digest, version), nil
	}
	if err := j.tidy(); err != nil {
		return nil, err
	}
	name := repo.Name()
	if version != "" && version != digest {
		name += ":" + version
	}
	t, err := j.artifact(ctx, repo, digest, name, w.GetChart() != "")
	if err != nil {
		return nil, err
	}
	if t.Title == "" {
		t.Title = path.Base(repo.Name())
	}
	if err := j.record(digest, t); err != nil {
		return nil, err
	}
	return t.answer(digest, version), nil
}

// artifact fetches what a manifest names and stores what is in it. needChart
// says that it has to be a chart; a chart is one in any case.
func (j *treeJob) artifact(ctx context.Context, repo *ociregistry.Repository, digest, name string, needChart bool) (*fetchedTree, error) {
	a, err := repo.Artifact(ctx, digest)
	if err != nil {
		return nil, err
	}
	if needChart && !a.Chart {
		return nil, fault.New(fault.Unprocessable, "oci_artifact_unsupported", "%s is not a Helm chart", name)
	}
	layer, err := repo.Layer(ctx, a)
	if err != nil {
		return nil, err
	}
	defer func() { _ = layer.Close() }() // read as far as anybody wanted
	if limit := j.limits.Packed; limit > 0 && a.Layer.Size > limit {
		return nil, fault.New(fault.Unprocessable, "too_large", "%s has %d MiB; the limit is %d MiB", name, a.Layer.Size>>20, limit>>20)
	}
	t, err := j.unpack(layer, name, a.Chart)
	if err == nil || fault.HasCode(err, "archive_invalid") {
		// Damage on the way is not the artifact's fault.
		if err := errors.Join(drain(layer), layer.Verify()); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	t.Title, t.Author, t.Created = described(a.Annotations)
	return t, nil
}

// drain reads what is left, of something whose size is known.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// described takes out of the annotations of a manifest what people want to know
// of a revision.
func described(annotations map[string]string) (title, author string, created int64) {
	get := func(key string) string { return web.Printable(annotations[key]) }
	title = get(ocispec.AnnotationTitle)
	if v := get(ocispec.AnnotationVersion); v != "" && title != "" {
		title += " " + v
	}
	for _, more := range []string{get(ocispec.AnnotationDescription), get(ocispec.AnnotationRevision)} {
		switch {
		case more == "":
		case title == "":
			title = more
		default:
			title += ", " + more
		}
	}
	if at, err := time.Parse(time.RFC3339, annotations[ocispec.AnnotationCreated]); err == nil {
		created = at.Unix()
	}
	return web.Clip(title, 200), web.Clip(get(ocispec.AnnotationAuthors), 100), created
}
