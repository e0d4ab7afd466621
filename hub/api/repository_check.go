package api

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// checks collects what is wrong with a repository's URL and credential, as far
// as that can be known without connecting. No message repeats a secret.
type checks struct{ list fault.List }

func (c *checks) add(e *fault.Error) {
	if e != nil {
		c.list = append(c.list, e)
	}
}

func (c *checks) bad(field, code, format string, args ...any) *fault.Error {
	e := fault.New(fault.Invalid, code, format, args...).WithField(field)
	c.list = append(c.list, e)
	return e
}

func (c *checks) err() error {
	if len(c.list) == 0 {
		return nil
	}
	return c.list
}

// maxCredential bounds each text of a credential, in bytes.
const maxCredential = 64 << 10

func (a *api) checkRepository(in repositoryRequest) error {
	var c checks
	switch in.Type {
	case fleet.Git, fleet.Helm, fleet.OCI:
	default:
		c.add(fault.New(fault.Invalid, "repository_type_unknown", "type %q is not known", cut(in.Type)).WithField("type").
			WithFound(cut(in.Type), "git, helm, oci"))
	}
	if e := decode.RepoURL("url", in.URL, in.Type == fleet.OCI, a.opts.AllowFileRepositories); e != nil {
		c.add(e)
	} else {
		c.schemeOfType(in.URL, in.Type)
		c.noUser(in.URL)
	}
	if in.Name != "" {
		c.add(decode.Name("name", "name", in.Name))
	}
	a.checkCredential(&c, in.URL, in.Type, in.Credential)
	return c.err()
}

func (a *api) checkTemplate(in templateRequest) error {
	var c checks
	if in.Type != "" || in.Name != "" {
		c.bad("type", "field_unexpected", "a credential template has no type and no name; those belong to repositories")
	}
	if e := decode.RepoURL("url", in.URL, false, false); e != nil {
		c.add(e)
	} else {
		c.noUser(in.URL)
	}
	for _, e := range c.list {
		e.Fix = strings.Replace(e.Fix, "hawser repo add", "hawser repocreds add", 1)
	}
	if in.Credential == (fleet.Credential{}) {
		c.bad("", "credential_missing", "a credential template needs a credential")
	}
	a.checkCredential(&c, in.URL, "", in.Credential)
	return c.err()
}

// schemeOfType checks that the type of repository is reached by the URL's scheme.
func (c *checks) schemeOfType(repoURL, typ string) {
	scheme := schemeOf(repoURL)
	allowed := map[string]string{fleet.Git: "https, http, ssh, file", fleet.Helm: "https, http", fleet.OCI: "oci"}[typ]
	for s := range strings.SplitSeq(allowed, ", ") {
		if s == scheme || allowed == "" {
			return
		}
	}
	e := fault.New(fault.Invalid, "repo_scheme_forbidden", "scheme %q is not one of a repository of type %s; allowed: %s", scheme, typ, allowed).
		WithField("url").WithFound(scheme, allowed)
	switch {
	case typ == fleet.OCI && scheme == "https":
		e.Fix = "write oci://" + strings.TrimPrefix(fleet.RepositoryIdentity(repoURL), "https://")
	case scheme == "oci":
		e.Fix = "add it with type oci"
	}
	c.add(e)
}

// noUser refuses a user in a URL that is not SSH: it belongs to the credential,
// and may be a token.
func (c *checks) noUser(repoURL string) {
	u, err := url.Parse(repoURL)
	if err != nil || u.User == nil || u.Scheme == "ssh" || !strings.Contains(repoURL, "://") {
		return
	}
	c.add(fault.New(fault.Invalid, "repo_url_has_credentials", "put credentials in a repository credential, not in the URL (%s)", fleet.MaskURLs(repoURL)).
		WithField("url").WithFound(fleet.MaskURLs(repoURL), "a URL without a user").WithFix("%s", decode.AddCommand(u)))
}

// schemeOf is the scheme of a URL of any form.
func schemeOf(repoURL string) string {
	scheme, _, _ := strings.Cut(fleet.RepositoryIdentity(repoURL), "://")
	return scheme
}

func (a *api) checkCredential(c *checks, repoURL, typ string, cred fleet.Credential) {
	for _, f := range []struct{ field, text string }{
		{"password", cred.Password}, {"bearerToken", cred.BearerToken}, {"sshKey", cred.SSHKey},
		{"knownHosts", cred.KnownHosts}, {"caBundle", cred.CABundle}, {"clientCert", cred.ClientCert}, {"clientKey", cred.ClientKey},
		{"proxy", cred.Proxy}, {"noProxy", cred.NoProxy},
		{"githubAppPrivateKey", cred.GitHubAppPrivateKey}, {"githubAppBaseURL", cred.GitHubAppBaseURL},
	} {
		if len(f.text) > maxCredential {
			c.bad(f.field, "credential_invalid", "%s is longer than 64 KiB", f.field)
		}
	}
	c.texts(cred)
	c.whoCalls(cred)
	c.complete(schemeOf(repoURL), cred)
	c.sshParts(cred)
	c.certificates(cred)
	c.githubApp(cred, a.opts.AllowHTTPCredentials)
	c.proxy(cred)
	c.used(schemeOf(repoURL), typ, cred)
	plain := schemeOf(repoURL) == "http" || cred.InsecurePlainHTTP
	if plain && cred.HasAuth() && !a.opts.AllowHTTPCredentials {
		field := "url"
		if cred.InsecurePlainHTTP {
			field = "insecurePlainHTTP"
		}
		c.bad(field, "repo_insecure", "credentials over plain http are refused; use https or ssh")
	}
}

// texts checks what becomes part of a header.
func (c *checks) texts(cred fleet.Credential) {
	if err := text("username", cred.Username, 0, 256); err != nil {
		e := *fault.As(err)
		e.Found = "" // it may be a token
		c.add(&e)
	}
	for _, f := range []struct{ field, text string }{{"password", cred.Password}, {"bearerToken", cred.BearerToken}} {
		if strings.ContainsAny(f.text, "\r\n\x00") {
			c.bad(f.field, "credential_invalid", "%s contains a line break", f.field)
		}
	}
}

// whoCalls refuses two ways to say it.
func (c *checks) whoCalls(cred fleet.Credential) {
	var ways []string
	for _, w := range []struct {
		name string
		set  bool
	}{
		{"password", cred.Username != "" || cred.Password != ""}, {"bearerToken", cred.BearerToken != ""},
		{"sshKey", cred.SSHKey != ""}, {"githubApp", cred.GitHubAppID != 0 || cred.GitHubAppPrivateKey != ""},
	} {
		if w.set {
			ways = append(ways, w.name)
		}
	}
	if len(ways) > 1 {
		c.bad(ways[1], "credential_ambiguous", "%s are given; give one of them", strings.Join(ways, " and "))
	}
}

// complete refuses a user without a password, which opens nothing and hides the
// template that would. Over SSH the user has a place of its own (see used), and
// with forceBasicAuth it may be a token that needs no password.
func (c *checks) complete(scheme string, cred fleet.Credential) {
	other := cred.BearerToken != "" || cred.SSHKey != "" || cred.GitHubAppID != 0 || cred.GitHubAppPrivateKey != ""
	if cred.Username == "" || cred.Password != "" || cred.ForceBasicAuth || other || scheme == "ssh" {
		return
	}
	e := c.bad("password", "credential_incomplete", "username is given without password")
	e.Fix = "give the password or token too; leave the username out where a credential template opens the repository; " +
		"say forceBasicAuth when the username is a token that needs no password"
}

func (c *checks) sshParts(cred fleet.Credential) {
	if cred.SSHKey != "" {
		if _, err := ssh.ParseRawPrivateKey([]byte(cred.SSHKey)); err != nil {
			e := c.bad("sshKey", "credential_invalid", "sshKey is not a private key in PEM or OpenSSH format")
			e.Fix = "give the file with the private key, such as --ssh-key-file ~/.ssh/id_ed25519"
			if missing := new(ssh.PassphraseMissingError); errors.As(err, &missing) || encrypted(cred.SSHKey) {
				e.Message = "sshKey is protected by a passphrase, which the hub could not be told"
				e.Fix = "use a key without a passphrase, as a deploy key"
			} else if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(cred.SSHKey)); err == nil {
				e.Message = "sshKey is a public key; the private key is needed"
			}
		}
	}
	if strings.TrimSpace(cred.KnownHosts) == "" {
		if cred.KnownHosts != "" {
			c.bad("knownHosts", "known_hosts_invalid", "knownHosts holds no host key")
		}
		return
	}
	found, number := false, 0
	for line := range strings.Lines(cred.KnownHosts) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if _, _, _, _, _, err := ssh.ParseKnownHosts([]byte(line + "\n")); err != nil {
			e := c.bad("knownHosts", "known_hosts_invalid", "line %d of knownHosts is not in the format of OpenSSH: HOST KEYTYPE KEY", number)
			e.Fix = "paste the output of ssh-keyscan HOST after checking it"
			return
		}
		found = true
	}
	if !found {
		c.bad("knownHosts", "known_hosts_invalid", "knownHosts holds no host key")
	}
}

func encrypted(pemText string) bool {
	block, _ := pem.Decode([]byte(pemText))
	return block != nil && (block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"))
}

func (c *checks) certificates(cred fleet.Credential) {
	if cred.CABundle != "" {
		if why := badBundle(cred.CABundle); why != "" {
			c.bad("caBundle", "ca_bundle_invalid", "%s", why)
		}
	}
	switch {
	case cred.ClientCert == "" && cred.ClientKey == "":
		return
	case cred.ClientKey == "":
		c.bad("clientKey", "client_certificate_invalid", "clientCert is given without clientKey")
		return
	case cred.ClientCert == "":
		c.bad("clientCert", "client_certificate_invalid", "clientKey is given without clientCert")
		return
	}
	if why := badBundle(cred.ClientCert); why != "" {
		c.bad("clientCert", "client_certificate_invalid", "%s", strings.Replace(why, "caBundle", "clientCert", 1))
		return
	}
	if encrypted(cred.ClientKey) {
		e := c.bad("clientKey", "client_certificate_invalid", "clientKey is protected by a passphrase, which the hub could not be told")
		e.Fix = "use a key without a passphrase"
		return
	}
	if _, err := tls.X509KeyPair([]byte(cred.ClientCert), []byte(cred.ClientKey)); err != nil {
		why := "clientKey is not a private key in PEM format"
		if strings.Contains(err.Error(), "does not match") {
			why = "clientKey is not the key of clientCert"
		}
		c.bad("clientKey", "client_certificate_invalid", "%s", why)
	}
}

// badBundle says what is wrong with certificates in PEM format, "" for nothing.
func badBundle(s string) string {
	rest := []byte(s)
	for n := 1; ; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			switch {
			case n == 1:
				return "caBundle holds no certificate in PEM format"
			case strings.Contains(string(rest), "-----BEGIN"):
				return fmt.Sprintf("block %d of caBundle is damaged", n)
			}
			return ""
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Sprintf("block %d of caBundle is a %s; only certificates belong there", n, cut(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Sprintf("block %d of caBundle is not a certificate", n)
		}
	}
}

func (c *checks) githubApp(cred fleet.Credential, allowHTTP bool) {
	if cred.GitHubAppID == 0 && cred.GitHubAppInstallationID == 0 && cred.GitHubAppPrivateKey == "" && cred.GitHubAppBaseURL == "" {
		return
	}
	if cred.GitHubAppID == 0 {
		c.bad("githubAppID", "github_app_incomplete", "a GitHub App needs githubAppID")
	}
	if cred.GitHubAppPrivateKey == "" {
		c.bad("githubAppPrivateKey", "github_app_incomplete", "a GitHub App needs githubAppPrivateKey")
	} else if why := badRSAKey(cred.GitHubAppPrivateKey); why != "" {
		c.bad("githubAppPrivateKey", "github_app_invalid", "githubAppPrivateKey %s", why)
	}
	for _, f := range []struct {
		field string
		n     int64
	}{{"githubAppID", cred.GitHubAppID}, {"githubAppInstallationID", cred.GitHubAppInstallationID}} {
		if f.n < 0 {
			c.bad(f.field, "github_app_invalid", "%s is %d; it must be a positive number", f.field, f.n)
		}
	}
	if cred.GitHubAppBaseURL != "" {
		u, err := url.Parse(cred.GitHubAppBaseURL)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && !(u.Scheme == "http" && allowHTTP) {
			e := c.bad("githubAppBaseURL", "github_app_invalid", "githubAppBaseURL is not the URL of an API over https")
			e.Fix = "write it as in https://github.example.com/api/v3, or leave it out for github.com"
		}
	}
}

// badRSAKey says what is wrong with the key of a GitHub App, "" for nothing.
func badRSAKey(s string) string {
	block, _ := pem.Decode([]byte(s))
	if block == nil {
		return "is not in PEM format"
	}
	if encrypted(s) {
		return "is protected by a passphrase, which the hub could not be told"
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return ""
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "is not a private key"
	}
	if _, ok := key.(*rsa.PrivateKey); !ok {
		return "is not an RSA key, which GitHub Apps have"
	}
	return ""
}

func (c *checks) proxy(cred fleet.Credential) {
	if cred.Proxy == "" {
		if cred.NoProxy != "" {
			c.bad("noProxy", "proxy_invalid", "noProxy is given without proxy")
		}
		return
	}
	const allowed = "http, https, socks5"
	u, err := url.Parse(cred.Proxy)
	switch {
	case err != nil || u.Host == "":
		e := c.bad("proxy", "proxy_invalid", "proxy is not a URL such as http://proxy.example.com:3128")
		e.Allowed = allowed
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" && u.Scheme != "socks5h":
		e := c.bad("proxy", "proxy_invalid", "the scheme of proxy is %q; allowed: %s", cut(u.Scheme), allowed)
		e.Found, e.Allowed = cut(u.Scheme), allowed
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		c.bad("proxy", "proxy_invalid", "proxy has more than scheme, host and port")
	}
}

// used refuses what the URL's scheme or the type has no use for: whoever gives
// it means something else. typ is "" for a template, which is for all types.
func (c *checks) used(scheme, typ string, cred fleet.Credential) {
	overSSH := scheme == "ssh"
	for _, f := range []struct {
		field string
		set   bool
		used  bool
		where string
	}{
		{"username", cred.Username != "" && cred.SSHKey == "", !overSSH, "over SSH the user is part of the URL"},
		{"password", cred.Password != "", !overSSH, "SSH needs sshKey"},
		{"bearerToken", cred.BearerToken != "", !overSSH, "SSH needs sshKey"},
		{"githubAppID", cred.GitHubAppID != 0, !overSSH && typ != fleet.Helm && typ != fleet.OCI, "a GitHub App opens Git repositories over https"},
		{"caBundle", cred.CABundle != "", !overSSH && scheme != "http", "it is for URLs of https"},
		{"clientCert", cred.ClientCert != "", !overSSH && scheme != "http", "it is for URLs of https"},
		{"insecureSkipVerify", cred.InsecureSkipVerify, !overSSH && scheme != "http", "it is for URLs of https"},
		{"sshKey", cred.SSHKey != "", overSSH, "it is for URLs of ssh"},
		{"knownHosts", cred.KnownHosts != "", overSSH, "it is for URLs of ssh"},
		{"insecureIgnoreHostKey", cred.InsecureIgnoreHostKey, overSSH, "it is for URLs of ssh"},
		{"insecurePlainHTTP", cred.InsecurePlainHTTP, scheme == "oci", "it is for registries (oci://)"},
		{"enableSubmodules", cred.EnableSubmodules, typ != fleet.Helm && typ != fleet.OCI && scheme != "oci", "it is for Git"},
		{"enableLFS", cred.EnableLFS, typ != fleet.Helm && typ != fleet.OCI && scheme != "oci", "it is for Git"},
	} {
		if f.set && !f.used {
			c.bad(f.field, "credential_unused", "%s has no effect here: %s", f.field, f.where)
		}
	}
}
