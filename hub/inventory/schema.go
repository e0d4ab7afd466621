package inventory

import (
	"reflect"
	"strings"

	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

var yesNo = []string{"true", "false"}

// Applications, Clusters, ProjectsSchema and Repositories are what can be asked
// about each kind of thing.
var (
	Applications = filter.Schema{
		Things: "applications",
		Keys: []filter.Key{
			{Name: "name"}, {Name: "project"}, {Name: "cluster"}, {Name: "namespace", Aliases: []string{"ns"}},
			{Name: "sync", Kind: filter.Word, Words: []string{"synced", "outofsync", "unknown"}},
			{Name: "reason", Kind: filter.Word, Words: []string{"pending", "drifted", "none"}},
			{Name: "health", Kind: filter.Word, Words: []string{"healthy", "progressing", "degraded", "suspended", "missing", "unknown"}},
			{Name: "operation", Kind: filter.Word, Words: []string{"none", "queued", "running", "succeeded", "failed", "superseded", "expired", "terminated"}, Aliases: []string{"op"}},
			{Name: "freshness", Kind: filter.Word, Words: []string{"live", "lagging", "stale", "never"}},
			{Name: "repo"}, {Name: "path"}, {Name: "revision"}, {Name: "target"},
			{Name: "auto", Kind: filter.Word, Words: yesNo}, {Name: "pinned", Kind: filter.Word, Words: yesNo}, {Name: "deleting", Kind: filter.Word, Words: yesNo},
			{Name: "code", Aliases: []string{"condition"}},
			{Name: "changed", Kind: filter.Age}, {Name: "observed", Kind: filter.Age}, {Name: "created", Kind: filter.Age},
		},
		States: []string{"ready", "healthy", "synced", "live", "lagging", "stale", "never", "auto", "pinned", "deleting", "running", "failing"},
		Labels: []string{"label", "cluster.label"},
	}
	Clusters = filter.Schema{
		Things: "clusters",
		Keys: []filter.Key{
			{Name: "name"}, {Name: "id"}, {Name: "project"},
			{Name: "state", Kind: filter.Word, Words: []string{"connected", "offline", "never", "revoked"}},
			{Name: "freshness", Kind: filter.Word, Words: []string{"live", "lagging", "stale", "never"}},
			{Name: "kubernetes"}, {Name: "agent"}, {Name: "alias"}, {Name: "condition"},
			{Name: "apps", Kind: filter.Number}, {Name: "nodes", Kind: filter.Number},
			{Name: "seen", Kind: filter.Age}, {Name: "enrolled", Kind: filter.Age},
		},
		States: []string{"connected", "offline", "revoked", "live", "lagging", "stale", "never"},
		Labels: []string{"label"},
	}
	ProjectsSchema = filter.Schema{
		Things: "projects",
		Keys:   []filter.Key{{Name: "name"}, {Name: "description"}, {Name: "repo"}, {Name: "apps", Kind: filter.Number}},
		Labels: []string{"label"},
	}
	Repositories = filter.Schema{
		Things: "repositories",
		Keys: []filter.Key{
			{Name: "name"}, {Name: "url", Aliases: []string{"repo"}}, {Name: "project"}, {Name: "type"}, {Name: "state"},
		},
	}
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
	// AppSorts are the keys of sort.
	AppSorts = []string{"name", "project", "cluster", "namespace", "sync", "health", "operation", "freshness", "repo", "path", "revision", "changed", "observed", "created"}
	// ClusterSorts, ClusterFacets, ProjectSorts and RepositorySorts likewise.
	ClusterSorts     = []string{"name", "project", "state", "freshness", "kubernetes", "agent", "apps", "nodes", "seen", "enrolled"}
	ClusterFacets    = []string{"state", "freshness", "kubernetes", "agent", "project"}
	ProjectSorts     = []string{"name", "apps"}
	ProjectFacets    = []string{}
	RepositorySorts  = []string{"name", "url", "project", "type", "state"}
	RepositoryFacets = []string{"project", "type", "state"}
	// ClusterFields, ProjectFields and RepositoryFields are what their objects have.
	ClusterFields    = fieldsOf(reflect.TypeFor[model.Cluster]())
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
