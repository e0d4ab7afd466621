package ociregistry

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/hawser-dev/hawser/shared/fault"
)

// registrySays is a registry that answers the same to everything.
type registrySays struct {
	status int
	header map[string]string
	body   []byte
}

func (r registrySays) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{}
	for k, v := range r.header {
		header.Set(k, v)
	}
	body := r.body
	if req.Method == http.MethodHead {
		body = nil
	}
	return &http.Response{
		StatusCode: r.status, Status: fmt.Sprint(r.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(r.body)), Request: req,
	}, nil
}

func fuzzed(t *testing.T, says registrySays) *Repository {
	t.Helper()
	r, err := Open("registry.example.org", "team/web", Options{Transport: says})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// told refuses errors of no code, and ones that steer a terminal or go on and on.
func told(t *testing.T, body []byte, err error) {
	t.Helper()
	e := fault.As(err)
	if e.Code == "" || len(e.Message) > 700 || !utf8.ValidString(e.Message) || strings.ContainsFunc(e.Message, unicode.IsControl) {
		t.Fatalf("%q is refused with %q, %q", body, e.Code, e.Message)
	}
}

// Whatever a registry says a manifest is: an artifact has one layer of a type that is
// taken, under a digest, and is what was asked for.
func FuzzManifest(f *testing.F) {
	layer := `{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"sha256:` + strings.Repeat("a", 64) + `","size":10}`
	for _, s := range []string{
		`{"schemaVersion":2,"layers":[` + layer + `],"annotations":{"a":"b"}}`, `{"layers":[` + layer + `,` + layer + `]}`,
		`{"layers":[{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"../../etc","size":-1}]}`,
		`{"layers":[{"mediaType":"\u001b[2J"}]}`, `{"layers":[]}`, `{"layers":{}}`, `{"annotations":[]}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(s), ocispec.MediaTypeImageManifest)
		f.Add([]byte(s), dockerManifest)
	}
	f.Add([]byte(`{}`), ocispec.MediaTypeImageIndex)
	f.Add([]byte(`<html>`), "text/html\x01")
	f.Fuzz(func(t *testing.T, body []byte, mediaType string) {
		d := digest.FromBytes(body).String()
		r := fuzzed(t, registrySays{200, map[string]string{"Content-Type": mediaType, "Docker-Content-Digest": d}, body})
		a, err := r.Artifact(t.Context(), d)
		if err != nil {
			told(t, body, err)
			return
		}
		if a.Digest != d || a.Layer.Digest.Validate() != nil || a.Layer.Size < 0 || a.Chart != (a.Layer.MediaType == ChartMediaType) || !a.Chart && !contains(r.o.MediaTypes, a.Layer.MediaType) {
			t.Fatalf("%q is taken as %+v", body, a)
		}
		other := digest.FromString("something else").String()
		if _, err := r.Artifact(t.Context(), other); err == nil && other != d {
			t.Fatalf("%q is taken for %s", body, other)
		}
	})
}

// Whatever a registry lists as tags, or sends as an error: what is found is a digest.
func FuzzTags(f *testing.F) {
	for _, s := range []string{`{"name":"team/web","tags":["1.0.0","1.2.0","latest"]}`, `{"tags":null}`, `{"tags":["\u001b[2J","../x"]}`, `{"errors":[{"code":"DENIED","message":"\u001b[2J","detail":{}}]}`, `[]`, ``} {
		f.Add(200, []byte(s), "^1", `</v2/team/web/tags/list?last=z>; rel="next"`)
		f.Add(404, []byte(s), "", "")
		f.Add(401, []byte(s), "latest", `Bearer realm="https://evil.test/token",service="x"`)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, revision, link string) {
		if status < 200 || status > 599 || strings.ContainsAny(link, "\r\n") {
			return
		}
		r := fuzzed(t, registrySays{status, map[string]string{"Content-Type": "application/json", "Link": link, "Www-Authenticate": link}, body})
		found, err := r.Find(t.Context(), revision, "")
		if err != nil {
			told(t, body, err)
			return
		}
		if _, err := digest.Parse(found.Digest); err != nil {
			t.Fatalf("%q of %q is found as %+v", revision, body, found)
		}
	})
}
