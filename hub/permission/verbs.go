package permission

import (
	"slices"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// Verb is what somebody wants to do.
type Verb string

// The verbs. Those of one line belong to the same role.
const (
	Get, Logs, Events                                   Verb = "get", "logs", "events"
	Sync, Rollback, Refresh, Terminate, RunAction, Exec Verb = "sync", "rollback", "refresh", "terminate", "action", "exec"
	Create, Update, Delete                              Verb = "create", "update", "delete"
	// DeleteObject deletes one object of an application in its cluster, by Argo CD's
	// delete/GROUP/KIND/NAMESPACE/NAME. Who may delete the application may not
	// therefore.
	DeleteObject Verb = "delete-object"
	// Proxy goes to the API server of a cluster, as kubectl does.
	Proxy Verb = "proxy"
)

// Resource is a kind of thing that verbs are about.
type Resource string

// The resources.
const (
	// Applications and their Operations are of a project.
	Applications Resource = "applications"
	Operations   Resource = "operations"
	// ApplicationSets are permitted as the applications that come of them would be:
	// of the one project that all belong to. A set that belongs to no single
	// project is for administrators.
	ApplicationSets Resource = "applicationsets"
	// Projects, and the Clusters and Repositories that belong to a project in some
	// way, can be seen by those who have a role in it, and are written by
	// administrators.
	Projects     Resource = "projects"
	Clusters     Resource = "clusters"
	Repositories Resource = "repositories"
	// Settings, Tokens, Accounts, GPGKeys, EnrolmentTokens, Templates and Hub are for administrators.
	Settings        Resource = "settings"
	Tokens          Resource = "tokens"
	Accounts        Resource = "accounts"
	EnrolmentTokens Resource = "enrolment-tokens"
	Templates       Resource = "repository-templates"
	Hub             Resource = "hub"
	// GPGKeys are the public keys that projects may trust.
	GPGKeys Resource = "gpgkeys"
	// Audit is the record of who did what, for administrators.
	Audit Resource = "audit"
	// Session is what everybody may do who has a valid token: ask who one is, and
	// which hub this is.
	Session Resource = "session"
)

// rank orders the roles: each may what those before it may.
type rank int

const (
	nobody rank = iota
	viewer
	operator
	editor
	admin
)

var ranks = map[string]rank{fleet.RoleViewer: viewer, fleet.RoleOperator: operator, fleet.RoleEditor: editor}

var verbRanks = map[Verb]rank{
	Get: viewer, Logs: viewer, Events: viewer,
	Sync: operator, Rollback: operator, Refresh: operator, Terminate: operator, RunAction: operator, Exec: operator,
	Create: editor, Update: editor, Delete: editor, DeleteObject: editor,
	Proxy: admin,
}

// need is the least rank in a project that may do verb to resource.
func need(verb Verb, resource Resource) rank {
	switch resource {
	case Session:
		return nobody
	case Applications, Operations, ApplicationSets:
		if r, ok := verbRanks[verb]; ok {
			return r
		}
	case Projects, Clusters, Repositories:
		if verb == Get {
			return viewer
		}
	}
	return admin // also what nobody has thought of
}

// Roles lists the roles, each of which may what those before it may.
func Roles() []string { return []string{fleet.RoleViewer, fleet.RoleOperator, fleet.RoleEditor} }

// Verbs lists all verbs.
func Verbs() []Verb {
	out := make([]Verb, 0, len(verbRanks))
	for v := range verbRanks {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// Resources lists all resources.
func Resources() []Resource {
	return []Resource{Applications, Operations, ApplicationSets, Projects, Clusters, Repositories, Settings, Tokens, Accounts, EnrolmentTokens, Templates, GPGKeys, Hub, Audit, Session}
}

// Administrator is what Needs answers where no role of a project is enough.
const Administrator = "administrator"

func (r rank) String() string {
	for name, x := range ranks {
		if x == r {
			return name
		}
	}
	return Administrator
}
