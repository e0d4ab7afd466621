package source

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/source/sourcetest"
	"github.com/hawser-dev/hawser/shared/fault"
)

// registryAt serves a registry and returns its host and Sources that trust it.
func registryAt(t *testing.T, r *sourcetest.Registry, cred fleet.Credential, opts Options) (string, *Sources) {
	t.Helper()
	url, pair := startTLS(t, r, "")
	cred.CABundle += pair.authority
	opts.Credentials = func(context.Context, string) (*fleet.Credential, error) { return &cred, nil }
	return strings.TrimPrefix(url, "https://"), newSources(t, opts)
}

func chartLayer(name, version string) sourcetest.Layer {
	return sourcetest.Layer{Type: sourcetest.ChartType, Data: sourcetest.Chart(name, version, map[string]string{"values.yaml": "version: " + version})}
}

func TestChartsOfARegistry(t *testing.T) {
	for name, auth := range map[string]func(*sourcetest.Registry){
		"open":   func(*sourcetest.Registry) {},
		"basic":  func(r *sourcetest.Registry) { r.User, r.Password = "robot", "CANARY-s3cret" },
		"bearer": func(r *sourcetest.Registry) { r.User, r.Password, r.Bearer = "robot", "CANARY-s3cret", true },
	} {
		t.Run(name, func(t *testing.T) {
			reg := &sourcetest.Registry{PageSize: 2}
			auth(reg)
			for _, v := range []string{"1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "1.10.1_build.5"} {
				reg.Push("charts/web", []string{v}, map[string]string{"org.opencontainers.image.title": "web", "org.opencontainers.image.version": v}, chartLayer("web", v))
			}
			host, s := registryAt(t, reg, fleet.Credential{Username: "robot", Password: "CANARY-s3cret"}, Options{})
			for want, version := range map[string]string{"": "1.10.1+build.5", "^1.0": "1.10.1+build.5", "1.0.0": "1.0.0", "v1.2.0": "1.2.0", "~1.2": "1.2.0", "1.10.1+build.5": "1.10.1+build.5", "2.0.0-rc.1": "2.0.0-rc.1"} {
				for _, repoURL := range []string{"oci://" + host + "/charts", host + "/charts/"} {
					target := fleet.Target{RepoURL: repoURL, Chart: "web", Revision: want}
					r, err := resolveTarget(t, s, target)
					if err != nil || !strings.HasPrefix(r.Commit, version+"@sha256:") || r.Revision.Commit != version || !strings.HasPrefix(r.Revision.Message, "web ") {
						t.Errorf("%q: %+v, %v", want, r, err)
						continue
					}
					snap, err := s.At(t.Context(), target, r.Commit)
					if err != nil {
						t.Fatal(err)
					}
					if got := fileText(t, snap, "values.yaml"); got != "version: "+strings.ReplaceAll(version, "+", "_") {
						t.Errorf("%q: %q", want, got)
					}
				}
			}
			_, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/charts", Chart: "web", Revision: "^99"})
			wantFault(t, err, fault.Unprocessable, "chart_not_found", `chart "web" has no version matching "^99"; newest is 1.10.1+build.5`)
			_, err = resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/charts", Chart: "webs"})
			wantFault(t, err, fault.Upstream, "repository_not_found", "/charts/webs does not exist")
		})
	}
}

func TestArtifactsAsSources(t *testing.T) {
	reg := &sourcetest.Registry{}
	files := map[string]string{"deploy/a.yaml": "a", "b.yaml": "b"}
	notes := map[string]string{
		"org.opencontainers.image.title": "shop", "org.opencontainers.image.version": "1.2", "org.opencontainers.image.revision": "main@sha1:abc",
		"org.opencontainers.image.authors": "Ann", "org.opencontainers.image.created": "2026-03-04T05:06:07Z",
	}
	digest := reg.Push("manifests/shop", []string{"v1.2.0", "latest"}, notes, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(files))})
	reg.Push("manifests/shop", []string{"v1.3.0-rc.1", "next"}, nil, sourcetest.Layer{Type: sourcetest.PlainLayerType, Data: sourcetest.Tar(map[string]string{"b.yaml": "next"})})
	reg.Push("manifests/loose", []string{"latest"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(files))})
	reg.Push("charts/web", []string{"1.0.0"}, nil, chartLayer("web", "1.0.0"))
	host, s := registryAt(t, reg, fleet.Credential{}, Options{})
	url := "oci://" + host + "/manifests/shop"
	for want, text := range map[string]string{"": "b", "latest": "b", "v1.2.0": "b", "1.2.0": "b", "^1": "b", digest: "b", "next": "next", ">=1.2-0": "next"} {
		target := fleet.Target{RepoURL: url, Revision: want}
		r, err := resolveTarget(t, s, target)
		if err != nil || !strings.HasPrefix(r.Commit, "sha256:") || r.Revision.Commit != r.Commit {
			t.Errorf("%q: %+v, %v", want, r, err)
			continue
		}
		snap, err := s.At(t.Context(), target, r.Commit)
		if err != nil {
			t.Fatal(err)
		}
		if got := fileText(t, snap, "b.yaml"); got != text {
			t.Errorf("%q: %q", want, got)
		}
		if text == "b" && (r.Commit != digest || r.Revision.Message != "shop 1.2, main@sha1:abc" || r.Revision.Author != "Ann" || r.Revision.CommittedAt.Month() != time.March) {
			t.Errorf("%q: %+v", want, r)
		}
	}
	// Without versions the tag latest; a chart without its name is a chart, too.
	for _, c := range []struct{ url, file, text string }{
		{"oci://" + host + "/manifests/loose", "deploy/a.yaml", "a"},
		{"oci://" + host + "/charts/web", "values.yaml", "version: 1.0.0"},
	} {
		target := fleet.Target{RepoURL: c.url}
		r, err := resolveTarget(t, s, target)
		if err != nil {
			t.Fatal(err)
		}
		snap, err := s.At(t.Context(), target, r.Commit)
		if err != nil || fileText(t, snap, c.file) != c.text {
			t.Errorf("%s: %v", c.url, err)
		}
	}
	for want, text := range map[string]string{
		"lates": `closest: "latest"`, "^9": "no tag matching \"^9\"; newest is v1.2.0", "sha256:abc": "neither a digest nor a tag",
		"sha256:" + strings.Repeat("0", 64): "has no sha256:000",
	} {
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Revision: want})
		wantFault(t, err, fault.Unprocessable, "revision_not_found", text)
	}
	_, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/manifests/none"})
	wantFault(t, err, fault.Upstream, "repository_not_found", "does not exist")
}

func TestATagThatStaysCostsOneRequest(t *testing.T) {
	reg := &sourcetest.Registry{}
	reg.Push("a/b", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "1"}))})
	host, s := registryAt(t, reg, fleet.Credential{}, Options{})
	target := fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"}
	old, err := resolveTarget(t, s, target)
	if err != nil {
		t.Fatal(err)
	}
	reg.Asked()
	if _, err := resolveTarget(t, s, target); err != nil {
		t.Fatal(err)
	}
	if asked := reg.Asked(); len(asked) != 1 || asked[0].Method != http.MethodHead {
		t.Errorf("%+v", asked)
	}
	reg.Push("a/b", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "2"}))})
	now, err := resolveTarget(t, s, target)
	if err != nil || now.Commit == old.Commit {
		t.Errorf("%+v, %v", now, err)
	}
	// The old one can be fetched by its digest by a hub that has nothing.
	fresh := newSources(t, Options{Credentials: s.opts.Credentials})
	if snap, err := fresh.At(t.Context(), target, old.Commit); err != nil || fileText(t, snap, "a") != "1" {
		t.Errorf("%v", err)
	}
	var wg sync.WaitGroup
	reg.Push("charts/web", []string{"1.0.0"}, nil, chartLayer("web", "1.0.0"))
	reg.Asked()
	for range 20 {
		wg.Go(func() {
			if _, v, err := s.Chart(t.Context(), fleet.Target{RepoURL: "oci://" + host + "/charts", Chart: "web", Revision: "^1"}); err != nil || v != "1.0.0" {
				t.Errorf("%q, %v", v, err)
			}
		})
	}
	wg.Wait()
	if asked := reg.Asked(); sourcetest.Count(asked, "/tags/list") != 1 || sourcetest.Count(asked, "/blobs/") != 1 {
		t.Errorf("%+v", asked)
	}
}

func TestArtifactsThatAreNoSource(t *testing.T) {
	reg := &sourcetest.Registry{}
	layer := sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "1"}))}
	reg.Push("x/many", []string{"v1"}, nil, layer, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "2"}))})
	reg.Push("x/none", []string{"v1"}, nil)
	reg.Push("x/type", []string{"v1"}, nil, sourcetest.Layer{Type: "application/vnd.wasm", Data: []byte("\x00asm")})
	reg.PushIndex("x/index", "v1")
	reg.Push("x/plain", []string{"1.0.0"}, nil, layer)
	reg.Push("x/slip", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.PlainLayerType, Data: sourcetest.Tar(map[string]string{"../x": "1"})})
	reg.Push("x/zip", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: []byte("PK\x03\x04zip")})
	host, s := registryAt(t, reg, fleet.Credential{}, Options{})
	for _, c := range []struct{ path, chart, code, text string }{
		{"/x/many", "", "oci_artifact_unsupported", "2 layers"},
		{"/x/none", "", "oci_artifact_unsupported", "no layer"},
		{"/x/type", "", "oci_artifact_unsupported", "application/vnd.wasm"},
		{"/x/index", "", "oci_artifact_unsupported", "index"},
		{"/x", "plain", "oci_artifact_unsupported", "not a Helm chart"},
		{"/x/slip", "", "archive_invalid", "lead out"},
		{"/x/zip", "", "archive_invalid", "zip"},
	} {
		revision := "v1"
		if c.chart != "" {
			revision = "1.0.0"
		}
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + c.path, Chart: c.chart, Revision: revision})
		wantFault(t, err, fault.Unprocessable, c.code, c.text)
	}
	own := newSources(t, Options{Credentials: s.opts.Credentials, OCIMediaTypes: []string{"application/vnd.example"}})
	_, err := resolveTarget(t, own, fleet.Target{RepoURL: "oci://" + host + "/x/plain", Revision: "1.0.0"})
	wantFault(t, err, fault.Unprocessable, "oci_artifact_unsupported", "not taken")
}

func TestWhatARegistrySendsIsVerified(t *testing.T) {
	reg := &sourcetest.Registry{}
	good := sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "good"}))
	evil := sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "evil"}))
	for len(evil) < len(good) {
		evil = append(evil, 0)
	}
	reg.Push("x/layer", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: good})
	manifest := reg.Push("x/manifest", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"b": "1"}))})
	reg.Push("x/noise", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: []byte("what was pushed")})
	host, s := registryAt(t, reg, fleet.Credential{}, Options{})
	reg.Blob(sourcetest.Digest(good), evil[:len(good)])
	reg.Blob(manifest, []byte(`{"schemaVersion":2,"layers":[]}`))
	reg.Blob(sourcetest.Digest([]byte("what was pushed")), []byte("what was changd"))
	for _, path := range []string{"layer", "manifest", "noise"} {
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/x/" + path, Revision: "v1"})
		wantFault(t, err, fault.Upstream, "digest_mismatch", "nothing was taken")
	}
}

func TestFailureOfARegistryIsAnError(t *testing.T) {
	reg := &sourcetest.Registry{}
	reg.Push("a/b", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "1"}))})
	host, s := registryAt(t, reg, fleet.Credential{}, Options{})
	answer := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body)
			return true
		}
	}
	for name, c := range map[string]struct {
		handle     func(http.ResponseWriter, *http.Request) bool
		code, text string
	}{
		"500":      {answer(500, "text/plain", "oops"), "repository_unavailable", "500"},
		"429":      {answer(429, "application/json", `{"errors":[{"code":"TOOMANYREQUESTS"}]}`), "repository_unavailable", "429"},
		"web page": {answer(200, "text/html", "<html>log in</html>"), "registry_invalid", "text/html"},
		"no JSON":  {answer(200, "application/vnd.oci.image.manifest.v1+json", "<html>"), "registry_invalid", "cannot be read"},
	} {
		reg.Lock()
		reg.Handle = c.handle
		reg.Unlock()
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"})
		t.Run(name, func(t *testing.T) { wantFault(t, err, fault.Upstream, c.code, c.text) })
	}
	reg.Lock()
	reg.Handle = answer(200, "text/html", "<html>log in</html>")
	reg.Unlock()
	_, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/a", Chart: "b", Revision: "^1"})
	wantFault(t, err, fault.Upstream, "registry_invalid", "not an OCI registry")
	gone := newSources(t, Options{})
	_, err = resolveTarget(t, gone, fleet.Target{RepoURL: "oci://127.0.0.1:1/a", Chart: "b"})
	wantFault(t, err, fault.Upstream, "repository_unavailable", "refuses connections")
}

func TestTheCredentialStaysAtItsRegistry(t *testing.T) {
	evil := &sourcetest.Recorder{Body: []byte(`{"token":"CANARY-token"}`)}
	evilURL, evilPair := startTLS(t, evil, "")
	layer := sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "1"}))}
	cred := fleet.Credential{Username: "robot", Password: "CANARY-s3cret", CABundle: evilPair.authority}

	// A token server elsewhere.
	reg := &sourcetest.Registry{User: "robot", Password: "CANARY-s3cret", Realm: evilURL + "/token"}
	reg.Push("a/b", []string{"v1"}, nil, layer)
	host, s := registryAt(t, reg, cred, Options{})
	target := fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"}
	_, err := resolveTarget(t, s, target)
	wantFault(t, err, fault.Upstream, "repository_auth_failed", "another site; the credential was not sent there")
	if asked := evil.Asked(); len(asked) != 0 {
		t.Errorf("another host saw %+v", asked)
	}
	passing := cred
	passing.PassCredentials = true
	host, s = registryAt(t, reg, passing, Options{})
	if _, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"}); err != nil {
		t.Error(err)
	}
	if asked := evil.Asked(); len(asked) == 0 || asked[0].Authorization == "" {
		t.Errorf("with passCredentials another host saw %+v", asked)
	}
	// Plain http is not followed even then.
	reg.Lock()
	reg.Realm = "http://127.0.0.1:1/token"
	reg.Unlock()
	_, err = resolveTarget(t, newSources(t, Options{Credentials: s.opts.Credentials}), fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"})
	wantFault(t, err, fault.Upstream, "registry_invalid", "")

	// Layers elsewhere, as clouds have them: fetched, without the credential.
	evil.Body = layer.Data
	reg = &sourcetest.Registry{User: "robot", Password: "CANARY-s3cret"}
	reg.Push("a/b", []string{"v1"}, nil, layer)
	reg.Handle = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, evilURL+"/blob", http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	host, s = registryAt(t, reg, cred, Options{})
	if _, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"}); err != nil {
		t.Error(err)
	}
	if asked := evil.Asked(); len(asked) != 1 || asked[0].Authorization != "" {
		t.Errorf("another host saw %+v", asked)
	}
	reg.Lock()
	reg.Handle = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, "http://127.0.0.1:1/blob", http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	reg.Unlock()
	_, err = resolveTarget(t, newSources(t, Options{Credentials: s.opts.Credentials}), fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"})
	wantFault(t, err, fault.Upstream, "redirect_refused", "plain http")
}

func TestWrongCredentialsOfARegistry(t *testing.T) {
	for _, bearer := range []bool{false, true} {
		reg := &sourcetest.Registry{User: "robot", Password: "CANARY-s3cret", Bearer: bearer}
		reg.Push("a/b", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "1"}))})
		for text, cred := range map[string]fleet.Credential{
			"none is registered":                   {},
			`refused the credential "robot" (401)`: {Username: "robot", Password: "CANARY-wrong"},
		} {
			host, s := registryAt(t, reg, cred, Options{})
			_, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"})
			wantFault(t, err, fault.Upstream, "repository_auth_failed", text)
		}
		host, s := registryAt(t, reg, fleet.Credential{BearerToken: "CANARY-token"}, Options{})
		if _, err := resolveTarget(t, s, fleet.Target{RepoURL: "oci://" + host + "/a/b", Revision: "v1"}); bearer != (err == nil) {
			t.Errorf("bearer %v: %v", bearer, err)
		}
	}
}

func TestPlainHTTPIsForRegistriesThatAreMarked(t *testing.T) {
	reg := &sourcetest.Registry{User: "robot", Password: "CANARY-s3cret", Bearer: true}
	reg.Push("a/b", []string{"v1"}, nil, sourcetest.Layer{Type: sourcetest.LayerType, Data: sourcetest.Gzip(sourcetest.Tar(map[string]string{"a": "1"}))})
	server := httptest.NewServer(reg)
	t.Cleanup(server.Close)
	target := fleet.Target{RepoURL: "oci://" + strings.TrimPrefix(server.URL, "http://") + "/a/b", Revision: "v1"}
	cred := fleet.Credential{Username: "robot", Password: "CANARY-s3cret"}
	s := newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return &cred, nil }})
	_, err := resolveTarget(t, s, target)
	wantFault(t, err, fault.Upstream, "repository_tls_untrusted", "does not speak TLS")
	if asked := reg.Asked(); len(asked) != 0 {
		t.Errorf("%+v", asked)
	}
	marked := cred
	marked.InsecurePlainHTTP = true
	s = newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return &marked, nil }})
	if _, err := resolveTarget(t, s, target); err != nil {
		t.Error(err)
	}
}

func TestIndexThatPointsIntoARegistry(t *testing.T) {
	reg := &sourcetest.Registry{}
	reg.Push("bitnamicharts/redis", []string{"20.1.0"}, nil, chartLayer("redis", "20.1.0"))
	regURL, regPair := startTLS(t, reg, "")
	charts := &sourcetest.Charts{User: "robot", Password: "CANARY-s3cret"}
	charts.Add("redis", "20.1.0", "oci://"+strings.TrimPrefix(regURL, "https://")+"/bitnamicharts/redis:20.1.0", strings.Repeat("ab", 32), nil)
	url, s := chartRepo(t, charts, fleet.Credential{Username: "robot", Password: "CANARY-s3cret", CABundle: regPair.authority}, Options{})
	snap, version, err := s.Chart(t.Context(), fleet.Target{RepoURL: url, Chart: "redis", Revision: "^20"})
	if err != nil || version != "20.1.0" || fileText(t, snap, "values.yaml") != "version: 20.1.0" {
		t.Errorf("%q, %v", version, err)
	}
	for _, a := range reg.Asked() {
		if a.Authorization != "" {
			t.Errorf("the registry saw %+v", a)
		}
	}
}

func TestProbeOfARegistry(t *testing.T) {
	reg := &sourcetest.Registry{User: "robot", Password: "CANARY-s3cret", Bearer: true}
	reg.Push("charts/web", []string{"1.0.0", "1.1.0"}, nil, chartLayer("web", "1.0.0"))
	url, pair := startTLS(t, reg, "")
	host := strings.TrimPrefix(url, "https://")
	s := newSources(t, Options{})
	good := &fleet.Credential{Type: fleet.OCI, Username: "robot", Password: "CANARY-s3cret", CABundle: pair.authority}
	wrong := *good
	wrong.Password = "CANARY-wrong"
	for _, c := range []struct {
		url   string
		cred  *fleet.Credential
		steps string
		last  string
	}{
		{"oci://" + host + "/charts/web", good, "dns tcp tls auth tags", "2 tags, the newest version is 1.1.0"},
		{host + "/charts/web", good, "dns tcp tls auth tags", "2 tags"},
		{"oci://" + host + "/charts", good, "dns tcp tls auth tags", "charts below it"},
		{"oci://" + host, good, "dns tcp tls auth", "accepted robot"},
		{"oci://" + host + "/charts/web", &wrong, "dns tcp tls auth", "repository_auth_failed"},
		{"oci://127.0.0.1:1/charts/web", good, "dns tcp", "repository_unavailable"},
	} {
		steps, err := probe(t, s, c.url, c.cred)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		var names []string
		for _, st := range steps {
			names = append(names, st.Name)
		}
		last := steps[len(steps)-1]
		got := last.Detail
		if last.Err != nil {
			got = fault.As(last.Err).Code
		}
		if strings.Join(names, " ") != c.steps || !strings.Contains(got, c.last) {
			t.Errorf("%s: %v, %q", c.url, names, got)
		}
	}
	if left, err := filepath.Glob(filepath.Join(s.opts.Dir, "*")); err != nil || len(left) != 0 {
		t.Errorf("a probe left %v (%v)", left, err)
	}
}
