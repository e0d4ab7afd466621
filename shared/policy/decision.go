package policy

import (
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/model"
)

// The codes of refusals.
const (
	CodeRepository      = "repo_not_permitted"
	CodeDestination     = "destination_not_permitted"
	CodeKind            = "kind_not_permitted"
	CodeSourceNamespace = "source_namespace_not_permitted"
	CodeProjectUnknown  = "project_unknown"
)

// maxRefusals bounds what is listed; Decision.Refused counts all.
const maxRefusals = 20

// Project is a project's name and limits.
type Project struct {
	Name string
	Spec model.AppProjectSpec
}

// Destination is where an application goes, after the cluster was found.
type Destination struct {
	// Name of the cluster, never empty for a known one.
	Name string
	// Server as written in the application, if it was.
	Server string
	// Aliases are all server URLs that mean the cluster.
	Aliases []string
	// Namespace of the application's destination; it is that of every
	// namespaced object that names none.
	Namespace string
	// ClusterProject is the project that the cluster is reserved for, "" for
	// none, nil when the caller does not know (the agent): then
	// permitOnlyProjectScopedClusters was checked by the hub.
	ClusterProject *string
}

func (d Destination) servers() []string {
	if d.Server == "" {
		return d.Aliases
	}
	return append([]string{d.Server}, d.Aliases...)
}

func (d Destination) label(namespace string) string {
	name := d.Name
	if name == "" {
		name = d.Server
	}
	if namespace == "" {
		namespace = "(no namespace)"
	}
	return name + "/" + namespace
}

// AppFacts is what is checked when an application is written.
type AppFacts struct {
	// Namespace of the Application object itself.
	Namespace   string
	SourceRepos []string
	Destination Destination
}

// ObjectFacts is one rendered object.
type ObjectFacts struct {
	Key model.ObjectKey // Namespace as written
	// Namespaced says that the kind is. ScopeUnknown says that the caller does
	// not know: the object is then refused only if it would be either way.
	Namespaced   bool
	ScopeUnknown bool
	Origin       string // "deploy/a.yaml#2"
}

// Result of a check.
type Result string

// The results.
const (
	Passed  Result = "passed"
	Failed  Result = "failed"
	Skipped Result = "not evaluated"
)

// Check is one step of a decision.
type Check struct {
	Rule    string `json:"rule"` // source, source namespace, destination or kinds
	Result  Result `json:"result"`
	Message string `json:"message"`
}

// Refusal is one thing that the project does not permit.
type Refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"` // at most 300 characters
	// Field of the Application at fault, "" when it is an object.
	Field  string           `json:"field,omitempty"`
	Object *model.ObjectKey `json:"object,omitempty"`
	Origin string           `json:"origin,omitempty"`
	Found  string           `json:"found,omitempty"`
	// Allowed lists the project's rules in short.
	Allowed string `json:"allowed,omitempty"`
	// NearestRule is the rule that came closest, and how it differs.
	NearestRule string `json:"nearestRule,omitempty"`
	Fix         string `json:"fix"`
}

// Decision is the outcome with its explanation.
type Decision struct {
	Allowed bool    `json:"allowed"`
	Project string  `json:"project"`
	Checks  []Check `json:"checks"`
	// Refusals are at most 20; Refused counts them all.
	Refusals []Refusal `json:"refusals,omitempty"`
	Refused  int       `json:"refused,omitempty"`
}

// Unknown is the decision about an application whose project does not exist.
func Unknown(project string, names []string) Decision {
	d := Decision{Project: project}
	r := Refusal{
		Code: CodeProjectUnknown, Field: "spec.project", Found: project,
		Message: "project " + quote(project) + " does not exist",
		Fix:     "create the project first, or name one that exists",
		Allowed: shortList(names),
	}
	d.fail("project", r)
	return d
}

func (d *Decision) pass(rule, message string) {
	d.Checks = append(d.Checks, Check{Rule: rule, Result: Passed, Message: cut(message)})
}

func (d *Decision) skip(rule, message string) {
	d.Checks = append(d.Checks, Check{Rule: rule, Result: Skipped, Message: cut(message)})
}

func (d *Decision) fail(rule string, r Refusal) {
	d.refuse(r)
	d.Checks = append(d.Checks, Check{Rule: rule, Result: Failed, Message: cut(r.Message)})
}

func (d *Decision) refuse(r Refusal) {
	r.Message, r.NearestRule, r.Allowed, r.Found = cut(r.Message), cut(r.NearestRule), cut(r.Allowed), cut(r.Found)
	d.Refused++
	if len(d.Refusals) < maxRefusals {
		d.Refusals = append(d.Refusals, r)
	}
}

// cut keeps messages within 300 characters.
func cut(s string) string {
	if utf8.RuneCountInString(s) <= 300 {
		return s
	}
	return string([]rune(s)[:297]) + "..."
}
