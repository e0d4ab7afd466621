package source

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// probe collects what Probe tells.
func probe(t *testing.T, s *Sources, url string, cred *fleet.Credential) ([]Step, error) {
	t.Helper()
	var steps []Step
	err := s.Probe(t.Context(), url, cred, func(st Step) { steps = append(steps, st) })
	return steps, err
}

// told is what Probe found, as "name: detail" or "name! code".
func told(t *testing.T, s *Sources, url string, cred *fleet.Credential) []string {
	t.Helper()
	steps, err := probe(t, s, url, cred)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, st := range steps {
		if st.Err != nil {
			if i != len(steps)-1 {
				t.Errorf("%s failed and others came after it", st.Name)
			}
			out = append(out, st.Name+"! "+fault.As(st.Err).Code)
			continue
		}
		if st.Took <= 0 {
			t.Errorf("%s took %s", st.Name, st.Took)
		}
		out = append(out, st.Name+": "+st.Detail)
	}
	return out
}

func expectTold(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	for i := range got {
		if !strings.HasPrefix(got[i], strings.TrimSuffix(want[i], "…")) || !strings.HasSuffix(want[i], "…") && got[i] != want[i] {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestProbeOverHTTPS(t *testing.T) {
	git := gitServer(t, testbed.GitOptions{User: "robot", Password: "CANARY"})
	repo, _ := createRepo(t, git, "app", map[string]string{"a": "1"})
	if err := repo.SetTag(t.Context(), "v1", "main"); err != nil {
		t.Fatal(err)
	}
	url, pair := startTLS(t, git, "")
	address := strings.TrimPrefix(url, "https://")
	s := newSources(t, Options{})
	good := fleet.Credential{Username: "robot", Password: "CANARY", CABundle: pair.authority}
	tcp := "tcp: " + address
	tls := `tls: TLS 1.3, certificate "git.test" by "git.test authority", expires 20…`
	expectTold(t, told(t, s, url+"/app.git", &good), "dns: 127.0.0.1", tcp, tls, "auth: accepted robot", "ls-remote: 1 branch, 1 tag, HEAD is main")
	wrong := good
	wrong.Password = "other"
	expectTold(t, told(t, s, url+"/app.git", &wrong), "dns: 127.0.0.1", tcp, tls, "auth! git_auth_failed")
	expectTold(t, told(t, s, url+"/missing.git", &good), "dns: 127.0.0.1", tcp, tls, "auth: …", "ls-remote! repository_not_found")
	expectTold(t, told(t, s, url+"/app.git", nil), "dns: 127.0.0.1", tcp, "tls! git_tls_untrusted")
	expectTold(t, told(t, s, url+"/app.git", &fleet.Credential{InsecureSkipVerify: true}), "dns: 127.0.0.1", tcp, strings.Replace(tls, "…", "…", 1), "auth! git_auth_failed")
	steps, err := probe(t, s, url+"/app.git", nil)
	if err != nil || !strings.Contains(steps[2].Detail, "git.test authority") {
		t.Errorf("the certificate that is not trusted is not shown: %+v %v", steps, err)
	}

	git.Down()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	expectTold(t, told(t, s, "https://"+dead+"/x", nil), "dns: 127.0.0.1", "tcp! git_unavailable")
	expectTold(t, told(t, s, "https://no-such-host.invalid/x", nil), "dns! git_unavailable")
	expectTold(t, told(t, s, "https://169.254.169.254/x", nil), "dns! address_blocked")
	expectTold(t, told(t, s, "http://127.0.0.1:1/x", &good), "url! repo_insecure")
	if _, err := probe(t, s, "ext::sh", nil); !fault.HasCode(err, "repo_scheme_forbidden") {
		t.Errorf("got %v", err)
	}
	for _, step := range told(t, s, url+"/app.git", &good) {
		if strings.Contains(step, "CANARY") {
			t.Errorf("a secret is in %q", step)
		}
	}
}

func TestProbeOverPlainHTTP(t *testing.T) {
	git := gitServer(t, testbed.GitOptions{})
	createRepo(t, git, "app", map[string]string{"a": "1"})
	got := told(t, newSources(t, Options{}), git.URL("app"), nil)
	expectTold(t, got, "dns: 127.0.0.1", "tcp: 127.0.0.1:…", "auth: no credential was needed", "ls-remote: 1 branch, 0 tags, HEAD is main")
	if c := git.Counts("app"); c.Refs != 1 || c.Fetch != 0 {
		t.Errorf("a probe cost %+v", c)
	}
}

func TestProbeOfAWebPage(t *testing.T) {
	url, pair := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }), "")
	got := told(t, newSources(t, Options{}), url+"/app", &fleet.Credential{CABundle: pair.authority})
	expectTold(t, got, "dns: …", "tcp: …", "tls: …", "auth: …", "ls-remote! git_not_git")
}

func TestProbeOverSSH(t *testing.T) {
	server, good := sshServer(t)
	url := server.URL("plain")
	key := "ED25519 " + ssh.FingerprintSHA256(server.HostKey())
	s := newSources(t, Options{})
	expectTold(t, told(t, s, url, &good), "dns: 127.0.0.1", "tcp: 127.0.0.1:…", "ssh: "+key, "auth: user git", "ls-remote: 1 branch, 0 tags, HEAD is main")
	unknown, wrong, none, any := good, good, good, good
	unknown.KnownHosts, any.KnownHosts = "", ""
	any.InsecureIgnoreHostKey = true
	none.SSHKey = ""
	_, other := sshServer(t)
	wrong.SSHKey = other.SSHKey
	expectTold(t, told(t, s, url, &unknown), "dns: 127.0.0.1", "tcp: …", "ssh! ssh_host_key_unknown")
	expectTold(t, told(t, s, url, &wrong), "dns: 127.0.0.1", "tcp: …", "ssh: "+key, "auth! git_auth_failed")
	expectTold(t, told(t, s, url, &none), "dns: 127.0.0.1", "tcp: …", "ssh: "+key, "auth! git_auth_failed")
	expectTold(t, told(t, s, url, &any), "dns: 127.0.0.1", "tcp: …", "ssh: "+key+", not verified", "auth: user git", "ls-remote: …")
	expectTold(t, told(t, s, server.URL("missing"), &good), "dns: 127.0.0.1", "tcp: …", "ssh: "+key, "auth: user git", "ls-remote! repository_not_found")
	if got := server.Served(); got != 2 {
		t.Errorf("%d commands ran", got)
	}
}

func TestProbeWithAGitHubApp(t *testing.T) {
	g, url, pair := newFakeGitHub(t)
	createRepo(t, g.git, "shop/web", map[string]string{"a": "1"})
	cred := fleet.Credential{GitHubAppID: 7, GitHubAppPrivateKey: g.pem(), CABundle: pair.authority}
	s := newSources(t, Options{})
	expectTold(t, told(t, s, url+"/shop/web.git", &cred), "dns: …", "tcp: …", "tls: …", "auth: a token of the GitHub App until 20…", "auth: accepted x-access-token", "ls-remote: …")
	expectTold(t, told(t, s, url+"/stranger/web.git", &cred), "dns: …", "tcp: …", "tls: …", "auth! git_auth_failed")
}

func TestStepsAreToldWhenTheyAreDone(t *testing.T) {
	told := make(chan struct{}) // closed when the step before the server's answer was told
	late := false
	answer := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-told:
		case <-r.Context().Done():
			late = true
		}
		http.Error(w, "no", http.StatusUnauthorized)
	}
	for _, c := range []struct {
		kind, url, last string
	}{{"", "https://%s/app", "tls"}, {fleet.Helm, "https://%s/charts", "tls"}, {fleet.OCI, "oci://%s/web", "tls"}} {
		told, late = make(chan struct{}), false
		url, pair := startTLS(t, http.HandlerFunc(answer), "")
		s := newSources(t, Options{})
		var names []string
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := s.Probe(ctx, fmt.Sprintf(c.url, strings.TrimPrefix(url, "https://")), &fleet.Credential{Type: c.kind, CABundle: pair.authority}, func(st Step) {
			if names = append(names, st.Name); st.Name == c.last {
				close(told)
			}
		})
		cancel()
		if got := strings.Join(names, " "); err != nil || late || got != "dns tcp tls auth" {
			t.Errorf("%q: %s, %v (late %v)", c.kind, got, err, late)
		}
	}
}
