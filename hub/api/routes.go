package api

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/model"
)

// Route is one operation of the API. The table of them (Routes) is what the
// handlers are registered from, what the OpenAPI document and the clients are
// generated from, and what says who may call what. A route that is not in it
// does not exist.
type Route struct {
	// Method and Path as gin writes it, with its parameters after a colon; below
	// /api/v1.
	Method, Path string
	// ID names the operation in the document and the clients: a verb and a noun in
	// lower camel case.
	ID string
	// Summary is one line without a full stop; Detail what else is to be known.
	Summary, Detail string
	// Tag is the noun under which the document lists it.
	Tag string
	// Verb and Resource are what the caller must be permitted to do. Without a
	// resource everybody who has logged in may.
	Verb Verb
	// Resource is the kind of thing; Decide is asked with the project of the one
	// that the path names.
	Resource Resource
	// Public routes need no token.
	Public bool
	// Fresh: somebody who is logged in must have authenticated a moment ago, unless
	// only a preview is asked for. FreshFor says which requests want that where not
	// all do: the handler asks fresh.
	Fresh    bool
	FreshFor string
	Query    []Parameter
	// Body is a value of the type that is decoded; nil for none. Kinds other than
	// structs, such as manifest, have a schema of their own.
	Body         any
	BodyOptional bool
	// Answer is a value of the type that is answered with Status; nil for none.
	Answer any
	Status int
	// Others are further good statuses, which answer the same.
	Others []int
	Stream Streaming
	// Keyed commands take an Idempotency-Key. Tagged answers have an ETag, and
	// Matched writes take an If-Match.
	Keyed, Tagged, Matched bool
	// Kept: the answer to a key is kept for a day, and given again. Other keyed
	// commands are operations or jobs, which know their keys themselves.
	Kept bool
	// Asks: a question, although it is sent as a write is: it changes nothing, and has
	// no audit record.
	Asks bool

	handler func(*api, *gin.Context)
	// when is nil for routes that every hub has.
	when func(Options) bool
}

// Verb is what is done to a resource, which is a kind of thing; package
// permission says who may.
type (
	Verb     = permission.Verb
	Resource = permission.Resource
)

// The verbs.
const (
	VerbGet       = permission.Get
	VerbLogs      = permission.Logs
	VerbEvents    = permission.Events
	VerbSync      = permission.Sync
	VerbRollback  = permission.Rollback
	VerbRefresh   = permission.Refresh
	VerbTerminate = permission.Terminate
	VerbAction    = permission.RunAction
	VerbExec      = permission.Exec
	VerbCreate    = permission.Create
	VerbUpdate    = permission.Update
	VerbDelete    = permission.Delete

	VerbDeleteObject = permission.DeleteObject
)

// The resources.
const (
	ResourceApplications    = permission.Applications
	ResourceOperations      = permission.Operations
	ResourceSets            = permission.ApplicationSets
	ResourceClusters        = permission.Clusters
	ResourceProjects        = permission.Projects
	ResourceRepositories    = permission.Repositories
	ResourceTokens          = permission.Tokens
	ResourceAccounts        = permission.Accounts
	ResourceEnrolmentTokens = permission.EnrolmentTokens
	ResourceTemplates       = permission.Templates
	ResourceSettings        = permission.Settings
	ResourceGPGKeys         = permission.GPGKeys
	ResourceAudit           = permission.Audit
)

// Parameter is one of the query.
type Parameter struct {
	Name string
	// Type is string, integer, boolean, duration or time.
	Type    string
	Meaning string
	// Allowed values, when they are a closed set.
	Allowed  []string
	Required bool
	// Many: it may be given more than once.
	Many bool
}

// Streaming says that an answer does not end at once.
type Streaming string

// The streams.
const (
	NoStream Streaming = ""
	// SSE are server-sent events.
	SSE Streaming = "text/event-stream"
	// Lines are JSON documents, one in a line, when the caller accepts them.
	Lines Streaming = mediaLines
	// WebSocket is a connection of its own protocol.
	WebSocket Streaming = "websocket"
)

// Routes is the table. The caller must not change it.
func Routes() []Route {
	return slices.Concat(
		sessionRoutes, hubRoutes, accountRoutes, tokenRoutes, clusterRoutes, projectRoutes, roleTokenRoutes, projectPreviewRoutes, explainRoutes, canRoutes, repositoryRoutes,
		applicationRoutes, applicationSetRoutes, previewRoutes, liveRoutes, operationRoutes, settingsRoutes, rbacRoutes, jobRoutes, gpgKeyRoutes, savedViewRoutes, auditRoutes,
		ssoRoutes, providerRoutes,
	)
}

// Tag is a noun under which routes are listed.
type Tag struct{ Name, Meaning string }

// Tags are the nouns, in the order of the document.
func Tags() []Tag {
	return []Tag{
		{"applications", "What is to run where, and commands about it"},
		{"objects", "Looks into the clusters: live objects, events, logs, commands in containers"},
		{"applicationsets", "What makes applications of a pattern"},
		{"operations", "Durable commands and how they ended"},
		{"jobs", "Commands to many applications at once"},
		{"views", "Saved views of lists, of people and of projects"},
		{"projects", "What each team may deploy, from where, to where"},
		{"clusters", "Enrolled clusters, and tokens with which agents enrol"},
		{"repositories", "Sources and their credentials"},
		{"settings", "Settings for all clusters"},
		{"tokens", "API tokens"},
		{"accounts", "Local users, who log in with a password"},
		{"audit", "What was done and what was refused"},
		{"session", "Logging in"},
		{"hub", "The hub itself, and the stream of what changes"},
	}
}

// register adds the routes of the table to gin.
func (a *api) register(public, authenticated *gin.RouterGroup) {
	for _, r := range Routes() {
		if r.when != nil && !r.when(a.opts) {
			continue
		}
		group := authenticated
		if r.Public {
			group = public
		}
		a.routes[r.Method+" /api/v1"+r.Path] = r
		group.Handle(r.Method, r.Path, func(c *gin.Context) {
			switch {
			case !a.typed(c), !a.admitted(c, r), !a.confirmed(c, r), !a.recorded(c, r), !a.conditionsHeld(c, r):
			case r.Kept:
				a.once(c, r)
			default:
				r.handler(a, c)
			}
		})
	}
}

// ---- parameters that several routes have

var (
	limitParameter = Parameter{Name: "limit", Type: "integer", Meaning: "how many at most, from 1 to 500; 100 when it is left out"}
	cursorParam    = Parameter{Name: "cursor", Type: "string", Meaning: "nextCursor of the answer before; the other parameters must be the same"}
	openParameter  = Parameter{Name: "open", Type: "boolean", Meaning: "only those that have not ended"}
	// selectorParameters say which objects of an application are meant.
	selectorParameters = []Parameter{
		{Name: "group", Type: "string", Meaning: "API group; empty is the core group, left out is any"},
		{Name: "kind", Type: "string", Meaning: "kind, singular, plural or a usual short name, in any case"},
		{Name: "namespace", Type: "string", Meaning: "namespace of the object"},
		{Name: "resourceName", Type: "string", Meaning: "name of the object"},
	}
)

func with(p []Parameter, more ...Parameter) []Parameter { return slices.Concat(p, more) }

// manifest is the body of routes that take an object as Argo CD writes it, in
// JSON or YAML.
type manifestOf[T any] struct{ Object T }

// manifests is a text of several objects.
type manifests struct{}

// liveObject is an object as a cluster has it.
type liveObject struct{}

// ---- the table, by noun

var sessionRoutes = []Route{
	{
		Method: http.MethodPost, Path: "/login", ID: "login", Tag: "session", Summary: "Log in with a name and a password, or with the login code of the first start",
		Detail: "The hub prints the code until it is used; it works once, and is exchanged for an API token or, with a name and a password, makes the first administrator. With browser=true the secret of the session is in a cookie and not in the answer. A session ends after 30 minutes without use, and after 12 hours.",
		Public: true, Body: loginRequest{}, Answer: loginAnswer{}, Status: http.StatusOK, handler: (*api).login,
	},
	{
		Method: http.MethodGet, Path: "/whoami", ID: "getCaller", Tag: "session", Summary: "Who the token is of, and what the policy gives",
		Query:  []Parameter{{Name: "rules", Type: "boolean", Meaning: "with the lines of the policy and of projects that count"}},
		Answer: caller{}, Status: http.StatusOK, handler: (*api).whoami,
	},
	{
		Method: http.MethodPost, Path: "/logout", ID: "logout", Tag: "session", Summary: "Revoke the token, or end the session, that asks",
		Status: http.StatusNoContent, handler: (*api).logout,
	},
	{
		Method: http.MethodGet, Path: "/version", ID: "getVersion", Tag: "session", Summary: "Version of the hub",
		Answer: versionAnswer{}, Status: http.StatusOK, handler: (*api).version,
	},
}

var hubRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/hub", ID: "getHub", Tag: "hub", Summary: "The hub's identity and state",
		Answer: hubAnswer{}, Status: http.StatusOK, handler: (*api).hub,
	},
	{
		Method: http.MethodPost, Path: "/hub/acknowledge-restore", ID: "acknowledgeRestore", Tag: "hub",
		Summary: "Allow deletes again after the database was restored", Verb: VerbUpdate, Resource: ResourceSettings, Fresh: true,
		Answer: hubAnswer{}, Status: http.StatusOK, handler: (*api).acknowledgeRestore,
	},
	{
		Method: http.MethodGet, Path: "/fleet/summary", ID: "getFleetSummary", Tag: "hub", Summary: "The fleet in numbers",
		Detail: "What is stale is counted as that, and in no other sum.",
		Verb:   VerbGet, Resource: ResourceClusters, Answer: fleet.FleetSummary{}, Status: http.StatusOK, handler: (*api).fleetSummary,
	},
	{
		Method: http.MethodGet, Path: "/fleet/map", ID: "getFleetMap", Tag: "hub", Summary: "All clusters in columns, and what needs attention",
		Detail: "The n-th value of each column is about the n-th cluster, by name. Nothing is cut: 5,000 clusters take some 60 kB. Those that the filter does not select are named in dimmed.",
		Query: []Parameter{
			{Name: "filter", Type: "string", Meaning: "clusters that are not dimmed, such as state:offline env:prod; see docs/filters.md"},
			{Name: "project", Type: "string", Meaning: "only applications of a project, and the clusters that have some or are reserved for it"},
		},
		Verb: VerbGet, Resource: ResourceClusters, Answer: fleet.FleetMap{}, Status: http.StatusOK, Tagged: true, handler: (*api).fleetMap,
	},
	{
		Method: http.MethodGet, Path: "/fleet/timeline", ID: "getFleetTimeline", Tag: "hub", Summary: "What happened in the last hour, minute by minute",
		Detail: "Operations that ended, applications that degraded or drifted, clusters that were lost or connected: numbers per minute, and the newest 50. It is kept in memory: knownSince says from when on nothing is missing. Of one cluster it has each connection with the reason of its end, and refusals of its agent.",
		Query: []Parameter{
			{Name: "project", Type: "string", Meaning: "only applications of a project, and the clusters that have some or are reserved for it"},
			{Name: "cluster", Type: "string", Meaning: "only what happened on a cluster, by name or id"},
			{Name: "kind", Type: "string", Meaning: "which are listed, with commas: synced, failed, degraded, drifted, lost, connected, refused; what is counted stays the same"},
			{Name: "minute", Type: "string", Meaning: "when the minute began of which they are listed, such as 2026-05-01T12:30:00Z"},
		},
		Verb: VerbGet, Resource: ResourceClusters, Answer: fleet.FleetTimeline{}, Status: http.StatusOK, Tagged: true, handler: (*api).fleetTimeline,
	},
	{
		Method: http.MethodGet, Path: "/events", ID: "streamEvents", Tag: "hub", Summary: "Follow what changes",
		Detail: "Begins with the event hello, whose id is sent as Last-Event-ID to resume. The event reset says that some were missed, or that what the caller sees has changed, and that everything is to be read again. The event end has the problem that ends the stream.",
		Query: []Parameter{
			{Name: "type", Type: "string", Meaning: "only events of these types, with commas"},
			{Name: "project", Type: "string", Meaning: "only those of a project"},
			{Name: "application", Type: "string", Meaning: "only those about an application"},
		},
		Stream: SSE, Status: http.StatusOK, handler: (*api).events,
	},
}

var tokenRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/tokens", ID: "listTokens", Tag: "tokens", Summary: "API tokens, without their secrets",
		Verb: VerbGet, Resource: ResourceTokens, Answer: list[apiToken]{}, Status: http.StatusOK, handler: (*api).listTokens,
	},
	{
		Method: http.MethodPost, Path: "/tokens", ID: "createToken", Tag: "tokens", Summary: "Issue an API token",
		Verb: VerbCreate, Resource: ResourceTokens, Fresh: true, Body: newTokenRequest{}, Answer: issuedToken{}, Status: http.StatusCreated, handler: (*api).createToken,
	},
	{
		Method: http.MethodDelete, Path: "/tokens/:id", ID: "deleteToken", Tag: "tokens", Summary: "Revoke an API token",
		Verb: VerbDelete, Resource: ResourceTokens, Fresh: true, Status: http.StatusNoContent, handler: (*api).deleteToken,
	},
}

var clusterRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/enrolment-tokens", ID: "listEnrolmentTokens", Tag: "clusters", Summary: "Tokens with which agents enrol, without their secrets",
		Verb: VerbGet, Resource: ResourceEnrolmentTokens, Answer: list[enrolmentToken]{}, Status: http.StatusOK, handler: (*api).listEnrolmentTokens,
	},
	{
		Method: http.MethodPost, Path: "/enrolment-tokens", ID: "createEnrolmentToken", Tag: "clusters", Summary: "Issue a token with which one agent enrols",
		Verb: VerbCreate, Resource: ResourceEnrolmentTokens, Fresh: true, Body: enrolmentRequest{}, Answer: issuedEnrolmentToken{}, Status: http.StatusCreated, handler: (*api).createEnrolmentToken,
	},
	{
		Method: http.MethodDelete, Path: "/enrolment-tokens/:id", ID: "deleteEnrolmentToken", Tag: "clusters", Summary: "Take an enrolment token back",
		Verb: VerbDelete, Resource: ResourceEnrolmentTokens, Fresh: true, Status: http.StatusNoContent, handler: (*api).deleteEnrolmentToken,
	},
	{
		Method: http.MethodGet, Path: "/clusters", ID: "listClusters", Tag: "clusters", Summary: "Enrolled clusters",
		Verb: VerbGet, Resource: ResourceClusters, Query: with(listParameters, Parameter{Name: "project", Type: "string", Meaning: "only those reserved for a project"}, Parameter{Name: "selector", Type: "string", Meaning: "label selector as kubectl takes it"}),
		Answer: page[model.Cluster]{}, Status: http.StatusOK, handler: (*api).listClusters,
	},
	{
		Method: http.MethodGet, Path: "/clusters/:name", ID: "getCluster", Tag: "clusters", Summary: "One cluster, by name or id",
		Verb: VerbGet, Resource: ResourceClusters, Answer: model.Cluster{}, Status: http.StatusOK, Tagged: true, handler: (*api).getCluster,
	},
	{
		Method: http.MethodGet, Path: "/clusters/:name/diagnosis", ID: "diagnoseCluster", Tag: "clusters", Summary: "Why a cluster does not report or works badly",
		Detail: "Causes are ranked: what the hub knows comes before what may be; each has a code, what was seen, what to do and a command to copy. A cluster that is well has none. A name for which there are enrolment tokens only is told of to whoever may see those. Queued changes are those that the agent has not acknowledged.",
		Verb:   VerbGet, Resource: ResourceClusters, Answer: fleet.ClusterDiagnosis{}, Status: http.StatusOK, handler: (*api).diagnoseCluster,
	},
	{
		Method: http.MethodDelete, Path: "/clusters/:name", ID: "deleteCluster", Tag: "clusters", Summary: "Forget a cluster that has no applications",
		Verb: VerbDelete, Resource: ResourceClusters, Fresh: true, Status: http.StatusNoContent, Matched: true, handler: (*api).deleteCluster,
	},
	{
		Method: http.MethodPut, Path: "/clusters/:name/labels", ID: "setClusterLabels", Tag: "clusters", Summary: "Replace the labels of a cluster",
		Detail: "Projects select clusters by label. With dryRun=true nothing is stored, and the answer tells which of the cluster's applications become invalid and valid by it; without, that is in a Warning header.",
		Query:  []Parameter{dryRunParameter},
		Verb:   VerbUpdate, Resource: ResourceClusters, Fresh: true, Body: clusterLabels{}, Answer: model.Cluster{}, Status: http.StatusOK, Tagged: true, Matched: true, handler: (*api).setClusterLabels,
	},
	{
		Method: http.MethodPut, Path: "/clusters/:name/aliases", ID: "setClusterAliases", Tag: "clusters", Summary: "Replace the server URLs that mean a cluster",
		Verb: VerbUpdate, Resource: ResourceClusters, Fresh: true, Body: clusterAliases{}, Answer: model.Cluster{}, Status: http.StatusOK, Tagged: true, Matched: true, handler: (*api).setClusterAliases,
	},
	{
		Method: http.MethodPut, Path: "/clusters/:name/kubectl", ID: "setClusterKubectl", Tag: "clusters", Summary: "Let kubectl go through the hub to a cluster, or not",
		Detail: "It is off until somebody turns it on, and takes an agent that was started with --allow-kubectl. Requests go to /k8s/clusters/NAME and need the permission proxy of the cluster.",
		Verb:   VerbUpdate, Resource: ResourceClusters, Fresh: true, Body: clusterKubectl{}, Answer: model.Cluster{}, Status: http.StatusOK, Tagged: true, Matched: true, handler: (*api).setClusterKubectl,
	},
	{
		Method: http.MethodPost, Path: "/clusters/:name/kubectl-token", ID: "createClusterToken", Tag: "clusters", Summary: "A token for kubectl, for one cluster and 10 minutes at most",
		Detail: "It is taken at /k8s/clusters/NAME of this cluster and nowhere else, with the rights that the caller has at that time, and ends with the caller's own token or session.",
		Verb:   permission.Proxy, Resource: ResourceClusters, Answer: clusterToken{}, Status: http.StatusCreated, handler: (*api).createClusterToken,
	},
	{
		Method: http.MethodPost, Path: "/clusters/:name/revoke", ID: "revokeCluster", Tag: "clusters", Summary: "Revoke the certificates of a cluster's agent",
		Verb: VerbDelete, Resource: ResourceClusters, Fresh: true, Answer: model.Cluster{}, Status: http.StatusOK, handler: (*api).revokeCluster,
	},
	{
		Method: http.MethodPost, Path: "/clusters/:name/allow", ID: "allowCluster", Tag: "clusters", Summary: "Let in the agent of a cluster that is held for approval",
		Detail: "A cluster is held when two agents used its certificate (duplicate_identity), or when one came from another Kubernetes cluster than was enrolled (cluster_changed); that one is the cluster's from then on.",
		Verb:   VerbUpdate, Resource: ResourceClusters, Fresh: true, Answer: model.Cluster{}, Status: http.StatusOK, handler: (*api).allowCluster,
	},
}

var projectRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/projects", ID: "listProjects", Tag: "projects", Summary: "Projects",
		Verb: VerbGet, Resource: ResourceProjects, Query: with(listParameters, Parameter{Name: "project", Type: "string", Meaning: "only this one"}),
		Answer: page[model.AppProject]{}, Status: http.StatusOK, handler: (*api).listProjects,
	},
	{
		Method: http.MethodPost, Path: "/projects", ID: "createProject", Tag: "projects", Summary: "Create or change a project",
		Detail: "With If-None-Match: * it must be new.",
		Verb:   VerbCreate, Resource: ResourceProjects, Fresh: true, Body: manifestOf[model.AppProject]{}, Answer: model.AppProject{}, Status: http.StatusOK, Others: []int{http.StatusCreated},
		Tagged: true, Matched: true, handler: (*api).putProject,
	},
	{
		Method: http.MethodGet, Path: "/projects/:name", ID: "getProject", Tag: "projects", Summary: "One project",
		Verb: VerbGet, Resource: ResourceProjects, Answer: model.AppProject{}, Status: http.StatusOK, Tagged: true, handler: (*api).getProject,
	},
	{
		Method: http.MethodPut, Path: "/projects/:name", ID: "putProject", Tag: "projects", Summary: "Create or change a project",
		Detail: "With If-None-Match: * it must be new. With dryRun nothing is stored, and the answer is that of /preview. What is dangerous about it is in Warning headers.",
		Query:  []Parameter{dryRunParameter},
		Verb:   VerbUpdate, Resource: ResourceProjects, Fresh: true, Body: manifestOf[model.AppProject]{}, Answer: model.AppProject{}, Status: http.StatusOK, Others: []int{http.StatusCreated},
		Tagged: true, Matched: true, handler: (*api).putProject,
	},
	{
		Method: http.MethodDelete, Path: "/projects/:name", ID: "deleteProject", Tag: "projects", Summary: "Delete a project that has no applications",
		Verb: VerbDelete, Resource: ResourceProjects, Fresh: true, Status: http.StatusNoContent, Matched: true, handler: (*api).deleteProject,
	},
}

var repositoryRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/repositories", ID: "listRepositories", Tag: "repositories", Summary: "Repositories, without their secrets",
		Verb: VerbGet, Resource: ResourceRepositories, Query: with(listParameters, Parameter{Name: "project", Type: "string", Meaning: "only those reserved for a project"}),
		Answer: page[model.Repository]{}, Status: http.StatusOK, handler: (*api).listRepositories,
	},
	{
		Method: http.MethodPost, Path: "/repositories", ID: "addRepository", Tag: "repositories", Summary: "Register a repository, after it has answered",
		Detail: "A URL that is registered is replaced; without a credential the stored one stays.",
		Verb:   VerbCreate, Resource: ResourceRepositories, Fresh: true, Body: repositoryRequest{}, Answer: model.Repository{}, Status: http.StatusCreated, Tagged: true, handler: (*api).addRepository,
	},
	{
		Method: http.MethodPost, Path: "/repositories/test", ID: "testRepository", Tag: "repositories", Summary: "Try a repository step by step, and store nothing",
		Detail: "A repository that does not answer is an answer too. As JSON lines each step is told when it is done.",
		Verb:   VerbCreate, Resource: ResourceRepositories, Body: repositoryRequest{}, Answer: model.RepositoryTest{}, Status: http.StatusOK, Stream: Lines, handler: (*api).testRepository,
	},
	{
		Method: http.MethodGet, Path: "/repositories/:id", ID: "getRepository", Tag: "repositories", Summary: "One repository",
		Verb: VerbGet, Resource: ResourceRepositories, Answer: model.Repository{}, Status: http.StatusOK, Tagged: true, handler: (*api).getRepository,
	},
	{
		Method: http.MethodPatch, Path: "/repositories/:id", ID: "changeRepository", Tag: "repositories", Summary: "Change what the request names and keep the rest, secrets included",
		Verb: VerbUpdate, Resource: ResourceRepositories, Fresh: true, Body: repositoryChange{}, Answer: model.Repository{}, Status: http.StatusOK, Tagged: true, Matched: true, handler: (*api).changeRepository,
	},
	{
		Method: http.MethodDelete, Path: "/repositories/:id", ID: "deleteRepository", Tag: "repositories", Summary: "Forget a repository",
		Detail: "Refused with repository_in_use while applications have it as a source, unless it is forced.",
		Query:  []Parameter{{Name: "force", Type: "boolean", Meaning: "also while applications use it"}},
		Verb:   VerbDelete, Resource: ResourceRepositories, Fresh: true, Status: http.StatusNoContent, Matched: true, handler: (*api).deleteRepository,
	},
	{
		Method: http.MethodGet, Path: "/repository-templates", ID: "listRepositoryTemplates", Tag: "repositories", Summary: "Credential templates, without their secrets",
		Verb: VerbGet, Resource: ResourceTemplates, Answer: list[model.RepositoryTemplate]{}, Status: http.StatusOK, handler: (*api).listTemplates,
	},
	{
		Method: http.MethodPost, Path: "/repository-templates", ID: "addRepositoryTemplate", Tag: "repositories", Summary: "Store a credential for all repositories below a URL",
		Verb: VerbCreate, Resource: ResourceTemplates, Fresh: true, Body: templateRequest{}, Answer: model.RepositoryTemplate{}, Status: http.StatusCreated, Tagged: true, handler: (*api).addTemplate,
	},
	{
		Method: http.MethodGet, Path: "/repository-templates/:id", ID: "getRepositoryTemplate", Tag: "repositories", Summary: "One credential template",
		Verb: VerbGet, Resource: ResourceTemplates, Answer: model.RepositoryTemplate{}, Status: http.StatusOK, Tagged: true, handler: (*api).getTemplate,
	},
	{
		Method: http.MethodPatch, Path: "/repository-templates/:id", ID: "changeRepositoryTemplate", Tag: "repositories", Summary: "Change what the request names and keep the rest",
		Verb: VerbUpdate, Resource: ResourceTemplates, Fresh: true, Body: templateChange{}, Answer: model.RepositoryTemplate{}, Status: http.StatusOK, Tagged: true, Matched: true, handler: (*api).changeTemplate,
	},
	{
		Method: http.MethodDelete, Path: "/repository-templates/:id", ID: "deleteRepositoryTemplate", Tag: "repositories", Summary: "Forget a credential template",
		Verb: VerbDelete, Resource: ResourceTemplates, Fresh: true, Status: http.StatusNoContent, Matched: true, handler: (*api).deleteTemplate,
	},
}

var applicationRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/applications", ID: "listApplications", Tag: "applications", Summary: "Applications by name",
		Detail: "With the fields application, resources, healthCauses or history rows have these too, which are otherwise only in the answer for one; all but application at most 100 at once, whatever the limit.",
		Verb:   VerbGet, Resource: ResourceApplications,
		Query: []Parameter{
			{Name: "project", Type: "string", Meaning: "only those of a project"},
			{Name: "cluster", Type: "string", Meaning: "only those on a cluster, by name or id"},
			{Name: "name", Type: "string", Meaning: "only these", Many: true},
			{Name: "selector", Type: "string", Meaning: "label selector as kubectl takes it"},
			filterParameter, sortParameter, facetsParameter, groupParameter, fieldsParameter, limitParameter, cursorParam,
		},
		Answer: page[model.AppView]{}, Status: http.StatusOK, handler: (*api).listApplications,
	},
	{
		Method: http.MethodPost, Path: "/applications", ID: "createApplication", Tag: "applications", Summary: "Create or change an application",
		Detail: "With If-None-Match: * it must be new. A sync in the field operation is stored too.",
		Verb:   VerbCreate, Resource: ResourceApplications, Body: manifestOf[model.Application]{}, Answer: model.Application{}, Status: http.StatusOK, Others: []int{http.StatusCreated},
		Tagged: true, Matched: true, handler: (*api).putApplication,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name", ID: "getApplication", Tag: "applications", Summary: "One application: what was asked for and what was observed",
		Verb: VerbGet, Resource: ResourceApplications, Answer: model.AppView{}, Status: http.StatusOK, Tagged: true, handler: (*api).getApplication,
	},
	{
		Method: http.MethodPut, Path: "/applications/:name", ID: "putApplication", Tag: "applications", Summary: "Create or change an application",
		Detail: "With If-None-Match: * it must be new. A sync in the field operation is stored too.",
		Verb:   VerbUpdate, Resource: ResourceApplications, Body: manifestOf[model.Application]{}, Answer: model.Application{}, Status: http.StatusOK, Others: []int{http.StatusCreated},
		Tagged: true, Matched: true, handler: (*api).putApplication,
	},
	{
		Method: http.MethodDelete, Path: "/applications/:name", ID: "deleteApplication", Tag: "applications", Summary: "Delete an application",
		Verb: VerbDelete, Resource: ResourceApplications, FreshFor: "deletes its objects too, or approves of deleting some",
		Query: []Parameter{
			{Name: "cascade", Type: "boolean", Meaning: "delete its objects too; left out: as its finalizers say"},
			{Name: "propagation", Type: "string", Meaning: "how the cluster deletes dependents", Allowed: []string{"foreground", "background"}},
			{Name: "approveDeletions", Type: "boolean", Meaning: "approve of deleting objects that say Delete=confirm"},
		},
		Answer: model.OperationInfo{}, Status: http.StatusAccepted, Keyed: true, Matched: true, handler: (*api).deleteApplication,
	},
	{
		Method: http.MethodPost, Path: "/applications/:name/sync", ID: "syncApplication", Tag: "applications", Summary: "Sync an application",
		Query: []Parameter{{Name: "state", Type: "string", Meaning: "refuse with stale_plan unless the field state of its resources is still this"}},
		Verb:  VerbSync, Resource: ResourceApplications, FreshFor: "overrides the prune guard", Body: model.OperationSpec{}, BodyOptional: true, Answer: model.OperationInfo{}, Status: http.StatusAccepted, Keyed: true,
		handler: (*api).syncApplication,
	},
	{
		Method: http.MethodPost, Path: "/applications/:name/rollback", ID: "rollbackApplication", Tag: "applications", Summary: "Go back to a past deployment",
		Detail: "The application is pinned to it, whatever its sync policy. A dry run answers the plan with status 200.",
		Verb:   VerbRollback, Resource: ResourceApplications, FreshFor: "overrides the prune guard", Body: rollbackRequest{}, BodyOptional: true, Answer: model.OperationInfo{}, Status: http.StatusAccepted, Keyed: true,
		handler: (*api).rollbackApplication,
	},
	{
		Method: http.MethodDelete, Path: "/applications/:name/pin", ID: "unpinApplication", Tag: "applications", Summary: "End a rollback: what the sources say is wanted again",
		Verb: VerbRollback, Resource: ResourceApplications, Query: []Parameter{{Name: "reason", Type: "string", Meaning: "why, for the history"}},
		Answer: model.Pin{}, Status: http.StatusOK, Keyed: true, Kept: true, handler: (*api).unpinApplication,
	},
	{
		Method: http.MethodPost, Path: "/applications/:name/confirm-deletion", ID: "confirmDeletion", Tag: "applications",
		Summary: "Approve of deleting what says Prune=confirm or Delete=confirm",
		Verb:    VerbDelete, Resource: ResourceApplications, Fresh: true, Body: confirmation{}, BodyOptional: true, Answer: model.OperationInfo{}, Status: http.StatusAccepted, Keyed: true,
		handler: (*api).confirmDeletion,
	},
	{
		Method: http.MethodPost, Path: "/applications/:name/actions", ID: "runAction", Tag: "applications", Summary: "Run an action on one object",
		Verb: VerbAction, Resource: ResourceApplications, Body: actionRequest{}, Answer: model.OperationInfo{}, Status: http.StatusAccepted, Keyed: true, handler: (*api).runAction,
	},
	{
		Method: http.MethodPost, Path: "/applications/:name/refresh", ID: "refreshApplication", Tag: "applications", Summary: "Look at sources and cluster now",
		Verb: VerbRefresh, Resource: ResourceApplications,
		Query:  []Parameter{{Name: "hard", Type: "boolean", Meaning: "render although nothing changed"}},
		Answer: refreshed{}, Status: http.StatusAccepted, Keyed: true, Kept: true, handler: (*api).refreshApplication,
	},
	{
		Method: http.MethodPost, Path: "/applications/:name/terminate", ID: "terminateApplication", Tag: "applications", Summary: "End the open sync of an application",
		Verb: VerbTerminate, Resource: ResourceApplications, Answer: model.OperationInfo{}, Status: http.StatusOK, Keyed: true, Kept: true, handler: (*api).terminateApplication,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/operations", ID: "listApplicationOperations", Tag: "applications", Summary: "Operations of an application, newest first",
		Verb: VerbGet, Resource: ResourceApplications, Query: []Parameter{limitParameter, openParameter},
		Answer: list[model.OperationInfo]{}, Status: http.StatusOK, handler: (*api).listApplicationOperations,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/tree", ID: "getApplicationTree", Tag: "applications", Summary: "The objects of an application and what they own",
		Verb: VerbGet, Resource: ResourceApplications, Answer: treeAnswer{}, Status: http.StatusOK, handler: (*api).getTree,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/plugin-parameters", ID: "listPluginParameters", Tag: "applications",
		Summary: "Parameters that the plugins of an application announce",
		Verb:    VerbGet, Resource: ResourceApplications, Answer: list[model.PluginParameters]{}, Status: http.StatusOK, handler: (*api).pluginParameters,
	},
	{
		Method: http.MethodPost, Path: "/apply", ID: "apply", Tag: "applications", Summary: "Apply a text of projects and applications",
		Detail: "What is wrong with one object does not stop the others; the status is then 207. With dryRun=true nothing is stored, and a project has the preview of what it would change.",
		Query:  []Parameter{dryRunParameter},
		Verb:   VerbUpdate, Resource: ResourceApplications, FreshFor: "has projects", Body: manifests{}, Answer: appliedAnswer{}, Status: http.StatusOK, Others: []int{http.StatusMultiStatus}, handler: (*api).apply,
	},
}

var (
	revisionParameter = Parameter{Name: "revision", Type: "string", Many: true, Meaning: "another revision to render, of the first source of manifests or of the source at the same place in position"}
	positionParameter = Parameter{Name: "position", Type: "integer", Many: true, Meaning: "which source each revision is of, from 1"}
)

// previewRoutes show what is desired, and what would be.
var previewRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/applications/:name/manifests", ID: "getManifests", Tag: "applications", Summary: "Manifests of an application: desired, of another revision, or live",
		Detail: "Values of Secrets are redacted, also for those who may change them.",
		Verb:   VerbGet, Resource: ResourceApplications,
		Query:  []Parameter{{Name: "source", Type: "string", Meaning: "where they come from", Allowed: []string{"git", "live"}}, revisionParameter, positionParameter},
		Answer: manifestsAnswer{}, Status: http.StatusOK, handler: (*api).getManifests,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/resources", ID: "listResources", Tag: "applications", Summary: "The objects of an application",
		Detail: "The field state identifies what is desired and how the cluster differs; a sync takes it as a condition.",
		Query:  []Parameter{{Name: "orphaned", Type: "boolean", Meaning: "add the objects of its namespace that no application owns, where the project looks for them"}},
		Verb:   VerbGet, Resource: ResourceApplications, Answer: resourcesAnswer{}, Status: http.StatusOK, handler: (*api).listResources,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/sources", ID: "listSources", Tag: "applications", Summary: "What the sources of an application are at, and what was rendered of them",
		Verb: VerbGet, Resource: ResourceApplications, Answer: list[sourceState]{}, Status: http.StatusOK, handler: (*api).listSources,
	},
	{
		Method: http.MethodPost, Path: "/applications/:name/compare", ID: "compareApplication", Tag: "applications", Summary: "Compare what is desired with another revision, or with files",
		Detail: "The body, if there is one, is a gzipped tar of at most 16 MiB (application/gzip) that stands for the source at position. Nothing is stored and the cluster is not asked.",
		Verb:   VerbGet, Resource: ResourceApplications,
		Query:  []Parameter{revisionParameter, positionParameter, {Name: "path", Type: "string", Meaning: "directory of the source in the tar; left out: as the application says"}},
		Answer: comparisonAnswer{}, Status: http.StatusOK, handler: (*api).compareApplication,
	},
}

// liveRoutes look into clusters.
var liveRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/applications/:name/resource-actions", ID: "listResourceActions", Tag: "objects", Summary: "What can be done with one object",
		Verb: VerbGet, Resource: ResourceApplications, Query: selectorParameters, Answer: list[model.ResourceAction]{}, Status: http.StatusOK, handler: (*api).listActions,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/resource", ID: "getResource", Tag: "objects", Summary: "One live object, as JSON or YAML",
		Detail: "Values of Secrets are redacted.",
		Verb:   VerbGet, Resource: ResourceApplications,
		Query:  with(selectorParameters, Parameter{Name: "managedFields", Type: "boolean", Meaning: "with metadata.managedFields"}),
		Answer: liveObject{}, Status: http.StatusOK, handler: (*api).getResource,
	},
	{
		Method: http.MethodDelete, Path: "/applications/:name/resource", ID: "deleteResource", Tag: "objects", Summary: "Delete one object of an application in its cluster",
		Detail: "What the source has of it is made again by the next sync, and by self-heal at once.",
		Verb:   VerbDeleteObject, Resource: ResourceApplications, Fresh: true,
		Query: []Parameter{
			{Name: "group", Type: "string", Meaning: "API group of the object, empty for the core group"},
			{Name: "kind", Type: "string", Meaning: "kind of the object", Required: true},
			{Name: "namespace", Type: "string", Meaning: "namespace of the object, empty for what is in none"},
			{Name: "resourceName", Type: "string", Meaning: "name of the object", Required: true},
			{Name: "uid", Type: "string", Meaning: "the uid that the object must have; another of the same name is not deleted", Required: true},
			{Name: "propagation", Type: "string", Meaning: "what becomes of what it owns", Allowed: []string{"foreground", "background", "orphan"}},
			{Name: "force", Type: "boolean", Meaning: "without the time that it is given to end in"},
			{Name: "reason", Type: "string", Meaning: "why, for the history"},
		},
		Answer: model.OperationInfo{}, Status: http.StatusAccepted, Keyed: true, handler: (*api).deleteResource,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/events", ID: "listResourceEvents", Tag: "objects", Summary: "The cluster's events about the objects of an application",
		Detail: "The newest first or, with follow=true, as JSON lines the oldest first and then what comes.",
		Verb:   VerbEvents, Resource: ResourceApplications,
		Query: with(selectorParameters,
			Parameter{Name: "follow", Type: "boolean", Meaning: "go on with what comes"},
			Parameter{Name: "limit", Type: "integer", Meaning: "how many of those that there are, at most 5000; 500 when it is left out"}),
		Answer: list[model.ObjectEvent]{}, Status: http.StatusOK, Stream: Lines, handler: (*api).resourceEvents,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/logs", ID: "streamLogs", Tag: "objects", Summary: "Logs of the pods that the selected objects are or own",
		Detail: "Text, or JSON lines when the caller accepts application/x-ndjson.",
		Verb:   VerbLogs, Resource: ResourceApplications,
		Query: with(selectorParameters,
			Parameter{Name: "container", Type: "string", Meaning: "container; left out: the pod's default one"},
			Parameter{Name: "allContainers", Type: "boolean", Meaning: "all containers of each pod"},
			Parameter{Name: "follow", Type: "boolean", Meaning: "go on with what comes"},
			Parameter{Name: "previous", Type: "boolean", Meaning: "the container's life before its last restart"},
			Parameter{Name: "since", Type: "duration", Meaning: "only lines that are newer"},
			Parameter{Name: "sinceTime", Type: "time", Meaning: "only lines from then on"},
			Parameter{Name: "tail", Type: "integer", Meaning: "number of last lines of each container"},
			Parameter{Name: "grep", Type: "string", Meaning: "RE2 expression that a line must match"},
			Parameter{Name: "timestamps", Type: "boolean", Meaning: "text with the time of each line"},
			Parameter{Name: "prefix", Type: "boolean", Meaning: "text with pod and container before each line; left out: when there are several"}),
		Status: http.StatusOK, Stream: Lines, Answer: logDocument{}, handler: (*api).logs,
	},
	{
		Method: http.MethodGet, Path: "/applications/:name/exec", ID: "execResource", Tag: "objects", Summary: "Run a command in a container",
		Detail: "The connection becomes a WebSocket of the protocol " + ExecProtocol + ".",
		Verb:   VerbExec, Resource: ResourceApplications,
		Query: []Parameter{
			{Name: "namespace", Type: "string", Meaning: "namespace of the pod"},
			{Name: "pod", Type: "string", Meaning: "name of the pod", Required: true},
			{Name: "container", Type: "string", Meaning: "container; left out: the pod's default one"},
			{Name: "command", Type: "string", Meaning: "the command, one word each", Required: true, Many: true},
			{Name: "tty", Type: "boolean", Meaning: "with a terminal"},
			{Name: "stdin", Type: "boolean", Meaning: "with standard input"},
			{Name: "columns", Type: "integer", Meaning: "width of the terminal"},
			{Name: "rows", Type: "integer", Meaning: "height of the terminal"},
			{Name: "late", Type: "boolean", Meaning: "what the cluster refuses is the last message of the WebSocket, for pages, which cannot read the answer to a handshake"},
		},
		Stream: WebSocket, Status: http.StatusSwitchingProtocols, handler: (*api).execResource,
	},
}

var operationRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/operations", ID: "listOperations", Tag: "operations", Summary: "Operations, newest first",
		Verb: VerbGet, Resource: ResourceOperations,
		Query: []Parameter{
			{Name: "app", Type: "string", Meaning: "only those of an application"},
			{Name: "cluster", Type: "string", Meaning: "only those on a cluster, by name or id"},
			openParameter, filterParameter, sortParameter, facetsParameter, fieldsParameter, limitParameter, cursorParam,
		},
		Answer: page[model.OperationInfo]{}, Status: http.StatusOK, handler: (*api).listOperations,
	},
	{
		Method: http.MethodGet, Path: "/operations/:id", ID: "getOperation", Tag: "operations", Summary: "One operation and its results",
		Verb: VerbGet, Resource: ResourceOperations, Answer: model.OperationInfo{}, Status: http.StatusOK, handler: (*api).getOperation,
	},
	{
		Method: http.MethodPost, Path: "/operations/:id/terminate", ID: "terminateOperation", Tag: "operations", Summary: "End an operation",
		Verb: VerbTerminate, Resource: ResourceOperations, Answer: model.OperationInfo{}, Status: http.StatusOK, Keyed: true, Kept: true, handler: (*api).terminateOperation,
	},
}

// settingsRoutes are there when the hub has settings.
var settingsRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/settings/customizations", ID: "getCustomizations", Tag: "settings", Summary: "Resource customizations of all clusters",
		Verb: VerbGet, Resource: ResourceSettings,
		Query:  []Parameter{{Name: "version", Type: "integer", Meaning: "an earlier version"}},
		Answer: customizations{}, Status: http.StatusOK, Tagged: true, handler: (*api).getCustomizations, when: hasSettings,
	},
	{
		Method: http.MethodPut, Path: "/settings/customizations", ID: "putCustomizations", Tag: "settings", Summary: "Replace the resource customizations of all clusters",
		Detail: "The body is a ConfigMap in the format of argocd-cm, what is answered when they are read, or the keys and their texts alone.",
		Verb:   VerbUpdate, Resource: ResourceSettings, Fresh: true,
		Query: []Parameter{{Name: "dryRun", Type: "boolean", Meaning: "only say what would change"}},
		Body:  customizationsBody{}, Answer: changedCustomizations{}, Status: http.StatusOK, Tagged: true, Matched: true, handler: (*api).putCustomizations, when: hasSettings,
	},
}

func hasSettings(o Options) bool { return o.Settings != nil }

// customizationsBody is the simplest of the forms that readCustomizations takes.
type customizationsBody struct {
	Customizations model.Customizations `json:"customizations"`
}
