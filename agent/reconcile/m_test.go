package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// The agent asks the project again, of whatever the hub sends: it knows which kinds
// of its cluster are whose.
func TestM01_TheAgentAsksTheProjectAgain(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-m01")
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	const fine = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine}\ndata: {v: '1'}\n---\n"
	for name, c := range map[string]struct{ text, code string }{
		"kind":      {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", "kind_not_permitted"},
		"elsewhere": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}\n", "destination_not_permitted"},
		"cluster":   {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: m01, namespace: m01-cluster}\n", "kind_not_permitted"},
		"namespace": {"apiVersion: v1\nkind: Namespace\nmetadata: {name: m01-namespace}\n", "kind_not_permitted"},
		"binding":   {"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n", "kind_not_permitted"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := "m01-" + name
			d, b := desired(t, ns, ns, 1, automated(true, true), fine+c.text)
			d.ProjectSpec = model.AppProjectSpec{
				SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{{Name: "*", Namespace: "m01-*"}},
				NamespaceResourceBlacklist: []model.KindRule{{Kind: "Secret"}, {Group: "rbac.authorization.k8s.io", Kind: "*"}},
			}
			a.mustSend(d, b)
			refuses(t, a, d.App, c.code)
		})
	}
	for _, e := range writes(t, audit) {
		if strings.HasPrefix(e.Namespace, "m01-") || e.Namespace == "kube-system" || e.Namespace == "" && strings.HasPrefix(e.Name, "m01") {
			t.Errorf("it was written: %s", e)
		}
	}
}

// refuses waits until the agent says of an application that it is refused, with a code,
// and holds that somebody who asks for a sync has it refused too.
func refuses(t *testing.T, a *agent, app model.AppUID, code string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if st := a.status(app); !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Code == code }) {
			return fmt.Errorf("conditions %v", st.Conditions)
		}
		return nil
	})
	op := model.OperationID("op-" + string(app))
	a.operation(op, 1, app, model.OperationSpec{})
	if end := a.ended(op); end.Phase != model.PhaseFailed {
		t.Errorf("%s: %s", end.Phase, end.Message)
	}
}

// writes are those of agents that audit has not told yet.
func writes(t *testing.T, audit *testbed.AuditReader) (out []testbed.AuditEvent) {
	t.Helper()
	events, err := audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Write() && strings.HasPrefix(e.UserAgent, "hawser-agent") {
			out = append(out, e)
		}
	}
	return out
}

// Two applications of two projects that claim one object, and heal: the first keeps
// it, and they do not take turns.
func TestM02_TheFirstKeepsWhatTwoClaim(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-m02")
	d, b := desired(t, "m02-first", "m02", 1, automated(true, true), configMap("m02", "shared", "1"))
	a.mustSend(d, b)
	a.synced(d.App, 1)
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	second, b := desired(t, "m02-second", "m02", 1, automated(true, true), configMap("m02", "shared", "2")+configMap("m02", "own", "1"))
	second.Project = "other"
	a.mustSend(second, b)
	eventually(t, 20*time.Second, func() error {
		st := a.status(second.App)
		if !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool {
			return c.Code == "resource_owned" && strings.Contains(c.Message, "m02-first")
		}) {
			return fmt.Errorf("conditions %v", st.Conditions)
		}
		return nil
	})
	for i := range 3 {
		id := model.OperationID(fmt.Sprintf("op-%d", i))
		a.operation(id, int64(2*i+1), second.App, model.OperationSpec{Prune: true})
		a.ended(id)
		id += "-first"
		a.operation(id, int64(2*i+2), d.App, model.OperationSpec{Prune: true})
		a.ended(id)
	}
	for _, e := range writes(t, audit) {
		if e.Namespace == "m02" && e.Name == "shared" {
			t.Errorf("it was written: %s", e)
		}
	}
	if v := field(a.k.get(cmPath("m02", "shared")), "data", "v"); v != "1" {
		t.Errorf("it is the second's: %v", v)
	}
	// The second gives up its claim: what it never had is not pruned.
	second.Generation = 2
	gone, b := desired(t, "m02-second", "m02", 2, automated(true, true), configMap("m02", "own", "1"))
	gone.Project = "other"
	a.mustSend(gone, b)
	a.synced(gone.App, 2)
	if a.k.get(cmPath("m02", "shared")) == nil {
		t.Error("it was pruned by who never had it")
	}
}

// Whoever writes to the agent's namespace has the agent: no object goes there, no
// hook, and not the Namespace itself.
func TestM04_NothingGoesToTheAgentsOwnNamespace(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-m04")
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	const job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: hook, namespace: %s, annotations: {argocd.argoproj.io/hook: PreSync}}\n" +
		"spec: {template: {spec: {restartPolicy: Never, serviceAccountName: hawser-agent, containers: [{name: a, image: b, securityContext: {privileged: true}}], volumes: [{name: host, hostPath: {path: /}}]}}}\n"
	for name, text := range map[string]string{
		"object":    configMap("agent-m04", "a", "1"),
		"hook":      fmt.Sprintf(job, "agent-m04") + "---\n" + configMap("m04", "a", "1"),
		"namespace": "apiVersion: v1\nkind: Namespace\nmetadata: {name: agent-m04, labels: {pod-security.kubernetes.io/enforce: privileged}}\n",
		"binding":   "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: x, namespace: agent-m04}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n",
	} {
		t.Run(name, func(t *testing.T) {
			d, b := desired(t, "m04-"+name, "m04", 1, automated(true, true), text)
			a.mustSend(d, b)
			refuses(t, a, d.App, codeOwnNamespace)
		})
	}
	for _, e := range writes(t, audit) {
		// What the agent keeps there are Secrets and Leases.
		if e.Namespace == "agent-m04" && e.Resource != "secrets" && e.Resource != "leases" || e.Resource == "namespaces" && e.Name == "agent-m04" {
			t.Errorf("it was written: %s", e)
		}
	}
}
