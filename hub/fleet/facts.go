package fleet

import (
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// HubState is the single row about the hub itself.
type HubState struct {
	HubID string // random UUID, made at first start
	// Incarnation rises when the database turns out to be an older copy.
	Incarnation int64
	// IncarnationSignature is the CA's signature over the incarnation.
	IncarnationSignature []byte
	// HoldDeletes is set by a rise of the incarnation and cleared by an
	// administrator: no desired state may prune while it is set.
	HoldDeletes bool
}

// EnrolmentToken lets one agent enrol one cluster, once.
type EnrolmentToken struct {
	ID        string
	Hash      []byte // SHA-256 of the token; the token itself is not kept
	Cluster   string // name
	Labels    map[string]string
	Aliases   []string // server URLs
	Project   string
	CreatedBy string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    *time.Time
	UsedFrom  string // address
	// Refused is the last attempt to enrol with it that failed, nil when none did.
	Refused *EnrolmentRefusal
	// Preflight is what an agent with it found, nil when none has told.
	Preflight *EnrolmentPreflight
}

// EnrolmentPreflight is what an agent told before it enrolled. Nothing of it is
// proven but that who said it had the token.
type EnrolmentPreflight struct {
	At           time.Time
	From         string // address
	AgentVersion string
	Checks       []model.PreflightCheck
}

// EnrolmentRefusal is an attempt to enrol with a known token that failed.
type EnrolmentRefusal struct {
	At      time.Time
	From    string // address
	Code    string
	Message string
}

// Certificate is one issued to an agent.
type Certificate struct {
	Serial    string // hexadecimal
	Cluster   model.ClusterID
	NotBefore time.Time
	NotAfter  time.Time
	Revoked   bool
	// Fingerprint is the SHA-256 of the public key's SubjectPublicKeyInfo, in
	// hexadecimal; empty in records from before keys were noted.
	Fingerprint string
}

// OpenSession is one that a gateway holds, and Serial the certificate's that
// opened it.
type OpenSession struct {
	Cluster model.ClusterID
	Serial  string
	Epoch   model.Epoch
}

// FencedSession is one that may not go on.
type FencedSession struct {
	Cluster model.ClusterID
	Number  int64  // of its epoch
	Code    string // of why
	Newest  string // instance of the agent whose session is the cluster's newest
}

// App is an application as stored.
type App struct {
	UID     model.AppUID
	Name    string
	Project string
	Cluster model.ClusterID
	// ClusterName at reading time.
	ClusterName string
	Application model.Application
	// Version rises with each write; it is the ETag.
	Version   int64
	Deleting  bool // a delete operation is not finished
	CreatedAt time.Time
	Source    SourceState
	// Pin is set while a rollback is in force.
	Pin *Pin
	// SetAside is what rollbacks that are over have set aside, newest first, at
	// most MaxSetAside: the sources at these commits are deployed only when
	// somebody says so.
	SetAside [][]SourceAt
	// Unpinned: somebody has ended a rollback, and what the sources say was not
	// delivered since. It is wanted, whatever was set aside.
	Unpinned bool
}

// SourceState is what the hub knows of an application's sources. The last good
// state stays while Error is set.
type SourceState struct {
	App model.AppUID
	// Revision that was last rendered and accepted.
	Revision model.Revision
	// RenderKey identifies all inputs of that render (tree hashes, options,
	// tool version); equal keys need no render. It is empty while the
	// application, its project or its cluster was written and what comes of that
	// was not delivered yet.
	RenderKey string
	Bundle    model.Digest
	// Sources that it was rendered from, all of them; nil when that is not known.
	Sources []SourceAt
	// Warnings of that render.
	Warnings []model.Condition
	// Error of the newest attempt, nil when it succeeded.
	Error *model.Condition
	// At is the time of the newest attempt.
	At time.Time
}

// DesiredChange asks for an application's next desired state. WriteDesired
// assigns the generation, and only when the content differs.
type DesiredChange struct {
	Cluster model.ClusterID
	// AppVersion is the App.Version that the change was computed from. The
	// change is dropped when the application was written or deleted since.
	AppVersion int64
	// ProjectVersion of the project that it was computed with; 0 is not asked.
	// When the project was written since, the change is stored, without its
	// RenderKey: so what the project says now is not forgotten.
	ProjectVersion int64
	// ClusterLabels that it was computed with. When they are others by now it is
	// as if the project was written.
	ClusterLabels map[string]string
	Desired       model.Desired // Generation and HoldDeletes are ignored
	Source        SourceState
	// Sources that the bundle was rendered from, for the history; nil: those of
	// the generation before.
	Sources []SourceAt
	// Pin replaces the one in force, which is of the same rollback and now holds
	// another render. Release ends it: what is desired is not the past any more.
	Pin     *Pin
	Release bool
	// LimitsOnly: the application was refused. The stored state stays as it is
	// but for Project and ProjectSpec, so that its agent works within the limits
	// that are in force; the rest of Desired is ignored. Without a stored state
	// only Source is written. KeepSource: nor is that, since nothing was found out
	// about the sources.
	LimitsOnly, KeepSource bool
}

// NewOperation is a command as the API accepts it.
type NewOperation struct {
	App            model.AppUID
	Kind           model.OperationKind
	Spec           model.OperationSpec
	InitiatedBy    string
	IdempotencyKey string // empty: none
	// Version that the application must have, 0 for any.
	Version  int64
	Deadline time.Time
	// Deploy changes what is desired together with the operation, which is then
	// about that generation; nil for most.
	Deploy *Deploy
}

// Report is one observation of one application and where it came from.
type Report struct {
	model.AppReport
	Cluster model.ClusterID
	Epoch   model.Epoch
}

// ClusterReport is one observation of a cluster and where it came from.
type ClusterReport struct {
	model.ClusterReport
	Cluster model.ClusterID
	Epoch   model.Epoch
}

// Ack is an agent's answer to a desired state: taken, or refused with a reason.
type Ack struct {
	App        model.AppUID
	Generation model.Generation
	ErrorCode  string
	Error      string
}

// Beat is a heartbeat: every report up to Seq still held at ObservedAt.
type Beat struct {
	Cluster    model.ClusterID
	Epoch      model.Epoch
	Seq        uint64
	ObservedAt time.Time
	// RoundTrip is what the agent measured between its last heartbeat and the answer,
	// 0 for nothing; ClockAhead how far its clock is ahead of the hub's, nil when it
	// does not say.
	RoundTrip  time.Duration
	ClockAhead *time.Duration
}

// Bundle is a rendered set of objects in its encoded form.
type Bundle struct {
	Digest  model.Digest
	Encoded []byte
	Objects int
}

// OperationFilter selects operations; zero fields do not select.
type OperationFilter struct {
	App      model.AppUID
	Cluster  model.ClusterID
	OpenOnly bool
	Limit    int // 0: 100
	// Projects whose operations are meant; nil: all.
	Projects []string
	// Before is the number below which they are; 0: any.
	Before int64
}

// OperationCount is how many operations of a kind are in a phase.
type OperationCount struct {
	Phase model.OperationPhase
	Kind  model.OperationKind
	Count int
}

// ViewFilter selects application views; zero fields do not select.
type ViewFilter struct {
	Project string
	Cluster model.ClusterID
	Names   []string
	UIDs    []model.AppUID
}

// Repository is a source with its credential.
type Repository struct {
	model.Repository
	Credential *Credential // decrypted; only where the caller asked for it
}

// RepositoryTemplate is a credential template with its credential.
type RepositoryTemplate struct {
	model.RepositoryTemplate
	Credential *Credential // decrypted; only where the caller asked for it
}

// Credential is how a repository is reached and opened. It is sealed in
// Postgres; the zero value is no credential. Texts that are secret: Password,
// BearerToken, SSHKey, ClientKey, GitHubAppPrivateKey.
type Credential struct {
	// Type is git (also ""), helm or oci.
	Type string `json:"type,omitempty"`
	// Name is what "alias:NAME" and "@NAME" in the dependencies of a chart mean.
	Name string `json:"name,omitempty"`
	// Project whose applications alone may use the repository; "" is any. It is
	// that of the repository's row.
	Project string `json:"-"`

	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	// BearerToken goes into an Authorization header in place of user and
	// password.
	BearerToken string `json:"bearerToken,omitempty"`
	// ForceBasicAuth sends user and password without being asked.
	ForceBasicAuth bool `json:"forceBasicAuth,omitempty"`
	// PassCredentials lets charts be downloaded with the credential from
	// another host than the repository's.
	PassCredentials bool `json:"passCredentials,omitempty"`

	SSHKey     string `json:"sshKey,omitempty"`     // PEM
	KnownHosts string `json:"knownHosts,omitempty"` // OpenSSH format
	// InsecureIgnoreHostKey takes whatever SSH host key a server shows.
	InsecureIgnoreHostKey bool `json:"insecureIgnoreHostKey,omitempty"`

	CABundle   string `json:"caBundle,omitempty"`   // PEM, beside the system's
	ClientCert string `json:"clientCert,omitempty"` // PEM
	ClientKey  string `json:"clientKey,omitempty"`  // PEM
	// InsecureSkipVerify takes whatever TLS certificate a server shows.
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
	// InsecurePlainHTTP talks to an OCI registry without TLS.
	InsecurePlainHTTP bool `json:"insecurePlainHTTP,omitempty"`

	// Proxy is the URL of a proxy for this repository (http, https or socks5),
	// NoProxy the hosts that it is not used for.
	Proxy   string `json:"proxy,omitempty"`
	NoProxy string `json:"noProxy,omitempty"`

	// A GitHub App. Without an installation the one of the repository's owner
	// is looked up. BaseURL is that of the API of GitHub Enterprise, or "".
	GitHubAppID             int64  `json:"githubAppID,omitempty"`
	GitHubAppInstallationID int64  `json:"githubAppInstallationID,omitempty"`
	GitHubAppPrivateKey     string `json:"githubAppPrivateKey,omitempty"` // PEM
	GitHubAppBaseURL        string `json:"githubAppBaseURL,omitempty"`

	// EnableSubmodules and EnableLFS have submodules and LFS files fetched.
	EnableSubmodules bool `json:"enableSubmodules,omitempty"`
	EnableLFS        bool `json:"enableLFS,omitempty"`
}

// Target is what somebody follows in a repository: a revision of Git, a version
// of a chart, or a tag of an OCI artifact. It is comparable.
type Target struct {
	RepoURL string
	// Chart is the name of a chart; RepoURL is then that of a chart repository
	// or OCI registry.
	Chart string
	// Revision as the Application has it; "" is HEAD of Git, or the newest
	// version.
	Revision string
	// TagPrefix limits a semver constraint to tags that begin with it.
	TagPrefix string
	// PassCredentials sends the credential of a chart's repository to other hosts
	// that its archives are on, as Credential.PassCredentials does for all charts.
	PassCredentials bool
}

// TargetOf is what a source follows.
func TargetOf(s model.Source) Target {
	return Target{
		RepoURL: s.RepoURL, Chart: s.Chart, Revision: s.TargetRevision, TagPrefix: s.TagPrefix,
		PassCredentials: s.Chart != "" && s.Helm != nil && s.Helm.PassCredentials,
	}
}

// Repository type of a Target.
const (
	Git  = model.RepositoryGit
	Helm = model.RepositoryHelm
	OCI  = model.RepositoryOCI
)

// Type tells how the repository is spoken to: OCI for oci:// and for charts of
// a registry without a scheme, Helm for other charts, else Git.
func (t Target) Type() string {
	switch {
	case strings.HasPrefix(strings.ToLower(t.RepoURL), "oci://"), t.Chart != "" && !strings.Contains(t.RepoURL, "://"):
		return OCI
	case t.Chart != "":
		return Helm
	}
	return Git
}

// APIToken authenticates a person or program to the API: a token that was issued,
// or the session of somebody who is logged in.
type APIToken struct {
	ID    string
	Name  string // who
	Hash  []byte
	Admin bool
	// Grants are what it may do when it is not Admin.
	Grants    []Grant
	CreatedAt time.Time
	ExpiresAt time.Time
	LastUsed  *time.Time

	// User is the id of the local user whose session it is, or who issued it; ""
	// for none.
	User string
	// Issuer is who issued an API token, nil when that is not known or was nobody.
	Issuer *Issuer
	// Session is not nil when somebody is logged in.
	Session *LoginSession

	// Project and Role are set for the token of a project's role, which may what the
	// role may and has no grants. Its Name is RoleSubject, Label what it was called
	// by CreatedBy.
	Project, Role, Label, CreatedBy string
}

// Issuer is who issued an API token while logged in, or with a token of his.
type Issuer struct {
	// Provider vouches for Subject, which it knows under Name: of a local user the
	// provider is LocalProvider and the subject the user's id.
	Provider, Subject, Name string
	// Groups are those of the newest login at the provider. Admin: the account is an
	// administrator's, whatever a policy says.
	Groups []string
	Admin  bool
	// By is the id of the session or token that asks, while the token is made. One of
	// an identity provider's people is made only as long as that is there.
	By string
}

// IssuedBy is who issues a token that t asks for, nil when nobody is known.
func IssuedBy(t APIToken) *Issuer {
	switch {
	case t.Session != nil:
		return &Issuer{Provider: t.Session.Provider, Subject: t.Session.Subject, Name: t.Session.Name, Groups: t.Session.Groups, Admin: t.Admin, By: t.ID}
	case t.Issuer != nil:
		by := *t.Issuer
		by.By = t.ID
		return &by
	}
	return nil
}

// RoleSubject is how a role of a project is named as somebody who acts.
func RoleSubject(project, role string) string { return "proj:" + project + ":" + role }

// NewRoleToken is a token of a project's role to be made.
type NewRoleToken struct {
	Project, Role string
	// Label is what to call it, "" for nothing.
	Label string
	// Lifetime 0 is the default.
	Lifetime  time.Duration
	CreatedBy string
}

// NewAPIToken is a token to be made: an administrator's, or one with grants.
type NewAPIToken struct {
	// Owner is the id of the local user who issues it, "" for none.
	Owner string
	// Issuer is who does, nil for nobody.
	Issuer *Issuer
	Name   string
	// Lifetime 0 is the default.
	Lifetime time.Duration
	Admin    bool
	Grants   []Grant
}

// Grant is a role in the projects whose names a glob matches.
type Grant struct {
	Project string `json:"project"`
	Role    string `json:"role"`
}

// The roles, each of which may what those before it may: read; sync, roll back,
// refresh, end operations and run things; write applications.
const (
	RoleViewer   = "viewer"
	RoleOperator = "operator"
	RoleEditor   = "editor"
)
