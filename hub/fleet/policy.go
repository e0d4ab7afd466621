package fleet

import "github.com/hawser-dev/hawser/shared/model"

// Policy is what says who may do what, besides the grants of tokens and users: the
// RBAC policy, and the projects with their roles.
type Policy struct {
	Mark     PolicyMark
	RBAC     RBAC
	Projects []model.AppProject
}

// PolicyMark differs between two policies: the version of the one that is kept, and
// a digest of the names and versions of all projects.
type PolicyMark struct {
	Version  int64
	Projects string
}
