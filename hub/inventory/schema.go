package inventory

import (
	"reflect"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

// The schemas of shared/filter that the lists implement.
var (
	Applications   = filter.Applications
	Clusters       = filter.Clusters
	ProjectsSchema = filter.Projects
	Repositories   = filter.Repositories
)

// AppFields are the fields that a row can have, in their order, and Summary those
// that it has when nobody says which.
var (
	AppFields = []string{
		"uid", "name", "project", "cluster", "clusterID", "namespace", "repoURL", "path", "targetRevision", "autoSync", "desired", "generation",
		"sync", "health", "operation", "freshness", "observedAt", "revision", "deleting", "pin", "conditions", "labels", "createdAt", "changedAt",
	}
	// AppFacets are counted when nobody says which; labels besides.
	AppFacets = []string{"project", "cluster", "sync", "health", "freshness", "operation"}
	// AppGroups are what lists of applications are grouped by; labels besides.
	AppGroups = []string{"project", "cluster", "namespace", "sync", "health", "freshness", "operation", "repo"}
	// AppSorts are the keys of sort.
	AppSorts = []string{"name", "project", "cluster", "namespace", "sync", "health", "operation", "freshness", "repo", "path", "revision", "changed", "observed", "created"}
	// ClusterSorts, ClusterFacets, ProjectSorts and RepositorySorts likewise.
	ClusterSorts     = []string{"name", "project", "state", "freshness", "kubernetes", "agent", "apps", "nodes", "seen", "enrolled"}
	ClusterFacets    = []string{"state", "freshness", "kubernetes", "agent", "project"}
	ProjectSorts     = []string{"name", "apps"}
	ProjectFacets    = []string{}
	RepositorySorts  = []string{"name", "url", "project", "type", "state"}
	RepositoryFacets = []string{"project", "type", "state"}
	// ClusterFields, ProjectFields and RepositoryFields are what their objects have. The
	// round trip changes all the time: one cluster is asked for it.
	ClusterFields    = slices.DeleteFunc(fieldsOf(reflect.TypeFor[model.Cluster]()), func(f string) bool { return f == "roundTripMs" })
	ProjectFields    = fieldsOf(reflect.TypeFor[model.AppProject]())
	RepositoryFields = fieldsOf(reflect.TypeFor[model.Repository]())
)

// fieldsOf are the names that the fields of a type have in JSON.
func fieldsOf(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			out = append(out, fieldsOf(f.Type)...)
		case f.IsExported() && name != "" && name != "-":
			out = append(out, name)
		}
	}
	return out
}
