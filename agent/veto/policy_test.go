package veto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const own = "hawser-system"

func mustParse(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// key reads "group/Kind namespace/name", "Kind /name" for cluster-scoped ones.
func key(s string) model.ObjectKey {
	kind, rest, _ := strings.Cut(s, " ")
	group := ""
	if i := strings.LastIndex(kind, "/"); i >= 0 {
		group, kind = kind[:i], kind[i+1:]
	}
	ns, name, _ := strings.Cut(rest, "/")
	return model.ObjectKey{Group: group, Kind: kind, Namespace: ns, Name: name}
}

func TestDecide(t *testing.T) {
	type question struct {
		verb Verb
		key  string
		rule string // "" is allowed
	}
	for name, c := range map[string]struct {
		policy string // "" is none
		ask    []question
	}{
		"no policy vetoes nothing but the agent's namespace": {"", []question{
			{Create, "Secret shop/a", ""}, {Delete, "rbac.authorization.k8s.io/ClusterRole /a", ""}, {Exec, "Pod shop/a", ""},
			{Create, "Secret hawser-system/a", RuleOwnNamespace}, {Update, "ConfigMap hawser-system/hawser-veto", RuleOwnNamespace},
			{Exec, "Pod hawser-system/agent", RuleOwnNamespace}, {Get, "Secret hawser-system/hawser-agent-identity", RuleOwnNamespace},
			{Delete, "Namespace /hawser-system", RuleOwnNamespace}, {Create, "Namespace /hawser-system", RuleOwnNamespace},
			{Create, "Namespace /hawser-system-2", ""}, {Create, "example.com/Namespace /hawser-system", ""},
		}},
		"a policy does not open the agent's namespace": {"allowOnly: [{namespaces: [hawser-system]}]", []question{
			{Create, "Secret hawser-system/a", RuleOwnNamespace},
		}},
		"kinds": {`deny: [{kinds: [Secret, "apps/*", core/Pod, "*.example.com/Thing", "*/Job"]}]`, []question{
			{Create, "Secret a/b", "deny[0]"}, {Create, "odd.example.org/Secret a/b", "deny[0]"},
			{Create, "apps/Deployment a/b", "deny[0]"}, {Create, "xapps/Deployment a/b", ""},
			{Create, "Pod a/b", "deny[0]"}, {Create, "metrics.k8s.io/Pod a/b", ""},
			{Create, "x.example.com/Thing a/b", "deny[0]"}, {Create, "x.y.example.com/Thing a/b", "deny[0]"}, {Create, "example.com/Thing a/b", ""},
			{Create, "batch/Job a/b", "deny[0]"}, {Create, "Job a/b", "deny[0]"}, {Create, "batch/CronJob a/b", ""},
			{Create, "ConfigMap a/b", ""},
		}},
		"the case of kinds does not matter": {`deny: [{kinds: [SECRET, "RBAC.authorization.k8s.io/*"]}]`, []question{
			{Create, "Secret a/b", "deny[0]"}, {Create, "rbac.authorization.k8s.io/Role a/b", "deny[0]"},
		}},
		"namespaces": {`deny: [{namespaces: ["kube-*", "team-?"]}]`, []question{
			{Update, "ConfigMap kube-system/a", "deny[0]"}, {Update, "ConfigMap team-a/a", "deny[0]"}, {Update, "ConfigMap team-ab/a", ""},
			{Delete, "Namespace /kube-system", "deny[0]"}, {Update, "example.com/Namespace /kube-system", ""},
			{Update, "rbac.authorization.k8s.io/ClusterRole /kube-x", ""},
		}},
		"all namespaces are not what has none": {`deny: [{namespaces: ["*"]}]`, []question{
			{Update, "ConfigMap a/a", "deny[0]"}, {Create, "Namespace /a", "deny[0]"}, {Update, "rbac.authorization.k8s.io/ClusterRole /x", ""},
		}},
		"no namespace": {`deny: [{namespaces: [""]}]`, []question{
			{Update, "ConfigMap a/a", ""}, {Create, "Namespace /a", ""}, {Update, "rbac.authorization.k8s.io/ClusterRole /x", "deny[0]"},
		}},
		"names": {`deny: [{names: ["*-prod"], kinds: [Deployment]}]`, []question{
			{Update, "apps/Deployment a/web-prod", "deny[0]"}, {Update, "apps/Deployment a/web", ""}, {Update, "Service a/web-prod", ""},
		}},
		"verbs": {`deny: [{verbs: [delete, exec]}]`, []question{
			{Delete, "ConfigMap a/b", "deny[0]"}, {Exec, "Pod a/b", "deny[0]"}, {Create, "ConfigMap a/b", ""}, {Update, "ConfigMap a/b", ""},
			{Logs, "Pod a/b", ""}, {Action, "apps/Deployment a/b", ""}, {Get, "Pod a/b", ""},
		}},
		"the first rule that matches": {`deny: [{kinds: [Secret], verbs: [delete]}, {kinds: [Secret]}]`, []question{
			{Delete, "Secret a/b", "deny[0]"}, {Create, "Secret a/b", "deny[1]"},
		}},
		"a rule without limits": {"deny: [{}]", []question{{Create, "ConfigMap a/b", "deny[0]"}, {Logs, "Pod a/b", "deny[0]"}}},
		"allowOnly": {`allowOnly: [{namespaces: ["team-*"]}, {kinds: [ClusterRole], verbs: [create]}]`, []question{
			{Create, "ConfigMap team-a/b", ""}, {Exec, "Pod team-a/b", ""}, {Create, "Namespace /team-a", ""},
			{Create, "ConfigMap b/b", "allowOnly"}, {Logs, "Pod b/b", "allowOnly"},
			{Create, "rbac.authorization.k8s.io/ClusterRole /x", ""}, {Update, "rbac.authorization.k8s.io/ClusterRole /x", "allowOnly"},
		}},
		"deny comes before allowOnly": {`{allowOnly: [{namespaces: [a]}], deny: [{kinds: [Secret]}]}`, []question{
			{Create, "Secret a/b", "deny[0]"}, {Create, "ConfigMap a/b", ""},
		}},
		"no exec": {"exec: false", []question{{Exec, "Pod a/b", "exec"}, {Logs, "Pod a/b", ""}, {Create, "Pod a/b", ""}}},
		"exec":    {"exec: true", []question{{Exec, "Pod a/b", ""}}},
		"no deletes": {"maxDeletes: {perHour: 0}", []question{
			{Delete, "ConfigMap a/b", "maxDeletes.perHour"}, {Create, "ConfigMap a/b", ""},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var p *Policy
			if c.policy != "" {
				p = mustParse(t, c.policy)
			}
			for _, q := range c.ask {
				d := Decide(own, p, Request{Verb: q.verb, Key: key(q.key)})
				if d.Allowed != (q.rule == "") || d.Rule != q.rule || !d.Allowed && d.Reason == "" {
					t.Errorf("%s %s: %+v, want rule %q", q.verb, q.key, d, q.rule)
				}
			}
		})
	}
}

func TestLimitsOfDeletes(t *testing.T) {
	for _, c := range []struct {
		policy string
		counts Counts
		n      int
		rule   string
	}{
		{"exec: false", Counts{1000, 1000}, 1000, ""},
		{"maxDeletes: {perOperation: 3}", Counts{0, 99}, 3, ""},
		{"maxDeletes: {perOperation: 3}", Counts{0, 0}, 4, "maxDeletes.perOperation"},
		{"maxDeletes: {perOperation: 3}", Counts{3, 3}, 1, "maxDeletes.perOperation"},
		{"maxDeletes: {perOperation: 3}", Counts{9, 9}, 0, ""},
		{"maxDeletes: {perHour: 3}", Counts{99, 2}, 1, ""},
		{"maxDeletes: {perHour: 3}", Counts{0, 3}, 1, "maxDeletes.perHour"},
		{"maxDeletes: {perHour: 3, perOperation: 2}", Counts{2, 3}, 1, "maxDeletes.perOperation"},
		{"maxDeletes: {perOperation: 0}", Counts{}, 1, "maxDeletes.perOperation"},
	} {
		if d := DecideDeletes(mustParse(t, c.policy), c.counts, c.n); d.Rule != c.rule || d.Allowed != (c.rule == "") {
			t.Errorf("%s with %+v and %d more: %+v, want %q", c.policy, c.counts, c.n, d, c.rule)
		}
	}
	if d := DecideDeletes(nil, Counts{9, 9}, 9); !d.Allowed {
		t.Errorf("no policy: %+v", d)
	}
}

func TestMistakesInAPolicy(t *testing.T) {
	many := func(n int, s string) string { return "[" + strings.TrimSuffix(strings.Repeat(s+",", n), ",") + "]" }
	for name, c := range map[string]struct{ text, field, message string }{
		"empty":                {"", "", "empty"},
		"null":                 {"null", "", "empty"},
		"nothing in it":        {"{}", "", "says nothing"},
		"a list":               {"[]", "the document", "must be an object"},
		"not yaml":             {"deny: [", "", ""},
		"unknown field":        {"denies: []", "denies", `did you mean "deny"?`},
		"unknown field below":  {"deny: [{kind: [Secret]}]", "deny[0].kind", `did you mean "kinds"?`},
		"repeated":             {"exec: false\nexec: true", "", "exec"},
		"string for a list":    {"deny: [{kinds: Secret}]", "deny[0].kinds", "must be a list"},
		"unknown verb":         {"deny: [{verbs: [remove, deletes]}]", "deny[0].verbs[0]", `unknown verb "remove"`},
		"nearly a verb":        {"deny: [{verbs: [deletes]}]", "deny[0].verbs[0]", `did you mean "delete"?`},
		"plural":               {"deny: [{kinds: [secrets]}]", "deny[0].kinds[0]", "begin with a capital letter"},
		"plural with a group":  {"deny: [{kinds: [apps/deployments]}]", "deny[0].kinds[0]", "begin with a capital letter"},
		"with a version":       {"deny: [{kinds: [apps/v1/Deployment]}]", "deny[0].kinds[0]", "is not a kind"},
		"no kind":              {"deny: [{kinds: [apps/]}]", "deny[0].kinds[0]", "is not a kind"},
		"empty list":           {"deny: [{kinds: []}]", "deny[0].kinds", "matches nothing"},
		"empty namespaces":     {"deny: [{namespaces: []}]", "deny[0].namespaces", "matches nothing"},
		"empty verbs":          {"deny: [{verbs: []}]", "deny[0].verbs", "matches nothing"},
		"negation":             {`deny: [{namespaces: ["!a"]}]`, "deny[0].namespaces[0]", `cannot begin with "!"`},
		"bad pattern":          {`deny: [{names: ["[a"]}]`, "deny[0].names[0]", `without "]"`},
		"long pattern":         {"deny: [{names: [" + strings.Repeat("a", 600) + "]}]", "deny[0].names[0]", "the limit is 512"},
		"empty allowOnly":      {"allowOnly: []", "allowOnly", "empty list"},
		"meaningless allow":    {"allowOnly: [{kinds: [Pod]}, {reason: all}]", "allowOnly[1]", "allows everything"},
		"negative limit":       {"maxDeletes: {perHour: -1}", "maxDeletes.perHour", "is -1"},
		"no limit":             {"maxDeletes: {}", "maxDeletes", "neither"},
		"limit as text":        {`maxDeletes: {perHour: "5"}`, "maxDeletes.perHour", "must be a number"},
		"exec as text":         {`exec: "no"`, "exec", "true or false"},
		"long reason":          {"deny: [{reason: " + strings.Repeat("a", 121) + "}]", "deny[0].reason", "at most 120"},
		"lines in a reason":    {`deny: [{reason: "a\nb"}]`, "deny[0].reason", "one line"},
		"many rules":           {"deny: " + many(257, "{}"), "deny", "the limit is 256"},
		"many patterns":        {"deny: [{names: " + many(257, "a") + "}]", "deny[0].names", "the limit is 256"},
		"two documents":        {"exec: false\n---\nexec: true", "", "2 documents"},
		"expansion by aliases": {"a: &a [1]\ndeny: *a", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(c.text))
			if err == nil {
				t.Fatalf("it was taken: %+v", p)
			}
			f := fault.As(err)
			if f.Field != c.field && c.message != "" || !strings.Contains(f.Message, c.message) || f.Kind != fault.Invalid {
				t.Errorf("field %q, %s", f.Field, f.Message)
			}
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := Parse([]byte("deny: [{verbs: [a, b], kinds: [secrets]}]\nallowOnly: []"))
	var list fault.List
	if !errors.As(err, &list) || len(list) != 4 {
		t.Errorf("%v", err)
	}
}

// TestTheDocumentedPolicies keeps the reference honest: every policy in it
// parses.
func TestTheDocumentedPolicies(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "veto.md"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, part := range strings.Split(string(page), "```yaml\n") {
		text, _, ok := strings.Cut(part, "```")
		if i == 0 || !ok || strings.HasPrefix(text, "apiVersion:") {
			continue
		}
		n++
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
	if n < 4 {
		t.Errorf("only %d policies were found", n)
	}
	for _, v := range verbs {
		if !strings.Contains(string(page), fmt.Sprintf("| `%s` |", v)) {
			t.Errorf("verb %s has no row in the table", v)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "exec: false", "deny: [{kinds: ['*/Secret'], namespaces: ['kube-*', ''], names: [a], verbs: [get], reason: x}]",
		"allowOnly: [{kinds: [A]}]", "maxDeletes: {perHour: 1, perOperation: 0}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v, %v", p, err)
		}
		// Whatever the policy: the agent's own namespace stays closed.
		for _, v := range verbs {
			if d := Decide(own, p, Request{Verb: Verb(v), Key: key("Secret hawser-system/x")}); d.Allowed {
				t.Fatalf("%s is allowed by %s", v, text)
			}
		}
	})
}
