package source

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestCredentials(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{User: "robot", Password: "CANARY-s3cret", TLS: true})
	repo, head := createRepo(t, server, "private", map[string]string{"a": "1"})
	tests := []struct {
		name       string
		cred       *fleet.Credential
		code, text string
	}{
		{"right", &fleet.Credential{Username: "robot", Password: "CANARY-s3cret", CABundle: string(server.CAData())}, "", ""},
		{"none", &fleet.Credential{CABundle: string(server.CAData())}, "git_auth_failed", "asks for a credential (401)"},
		{"wrong password", &fleet.Credential{Username: "robot", Password: "CANARY-wrong", CABundle: string(server.CAData())}, "git_auth_failed", `refused the credential "robot" (401)`},
		{"authority unknown", &fleet.Credential{Username: "robot", Password: "CANARY-s3cret"}, "git_tls_untrusted", "is signed by unknown"},
		{"CA bundle is rubbish", &fleet.Credential{CABundle: "CANARY"}, "ca_bundle_invalid", "CA bundle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return tt.cred, nil }})
			out, err := resolve(t.Context(), s, repo.URL(), "main")
			checkErr := s.Check(t.Context(), repo.URL(), tt.cred)
			if tt.code == "" {
				if err != nil || out["main"].Commit != head || checkErr != nil {
					t.Fatalf("%v %v %v", out, err, checkErr)
				}
				return
			}
			for _, err := range []error{err, checkErr} {
				if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v", err)
				}
				if strings.Contains(fmt.Sprintf("%+v %v", fault.As(err), err), "CANARY") {
					t.Errorf("a secret is in %v", err)
				}
			}
		})
	}
	broken := newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return nil, errors.New("vault") }})
	if _, err := resolve(t.Context(), broken, repo.URL(), "main"); err == nil || err.Error() != "vault" {
		t.Errorf("got %v", err)
	}
	plain := gitServer(t, testbed.GitOptions{User: "robot", Password: "CANARY-s3cret"})
	plainRepo, plainHead := createRepo(t, plain, "p", map[string]string{"a": "1"})
	cred := func(context.Context, string) (*fleet.Credential, error) {
		return &fleet.Credential{Username: "robot", Password: "CANARY-s3cret"}, nil
	}
	if _, err := resolve(t.Context(), newSources(t, Options{Credentials: cred}), plainRepo.URL(), "main"); !fault.HasCode(err, "repo_insecure") {
		t.Errorf("credentials over http: %v", err)
	}
	if got := mustResolve(t, newSources(t, Options{Credentials: cred, AllowHTTPCredentials: true}), plainRepo.URL(), "main"); got != plainHead {
		t.Errorf("got %s", got)
	}
}

func TestRedirectToAnotherHostDropsCredentials(t *testing.T) {
	target := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, target, "app", map[string]string{"a": "1"})
	front := gitServer(t, testbed.GitOptions{User: "robot", Password: "secret"})
	front.SetFault(testbed.FaultRedirect(strings.TrimSuffix(target.URL(""), ".git")))
	cred := func(context.Context, string) (*fleet.Credential, error) {
		return &fleet.Credential{Username: "robot", Password: "secret"}, nil
	}
	s := newSources(t, Options{Credentials: cred, AllowHTTPCredentials: true})
	_ = repo
	if got := mustResolve(t, s, front.URL("app"), "main"); got != head {
		t.Errorf("got %s", got)
	}
	for _, r := range target.Requests() {
		if r.User != "" {
			t.Errorf("the credential of user %q went to another host", r.User)
		}
	}
	strict := newSources(t, Options{Credentials: cred, AllowHTTPCredentials: true, AllowedHosts: []string{"localhost"}})
	if _, err := resolve(t.Context(), strict, front.URL("app"), "main"); !fault.HasCode(err, "address_blocked") {
		t.Errorf("got %v", err)
	}
}

func TestSSH(t *testing.T) {
	repos, err := testbed.NewRepos(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(repos.Close)
	own, err := repos.Create(t.Context(), "plain")
	if err != nil {
		t.Fatal(err)
	}
	first := commit(t, own, map[string]string{"a": "1"})
	server, err := testbed.StartSSHGitServer(t.Context(), testbed.SSHGitOptions{Repos: repos})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	other, err := testbed.StartSSHGitServer(t.Context(), testbed.SSHGitOptions{Repos: repos})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	url := server.URL("plain")
	good := fleet.Credential{SSHKey: string(server.ClientKey()), KnownHosts: server.KnownHosts()}
	with := func(c fleet.Credential) *Sources {
		return newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return &c, nil }})
	}
	s := with(good)
	if got := mustResolve(t, s, url, "main"); got != first {
		t.Fatalf("got %s", got)
	}
	second := commit(t, own, map[string]string{"b": "2"})
	if got := mustResolve(t, s, url, "main"); got != second {
		t.Fatalf("got %s", got)
	}
	if got := mustResolve(t, s, url, first[:8]); got != first {
		t.Fatalf("got %s", got)
	}
	if got := fileText(t, snapshot(t, s, url, second), "b"); got != "2" {
		t.Errorf("got %q", got)
	}
	if _, err := resolve(t.Context(), s, strings.Replace(url, "plain", "missing", 1), "main"); !fault.HasCode(err, "repository_not_found") {
		t.Errorf("missing repository: %v", err)
	}

	unknown := good
	unknown.KnownHosts = ""
	changed := good
	changed.KnownHosts = strings.Replace(other.KnownHosts(), hostPort(other.URL("plain")), hostPort(url), 1)
	wrongKey := good
	wrongKey.SSHKey = string(other.ClientKey())
	noKey := fleet.Credential{KnownHosts: good.KnownHosts}
	rubbish := good
	rubbish.SSHKey = "CANARY"
	for name, tt := range map[string]struct {
		cred fleet.Credential
		code string
		text string
	}{
		"unknown host": {unknown, "ssh_host_key_unknown", "SHA256:"},
		"changed key":  {changed, "ssh_host_key_changed", "possible interception"},
		"other key":    {wrongKey, "git_auth_failed", "refused the SSH key"},
		"no key":       {noKey, "git_auth_failed", "needs a private key"},
		"rubbish key":  {rubbish, "ssh_key_invalid", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := resolve(t.Context(), with(tt.cred), url, "main")
			if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("got %v", err)
			}
		})
	}
	server.Down()
	if _, err := resolve(t.Context(), s, url, "main"); !fault.HasCode(err, "git_unavailable") {
		t.Errorf("down: %v", err)
	}
}

func hostPort(url string) string {
	rest := strings.TrimPrefix(url, "ssh://")
	_, rest, _ = strings.Cut(rest, "@")
	host, _, _ := strings.Cut(rest, "/")
	name, port, _ := strings.Cut(host, ":")
	return "[" + name + "]:" + port
}

func TestFileURLs(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	url := "file://" + repo.Dir()
	if got := mustResolve(t, newSources(t, Options{AllowFile: true}), url, "main"); got != head {
		t.Errorf("got %s", got)
	}
	if _, err := resolve(t.Context(), newSources(t, Options{}), url, "main"); !fault.HasCode(err, "repo_scheme_forbidden") {
		t.Errorf("got %v", err)
	}
	if _, err := resolve(t.Context(), newSources(t, Options{AllowFile: true}), url+"x", "main"); !fault.HasCode(err, "repository_not_found") {
		t.Errorf("got %v", err)
	}
}

func TestBlockedAddresses(t *testing.T) {
	s := newSources(t, Options{})
	for _, url := range []string{"http://169.254.169.254/latest", "ssh://git@169.254.1.1/x", "http://[fe80::1]/x", "http://[::ffff:169.254.169.254]/x", "http://0.0.0.0:1/x"} {
		cred := &fleet.Credential{}
		if strings.HasPrefix(url, "ssh") {
			cred.Password = "x"
		}
		if err := s.Check(t.Context(), url, cred); !fault.HasCode(err, "address_blocked") {
			t.Errorf("%s: %v", url, err)
		}
	}
	closed := newSources(t, Options{AllowedHosts: []string{"*.example.com"}})
	if err := closed.Check(t.Context(), "https://example.org/x", nil); !fault.HasCode(err, "address_blocked") {
		t.Errorf("got %v", err)
	}
}

// sshServer is a server with a repository "plain" of one commit, and the
// credential that opens it.
func sshServer(t *testing.T) (*testbed.SSHGitServer, fleet.Credential) {
	t.Helper()
	repos, err := testbed.NewRepos(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(repos.Close)
	repo, err := repos.Create(t.Context(), "plain")
	if err != nil {
		t.Fatal(err)
	}
	commit(t, repo, map[string]string{"a": "1"})
	server, err := testbed.StartSSHGitServer(t.Context(), testbed.SSHGitOptions{Repos: repos})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server, fleet.Credential{SSHKey: string(server.ClientKey()), KnownHosts: server.KnownHosts()}
}

func TestSSHHostKeys(t *testing.T) {
	server, good := sshServer(t)
	other, _ := sshServer(t)
	url, at := server.URL("plain"), hostPort(server.URL("plain"))
	line := strings.TrimSpace(server.KnownHosts())
	otherLine := strings.Replace(strings.TrimSpace(other.KnownHosts()), hostPort(other.URL("plain")), at, 1)
	offered, known := ssh.FingerprintSHA256(server.HostKey()), ssh.FingerprintSHA256(other.HostKey())
	hashed := knownhosts.HashHostname(at) + strings.TrimPrefix(line, at)
	for name, tt := range map[string]struct {
		hosts  string
		ignore bool
		code   string
		texts  []string
	}{
		"known":            {line, false, "", nil},
		"hashed name":      {hashed, false, "", nil},
		"one of two":       {otherLine + "\n" + line, false, "", nil},
		"unknown":          {"", false, "ssh_host_key_unknown", []string{"127.0.0.1", "ED25519 " + offered, "nothing was fetched"}},
		"other host only":  {other.KnownHosts(), false, "ssh_host_key_unknown", []string{offered}},
		"changed":          {otherLine, false, "ssh_host_key_changed", []string{"ED25519 " + offered, "ED25519 " + known, "nothing was fetched"}},
		"revoked":          {line + "\n@revoked * " + strings.TrimSpace(strings.TrimPrefix(line, at)), false, "ssh_host_key_revoked", []string{offered}},
		"authority only":   {"@cert-authority " + otherLine, false, "ssh_host_key_changed", []string{offered}},
		"rubbish":          {"CANARY CANARY CANARY", false, "known_hosts_invalid", nil},
		"unknown, ignored": {"", true, "", nil},
		"changed, ignored": {otherLine, true, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			cred := good
			cred.KnownHosts, cred.InsecureIgnoreHostKey = tt.hosts, tt.ignore
			served := server.Served()
			_, err := resolve(t.Context(), newSources(t, always(cred)), url, "main")
			if tt.code == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			e := fault.As(err)
			if e == nil || e.Code != tt.code || strings.Contains(e.Error(), "CANARY") {
				t.Fatalf("got %v", err)
			}
			for _, text := range tt.texts {
				if !strings.Contains(e.Message, text) {
					t.Errorf("message %q lacks %q", e.Message, text)
				}
			}
			if len(e.Message) > 300 {
				t.Errorf("the message has %d characters", len(e.Message))
			}
			if server.Served() != served {
				t.Error("something was fetched")
			}
		})
	}
}

// bareSSH lets everybody in, has one host key, and no command.
func bareSSH(t *testing.T, host ssh.Signer) (address string) {
	t.Helper()
	conf := &ssh.ServerConfig{NoClientAuth: true}
	conf.AddHostKey(host)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_, channels, requests, err := ssh.NewServerConn(conn, conf)
				if err != nil {
					return
				}
				go ssh.DiscardRequests(requests)
				for c := range channels {
					_ = c.Reject(ssh.Prohibited, "no")
				}
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); running.Wait() })
	return ln.Addr().String()
}

func signer(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSSHHostCertificates(t *testing.T) {
	authority, host := signer(t), signer(t)
	cert := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	certified, err := ssh.NewCertSigner(cert, host)
	if err != nil {
		t.Fatal(err)
	}
	address := bareSSH(t, certified)
	_, port, _ := strings.Cut(address, ":")
	s := newSources(t, Options{})
	probeWith := func(trusted ssh.PublicKey) Step {
		line := fmt.Sprintf("@cert-authority [127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(trusted))
		steps, err := probe(t, s, "ssh://git@"+address+"/x", &fleet.Credential{Password: "x", KnownHosts: line})
		if err != nil || len(steps) < 3 {
			t.Fatalf("%+v %v", steps, err)
		}
		return steps[2]
	}
	if got := probeWith(authority.PublicKey()); got.Err != nil || !strings.HasPrefix(got.Detail, "ED25519 certificate SHA256:") {
		t.Errorf("got %+v", got)
	}
	if got := probeWith(signer(t).PublicKey()); got.Err == nil {
		t.Error("a certificate of another authority is taken")
	}
}
