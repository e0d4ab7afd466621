package model

import (
	"encoding/json"
	"time"
)

// API versions accepted for Application and AppProject.
const (
	APIVersionArgo   = "argoproj.io/v1alpha1"
	APIVersionHawser = "hawser.dev/v1alpha1"
	KindApplication  = "Application"
	KindAppProject   = "AppProject"
)

// ObjectMeta is the part of Kubernetes metadata that API objects carry here.
type ObjectMeta struct {
	Name            string            `json:"name"`
	Namespace       string            `json:"namespace,omitempty"`
	UID             string            `json:"uid,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	Finalizers      []string          `json:"finalizers,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Generation      int64             `json:"generation,omitempty"`

	CreationTimestamp *time.Time `json:"creationTimestamp,omitempty"`
	DeletionTimestamp *time.Time `json:"deletionTimestamp,omitempty"`
}

// Application says what to run (sources), where (destination) and how it is
// kept so (sync policy).
type Application struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   ObjectMeta      `json:"metadata"`
	Spec       ApplicationSpec `json:"spec"`

	// Operation in an applied object asks for a sync, as in Argo CD.
	Operation *RequestedOperation `json:"operation,omitempty"`
	// Status in an applied object is ignored; it is filled in answers.
	Status json.RawMessage `json:"status,omitempty"`
}

// ApplicationSpec is Argo CD's spec.
type ApplicationSpec struct {
	Project              string              `json:"project"`
	Source               *Source             `json:"source,omitempty"`
	Sources              []Source            `json:"sources,omitempty"`
	SourceHydrator       *SourceHydrator     `json:"sourceHydrator,omitempty"`
	Destination          Destination         `json:"destination"`
	SyncPolicy           *SyncPolicy         `json:"syncPolicy,omitempty"`
	IgnoreDifferences    []IgnoreDifferences `json:"ignoreDifferences,omitempty"`
	Info                 []Info              `json:"info,omitempty"`
	RevisionHistoryLimit *int64              `json:"revisionHistoryLimit,omitempty"`
}

// AllSources returns the sources in order: Sources when set, else Source.
func (s *ApplicationSpec) AllSources() []Source {
	if len(s.Sources) > 0 {
		return s.Sources
	}
	if s.Source != nil {
		return []Source{*s.Source}
	}
	return nil
}

// ManifestSources returns the sources that manifests come from: all but those
// that only lend their files to others (ref without path or chart).
func (s *ApplicationSpec) ManifestSources() []Source {
	var out []Source
	for _, src := range s.AllSources() {
		if src.HasManifests() {
			out = append(out, src)
		}
	}
	return out
}

// HasManifests reports whether manifests come from the source: a ref without
// path or chart only lends its files to others.
func (s Source) HasManifests() bool { return s.Ref == "" || s.Path != "" || s.Chart != "" }

// Info is shown beside the application.
type Info struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Destination is a cluster, by name or by server alias, and the namespace of
// objects that name none.
type Destination struct {
	Server    string `json:"server,omitempty"`
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// Source is one place that manifests come from.
type Source struct {
	RepoURL        string           `json:"repoURL"`
	Path           string           `json:"path,omitempty"`
	TargetRevision string           `json:"targetRevision,omitempty"`
	TagPrefix      string           `json:"tagPrefix,omitempty"`
	Chart          string           `json:"chart,omitempty"`
	Ref            string           `json:"ref,omitempty"`
	Name           string           `json:"name,omitempty"`
	Helm           *HelmSource      `json:"helm,omitempty"`
	Kustomize      *KustomizeSource `json:"kustomize,omitempty"`
	Directory      *DirectoryOption `json:"directory,omitempty"`
	Plugin         *PluginSource    `json:"plugin,omitempty"`
	// Jinja is Hawser's addition: the directory holds Jinja2 templates.
	Jinja *JinjaSource `json:"jinja,omitempty"`
}

// DirectoryOption chooses the files of a plain directory.
type DirectoryOption struct {
	Recurse                bool            `json:"recurse,omitempty"`
	Include                string          `json:"include,omitempty"`
	Exclude                string          `json:"exclude,omitempty"`
	DisableExtensionFilter bool            `json:"disableExtensionFilter,omitempty"`
	Jsonnet                *JsonnetOptions `json:"jsonnet,omitempty"`
}

// SyncPolicy says when and how the cluster is made to match.
type SyncPolicy struct {
	Automated                *AutomatedSync     `json:"automated,omitempty"`
	SyncOptions              []string           `json:"syncOptions,omitempty"`
	Retry                    *RetryStrategy     `json:"retry,omitempty"`
	ManagedNamespaceMetadata *NamespaceMetadata `json:"managedNamespaceMetadata,omitempty"`
}

// AutomatedSync switches automated sync on. A nil Enabled means on.
type AutomatedSync struct {
	Prune      bool  `json:"prune,omitempty"`
	SelfHeal   bool  `json:"selfHeal,omitempty"`
	AllowEmpty bool  `json:"allowEmpty,omitempty"`
	Enabled    *bool `json:"enabled,omitempty"`
}

// RetryStrategy repeats a failed sync.
type RetryStrategy struct {
	Limit   int64    `json:"limit,omitempty"`
	Backoff *Backoff `json:"backoff,omitempty"`
	Refresh bool     `json:"refresh,omitempty"`
}

// Backoff grows from Duration by Factor up to MaxDuration. Durations are Go
// duration strings; a bare number means seconds.
type Backoff struct {
	Duration    string `json:"duration,omitempty"`
	Factor      *int64 `json:"factor,omitempty"`
	MaxDuration string `json:"maxDuration,omitempty"`
}

// NamespaceMetadata is put on the namespace that CreateNamespace=true makes.
type NamespaceMetadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// IgnoreDifferences excludes fields from comparison.
type IgnoreDifferences struct {
	Group                 string   `json:"group,omitempty"`
	Kind                  string   `json:"kind"`
	Name                  string   `json:"name,omitempty"`
	Namespace             string   `json:"namespace,omitempty"`
	JSONPointers          []string `json:"jsonPointers,omitempty"`
	JQPathExpressions     []string `json:"jqPathExpressions,omitempty"`
	ManagedFieldsManagers []string `json:"managedFieldsManagers,omitempty"`
}

// AutomatedEnabled reports whether automated sync is on.
func (p *SyncPolicy) AutomatedEnabled() bool {
	return p != nil && p.Automated != nil && (p.Automated.Enabled == nil || *p.Automated.Enabled)
}
