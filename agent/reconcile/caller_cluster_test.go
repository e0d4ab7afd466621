package reconcile

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// asAccount is a desired state whose project names one account for everything.
func asAccount(d model.Desired, account string) model.Desired {
	d.ProjectSpec.DestinationServiceAccounts = []model.DestinationServiceAccount{{Server: "*", Namespace: "*", DefaultServiceAccount: account}}
	return d
}

// account makes a namespace and a service account in it that may do some verbs with
// some resources there.
func (k *kube) account(ns, name, rules string) {
	k.t.Helper()
	k.do(http.MethodPost, "/api/v1/namespaces", "application/json", `{"metadata":{"name":"`+ns+`"}}`)
	k.do(http.MethodPost, "/api/v1/namespaces/"+ns+"/serviceaccounts", "application/json", `{"metadata":{"name":"`+name+`"}}`)
	rbac := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + ns
	k.do(http.MethodPost, rbac+"/roles", "application/json", `{"metadata":{"name":"`+name+`"},"rules":[`+rules+`]}`)
	k.do(http.MethodPost, rbac+"/rolebindings", "application/json", `{"metadata":{"name":"`+name+`"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"`+name+
		`"},"subjects":[{"kind":"ServiceAccount","name":"`+name+`","namespace":"`+ns+`"}]}`)
	eventually(k.t, 30*time.Second, func() error {
		code, answer := k.try(http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", "application/json",
			`{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"system:serviceaccount:`+ns+`:`+name+`","resourceAttributes":{"namespace":"`+ns+`","verb":"create","resource":"configmaps"}}}`)
		if code != http.StatusCreated || !strings.Contains(string(answer), `"allowed":true`) {
			return fmt.Errorf("the account has no rights yet: %d %s", code, answer)
		}
		return nil
	})
}

const configMapRights = `{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","create","patch","update","delete"]},{"apiGroups":["batch"],"resources":["jobs"],"verbs":["get","create","patch","delete"]}`

// deeds of the agent in a namespace, as the API server's audit log has them.
func (a *agent) requestsIn(audit *testbed.AuditReader, ns string) []testbed.AuditEvent {
	a.t.Helper()
	// A request of our own marks the end.
	mark := fmt.Sprintf("mark-%d", time.Now().UnixNano())
	a.k.try(http.MethodGet, "/api/v1/namespaces/default/configmaps/"+mark, "", "")
	var out []testbed.AuditEvent
	eventually(a.t, 30*time.Second, func() error {
		events, err := audit.Next()
		if err != nil {
			a.t.Fatal(err)
		}
		seen := false
		for _, e := range events {
			seen = seen || e.Name == mark
			if strings.HasPrefix(e.UserAgent, "hawser-agent") && e.Namespace == ns {
				out = append(out, e)
			}
		}
		if !seen {
			return fmt.Errorf("the audit log has not come to %s", mark)
		}
		return nil
	})
	return out
}

func TestEverythingIsDoneAsTheAccountOfTheProject(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-as")
	a.engine.o.Actions = deeds{}
	const ns, uid, user = "as-account", "uid-as", "system:serviceaccount:as-account:deployer"
	a.k.account(ns, "deployer", configMapRights)
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}

	// Create, change, drift, adoption, prune, an action, the deletion of one object and
	// the end of it all.
	policy := automated(true, true)
	policy.SyncOptions = nil
	a.k.do(http.MethodPost, "/api/v1/namespaces/"+ns+"/configmaps?fieldManager=kubectl-client-side-apply", "application/json", `{"metadata":{"name":"adopted"},"data":{"v":"0","old":"x"}}`)
	d, b := desired(t, "as", ns, 1, policy, configMap(ns, "a", "1")+configMap(ns, "b", "1")+configMap(ns, "adopted", "1"))
	a.mustSend(asAccount(d, "deployer"), b)
	a.synced(uid, 1)
	a.k.merge(cmPath(ns, "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 10*time.Second, func() error {
		if v := field(a.k.get(cmPath(ns, "a")), "data", "v"); v != "1" {
			return fmt.Errorf("value is %v", v)
		}
		return nil
	})
	d, b = desired(t, "as", ns, 2, policy, configMap(ns, "a", "2")+configMap(ns, "adopted", "1"))
	a.mustSend(asAccount(d, "deployer"), b)
	a.synced(uid, 2)
	eventually(t, 20*time.Second, func() error {
		if a.k.get(cmPath(ns, "b")) != nil {
			return fmt.Errorf("b is still there")
		}
		return nil
	})
	a.engine.Operation(t.Context(), model.Command{ID: "op-as-act", Seq: 1, App: uid, Kind: model.OperationAction, Spec: model.OperationSpec{Action: &model.ActionSpec{
		Resource: model.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: "a"}, Name: "copy"}}})
	if end := a.ended("op-as-act"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	a.operation("op-as-dry", 2, uid, model.OperationSpec{DryRun: true})
	if end := a.ended("op-as-dry"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	meant, _ := field(a.k.get(cmPath(ns, "adopted")), "metadata", "uid").(string)
	a.engine.Operation(t.Context(), model.Command{ID: "op-as-delete", Seq: 3, App: uid, Kind: model.OperationAction, Spec: model.OperationSpec{Action: &model.ActionSpec{
		Resource: model.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: "adopted"}, Name: model.ActionDelete, Delete: &model.DeleteSpec{UID: meant}}}})
	if end := a.ended("op-as-delete"); end.Phase != model.PhaseSucceeded || end.Result == nil || len(end.Result.Resources) != 1 || end.Result.Resources[0].Message != "" {
		t.Errorf("%+v", end)
	}
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "as", Generation: 3, Mode: model.WithdrawCascade, Operation: "op-as-gone", OperationSeq: 4})
	a.ended("op-as-gone")
	if a.k.get(cmPath(ns, "a")) != nil {
		t.Error("a was not deleted")
	}

	writes, meantAs := map[string]int{}, ""
	for _, e := range a.requestsIn(audit, ns) {
		if e.Verb == "delete" && e.Name == "adopted" && meantAs == "" {
			meantAs = e.ImpersonatedUser
		}
		if e.Write() || e.Verb == "get" {
			writes[e.Verb]++
			if e.ImpersonatedUser != user {
				t.Errorf("not as the account but as %q: %s", e.ImpersonatedUser, e)
			}
		}
	}
	if meantAs != user {
		t.Errorf("the one object was deleted as %q", meantAs)
	}
	for _, verb := range []string{"patch", "create", "delete", "get"} {
		if writes[verb] == 0 {
			t.Errorf("no %s among %v", verb, writes)
		}
	}
}

func TestAccountsWithoutRightsFailTheSyncByName(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-norights")
	const ns = "no-rights"
	a.k.account(ns, "deployer", configMapRights)
	policy := automated(true, true)
	policy.SyncOptions, policy.Retry = nil, &model.RetryStrategy{Limit: 0}
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		account string
		wants   []string
	}{
		"weak":      {"deployer", []string{"deployments.apps", "system:serviceaccount:no-rights:deployer"}},
		"missing":   {"nobody", []string{"no-rights/nobody", "does not exist"}},
		"elsewhere": {"other:nobody", []string{"other/nobody", "does not exist"}},
		"invalid":   {"Dep*", []string{"destinationServiceAccounts"}},
	} {
		d, b := desired(t, name, ns, 1, policy, strings.SplitAfter(deployment, "---\n")[0])
		a.mustSend(asAccount(d, c.account), b)
		eventually(t, 60*time.Second, func() error {
			st := a.status(d.App)
			text := fmt.Sprint(st.Conditions)
			for _, want := range c.wants {
				if !strings.Contains(text, want) {
					return fmt.Errorf("%s: no %q in %s", name, want, text)
				}
			}
			return nil
		})
	}
	// A project that has rules of which none matches.
	d, b := desired(t, "nomatch", ns, 1, policy, configMap(ns, "never", "1"))
	d.ProjectSpec.DestinationServiceAccounts = []model.DestinationServiceAccount{{Server: "*", Namespace: "other", DefaultServiceAccount: "deployer"}}
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		for _, c := range a.status(d.App).Conditions {
			if c.Code == "service_account_not_found" {
				return nil
			}
		}
		return fmt.Errorf("%+v", a.status(d.App).Conditions)
	})
	for _, e := range a.requestsIn(audit, ns) {
		if e.Write() && (e.ImpersonatedUser == "" || e.Code < 400 && e.Resource == "deployments") {
			t.Errorf("written: %s as %q", e, e.ImpersonatedUser)
		}
	}
	if a.k.get("/apis/apps/v1/namespaces/"+ns+"/deployments/web") != nil || a.k.get(cmPath(ns, "never")) != nil {
		t.Error("something was written")
	}
}

func TestWhatIsOnlyObservedIsNeverWritten(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-observe")
	a.engine.o.Actions = deeds{}
	const ns, uid = "observed", "uid-observed"
	a.k.do(http.MethodPost, "/api/v1/namespaces", "application/json", `{"metadata":{"name":"`+ns+`"}}`)
	argo := func(name, value, marks string) {
		a.k.do(http.MethodPost, "/api/v1/namespaces/"+ns+"/configmaps?fieldManager=argocd-controller", "application/json",
			`{"metadata":{"name":"`+name+`",`+marks+`},"data":{"v":"`+value+`"}}`)
	}
	annotated := func(name string) string {
		return `"annotations":{"argocd.argoproj.io/tracking-id":"observed:/ConfigMap:` + ns + `/` + name + `"}`
	}
	argo("same", "1", annotated("same"))
	argo("other", "0", annotated("other"))
	argo("labelled", "1", `"labels":{"app.kubernetes.io/instance":"observed"}`)
	argo("foreign", "1", `"annotations":{"argocd.argoproj.io/tracking-id":"argocd_observed:/ConfigMap:`+ns+`/foreign"}`)
	argo("extra", "1", annotated("extra"))
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	hook := `apiVersion: v1
kind: ConfigMap
metadata: {name: hook, namespace: ` + ns + `, annotations: {argocd.argoproj.io/hook: PreSync}}
---
`
	yaml := configMap(ns, "same", "1") + configMap(ns, "other", "1") + configMap(ns, "labelled", "1") + configMap(ns, "foreign", "1") + configMap(ns, "missing", "1") + hook
	d, b := desired(t, "observed", ns, 1, automated(true, true), yaml)
	d.Observe = true
	a.mustSend(d, b)
	wants := map[string]model.SyncStatus{"same": model.SyncSynced, "other": model.SyncOutOfSync, "labelled": model.SyncSynced, "foreign": model.SyncSynced, "missing": model.SyncOutOfSync}
	eventually(t, 60*time.Second, func() error {
		st := a.status(uid)
		got := map[string]model.SyncStatus{}
		for _, r := range st.Resources {
			if r.Hook == "" {
				got[r.Name] = r.Sync.Status
				if r.Name == "other" && (len(r.Differences) != 1 || r.Differences[0].Path != ".data.v") {
					return fmt.Errorf("differences of other: %+v", r.Differences)
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(wants) {
			return fmt.Errorf("resources %v, conditions %v", got, st.Conditions)
		}
		for _, c := range st.Conditions {
			if c.Code == "observe_only" {
				return nil
			}
		}
		return fmt.Errorf("conditions %v", st.Conditions)
	})
	// Changes that nobody is told of are seen all the same.
	a.k.merge(cmPath(ns, "same"), `{"data":{"v":"2"}}`)
	eventually(t, 30*time.Second, func() error {
		for _, r := range a.status(uid).Resources {
			if r.Name == "same" && r.Sync.Status == model.SyncOutOfSync {
				return nil
			}
		}
		return fmt.Errorf("same is not out of sync")
	})
	// Nothing that somebody asks for is done.
	for i, c := range []model.Command{
		{Kind: model.OperationSync, Spec: model.OperationSpec{Prune: true}},
		{Kind: model.OperationSync, Spec: model.OperationSpec{DryRun: true}},
		{Kind: model.OperationAction, Spec: model.OperationSpec{Action: &model.ActionSpec{Resource: model.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: "same"}, Name: "label"}}},
	} {
		c.ID, c.Seq, c.App = model.OperationID(fmt.Sprintf("op-observed-%d", i)), int64(i+1), uid
		a.engine.Operation(t.Context(), c)
		if end := a.ended(c.ID); end.Phase != model.PhaseFailed || !strings.HasPrefix(end.Message, "observe_only: ") {
			t.Errorf("%+v", end)
		}
	}
	// Its deletion leaves everything as it is.
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "observed", Generation: 2, Mode: model.WithdrawCascade, Operation: "op-observed-gone", OperationSeq: 4})
	if end := a.ended("op-observed-gone"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	for _, e := range a.requestsIn(audit, ns) {
		if e.Write() {
			t.Errorf("written: %s", e)
		}
	}
	for _, name := range []string{"same", "other", "labelled", "foreign", "extra"} {
		if a.k.get(cmPath(ns, name)) == nil {
			t.Errorf("%s is gone", name)
		}
	}
}

func TestHandoverAndBack(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-handover")
	const ns, uid = "handover", "uid-handover"
	a.k.do(http.MethodPost, "/api/v1/namespaces", "application/json", `{"metadata":{"name":"`+ns+`"}}`)
	a.k.do(http.MethodPost, "/api/v1/namespaces/"+ns+"/configmaps?fieldManager=argocd-controller", "application/json",
		`{"metadata":{"name":"a","labels":{"app.kubernetes.io/instance":"handover"}},"data":{"v":"0"}}`)
	d, b := desired(t, "handover", ns, 1, automated(true, true), configMap(ns, "a", "1"))
	d.Observe = true
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		if st := a.status(uid); st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("%+v", st.Sync)
		}
		return nil
	})
	d.Observe, d.Generation, d.Revision.Commit = false, 2, fmt.Sprintf("%040d", 2)
	a.mustSend(d, b)
	a.synced(uid, 2)
	if v := field(a.k.get(cmPath(ns, "a")), "data", "v"); v != "1" {
		t.Errorf("value %v after the handover", v)
	}
	// Back again: a drift stays.
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	d.Observe, d.Generation = true, 3
	a.mustSend(d, b)
	a.k.merge(cmPath(ns, "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 30*time.Second, func() error {
		if st := a.status(uid); st.Generation != 3 || st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("%d %+v", st.Generation, st.Sync)
		}
		return nil
	})
	for _, e := range a.requestsIn(audit, ns) {
		if e.Write() {
			t.Errorf("written: %s", e)
		}
	}
}
