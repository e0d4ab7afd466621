package helmrepo

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/hawser-dev/hawser/hub/source/web"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Repository is one chart repository. It is safe for concurrent use when its
// Getter's transport is.
type Repository struct {
	// Get has the repository's URL as its Home.
	Get *web.Getter
	// MaxIndex is the largest index in bytes; 0 means 100 MiB.
	MaxIndex int64
}

// Validators tell which index somebody has.
type Validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
}

// MaxIndex is the default limit of an index.
const MaxIndex = 100 << 20

// Index writes the index to w, unless it is the one that have tells of: then
// modified is false and nothing is written. What was written before an error is
// no index. Errors: those of web.Getter, index_invalid, too_large.
func (r *Repository) Index(ctx context.Context, have Validators, w io.Writer) (now Validators, modified bool, err error) {
	limit := r.MaxIndex
	if limit <= 0 {
		limit = MaxIndex
	}
	header := http.Header{"Accept-Encoding": {"gzip"}, "Accept": {"application/yaml, text/yaml, application/x-yaml, */*"}}
	if have.ETag != "" {
		header.Set("If-None-Match", have.ETag)
	}
	if have.LastModified != "" {
		header.Set("If-Modified-Since", have.LastModified)
	}
	resp, err := r.Get.Get(ctx, r.resolve("index.yaml"), header)
	if web.Status(err) == http.StatusNotFound {
		return now, false, fault.Wrap(err, fault.Upstream, "repository_not_found", "%s has no index.yaml, so it is no chart repository, or the credential may not see it", r.Get.Name).
			WithFix("check the URL; charts of an OCI registry have a URL with oci:// or none of https://")
	}
	if err != nil {
		return now, false, err
	}
	defer func() { _ = resp.Body.Close() }() // read as far as anybody wanted
	if resp.StatusCode == http.StatusNotModified {
		return have, false, nil
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" {
		return now, false, r.invalid("answers with a web page (text/html) instead of an index; the last good state stays")
	}
	body := io.Reader(resp.Body)
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		if body, err = gzip.NewReader(resp.Body); err != nil {
			return now, false, r.broken(err)
		}
	}
	limited := &io.LimitedReader{R: body, N: limit + 1}
	buffered := bufio.NewReaderSize(limited, 64<<10)
	head, err := buffered.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return now, false, r.broken(err)
	}
	switch head = bytes.TrimSpace(head); {
	case len(head) == 0:
		return now, false, r.invalid("answers with an empty index; the last good state stays")
	case head[0] == '<':
		return now, false, r.invalid("answers with a web page instead of an index; the last good state stays")
	}
	if _, err := io.Copy(w, buffered); err != nil {
		return now, false, r.broken(err)
	}
	if limited.N <= 0 {
		return now, false, fault.New(fault.Unprocessable, "too_large", "the index of %s is larger than %d MiB", r.Get.Name, limit>>20)
	}
	return Validators{ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")}, true, nil
}

// broken tells damage of the packing from trouble of the network.
func (r *Repository) broken(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return fault.Wrap(err, fault.Upstream, "index_invalid", "%s sends an index that cannot be unpacked", r.Get.Name)
	}
	return err
}

func (r *Repository) invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.Upstream, "index_invalid", "%s %s", r.Get.Name, fmt.Sprintf(format, args...)).
		WithFix("check that the URL followed by /index.yaml is the index of a chart repository")
}

// resolve makes a URL that is relative to the repository absolute.
func (r *Repository) resolve(ref string) *url.URL {
	base := *r.Get.Home
	base.Path = strings.TrimRight(base.Path, "/") + "/"
	base.RawPath = ""
	u, err := base.Parse(ref)
	if err != nil {
		return &url.URL{} // has no scheme, which Get refuses
	}
	return u
}

// Location is where the archive of a version is. ok is false for a version that
// says it nowhere. The scheme is http, https or oci.
func (r *Repository) Location(v Version) (location *url.URL, ok bool) {
	for _, raw := range v.URLs {
		if u := r.resolve(raw); u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "oci") {
			return u, true
		}
	}
	return nil, false
}

// Archive opens the archive of a version. The caller closes it, reads it with a
// limit, and compares its digest.
func (r *Repository) Archive(ctx context.Context, location *url.URL) (io.ReadCloser, error) {
	resp, err := r.Get.Get(ctx, location, http.Header{"Accept-Encoding": {"identity"}})
	if web.Status(err) == http.StatusNotFound {
		return nil, fault.Wrap(err, fault.Upstream, "chart_unavailable", "the index of %s has a version whose archive is not there (404 from %s)", r.Get.Name, location.Host)
	}
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
