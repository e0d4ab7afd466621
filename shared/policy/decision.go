package policy

import (
	"time"
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
	CodeQuota           = "quota_exceeded"
	CodeWindow          = "sync_window_closed"
	CodePermission      = "permission_denied"
)

// The checks, in the order in which they are made.
const (
	RuleProject         = "project"
	RuleRole            = "role"
	RuleSource          = "source"
	RuleSourceNamespace = "source namespace"
	RuleSignature       = "signature"
	RuleDestination     = "destination"
	RuleServiceAccount  = "service account"
	RuleKinds           = "kinds"
	RuleLimits          = "limits"
	RuleWindow          = "window"
)

// maxRefusals bounds what is listed; Decision.Refused counts all.
const maxRefusals = 20

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
	// Labels of the cluster, nil when the caller does not know them: then a rule
	// with a clusterSelector allows nothing. An agent is sent rules without; see
	// ForCluster.
	Labels map[string]string
}

// DestinationAt is an application's destination at the cluster that it means.
func DestinationAt(cluster model.Cluster, d model.Destination) Destination {
	labels := cluster.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return Destination{Name: cluster.Name, Server: d.Server, Aliases: cluster.Aliases, Namespace: d.Namespace,
		ClusterProject: &cluster.Project, Labels: labels}
}

func (d Destination) servers() []string {
	if d.Server == "" {
		return d.Aliases
	}
	return append([]string{d.Server}, d.Aliases...)
}

// Names are all texts that mean the cluster, for sync windows.
func (d Destination) Names() []string {
	out := d.servers()
	if d.Name != "" {
		out = append([]string{d.Name}, out...)
	}
	return out
}

func (d Destination) clusterLabel() string {
	if d.Name == "" {
		return d.Server
	}
	return d.Name
}

func (d Destination) label(namespace string) string {
	name := d.clusterLabel()
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
	// Usage of the project by other applications; nil when the caller does not
	// know it (the agent).
	Usage *Usage
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
	Rule    string `json:"rule"` // one of the Rule constants
	Result  Result `json:"result"`
	Message string `json:"message"`
	// Matched is the rule that allowed it, "" when none was needed.
	Matched string `json:"matched,omitempty"`
	// Nearest is, of a check that failed, the rule that denied or came closest,
	// and Differs how it differs.
	Nearest string `json:"nearest,omitempty"`
	Differs string `json:"differs,omitempty"`
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
	// NearestRule is the rule that denies, when Denied, or else the one that came
	// closest; Differs says how that one differs.
	NearestRule string `json:"nearestRule,omitempty"`
	Differs     string `json:"differs,omitempty"`
	Denied      bool   `json:"denied,omitempty"`
	Fix         string `json:"fix"`
	rule        string
}

// Decision is the outcome with its explanation. Text writes it for people.
type Decision struct {
	Allowed bool `json:"allowed"`
	// ID is the stable number of the first refusal ("HW-4103"), where the caller
	// knows it.
	ID string `json:"id,omitempty"`
	// Question is what was asked: "deploy to cluster eu-1, namespace payments".
	Question string `json:"question,omitempty"`
	Project  string `json:"project"`
	// ProjectVersion, ChangedAt and ChangedBy tell which state of the project
	// decided; zero where that is not known (the agent).
	ProjectVersion int64      `json:"projectVersion,omitempty"`
	ChangedAt      *time.Time `json:"changedAt,omitempty"`
	ChangedBy      string     `json:"changedBy,omitempty"`
	// CanChange says who may change the project.
	CanChange string  `json:"canChange,omitempty"`
	Checks    []Check `json:"checks"`
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
		Fix:     "name a project that you see: hawser project list; if there should be another, ask an administrator to create it, or to let you use it",
		Allowed: shortList(names),
	}
	d.fail(RuleProject, r)
	return d
}

func (d *Decision) pass(rule, message string) { d.passBy(rule, message, "") }

// passBy is pass by a rule of the project.
func (d *Decision) passBy(rule, message, matched string) {
	d.Checks = append(d.Checks, Check{Rule: rule, Result: Passed, Message: cut(message), Matched: cut(matched)})
}

func (d *Decision) skip(rule, message string) {
	d.Checks = append(d.Checks, Check{Rule: rule, Result: Skipped, Message: cut(message)})
}

func (d *Decision) fail(rule string, r Refusal) {
	r.rule = rule
	d.refuse(r)
	d.Checks = append(d.Checks, Check{Rule: rule, Result: Failed, Message: cut(r.Message), Nearest: cut(r.NearestRule), Differs: cut(r.Differs)})
}

func (d *Decision) refuse(r Refusal) {
	r.Message, r.NearestRule, r.Differs, r.Allowed, r.Found = cut(r.Message), cut(r.NearestRule), cut(r.Differs), cut(r.Allowed), cut(r.Found)
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
