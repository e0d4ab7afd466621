package model

import (
	"encoding/json"
	"time"
)

// AppProject says who may deploy what, from where, to where. The shape is Argo
// CD's.
type AppProject struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   ObjectMeta      `json:"metadata"`
	Spec       AppProjectSpec  `json:"spec"`
	Status     json.RawMessage `json:"status,omitempty"`
}

// AppProjectSpec holds the limits. Patterns are globs and a leading "!" denies;
// package policy says exactly how, as Argo CD does.
type AppProjectSpec struct {
	Description              string               `json:"description,omitempty"`
	SourceRepos              []string             `json:"sourceRepos,omitempty"`
	Destinations             []ProjectDestination `json:"destinations,omitempty"`
	SourceNamespaces         []string             `json:"sourceNamespaces,omitempty"`
	ClusterResourceWhitelist []KindRule           `json:"clusterResourceWhitelist,omitempty"`
	ClusterResourceBlacklist []KindRule           `json:"clusterResourceBlacklist,omitempty"`
	// NamespaceResourceWhitelist allows every namespaced kind when it is nil and
	// none when it is empty.
	NamespaceResourceWhitelist      []KindRule                  `json:"namespaceResourceWhitelist,omitzero"`
	NamespaceResourceBlacklist      []KindRule                  `json:"namespaceResourceBlacklist,omitempty"`
	Roles                           []ProjectRole               `json:"roles,omitempty"`
	OrphanedResources               *OrphanedResources          `json:"orphanedResources,omitempty"`
	SyncWindows                     []SyncWindow                `json:"syncWindows,omitempty"`
	SignatureKeys                   []SignatureKey              `json:"signatureKeys,omitempty"`
	SourceIntegrity                 *SourceIntegrity            `json:"sourceIntegrity,omitempty"`
	DestinationServiceAccounts      []DestinationServiceAccount `json:"destinationServiceAccounts,omitempty"`
	PermitOnlyProjectScopedClusters bool                        `json:"permitOnlyProjectScopedClusters,omitempty"`
	// Limits is Hawser's addition: how much there may be of what the project allows.
	Limits *ProjectLimits `json:"limits,omitempty"`
	// SourceRepoBlacklist and DestinationBlacklist are Hawser's additions: what
	// they match is refused, whatever else allows it, and they allow nothing. A "!"
	// has no meaning in them.
	SourceRepoBlacklist  []string             `json:"sourceRepoBlacklist,omitempty"`
	DestinationBlacklist []ProjectDestination `json:"destinationBlacklist,omitempty"`
	// InheritedBy is Hawser's addition: it makes this a global project, whose
	// rules count in every other project whose labels are selected; an empty
	// selector selects all. Package policy says what is inherited.
	InheritedBy *LabelSelector `json:"inheritedBy,omitempty"`
	// SensitiveFields is Hawser's addition: fields of objects whose values are shown
	// nowhere outside of their cluster.
	SensitiveFields []SensitiveFields `json:"sensitiveFields,omitempty"`
}

// SensitiveFields are fields of the kinds that its globs match. A segment "*" of a
// pointer is any key or index.
type SensitiveFields struct {
	Group        string   `json:"group"`
	Kind         string   `json:"kind"`
	JSONPointers []string `json:"jsonPointers"`
}

// ProjectLimits is a quota. A nil limit is none; 0 allows nothing.
type ProjectLimits struct {
	MaxApplications *int64 `json:"maxApplications,omitempty"`
	// MaxObjects is of all applications of the project together.
	MaxObjects               *int64 `json:"maxObjects,omitempty"`
	MaxObjectsPerApplication *int64 `json:"maxObjectsPerApplication,omitempty"`
}

// LabelSelector selects by labels as in Kubernetes: everything that it says has
// to hold.
type LabelSelector struct {
	MatchLabels      map[string]string  `json:"matchLabels,omitempty"`
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// LabelRequirement is about one label. Operator is In, NotIn, Exists or
// DoesNotExist; Values are for the first two.
type LabelRequirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// ProjectDestination permits, or with a leading "!" in a field denies, a
// cluster and namespace.
type ProjectDestination struct {
	Server    string `json:"server,omitempty"`
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// ClusterSelector is Hawser's addition: the rule is about the clusters with
	// these labels, and neither allows nor denies others. It stands alone or
	// beside server and name.
	ClusterSelector *LabelSelector `json:"clusterSelector,omitempty"`
}

// KindRule matches kinds, and optionally names, by glob.
type KindRule struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
}

// ProjectStatus is what the hub answers in the status of a project.
type ProjectStatus struct {
	// ChangedAt is when the project was last changed, and ChangedBy by whom; nil
	// and "" when that was before hubs kept it.
	ChangedAt *time.Time `json:"changedAt,omitempty"`
	ChangedBy string     `json:"changedBy,omitempty"`
}

// ProjectRole is a set of permissions for groups and tokens. It is kept as given.
type ProjectRole struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Policies    []string   `json:"policies,omitempty"`
	Groups      []string   `json:"groups,omitempty"`
	JWTTokens   []JWTToken `json:"jwtTokens,omitempty"`
}

// JWTToken is a token that Argo CD issued for a role. Hawser keeps the entry
// and accepts no such token.
type JWTToken struct {
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp,omitempty"`
	ID        string `json:"id,omitempty"`
}

// SourceIntegrity says which commits are trusted.
type SourceIntegrity struct {
	Git *GitIntegrity `json:"git,omitempty"`
}

// GitIntegrity holds one policy per set of repositories.
type GitIntegrity struct {
	Policies []GitIntegrityPolicy `json:"policies,omitempty"`
}

// GitIntegrityPolicy is the policy of the repositories that its globs match.
type GitIntegrityPolicy struct {
	// Repos without any match nothing.
	Repos []GitIntegrityRepo `json:"repos,omitzero"`
	GPG   *GitIntegrityGPG   `json:"gpg,omitempty"`
}

// GitIntegrityRepo matches repositories by a glob; a leading "!" excludes. As Argo
// CD's first versions wrote it, it may be given as the text alone.
type GitIntegrityRepo struct {
	URL string `json:"url"`
}

// GitIntegrityGPG says what must be signed (none, head or strict) and by whom.
type GitIntegrityGPG struct {
	Mode string `json:"mode,omitempty"`
	// Keys without any trust nobody, as in Argo CD.
	Keys []string `json:"keys,omitzero"`
}

// OrphanedResources configures the warning about objects that no application
// owns.
type OrphanedResources struct {
	Warn   *bool      `json:"warn,omitempty"`
	Ignore []KindRule `json:"ignore,omitempty"`
}

// SyncWindow allows or denies syncs at certain times.
type SyncWindow struct {
	Kind         string   `json:"kind,omitempty"`
	Schedule     string   `json:"schedule,omitempty"`
	Duration     string   `json:"duration,omitempty"`
	Applications []string `json:"applications,omitempty"`
	Namespaces   []string `json:"namespaces,omitempty"`
	Clusters     []string `json:"clusters,omitempty"`
	ManualSync   bool     `json:"manualSync,omitempty"`
	TimeZone     string   `json:"timeZone,omitempty"`
	AndOperator  bool     `json:"andOperator,omitempty"`
	SyncOverrun  bool     `json:"syncOverrun,omitempty"`
	Description  string   `json:"description,omitempty"`
}

// SignatureKey names a GnuPG key that must have signed a revision.
type SignatureKey struct {
	KeyID string `json:"keyID"`
}

// DestinationServiceAccount names the account that a sync impersonates.
type DestinationServiceAccount struct {
	Server                string `json:"server"`
	Namespace             string `json:"namespace,omitempty"`
	DefaultServiceAccount string `json:"defaultServiceAccount"`
}

// DefaultProjectSpec is what the project "default" allows when a hub starts
// for the first time: everything.
func DefaultProjectSpec() AppProjectSpec {
	return AppProjectSpec{
		SourceRepos:              []string{"*"},
		Destinations:             []ProjectDestination{{Server: "*", Namespace: "*"}},
		ClusterResourceWhitelist: []KindRule{{Group: "*", Kind: "*"}},
	}
}
