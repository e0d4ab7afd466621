package api

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// body is a request body of pairs of field and value.
func body(t *testing.T, pairs ...any) string {
	t.Helper()
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRepositories(t *testing.T) {
	w := newWorld(t)
	var got model.Repository
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/shop/web","username":"bot","password":"CANARY"}`).ok(201).into(&got)
	if got.ID != "repo-1" || got.Type != "git" || got.Holds.Username != "bot" || strings.Join(got.Holds.Kinds, " ") != "password" {
		t.Errorf("got %+v", got)
	}
	if w.tested == nil || w.tested.Password != "CANARY" || w.store.repos[0].Credential.Password != "CANARY" {
		t.Errorf("tried %v, stored %v", w.tested, w.store.repos[0].Credential)
	}
	if calls := w.calls.take(); calls != "poke https://github.com/shop/web; publish repository repo-1" {
		t.Errorf("told: %s", calls)
	}
	for _, path := range []string{"", "/repo-1"} {
		if body := w.call("GET", "/api/v1/repositories"+path, "").ok(200).body; strings.Contains(body, "CANARY") || !strings.Contains(body, `"password"`) {
			t.Errorf("got %s", body)
		}
	}
	w.tested = &fleet.Credential{}
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/open/web"}`).ok(201)
	if w.tested != nil || w.store.repos[1].Credential != nil {
		t.Error("a repository without a credential has one")
	}
	// Adding it again without a credential keeps the one that there is, and
	// tries it.
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/shop/web.git","name":"web"}`).ok(201).into(&got)
	if got.ID != "repo-1" || got.Name != "web" || w.tested == nil || w.tested.Password != "CANARY" || w.store.repos[0].Credential.Password != "CANARY" {
		t.Errorf("got %+v, tried %v", got, w.tested)
	}
	w.testErr = fault.New(fault.Upstream, "git_auth_failed", "the Git server refused the credential %q (401)", "bot")
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/shop/x","username":"bot","password":"CANARY"}`).problem(424, "git_auth_failed")
	if len(w.store.repos) != 2 {
		t.Error("a repository that failed its test was stored")
	}
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/shop/x","skipTest":true}`).ok(201)
	w.call("GET", "/api/v1/repositories/nix", "").problem(404, "repository_unknown")
	w.call("DELETE", "/api/v1/repositories/repo-1", "").ok(204)
	w.call("DELETE", "/api/v1/repositories/repo-1", "").problem(404, "repository_unknown")
	if strings.Contains(w.logged(), "CANARY") {
		t.Error("a password is in the log")
	}
}

func TestRepositoriesOfAllTypes(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ body, typ string }{
		{`{"url":"https://github.com/shop/web","enableSubmodules":true,"enableLFS":true}`, "git"},
		{`{"url":"https://charts.example.com","type":"helm","name":"charts","username":"u","password":"p","passCredentials":true}`, "helm"},
		{`{"url":"oci://registry.example.com/charts","username":"u","password":"p"}`, "oci"},
		{`{"url":"registry.example.com:5000/other","type":"oci","insecurePlainHTTP":true}`, "oci"},
	} {
		w.tested = nil
		var got model.Repository
		w.call("POST", "/api/v1/repositories", c.body).ok(201).into(&got)
		if got.Type != c.typ || w.tested == nil || w.tested.Type != c.typ {
			t.Errorf("%s: %+v, tried %v", c.body, got, w.tested)
		}
	}
	flagged := w.store.repos[3].Holds
	if strings.Join(flagged.Insecure, " ") != "insecurePlainHTTP" {
		t.Errorf("got %+v", flagged)
	}
	w.tested = nil
	w.call("POST", "/api/v1/repositories", `{"url":"https://charts.example.org","type":"helm"}`).ok(201)
	if w.tested == nil || w.tested.Type != "helm" {
		t.Errorf("tried %v", w.tested)
	}
}

func TestChangeARepository(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/shop/web","username":"bot","password":"CANARY","proxy":"http://p:3128"}`).ok(201)
	var got model.Repository
	w.call("PATCH", "/api/v1/repositories/repo-1", `{"enableLFS":true,"proxy":"","project":"shop"}`).ok(200).into(&got)
	c := w.store.repos[0].Credential
	if got.Project != "shop" || c.Password != "CANARY" || !c.EnableLFS || c.Proxy != "" || w.tested.Password != "CANARY" {
		t.Errorf("got %+v", got)
	}
	// The credential does not go to another host because somebody wrote its name.
	w.call("PATCH", "/api/v1/repositories/repo-1", `{"url":"https://evil.example/shop/web"}`).problem(400, "repo_url_immutable")
	w.call("PATCH", "/api/v1/repositories/repo-1", `{"url":"https://GITHUB.com/shop/web.git"}`).ok(200)
	w.call("PATCH", "/api/v1/repositories/repo-1", `{"password":"a\nb"}`).problem(400, "credential_invalid")
	w.call("PATCH", "/api/v1/repositories/repo-1", `{"passwort":"CANARY"}`).problem(400, "unknown_field")
	w.call("PATCH", "/api/v1/repositories/nix", `{}`).problem(404, "repository_unknown")
	got = model.Repository{}
	w.call("PATCH", "/api/v1/repositories/repo-1", `{"username":"","password":"","enableLFS":false}`).ok(200).into(&got)
	if len(got.Holds.Kinds) != 0 || w.tested != nil {
		t.Errorf("got %+v, tried %v", got, w.tested)
	}
	if strings.Contains(w.logged(), "CANARY") {
		t.Error("a password is in the log")
	}
}

func TestTemplates(t *testing.T) {
	w := newWorld(t)
	var got model.RepositoryTemplate
	w.call("POST", "/api/v1/repository-templates", `{"url":"https://git.example.com/team","username":"bot","password":"CANARY"}`).ok(201).into(&got)
	if got.ID != "template-1" || got.Holds.Username != "bot" {
		t.Errorf("got %+v", got)
	}
	if calls := w.calls.take(); calls != "poke-under https://git.example.com/team; publish repository-template template-1" {
		t.Errorf("told: %s", calls)
	}
	for _, path := range []string{"", "/template-1"} {
		if body := w.call("GET", "/api/v1/repository-templates"+path, "").ok(200).body; strings.Contains(body, "CANARY") || !strings.Contains(body, "bot") {
			t.Errorf("got %s", body)
		}
	}
	// A repository without a credential is tried with it.
	w.call("POST", "/api/v1/repositories", `{"url":"https://git.example.com/team/web","enableLFS":true}`).ok(201)
	if w.tested == nil || w.tested.Password != "CANARY" || !w.tested.EnableLFS || w.store.repos[0].Credential.Password != "" {
		t.Errorf("tried %v, stored %v", w.tested, w.store.repos[0].Credential)
	}
	w.call("POST", "/api/v1/repositories", `{"url":"https://git.example.com/team-evil/web"}`).ok(201)
	if w.tested != nil {
		t.Errorf("tried %v", w.tested)
	}
	w.call("PATCH", "/api/v1/repository-templates/template-1", `{"password":"CANARY2"}`).ok(200)
	if c := w.store.templates[0].Credential; c.Username != "bot" || c.Password != "CANARY2" {
		t.Error("the change is not stored")
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"PATCH", "/template-1", `{"url":"https://evil.example/team"}`, 400, "repo_url_immutable"},
		{"PATCH", "/template-1", `{"project":"shop"}`, 400, "repo_url_immutable"},
		{"PATCH", "/template-1", `{"username":"","password":""}`, 400, "credential_missing"},
		{"PATCH", "/nix", `{}`, 404, "repository_template_unknown"},
		{"POST", "", `{"url":"https://git.example.com/x"}`, 400, "credential_missing"},
		{"POST", "", `{"url":"https://git.example.com/x","username":"u"}`, 400, "credential_incomplete"},
		{"POST", "", `{"url":"git.example.com/x","password":"CANARY"}`, 400, "repo_url_invalid"},
		{"POST", "", `{"url":"https://u:CANARY@git.example.com","password":"CANARY"}`, 400, "repo_url_has_credentials"},
		{"POST", "", `{"url":"http://git.example.com","password":"CANARY"}`, 400, "repo_insecure"},
		{"POST", "", `{"url":"file:///srv","password":"CANARY"}`, 400, "repo_scheme_forbidden"},
		{"POST", "", `{"url":"https://git.example.com","password":"CANARY","type":"helm"}`, 400, "field_unexpected"},
		{"POST", "", `{"url":"https://git.example.com","password":"CANARY","project":"nix"}`, 404, "project_unknown"},
		{"POST", "", `{"url":"https://git.example.com","password":["CANARY"]}`, 400, "type_mismatch"},
		{"GET", "/nix", "", 404, "repository_template_unknown"},
		{"DELETE", "/nix", "", 404, "repository_template_unknown"},
	} {
		w.call(c.method, "/api/v1/repository-templates"+c.path, c.body).problem(c.status, c.code)
	}
	w.calls.take()
	w.call("DELETE", "/api/v1/repository-templates/template-1", "").ok(204)
	if calls := w.calls.take(); calls != "poke-under https://git.example.com/team; publish repository-template template-1" {
		t.Errorf("told: %s", calls)
	}
	if strings.Contains(w.logged(), "CANARY") {
		t.Error("a password is in the log")
	}
}

// pemOf encodes a key or certificate.
func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// certificate makes a self-signed one and its key, PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("CERTIFICATE", der), pemOf("EC PRIVATE KEY", b)
}

func TestBadRepositories(t *testing.T) {
	w := newWorld(t)
	cert, key := certificate(t)
	_, otherKey := certificate(t)
	long := strings.Repeat("x", 65<<10)
	for _, c := range []struct {
		body, code, field, text string
	}{
		{`{}`, "repo_url_invalid", "url", "repoURL is empty"},
		{`{"url":"github.com/x/y"}`, "repo_url_invalid", "url", "has no scheme; did you mean https://github.com/x/y ?"},
		{`{"url":"ssh://-oProxyCommand=id/x"}`, "repo_url_invalid", "url", `host may not start with "-"`},
		{`{"url":"file:///srv/x"}`, "repo_scheme_forbidden", "url", `scheme "file" is not allowed; allowed: https, ssh, oci, http (without credentials)`},
		{`{"url":"ext::id"}`, "repo_scheme_forbidden", "url", `scheme "ext" is not allowed; allowed: https, ssh, oci, http (without credentials)`},
		{`{"url":"https://u:CANARY@h/x"}`, "repo_url_has_credentials", "url", "(https://***@h/x)"},
		{`{"url":"https://CANARY@h/x"}`, "repo_url_has_credentials", "url", "(https://***@h/x)"},
		{`{"url":"u:CANARY@h/x"}`, "repo_url_invalid", "url", "***@h/x"},
		{`{"url":"https://h/x?token=CANARY"}`, "repo_url_invalid", "url", "?***"},
		{`{"url":"https://h/x","type":"svn"}`, "repository_type_unknown", "type", `type "svn" is not known`},
		{`{"url":"https://h/x","type":"oci"}`, "repo_scheme_forbidden", "url", `scheme "https" is not one of a repository of type oci; allowed: oci`},
		{`{"url":"oci://h/x","type":"git"}`, "repo_scheme_forbidden", "url", "type git"},
		{`{"url":"ssh://git@h/x","type":"helm"}`, "repo_scheme_forbidden", "url", "allowed: https, http"},
		{`{"url":"https://h/x","name":"a b"}`, "name_invalid", "name", ""},
		{`{"url":"http://h/x","username":"u","password":"CANARY"}`, "repo_insecure", "url", "credentials over plain http are refused; use https or ssh"},
		{`{"url":"http://h/x","bearerToken":"CANARY"}`, "repo_insecure", "url", ""},
		{`{"url":"oci://h/x","password":"CANARY","insecurePlainHTTP":true}`, "repo_insecure", "insecurePlainHTTP", ""},
		{`{"url":"https://h/x","password":"CANARY\nx"}`, "credential_invalid", "password", "line break"},
		{`{"url":"https://h/x","bearerToken":"CANARY\nx"}`, "credential_invalid", "bearerToken", "line break"},
		{`{"url":"https://h/x","password":"` + long + `"}`, "credential_invalid", "password", "longer than 64 KiB"},
		{`{"url":"https://h/x","password":"CANARY","bearerToken":"CANARY"}`, "credential_ambiguous", "bearerToken", "password and bearerToken are given; give one of them"},
		{`{"url":"https://h/x","username":"a\u0000b","password":"p"}`, "text_invalid", "username", ""},
		{`{"url":"https://h/x","username":"u"}`, "credential_incomplete", "password", "username is given without password"},
		{`{"url":"https://h/x","username":"u","skipTest":true}`, "credential_incomplete", "password", ""},
		{`{"url":"oci://h/x","username":"u"}`, "credential_incomplete", "password", ""},
		{`{"url":"ssh://git@h/x","username":"u"}`, "credential_unused", "username", "part of the URL"},
		{`{"url":"https://h/x","id":"repo-1"}`, "unknown_field", "id", ""},
		{`{"url":"https://h/x","password":123456}`, "type_mismatch", "password", "password must be a string"},
		{`{"url":"https://h/x","password":{"CANARY":"CANARY"}}`, "type_mismatch", "password", ""},
		{`{"url":"https://h/x","githubAppPrivateKey":["CANARY"]}`, "type_mismatch", "githubAppPrivateKey", ""},
		{`{"url":"ssh://git@h/x","sshKey":"CANARY"}`, "credential_invalid", "sshKey", "not a private key"},
		{`{"url":"ssh://git@h/x","knownHosts":"CANARY"}`, "known_hosts_invalid", "knownHosts", "line 1 of knownHosts"},
		{`{"url":"ssh://git@h/x","knownHosts":"# only a comment\n\n"}`, "known_hosts_invalid", "knownHosts", "no host key"},
		{`{"url":"ssh://git@h/x","knownHosts":" \n"}`, "known_hosts_invalid", "knownHosts", "no host key"},
		{`{"url":"ssh://git@h/x","password":"CANARY"}`, "credential_unused", "password", "SSH needs sshKey"},
		{`{"url":"https://h/x","insecureIgnoreHostKey":true}`, "credential_unused", "insecureIgnoreHostKey", "for URLs of ssh"},
		{`{"url":"https://h/x","insecurePlainHTTP":true}`, "credential_unused", "insecurePlainHTTP", "for registries"},
		{`{"url":"https://h/x","type":"helm","enableLFS":true}`, "credential_unused", "enableLFS", "for Git"},
		{`{"url":"https://h/x","caBundle":"CANARY"}`, "ca_bundle_invalid", "caBundle", "no certificate"},
		{`{"url":"https://h/x","caBundle":"-----BEGIN CERTIFICATE-----\nQ0FOQVJZ\n-----END CERTIFICATE-----\n"}`, "ca_bundle_invalid", "caBundle", "block 1 of caBundle is not a certificate"},
		{body(t, "url", "https://h/x", "caBundle", cert+key), "ca_bundle_invalid", "caBundle", "block 2 of caBundle is a EC PRIVATE KEY"},
		{body(t, "url", "https://h/x", "caBundle", cert+"-----BEGIN CERTIFICATE-----\nx"), "ca_bundle_invalid", "caBundle", "block 2 of caBundle is damaged"},
		{body(t, "url", "https://h/x", "clientCert", cert), "client_certificate_invalid", "clientKey", "without clientKey"},
		{body(t, "url", "https://h/x", "clientKey", key), "client_certificate_invalid", "clientCert", "without clientCert"},
		{body(t, "url", "https://h/x", "clientCert", cert, "clientKey", otherKey), "client_certificate_invalid", "clientKey", "clientKey is not the key of clientCert"},
		{body(t, "url", "https://h/x", "clientCert", cert, "clientKey", "CANARY"), "client_certificate_invalid", "clientKey", "not a private key"},
		{body(t, "url", "https://h/x", "clientCert", "CANARY", "clientKey", key), "client_certificate_invalid", "clientCert", "clientCert holds no certificate"},
		{`{"url":"https://h/x","githubAppID":7}`, "github_app_incomplete", "githubAppPrivateKey", "needs githubAppPrivateKey"},
		{`{"url":"https://h/x","githubAppID":7,"githubAppPrivateKey":"CANARY"}`, "github_app_invalid", "githubAppPrivateKey", "not in PEM format"},
		{body(t, "url", "https://h/x", "githubAppID", 7, "githubAppPrivateKey", strings.ReplaceAll(key, "EC PRIVATE", "PRIVATE")), "github_app_invalid", "githubAppPrivateKey", "not a private key"},
		{`{"url":"https://h/x","proxy":"proxy:3128"}`, "proxy_invalid", "proxy", ""},
		{`{"url":"https://h/x","proxy":"ftp://u:CANARY@proxy"}`, "proxy_invalid", "proxy", `the scheme of proxy is "ftp"`},
		{`{"url":"https://h/x","proxy":"http://u:CANARY@proxy/x?y"}`, "proxy_invalid", "proxy", ""},
		{`{"url":"https://h/x","noProxy":"h"}`, "proxy_invalid", "noProxy", "without proxy"},
	} {
		p := w.call("POST", "/api/v1/repositories", c.body).problem(400, c.code)
		if p.Field != c.field || !strings.Contains(p.Detail, c.text) || len(p.Errors) > 0 {
			t.Errorf("%.200s: field %q, %q, errors %v", c.body, p.Field, p.Detail, p.Errors)
		}
	}
	w.call("POST", "/api/v1/repositories", `{"url":"https://h/x","project":"nix"}`).problem(404, "project_unknown")
	for path, want := range map[string]string{
		"/api/v1/repositories":         "hawser repo add https://h/x --username USER --password-stdin",
		"/api/v1/repository-templates": "hawser repocreds add https://h/x --username USER --password-stdin",
	} {
		for _, url := range []string{"https://u:CANARY@h/x", "https://CANARY@h/x"} {
			p := w.call("POST", path, body(t, "url", url, "password", "p")).problem(400, "repo_url_has_credentials")
			if !strings.HasPrefix(p.Fix, want) {
				t.Errorf("%s %s: fix %q", path, url, p.Fix)
			}
		}
	}
	// All problems at once.
	p := w.call("POST", "/api/v1/repositories", `{"url":"h/x","sshKey":"x","knownHosts":"x","githubAppInstallationID":-1,"noProxy":"x"}`).problem(400, "repo_url_invalid")
	var fields []string
	for _, e := range p.Errors {
		fields = append(fields, e.Code+" "+e.Field)
	}
	want := "repo_url_invalid url; credential_invalid sshKey; known_hosts_invalid knownHosts; github_app_incomplete githubAppID; " +
		"github_app_incomplete githubAppPrivateKey; github_app_invalid githubAppInstallationID; proxy_invalid noProxy"
	if got := strings.Join(fields, "; "); !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	w.call("POST", "/api/v1/repositories", "{\"url\":\"https://h/x\",\"password\":\"CANARY\n").problem(400, "json_invalid")
	if len(w.store.repos) != 0 || w.calls.take() != "" || w.tested != nil {
		t.Error("something was done")
	}
	if strings.Contains(w.logged(), "CANARY") {
		t.Error("a secret is in the log")
	}
}

func TestGoodCredentials(t *testing.T) {
	w := newWorld(t)
	cert, key := certificate(t)
	other, _ := certificate(t)
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{
		body(t, "url", "https://h/a", "clientCert", cert, "clientKey", key, "caBundle", "a comment\n"+cert+other),
		body(t, "url", "https://h/b", "githubAppID", 7, "githubAppInstallationID", 8, "githubAppPrivateKey", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)), "githubAppBaseURL", "https://h/api/v3"),
		body(t, "url", "https://h/c", "githubAppID", 7, "githubAppPrivateKey", pemOf("PRIVATE KEY", pkcs8)),
		body(t, "url", "https://h/d", "bearerToken", "t", "proxy", "socks5://u:p@proxy:1080", "noProxy", "h,.example.com", "insecureSkipVerify", true),
		body(t, "url", "https://h/e", "username", "token", "forceBasicAuth", true),
	} {
		w.call("POST", "/api/v1/repositories", c).ok(201)
	}
	if got := w.store.repos[3].Holds; got.Proxy != "socks5://***@proxy:1080" || strings.Join(got.Insecure, "") != "insecureSkipVerify" {
		t.Errorf("got %+v", got)
	}
}

func TestCredentialsOverHTTPWhereTheyAreAllowed(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.AllowHTTPCredentials = true })
	w.call("POST", "/api/v1/repositories", `{"url":"http://127.0.0.1:8080/x","username":"u","password":"p"}`).ok(201)
	w.call("POST", "/api/v1/repositories", `{"url":"oci://127.0.0.1:8080/x","username":"u","password":"p","insecurePlainHTTP":true}`).ok(201)
}

func TestSSHKeys(t *testing.T) {
	w := newWorld(t)
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	line := string(ssh.MarshalAuthorizedKey(sshPublic))
	add := func(key, knownHosts string) answer {
		return w.call("POST", "/api/v1/repositories", body(t, "url", "git@h:org/x.git", "sshKey", key, "knownHosts", knownHosts))
	}
	var got model.Repository
	good := string(pem.EncodeToMemory(block))
	add(good, "# a comment\nh,10.0.0.1 "+line+"\n@revoked h "+line).ok(201).into(&got)
	if strings.Join(got.Holds.Kinds, " ") != "sshKey knownHosts" {
		t.Errorf("got %+v", got)
	}
	if p := add(string(pem.EncodeToMemory(locked)), "").problem(400, "credential_invalid"); !strings.Contains(p.Detail, "passphrase") {
		t.Errorf("got %q", p.Detail)
	}
	if p := add(line, "").problem(400, "credential_invalid"); !strings.Contains(p.Detail, "is a public key") {
		t.Errorf("got %q", p.Detail)
	}
	if p := add(good, "h "+line+"nonsense\n").problem(400, "known_hosts_invalid"); !strings.Contains(p.Detail, "line 2") {
		t.Errorf("got %q", p.Detail)
	}
	p := w.call("POST", "/api/v1/repositories", body(t, "url", "https://h/x", "sshKey", good)).problem(400, "credential_unused")
	if p.Field != "sshKey" {
		t.Errorf("got %+v", p)
	}
}

func TestTestARepository(t *testing.T) {
	w := newWorld(t)
	test := func(body string) (got model.RepositoryTest) {
		t.Helper()
		w.tested = nil
		w.call("POST", "/api/v1/repositories/test", body).ok(200).into(&got)
		return got
	}
	w.echo = "https://u:CANARY@h/x and CANARY"
	got := test(`{"url":"https://git.example.com/team/web","username":"bot","password":"CANARY"}`)
	if !got.OK || got.Credential != "given" || got.Type != "git" || len(got.Steps) != 3 || got.Problem != nil || w.tested.Password != "CANARY" {
		t.Errorf("got %+v", got)
	}
	if s := got.Steps[0]; s.Name != "dns" || !s.OK || s.Detail != "192.0.2.1" || s.Milliseconds != 1.5 {
		t.Errorf("got %+v", s)
	}
	if s := got.Steps[1]; s.Detail != "192.0.2.1:443 for https://***@h/x and ***" {
		t.Errorf("got %q", s.Detail)
	}
	if len(w.store.repos) != 0 || w.calls.take() != "" {
		t.Error("something was done")
	}

	// What fails is an answer, without what the server repeats.
	w.testErr = fault.Wrap(errors.New("GET https://bot:CANARY@h/x: 401"), fault.Upstream, "git_auth_failed", "refused %q", "CANARY").WithFix("not CANARY")
	got = test(`{"url":"https://git.example.com/team/web","username":"bot","password":"CANARY"}`)
	if p := got.Problem; got.OK || p == nil || p.Code != "git_auth_failed" || p.Kind != "upstream" || p.Detail != `refused "***"` || p.Fix != "not ***" {
		t.Errorf("got %+v", got.Problem)
	}
	if s := got.Steps[2]; s.OK || s.Problem == nil || *s.Problem != *got.Problem {
		t.Errorf("got %+v", s)
	}
	w.testErr, w.echo = nil, ""

	// The stored credential, a template's, none.
	w.call("POST", "/api/v1/repositories", `{"url":"https://git.example.com/team/web","username":"bot","password":"CANARY-own","skipTest":true}`).ok(201)
	w.call("POST", "/api/v1/repositories", `{"url":"https://charts.example.com","type":"helm","skipTest":true}`).ok(201)
	w.call("POST", "/api/v1/repository-templates", `{"url":"https://git.example.com/team","username":"bot","password":"CANARY-team"}`).ok(201)
	w.call("POST", "/api/v1/repository-templates", `{"url":"https://git.example.com/shop","username":"bot","password":"CANARY-shop","project":"shop"}`).ok(201)
	for _, c := range []struct{ body, from, template, typ, password string }{
		{`{"url":"https://git.example.com/team/web.git"}`, "repository", "", "git", "CANARY-own"},
		{`{"url":"https://git.example.com/team/api"}`, "template", "https://git.example.com/team", "git", "CANARY-team"},
		{`{"url":"https://git.example.com/team-evil/api"}`, "none", "", "git", ""},
		{`{"url":"https://git.example.com/shop/api"}`, "none", "", "git", ""},
		{`{"url":"https://git.example.com/shop/api","project":"shop"}`, "template", "https://git.example.com/shop", "git", "CANARY-shop"},
		{`{"url":"https://charts.example.com"}`, "none", "", "helm", ""},
		{`{"url":"https://git.example.com/team/web","password":"CANARY-given"}`, "given", "", "git", "CANARY-given"},
	} {
		got := test(c.body)
		password := ""
		if w.tested != nil {
			password = w.tested.Password
		}
		if got.Credential != c.from || got.Template != c.template || got.Type != c.typ || password != c.password {
			t.Errorf("%s: %+v, tried %q", c.body, got, password)
		}
	}
	w.call("POST", "/api/v1/repositories/test", `{"url":"https://u:CANARY@h/x"}`).problem(400, "repo_url_has_credentials")
	if strings.Contains(w.logged(), "CANARY") {
		t.Errorf("a secret is in the log: %s", w.logged())
	}
}

func TestStepsComeAsTheyAreDone(t *testing.T) {
	w := newWorld(t)
	w.testErr = fault.New(fault.Upstream, "git_auth_failed", "no")
	read := make(chan struct{})
	w.betweenSteps = func() { <-read } // the test ends only when its first steps were read
	srv := httptest.NewServer(w.handler)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/v1/repositories/test", strings.NewReader(`{"url":"https://h/x"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + w.token}, "Content-Type": {"application/json"}, "Accept": {"application/x-ndjson"}}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "application/x-ndjson" {
		t.Errorf("status %d, content type %q", resp.StatusCode, ct)
	}
	lines := json.NewDecoder(resp.Body)
	for i, name := range []string{"dns", "tcp", "auth"} {
		if i == 2 {
			close(read)
		}
		var l model.RepositoryTestLine
		if err := lines.Decode(&l); err != nil || l.Step == nil || l.Step.Name != name || l.Test != nil {
			t.Errorf("line %d: %+v %v", i+1, l, err)
		}
	}
	var last model.RepositoryTestLine
	if err := lines.Decode(&last); err != nil || last.Test == nil || last.Test.OK || len(last.Test.Steps) != 3 || last.Test.Problem.Code != "git_auth_failed" {
		t.Errorf("last line: %+v %v", last, err)
	}
	// What is wrong with the request is a problem document all the same.
	w.call("POST", "/api/v1/repositories/test", `{"url":"h"}`, "Accept: application/x-ndjson").problem(400, "repo_url_invalid")
}

func TestRepositoriesOfAnotherProject(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/api/v1/repositories", `{"url":"https://github.com/shop/web","project":"shop","skipTest":true}`).ok(201)
	p := w.call("PUT", "/api/v1/applications/web", application("web")).problem(403, "repo_not_permitted")
	if p.Field != "spec.source.repoURL" || strings.Contains(p.Detail, `"shop"`) {
		t.Errorf("got %+v", p)
	}
	w.call("PUT", "/api/v1/applications/web", application("web", "source: {repoURL: https://github.com/shop/web, path: deploy}",
		"sources: [{repoURL: https://github.com/shop/x, path: a}, {repoURL: https://github.com/shop/web.git, ref: v}]")).problem(403, "repo_not_permitted")
	if len(w.store.apps) != 0 {
		t.Error("something was stored")
	}
	w.call("PUT", "/api/v1/applications/web", application("web", "project: default", "project: shop")).ok(201)
}

func TestApplicationsOfAllSourceTypes(t *testing.T) {
	for name, source := range map[string]string{
		"helm":      "source: {repoURL: https://github.com/shop/web, path: chart, helm: {valueFiles: [a.yaml], parameters: [{name: x, value: y}]}}",
		"chart":     "source: {repoURL: https://charts.example.com, chart: redis, targetRevision: ^20}",
		"oci-chart": "source: {repoURL: registry.example.com/charts, chart: redis, targetRevision: 20.1.0}",
		"oci":       "source: {repoURL: oci://registry.example.com/manifests, targetRevision: 1.0.0}",
		"kustomize": "source: {repoURL: https://github.com/shop/web, path: overlay, kustomize: {images: [a=b:c]}}",
		"jinja":     "source: {repoURL: https://github.com/shop/web, path: j, jinja: {valueFiles: [v.yaml], valuesObject: {a: 1}}}",
		"plugin":    "source: {repoURL: https://github.com/shop/web, path: p, plugin: {name: cue, parameters: [{name: a, string: b}]}}",
		"jsonnet":   "source: {repoURL: https://github.com/shop/web, path: p, directory: {jsonnet: {tlas: [{name: a, value: b}]}}}",
		"several": "sources: [{repoURL: https://charts.example.com, chart: redis, targetRevision: ^20, helm: {valueFiles: [$values/redis.yaml]}}, " +
			"{repoURL: https://github.com/shop/values, ref: values}]",
	} {
		w := newWorld(t)
		w.call("PUT", "/api/v1/applications/web", application("web", "source: {repoURL: https://github.com/shop/web, path: deploy}", source)).ok(201)
		if len(w.store.apps) != 1 {
			t.Errorf("%s is not stored", name)
		}
	}
	w := newWorld(t)
	p := w.call("PUT", "/api/v1/applications/web", application("web", "source: {repoURL: https://github.com/shop/web, path: deploy}",
		"sources: [{repoURL: https://charts.example.com, chart: redis, path: x, targetRevision: 1.x}, {repoURL: https://github.com/shop/v, ref: v, chart: y}]")).problem(400, "sources_ambiguous")
	if len(p.Errors) != 3 || p.Errors[0].Field != "spec.sources[0].path" || p.Errors[1].Field != "spec.sources[1].ref" || p.Errors[2].Field != "spec.sources[1].targetRevision" {
		t.Errorf("got %+v", p.Errors)
	}
}

// A repository that applications are rendered from is not forgotten by the way.
func TestRepositoryInUseIsKept(t *testing.T) {
	w := newWorld(t)
	w.store.repos = []fleet.Repository{
		{Repository: model.Repository{ID: "r1", URL: "https://github.com/Shop/web.git"}},
		{Repository: model.Repository{ID: "r3", URL: "https://github.com/shop/web2"}},
	}
	for _, name := range []string{"f", "e", "d", "c", "b", "a"} {
		w.call("POST", "/api/v1/applications", application(name)).ok(201)
	}
	w.store.repos = append(w.store.repos, fleet.Repository{Repository: model.Repository{ID: "r2", URL: "https://github.com/shop/web", Project: "bank"}})
	r := w.call("DELETE", "/api/v1/repositories/r1", "")
	r.problem(409, "repository_in_use")
	if !strings.Contains(r.body, "6 (a, b, c, d, e, …)") {
		t.Errorf("got %s", r.body)
	}
	w.call("DELETE", "/api/v1/repositories/r1?force=yes", "").problem(400, "value_unknown")
	w.call("DELETE", "/api/v1/repositories/nix", "").problem(404, "repository_unknown")
	w.call("DELETE", "/api/v1/repositories/r2", "").ok(204) // of a project that does not use it
	w.call("DELETE", "/api/v1/repositories/r3", "").ok(204)
	w.call("DELETE", "/api/v1/repositories/r1?force=true", "").ok(204)
}
