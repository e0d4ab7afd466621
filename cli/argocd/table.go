package argocd

// Kinds of flags.
const (
	boolean = 'b'
	text    = 's'
	many    = 'a'
	commas  = 'l' // several, also with commas between them
	seconds = 't' // a number of seconds, which is a duration there
	number  = 'n'
)

// Flag is one flag of Argo CD.
type Flag struct {
	Name, Short string
	kind        byte
	// To is the flag of hawser, the same name when it is empty.
	To string
	// Ignored is why the flag has no effect; Unsupported is what to use instead.
	Ignored, Unsupported string
	// own flags are read by the command itself.
	own bool
	def string // default of Argo CD where hawser's is another
}

// Command is one command of Argo CD.
type Command struct {
	Path  string // "app sync"
	Usage string // of its arguments
	Short string
	// To is the command of hawser that does it; empty: it is done here.
	To    string
	Flags []Flag
	// Unsupported is what to use instead of the whole command.
	Unsupported string
	// each: the command of hawser takes one argument, and is run for each.
	each        bool
	run         func(*invocation) error
	after       func(*invocation) error // once the command of hawser has succeeded
	least, most int                     // arguments; most -1: any number
}

func same(kind byte, names ...string) []Flag {
	out := make([]Flag, len(names))
	for i, n := range names {
		out[i] = Flag{Name: n, kind: kind}
	}
	return out
}

func ignored(kind byte, why string, names ...string) []Flag {
	out := same(kind, names...)
	for i := range out {
		out[i].Ignored = why
	}
	return out
}

func own(kind byte, names ...string) []Flag {
	out := same(kind, names...)
	for i := range out {
		out[i].own = true
	}
	return out
}

func flags(groups ...[]Flag) (out []Flag) {
	for _, g := range groups {
		out = append(out, g...)
	}
	return out
}

const (
	oneScope  = "applications are in no namespace"
	validated = "the hub validates always"
	noKinds   = "kinds and plugins are the hub's matter"
)

var (
	shownAs   = Flag{Name: "output", Short: "o", kind: text, own: true}
	passed    = Flag{Name: "output", Short: "o", kind: text}
	namespace = Flag{Name: "app-namespace", Short: "N", kind: text, Ignored: oneScope}
	selector  = Flag{Name: "selector", Short: "l", kind: text}

	sourceFlags = flags(
		same(text, "repo", "path", "helm-chart", "revision", "ref", "dest-server", "dest-name", "dest-namespace", "project", "sync-policy", "release-name", "helm-version",
			"values-literal-file", "helm-namespace", "helm-kube-version", "nameprefix", "namesuffix", "kustomize-version", "kustomize-namespace", "kustomize-kube-version",
			"directory-include", "directory-exclude", "config-management-plugin", "sync-retry-backoff-duration", "sync-retry-backoff-max-duration"),
		same(many, "values", "helm-set", "helm-set-string", "helm-set-file", "helm-api-versions", "kustomize-image", "kustomize-replica", "kustomize-api-versions",
			"kustomize-common-label", "kustomize-common-annotation", "jsonnet-tla-str", "jsonnet-tla-code", "jsonnet-ext-var-str", "jsonnet-ext-var-code", "jsonnet-libs", "plugin-env", "sync-option"),
		same(boolean, "auto-prune", "self-heal", "allow-empty", "directory-recurse", "ignore-missing-value-files", "helm-pass-credentials", "helm-skip-crds", "helm-skip-schema-validation",
			"helm-skip-tests", "kustomize-force-common-label", "kustomize-force-common-annotation", "kustomize-label-without-selector", "kustomize-label-include-templates",
			"ignore-missing-components", "sync-retry-refresh"),
		same(number, "revision-history-limit", "sync-retry-limit", "sync-retry-backoff-factor"),
		[]Flag{{Name: "parameter", Short: "p", kind: many}, namespace,
			{Name: "dry-source-repo", kind: text, Unsupported: "rendered branches are synced as they are: point --repo at them"}},
		ignored(text, "ksonnet is gone", "env"), ignored(boolean, validated, "validate"),
	)
)

// Commands are all that the name argocd answers to.
func Commands() []Command {
	return []Command{
		{Path: "app list", Short: "List applications", run: appList, Flags: flags(
			[]Flag{{Name: "repo", Short: "r", kind: text, own: true}, {Name: "path", Short: "P", kind: text, own: true}, {Name: "project", Short: "p", kind: many, own: true}, {Name: "cluster", Short: "c", kind: text, own: true}, {Name: "selector", Short: "l", kind: text, own: true}, shownAs, namespace})},
		{Path: "app get", Usage: "APPNAME", least: 1, most: 1, Short: "Get application details", run: appGet,
			Flags: flags(own(boolean, "refresh", "hard-refresh", "show-operation"), []Flag{shownAs, namespace}, ignored(boolean, "parameters are shown with -o yaml", "show-params"), own(seconds, "timeout"))},
		{Path: "app create", Usage: "APPNAME", most: 1, Short: "Create an application", To: "app create", Flags: flags(sourceFlags, same(boolean, "upsert", "set-finalizer"), same(many, "annotations"),
			[]Flag{{Name: "file", Short: "f", kind: many}, {Name: "label", Short: "l", kind: many}, {Name: "name", kind: text, own: true}})},
		{Path: "app set", Usage: "APPNAME", least: 1, most: 1, Short: "Set application parameters", To: "app set",
			Flags: flags(sourceFlags, same(number, "source-position"), []Flag{{Name: "source-name", kind: text, To: "which-source"}})},
		{Path: "app unset", Usage: "APPNAME", least: 1, most: 1, Short: "Unset application parameters", To: "app unset", Flags: flags(
			same(many, "values", "kustomize-image", "kustomize-replica", "plugin-env"), []Flag{{Name: "parameter", Short: "p", kind: many}, namespace}, same(number, "source-position"), same(text, "source-name"),
			same(boolean, "values-literal", "ignore-missing-value-files", "nameprefix", "namesuffix", "kustomize-version", "kustomize-namespace", "pass-credentials", "ref", "ignore-missing-components"))},
		{Path: "app edit", Usage: "APPNAME", least: 1, most: 1, Short: "Edit an application", To: "app edit", Flags: []Flag{namespace}},
		{Path: "app patch", Usage: "APPNAME", least: 1, most: 1, Short: "Patch an application", To: "app patch", Flags: flags(same(text, "patch", "type"), []Flag{namespace})},
		{Path: "app diff", Usage: "APPNAME", least: 1, most: 1, Short: "Diff desired and live state", To: "app diff", Flags: flags(
			same(boolean, "refresh", "hard-refresh", "exit-code"), same(text, "revision", "local", "local-repo-root"), same(many, "revisions"), same(number, "diff-exit-code"),
			[]Flag{namespace, {Name: "source-positions", kind: many}, {Name: "local-include", kind: many}, {Name: "source-names", kind: many, Unsupported: "--source-positions"}},
			ignored(boolean, "the hub renders in any case", "server-side-generate", "server-side-diff"), ignored(text, noKinds, "ignore-normalizer-jq-execution-timeout"), ignored(number, "one application at a time", "concurrency-limit"))},
		{Path: "app sync", Usage: "[APPNAME... | -l selector]", most: -1, Short: "Sync applications", To: "app sync", after: appsAfter, Flags: flags(
			same(boolean, "prune", "dry-run", "force", "replace", "server-side", "async", "preview-changes", "apply-out-of-sync-only"), same(many, "resource", "label", "sync-option"),
			same(text, "revision", "strategy", "retry-backoff-duration", "retry-backoff-max-duration"), same(number, "retry-limit", "retry-backoff-factor"), same(seconds, "timeout"),
			[]Flag{selector, shownAs, namespace, {Name: "project", kind: text}, {Name: "assumeYes", kind: boolean, To: "yes"},
				{Name: "local", kind: text, Unsupported: "commit it: what no repository has is not deployed. See what it would change: argocd app diff APPNAME --local DIR"},
				{Name: "revisions", kind: many, Unsupported: "argocd app set APPNAME --source-position N --revision R"},
				{Name: "source-positions", kind: many, Unsupported: "argocd app set APPNAME --source-position N --revision R"},
				{Name: "info", kind: many, Unsupported: "hawser app sync --reason TEXT"}},
			ignored(boolean, "retries take the newest revision", "retry-refresh"), ignored(boolean, "guards decide", "ignore-normalizer"))},
		{Path: "app wait", Usage: "[APPNAME... | -l selector]", most: -1, Short: "Wait for applications to reach a state", To: "app wait", after: appsAfter, Flags: flags(
			same(boolean, "sync", "health", "operation", "suspended", "degraded", "delete"), same(seconds, "timeout"), []Flag{selector, shownAs, namespace,
				{Name: "resource", kind: many, Unsupported: "the whole application is waited for"}, {Name: "hydrated", kind: boolean, Unsupported: "sources are not hydrated here"}})},
		{Path: "app history", Usage: "APPNAME", least: 1, most: 1, Short: "Show application deployment history", run: appHistory, Flags: []Flag{shownAs, namespace}},
		{Path: "app rollback", Usage: "APPNAME [ID]", least: 1, most: 2, Short: "Rollback to a previous deployed version", To: "app rollback",
			Flags: flags(same(boolean, "prune"), same(seconds, "timeout"), []Flag{namespace}, ignored(text, "the newest state is shown by app get", "output"))},
		{Path: "app delete", Usage: "APPNAME...", least: 1, most: -1, Short: "Delete applications", To: "app delete", each: true, Flags: flags(
			[]Flag{{Name: "cascade", kind: boolean, def: "true"}, {Name: "yes", Short: "y", kind: boolean}, {Name: "wait", kind: boolean, def: "false"}, {Name: "propagation-policy", Short: "p", kind: text}, namespace,
				{Name: "selector", Short: "l", kind: text, Unsupported: "argocd app list -l SELECTOR -o name, then delete each"}})},
		{Path: "app logs", Usage: "APPNAME", least: 1, most: 1, Short: "Get logs of application pods", To: "app logs", Flags: flags(
			[]Flag{{Name: "container", Short: "c", kind: text}, {Name: "follow", Short: "f", kind: boolean}, {Name: "previous", Short: "p", kind: boolean}, {Name: "filter", kind: text, To: "grep"},
				{Name: "since-seconds", kind: seconds, To: "since"}, {Name: "until-time", kind: text, Unsupported: "hawser app logs --since"}, namespace},
			same(text, "group", "kind", "name", "namespace"), same(number, "tail"), ignored(boolean, "write the filter as (?i)…", "match-case"))},
		{Path: "app manifests", Usage: "APPNAME", least: 1, most: 1, Short: "Print manifests of an application", To: "app manifests", Flags: flags(same(text, "source", "revision"), same(many, "revisions", "source-positions"),
			[]Flag{namespace, {Name: "local", kind: text, Unsupported: "argocd app diff APPNAME --local DIR"}, {Name: "source-names", kind: many, Unsupported: "--source-positions"}})},
		{Path: "app resources", Usage: "APPNAME", least: 1, most: 1, Short: "List resources of an application", To: "app resources --with-orphaned --columns group,kind,namespace,name,orphaned",
			Flags: flags(same(boolean, "orphaned"), []Flag{passed, namespace, {Name: "project", kind: text, Ignored: "names are unique"}})},
		{Path: "app actions list", Usage: "APPNAME", least: 1, most: 1, Short: "Lists available actions on a resource", To: "app actions list", Flags: flags(same(text, "kind", "group", "namespace", "resource-name"), []Flag{passed})},
		{Path: "app actions run", Usage: "APPNAME ACTION", least: 2, most: 2, Short: "Runs an available action on resources", To: "app actions run",
			Flags: flags(same(text, "kind", "group", "namespace", "resource-name"), same(boolean, "all"), []Flag{{Name: "param", kind: many}})},
		{Path: "app delete-resource", Usage: "APPNAME", least: 1, most: 1, Short: "Delete resources in an application", To: "app delete-resource --yes",
			Flags: flags(same(text, "kind", "group", "namespace", "resource-name"), same(boolean, "force", "all", "orphan"),
				[]Flag{namespace, {Name: "project", kind: text, Ignored: "names are unique"}})},
		{Path: "app terminate-op", Usage: "APPNAME", least: 1, most: 1, Short: "Terminate running operation of an application", To: "app cancel", Flags: []Flag{namespace}},

		{Path: "proj list", Short: "List projects", run: projList, Flags: []Flag{shownAs}},
		{Path: "proj get", Usage: "PROJECT", least: 1, most: 1, Short: "Get project details", run: projGet, Flags: []Flag{shownAs}},
		{Path: "proj create", Usage: "PROJECT", most: 1, Short: "Create a project", run: projCreate, Flags: flags(projectFlags, own(boolean, "upsert"), []Flag{{Name: "file", Short: "f", kind: text, own: true}})},
		{Path: "proj set", Usage: "PROJECT", least: 1, most: 1, Short: "Set project parameters", run: projSet, Flags: projectFlags},
		{Path: "proj delete", Usage: "PROJECT...", least: 1, most: -1, Short: "Delete projects", To: "project delete", each: true},
		{Path: "proj edit", Usage: "PROJECT", least: 1, most: 1, Short: "Edit project", To: "project edit"},
		{Path: "proj add-source", Usage: "PROJECT URL", least: 2, most: 2, Short: "Add project source repository", run: projChange},
		{Path: "proj remove-source", Usage: "PROJECT URL", least: 2, most: 2, Short: "Remove project source repository", run: projChange},
		{Path: "proj add-destination", Usage: "PROJECT SERVER/NAME NAMESPACE", least: 3, most: 3, Short: "Add project destination", run: projChange, Flags: own(boolean, "name")},
		{Path: "proj remove-destination", Usage: "PROJECT SERVER NAMESPACE", least: 3, most: 3, Short: "Remove project destination", run: projChange},
		{Path: "proj allow-cluster-resource", Usage: "PROJECT GROUP KIND [NAME]", least: 3, most: 4, Short: "Allow a cluster-scoped kind", run: projChange, Flags: kindList},
		{Path: "proj deny-cluster-resource", Usage: "PROJECT GROUP KIND [NAME]", least: 3, most: 4, Short: "Deny a cluster-scoped kind", run: projChange, Flags: kindList},
		{Path: "proj allow-namespace-resource", Usage: "PROJECT GROUP KIND", least: 3, most: 3, Short: "Allow a namespaced kind", run: projChange, Flags: kindList},
		{Path: "proj deny-namespace-resource", Usage: "PROJECT GROUP KIND", least: 3, most: 3, Short: "Deny a namespaced kind", run: projChange, Flags: kindList},
		{Path: "proj add-signature-key", Usage: "PROJECT KEY-ID", least: 2, most: 2, Short: "Add a GnuPG key to the project", run: projChange},
		{Path: "proj remove-signature-key", Usage: "PROJECT KEY-ID", least: 2, most: 2, Short: "Remove a GnuPG key from the project", run: projChange},
		{Path: "proj add-source-namespace", Usage: "PROJECT NAMESPACE", least: 2, most: 2, Short: "Add a source namespace", run: projChange},
		{Path: "proj remove-source-namespace", Usage: "PROJECT NAMESPACE", least: 2, most: 2, Short: "Remove a source namespace", run: projChange},
		{Path: "proj add-orphaned-ignore", Usage: "PROJECT GROUP KIND", least: 3, most: 3, Short: "Add a kind to the orphaned ignore list", run: projChange, Flags: own(text, "name")},
		{Path: "proj remove-orphaned-ignore", Usage: "PROJECT GROUP KIND", least: 3, most: 3, Short: "Remove a kind from the orphaned ignore list", run: projChange, Flags: own(text, "name")},
		{Path: "proj add-destination-service-account", Usage: "PROJECT SERVER NAMESPACE SERVICE-ACCOUNT", least: 4, most: 4, Short: "Add a destination's service account", run: projChange, Flags: own(text, "service-account-namespace")},
		{Path: "proj remove-destination-service-account", Usage: "PROJECT SERVER NAMESPACE SERVICE-ACCOUNT", least: 4, most: 4, Short: "Remove a destination's service account", run: projChange},
		{Path: "proj windows list", Usage: "PROJECT", least: 1, most: 1, Short: "List project sync windows", run: windowsList, Flags: []Flag{shownAs}},
		{Path: "proj windows add", Usage: "PROJECT", least: 1, most: 1, Short: "Add a sync window", run: projChange,
			Flags: flags(own(text, "schedule", "duration", "description"), []Flag{{Name: "time-zone", kind: text, own: true, def: "UTC"}, {Name: "kind", Short: "k", kind: text, own: true}}, own(commas, "applications", "namespaces", "clusters"), own(boolean, "manual-sync", "use-and-operator", "sync-overrun"))},
		{Path: "proj windows update", Usage: "PROJECT ID", least: 2, most: 2, Short: "Update a sync window", run: projChange, Flags: flags(own(text, "schedule", "duration", "time-zone", "description"), own(commas, "applications", "namespaces", "clusters"))},
		{Path: "proj windows enable-manual-sync", Usage: "PROJECT ID", least: 2, most: 2, Short: "Enable manual sync for a sync window", run: projChange},
		{Path: "proj windows disable-manual-sync", Usage: "PROJECT ID", least: 2, most: 2, Short: "Disable manual sync for a sync window", run: projChange},
		{Path: "proj windows delete", Usage: "PROJECT ID", least: 2, most: 2, Short: "Delete a sync window", run: projChange},
		{Path: "proj role list", Usage: "PROJECT", least: 1, most: 1, Short: "List project roles", run: roleList, Flags: []Flag{shownAs}},
		{Path: "proj role get", Usage: "PROJECT ROLE-NAME", least: 2, most: 2, Short: "Get the details of a role", run: roleGet},
		{Path: "proj role create", Usage: "PROJECT ROLE-NAME", least: 2, most: 2, Short: "Create a project role", run: roleChange, Flags: own(text, "description")},
		{Path: "proj role delete", Usage: "PROJECT ROLE-NAME", least: 2, most: 2, Short: "Delete a project role", run: roleChange},
		{Path: "proj role add-policy", Usage: "PROJECT ROLE-NAME", least: 2, most: 2, Short: "Add a policy to a project role", run: roleChange, Flags: policyFlags},
		{Path: "proj role remove-policy", Usage: "PROJECT ROLE-NAME", least: 2, most: 2, Short: "Remove a policy from a role", run: roleChange, Flags: policyFlags},
		{Path: "proj role add-group", Usage: "PROJECT ROLE-NAME GROUP-CLAIM", least: 3, most: 3, Short: "Add a group claim to a role", run: roleChange},
		{Path: "proj role remove-group", Usage: "PROJECT ROLE-NAME GROUP-CLAIM", least: 3, most: 3, Short: "Remove a group claim from a role", run: roleChange},
		{Path: "proj role create-token", Usage: "PROJECT ROLE-NAME", least: 2, most: 2, Short: "Create a project token", run: roleCreateToken,
			Flags: flags([]Flag{{Name: "expires-in", Short: "e", kind: text, own: true, def: "0s"}, {Name: "id", Short: "i", kind: text, own: true}, {Name: "token-only", Short: "t", kind: boolean, own: true}})},
		{Path: "proj role list-tokens", Usage: "PROJECT ROLE-NAME", least: 2, most: 2, Short: "List tokens for a given role", run: roleListTokens,
			Flags: flags([]Flag{{Name: "unixtime", Short: "u", kind: boolean, own: true}})},
		{Path: "proj role delete-token", Usage: "PROJECT ROLE-NAME ISSUED-AT", least: 3, most: 3, Short: "Delete a project token", run: roleDeleteToken},

		{Path: "repo add", Usage: "REPOURL", least: 1, most: 1, Short: "Add repository credentials", To: "repo add", Flags: flags(same(text, "username", "type", "name", "project", "proxy", "no-proxy"), repositoryFlags)},
		{Path: "repo list", Short: "List configured repositories", run: repoList, Flags: flags([]Flag{shownAs}, ignored(text, "they are looked at all the time", "refresh"))},
		{Path: "repo get", Usage: "REPO", least: 1, most: 1, Short: "Get a repository", run: repoGet, Flags: flags([]Flag{shownAs}, ignored(text, "it is looked at all the time", "refresh"))},
		{Path: "repo rm", Usage: "REPO...", least: 1, most: -1, Short: "Remove repositories", To: "repo remove", each: true, Flags: []Flag{{Name: "project", kind: text, Unsupported: "leave it out: a URL is registered once"}}},
		{Path: "repocreds add", Usage: "REPOURL", least: 1, most: 1, Short: "Add a credential template", To: "repocreds add", Flags: flags(same(text, "username", "proxy", "no-proxy"), repositoryFlags, ignored(text, "the URL says it", "type"))},
		{Path: "repocreds list", Short: "List credential templates", To: "repocreds list", Flags: []Flag{passed}},
		{Path: "repocreds rm", Usage: "REPOURL...", least: 1, most: -1, Short: "Remove credential templates", To: "repocreds remove", each: true},

		{Path: "cluster list", Short: "List clusters", run: clusterList, Flags: []Flag{shownAs}},
		{Path: "cluster get", Usage: "SERVER/NAME...", least: 1, most: -1, Short: "Get cluster information", run: clusterGet, Flags: []Flag{shownAs}},
		{Path: "cluster rm", Usage: "SERVER/NAME...", least: 1, most: -1, Short: "Remove clusters", run: clusterRemove, Flags: []Flag{{Name: "yes", Short: "y", kind: boolean, Ignored: "nothing in the cluster is touched"}}},
		{Path: "cluster set", Usage: "NAME", least: 1, most: 1, Short: "Set cluster labels", run: clusterSet, Flags: flags(own(many, "label"), []Flag{{Name: "name", kind: text, Unsupported: "a cluster keeps its name"}})},
		{Path: "cluster add", Usage: "CONTEXT", most: -1, Short: "Add a cluster", Unsupported: "hawser cluster enroll NAME: an agent in the cluster connects to the hub, and no credential of the cluster is given away"},

		{Path: "login", Usage: "SERVER", least: 1, most: 1, Short: "Log in", run: login, Flags: flags(own(text, "username", "password", "name", "ca-hash"), ignored(boolean, "the hub's certificate is pinned by --ca-hash", "skip-test-tls"),
			[]Flag{{Name: "sso", kind: boolean, Unsupported: "hawser login SERVER"}, {Name: "core", kind: boolean, Unsupported: "a hub is needed"}})},
		{Path: "logout", Usage: "CONTEXT", most: 1, Short: "Log out", To: "logout"},
		{Path: "relogin", Short: "Refresh an expired token", Unsupported: "hawser login SERVER, with a new token or code"},
		{Path: "context", Usage: "[CONTEXT]", most: 1, Short: "Switch between contexts", run: contexts, Flags: []Flag{{Name: "delete", kind: boolean, Unsupported: "hawser context delete"}}},
		{Path: "account can-i", Usage: "ACTION RESOURCE SUBRESOURCE", least: 3, most: 3, Short: "Can I", run: canI},
		{Path: "account get-user-info", Short: "Get user info", run: userInfo, Flags: []Flag{shownAs}},
		{Path: "version", Short: "Print version information", run: version, Flags: flags(own(boolean, "client", "short"), []Flag{shownAs})},
	}
}

var projectFlags = flags(own(text, "description"), []Flag{{Name: "src", Short: "s", kind: many, own: true}, {Name: "dest", Short: "d", kind: many, own: true}},
	own(many, "allow-cluster-resource", "deny-cluster-resource", "allow-namespaced-resource", "deny-namespaced-resource", "dest-service-accounts"), own(commas, "signature-keys", "source-namespaces"),
	own(boolean, "orphaned-resources", "orphaned-resources-warn"))

var (
	kindList    = []Flag{{Name: "list", Short: "l", kind: text, own: true}}
	policyFlags = []Flag{{Name: "action", Short: "a", kind: text, own: true}, {Name: "permission", Short: "p", kind: text, own: true, def: "allow"}, {Name: "object", Short: "o", kind: text, own: true},
		{Name: "resource", Short: "r", kind: text, own: true, def: "applications"}}
)

var repositoryFlags = flags(own(text, "password"), []Flag{
	{Name: "ssh-private-key-path", kind: text, To: "ssh-key-file"}, {Name: "tls-client-cert-path", kind: text, To: "client-cert-file"}, {Name: "tls-client-cert-key-path", kind: text, To: "client-key-file"},
	{Name: "insecure-skip-server-verification", kind: boolean, To: "insecure-skip-tls-verify"}, {Name: "insecure-ignore-host-key", kind: boolean}, {Name: "insecure-oci-force-http", kind: boolean, To: "insecure-plain-http"},
	{Name: "github-app-id", kind: number}, {Name: "github-app-installation-id", kind: number}, {Name: "github-app-private-key-path", kind: text, To: "github-app-private-key-file"},
	{Name: "github-app-enterprise-base-url", kind: text, To: "github-app-base-url"}, {Name: "enable-lfs", kind: boolean}, {Name: "force-http-basic-auth", kind: boolean, To: "force-basic-auth"},
	{Name: "gcp-service-account-key-path", kind: text, Unsupported: "--password with a token"}, {Name: "bearer-token", kind: text, Unsupported: "hawser repo add --bearer-token-file"}},
	ignored(boolean, "it is known by the URL", "enable-oci", "upsert"))

// Globals are the flags of every command.
var Globals = flags(
	[]Flag{{Name: "server", kind: text, own: true}, {Name: "auth-token", kind: text, own: true}, {Name: "argocd-context", kind: text, own: true}},
	ignored(boolean, "the hub speaks HTTPS", "grpc-web", "plaintext", "port-forward", "client-crt"),
	ignored(boolean, "the certificate is verified: by the hash in HAWSER_CA_HASH or the context, else by the system", "insecure"),
	ignored(text, "the hub speaks HTTPS", "grpc-web-root-path", "port-forward-namespace", "client-crt-key", "kube-context", "http-retry-max", "controller-name", "redis-name", "redis-haproxy-name", "repo-server-name", "server-name"),
	ignored(text, "see --help of hawser", "logformat", "loglevel", "config", "redis-compress"), ignored(many, "see --help of hawser", "header"), ignored(boolean, "nothing is asked", "prompts-enabled"),
	[]Flag{{Name: "core", kind: boolean, Unsupported: "a hub is needed"}},
)
