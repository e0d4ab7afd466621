package ociregistry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/hawser-dev/hawser/hub/source/versions"
	"github.com/hawser-dev/hawser/hub/source/web"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Options of a Repository.
type Options struct {
	// Transport reaches servers.
	Transport  http.RoundTripper
	Credential web.Credential
	// PassCredentials lets the credential go to any token server over https.
	PassCredentials bool
	// PlainHTTP speaks without TLS, also when there is a credential.
	PlainHTTP bool
	// MediaTypes of layers that are taken, beside charts; nil means
	// DefaultMediaTypes.
	MediaTypes []string
}

// DefaultMediaTypes are tar files as common tools push them.
var DefaultMediaTypes = []string{
	ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip,
	"application/vnd.cncf.flux.content.v1.tar+gzip",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
}

// ChartMediaType is the layer of a Helm chart.
const ChartMediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

const (
	maxTags     = 100_000
	maxPages    = 1_000
	maxManifest = 4 << 20
)

// Repository is one repository of a registry. It is for one goroutine.
type Repository struct {
	repo *remote.Repository
	o    Options
	name string
}

// Open names a repository by the registry (host, or host:port) and its path. It
// does not speak with it. Code repo_url_invalid.
func Open(host, path string, o Options) (*Repository, error) {
	ref := registry.Reference{Registry: host, Repository: strings.Trim(path, "/")}
	name := "oci://" + host + "/" + ref.Repository
	if err := errors.Join(ref.ValidateRegistry(), ref.ValidateRepository()); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "repo_url_invalid", "%q is no repository of a registry: it has a host and a path of a-z, 0-9, and ._-/ between them", web.Clip(name, 150))
	}
	if o.MediaTypes == nil {
		o.MediaTypes = DefaultMediaTypes
	}
	r := &Repository{o: o, name: name}
	credential := auth.Credential{Username: o.Credential.Username, Password: o.Credential.Password, AccessToken: o.Credential.BearerToken}
	r.repo = &remote.Repository{
		Reference: ref, PlainHTTP: o.PlainHTTP,
		TagListPageSize: 1000, TagListMaxPages: maxPages, MaxMetadataBytes: maxManifest,
		Client: &auth.Client{
			Client: &http.Client{
				Transport: &sameSite{next: o.Transport, name: name, registry: ref.Host(), plain: o.PlainHTTP, pass: o.PassCredentials},
				CheckRedirect: func(next *http.Request, via []*http.Request) error {
					return web.CheckRedirect(name, next, via)
				},
			},
			Header:     http.Header{"User-Agent": {web.UserAgent}},
			Cache:      auth.NewCache(),
			Credential: auth.StaticCredential(host, credential),
			// The transport refuses addresses, when it dials.
			BlockedRealmPrefixes: []netip.Prefix{},
		},
	}
	return r, nil
}

// Name is the URL of the repository.
func (r *Repository) Name() string { return r.name }

// Tags lists all tags. Errors: those of web.Refused, too_large.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	var all []string
	err := r.repo.Tags(ctx, "", func(page []string) error {
		if all = append(all, page...); len(all) > maxTags {
			return errdef.ErrTooManyPages
		}
		return nil
	})
	if errors.Is(err, errdef.ErrTooManyPages) {
		return nil, fault.Wrap(err, fault.Unprocessable, "too_large", "%s has more than %d tags; name one", r.name, maxTags)
	}
	return all, r.explain(err)
}

// Found is what a revision means at the moment.
type Found struct {
	Tag    string // "" for a digest
	Digest string
}

// Find tells the digest of a manifest by a digest, a tag, or a constraint on
// tags; "" is the newest version, or for an artifact without versions the tag
// "latest". With chart tags are versions as Helm writes them: "+" is "_". Codes
// chart_not_found for charts, revision_not_found for other artifacts.
func (r *Repository) Find(ctx context.Context, revision, chart string) (Found, error) {
	if strings.Contains(revision, ":") {
		d, err := digest.Parse(revision)
		if err != nil {
			return Found{}, r.notFound("%q is neither a digest nor a tag", web.Clip(revision, 80))
		}
		_, err = r.resolve(ctx, d.String())
		if errors.Is(err, errdef.ErrNotFound) {
			return Found{}, r.notFound("%s has no %s", r.name, d)
		}
		return Found{Digest: d.String()}, r.explain(err)
	}
	tag := revision
	if chart != "" {
		tag = strings.ReplaceAll(revision, "+", "_")
	}
	if (registry.Reference{Reference: tag}).ValidateReferenceAsTag() == nil {
		d, err := r.resolve(ctx, tag)
		if err == nil {
			return Found{Tag: tag, Digest: d}, nil
		}
		if !errors.Is(err, errdef.ErrNotFound) {
			return Found{}, r.explain(err)
		}
	}
	tags, err := r.Tags(ctx)
	if err != nil {
		return Found{}, err
	}
	have := tags
	if chart != "" {
		have = make([]string, len(tags))
		for i, t := range tags {
			have[i] = strings.ReplaceAll(t, "_", "+")
		}
	}
	picked, ok := versions.Pick(have, revision)
	switch {
	case ok:
	case chart != "":
		return Found{}, versions.NoneOf(chart, revision, have)
	case revision == "" && contains(tags, "latest"):
		picked = "latest"
	default:
		return Found{}, r.unknown(revision, tags)
	}
	if chart != "" {
		picked = strings.ReplaceAll(picked, "+", "_")
	}
	d, err := r.resolve(ctx, picked)
	if errors.Is(err, errdef.ErrNotFound) {
		return Found{}, fault.Wrap(err, fault.Upstream, "repository_unavailable", "%s lists the tag %q and does not have it", r.name, web.Printable(picked))
	}
	return Found{Tag: picked, Digest: d}, r.explain(err)
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func (r *Repository) notFound(format string, args ...any) *fault.Error {
	return fault.New(fault.Unprocessable, "revision_not_found", "%s", web.Clip(fmt.Sprintf(format, args...), 300)).
		WithField("spec.source.targetRevision")
}

func (r *Repository) unknown(revision string, tags []string) error {
	shown := fmt.Sprintf("%q", web.Clip(revision, 80))
	switch newest := versions.Newest(tags); {
	case len(tags) == 0:
		return r.notFound("%s has no tags", r.name)
	case versions.IsConstraint(revision) && newest != "":
		return r.notFound("%s has no tag matching %s; newest is %s", r.name, shown, newest)
	case versions.IsConstraint(revision):
		return r.notFound("%s has no tag matching %s, and none that is a version number", r.name, shown)
	}
	if near := nearest.Word(revision, tags); near != "" {
		return r.notFound("tag %s not found in %s; closest: %q", shown, r.name, web.Clip(near, 80))
	}
	return r.notFound("tag %s not found in %s; it has %q", shown, r.name, web.Clip(tags[len(tags)-1], 80))
}

// resolve asks for the digest of a tag with HEAD, which registries do not count
// as a pull, and with GET where HEAD does not tell.
func (r *Repository) resolve(ctx context.Context, reference string) (string, error) {
	desc, err := r.repo.Resolve(ctx, reference)
	if err == nil && isManifest(desc.MediaType) {
		return desc.Digest.String(), nil
	}
	if errors.Is(err, errdef.ErrNotFound) || statusOf(err) != 0 {
		return "", err
	}
	data, desc, err := r.manifest(ctx, reference)
	if err != nil {
		return "", err
	}
	if !isManifest(desc.MediaType) {
		return "", r.noRegistry("%q instead of a manifest", web.Printable(desc.MediaType))
	}
	return digest.FromBytes(data).String(), nil
}

func isManifest(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifest, dockerList:
		return true
	}
	return false
}

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

func (r *Repository) noRegistry(format string, args ...any) error {
	return fault.New(fault.Upstream, "registry_invalid", "%s answers with %s; the last good state stays", r.name, fmt.Sprintf(format, args...)).
		WithFix("check that the URL is the one that helm pull or oras pull takes")
}

// manifest reads a manifest, of any type, whose content is compared with what
// the registry says it is.
func (r *Repository) manifest(ctx context.Context, reference string) ([]byte, ocispec.Descriptor, error) {
	desc, body, err := r.repo.FetchReference(ctx, reference)
	if err != nil {
		return nil, desc, err
	}
	defer func() { _ = body.Close() }() // read as far as anybody wanted
	if desc.Size > maxManifest {
		return nil, desc, fault.New(fault.Unprocessable, "too_large", "a manifest of %s has %d bytes; the limit is %d MiB", r.name, desc.Size, maxManifest>>20)
	}
	data, err := content.ReadAll(body, desc)
	return data, desc, err
}

// Artifact is what can be a source.
type Artifact struct {
	// Digest of the manifest.
	Digest string
	Layer  ocispec.Descriptor
	// Chart says that the layer is a Helm chart.
	Chart bool
	// Annotations of the manifest.
	Annotations map[string]string
}

// Artifact reads the manifest with a digest. Code oci_artifact_unsupported for
// what has no layer or several, or one of another type.
func (r *Repository) Artifact(ctx context.Context, manifestDigest string) (Artifact, error) {
	data, desc, err := r.manifest(ctx, manifestDigest)
	if errors.Is(err, errdef.ErrNotFound) {
		return Artifact{}, r.notFound("%s does not have %s any more", r.name, manifestDigest)
	}
	if err != nil {
		return Artifact{}, r.explain(err)
	}
	if d, err := digest.Parse(manifestDigest); err != nil || d.Algorithm().FromBytes(data) != d {
		return Artifact{}, r.mismatch(content.ErrMismatchedDigest)
	}
	if desc.MediaType == ocispec.MediaTypeImageIndex || desc.MediaType == dockerList {
		return Artifact{}, r.unsupported("is an index of several images; a source is one artifact")
	}
	if !isManifest(desc.MediaType) {
		return Artifact{}, r.noRegistry("%q instead of a manifest", web.Printable(desc.MediaType))
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Artifact{}, fault.Wrap(err, fault.Upstream, "registry_invalid", "a manifest of %s cannot be read", r.name)
	}
	a := Artifact{Digest: manifestDigest, Annotations: m.Annotations}
	for _, l := range m.Layers {
		if l.MediaType == ChartMediaType {
			if a.Chart {
				return Artifact{}, r.unsupported("has more than one chart in it")
			}
			a.Chart, a.Layer = true, l
		}
	}
	switch {
	case a.Chart: // a signature may be beside it
	case len(m.Layers) == 0:
		return Artifact{}, r.unsupported("has no layer")
	case len(m.Layers) > 1:
		return Artifact{}, r.unsupported("has %d layers; an artifact that is a source has one", len(m.Layers))
	case !contains(r.o.MediaTypes, m.Layers[0].MediaType):
		e := r.unsupported("has a layer of type %q, which is not taken", web.Printable(m.Layers[0].MediaType))
		return Artifact{}, e.WithFound(web.Printable(m.Layers[0].MediaType), strings.Join(append([]string{ChartMediaType}, r.o.MediaTypes...), ", "))
	default:
		a.Layer = m.Layers[0]
	}
	if a.Layer.Digest.Validate() != nil || a.Layer.Size < 0 {
		return Artifact{}, r.unsupported("names its layer by what is no digest")
	}
	return a, nil
}

func (r *Repository) unsupported(format string, args ...any) *fault.Error {
	return fault.New(fault.Unprocessable, "oci_artifact_unsupported", "%s %s", r.name, fmt.Sprintf(format, args...))
}

func (r *Repository) mismatch(cause error) error {
	return fault.Wrap(cause, fault.Upstream, "digest_mismatch", "%s sends something else than its digest says; nothing was taken", r.name)
}

// Layer is the content of an artifact.
type Layer struct {
	repo   *Repository
	verify *content.VerifyReader
	body   io.Closer
}

// Layer opens the layer of an artifact. The caller reads it to its end, calls
// Verify before it uses anything, and closes it.
func (r *Repository) Layer(ctx context.Context, a Artifact) (*Layer, error) {
	body, err := r.repo.Blobs().Fetch(ctx, a.Layer)
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, fault.Wrap(err, fault.Upstream, "repository_unavailable", "%s has a manifest whose layer is not there", r.name)
	}
	if err != nil {
		return nil, r.explain(err)
	}
	return &Layer{r, content.NewVerifyReader(body, a.Layer), body}, nil
}

func (l *Layer) Read(b []byte) (int, error) { return l.verify.Read(b) }

// Verify reports whether what was read is what the manifest names. Code
// digest_mismatch.
func (l *Layer) Verify() error {
	if err := l.verify.Verify(); err != nil {
		return l.repo.mismatch(err)
	}
	return nil
}

// Close ends the transfer.
func (l *Layer) Close() error { return l.body.Close() }

// Host is where the registry's API is.
func (r *Repository) Host() string { return r.repo.Reference.Host() }

// Ping asks whether the registry is one, and takes the credential.
func (r *Repository) Ping(ctx context.Context) error {
	scheme := "https"
	if r.o.PlainHTTP {
		scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+r.Host()+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := r.repo.Client.Do(req)
	if err != nil {
		return r.explain(err)
	}
	_ = resp.Body.Close() // nobody reads it
	switch {
	case resp.StatusCode == http.StatusOK && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return nil
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusNotFound:
		return r.noRegistry("something that is not the API of a registry (%d at /v2/)", resp.StatusCode)
	}
	return web.Refused(r.name, r.Host(), resp.StatusCode, !r.o.Credential.IsZero(), r.o.Credential.Username, false)
}
