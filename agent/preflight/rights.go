package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Right is what the agent's account should be allowed: rules in the form of RBAC, in
// some namespaces, or for the whole cluster when none is named.
type Right struct {
	Namespaces []string `json:"namespaces,omitempty"`
	Rules      []Rule   `json:"rules"`
}

// Rule is one of a Role.
type Rule struct {
	APIGroups     []string `json:"apiGroups"`
	Resources     []string `json:"resources"`
	ResourceNames []string `json:"resourceNames,omitempty"`
	Verbs         []string `json:"verbs"`
}

// Access is one thing that somebody may do or not.
type Access struct {
	Verb, Group, Resource, Subresource, Name, Namespace string
}

// What is asked at most: an answer is a request, and the API server has other things
// to do.
const (
	maxAsked   = 5000
	askAtOnce  = 8
	maxMissing = 12 // lines of a message
)

// ParseRights reads a list of Right, as YAML or JSON.
func ParseRights(text string) ([]Right, error) {
	var out []Right
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "config_invalid", "--rights is not a list of {namespaces, rules}: %v", err)
	}
	return out, nil
}

// LeastRights are those without which an agent does not work, whatever is deployed:
// its own namespace, and what it observes of any cluster. watched are the namespaces
// that it looks into, none for all.
func LeastRights(own string, watched []string) []Right {
	out := []Right{{Namespaces: []string{own}, Rules: []Rule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "create", "update", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"hawser-veto", "hawser-customizations"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update"}},
	}}}
	look := Right{Namespaces: watched, Rules: []Rule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"list", "watch"}},
	}}
	if len(watched) == 0 {
		look.Rules = append(look.Rules,
			Rule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get", "list", "watch"}},
			Rule{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: []string{"list", "watch"}},
			Rule{APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"}, Verbs: []string{"list", "watch"}})
	}
	return append(out, look)
}

// questions are the single accesses of some rights, each once, in their order.
func questions(rights []Right) []Access {
	var out []Access
	seen := map[Access]bool{}
	for _, right := range rights {
		for _, ns := range orOne(right.Namespaces) {
			for _, rule := range right.Rules {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						for _, name := range orOne(rule.ResourceNames) {
							for _, verb := range rule.Verbs {
								kind, sub, _ := strings.Cut(resource, "/")
								a := Access{Verb: verb, Group: group, Resource: kind, Subresource: sub, Name: name, Namespace: ns}
								if !seen[a] {
									seen[a] = true
									out = append(out, a)
								}
							}
						}
					}
				}
			}
		}
	}
	return out
}

func orOne(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}

func (o Options) rights(ctx context.Context) model.PreflightCheck {
	// Who may do everything need not be asked a hundred times.
	all, err := o.Cluster.May(ctx, Access{Verb: "*", Group: "*", Resource: "*"})
	if err != nil {
		return o.failed(checkRights, err)
	}
	if all {
		return good(checkRights, "the agent's account may do everything in this cluster")
	}
	asked := questions(o.Rights)
	if len(asked) > maxAsked {
		return skipped(checkRights, fmt.Sprintf("there are %d rights to ask for; %d are asked at most", len(asked), maxAsked))
	}
	missing, err := ask(ctx, o.Cluster, asked)
	if err != nil {
		return o.failed(checkRights, err)
	}
	return o.judgeRights(missing, len(asked))
}

// ask answers which of the accesses the account lacks, in their order.
func ask(ctx context.Context, cluster Cluster, asked []Access) ([]Access, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	may := make([]bool, len(asked))
	turns := make(chan struct{}, askAtOnce)
	var wg sync.WaitGroup
	for i, a := range asked {
		turns <- struct{}{}
		if ctx.Err() != nil {
			<-turns
			break
		}
		wg.Go(func() {
			defer func() { <-turns }()
			ok, err := cluster.May(ctx, a)
			if err != nil {
				cancel(err)
			}
			may[i] = ok
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var missing []Access
	for i, a := range asked {
		if !may[i] {
			missing = append(missing, a)
		}
	}
	return missing, nil
}

// judgeRights is the decision about what is missing.
func (o Options) judgeRights(missing []Access, asked int) model.PreflightCheck {
	if len(missing) == 0 {
		return good(checkRights, "the agent's account has all %d rights that were asked for", asked)
	}
	return o.failed(checkRights, fault.New(fault.Denied, "agent_rights_missing", "the agent's account may not %s", sayMissing(missing)).
		WithFix("grant these to the agent's account: install the chart with rbac.create=true and the profile that is meant, or add them to its Role or ClusterRole (docs/agent-rbac.yaml)"))
}

// sayMissing puts the verbs of a resource together: "create, delete deployments.apps
// in all namespaces; list secrets in shop".
func sayMissing(missing []Access) string {
	type object struct{ what, where string }
	var order []object
	verbs := map[object][]string{}
	for _, a := range missing {
		ob := object{resourceText(a), "in " + a.Namespace}
		switch {
		case a.Namespace == "" && clusterWide[a.Resource]:
			ob.where = ""
		case a.Namespace == "":
			ob.where = "in all namespaces"
		}
		if verbs[ob] == nil {
			order = append(order, ob)
		}
		if !slices.Contains(verbs[ob], a.Verb) {
			verbs[ob] = append(verbs[ob], a.Verb)
		}
	}
	var parts []string
	for i, ob := range order {
		if i == maxMissing {
			parts = append(parts, fmt.Sprintf("and more with %d other resources", len(order)-i))
			break
		}
		parts = append(parts, strings.TrimSpace(strings.Join(verbs[ob], ", ")+" "+ob.what+" "+ob.where))
	}
	return strings.Join(parts, "; ")
}

// clusterWide are resources without a namespace that the profiles ask for.
var clusterWide = map[string]bool{"namespaces": true, "nodes": true, "customresourcedefinitions": true, "apiservices": true, "users": true, "groups": true}

func resourceText(a Access) string {
	s := a.Resource
	if a.Group != "" {
		s += "." + a.Group
	}
	if a.Subresource != "" {
		s += "/" + a.Subresource
	}
	if a.Name != "" {
		s += " " + a.Name
	}
	return s
}
