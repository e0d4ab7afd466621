package command

import (
	"errors"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

// credential is the part of a request that opens a repository.
type credential struct {
	Username                string `json:"username,omitempty"`
	Password                string `json:"password,omitempty"`
	BearerToken             string `json:"bearerToken,omitempty"`
	ForceBasicAuth          bool   `json:"forceBasicAuth,omitempty"`
	PassCredentials         bool   `json:"passCredentials,omitempty"`
	SSHKey                  string `json:"sshKey,omitempty"`
	KnownHosts              string `json:"knownHosts,omitempty"`
	InsecureIgnoreHostKey   bool   `json:"insecureIgnoreHostKey,omitempty"`
	CABundle                string `json:"caBundle,omitempty"`
	ClientCert              string `json:"clientCert,omitempty"`
	ClientKey               string `json:"clientKey,omitempty"`
	InsecureSkipVerify      bool   `json:"insecureSkipVerify,omitempty"`
	InsecurePlainHTTP       bool   `json:"insecurePlainHTTP,omitempty"`
	Proxy                   string `json:"proxy,omitempty"`
	NoProxy                 string `json:"noProxy,omitempty"`
	GitHubAppID             int64  `json:"githubAppID,omitempty"`
	GitHubAppInstallationID int64  `json:"githubAppInstallationID,omitempty"`
	GitHubAppPrivateKey     string `json:"githubAppPrivateKey,omitempty"`
	GitHubAppBaseURL        string `json:"githubAppBaseURL,omitempty"`
	EnableSubmodules        bool   `json:"enableSubmodules,omitempty"`
	EnableLFS               bool   `json:"enableLFS,omitempty"`
}

// credentialFlags are the flags for a credential. A secret is never the value of
// a flag: other users of the machine see the arguments of processes.
type credentialFlags struct {
	in            credential
	passwordStdin bool
	password, bearerToken, sshKey, knownHosts, ca,
	clientCert, clientKey, githubKey, proxy string // files
}

// otherFlagNames are the names that Argo CD's command line, and ours before,
// have for the flags.
var otherFlagNames = map[string]string{
	"ssh-private-key-path": "ssh-key-file", "known-hosts": "known-hosts-file", "ca-cert": "ca-file",
	"tls-client-cert-path": "client-cert-file", "tls-client-cert-key-path": "client-key-file",
	"github-app-private-key-path": "github-app-private-key-file", "github-app-enterprise-base-url": "github-app-base-url",
	"insecure-skip-server-verification": "insecure-skip-tls-verify", "insecure-oci-force-http": "insecure-plain-http",
	"force-http-basic-auth": "force-basic-auth",
}

func (c *credentialFlags) register(f *pflag.FlagSet) {
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if ours, ok := otherFlagNames[name]; ok {
			name = ours
		}
		return pflag.NormalizedName(name)
	})
	f.StringVar(&c.in.Username, "username", "", "user of the repository")
	f.BoolVar(&c.passwordStdin, "password-stdin", false, "read the password or token from standard input")
	f.StringVar(&c.password, "password-file", "", "file with the password or token")
	f.StringVar(&c.bearerToken, "bearer-token-file", "", "file with a token that goes in place of user and password")
	f.StringVar(&c.sshKey, "ssh-key-file", "", "file with an SSH private key without a passphrase")
	f.StringVar(&c.knownHosts, "known-hosts-file", "", "file with the SSH host keys to trust, in OpenSSH's format")
	f.BoolVar(&c.in.InsecureIgnoreHostKey, "insecure-ignore-host-key", false, "take whatever SSH host key the server shows")
	f.StringVar(&c.ca, "ca-file", "", "file with certificate authorities to trust here, PEM")
	f.StringVar(&c.clientCert, "client-cert-file", "", "file with a TLS client certificate, PEM")
	f.StringVar(&c.clientKey, "client-key-file", "", "file with its key, PEM")
	f.BoolVar(&c.in.InsecureSkipVerify, "insecure-skip-tls-verify", false, "take whatever TLS certificate the server shows")
	f.BoolVar(&c.in.InsecurePlainHTTP, "insecure-plain-http", false, "speak to an OCI registry without TLS")
	f.StringVar(&c.in.Proxy, "proxy", "", "URL of a proxy: http, https or socks5")
	f.StringVar(&c.proxy, "proxy-file", "", "file with the URL of a proxy that needs a password")
	f.StringVar(&c.in.NoProxy, "no-proxy", "", "hosts that the proxy is not for, separated by commas")
	f.Int64Var(&c.in.GitHubAppID, "github-app-id", 0, "ID of a GitHub App")
	f.Int64Var(&c.in.GitHubAppInstallationID, "github-app-installation-id", 0, "its installation (default: that of the repository's owner)")
	f.StringVar(&c.githubKey, "github-app-private-key-file", "", "file with its private key, PEM")
	f.StringVar(&c.in.GitHubAppBaseURL, "github-app-base-url", "", "API of GitHub Enterprise, as in https://github.example.com/api/v3")
	f.BoolVar(&c.in.EnableSubmodules, "enable-submodules", false, "fetch submodules")
	f.BoolVar(&c.in.EnableLFS, "enable-lfs", false, "fetch LFS files")
	f.BoolVar(&c.in.PassCredentials, "pass-credentials", false, "send the credential to other hosts that charts are on, too")
	f.BoolVar(&c.in.ForceBasicAuth, "force-basic-auth", false, "send user and password without being asked")
}

// maxSecret is the most that a file for a credential may hold, in bytes.
const maxSecret = 64 << 10

// read is the credential that the flags say, with the contents of files.
func (c *credentialFlags) read(s *session) (credential, error) {
	out := c.in
	if c.passwordStdin && c.password != "" {
		return out, fault.New(fault.Invalid, "usage", "--password-stdin and --password-file exclude each other")
	}
	if u, err := url.Parse(out.Proxy); err == nil && u.User != nil {
		return out, fault.New(fault.Invalid, "usage", "--proxy has a user in it, and others can see the arguments of a process").
			WithFix("write the URL into a file and give it with --proxy-file")
	}
	if c.passwordStdin {
		b, err := io.ReadAll(io.LimitReader(s.In, maxSecret+1))
		if err != nil {
			return out, err
		}
		if out.Password = strings.TrimRight(string(b), "\r\n"); out.Password == "" {
			return out, fault.New(fault.Invalid, "password_empty", "standard input has no password")
		}
	}
	for _, f := range []struct {
		flag, path string
		into       *string
		line       bool // without the line break at its end
	}{
		{"password-file", c.password, &out.Password, true}, {"bearer-token-file", c.bearerToken, &out.BearerToken, true},
		{"ssh-key-file", c.sshKey, &out.SSHKey, false}, {"known-hosts-file", c.knownHosts, &out.KnownHosts, false},
		{"ca-file", c.ca, &out.CABundle, false}, {"client-cert-file", c.clientCert, &out.ClientCert, false},
		{"client-key-file", c.clientKey, &out.ClientKey, false}, {"proxy-file", c.proxy, &out.Proxy, true},
		{"github-app-private-key-file", c.githubKey, &out.GitHubAppPrivateKey, false},
	} {
		if f.path == "" {
			continue
		}
		text, err := readSmall(f.path)
		if err != nil {
			return out, fault.New(fault.Invalid, "file_unreadable", "--%s: %s", f.flag, err)
		}
		if f.line {
			text = strings.TrimRight(text, "\r\n")
		}
		if strings.TrimSpace(text) == "" {
			return out, fault.New(fault.Invalid, "file_unreadable", "--%s: %s is empty", f.flag, f.path)
		}
		*f.into = text
	}
	return out, nil
}

// readFor is read for a repository, or for all below a URL: a user without a
// password opens nothing there. What SSH needs, the hub says; with
// --force-basic-auth the user may be a token that needs no password.
func (c *credentialFlags) readFor(s *session, repoURL string) (credential, error) {
	out, err := c.read(s)
	if err != nil {
		return out, err
	}
	scheme, _, _ := strings.Cut(policy.NormaliseRepo(repoURL), "://")
	other := out.BearerToken != "" || out.SSHKey != "" || out.GitHubAppID != 0 || out.GitHubAppPrivateKey != ""
	if out.Username != "" && out.Password == "" && !out.ForceBasicAuth && !other && scheme != "ssh" {
		return out, fault.New(fault.Invalid, "usage", "--username needs --password-stdin or --password-file").
			WithFix("leave --username out where a credential template (hawser repocreds) opens the repository")
	}
	return out, nil
}

func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(b) > maxSecret {
		err = errors.New(path + " is larger than 64 KiB")
	}
	return string(b), err
}
