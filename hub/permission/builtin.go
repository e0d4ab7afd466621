package permission

// Names of resources in a policy.
const (
	inApplications    = "applications"
	inApplicationSets = "applicationsets"
	inLogs            = "logs"
	inExec            = "exec"
	inProjects        = "projects"
	inClusters        = "clusters"
	inRepositories    = "repositories"
)

// resourceActions are the resources of policies and their actions. Those of
// Argo CD that Hawser has no such thing for are known and decide nothing.
var resourceActions = map[string][]string{
	inApplications:       {"get", "create", "update", "delete", "sync", "rollback", "override", "action"},
	inApplicationSets:    {"get", "create", "update", "delete"},
	inLogs:               {"get"},
	inExec:               {"create", "debug"},
	inProjects:           {"get", "create", "update", "delete"},
	inClusters:           {"get", "create", "update", "delete", "proxy"},
	inRepositories:       {"get", "create", "update", "delete"},
	"write-repositories": {"get", "create", "update", "delete"},
	"accounts":           {"get", "update"},
	"certificates":       {"get", "create", "delete", "update"},
	"gpgkeys":            {"get", "create", "delete"},
	"extensions":         {"invoke"},
}

// ofProjects are the resources whose objects are project/name; ofRoles those that
// a role of a project can be about.
var (
	ofProjects = []string{inApplications, inApplicationSets, inLogs, inExec}
	ofRoles    = []string{inApplications, inApplicationSets, inLogs, inExec, inRepositories, inClusters}
)

// builtin are the roles that every policy has, in globs whatever the mode of the
// policy.
const builtin = `
p, role:readonly, applications, get, */*, allow
p, role:readonly, applicationsets, get, */*, allow
p, role:readonly, logs, get, */*, allow
p, role:readonly, clusters, get, *, allow
p, role:readonly, repositories, get, *, allow
p, role:readonly, projects, get, *, allow
p, role:readonly, accounts, get, *, allow
p, role:readonly, certificates, get, *, allow
p, role:readonly, gpgkeys, get, *, allow
p, role:readonly, write-repositories, get, *, allow
p, role:admin, *, *, *, allow
g, role:admin, role:readonly
`

// builtinAdmin is the local user that has the role of administrators.
const builtinAdmin = "admin"
