package veto

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/agent/sync"
)

// A hub that was taken over may ask for anything, in as many operations as it
// likes: what the cluster's own policy vetoes reaches no API server, and the hub
// can neither change the policy nor begin a new count.
func TestE08_AHubThatWasTakenOverDoesNotPassThePolicy(t *testing.T) {
	b := newBench(t, `
exec: false
deny:
- kinds: ["rbac.authorization.k8s.io/*"]
- kinds: [core/Secret]
  verbs: [get]
- namespaces: ["kube-*"]
maxDeletes: {perOperation: 3, perHour: 5}
impersonate: ["team-*/deployer"]
`)
	for what, err := range map[string]error{
		"a ClusterRoleBinding":            b.write(sync.Write{Key: key("rbac.authorization.k8s.io/ClusterRoleBinding /admin"), Operation: "o"}),
		"by force":                        b.write(sync.Write{Key: key("rbac.authorization.k8s.io/ClusterRoleBinding /admin"), Mode: sync.ModeRecreate, UID: "u", Operation: "o"}),
		"kube-system":                     b.write(sync.Write{Key: key("apps/DaemonSet kube-system/miner"), Operation: "o"}),
		"the policy":                      b.write(sync.Write{Key: key("ConfigMap " + own + "/" + ConfigMapName), UID: "u", Operation: "o"}),
		"the agent's identity":            b.Allow("get", key("Secret "+own+"/hawser-agent-identity")),
		"reading a Secret":                b.Allow("get", key("Secret shop/password")),
		"a command in a pod":              b.Allow("exec", key("Pod shop/web")),
		"a command in the agent":          b.Allow("exec", key("Pod "+own+"/agent")),
		"an account of another namespace": b.MayImpersonate("system:serviceaccount:kube-system:default"),
		"a group of everybody's masters":  b.MayImpersonate("system:masters"),
	} {
		if err == nil {
			t.Errorf("%s: passed", what)
		}
	}
	if did := b.inner.took(); did != "" {
		t.Errorf("it reached the cluster: %s", did)
	}
	// Delete all: under one operation, under new ones, and over a restart.
	deleted := 0
	for i := range 100 {
		operation := "all"
		if i >= 20 {
			operation = fmt.Sprint("operation-", i)
		}
		if i == 60 {
			b.restart()
			b.policy("maxDeletes: {perOperation: 3, perHour: 5}")
		}
		if b.delete(operation, fmt.Sprint("object-", i)) == nil {
			deleted++
		}
	}
	if did := strings.Count(b.inner.took(), "delete"); deleted != 5 || did != 5 {
		t.Errorf("%d deletes passed and %d were made; the policy allows 5", deleted, did)
	}
}
