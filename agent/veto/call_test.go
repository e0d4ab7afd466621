package veto

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
)

func TestPolicyOnRequestsOfKubectl(t *testing.T) {
	kinds := map[string]kubecall.Info{
		"pods": {Kind: "Pod", Namespaced: true, Known: true}, "secrets": {Kind: "Secret", Namespaced: true, Known: true}, "deployments": {Kind: "Deployment", Namespaced: true, Known: true},
		"namespaces": {Kind: "Namespace", Known: true}, "nodes": {Kind: "Node", Known: true}, "clusterroles": {Kind: "ClusterRole", Known: true},
	}
	for name, c := range map[string]struct {
		policy string
		lines  map[string]string // request → rule that vetoes, "" for none
	}{
		"none": {"", map[string]string{
			"GET /api/v1/pods": "", "GET /api/v1/namespaces/shop/secrets": "", "GET /api/v1/namespaces/agent/pods": RuleOwnNamespace, "GET /api/v1/namespaces/agent": RuleOwnNamespace,
			"GET /api/v1/secrets": RuleOwnNamespace, "GET /api/v1/secrets?watch=1": RuleOwnNamespace, "DELETE /api/v1/pods": RuleOwnNamespace, "DELETE /api/v1/namespaces": RuleOwnNamespace,
			"DELETE /apis/x/v1/unknowns": RuleOwnNamespace, "DELETE /api/v1/nodes": "", "POST /api/v1/namespaces/agent/serviceaccounts/hawser-agent/token": RuleOwnNamespace, "GET /apis": "",
		}},
		"kubectl: false": {"kubectl: false", map[string]string{"GET /api/v1/namespaces/shop/pods": "kubectl", "GET /apis": "kubectl"}},
		"exec: false": {"exec: false", map[string]string{
			"GET /api/v1/namespaces/shop/pods/p/exec": "exec", "POST /api/v1/namespaces/shop/pods/p/attach": "exec", "GET /api/v1/namespaces/shop/pods/p/portforward": "exec",
			"PATCH /api/v1/namespaces/shop/pods/p/ephemeralcontainers": "exec", "GET /api/v1/namespaces/shop/pods/p/log": "",
		}},
		"a kind": {"deny: [{kinds: [Secret]}]", map[string]string{
			"GET /api/v1/namespaces/shop/secrets/s": "deny[0]", "GET /api/v1/namespaces/shop/pods/p": "", "GET /apis/x/v1/namespaces/shop/unknowns": "deny[0]",
		}},
		"namespaces": {`deny: [{namespaces: ["kube-*"]}]`, map[string]string{
			"GET /api/v1/namespaces/kube-system/pods": "deny[0]", "GET /api/v1/namespaces/shop/pods": "", "GET /api/v1/pods": "deny[0]", "GET /api/v1/nodes": "", "GET /api/v1/namespaces": "deny[0]",
			"DELETE /api/v1/namespaces/kube-system": "deny[0]", "DELETE /api/v1/namespaces/shop": "",
		}},
		"verbs": {"deny: [{verbs: [create, delete]}]", map[string]string{
			"POST /api/v1/namespaces/shop/pods": "deny[0]", "PATCH /apis/apps/v1/namespaces/shop/deployments/d": "deny[0]", "PATCH /apis/apps/v1/namespaces/shop/deployments/d/scale": "",
			"POST /api/v1/namespaces/shop/pods/p/eviction": "deny[0]", "DELETE /api/v1/namespaces/shop/pods": "deny[0]", "GET /api/v1/namespaces/shop/pods": "",
		}},
		"names": {"deny: [{kinds: [Secret], names: [top]}]", map[string]string{
			"GET /api/v1/namespaces/shop/secrets/top": "deny[0]", "GET /api/v1/namespaces/shop/secrets/other": "", "GET /api/v1/namespaces/shop/secrets": "deny[0]",
		}},
		"allowOnly": {`allowOnly: [{namespaces: ["team-*"], verbs: [get, logs]}]`, map[string]string{
			"GET /api/v1/namespaces/team-a/pods": "", "GET /api/v1/namespaces/team-a/pods/p/log": "", "GET /api/v1/pods": "allowOnly", "GET /api/v1/namespaces/shop/pods": "allowOnly",
			"POST /api/v1/namespaces/team-a/pods": "allowOnly", "GET /api/v1/nodes": "allowOnly", "GET /apis/x/v1/namespaces/team-a/unknowns": "",
		}},
		"limits": {"maxDeletes: {perHour: 5}", map[string]string{"DELETE /api/v1/namespaces/shop/pods": "maxDeletes", "DELETE /api/v1/namespaces/shop/pods/p": ""}},
	} {
		var p *Policy
		if c.policy != "" {
			var err error
			if p, err = Parse([]byte(c.policy)); err != nil {
				t.Fatal(name, err)
			}
		}
		for line, want := range c.lines {
			method, uri, _ := strings.Cut(line, " ")
			path, query, _ := strings.Cut(uri, "?")
			i, err := kubecall.Parse(method, path, query)
			if err != nil {
				t.Fatal(line, err)
			}
			k := kinds[i.Resource]
			i.Kind, i.Namespaced, i.Known = k.Kind, k.Namespaced, k.Known
			if d := DecideCall("agent", p, i); d.Rule != want || d.Allowed != (want == "") {
				t.Errorf("%s: %s: %+v, and should be vetoed by %q", name, line, d, want)
			}
		}
	}
}

// Deletes of kubectl count with those of everybody else.
func TestDeletesOfKubectlAreCounted(t *testing.T) {
	k := newBench(t, "maxDeletes: {perHour: 2}")
	remove := func(id, path string) error {
		i, err := kubecall.Parse("DELETE", path, "")
		if err != nil {
			t.Fatal(err)
		}
		return k.AllowCall(t.Context(), id, i)
	}
	for _, name := range []string{"a", "b", "b"} {
		if err := remove("r-"+name, "/api/v1/namespaces/shop/pods/"+name); err != nil {
			t.Fatal(name, err)
		}
	}
	if err := remove("r-c", "/api/v1/namespaces/shop/pods/c"); !fault.HasCode(err, "vetoed") {
		t.Errorf("the third: %v", err)
	}
}
