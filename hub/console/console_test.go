package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

const pageMedia = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

var script = strings.Repeat("export const x = 1;\n", 200)

func built(t *testing.T) *Console {
	t.Helper()
	c, err := newConsole(fstest.MapFS{
		"not-built.html":              {Data: []byte("not built")},
		"app/index.html":              {Data: []byte(`<meta name="nonce" content="__CSP_NONCE__"><style nonce="__CSP_NONCE__"></style><script type="module" src="/assets/index-a1b2.js"></script>`)},
		"app/assets/index-a1b2.js":    {Data: []byte(script)},
		"app/assets/inter-c3d4.woff2": {Data: bytes.Repeat([]byte{0xab}, 4096)},
		"app/assets/strange-e5f6.exe": {Data: []byte("MZ")},
		"app/favicon.svg":             {Data: []byte("<svg/>")},
	})
	if err != nil || !c.Built() {
		t.Fatal(c, err)
	}
	return c
}

// ask is the answer of the console, nil when the path is none of its own.
func ask(c *Console, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, "https://hub.example/", nil)
	r.URL.Path = path
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Add(k, v)
	}
	if !c.Serves(r) {
		return nil
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhichRequestsAreOfTheConsole(t *testing.T) {
	c := built(t)
	for _, x := range []struct {
		method, path, accept string
		want                 bool
	}{
		{"GET", "/", pageMedia, true},
		{"GET", "/", "", true},
		{"HEAD", "/", "", true},
		{"GET", "/applications/web", pageMedia, true},
		{"GET", "/applications/web.v2", pageMedia, true}, // names have dots
		{"GET", "/clusters/eu/../us", pageMedia, true},   // a page, of that odd name
		{"GET", "/apiary", pageMedia, true},
		{"GET", "/login", "TEXT/HTML", true},
		{"GET", "/applications/web", "*/*", false},
		{"GET", "/applications/web", "application/json", false},
		{"GET", "/applications/web", "text/htmlx", false},
		{"GET", "/applications/web", "", false},
		{"POST", "/", pageMedia, false},
		{"PUT", "/applications/web", pageMedia, false},
		{"OPTIONS", "/", pageMedia, false},
		{"GET", "/api", pageMedia, false},
		{"GET", "/api/v1/nothing", pageMedia, false},
		{"GET", "/api/v9/nothing", pageMedia, false},
		{"GET", "/livez", pageMedia, false},
		{"GET", "/readyz/x", pageMedia, false},
		{"GET", "/metrics", pageMedia, false},
		{"GET", "/k8s/clusters/eu", pageMedia, false},
		{"GET", "/auth/callback/corp", pageMedia, false},
		{"GET", "/first-login.js", pageMedia, false},
		{"GET", "/openapi.json", pageMedia, false},
		{"GET", "/assets/index-a1b2.js", "*/*", true},
		{"GET", "/favicon.svg", "image/*", true},
		{"GET", "/assets/index-old.js", pageMedia, false}, // of the build before: not a page in the place of a script
		{"GET", "/assets/", pageMedia, false},
		{"GET", "/assets", pageMedia, false},
		{"POST", "/assets/index-a1b2.js", "*/*", false},
	} {
		r := httptest.NewRequest(x.method, "https://hub.example/", nil)
		r.URL.Path = x.path
		if x.accept != "" {
			r.Header.Set("Accept", x.accept)
		}
		if got := c.Serves(r); got != x.want {
			t.Errorf("%s %s (%s): %v", x.method, x.path, x.accept, got)
		}
	}
}

// Whatever the path says, what is sent is a file of the build or the page.
func TestNoPathLeavesTheBuild(t *testing.T) {
	c := built(t)
	for _, path := range []string{
		"/../console.go", "/assets/../../console.go", "/assets/../../not-built.html", "/..%2fconsole.go", "/assets/..", "/./assets/index-a1b2.js",
		"//assets/index-a1b2.js", "/assets//index-a1b2.js", "/assets/index-a1b2.js/", "/assets/index-a1b2.js\x00.html", "/etc/passwd", `/assets\index-a1b2.js`, "/index.html", "index.html", "",
	} {
		if a := ask(c, "GET", path, "Accept: "+pageMedia); a != nil {
			if body := read(t, a); !strings.Contains(body, "/assets/index-a1b2.js") || a.Header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%q: %s %.60s", path, a.Header.Get("Content-Type"), body)
			}
		}
		if a := ask(c, "GET", path); a != nil && path != "/" {
			t.Errorf("%q is answered to a program: %d", path, a.StatusCode)
		}
	}
}

var nonceOf = regexp.MustCompile(`nonce-([A-Za-z0-9+/=]{20,})'`)

func TestEachPageHasANonceOfItsOwn(t *testing.T) {
	c := built(t)
	seen := map[string]bool{}
	for range 3 {
		a := ask(c, "GET", "/clusters", "Accept: "+pageMedia)
		csp, body := a.Header.Get("Content-Security-Policy"), read(t, a)
		m := nonceOf.FindStringSubmatch(csp)
		if m == nil || seen[m[1]] {
			t.Fatalf("Content-Security-Policy %q", csp)
		}
		seen[m[1]] = true
		if strings.Count(body, m[1]) != 2 || strings.Contains(body, noncePlace) {
			t.Errorf("the page: %s", body)
		}
		want := "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" + m[1] + "'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types hawser-worker"
		if csp != want {
			t.Errorf("Content-Security-Policy\n%s\nwant\n%s", csp, want)
		}
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("ETag") != "" {
			t.Errorf("a page with a nonce is kept: %v", a.Header)
		}
	}
}

func TestFilesAreKeptByBrowsers(t *testing.T) {
	c := built(t)
	for _, x := range []struct{ path, media, cache string }{
		{"/assets/index-a1b2.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/inter-c3d4.woff2", "font/woff2", "public, max-age=31536000, immutable"},
		{"/assets/strange-e5f6.exe", "application/octet-stream", "public, max-age=31536000, immutable"},
		{"/favicon.svg", "image/svg+xml", "no-cache"},
	} {
		a := ask(c, "GET", x.path)
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != x.media || a.Header.Get("Cache-Control") != x.cache {
			t.Errorf("%s: %d %v", x.path, a.StatusCode, a.Header)
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "nonce") {
			t.Errorf("%s: Content-Security-Policy %q", x.path, csp)
		}
		for _, given := range []string{a.Header.Get("ETag"), `"other", W/` + a.Header.Get("ETag"), "*"} {
			again := ask(c, "GET", x.path, "If-None-Match: "+given)
			if again.StatusCode != 304 || read(t, again) != "" || again.Header.Get("ETag") != a.Header.Get("ETag") || again.Header.Get("Cache-Control") != x.cache {
				t.Errorf("%s with %s: %d %v", x.path, given, again.StatusCode, again.Header)
			}
		}
		if other := ask(c, "GET", x.path, `If-None-Match: "other"`); other.StatusCode != 200 {
			t.Errorf("%s: %d", x.path, other.StatusCode)
		}
	}
}

func TestWhatIsLargeIsSentCompressed(t *testing.T) {
	c := built(t)
	plain := ask(c, "GET", "/assets/index-a1b2.js", "Accept-Encoding: br, gzip;q=0")
	if plain.Header.Get("Content-Encoding") != "" || read(t, plain) != script || plain.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("to who takes no gzip: %v", plain.Header)
	}
	zipped := ask(c, "GET", "/assets/index-a1b2.js", "Accept-Encoding: gzip, deflate, br")
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != script || zipped.ContentLength >= int64(len(script)) {
		t.Errorf("%d bytes, %v", zipped.ContentLength, err)
	}
	if zipped.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Error("two forms of a file have one ETag")
	}
	if a := ask(c, "GET", "/assets/inter-c3d4.woff2", "Accept-Encoding: gzip"); a.Header.Get("Content-Encoding") != "" {
		t.Error("a font is compressed twice")
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	c := built(t)
	for _, path := range []string{"/", "/assets/index-a1b2.js", "/favicon.svg"} {
		get, head := ask(c, "GET", path, "Accept-Encoding: gzip"), ask(c, "HEAD", path, "Accept-Encoding: gzip")
		if body := read(t, get); head.StatusCode != 200 || read(t, head) != "" || head.ContentLength != int64(len(body)) {
			t.Errorf("%s: %d bytes of GET, %d said by HEAD", path, len(body), head.ContentLength)
		}
		for _, name := range []string{"Content-Type", "ETag", "Cache-Control", "Content-Encoding"} {
			if get.Header.Get(name) != head.Header.Get(name) {
				t.Errorf("%s: %s is %q and %q", path, name, get.Header.Get(name), head.Header.Get(name))
			}
		}
	}
}

// A program that was built without the sources' build says what to do.
func TestWithoutABuild(t *testing.T) {
	page, err := dist.ReadFile("dist/not-built.html")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConsole(fstest.MapFS{"not-built.html": {Data: page}})
	if err != nil || c.Built() {
		t.Fatal(c, err)
	}
	a := ask(c, "GET", "/applications", "Accept: "+pageMedia)
	body := read(t, a)
	if a.StatusCode != 200 || !strings.Contains(body, "make build") || strings.Contains(body, noncePlace) {
		t.Errorf("%d %s", a.StatusCode, body)
	}
	for _, bad := range []string{"<script", "style=", "http:", "https:"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	if ask(c, "GET", "/assets/index-a1b2.js", "Accept: "+pageMedia) != nil {
		t.Error("files are served that are not there")
	}
}

// The build that is embedded, when there is one, keeps to the policy: nothing inline
// without the nonce, and nothing of other hosts.
func TestTheBuildKeepsToThePolicy(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if !c.Built() {
		t.Skip("the console is not built: make build")
	}
	page := string(c.index)
	for _, tag := range regexp.MustCompile(`<(?:script|style|link|img)\b[^>]*>`).FindAllString(page, -1) {
		inline := strings.HasPrefix(tag, "<style") && !strings.Contains(tag, noncePlace) || strings.HasPrefix(tag, "<script") && !strings.Contains(tag, "src=\"/")
		if inline || strings.Contains(tag, "//") || regexp.MustCompile(`\son[a-z]+=`).MatchString(tag) {
			t.Errorf("the policy forbids %s", tag)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		if c.files[m[1]] == nil {
			t.Errorf("the page names %s, which is not there", m[1])
		}
	}
}

// Texts of strangers are drawn as text: the sources of the pages have no way to make
// anything else of one, and the policy of the pages would not run it.
func TestS08_TextsOfStrangersAreText(t *testing.T) {
	sink := regexp.MustCompile(`dangerouslySetInnerHTML|\.(inner|outer)HTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function\(|srcdoc|srcDoc|createContextualFragment|DOMParser|javascript:`)
	n := 0
	err := filepath.WalkDir("src", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".ts") && !strings.HasSuffix(path, ".tsx") || strings.Contains(path, ".test.") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		if m := sink.Find(text); m != nil {
			t.Errorf("%s has %s", path, m)
		}
		return nil
	})
	if err != nil || n < 10 {
		t.Fatalf("%d files: %v", n, err)
	}
	if text, err := os.ReadFile("src/ui/trusted.ts"); err != nil || !strings.Contains(string(text), `policyName = "hawser-worker"`) {
		t.Errorf("the sources make another policy of Trusted Types than the pages allow: %v", err)
	}
	for _, nonce := range []string{"", "abc"} {
		parts := map[string]string{}
		for _, part := range strings.Split(policy(nonce), "; ") {
			name, rest, _ := strings.Cut(part, " ")
			parts[name] = rest
		}
		for name, want := range map[string]string{"default-src": "'none'", "script-src": "'self'", "base-uri": "'none'", "form-action": "'self'", "frame-ancestors": "'none'", "object-src": "", "require-trusted-types-for": "'script'", "trusted-types": "hawser-worker"} {
			if parts[name] != want {
				t.Errorf("%s is %q", name, parts[name])
			}
		}
	}
}
