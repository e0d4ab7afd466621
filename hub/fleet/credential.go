package fleet

import (
	"encoding/base64"
	"log/slog"
	"net/url"
	"regexp"
	"sort"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// HasAuth reports whether the credential says who calls. One that does not only
// says how to connect (certificates, host keys, proxy) or what to fetch.
func (c *Credential) HasAuth() bool {
	return c != nil && (c.Username != "" || c.Password != "" || c.BearerToken != "" || c.SSHKey != "" ||
		c.ClientCert != "" || c.ClientKey != "" || c.GitHubAppID != 0 || c.GitHubAppPrivateKey != "")
}

// Inherit completes the credential of a repository with a template: a
// credential of its own that says who calls is taken as it is; else the
// template's is, and its way to connect where the repository does not say one.
// Type, name and project stay the repository's; what either
// switches on is on. Both may be nil.
func (c *Credential) Inherit(template *Credential) *Credential {
	switch {
	case template == nil || c.HasAuth():
		return c
	case c == nil:
		c = &Credential{}
	}
	out := *template
	out.Type, out.Name, out.Project = c.Type, c.Name, c.Project
	for _, f := range []struct {
		into *string
		own  string
	}{{&out.KnownHosts, c.KnownHosts}, {&out.CABundle, c.CABundle}} {
		if f.own != "" {
			*f.into = f.own
		}
	}
	if c.Proxy != "" {
		out.Proxy, out.NoProxy = c.Proxy, c.NoProxy
	}
	for _, f := range []struct {
		into *bool
		own  bool
	}{
		{&out.ForceBasicAuth, c.ForceBasicAuth}, {&out.PassCredentials, c.PassCredentials},
		{&out.InsecureIgnoreHostKey, c.InsecureIgnoreHostKey}, {&out.InsecureSkipVerify, c.InsecureSkipVerify},
		{&out.InsecurePlainHTTP, c.InsecurePlainHTTP},
		{&out.EnableSubmodules, c.EnableSubmodules}, {&out.EnableLFS, c.EnableLFS},
	} {
		*f.into = *f.into || f.own
	}
	return &out
}

// Info is what people may see of the credential.
func (c *Credential) Info() model.CredentialInfo {
	var out model.CredentialInfo
	if c == nil {
		return out
	}
	chosen := func(list *[]string, name string, on bool) {
		if on {
			*list = append(*list, name)
		}
	}
	chosen(&out.Kinds, model.HoldsUsername, c.Username != "" && c.Password == "")
	chosen(&out.Kinds, model.HoldsPassword, c.Password != "")
	chosen(&out.Kinds, model.HoldsBearer, c.BearerToken != "")
	chosen(&out.Kinds, model.HoldsSSHKey, c.SSHKey != "")
	chosen(&out.Kinds, model.HoldsKnownHosts, c.KnownHosts != "")
	chosen(&out.Kinds, model.HoldsCABundle, c.CABundle != "")
	chosen(&out.Kinds, model.HoldsClientCert, c.ClientCert != "")
	chosen(&out.Kinds, model.HoldsGitHubApp, c.GitHubAppID != 0)
	chosen(&out.Kinds, model.HoldsProxy, c.Proxy != "")
	chosen(&out.Insecure, "insecureIgnoreHostKey", c.InsecureIgnoreHostKey)
	chosen(&out.Insecure, "insecureSkipVerify", c.InsecureSkipVerify)
	chosen(&out.Insecure, "insecurePlainHTTP", c.InsecurePlainHTTP)
	chosen(&out.Options, "forceBasicAuth", c.ForceBasicAuth)
	chosen(&out.Options, "passCredentials", c.PassCredentials)
	chosen(&out.Options, "enableSubmodules", c.EnableSubmodules)
	chosen(&out.Options, "enableLFS", c.EnableLFS)
	if c.Password != "" {
		out.Username = c.Username
	}
	out.Proxy, out.NoProxy = MaskURLs(c.Proxy), c.NoProxy
	out.GitHubAppID, out.GitHubAppInstallationID, out.GitHubAppBaseURL = c.GitHubAppID, c.GitHubAppInstallationID, c.GitHubAppBaseURL
	return out
}

// String says which kinds are set, so that no message or log has more.
func (c Credential) String() string {
	info := c.Info()
	return "credential(" + strings.Join(append(append(info.Kinds, info.Insecure...), info.Options...), ", ") + ")"
}

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }

// LogValue is String, for logs.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

const masked = "***"

// Redact removes the credential's secrets and what URLs carry from a text that
// others wrote, such as a server's error.
func (c *Credential) Redact(text string) string {
	if c != nil {
		secrets := []string{c.Password, c.BearerToken, c.SSHKey, c.ClientKey, c.GitHubAppPrivateKey}
		if c.Password == "" {
			secrets = append(secrets, c.Username) // it may be a token
		}
		if u, err := url.Parse(c.Proxy); err == nil {
			if p, ok := u.User.Password(); ok {
				secrets = append(secrets, p)
			}
		}
		if c.Password != "" {
			secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password)))
		}
		for _, s := range secrets {
			secrets = append(secrets, url.QueryEscape(s), url.PathEscape(s))
		}
		sort.Slice(secrets, func(i, j int) bool { return len(secrets[i]) > len(secrets[j]) })
		for _, s := range secrets {
			// A short one would leave nothing of the text, and guards nothing.
			if len(s) >= 4 {
				text = strings.ReplaceAll(text, s, masked)
			}
		}
	}
	return MaskURLs(text)
}

var (
	withUser   = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*)://([^\s/?#"'<>@]*(?:@[^\s/?#"'<>@]*)*)@`)
	withSecret = regexp.MustCompile(`(?i)([?&;](?:access_token|private_token|token|password|passwd|secret|api_?key|auth|sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token)=)[^\s&;#"'<>]+`)
	bareUser   = regexp.MustCompile(`(^|[\s"'(<])([^\s"'()<>/@:]+):([^\s"'()<>/@]+)@([^\s"'()<>/@:]+[/:])`)
)

// MaskURLs hides user and password, and secret parts of a query, of all URLs in
// a text. The user of an SSH URL stays when there is no password.
func MaskURLs(text string) string {
	if strings.Contains(text, "@") {
		text = withUser.ReplaceAllStringFunc(text, func(s string) string {
			m := withUser.FindStringSubmatch(s)
			if strings.EqualFold(m[1], "ssh") && !strings.Contains(m[2], ":") {
				return s
			}
			return m[1] + "://" + masked + "@"
		})
		text = bareUser.ReplaceAllStringFunc(text, func(s string) string {
			m := bareUser.FindStringSubmatch(s)
			if strings.HasPrefix(m[4], "sha") {
				return s // the digest of an image
			}
			return m[1] + masked + "@" + m[4]
		})
	}
	if strings.Contains(text, "=") {
		text = withSecret.ReplaceAllString(text, "${1}"+masked)
	}
	return text
}
