package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/source/archive"
	"github.com/hawser-dev/hawser/hub/source/sourcetest"
	"github.com/hawser-dev/hawser/shared/fault"
)

// chartRepo serves charts and returns Sources that trust it.
func chartRepo(t *testing.T, charts *sourcetest.Charts, cred fleet.Credential, opts Options) (string, *Sources) {
	t.Helper()
	url, pair := startTLS(t, charts, "")
	cred.CABundle += pair.authority
	opts.Credentials = func(context.Context, string) (*fleet.Credential, error) { return &cred, nil }
	return url, newSources(t, opts)
}

func redis() *sourcetest.Charts {
	charts := &sourcetest.Charts{}
	for _, v := range []string{"18.9.0", "20.1.0", "20.0.5", "21.0.0-rc.1"} {
		charts.Add("redis", v, "", "", sourcetest.Chart("redis", v, map[string]string{"values.yaml": "version: " + v, "templates/a.yaml": "a"}))
	}
	return charts
}

func resolveTarget(t *testing.T, s *Sources, target fleet.Target) (Resolved, error) {
	t.Helper()
	out, err := s.Resolve(t.Context(), target.RepoURL, []fleet.Target{target})
	if err != nil {
		return Resolved{}, err
	}
	return out[target], out[target].Err
}

func wantFault(t *testing.T, err error, kind fault.Kind, code, text string) {
	t.Helper()
	e := fault.As(err)
	if err == nil || e.Code != code || e.Kind != kind || !strings.Contains(e.Message, text) {
		t.Errorf("got %v (%+v), want %s %q", err, e, code, text)
	}
	if err != nil && (len(e.Message) > 300 || strings.Contains(fmt.Sprintf("%+v", e), "CANARY")) {
		t.Errorf("message of %d bytes: %+v", len(e.Message), e)
	}
}

func TestChartsAreSnapshots(t *testing.T) {
	url, s := chartRepo(t, redis(), fleet.Credential{}, Options{})
	target := fleet.Target{RepoURL: url, Chart: "redis", Revision: "^20"}
	r, err := resolveTarget(t, s, target)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Commit, "20.1.0@sha256:") || r.Ref != "20.1.0" || r.Revision.Commit != "20.1.0" || r.Revision.Message != "redis 20.1.0 (app 7)" || r.Revision.CommittedAt.Year() != 2026 {
		t.Errorf("%+v", r)
	}
	snap, err := s.At(t.Context(), target, r.Commit)
	if err != nil {
		t.Fatal(err)
	}
	if got := fileText(t, snap, "values.yaml"); got != "version: 20.1.0" {
		t.Errorf("values: %q", got)
	}
	files, err := listFiles(t.Context(), snap, "", true)
	if err != nil || len(files) != 3 || files[0].path != "Chart.yaml" || files[2].path != "values.yaml" {
		t.Errorf("%+v, %v", files, err)
	}
	if snap.Root() == "" || snap.Revision().Commit != "20.1.0" {
		t.Errorf("root %q, revision %+v", snap.Root(), snap.Revision())
	}
	for want, version := range map[string]string{"": "20.1.0", "*": "20.1.0", "v20.0.5": "20.0.5", "~18": "18.9.0", ">20.1.0-0": "21.0.0-rc.1"} {
		if r, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "redis", Revision: want}); err != nil || r.Revision.Commit != version {
			t.Errorf("%q: %+v, %v", want, r, err)
		}
	}
	_, err = resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "redis", Revision: "^99"})
	wantFault(t, err, fault.Unprocessable, "chart_not_found", `chart "redis" has no version matching "^99"; newest is 20.1.0`)
	_, err = resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "rediss"})
	wantFault(t, err, fault.Unprocessable, "chart_not_found", `has no chart "rediss"`)
}

func TestOneIndexRequestPerIntervalAndRepository(t *testing.T) {
	charts := redis()
	for i := range 5 {
		name := fmt.Sprintf("dep%d", i)
		charts.Add(name, "1.0.0", "", "", sourcetest.Chart(name, "1.0.0", nil))
	}
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{Freshness: time.Hour})
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			name, version := fmt.Sprintf("dep%d", i%5), "1.x"
			if i%6 == 0 {
				name, version = "redis", "^20"
			}
			snap, got, err := s.Chart(t.Context(), fleet.Target{RepoURL: url, Chart: name, Revision: version})
			if err != nil || snap == nil || got != map[string]string{"1.x": "1.0.0", "^20": "20.1.0"}[version] {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		})
	}
	wg.Wait()
	asked := charts.Asked()
	if index, archives := sourcetest.Count(asked, "index.yaml"), sourcetest.Count(asked, ".tgz"); index != 1 || archives != 6 {
		t.Errorf("%d requests for the index, %d for archives", index, archives)
	}
	// A poll asks, and gets "not modified"; nothing is fetched.
	if _, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "redis", Revision: "^20"}); err != nil {
		t.Fatal(err)
	}
	if asked = charts.Asked(); len(asked) != 1 || asked[0].Status != http.StatusNotModified {
		t.Errorf("%+v", asked)
	}
	// Another process of the hub, over the same directory, asks nothing either
	// about what is there.
	other := newSources(t, Options{Dir: s.opts.Dir, Freshness: time.Hour, Credentials: s.opts.Credentials})
	if _, _, err := other.Chart(t.Context(), fleet.Target{RepoURL: url, Chart: "redis", Revision: "^20"}); err != nil {
		t.Fatal(err)
	}
	if asked = charts.Asked(); len(asked) != 0 {
		t.Errorf("%+v", asked)
	}
}

func TestRepublishedVersionIsAnotherOne(t *testing.T) {
	charts := &sourcetest.Charts{}
	charts.Add("web", "1.0.0", "", "", sourcetest.Chart("web", "1.0.0", map[string]string{"a": "old"}))
	charts.Add("bare", "1.0.0", "", "-", sourcetest.Chart("bare", "1.0.0", map[string]string{"a": "old"}))
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{})
	for _, name := range []string{"web", "bare"} {
		target := fleet.Target{RepoURL: url, Chart: name, Revision: "1.0.0"}
		old, err := resolveTarget(t, s, target)
		if err != nil {
			t.Fatal(err)
		}
		charts.Asked()
		if again, err := resolveTarget(t, s, target); err != nil || again.Commit != old.Commit || sourcetest.Count(charts.Asked(), ".tgz") != 0 {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
		charts.Replace(name, "1.0.0", sourcetest.Chart(name, "1.0.0", map[string]string{"a": "new"}))
		now, err := resolveTarget(t, s, target)
		if err != nil || now.Commit == old.Commit {
			t.Fatalf("%s: %+v, %v", name, now, err)
		}
		for want, commit := range map[string]string{"old": old.Commit, "new": now.Commit} {
			snap, err := s.At(t.Context(), target, commit)
			if err != nil {
				t.Fatal(err)
			}
			if got := fileText(t, snap, "a"); got != want {
				t.Errorf("%s at %s: %q", name, commit, got)
			}
		}
		// A hub that lost its directory cannot have the old one back, and says so.
		fresh := newSources(t, Options{Credentials: s.opts.Credentials})
		_, err = fresh.At(t.Context(), target, old.Commit)
		wantFault(t, err, fault.Unprocessable, "chart_changed", "published again")
		if snap, err := fresh.At(t.Context(), target, now.Commit); err != nil || fileText(t, snap, "a") != "new" {
			t.Errorf("%v", err)
		}
	}
}

func TestLostObjectsAreFetchedAgain(t *testing.T) {
	charts := redis()
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{})
	target := fleet.Target{RepoURL: url, Chart: "redis", Revision: "20.1.0"}
	r, err := resolveTarget(t, s, target)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := s.At(t.Context(), target, r.Commit)
	if err != nil {
		t.Fatal(err)
	}
	stores, err := filepath.Glob(filepath.Join(s.opts.Dir, "*", "objects", "??"))
	if err != nil || len(stores) == 0 {
		t.Fatal(stores, err)
	}
	for _, dir := range stores {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if got := fileText(t, snap, "values.yaml"); got != "version: 20.1.0" {
		t.Errorf("%q", got)
	}
}

func TestFailureOfARepositoryIsAnError(t *testing.T) {
	charts := redis()
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{Freshness: time.Nanosecond})
	target := fleet.Target{RepoURL: url, Chart: "redis", Revision: "^20"}
	good, err := resolveTarget(t, s, target)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	for name, c := range map[string]struct {
		handle     func(http.ResponseWriter, *http.Request) bool
		code, text string
	}{
		"500":          {answer(500, "text/plain", "oops"), "repository_unavailable", "500"},
		"429":          {answer(429, "text/plain", ""), "repository_unavailable", "429"},
		"403":          {answer(403, "text/plain", ""), "repository_auth_failed", "none is registered"},
		"404":          {answer(404, "text/plain", ""), "repository_not_found", "has no index.yaml"},
		"web page":     {answer(200, "text/html; charset=utf-8", "<html>"), "index_invalid", "web page"},
		"page as yaml": {answer(200, "application/yaml", "\n <!DOCTYPE html>"), "index_invalid", "web page"},
		"empty":        {answer(200, "application/yaml", " \n"), "index_invalid", "empty"},
		"other YAML":   {answer(200, "application/yaml", "kind: ConfigMap\n"), "index_invalid", "cannot be read"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, "apiVersion: v1\nentries: {}\n")
			return true
		}, "repository_unavailable", "in the middle"},
		"bad gzip": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "apiVersion: v1\nentries: {}\n")
			return true
		}, "index_invalid", "unpacked"},
	} {
		charts.Lock()
		charts.Handle = c.handle
		charts.Unlock()
		_, err := resolveTarget(t, s, target)
		t.Run(name, func(t *testing.T) { wantFault(t, err, fault.Upstream, c.code, c.text) })
	}
	// What was good is still there, and the index too.
	if snap, err := s.At(t.Context(), target, good.Commit); err != nil || fileText(t, snap, "values.yaml") != "version: 20.1.0" {
		t.Errorf("%v", err)
	}
	charts.Lock()
	charts.Handle = nil
	charts.Unlock()
	if again, err := resolveTarget(t, s, target); err != nil || again.Commit != good.Commit {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestAFailureStandsForAWhile(t *testing.T) {
	charts := &sourcetest.Charts{Handle: func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	}}
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{})
	for range 5 {
		_, _, err := s.Chart(t.Context(), fleet.Target{RepoURL: url, Chart: "redis", Revision: "1.0.0"})
		wantFault(t, err, fault.Upstream, "repository_unavailable", "502")
	}
	if n := len(charts.Asked()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestPackedIndex(t *testing.T) {
	charts := redis()
	var index bytes.Buffer
	charts.Handle = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/index.yaml") || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			return false
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(index.Bytes())
		return true
	}
	z := gzip.NewWriter(&index)
	sum := sha256.Sum256(sourcetest.Chart("redis", "20.1.0", map[string]string{"values.yaml": "version: 20.1.0", "templates/a.yaml": "a"}))
	fmt.Fprintf(z, "apiVersion: v1\nentries:\n  redis:\n  - version: 20.1.0\n    urls: [charts/redis-20.1.0.tgz]\n    digest: %s\n", hex.EncodeToString(sum[:]))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{})
	if _, version, err := s.Chart(t.Context(), fleet.Target{RepoURL: url + "/", Chart: "redis", Revision: ""}); err != nil || version != "20.1.0" {
		t.Errorf("%q, %v", version, err)
	}
}

func TestHostileChartsAreRefused(t *testing.T) {
	bomb := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "bomb-1.0.0.tgz") {
			return false
		}
		z := gzip.NewWriter(w)
		tw := tar.NewWriter(z)
		zeros := make([]byte, 1<<20)
		for i := range 200 { // 10 GB
			if tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("bomb/%d", i), Size: 50 << 20, Mode: 0o644}) != nil {
				return true
			}
			for range 50 {
				if _, err := tw.Write(zeros); err != nil {
					return true
				}
			}
		}
		_ = tw.Close()
		_ = z.Close()
		return true
	}
	page := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "page-1.0.0.tgz") {
			return false
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>log in</html>")
		return true
	}
	charts := &sourcetest.Charts{Handle: func(w http.ResponseWriter, r *http.Request) bool { return bomb(w, r) || page(w, r) }}
	link := func(name, target string) []byte {
		return sourcetest.Gzip(sourcetest.TarHeaders(tar.Header{Typeflag: tar.TypeReg, Name: "c/Chart.yaml", Mode: 0o644}, tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}))
	}
	for name, data := range map[string][]byte{
		"slip":     sourcetest.Gzip(sourcetest.Tar(map[string]string{"../../../tmp/canary-slip": "x"})),
		"absolute": sourcetest.Gzip(sourcetest.Tar(map[string]string{"/tmp/canary-slip": "x"})),
		"token":    link("c/token", "/var/run/secrets/kubernetes.io/serviceaccount/token"),
		"up":       link("c/up", "../../up"),
		"hard":     sourcetest.Gzip(sourcetest.TarHeaders(tar.Header{Typeflag: tar.TypeLink, Name: "c/Chart.yaml", Linkname: "/etc/passwd"})),
		"nochart":  sourcetest.Gzip(sourcetest.Tar(map[string]string{"c/values.yaml": "x"})),
		"bomb":     nil, "page": nil,
		"wide": sourcetest.Chart("wide", "1.0.0", map[string]string{"a": strings.Repeat("x", 3<<20)}),
	} {
		charts.Add(name, "1.0.0", "", "-", data)
	}
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{Archives: archive.Limits{File: 2 << 20, Total: 64 << 20}})
	for name, c := range map[string]struct{ code, text string }{
		"slip":     {"archive_invalid", "lead out"},
		"absolute": {"archive_invalid", "absolute"},
		"token":    {"symlink_out_of_bounds", "outside"},
		"up":       {"symlink_out_of_bounds", "outside"},
		"hard":     {"archive_invalid", "hard link"},
		"nochart":  {"archive_invalid", "no Chart.yaml"},
		"bomb":     {"too_large", "2 MiB"},
		"wide":     {"too_large", "2 MiB"},
		"page":     {"archive_invalid", "web page"},
	} {
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: name, Revision: "1.0.0"})
		t.Run(name, func(t *testing.T) { wantFault(t, err, fault.Unprocessable, c.code, c.text) })
	}
	unlimited := newSources(t, Options{Credentials: s.opts.Credentials})
	_, err := resolveTarget(t, unlimited, fleet.Target{RepoURL: url, Chart: "bomb", Revision: "1.0.0"})
	wantFault(t, err, fault.Unprocessable, "too_large", "200 times")
	if _, err := os.Stat("/tmp/canary-slip"); err == nil {
		t.Error("a file was written outside of the store")
	}
}

func TestDigestOfTheIndexIsVerified(t *testing.T) {
	charts := &sourcetest.Charts{}
	charts.Add("other", "1.0.0", "", strings.Repeat("ab", 32), sourcetest.Chart("other", "1.0.0", nil))
	charts.Add("broken", "1.0.0", "", strings.Repeat("cd", 32), sourcetest.Chart("broken", "1.0.0", nil)[:100])
	charts.Add("nodigest", "1.0.0", "", "-", sourcetest.Chart("nodigest", "1.0.0", nil))
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{})
	for _, name := range []string{"other", "broken"} {
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: name})
		wantFault(t, err, fault.Upstream, "digest_mismatch", "nothing was taken")
	}
	if _, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "nodigest"}); err != nil {
		t.Error(err)
	}
}

func TestTheCredentialStaysAtItsRepository(t *testing.T) {
	other := &sourcetest.Charts{}
	otherURL, otherPair := startTLS(t, other, "")
	charts := &sourcetest.Charts{User: "robot", Password: "CANARY-s3cret"}
	for name, at := range map[string]string{
		"own": "", "elsewhere": otherURL + "/charts/elsewhere-1.0.0.tgz", "redirected": "moved/a.tgz", "loop": "loop",
		"plain": "http://127.0.0.1:1/a.tgz", "file": "file:///etc/passwd", "downgraded": "down/a.tgz",
	} {
		archive := sourcetest.Chart(name, "1.0.0", nil)
		charts.Add(name, "1.0.0", at, "", archive)
		other.Add(name, "1.0.0", "", "", archive)
	}
	charts.Handle = func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/moved/a.tgz":
			http.Redirect(w, r, otherURL+"/charts/redirected-1.0.0.tgz", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/down/a.tgz":
			http.Redirect(w, r, "http://127.0.0.1:1/a.tgz", http.StatusFound)
		default:
			return false
		}
		return true
	}
	cred := fleet.Credential{Username: "robot", Password: "CANARY-s3cret", CABundle: otherPair.authority}
	url, s := chartRepo(t, charts, cred, Options{})
	for _, name := range []string{"own", "elsewhere", "redirected"} {
		if _, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	seen := other.Asked()
	if len(seen) != 2 || seen[0].Authorization != "" || seen[1].Authorization != "" {
		t.Errorf("another host saw %+v", seen)
	}
	for name, text := range map[string]string{"loop": "more than 5 times", "plain": "plain http", "downgraded": "plain http"} {
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: name})
		wantFault(t, err, fault.Upstream, "redirect_refused", text)
	}
	_, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "file"})
	wantFault(t, err, fault.Unprocessable, "chart_not_found", "without a URL")

	cred.PassCredentials = true
	url, s = chartRepo(t, charts, cred, Options{})
	for _, name := range []string{"elsewhere", "redirected"} {
		if _, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seen := other.Asked(); len(seen) != 2 || seen[0].Authorization == "" || seen[1].Authorization == "" {
		t.Errorf("with passCredentials another host saw %+v", seen)
	}
	// An application may ask for it alone, and others do not get it from that.
	cred.PassCredentials = false
	url, s = chartRepo(t, charts, cred, Options{})
	for _, name := range []string{"elsewhere", "redirected"} {
		if _, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: name, PassCredentials: name == "elsewhere"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seen := other.Asked(); len(seen) != 2 || seen[0].Authorization == "" || seen[1].Authorization != "" {
		t.Errorf("with passCredentials of one application another host saw %+v", seen)
	}
	for name, c := range map[string]struct {
		cred fleet.Credential
		text string
	}{
		"none":  {fleet.Credential{}, "none is registered"},
		"wrong": {fleet.Credential{Username: "robot", Password: "CANARY-wrong"}, `refused the credential "robot" (401)`},
	} {
		url, s := chartRepo(t, charts, c.cred, Options{})
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "own"})
		t.Run(name, func(t *testing.T) { wantFault(t, err, fault.Upstream, "repository_auth_failed", c.text) })
	}
	plain := newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return &cred, nil }})
	_, err = resolveTarget(t, plain, fleet.Target{RepoURL: "http://127.0.0.1:1", Chart: "a"})
	wantFault(t, err, fault.Invalid, "repo_insecure", "plain http")
}

func TestChartURLsAreChecked(t *testing.T) {
	// A server that must see nothing.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	contacted := make(chan struct{}, 100)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			contacted <- struct{}{}
			_ = c.Close()
		}
	}()
	blocked := Options{Blocked: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16")}}
	s := newSources(t, blocked)
	at := listener.Addr().String()
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, chart, code string }{
		{"https://" + at, "a", "address_blocked"},
		{"https://localhost:" + port, "a", "address_blocked"},
		{"https://[::ffff:127.0.0.1]:" + port, "a", "address_blocked"},
		{"oci://" + at + "/charts", "a", "address_blocked"},
		{at + "/charts", "a", "address_blocked"},
		{"oci://" + at + "/artifact", "", "address_blocked"},
		{"https://169.254.169.254/latest", "a", "address_blocked"},
		{"https://robot:CANARY@" + at, "a", "repo_url_has_credentials"},
		{"oci://robot:CANARY@" + at, "a", "repo_url_has_credentials"},
		{"ftp://" + at, "a", "repo_scheme_forbidden"},
		{"file:///etc", "a", "repo_scheme_forbidden"},
		{"ssh://git@" + at + "/x", "a", "repo_scheme_forbidden"},
		{"https://" + at + "/?a=b", "a", "repo_url_invalid"},
		{"oci://" + at + "/UPPER", "a", "repo_url_invalid"},
		{"oci://" + at, "", "repo_url_invalid"},
		{"oci://" + at + "/x", "a/../../b", "repo_url_invalid"},
	} {
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: c.url, Chart: c.chart})
		if !fault.HasCode(err, c.code) || strings.Contains(fmt.Sprintf("%+v", fault.As(err)), "CANARY") {
			t.Errorf("%s %s: %v", c.url, c.chart, err)
		}
	}
	for url, code := range map[string]string{
		"https://" + at + "/a.yaml": "address_blocked", "http://" + at + "/a.yaml": "repo_scheme_forbidden", "file:///etc/passwd": "repo_scheme_forbidden",
		"https://u:CANARY@" + at + "/a": "repo_url_has_credentials",
	} {
		if _, err := s.Download(t.Context(), url); !fault.HasCode(err, code) {
			t.Errorf("%s: %v", url, err)
		}
	}
	allowed := newSources(t, Options{AllowedHosts: []string{"charts.example.com"}})
	if _, err := resolveTarget(t, allowed, fleet.Target{RepoURL: "https://" + at, Chart: "a"}); !fault.HasCode(err, "address_blocked") {
		t.Errorf("%v", err)
	}
	if len(contacted) != 0 {
		t.Errorf("%d connections were made", len(contacted))
	}
}

func TestIndexThatPointsToABlockedAddress(t *testing.T) {
	charts := &sourcetest.Charts{}
	charts.Add("meta", "1.0.0", "https://169.254.169.254/latest/meta-data", "", sourcetest.Chart("meta", "1.0.0", nil))
	charts.Add("meta", "2.0.0", "oci://169.254.169.254/charts/meta:2.0.0", "", sourcetest.Chart("meta", "1.0.0", nil))
	charts.Add("meta", "3.0.0", "go", "", sourcetest.Chart("meta", "1.0.0", nil))
	charts.Handle = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/go" {
			http.Redirect(w, r, "https://169.254.169.254/", http.StatusFound)
			return true
		}
		return false
	}
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{})
	for _, version := range []string{"1.0.0", "2.0.0", "3.0.0"} {
		_, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "meta", Revision: version})
		wantFault(t, err, fault.Invalid, "address_blocked", "link-local")
	}
}

func TestSlowRepositoryIsGivenUp(t *testing.T) {
	charts := &sourcetest.Charts{Handle: func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/yaml")
		for {
			if _, err := io.WriteString(w, "#"); err != nil {
				return true
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return true
			case <-time.After(50 * time.Millisecond):
			}
		}
	}}
	url, s := chartRepo(t, charts, fleet.Credential{}, Options{Timeout: 2 * time.Second})
	_, err := resolveTarget(t, s, fleet.Target{RepoURL: url, Chart: "redis"})
	wantFault(t, err, fault.Upstream, "repository_unavailable", "did not finish within 2s")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, _, err := s.Chart(ctx, fleet.Target{RepoURL: url, Chart: "redis", Revision: ""}); err == nil {
		t.Error("no error at the deadline of the caller")
	}
}

func TestDownload(t *testing.T) {
	file := &sourcetest.Charts{}
	file.Handle = func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Path {
		case "/base.yaml":
			_, _ = io.WriteString(w, "kind: ConfigMap "+r.URL.RawQuery)
		case "/huge":
			_, _ = w.Write(make([]byte, maxDownload+1))
		default:
			http.NotFound(w, r)
		}
		return true
	}
	url, s := chartRepo(t, file, fleet.Credential{Username: "robot", Password: "CANARY-s3cret"}, Options{})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if got, err := s.Download(t.Context(), url+"/base.yaml?ref=v1"); err != nil || string(got) != "kind: ConfigMap ref=v1" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if asked := file.Asked(); len(asked) != 1 || asked[0].Authorization == "" {
		t.Errorf("%+v", asked)
	}
	_, err := s.Download(t.Context(), url+"/huge")
	wantFault(t, err, fault.Unprocessable, "too_large", "10 MiB")
	_, err = s.Download(t.Context(), url+"/none")
	wantFault(t, err, fault.Upstream, "repository_not_found", "404")
}

func TestProbeOfAChartRepository(t *testing.T) {
	charts := redis()
	charts.User, charts.Password = "robot", "CANARY-s3cret"
	url, pair := startTLS(t, charts, "")
	s := newSources(t, Options{})
	names := func(steps []Step) string {
		var out []string
		for _, s := range steps {
			out = append(out, s.Name)
		}
		return strings.Join(out, " ")
	}
	good := &fleet.Credential{Type: fleet.Helm, Username: "robot", Password: "CANARY-s3cret", CABundle: pair.authority}
	steps, err := probe(t, s, url, good)
	if err != nil || names(steps) != "dns tcp tls auth index" || steps[4].Err != nil || steps[4].Detail != "1 charts" || steps[3].Detail != "accepted robot" {
		t.Errorf("%+v, %v", steps, err)
	}
	wrong := *good
	wrong.Password = "CANARY-wrong"
	steps, err = probe(t, s, url, &wrong)
	if err != nil || names(steps) != "dns tcp tls auth" {
		t.Fatalf("%+v, %v", steps, err)
	}
	wantFault(t, steps[3].Err, fault.Upstream, "repository_auth_failed", "refused")
	untrusted := *good
	untrusted.CABundle = ""
	steps, err = probe(t, s, url, &untrusted)
	if err != nil || names(steps) != "dns tcp tls" {
		t.Fatalf("%+v, %v", steps, err)
	}
	wantFault(t, steps[2].Err, fault.Upstream, "repository_tls_untrusted", "signed by unknown")
	charts.Lock()
	charts.Index = []byte("<html>")
	charts.Unlock()
	steps, err = probe(t, s, url, good)
	if err != nil || names(steps) != "dns tcp tls auth index" && names(steps) != "dns tcp tls index" {
		t.Fatalf("%+v, %v", steps, err)
	}
	wantFault(t, steps[len(steps)-1].Err, fault.Upstream, "index_invalid", "web page")
}
