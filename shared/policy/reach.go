package policy

// Reaches reports whether a project may deploy to a cluster at all, in whatever
// namespace: whether people who have a role in the project have anything to do
// with the cluster. dest.Namespace has no meaning.
func Reaches(project Project, dest Destination) bool {
	if project.Spec.PermitOnlyProjectScopedClusters && dest.ClusterProject != nil && *dest.ClusterProject != project.Name {
		return false
	}
	c := compile(project)
	for _, r := range c.deniedDests {
		if r.Namespace == "*" && r.about(dest) {
			return false
		}
	}
	reaches := false
	for _, rule := range c.dests {
		f := rule.match(dest, dest.Namespace)
		if f.clusterDenies && !f.unselected {
			return false
		}
		reaches = reaches || f.cluster
	}
	return reaches
}
