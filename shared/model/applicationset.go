package model

import (
	"bytes"
	"encoding/json"
	"strings"
)

// KindApplicationSet is stored and returned; see ApplicationSet.
const KindApplicationSet = "ApplicationSet"

// ApplicationSet describes applications that generators make from a template.
// The shape is Argo CD's. Hawser keeps it and generates nothing from it yet.
type ApplicationSet struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Metadata   ObjectMeta         `json:"metadata"`
	Spec       ApplicationSetSpec `json:"spec"`
	// Status in an applied object is ignored; in answers it says that nothing is
	// generated.
	Status json.RawMessage `json:"status,omitempty"`
}

// ApplicationSetSpec is Argo CD's spec. Strings in Template may hold
// expressions of either template language; nothing in it is evaluated.
type ApplicationSetSpec struct {
	GoTemplate                   bool                      `json:"goTemplate,omitempty"`
	GoTemplateOptions            []string                  `json:"goTemplateOptions,omitempty"`
	Generators                   []SetGenerator            `json:"generators"`
	Template                     SetTemplate               `json:"template"`
	TemplatePatch                *string                   `json:"templatePatch,omitempty"`
	SyncPolicy                   *SetSyncPolicy            `json:"syncPolicy,omitempty"`
	Strategy                     *SetStrategy              `json:"strategy,omitempty"`
	PreservedFields              *SetPreservedFields       `json:"preservedFields,omitempty"`
	ApplyNestedSelectors         bool                      `json:"applyNestedSelectors,omitempty"`
	IgnoreApplicationDifferences []SetIgnoreAppDifferences `json:"ignoreApplicationDifferences,omitempty"`
}

// SetGenerator is one generator, by the name of its kind, and a selector over
// what it generates. What is inside is kept as it was written.
type SetGenerator struct {
	List                    json.RawMessage `json:"list,omitempty" shape:"object"`
	Clusters                json.RawMessage `json:"clusters,omitempty" shape:"object"`
	Git                     json.RawMessage `json:"git,omitempty" shape:"object"`
	SCMProvider             json.RawMessage `json:"scmProvider,omitempty" shape:"object"`
	ClusterDecisionResource json.RawMessage `json:"clusterDecisionResource,omitempty" shape:"object"`
	PullRequest             json.RawMessage `json:"pullRequest,omitempty" shape:"object"`
	Matrix                  json.RawMessage `json:"matrix,omitempty" shape:"object"`
	Merge                   json.RawMessage `json:"merge,omitempty" shape:"object"`
	Plugin                  json.RawMessage `json:"plugin,omitempty" shape:"object"`
	OCI                     json.RawMessage `json:"oci,omitempty" shape:"object"`
	Selector                json.RawMessage `json:"selector,omitempty" shape:"object"`
}

// SetGeneratorKinds are the names that a generator can have, in the order of
// the fields of SetGenerator.
var SetGeneratorKinds = []string{
	"list", "clusters", "git", "scmProvider", "clusterDecisionResource", "pullRequest", "matrix", "merge", "plugin", "oci",
}

// Kinds are the names that are set: one in a good generator.
func (g *SetGenerator) Kinds() []string {
	var out []string
	for i, raw := range g.parts() {
		if len(raw) > 0 {
			out = append(out, SetGeneratorKinds[i])
		}
	}
	return out
}

func (g *SetGenerator) parts() []json.RawMessage {
	return []json.RawMessage{
		g.List, g.Clusters, g.Git, g.SCMProvider, g.ClusterDecisionResource, g.PullRequest, g.Matrix, g.Merge, g.Plugin, g.OCI,
	}
}

// SetTemplate is what applications are made from.
type SetTemplate struct {
	Metadata SetTemplateMeta `json:"metadata"`
	Spec     ApplicationSpec `json:"spec"`
}

// SetTemplateMeta is the part of the metadata that a template can give.
type SetTemplateMeta struct {
	Name        string            `json:"name,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Finalizers  []string          `json:"finalizers,omitempty"`
}

// SetSyncPolicy says what may happen to applications that exist.
type SetSyncPolicy struct {
	PreserveResourcesOnDeletion bool `json:"preserveResourcesOnDeletion,omitempty"`
	// ApplicationsSync is sync, create-only, create-update or create-delete.
	ApplicationsSync string `json:"applicationsSync,omitempty"`
}

// SetStrategy is the order in which applications are changed and deleted.
type SetStrategy struct {
	Type          string          `json:"type,omitempty"` // AllAtOnce or RollingSync
	RollingSync   *SetRollingSync `json:"rollingSync,omitempty"`
	DeletionOrder string          `json:"deletionOrder,omitempty"` // AllAtOnce or Reverse
}

// SetRollingSync changes applications step by step.
type SetRollingSync struct {
	Steps []SetRollingStep `json:"steps,omitempty"`
}

// SetRollingStep is one step: which applications, and how many at a time.
type SetRollingStep struct {
	MatchExpressions []SetMatchExpression `json:"matchExpressions,omitempty"`
	MaxUpdate        *IntOrString         `json:"maxUpdate,omitempty"`
}

// SetMatchExpression selects applications by a label.
type SetMatchExpression struct {
	Key      string   `json:"key,omitempty"`
	Operator string   `json:"operator,omitempty"` // In or NotIn
	Values   []string `json:"values,omitempty"`
}

// SetPreservedFields are annotations and labels of applications that stay as
// somebody else set them.
type SetPreservedFields struct {
	Annotations []string `json:"annotations,omitempty"`
	Labels      []string `json:"labels,omitempty"`
}

// SetIgnoreAppDifferences are fields of applications that are not set back.
type SetIgnoreAppDifferences struct {
	Name              string   `json:"name,omitempty"`
	JSONPointers      []string `json:"jsonPointers,omitempty"`
	JQPathExpressions []string `json:"jqPathExpressions,omitempty"`
}

// Project is the one project that all applications of the set belong to. It is
// not ok when an expression decides, or a generator or patch can say another.
func (s *ApplicationSet) Project() (name string, ok bool) {
	name = s.Spec.Template.Spec.Project
	if name == "" {
		name = DefaultProject
	}
	if strings.Contains(name, "{{") {
		return "", false
	}
	if p := s.Spec.TemplatePatch; p != nil && strings.Contains(*p, "project") {
		return "", false
	}
	for i := range s.Spec.Generators {
		for _, raw := range s.Spec.Generators[i].parts() {
			if !bytes.Contains(raw, []byte(`"template"`)) {
				continue
			}
			var inside any
			if json.Unmarshal(raw, &inside) != nil || !keepsProject(inside, name) {
				return "", false
			}
		}
	}
	return name, true
}

// keepsProject looks at every template inside a generator.
func keepsProject(v any, project string) bool {
	switch x := v.(type) {
	case map[string]any:
		for k, inner := range x {
			if template, is := inner.(map[string]any); is && k == "template" {
				spec, _ := template["spec"].(map[string]any)
				if other, said := spec["project"]; said && other != "" && other != nil && other != project {
					return false
				}
			}
			if !keepsProject(inner, project) {
				return false
			}
		}
	case []any:
		for _, inner := range x {
			if !keepsProject(inner, project) {
				return false
			}
		}
	}
	return true
}

// SetNotExpanded is what is said of every stored ApplicationSet.
const SetNotExpanded = "stored; this release does not generate applications from it yet"
