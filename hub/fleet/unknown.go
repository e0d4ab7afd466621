package fleet

import "github.com/hawser-dev/hawser/shared/fault"

// What is unknown and what somebody may not see are answered with the same
// words, or the difference would tell that it exists. Therefore the words are
// here, for those who look and for those who forbid.

// ApplicationUnknown is NotFound (application_not_found).
func ApplicationUnknown(name string) error {
	return fault.New(fault.NotFound, "application_not_found", "there is no application %q", name)
}

// ApplicationSetUnknown is NotFound (applicationset_not_found).
func ApplicationSetUnknown(name string) error {
	return fault.New(fault.NotFound, "applicationset_not_found", "there is no application set %q", name)
}

// ProjectUnknown is NotFound (project_unknown).
func ProjectUnknown(name string) error {
	return fault.New(fault.NotFound, "project_unknown", "there is no project %q", name)
}

// ClusterUnknown is NotFound (cluster_unknown).
func ClusterUnknown(nameOrID string) error {
	return fault.New(fault.NotFound, "cluster_unknown", "there is no cluster %q", nameOrID)
}

// OperationUnknown is NotFound (operation_not_found).
func OperationUnknown(id string) error {
	return fault.New(fault.NotFound, "operation_not_found", "there is no operation %q", id)
}

// RepositoryUnknown is NotFound (repository_unknown).
func RepositoryUnknown(id string) error {
	return fault.New(fault.NotFound, "repository_unknown", "there is no repository %q", id)
}

// RoleUnknown is NotFound (role_unknown).
func RoleUnknown(project, role string) error {
	return fault.New(fault.NotFound, "role_unknown", "project %q has no role %q", project, role).
		WithFix("see hawser project role list %s", project)
}
