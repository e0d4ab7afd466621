package delivery

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// What the project decides about is what is applied: the objects of a render, out of
// their lists, in whatever version they are written.
func TestM01_TheProjectDecidesAboutWhatWasRendered(t *testing.T) {
	rules := project{rules: policy.Project{Name: "shop", Spec: model.AppProjectSpec{
		SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{{Name: "eu", Namespace: "shop"}},
		NamespaceResourceBlacklist: []model.KindRule{{Group: "", Kind: "Secret"}, {Group: "rbac.authorization.k8s.io", Kind: "*"}, {Group: "batch", Kind: "Job"}},
	}}}
	cluster := model.Cluster{Name: "eu"}
	app := fleet.App{UID: "u", Name: "web", Application: model.Application{Spec: model.ApplicationSpec{Destination: model.Destination{Name: "eu", Namespace: "shop"}}}}
	const fine = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine}\n---\n"
	const list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- "
	for name, c := range map[string]struct{ text, code string }{
		"what is allowed":                   {"", ""},
		"a kind":                            {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", policy.CodeKind},
		"a token of a service account":      {"apiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\nmetadata: {name: s, annotations: {kubernetes.io/service-account.name: default}}\n", policy.CodeKind},
		"another namespace":                 {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}\n", policy.CodeDestination},
		"a cluster kind":                    {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n", policy.CodeKind},
		"a cluster kind with a namespace":   {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x, namespace: shop}\n", policy.CodeKind},
		"a right to escalate":               {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\nrules: [{apiGroups: ['*'], resources: [clusterroles], verbs: [escalate, bind]}]\n", policy.CodeKind},
		"a Namespace":                       {"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n", policy.CodeKind},
		"a binding to cluster-admin":        {"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n", policy.CodeKind},
		"another version of the group":      {"apiVersion: batch/v1beta1\nkind: Job\nmetadata: {name: x}\n", policy.CodeKind},
		"a definition and its object":       {"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boats.acme.io}\nspec: {group: acme.io, scope: Cluster, names: {kind: Boat, plural: boats}}\n---\napiVersion: acme.io/v1\nkind: Boat\nmetadata: {name: x}\n", policy.CodeKind},
		"an object of a kind nobody serves": {"apiVersion: acme.io/v1\nkind: Boat\nmetadata: {name: x, namespace: kube-system}\n", policy.CodeDestination},
		"within a List":                     {list + "{apiVersion: v1, kind: Secret, metadata: {name: s}}\n", policy.CodeKind},
		"within Lists":                      {list + "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: s}}]}\n", policy.CodeKind},
		"within a list of its kind":         {"apiVersion: v1\nkind: SecretList\nitems: [{metadata: {name: s}}]\n", policy.CodeKind},
		"within a List, elsewhere":          {list + "{apiVersion: v1, kind: ConfigMap, metadata: {name: s, namespace: kube-system}}\n", policy.CodeDestination},
		"an application":                    {"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x, namespace: argocd}\nspec: {project: admin}\n", policy.CodeDestination},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := manifest.Parse("a.yaml", []byte(fine+c.text), manifest.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			err = permitObjects(rules, cluster, app, objects, scopeOf([]string{"/ConfigMap", "/Secret", "batch/Job", "rbac.authorization.k8s.io/RoleBinding"}))
			if c.code == "" && err != nil || c.code != "" && !fault.HasCode(err, c.code) {
				t.Errorf("want %q, got %v", c.code, err)
			}
		})
	}
}

// An Application among what another one renders is an object for the cluster as any
// other: the hub makes none of it, in whatever project, and of no generator's either.
func TestM03_WhatIsRenderedMakesNoApplications(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	objects, err := manifest.Parse("a.yaml", []byte("apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x}\nspec: {project: admin}\n---\n"+
		"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: many}\nspec: {generators: [{list: {elements: [{a: b}]}}], template: {spec: {project: admin}}}\n"), manifest.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	w.content["web@c1"] = objects
	start(t, w).RepositoryResolved(repo, heads("c1"), nil)
	w.await("it is delivered", func() bool { return w.desired[uid].Generation == 1 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.apps) != 1 || len(w.desired) != 1 {
		t.Errorf("%d applications, %d are delivered", len(w.apps), len(w.desired))
	}
	// Who delivers has no way to make one.
	for m := range reflect.TypeFor[Store]().Methods() {
		if strings.Contains(m.Name, "Application") && m.Name != "Applications" {
			t.Errorf("delivery can %s", m.Name)
		}
	}
}

// Each of these comes after a revision that is signed, which stays.
func TestM06_WhatIsNotVouchedForIsNotDelivered(t *testing.T) {
	const key = "4AEE18F83AFDEB23"
	for name, c := range map[string]struct {
		state policy.SignatureState
		key   string
		head  Head
		code  string
	}{
		"an unsigned commit":          {policy.SignatureUnsigned, key, Head{Commit: "c2"}, policy.CodeSignatureMissing},
		"an expired key":              {policy.SignatureExpiredKey, key, Head{Commit: "c2"}, policy.CodeSignatureKeyExpired},
		"a key of another project":    {policy.SignatureGood, "1111111111111111", Head{Commit: "c2"}, policy.CodeSignatureUntrusted},
		"a tag that was moved":        {policy.SignatureUnsigned, key, Head{Commit: "c2", Tag: "t2"}, policy.CodeSignatureMissing},
		"a branch that was forced":    {policy.SignatureUnsigned, key, Head{Commit: "c0"}, policy.CodeSignatureMissing},
		"a signature that is not its": {policy.SignatureBad, key, Head{Commit: "c2"}, policy.CodeSignatureBad},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			uid := w.app("web", "web")
			n := &notary{states: map[string]policy.SignatureState{"c1": policy.SignatureGood}, key: key}
			w.verifier = n
			w.projects[0].Spec.SignatureKeys = []model.SignatureKey{{KeyID: key}}
			w.projects = append(w.projects, model.AppProject{Metadata: model.ObjectMeta{Name: "other"}, Spec: model.AppProjectSpec{SignatureKeys: []model.SignatureKey{{KeyID: "1111111111111111"}}}})
			for _, at := range []string{"c0", "c1", "c2"} {
				w.put("web", at, "a", at)
			}
			d := start(t, w)
			d.RepositoryResolved(repo, heads("c1"), nil)
			w.await("the signed commit", func() bool { return w.desired[uid].Revision.Commit == "c1" })
			n.mu.Lock()
			n.key = c.key
			n.states[c.head.Commit], n.states[c.head.Tag] = c.state, c.state
			n.mu.Unlock()
			d.RepositoryResolved(repo, map[fleet.Target]Head{onMain: c.head}, nil)
			w.await("the refusal", func() bool { x := w.condition(uid); return x != nil && x.Code == c.code })
			w.mu.Lock()
			defer w.mu.Unlock()
			if got := w.desired[uid]; got.Revision.Commit != "c1" || got.Generation != 1 {
				t.Errorf("%s is desired, in generation %d", got.Revision.Commit, got.Generation)
			}
		})
	}
}
