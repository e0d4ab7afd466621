package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
	"github.com/hawser-dev/hawser/shared/telemetry/probe"
)

// Store is the part of the database that the API reads and writes. All methods
// block for a round trip or a transaction; errors are faults, Unavailable when
// the database is away.
type Store interface {
	HubState(ctx context.Context) (fleet.HubState, error)
	AcknowledgeRestore(ctx context.Context) error

	CreateEnrolmentToken(ctx context.Context, t fleet.EnrolmentToken) error
	EnrolmentTokens(ctx context.Context) ([]fleet.EnrolmentToken, error)
	DeleteEnrolmentToken(ctx context.Context, id string) error

	Clusters(ctx context.Context) ([]model.Cluster, error)
	Cluster(ctx context.Context, nameOrID string) (model.Cluster, error)
	// Line is how a cluster's agent is connected, QueuedChanges what it has not
	// acknowledged.
	Line(ctx context.Context, cluster model.ClusterID) (fleet.Line, error)
	QueuedChanges(ctx context.Context, cluster model.ClusterID) ([]fleet.QueuedChange, error)
	RevokeCluster(ctx context.Context, id model.ClusterID) error
	AllowCluster(ctx context.Context, id model.ClusterID) error
	// SetClusterAliases and SetClusterLabels write over the version that is expected,
	// 0 for any: Conflict (version_conflict) when there is another.
	SetClusterAliases(ctx context.Context, id model.ClusterID, aliases []string, expected int64) error
	SetClusterLabels(ctx context.Context, id model.ClusterID, labels map[string]string, expected int64) error
	// SetClusterKubectl says whether kubectl may go through the hub to the cluster.
	SetClusterKubectl(ctx context.Context, id model.ClusterID, on bool, expected int64) error
	ResolveDestination(ctx context.Context, d model.Destination) (model.Cluster, error)
	DeleteCluster(ctx context.Context, id model.ClusterID, expected int64) error

	// UpsertProject keeps by as who changed it, when it did.
	// UpsertProjectOver with version 0 overwrites whatever there is; else Conflict
	// version_conflict when the stored version differs.
	UpsertProjectOver(ctx context.Context, p model.AppProject, by string, version int64) (model.AppProject, error)
	// ProjectObjects is how many objects were accepted of each application, by
	// project.
	ProjectObjects(ctx context.Context) (map[string]map[model.AppUID]int, error)
	// ObjectsOfProject is that of one project.
	ObjectsOfProject(ctx context.Context, project string) (map[model.AppUID]int, error)
	Project(ctx context.Context, name string) (model.AppProject, error)
	Projects(ctx context.Context) ([]model.AppProject, error)
	// ProjectAndGlobals reads one project, if there is one of that name, and all
	// that can hand rules on.
	ProjectAndGlobals(ctx context.Context, name string) ([]model.AppProject, error)
	DeleteProject(ctx context.Context, name string, expected int64) error

	// UpsertRepository with a nil Credential keeps the stored one. With a Version it
	// is written over that one, as a template is: Conflict (version_conflict).
	UpsertRepository(ctx context.Context, r fleet.Repository) (model.Repository, error)
	Repositories(ctx context.Context) ([]model.Repository, error)
	Repository(ctx context.Context, id string) (fleet.Repository, error)
	DeleteRepository(ctx context.Context, id string, expected int64) error
	// RepositoryProject is the project whose applications alone may use a
	// repository, "" when it is any.
	RepositoryProject(ctx context.Context, url string) (string, error)

	UpsertRepositoryTemplate(ctx context.Context, t fleet.RepositoryTemplate) (model.RepositoryTemplate, error)
	RepositoryTemplates(ctx context.Context) ([]model.RepositoryTemplate, error)
	RepositoryTemplate(ctx context.Context, id string) (fleet.RepositoryTemplate, error)
	DeleteRepositoryTemplate(ctx context.Context, id string, expected int64) (url string, err error)
	// TemplateFor is the credential template for a repository of a project, nil
	// and "" when there is none.
	TemplateFor(ctx context.Context, url, project string) (c *fleet.Credential, template string, err error)

	// UpsertApplication with Version 0 overwrites whatever there is; else
	// Conflict version_conflict when the stored version differs.
	UpsertApplication(ctx context.Context, a fleet.App) (app fleet.App, created bool, err error)
	Application(ctx context.Context, name string) (fleet.App, error)
	Applications(ctx context.Context) ([]fleet.App, error)
	AppViews(ctx context.Context, f fleet.ViewFilter) ([]model.AppView, error)
	AppView(ctx context.Context, name string) (model.AppView, error)
	// AppDetails are AppView of those that there are of some names; AppDocuments
	// only what was written of each.
	AppDetails(ctx context.Context, names []string) ([]model.AppView, error)
	AppDocuments(ctx context.Context, uids []model.AppUID) (map[model.AppUID]*model.Application, error)
	// Tree is NotFound (tree_not_found) as long as none was reported.
	Tree(ctx context.Context, app model.AppUID) (fleet.Tree, error)
	// TreeState says which one is the newest, without reading it.
	TreeState(ctx context.Context, name string) (fleet.TreeState, error)

	// UpsertApplicationSet with expected 0 overwrites whatever there is; else
	// Conflict version_conflict when the stored version differs, as
	// DeleteApplicationSet does.
	UpsertApplicationSet(ctx context.Context, set model.ApplicationSet, expected int64) (stored model.ApplicationSet, created bool, err error)
	ApplicationSet(ctx context.Context, name string) (model.ApplicationSet, error)
	ApplicationSets(ctx context.Context) ([]model.ApplicationSet, error)
	DeleteApplicationSet(ctx context.Context, name string, expected int64) error

	// Deployments are what was deployed of an application, oldest first.
	Deployments(ctx context.Context, app model.AppUID) ([]fleet.Deployment, error)
	// DesiredOf is not ok when nothing of the application was rendered yet.
	DesiredOf(ctx context.Context, app model.AppUID) (d model.Desired, ok bool, err error)
	// ReleasePin is Precondition (not_pinned) when there is no pin.
	ReleasePin(ctx context.Context, app model.AppUID, by, reason string) (fleet.Pin, error)
	// AmendDelete changes the delete that is under way; At is set by the store. It
	// is NotFound (operation_not_found) when the application is not being deleted.
	AmendDelete(ctx context.Context, app model.AppUID, only model.OperationID, a model.Amendment) (model.OperationInfo, error)

	CreateOperation(ctx context.Context, n fleet.NewOperation) (op model.OperationInfo, existed bool, err error)
	OperationByKey(ctx context.Context, key string) (op model.OperationInfo, found bool, err error)
	Operation(ctx context.Context, id model.OperationID) (model.OperationInfo, error)
	Operations(ctx context.Context, f fleet.OperationFilter) ([]model.OperationInfo, error)
	TerminateOperation(ctx context.Context, id model.OperationID, by string) (model.OperationInfo, error)
}

// Console is asked about the paths that no route has.
type Console interface {
	// Serves reports whether a request is for it: for a page, or a file of one. Nothing
	// below /api is.
	Serves(r *http.Request) bool
	// ServeHTTP answers it, with a Content-Security-Policy and a Cache-Control of its own.
	http.Handler
}

// Auth says who calls. from is the address of the connection.
type Auth interface {
	Login(ctx context.Context, from, code string) (token string, info fleet.APIToken, err error)
	Authenticate(ctx context.Context, from, token string) (fleet.APIToken, error)
	// Recheck asks again about a token that was authenticated; it counts no
	// attempt.
	Recheck(ctx context.Context, token string) (fleet.APIToken, error)
	// IssueForCluster makes a token that is good for one cluster's API server only,
	// and ends with the caller's own. AuthenticateForCluster and RecheckForCluster
	// take these too; only is then the cluster.
	IssueForCluster(caller fleet.APIToken, cluster model.ClusterID) (token string, until time.Time, err error)
	AuthenticateForCluster(ctx context.Context, from, token string) (t fleet.APIToken, only model.ClusterID, err error)
	RecheckForCluster(ctx context.Context, token string) (t fleet.APIToken, only model.ClusterID, err error)
	Issue(ctx context.Context, n fleet.NewAPIToken) (token string, info fleet.APIToken, err error)
	Tokens(ctx context.Context) ([]fleet.APIToken, error)
	Revoke(ctx context.Context, id string) error
	// Holder is the token or session with an id, while it may act: NotFound.
	Holder(ctx context.Context, id string) (fleet.APIToken, error)
	// End is Revoke of whatever the caller has.
	End(ctx context.Context, caller fleet.APIToken) error

	PasswordLogin(ctx context.Context, from, name, password string, browser bool) (fleet.Login, error)
	// FirstUser makes the first administrator, and logs him in.
	FirstUser(ctx context.Context, from, code, name, password string, browser bool) (fleet.Login, error)
	Confirm(ctx context.Context, from string, caller fleet.APIToken, password string) (fleet.Login, error)
	ChangePassword(ctx context.Context, from string, caller fleet.APIToken, current, next string) (fleet.Login, error)
	// Fresh is nil when the caller may do dangerous things without confirming it.
	Fresh(caller fleet.APIToken) error

	// IssueForRole is NotFound (project_unknown, role_unknown) when the project has no
	// such role; RolesChanged tells that some may be gone, with their tokens.
	IssueForRole(ctx context.Context, n fleet.NewRoleToken) (token string, info fleet.APIToken, err error)
	TokensOfRole(ctx context.Context, project, role string) ([]fleet.APIToken, error)
	RevokeOfRole(ctx context.Context, project, role, id string) error
	RolesChanged(project string)

	// Sessions, EndSession and EndSessions are about those of the caller's own.
	Sessions(ctx context.Context, caller fleet.APIToken) ([]fleet.LoginSession, error)
	EndSession(ctx context.Context, caller fleet.APIToken, id string) error
	EndSessions(ctx context.Context, caller fleet.APIToken) (int, error)
	AllSessions(ctx context.Context) ([]fleet.LoginSession, error)
	EndAnySession(ctx context.Context, id string) error

	Users(ctx context.Context) ([]fleet.User, error)
	User(ctx context.Context, name string) (fleet.User, error)
	CreateUser(ctx context.Context, n fleet.NewUser) (fleet.User, error)
	// ChangeUser and DeleteUser end the user's sessions.
	ChangeUser(ctx context.Context, name string, c fleet.NewUserChange) (fleet.User, error)
	DeleteUser(ctx context.Context, name string) error
}

// Agents wakes agent sessions. Its methods never block, and losing a call only
// delays what the tables say.
type Agents interface {
	Notify(cluster model.ClusterID, apps ...model.AppUID)
	NotifyAll()
	NotifyOperation(cluster model.ClusterID)
	// Refresh asks the agent to compare now; false when it is not connected.
	Refresh(cluster model.ClusterID, apps ...model.AppUID) bool
	CloseCluster(cluster model.ClusterID, code, reason string)
}

// Delivery looks at applications anew.
type Delivery interface {
	// ApplicationsWritten, ProjectWritten and ClusterWritten never block.
	ApplicationsWritten(apps ...model.AppUID)
	ProjectWritten(name string)
	// ClusterWritten: labels or what else projects ask of the cluster changed.
	ClusterWritten(cluster model.ClusterID)
	// Prepare makes sure that content can be desired again. It blocks while the
	// database is read, and while something is rendered. deployment is the one
	// that is gone back to, 0 for none.
	Prepare(ctx context.Context, app fleet.App, content fleet.Content, deployment int64) (fleet.Deploy, error)
	// Limit has the agent limited to what the project permits now, before a command
	// is stored that it is to judge by that. It blocks while the database is read.
	Limit(ctx context.Context, app fleet.App) error
	// Settle blocks, as long as ctx, until what was written of an application or its
	// project is decided and stored: whether it had to wait, and whether it is.
	Settle(ctx context.Context, app model.AppUID) (waited, settled bool)
	// Changes tells two bundles of an application apart.
	Changes(ctx context.Context, app fleet.App, from, to model.Digest) ([]model.ResourceResult, error)
}

// Actions asks agents what can be done with an object.
type Actions interface {
	// ResourceActions blocks until the agent has answered; Unavailable when it is
	// not connected.
	ResourceActions(ctx context.Context, app fleet.App, by string, key model.ObjectKey) ([]model.ResourceAction, error)
}

// Sources speaks to repositories.
type Sources interface {
	// Poke asks for a look at a repository soon; it never blocks.
	Poke(repoURL string)
	// PokeUnder is Poke of every repository in use whose URL begins with prefix.
	PokeUnder(prefix string)
	// Probe connects to a repository step by step and blocks until it answered,
	// at most as long as ctx. cred may be nil. It calls each with every step, in
	// order, up to the first that fails, whose error it returns.
	Probe(ctx context.Context, repoURL string, cred *fleet.Credential, each func(ProbeStep)) error
}

// ProbeStep is one step of reaching a repository.
type ProbeStep struct {
	Name, Detail string
	Took         time.Duration
	Err          error
}

// Publisher puts changes on the event stream; it never blocks.
type Publisher interface {
	// PublishApplications publishes the present rows of applications, or that
	// they are gone.
	PublishApplications(apps []model.AppUID)
	// Publish publishes body as an event of the type about the thing with the
	// key. body must not change afterwards.
	Publish(eventType, key string, body any)
}

// Stream opens readers of the event stream.
type Stream interface {
	// Resume starts after the event with that id; "" starts with what comes.
	Resume(lastID string) StreamReader
}

// StreamReader follows the event stream. It belongs to one goroutine.
type StreamReader interface {
	// Next blocks until there are events. It returns ErrReset when some were
	// missed, and goes on with the newest after that.
	Next(ctx context.Context) ([]StreamEvent, error)
	// Position is the id to resume from.
	Position() string
}

// StreamEvent is one event.
type StreamEvent struct {
	ID, Type, Key string
	// Project and Name of the application that it is about, where there is one; of
	// a repository its URL.
	Project, Name string
	// Token that alone hears of it besides administrators, "" for things of a project.
	Token string
	Body  func() ([]byte, error)
}

// ErrReset says that a StreamReader missed events.
var ErrReset = errors.New("events were missed")

// Options are the parts of an API. All are required but where it says otherwise.
type Options struct {
	Store     Store
	Auth      Auth
	Agents    Agents
	Delivery  Delivery
	Sources   Sources
	Publisher Publisher
	Stream    Stream
	Inventory Inventory
	// Policies says who may do what besides the grants; nil: nothing does.
	Policies Policies
	// Trees keeps encoded trees; nil: each is made anew.
	Trees Answers
	// CursorKey authenticates cursors; the same for all replicas.
	CursorKey []byte
	// NewEnrolmentToken makes a token and its hash.
	NewEnrolmentToken func() (token string, hash []byte, err error)
	// Ready says why the hub cannot serve, nil when it can.
	Ready func(ctx context.Context) error
	// Previews may be nil when nothing can be rendered that is not deployed.
	Previews Previews
	// Signatures asks a project about the signatures of an application's sources,
	// as far as they are known; it must not block. Nil when nothing is verified.
	Signatures func(rules policy.Project, spec model.ApplicationSpec) policy.Decision
	// Plugins may be nil when there are none.
	Plugins Plugins
	// Actions may be nil when agents cannot be asked.
	Actions Actions
	// Access may be nil when agents cannot be asked. AllowExec lets commands be
	// run in containers, where the cluster's agent allows it too.
	Access       Access
	AccessLimits AccessLimits
	AllowExec    bool
	// Vouch signs whose a request to a cluster's API server is; nil: kubectl does not
	// go through this hub.
	Vouch func(kubecall.Statement) (model.KubeIdentity, error)
	// Settings for all clusters; nil for none. SettingsChanged, which may be nil,
	// is called when they changed and must not block.
	Settings Settings
	// GPGKeys that projects may trust; nil for none. GPGKeysChanged, which may be
	// nil, is called after a change.
	GPGKeys         GPGKeys
	GPGKeysChanged  func()
	SettingsChanged func()
	// SavedViews of lists; nil for none.
	SavedViews SavedViews
	// SSO has people log in at IdentityProviders; nil for none, as both are.
	SSO               SSO
	IdentityProviders IdentityProviders
	// Requests keeps answers under idempotency keys; nil: only operations and jobs
	// know theirs.
	Requests Requests
	// Jobs keeps commands to many applications; nil for none.
	Jobs Jobs
	// Audit has a record of each command; nil: there are none.
	Audit Audit
	// Webhook takes POST /api/webhook; nil for none.
	Webhook http.Handler
	// Console has the pages for browsers; nil for none.
	Console Console

	Version string
	// Advertise is HOST:PORT for agents; CAHash is what they pin.
	Advertise, CAHash string
	// InstallAgent says how an agent is installed, by helm and by kubectl.
	InstallAgent func(AgentInstallation) (helm, manifest string, err error)
	// AllowHTTPCredentials permits repository credentials over plain http, and
	// AllowFileRepositories file:// URLs.
	AllowHTTPCredentials, AllowFileRepositories bool

	// Checks are the parts that /readyz asks; nil: only Ready, as "database".
	Checks []probe.Check
	// Observer is told of what is answered; nil: nobody is. Tracer makes spans of
	// requests; nil: none.
	Observer Observer
	Tracer   trace.Tracer

	Log *slog.Logger
	// Now may be nil for the system's clock.
	Now func() time.Time
	// Heartbeat of the event stream, 15 s when zero. Callers are authenticated
	// again at least every third of it, and every two seconds.
	Heartbeat time.Duration
}

// AgentInstallation is what the installation of an agent depends on, beside the hub.
type AgentInstallation struct {
	Cluster, Token string
	// Profile of rights, empty for the default; Namespaces where one needs them.
	Profile    string
	Namespaces []string
}
