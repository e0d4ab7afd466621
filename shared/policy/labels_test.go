package policy

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func req(key, op string, values ...string) model.LabelSelector {
	return model.LabelSelector{MatchExpressions: []model.LabelRequirement{{Key: key, Operator: op, Values: values}}}
}

func TestSelectors(t *testing.T) {
	prod := map[string]string{"env": "prod", "empty": ""}
	for name, c := range map[string]struct {
		s      model.LabelSelector
		labels map[string]string
		want   bool
	}{
		"nothing selects everything":      {model.LabelSelector{}, nil, true},
		"label":                           {model.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}, prod, true},
		"other value":                     {model.LabelSelector{MatchLabels: map[string]string{"env": "test"}}, prod, false},
		"missing":                         {model.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}, nil, false},
		"an empty value is not a missing": {model.LabelSelector{MatchLabels: map[string]string{"x": ""}}, prod, false},
		"an empty value":                  {model.LabelSelector{MatchLabels: map[string]string{"empty": ""}}, prod, true},
		"in":                              {req("env", "In", "a", "prod"), prod, true},
		"not in the list":                 {req("env", "In", "a"), prod, false},
		"in of a missing":                 {req("x", "In", "a"), prod, false},
		"notin":                           {req("env", "NotIn", "a"), prod, true},
		"notin, it is":                    {req("env", "NotIn", "prod"), prod, false},
		"notin of a missing":              {req("x", "NotIn", "a"), prod, true},
		"exists":                          {req("empty", "Exists"), prod, true},
		"exists of a missing":             {req("x", "Exists"), prod, false},
		"does not exist":                  {req("x", "DoesNotExist"), prod, true},
		"does not exist, it does":         {req("env", "DoesNotExist"), prod, false},
		"unknown operator":                {req("env", "in", "prod"), prod, false},
		"all have to hold": {model.LabelSelector{MatchLabels: map[string]string{"env": "prod"},
			MatchExpressions: []model.LabelRequirement{{Key: "x", Operator: "Exists"}}}, prod, false},
	} {
		if got := Selects(c.s, c.labels); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSelectorsOfDestinations(t *testing.T) {
	prod := &model.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
	rule := func(server, name, namespace string, s *model.LabelSelector) model.ProjectDestination {
		return model.ProjectDestination{Server: server, Name: name, Namespace: namespace, ClusterSelector: s}
	}
	type labels = map[string]string
	for name, c := range map[string]struct {
		rules     []model.ProjectDestination
		labels    labels // nil: not known
		cluster   string
		namespace string
		want      bool
	}{
		"alone":                            {[]model.ProjectDestination{rule("", "", "shop", prod)}, labels{"env": "prod"}, "eu", "shop", true},
		"alone, other labels":              {[]model.ProjectDestination{rule("", "", "shop", prod)}, labels{"env": "test"}, "eu", "shop", false},
		"alone, no labels":                 {[]model.ProjectDestination{rule("", "", "shop", prod)}, labels{}, "eu", "shop", false},
		"alone, labels are not known":      {[]model.ProjectDestination{rule("", "", "shop", prod)}, nil, "eu", "shop", false},
		"alone, other namespace":           {[]model.ProjectDestination{rule("", "", "shop", prod)}, labels{"env": "prod"}, "eu", "web", false},
		"with a name":                      {[]model.ProjectDestination{rule("", "e*", "shop", prod)}, labels{"env": "prod"}, "eu", "shop", true},
		"with another name":                {[]model.ProjectDestination{rule("", "u*", "shop", prod)}, labels{"env": "prod"}, "eu", "shop", false},
		"with a name, other labels":        {[]model.ProjectDestination{rule("", "e*", "shop", prod)}, labels{}, "eu", "shop", false},
		"with a server":                    {[]model.ProjectDestination{rule("https://eu", "", "shop", prod)}, labels{"env": "prod"}, "eu", "shop", true},
		"with any server, other labels":    {[]model.ProjectDestination{rule("*", "", "shop", prod)}, labels{}, "eu", "shop", false},
		"denies the namespace where it is": {[]model.ProjectDestination{rule("*", "", "*", nil), rule("", "", "!kube-*", prod)}, labels{"env": "prod"}, "eu", "kube-system", false},
		"denies it nowhere else":           {[]model.ProjectDestination{rule("*", "", "*", nil), rule("", "", "!kube-*", prod)}, labels{"env": "test"}, "eu", "kube-system", true},
		"allows the others where it is":    {[]model.ProjectDestination{rule("", "", "!kube-*", prod)}, labels{"env": "prod"}, "eu", "shop", true},
		"denies all that it selects":       {[]model.ProjectDestination{rule("*", "", "*", nil), rule("", "!*", "*", prod)}, labels{"env": "prod"}, "eu", "shop", false},
		"and no other":                     {[]model.ProjectDestination{rule("*", "", "*", nil), rule("", "!*", "*", prod)}, labels{"env": "test"}, "eu", "shop", true},
		"what is not known is denied":      {[]model.ProjectDestination{rule("*", "", "*", nil), rule("", "!*", "*", prod)}, nil, "eu", "shop", false},
		"denies a name where it is":        {[]model.ProjectDestination{rule("*", "", "*", nil), rule("", "!eu", "*", prod)}, labels{"env": "prod"}, "eu", "shop", false},
		"and elsewhere not":                {[]model.ProjectDestination{rule("*", "", "*", nil), rule("", "!eu", "*", prod)}, labels{}, "eu", "shop", true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: c.rules}
			dest := Destination{Name: c.cluster, Aliases: []string{"https://" + c.cluster}, Namespace: c.namespace, Labels: c.labels}
			d := CheckApplication(Project{Name: "p", Spec: spec}, AppFacts{SourceRepos: []string{"https://r"}, Destination: dest})
			if d.Allowed != c.want {
				t.Errorf("%+v", d)
			}
			if c.labels == nil {
				return
			}
			// An agent, which knows no labels, decides the same by what it is sent.
			dest.Labels = nil
			sent := ForCluster(spec, c.labels)
			if got := CheckApplication(Project{Name: "p", Spec: sent}, AppFacts{SourceRepos: []string{"https://r"}, Destination: dest}); got.Allowed != c.want {
				t.Errorf("the agent decides %v by %+v", got.Allowed, sent.Destinations)
			}
			if spec.Destinations[0].ClusterSelector == nil && len(sent.Destinations) == 0 {
				t.Error("a rule for all clusters was not sent")
			}
		})
	}
}

func TestTheNearestSelectorSaysWhichLabelDiffers(t *testing.T) {
	p := Project{Name: "team-pay", Spec: model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{
		{Namespace: "payments-*", ClusterSelector: &model.LabelSelector{MatchLabels: map[string]string{"env": "staging"},
			MatchExpressions: []model.LabelRequirement{{Key: "tier", Operator: "In", Values: []string{"a", "b"}}, {Key: "old", Operator: "DoesNotExist"}}}},
	}}}
	d := CheckApplication(p, AppFacts{SourceRepos: []string{"https://r"}, Destination: Destination{Name: "eu-prod-014", Namespace: "payments-x", Labels: map[string]string{"env": "prod", "old": "1"}}})
	r := onlyRefusal(t, d, CodeDestination)
	if r.NearestRule != "#1 [env=staging,tier in (a,b),!old]/payments-*" || r.Differs != "env is prod, old is 1, tier is not set at eu-prod-014" {
		t.Errorf("%q, %q", r.NearestRule, r.Differs)
	}
}

func TestBadSelectors(t *testing.T) {
	for text, s := range map[string]model.LabelSelector{
		"matchLabels:":                      {MatchLabels: map[string]string{"a b": "c"}},
		"matchLabels.a: \"*\"":              {MatchLabels: map[string]string{"a": "*"}},
		"matchLabels.a: ":                   {MatchLabels: map[string]string{"a": strings.Repeat("x", 64)}},
		"matchExpressions[0].values: In":    req("a", "In"),
		"matchExpressions[0].values: Exist": req("a", "Exists", "b"),
		"matchExpressions[0].operator":      req("a", "Gt", "1"),
		"matchExpressions[0].key":           req("", "Exists"),
		"matchExpressions[0].values[1]":     req("a", "In", "b", "-"),
	} {
		list := CheckSelector(s)
		if len(list) != 1 || !strings.HasPrefix(list[0].Field+": "+list[0].Message, text[:min(len(text), len(list[0].Field))]) {
			t.Errorf("%s: %v", text, list)
		}
	}
	if list := CheckSelector(model.LabelSelector{MatchLabels: map[string]string{"example.com/a": "", "b": "c"}, MatchExpressions: req("x", "NotIn", "y").MatchExpressions}); list != nil {
		t.Error(list)
	}
}
