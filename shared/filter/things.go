package filter

var yesNo = []string{"true", "false"}

// Applications, Clusters, Projects and Repositories are what can be asked
// about each kind of thing.
var (
	Applications = Schema{
		Things: "applications",
		Keys: []Key{
			{Name: "name"}, {Name: "project"}, {Name: "cluster"}, {Name: "namespace", Aliases: []string{"ns"}},
			{Name: "sync", Kind: Word, Words: []string{"synced", "outofsync", "unknown"}},
			{Name: "reason", Kind: Word, Words: []string{"pending", "drifted", "none"}},
			{Name: "health", Kind: Word, Words: []string{"healthy", "progressing", "degraded", "suspended", "missing", "unknown"}},
			{Name: "operation", Kind: Word, Words: []string{"none", "queued", "running", "succeeded", "failed", "superseded", "expired", "terminated"}, Aliases: []string{"op"}},
			{Name: "freshness", Kind: Word, Words: []string{"live", "lagging", "stale", "never"}},
			{Name: "repo"}, {Name: "path"}, {Name: "revision"}, {Name: "target"},
			{Name: "auto", Kind: Word, Words: yesNo}, {Name: "pinned", Kind: Word, Words: yesNo}, {Name: "deleting", Kind: Word, Words: yesNo},
			{Name: "code", Aliases: []string{"condition"}},
			{Name: "changed", Kind: Age}, {Name: "observed", Kind: Age}, {Name: "created", Kind: Age},
		},
		States: []string{"ready", "healthy", "synced", "live", "lagging", "stale", "never", "auto", "pinned", "deleting", "running", "failing", "unrendered"},
		Labels: []string{"label", "cluster.label"},
	}
	Clusters = Schema{
		Things: "clusters",
		Keys: []Key{
			{Name: "name"}, {Name: "id"}, {Name: "project"},
			{Name: "state", Kind: Word, Words: []string{"connected", "offline", "never", "revoked"}},
			{Name: "freshness", Kind: Word, Words: []string{"live", "lagging", "stale", "never"}},
			{Name: "kubernetes"}, {Name: "agent"}, {Name: "alias"}, {Name: "condition"},
			{Name: "apps", Kind: Number}, {Name: "nodes", Kind: Number},
			{Name: "seen", Kind: Age}, {Name: "enrolled", Kind: Age},
		},
		States: []string{"connected", "offline", "revoked", "live", "lagging", "stale", "never"},
		Labels: []string{"label"},
	}
	Projects = Schema{
		Things: "projects",
		Keys:   []Key{{Name: "name"}, {Name: "description"}, {Name: "repo"}, {Name: "apps", Kind: Number}},
		Labels: []string{"label"},
	}
	Repositories = Schema{
		Things: "repositories",
		Keys: []Key{
			{Name: "name"}, {Name: "url", Aliases: []string{"repo"}}, {Name: "project"}, {Name: "type"}, {Name: "state"},
		},
	}
	Jobs = Schema{
		Things: "jobs",
		Keys: []Key{
			{Name: "name", Aliases: []string{"id"}},
			{Name: "kind", Kind: Word, Words: []string{"sync", "refresh", "rollback", "delete", "action"}},
			{Name: "phase", Kind: Word, Words: []string{"running", "finished", "cancelled"}},
			{Name: "by"}, {Name: "cancelledby"},
			{Name: "total", Kind: Number}, {Name: "pending", Kind: Number}, {Name: "accepted", Kind: Number}, {Name: "failed", Kind: Number}, {Name: "cancelled", Kind: Number},
			{Name: "created", Kind: Age}, {Name: "finished", Kind: Age},
		},
		States: []string{"open", "ended", "failing", "dryrun"},
	}
	Operations = Schema{
		Things: "operations",
		Keys: []Key{
			{Name: "name", Aliases: []string{"application", "app"}}, {Name: "id"}, {Name: "project"}, {Name: "cluster"},
			{Name: "kind"}, {Name: "phase", Kind: Word, Words: []string{"queued", "running", "succeeded", "failed", "superseded", "expired", "terminated"}},
			{Name: "by"}, {Name: "message"},
			{Name: "created", Kind: Age}, {Name: "finished", Kind: Age},
		},
		States: []string{"open", "ended", "failing"},
	}
)
