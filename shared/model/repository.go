package model

import "time"

// Types of a repository, and so the way it is spoken to.
const (
	RepositoryGit  = "git"
	RepositoryHelm = "helm" // an index of charts over HTTP
	RepositoryOCI  = "oci"  // a registry of charts and artifacts
)

// Repository is a registered source and how it answers. Secrets are never
// returned.
type Repository struct {
	ID   string `json:"id"`
	URL  string `json:"url"`
	Type string `json:"type"` // git, helm or oci
	// Name is what "@NAME" and "alias:NAME" in the dependencies of a chart mean.
	Name string `json:"name,omitempty"`
	// Project whose applications alone may use it; "" is any that permits the URL.
	Project string `json:"project,omitempty"`
	// Holds says what its own credential consists of.
	Holds CredentialInfo `json:"credential,omitzero"`
	// InheritedFrom is the URL of the credential template that opens it, as long
	// as it has no credential of its own.
	InheritedFrom string `json:"inheritedFrom,omitempty"`

	LastCheck *time.Time `json:"lastCheck,omitempty"`
	State     string     `json:"state"` // ok, error or unknown
	Error     string     `json:"error,omitempty"`
	ErrorCode string     `json:"errorCode,omitempty"`
	Since     *time.Time `json:"since,omitempty"`
	// Version changes when somebody changes it. Callers of the API have it as ETag.
	Version int64 `json:"-"`
}

// RepositoryTemplate is a credential for all repositories whose URL begins with
// its URL, by whole path segments. The longest one wins.
type RepositoryTemplate struct {
	ID  string `json:"id"`
	URL string `json:"url"`
	// Project whose repositories alone it opens; "" is any.
	Project   string         `json:"project,omitempty"`
	Holds     CredentialInfo `json:"credential,omitzero"`
	CreatedAt time.Time      `json:"createdAt,omitzero"`
	// Version changes when somebody changes it. Callers of the API have it as ETag.
	Version int64 `json:"-"`
}

// Kinds of secrets and other texts that a credential can hold.
const (
	HoldsUsername   = "username" // without a password: it may be a token
	HoldsPassword   = "password"
	HoldsBearer     = "bearerToken"
	HoldsSSHKey     = "sshKey"
	HoldsKnownHosts = "knownHosts"
	HoldsCABundle   = "caBundle"
	HoldsClientCert = "clientCertificate"
	HoldsGitHubApp  = "githubApp"
	HoldsProxy      = "proxy"
)

// CredentialInfo is what people may see of a credential: which kinds are set,
// and what is no secret.
type CredentialInfo struct {
	Kinds []string `json:"kinds,omitempty"`
	// Insecure names the checks that are switched off.
	Insecure []string `json:"insecure,omitempty"`
	// Options that are on: enableSubmodules, enableLFS, forceBasicAuth,
	// passCredentials.
	Options []string `json:"options,omitempty"`
	// Username goes with a password; alone it may be a token, and is not shown.
	Username string `json:"username,omitempty"`
	// Proxy without its user and password.
	Proxy                   string `json:"proxy,omitempty"`
	NoProxy                 string `json:"noProxy,omitempty"`
	GitHubAppID             int64  `json:"githubAppID,omitempty"`
	GitHubAppInstallationID int64  `json:"githubAppInstallationID,omitempty"`
	GitHubAppBaseURL        string `json:"githubAppBaseURL,omitempty"`
}

// RepositoryTest is how a repository answered, step by step.
type RepositoryTest struct {
	URL  string `json:"url"`
	Type string `json:"type"`
	// Credential that was tried: given, repository (the stored one), template or
	// none; Template is then its URL.
	Credential string           `json:"credential"`
	Template   string           `json:"template,omitempty"`
	OK         bool             `json:"ok"`
	Steps      []RepositoryStep `json:"steps"`
	// Problem of the step that failed.
	Problem *RepositoryProblem `json:"problem,omitempty"`
}

// RepositoryStep is one step of a test, such as dns, tcp, tls, auth, ls-remote,
// index or tags.
type RepositoryStep struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	// Milliseconds that it took.
	Milliseconds float64            `json:"milliseconds"`
	Problem      *RepositoryProblem `json:"problem,omitempty"`
}

// RepositoryProblem is why a step failed, in the words of the problem documents
// of the API.
type RepositoryProblem struct {
	Kind    string `json:"kind"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
	Field   string `json:"field,omitempty"`
	Found   string `json:"found,omitempty"`
	Allowed string `json:"allowed,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// RepositoryTestLine is one line of a test that is told while it runs: a step,
// or at the end the whole.
type RepositoryTestLine struct {
	Step *RepositoryStep `json:"step,omitempty"`
	Test *RepositoryTest `json:"test,omitempty"`
}
