package sync

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestCreateAndPatch(t *testing.T) {
	c := startCluster(t)
	w := c.write(configMaps, "a", `"data":{"n":"1"}`)
	dry := w
	dry.DryRun = true
	if _, err := c.kube.Create(t.Context(), dry); err != nil {
		t.Fatal(err)
	}
	if c.get(configMaps, "a") != nil {
		t.Fatal("a dry run created it")
	}
	answer, err := c.kube.Create(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	uid, rv := identity(answer)
	_, err = c.kube.Create(t.Context(), w)
	if f := wantCode(t, err, "already_exists"); f.Kind != fault.Conflict {
		t.Errorf("already_exists is %s", f.Kind)
	}
	generated := c.write(configMaps, "x", `"metadata":{"generateName":"made-"}`)
	generated.Body = []byte(strings.Replace(string(generated.Body), `"name":"x",`, "", 1))
	if answer, err = c.kube.Create(t.Context(), generated); err != nil || !strings.HasPrefix(at2(object(t, answer), "metadata", "name"), "made-") {
		t.Fatalf("generateName: %v %s", err, answer)
	}

	patch := PatchRequest{Kind: configMaps, Key: w.Key, Patch: []byte(`{"data":{"n":"2","big":"12345678901234567890"}}`), UID: uid, ResourceVersion: rv, Operation: "op-patch"}
	dryPatch := patch
	dryPatch.DryRun = true
	if answer, err = c.kube.Patch(t.Context(), dryPatch); err != nil || at2(object(t, answer), "data", "n") != "2" {
		t.Fatalf("%v %s", err, answer)
	}
	if v := at2(c.get(configMaps, "a"), "data", "n"); v != "1" {
		t.Fatalf("a dry run patched it: %s", v)
	}
	if _, err = c.kube.Patch(t.Context(), patch); err != nil {
		t.Fatal(err)
	}
	if v := at2(c.get(configMaps, "a"), "data", "n"); v != "2" {
		t.Fatalf("n is %s", v)
	}
	patch.Patch = []byte(`{"data":{"n":"3"}}`)
	_, err = c.kube.Patch(t.Context(), patch)
	wantCode(t, err, "version_conflict")
	patch.ResourceVersion, patch.UID = "", "another"
	_, err = c.kube.Patch(t.Context(), patch)
	wantCode(t, err, "uid_changed")
	patch.Key.Name = "none"
	_, err = c.kube.Patch(t.Context(), patch)
	wantCode(t, err, "not_found")
	for _, bad := range []string{`[]`, `null`, `{"metadata":1}`, `{`} {
		patch.Patch = []byte(bad)
		_, err = c.kube.Patch(t.Context(), patch)
		wantCode(t, err, "patch_invalid")
	}

	c.apply(c.write(deployments, "d", fmt.Sprintf(deploymentSpec, "d", "a")))
	key := c.key(deployments, "d")
	if answer, err = c.kube.Patch(t.Context(), PatchRequest{Kind: deployments, Key: key, Subresource: "scale", Patch: []byte(`{"spec":{"replicas":0}}`), Operation: "op-scale"}); err != nil {
		t.Fatal(err)
	}
	if at2(object(t, answer), "kind") != "Scale" || at2(c.get(deployments, "d"), "spec", "replicas") != "0" {
		t.Errorf("%s", answer)
	}

	// The audit log says which operation wrote.
	audit := c.cp.Audit()
	for name, verb := range map[string]string{"op-a": "create", "op-patch": "patch", "op-scale": "patch"} {
		if _, err := audit.Await(t.Context(), func(e testbed.AuditEvent) bool {
			return e.Namespace == c.ns && e.Verb == verb && strings.HasSuffix(e.UserAgent, "op/"+name)
		}); err != nil {
			t.Errorf("no %s by %s: %v", verb, name, err)
		}
		audit = c.cp.Audit()
	}
}

func TestReplace(t *testing.T) {
	c := startCluster(t)
	w := c.write(configMaps, "a", `"data":{"ours":"1"}`)
	w.Mode = ModeReplace
	c.apply(w) // it does not exist: created
	c.do("PATCH", objectPath(configMaps, "v1", w.Key), `{"metadata":{"labels":{"x":"y"}},"data":{"theirs":"1"}}`)
	w = c.seen(w)
	o := c.apply(w)
	if at1(o, "data", "theirs") != nil || at1(o, "metadata", "labels") != nil {
		t.Errorf("a replacement leaves others' fields: %v", o)
	}
	// The object has moved on, by others or by our own request whose answer was
	// lost: it is replaced all the same.
	c.do("PATCH", objectPath(configMaps, "v1", w.Key), `{"data":{"theirs":"2"}}`)
	if o = c.apply(w); at1(o, "data", "theirs") != nil {
		t.Errorf("not replaced: %v", o)
	}
	// Not so when it is another object.
	other := w
	other.UID = "another"
	_, err := c.kube.Apply(t.Context(), other)
	wantCode(t, err, "uid_changed")
	c.do("DELETE", objectPath(configMaps, "v1", w.Key), "")
	// Somebody creates it in the moment between: as an apply would, it is taken.
	c.do("POST", "/api/v1/namespaces/"+c.ns+"/configmaps", `{"metadata":{"name":"a"},"data":{"theirs":"3"}}`)
	w.UID, w.ResourceVersion = "", ""
	if o = c.apply(w); at1(o, "data", "theirs") != nil {
		t.Errorf("not replaced: %v", o)
	}
	w = c.seen(w)
	c.do("DELETE", objectPath(configMaps, "v1", w.Key), "")
	if o = c.apply(w); at2(o, "data", "ours") != "1" {
		t.Errorf("one that is gone meanwhile is not created: %v", o)
	}
	w = c.seen(w)
	w.DryRun = true
	w.Body = []byte(strings.Replace(string(w.Body), `"ours":"1"`, `"ours":"dry"`, 1))
	if o = c.apply(w); at2(o, "data", "ours") != "dry" || at2(c.get(configMaps, "a"), "data", "ours") != "1" {
		t.Errorf("dry run: %v", o)
	}
}

func TestForceRecreatesWhatCannotBeChanged(t *testing.T) {
	c := startCluster(t)
	const job = `"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"%s"}]}}}`
	const binding = `"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"%s"}`
	for _, k := range []struct {
		name          string
		kind          live.Kind
		before, after string
	}{
		{"job", jobs, fmt.Sprintf(job, "one"), fmt.Sprintf(job, "two")},
		{"configmap", configMaps, `"immutable":true,"data":{"a":"1"}`, `"immutable":true,"data":{"a":"2"}`},
		{"secret", secrets, `"type":"Opaque"`, `"type":"example.com/other"`},
		{"selector", deployments, fmt.Sprintf(deploymentSpec, "one", "a"), fmt.Sprintf(deploymentSpec, "two", "a")},
		{"service", services, `"spec":{"ports":[{"port":80}]}`, `"spec":{"clusterIP":"None","ports":[{"port":80}]}`},
		{"node-port", services, `"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30123}]}`, `"spec":{"type":"ClusterIP","clusterIP":"None","ports":[{"port":81}]}`},
		{"rolebinding", bindings, fmt.Sprintf(binding, "one"), fmt.Sprintf(binding, "two")},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := *c
			c.t = t
			c.apply(c.write(k.kind, k.name, k.before))
			w := c.seen(c.write(k.kind, k.name, k.after))
			_, err := c.kube.Apply(t.Context(), w)
			wantCode(t, err, "immutable_field")
			w.Force = true
			unseen := w
			unseen.UID = ""
			_, err = c.kube.Apply(t.Context(), unseen)
			wantCode(t, err, "immutable_field")
			dry := w
			dry.DryRun = true
			c.apply(dry)
			if at2(c.get(k.kind, k.name), "metadata", "uid") != w.UID {
				t.Fatal("without a decision about the object, or by a dry run, it was recreated")
			}
			g := NewGovernor(2, time.Now)
			if err := g.Do(t.Context(), func() error { _, err := c.kube.Apply(t.Context(), w); return err }); err != nil {
				t.Fatal(err)
			}
			now := c.get(k.kind, k.name)
			if now == nil || at2(now, "metadata", "uid") == w.UID {
				t.Fatalf("not recreated: %v", now)
			}
			// Once more, as after an answer that was lost: it is not deleted again.
			uid := at2(now, "metadata", "uid")
			c.apply(w)
			if got := at2(c.get(k.kind, k.name), "metadata", "uid"); got != uid {
				t.Error("recreated twice")
			}
		})
	}
}

func TestForceDeletesNothingInVain(t *testing.T) {
	c := startCluster(t)
	// A CRD takes the objects of its kind with it.
	group := c.ns + ".example.com"
	const crd = `"spec":{"group":"%s","scope":"%s","names":{"kind":"Boat","plural":"boats"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}`
	c.apply(c.write(crds, "boats."+group, fmt.Sprintf(crd, group, "Namespaced")))
	eventually(t, time.Minute, "the CRD is served", func() bool {
		_, err := c.kube.Apply(t.Context(), c.write(served(group, "v1", "Boat", "boats", true), "a", ""))
		return err == nil
	})
	boat := c.write(crds, "boats."+group, fmt.Sprintf(crd, group, "Cluster"))
	boat = c.seen(boat)
	boat.Force = true
	_, err := c.kube.Apply(t.Context(), boat)
	if f := wantCode(t, err, "immutable_field"); !strings.Contains(f.Fix, "all objects of its kind") {
		t.Errorf("fix: %q", f.Fix)
	}
	if at2(c.get(crds, boat.Key.Name), "metadata", "uid") != boat.UID {
		t.Error("the CRD was deleted")
	}
	// What is not valid is not created in the place of what runs.
	const job = `"spec":{"template":{"spec":{"restartPolicy":"%s","containers":[{"name":"a","image":"%s"}]}}}`
	c.apply(c.write(jobs, "job", fmt.Sprintf(job, "Never", "one")))
	w := c.seen(c.write(jobs, "job", fmt.Sprintf(job, "Sometimes", "two")))
	w.Force = true
	_, err = c.kube.Apply(t.Context(), w)
	wantCode(t, err, "schema_invalid")
	w.Mode = ModeRecreate
	_, err = c.kube.Apply(t.Context(), w)
	wantCode(t, err, "schema_invalid")
	// Only invalid, and nothing that recreation solves.
	w = c.seen(c.write(jobs, "job", `"spec":{"parallelism":-1,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"one"}]}}}`))
	w.Force = true
	_, err = c.kube.Apply(t.Context(), w)
	wantCode(t, err, "schema_invalid")
	if at2(c.get(jobs, "job"), "metadata", "uid") != w.UID {
		t.Error("it was deleted")
	}
	// Kinds that take others with them.
	const claim = `"spec":{"accessModes":["%s"],"resources":{"requests":{"storage":"1Gi"}}}`
	c.apply(c.write(claims, "data", fmt.Sprintf(claim, "ReadWriteOnce")))
	w = c.seen(c.write(claims, "data", fmt.Sprintf(claim, "ReadOnlyMany")))
	w.Force = true
	_, err = c.kube.Apply(t.Context(), w)
	if f := wantCode(t, err, "immutable_field"); !strings.Contains(f.Fix, "Replace=true,Force=true") {
		t.Errorf("fix: %q", f.Fix)
	}
	if at2(c.get(claims, "data"), "metadata", "uid") != w.UID {
		t.Error("the claim was deleted")
	}
}

// An object that is kept by a finalizer is waited for without a slot, and the
// error says who keeps it.
func TestRecreateOfWhatIsKeptByAFinalizer(t *testing.T) {
	c := startCluster(t)
	w := c.write(configMaps, "kept", `"metadata":{"finalizers":["example.com/keeps-it"]},"immutable":true,"data":{"a":"1"}`)
	c.apply(w)
	w = c.seen(c.write(configMaps, "kept", `"immutable":true,"data":{"a":"2"}`))
	w.Force = true
	_, err := c.kube.Apply(t.Context(), w)
	var pending *Pending
	if !errors.As(err, &pending) {
		t.Fatalf("%v", err)
	}
	if f := wantCode(t, err, "still_deleting"); f.Kind != fault.Unavailable || !strings.Contains(f.Message, "example.com/keeps-it") || f.Fix == "" {
		t.Errorf("%+v", f)
	}
	_, err = c.kube.Create(t.Context(), w)
	wantCode(t, err, "still_deleting")
	done := make(chan error, 1)
	g := NewGovernor(1, time.Now)
	go func() { done <- g.Do(t.Context(), func() error { _, err := c.kube.Apply(t.Context(), w); return err }) }()
	// Others are not held up by it.
	for range 3 {
		if err := g.Do(t.Context(), func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	c.do("PATCH", objectPath(configMaps, "v1", w.Key), `{"metadata":{"finalizers":null}}`)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if now := c.get(configMaps, "kept"); at2(now, "data", "a") != "2" || at2(now, "metadata", "uid") == w.UID {
		t.Errorf("%v", now)
	}
}

func managersOf(t testing.TB, o map[string]any) []live.FieldManager {
	t.Helper()
	var out []live.FieldManager
	list, _ := at1(o, "metadata", "managedFields").([]any)
	for _, e := range list {
		m := e.(map[string]any)
		out = append(out, live.FieldManager{Manager: at2(m, "manager"), Operation: at2(m, "operation"), Subresource: at2(m, "subresource")})
	}
	return out
}

func TestMigration(t *testing.T) {
	c := startCluster(t)
	const csa, lastApplied = "kubectl-client-side-apply", `"kubectl.kubernetes.io/last-applied-configuration":"{}"`
	full := `"metadata":{"labels":{"a":"1","old":"1"},"annotations":{` + lastApplied + `}},"spec":{"replicas":2,"minReadySeconds":5,"selector":{"matchLabels":{"app":"x"}},"template":{"metadata":{"labels":{"app":"x"}},` +
		`"spec":{"nodeSelector":{"disk":"ssd"},"containers":[{"name":"a","image":"a","env":[{"name":"KEEP","value":"1"},{"name":"OLD","value":"1"}],"ports":[{"containerPort":80}]},{"name":"old","image":"b"}]}}}`
	wanted := `"metadata":{"labels":{"a":"1"}},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"x"}},"template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"a","image":"a","env":[{"name":"KEEP","value":"1"}]}]}}}`
	// The ways in which a former manager wrote.
	created := func(manager string) func(*cluster, string) {
		return func(c *cluster, name string) {
			c.do("POST", "/apis/apps/v1/namespaces/"+c.ns+"/deployments?fieldManager="+manager, string(c.write(deployments, name, full).Body))
		}
	}
	applied := func(manager string) func(*cluster, string) {
		return func(c *cluster, name string) {
			w := c.write(deployments, name, full)
			w.Manager = manager
			c.apply(w)
		}
	}
	for _, k := range []struct {
		name  string
		write func(*cluster, string)
		extra string
		want  []string
	}{
		{"kubectl", created(csa), "", []string{csa}},
		{"argo-client-side", created("argocd-controller"), "", []string{"argocd-controller"}},
		{"argo-before", created("argocd-application-controller"), "", []string{"argocd-application-controller"}},
		{"argo-server-side", applied("argocd-controller"), "", []string{"argocd-controller"}},
		{"both", func(c *cluster, name string) { created(csa)(c, name); applied("argocd-controller")(c, name) }, "", []string{csa, "argocd-controller"}},
		{"an-operator", created("old-operator"), "old-operator", []string{"old-operator"}},
		{"after-our-first-apply", func(c *cluster, name string) { created(csa)(c, name); c.apply(c.write(deployments, name, wanted)) }, "", []string{csa}},
		{"our-replacement", func(c *cluster, name string) {
			w := c.write(deployments, name, full)
			w.Mode = ModeReplace
			c.apply(w)
		}, "", []string{updateManager}},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := *c
			c.t = t
			k.write(&c, k.name)
			// Somebody else has a field of his own, and a part of a field that goes.
			hpa := c.write(deployments, k.name, `"metadata":{"labels":{"theirs":"1"}},"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"THEIRS","value":"1"}]}]}}}`)
			hpa.Manager = "somebody"
			c.apply(hpa)
			w := c.write(deployments, k.name, wanted)
			got := NeedsMigration(managersOf(t, c.get(deployments, k.name)), k.extra)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(k.want))
			if !slices.Equal(got, want) {
				t.Fatalf("migrates %v, want %v", got, want)
			}
			w.Migrate = got
			audit, err := c.cp.AuditFromNow()
			if err != nil {
				t.Fatal(err)
			}
			dry := w
			dry.DryRun = true
			dryAnswer := c.apply(dry)
			c.apply(w)
			for name, o := range map[string]map[string]any{"dry run": dryAnswer, "apply": c.get(deployments, k.name)} {
				spec, _ := at1(o, "spec", "template", "spec").(map[string]any)
				containers, _ := spec["containers"].([]any)
				if len(containers) != 1 {
					t.Fatalf("%s: containers %v", name, containers)
				}
				a := containers[0].(map[string]any)
				env := fmt.Sprint(a["env"])
				if strings.Contains(env, "OLD") || !strings.Contains(env, "KEEP") || !strings.Contains(env, "THEIRS") || a["ports"] != nil || spec["nodeSelector"] != nil {
					t.Errorf("%s: %v", name, spec)
				}
				if at1(o, "metadata", "labels", "old") != nil || at1(o, "spec", "minReadySeconds") != nil || at2(o, "metadata", "labels", "theirs") != "1" || at2(o, "spec", "replicas") != "2" {
					t.Errorf("%s: labels %v, spec %v", name, at1(o, "metadata", "labels"), at1(o, "spec"))
				}
				if at2(o, "spec", "progressDeadlineSeconds") != "600" {
					t.Errorf("%s: defaults are missing: %v", name, at1(o, "spec"))
				}
				if at1(o, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration") != nil {
					t.Errorf("%s: the annotation of kubectl is still there", name)
				}
			}
			if dry, now := fmt.Sprint(at1(dryAnswer, "spec")), fmt.Sprint(at1(c.get(deployments, k.name), "spec")); dry != now {
				t.Errorf("the dry run said\n%s, and it is\n%s", dry, now)
			}
			if left := NeedsMigration(managersOf(t, c.get(deployments, k.name)), k.extra); len(left) > 0 {
				t.Errorf("still to be migrated: %v", left)
			}
			var verbs []string
			eventually(t, 10*time.Second, "the requests in the audit log", func() bool {
				verbs = append(verbs, requests(t, audit, k.name)...)
				return slices.Contains(verbs, "get") && verbs[len(verbs)-1] == "patch" && verbs[len(verbs)-2] == "patch"
			})
			// A dry run is two requests, more only where others write meanwhile.
			said := strings.Join(verbs, " ")
			for _, pair := range []string{"patch update", "get patch"} {
				for strings.Contains(said, pair+" "+pair) {
					said = strings.Replace(said, pair+" "+pair, pair, 1)
				}
			}
			if want := "patch update get patch patch"; said != want {
				t.Errorf("requests: %s", said)
			}
			// A dry run of what is migrated changes nothing and asks once.
			w.Migrate, w.DryRun = nil, true
			c.apply(w)
		})
	}
}

func TestMigrationKeepsUpWithOthers(t *testing.T) {
	c := startCluster(t)
	w := c.write(configMaps, "a", `"data":{"ours":"1"}`)
	w.Migrate = []string{"kubectl-client-side-apply"}
	c.apply(w) // it does not exist: there is nothing to take over
	c.do("DELETE", objectPath(configMaps, "v1", w.Key), "")
	c.do("POST", "/api/v1/namespaces/"+c.ns+"/configmaps?fieldManager=kubectl-client-side-apply", `{"metadata":{"name":"a"},"data":{"ours":"1","old":"1"}}`)
	// Between our look and our patch others write, once.
	moved := false
	inner := *c.kube.Kube
	k := ownKube{&inner}
	k.client = intercept(c.client, func(r *http.Request) {
		if r.Method == "PATCH" && r.Header.Get("Content-Type") == "application/json-patch+json" && !moved {
			moved = true
			c.do("PATCH", objectPath(configMaps, "v1", w.Key)+"?fieldManager=somebody", `{"data":{"theirs":"1"}}`)
		}
	})
	answer, err := k.Apply(t.Context(), w)
	if err != nil || !moved {
		t.Fatalf("%v", err)
	}
	if o := object(t, answer); at1(o, "data", "old") != nil || at2(o, "data", "theirs") != "1" {
		t.Errorf("%v", at1(o, "data"))
	}
	// Not for ever: then the caller looks again.
	c.do("PUT", objectPath(configMaps, "v1", w.Key)+"?fieldManager=kubectl-client-side-apply", `{"metadata":{"name":"a"},"data":{"ours":"1","old":"2"}}`)
	n := 0
	k.client = intercept(c.client, func(r *http.Request) {
		if r.Method == "PATCH" && r.Header.Get("Content-Type") == "application/json-patch+json" {
			n++
			c.do("PATCH", objectPath(configMaps, "v1", w.Key)+"?fieldManager=somebody", fmt.Sprintf(`{"data":{"theirs":"%d"}}`, 10+n))
		}
	})
	_, err = k.Apply(t.Context(), w)
	wantCode(t, err, "version_conflict")
	if n != migrationTries {
		t.Errorf("%d tries", n)
	}
}

// An account that may not read or replace: nothing is half done.
func TestMigrationWithoutRights(t *testing.T) {
	c := startCluster(t)
	c.do("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/"+c.ns+"/roles", `{"metadata":{"name":"applier"},"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["create","patch"]}]}`)
	c.do("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/"+c.ns+"/rolebindings", `{"metadata":{"name":"applier"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"applier"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"applier"}]}`)
	c.do("POST", "/api/v1/namespaces/"+c.ns+"/configmaps?fieldManager=kubectl-client-side-apply", `{"metadata":{"name":"a"},"data":{"ours":"1","old":"1"}}`)
	inner := *c.kube.Kube
	k := ownKube{&inner}
	k.client = intercept(c.client, func(r *http.Request) { r.Header.Set("Impersonate-User", "applier") })
	w := c.write(configMaps, "a", `"data":{"ours":"2"}`)
	eventually(t, 30*time.Second, "the account may apply", func() bool {
		_, err := k.Apply(t.Context(), c.write(configMaps, "b", ""))
		return err == nil
	})
	w.Migrate = []string{"kubectl-client-side-apply"}
	_, err := k.Apply(t.Context(), w)
	if f := wantCode(t, err, "forbidden"); !strings.Contains(f.Fix, "ClientSideApplyMigration=false") {
		t.Errorf("fix: %s", f.Fix)
	}
	if v := at2(c.get(configMaps, "a"), "data", "ours"); v != "1" {
		t.Errorf("ours is %s", v)
	}
	w.DryRun = true
	if answer, err := k.Apply(t.Context(), w); err != nil || at2(object(t, answer), "data", "ours") != "2" {
		t.Errorf("%v %s", err, answer)
	}
}

func TestPropagation(t *testing.T) {
	c := startCluster(t)
	for _, policy := range []string{"foreground", "background", "orphan", "Background", ""} {
		t.Run("policy "+policy, func(t *testing.T) {
			c := *c
			c.t = t
			name := "p-" + strings.ToLower(policy)
			if policy == "Background" {
				name += "-2"
			}
			if policy == "" {
				name = "p-default"
			}
			c.apply(c.write(deployments, name, fmt.Sprintf(deploymentSpec, name, "a")))
			owned := func() (out []string) {
				list := object(t, c.do("GET", "/apis/apps/v1/namespaces/"+c.ns+"/replicasets?labelSelector=app%3D"+name, ""))
				items, _ := list["items"].([]any)
				for _, i := range items {
					out = append(out, at2(i.(map[string]any), "metadata", "name"))
				}
				return out
			}
			eventually(t, time.Minute, "a ReplicaSet", func() bool { return len(owned()) == 1 })
			w := c.seen(c.write(deployments, name, ""))
			// A finalizer of somebody else lets us see the order.
			rs := owned()[0]
			c.do("PATCH", objectPath(replicaSets, "v1", c.key(replicaSets, rs)), `{"metadata":{"finalizers":["example.com/wait"]}}`)
			r := Removal{Kind: deployments, Key: w.Key, UID: w.UID, Propagation: policy, Operation: "op-delete"}
			another := r
			another.UID = "another"
			if err := c.kube.Delete(t.Context(), another); err != nil {
				t.Fatal(err)
			}
			if o := c.get(deployments, name); o == nil || at1(o, "metadata", "deletionTimestamp") != nil {
				t.Fatal("another object was deleted")
			}
			for range 2 { // a second time, as after a lost answer
				if err := c.kube.Delete(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			deleting := func() bool {
				return at1(c.get(replicaSets, rs), "metadata", "deletionTimestamp") != nil
			}
			switch strings.ToLower(policy) {
			case "foreground", "":
				eventually(t, time.Minute, "the ReplicaSet is being deleted", deleting)
				if c.get(deployments, name) == nil {
					t.Error("the Deployment is gone before what it owns")
				}
			case "background":
				eventually(t, time.Minute, "the Deployment is gone", func() bool { return c.get(deployments, name) == nil })
				eventually(t, time.Minute, "the ReplicaSet is being deleted", deleting)
			case "orphan":
				eventually(t, time.Minute, "the Deployment is gone", func() bool { return c.get(deployments, name) == nil })
				if o := c.get(replicaSets, rs); o == nil || deleting() || at1(o, "metadata", "ownerReferences") != nil {
					t.Errorf("what it owned: %v", o)
				}
			}
			c.do("PATCH", objectPath(replicaSets, "v1", c.key(replicaSets, rs)), `{"metadata":{"finalizers":null}}`)
			if policy != "orphan" {
				eventually(t, time.Minute, "both are gone", func() bool { return c.get(deployments, name) == nil && c.get(replicaSets, rs) == nil })
			}
			if err := c.kube.Delete(t.Context(), r); err != nil {
				t.Errorf("one that is gone: %v", err)
			}
		})
	}
	err := c.kube.Delete(t.Context(), Removal{Kind: configMaps, Key: c.key(configMaps, "a"), UID: "x", Propagation: "sideways"})
	wantCode(t, err, "propagation_unknown")
	err = c.kube.Delete(t.Context(), Removal{Kind: configMaps, Key: c.key(configMaps, "a")})
	wantCode(t, err, "uid_missing")
}
