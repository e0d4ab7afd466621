package model

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// HelmSource holds the options of a Helm chart.
type HelmSource struct {
	ValueFiles     []string            `json:"valueFiles,omitempty"`
	Parameters     []HelmParameter     `json:"parameters,omitempty"`
	ReleaseName    string              `json:"releaseName,omitempty"`
	Values         string              `json:"values,omitempty"`
	FileParameters []HelmFileParameter `json:"fileParameters,omitempty"`
	// Version is accepted and has no effect, as in Argo CD since 3.5.
	Version                 string `json:"version,omitempty"`
	PassCredentials         bool   `json:"passCredentials,omitempty"`
	IgnoreMissingValueFiles bool   `json:"ignoreMissingValueFiles,omitempty"`
	SkipCrds                bool   `json:"skipCrds,omitempty"`
	// ValuesObject is an object; when set it replaces Values.
	ValuesObject         json.RawMessage `json:"valuesObject,omitempty" shape:"object"`
	Namespace            string          `json:"namespace,omitempty"`
	KubeVersion          string          `json:"kubeVersion,omitempty"`
	APIVersions          []string        `json:"apiVersions,omitempty"`
	SkipTests            bool            `json:"skipTests,omitempty"`
	SkipSchemaValidation bool            `json:"skipSchemaValidation,omitempty"`
}

// HelmParameter sets one value, as helm's --set, or --set-string when
// ForceString is on.
type HelmParameter struct {
	Name        string `json:"name,omitempty"`
	Value       string `json:"value,omitempty"`
	ForceString bool   `json:"forceString,omitempty"`
}

// HelmFileParameter sets one value from a file, as helm's --set-file.
type HelmFileParameter struct {
	Name string `json:"name,omitempty"`
	Path string `json:"path,omitempty"`
}

// JinjaSource holds the variables of Jinja2 templates (*.j2) in a directory.
// Later wins: files in order, then Values or ValuesObject. The directory option
// Recurse, Include and Exclude choose templates as they choose manifests.
type JinjaSource struct {
	// ValueFiles are YAML or JSON mappings, relative to the directory; "/x" is
	// relative to the root of the repository, "$ref/x" to another source.
	ValueFiles              []string `json:"valueFiles,omitempty"`
	IgnoreMissingValueFiles bool     `json:"ignoreMissingValueFiles,omitempty"`
	// Values is a YAML mapping.
	Values string `json:"values,omitempty"`
	// ValuesObject is an object; when set it replaces Values.
	ValuesObject json.RawMessage `json:"valuesObject,omitempty" shape:"object"`
}

// KustomizeSource holds what is changed in a kustomization before it is built.
type KustomizeSource struct {
	NamePrefix                string             `json:"namePrefix,omitempty"`
	NameSuffix                string             `json:"nameSuffix,omitempty"`
	Images                    []string           `json:"images,omitempty"`
	CommonLabels              map[string]string  `json:"commonLabels,omitempty"`
	Version                   string             `json:"version,omitempty"`
	CommonAnnotations         map[string]string  `json:"commonAnnotations,omitempty"`
	ForceCommonLabels         bool               `json:"forceCommonLabels,omitempty"`
	ForceCommonAnnotations    bool               `json:"forceCommonAnnotations,omitempty"`
	Namespace                 string             `json:"namespace,omitempty"`
	CommonAnnotationsEnvsubst bool               `json:"commonAnnotationsEnvsubst,omitempty"`
	Replicas                  []KustomizeReplica `json:"replicas,omitempty"`
	Patches                   []KustomizePatch   `json:"patches,omitempty"`
	Components                []string           `json:"components,omitempty"`
	IgnoreMissingComponents   bool               `json:"ignoreMissingComponents,omitempty"`
	LabelWithoutSelector      bool               `json:"labelWithoutSelector,omitempty"`
	LabelIncludeTemplates     bool               `json:"labelIncludeTemplates,omitempty"`
	KubeVersion               string             `json:"kubeVersion,omitempty"`
	APIVersions               []string           `json:"apiVersions,omitempty"`
}

// KustomizeReplica sets the number of replicas of one workload.
type KustomizeReplica struct {
	Name  string      `json:"name"`
	Count IntOrString `json:"count"`
}

// KustomizePatch is a patch, inline or from a file.
type KustomizePatch struct {
	Path    string             `json:"path,omitempty"`
	Patch   string             `json:"patch,omitempty"`
	Target  *KustomizeSelector `json:"target,omitempty"`
	Options map[string]bool    `json:"options,omitempty"`
}

// KustomizeSelector chooses the objects that a patch changes.
type KustomizeSelector struct {
	Group              string `json:"group,omitempty"`
	Version            string `json:"version,omitempty"`
	Kind               string `json:"kind,omitempty"`
	Name               string `json:"name,omitempty"`
	Namespace          string `json:"namespace,omitempty"`
	AnnotationSelector string `json:"annotationSelector,omitempty"`
	LabelSelector      string `json:"labelSelector,omitempty"`
}

// PluginSource names a config management plugin and what it is given.
type PluginSource struct {
	Name       string            `json:"name,omitempty"`
	Env        []EnvEntry        `json:"env,omitempty"`
	Parameters []PluginParameter `json:"parameters,omitempty"`
}

// EnvEntry is one environment variable.
type EnvEntry struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// PluginParameter is one parameter of a plugin: a string, a list or a map.
type PluginParameter struct {
	Name   string            `json:"name,omitempty"`
	String *string           `json:"string,omitempty"`
	Map    map[string]string `json:"map,omitzero"`
	Array  []string          `json:"array,omitzero"`
}

// JsonnetOptions are the variables and libraries of Jsonnet files.
type JsonnetOptions struct {
	ExtVars []JsonnetVar `json:"extVars,omitempty"`
	TLAs    []JsonnetVar `json:"tlas,omitempty"`
	Libs    []string     `json:"libs,omitempty"`
}

// JsonnetVar is a variable; Code says that Value is Jsonnet and not a string.
type JsonnetVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Code  bool   `json:"code,omitempty"`
}

// SourceHydrator describes manifests that are rendered into a branch and
// synced from there.
type SourceHydrator struct {
	DrySource  DrySource  `json:"drySource"`
	SyncSource SyncSource `json:"syncSource"`
	HydrateTo  *HydrateTo `json:"hydrateTo,omitempty"`
}

// DrySource is where the input of a hydration is.
type DrySource struct {
	RepoURL        string           `json:"repoURL"`
	TargetRevision string           `json:"targetRevision"`
	Path           string           `json:"path"`
	Helm           *HelmSource      `json:"helm,omitempty"`
	Kustomize      *KustomizeSource `json:"kustomize,omitempty"`
	Directory      *DirectoryOption `json:"directory,omitempty"`
	Plugin         *PluginSource    `json:"plugin,omitempty"`
}

// SyncSource is where hydrated manifests are synced from.
type SyncSource struct {
	RepoURL      string `json:"repoURL,omitempty"`
	TargetBranch string `json:"targetBranch"`
	Path         string `json:"path"`
}

// HydrateTo is a staging branch.
type HydrateTo struct {
	TargetBranch string `json:"targetBranch"`
}

// RequestedOperation is the operation field of an applied Application: it asks
// for a sync, as in Argo CD.
type RequestedOperation struct {
	Sync        *RequestedSync      `json:"sync,omitempty"`
	InitiatedBy *OperationInitiator `json:"initiatedBy,omitempty"`
	Info        []Info              `json:"info,omitempty"`
	Retry       *RetryStrategy      `json:"retry,omitempty"`
}

// RequestedSync is what a requested sync does.
type RequestedSync struct {
	Revision              string         `json:"revision,omitempty"`
	Prune                 bool           `json:"prune,omitempty"`
	DryRun                bool           `json:"dryRun,omitempty"`
	SyncStrategy          *SyncStrategy  `json:"syncStrategy,omitempty"`
	Resources             []SyncResource `json:"resources,omitempty"`
	Source                *Source        `json:"source,omitempty"`
	Manifests             []string       `json:"manifests,omitempty"`
	SyncOptions           []string       `json:"syncOptions,omitempty"`
	Sources               []Source       `json:"sources,omitempty"`
	Revisions             []string       `json:"revisions,omitempty"`
	SelfHealAttemptsCount int64          `json:"selfHealAttemptsCount,omitempty"`
	AutoHealAttemptsCount int64          `json:"autoHealAttemptsCount,omitempty"`
}

// SyncStrategy chooses between applying with and without hooks.
type SyncStrategy struct {
	Apply *SyncStrategyApply `json:"apply,omitempty"`
	Hook  *SyncStrategyApply `json:"hook,omitempty"`
}

// SyncStrategyApply holds the option that both strategies have.
type SyncStrategyApply struct {
	Force bool `json:"force,omitempty"`
}

// SyncResource selects one object of a selective sync.
type SyncResource struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// OperationInitiator says who asked.
type OperationInitiator struct {
	Username  string `json:"username,omitempty"`
	Automated bool   `json:"automated,omitempty"`
}

// IntOrString is a number or a text, as in Kubernetes. Exactly one is meant:
// the number when IsInt is set.
type IntOrString struct {
	IsInt bool
	Int   int64
	Str   string
}

// MarshalJSON writes the number or the text.
func (v IntOrString) MarshalJSON() ([]byte, error) {
	if v.IsInt {
		return json.Marshal(v.Int)
	}
	return json.Marshal(v.Str)
}

// UnmarshalJSON reads a whole number or a text.
func (v *IntOrString) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '"' {
		*v = IntOrString{}
		return json.Unmarshal(b, &v.Str)
	}
	*v = IntOrString{IsInt: true}
	if err := json.Unmarshal(b, &v.Int); err != nil {
		return fmt.Errorf("a whole number or a text is needed: %w", err)
	}
	return nil
}
