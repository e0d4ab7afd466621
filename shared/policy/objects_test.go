package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestKinds(t *testing.T) {
	role := model.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "x"}
	ns := func(name string) model.ObjectKey { return model.ObjectKey{Kind: "Namespace", Name: name} }
	deployment := model.ObjectKey{Group: "apps", Kind: "Deployment", Name: "web"}
	secret := model.ObjectKey{Kind: "Secret", Name: "s"}
	type rules = []model.KindRule
	for _, c := range []struct {
		name       string
		spec       model.AppProjectSpec
		key        model.ObjectKey
		namespaced bool
		want       bool
	}{
		{"cluster kinds are denied by default", model.AppProjectSpec{}, role, false, false},
		{"an empty whitelist denies cluster kinds", model.AppProjectSpec{ClusterResourceWhitelist: rules{}}, role, false, false},
		{"whitelisted", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "*", Kind: "*"}}}, role, false, true},
		{"whitelisted by group glob", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "rbac.*", Kind: "ClusterRole*"}}}, role, false, true},
		{"core group is empty", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "", Kind: "Namespace"}}}, ns("a"), false, true},
		{"core group does not mean others", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "", Kind: "*"}}}, role, false, false},
		{"blacklist beats whitelist", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "*", Kind: "*"}}, ClusterResourceBlacklist: rules{{Group: "rbac.authorization.k8s.io", Kind: "*"}}}, role, false, false},
		{"name in the whitelist", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "", Kind: "Namespace", Name: "team-*"}}}, ns("team-a"), false, true},
		{"name in the whitelist, other", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "", Kind: "Namespace", Name: "team-*"}}}, ns("kube-system"), false, false},
		{"name in the blacklist", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "*", Kind: "*"}}, ClusterResourceBlacklist: rules{{Group: "", Kind: "Namespace", Name: "kube-*"}}}, ns("kube-system"), false, false},
		{"name in the blacklist, other", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "*", Kind: "*"}}, ClusterResourceBlacklist: rules{{Group: "", Kind: "Namespace", Name: "kube-*"}}}, ns("a"), false, true},
		{"kinds are case-sensitive", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "", Kind: "namespace"}}}, ns("a"), false, false},
		{"invalid glob allows nothing", model.AppProjectSpec{ClusterResourceWhitelist: rules{{Group: "*", Kind: "[N"}}}, ns("a"), false, false},

		{"namespaced kinds are allowed by default", model.AppProjectSpec{}, deployment, true, true},
		{"an empty whitelist denies namespaced kinds", model.AppProjectSpec{NamespaceResourceWhitelist: rules{}}, deployment, true, false},
		{"namespaced whitelist", model.AppProjectSpec{NamespaceResourceWhitelist: rules{{Group: "apps", Kind: "Deployment"}}}, deployment, true, true},
		{"namespaced whitelist, other", model.AppProjectSpec{NamespaceResourceWhitelist: rules{{Group: "apps", Kind: "Deployment"}}}, secret, true, false},
		{"namespaced blacklist", model.AppProjectSpec{NamespaceResourceBlacklist: rules{{Group: "", Kind: "Secret"}}}, secret, true, false},
		{"namespaced blacklist, other", model.AppProjectSpec{NamespaceResourceBlacklist: rules{{Group: "", Kind: "Secret"}}}, deployment, true, true},
		{"namespaced blacklist beats whitelist", model.AppProjectSpec{NamespaceResourceWhitelist: rules{{Group: "*", Kind: "*"}}, NamespaceResourceBlacklist: rules{{Group: "", Kind: "Sec*"}}}, secret, true, false},
		{"cluster lists do not concern namespaced kinds", model.AppProjectSpec{ClusterResourceBlacklist: rules{{Group: "*", Kind: "*"}}}, deployment, true, true},
		{"namespace lists do not concern cluster kinds", model.AppProjectSpec{NamespaceResourceWhitelist: rules{{Group: "*", Kind: "*"}}}, role, false, false},
		{"name in the namespaced blacklist", model.AppProjectSpec{NamespaceResourceBlacklist: rules{{Group: "", Kind: "Secret", Name: secret.Name[:1] + "*"}}}, secret, true, false},
		{"name in the namespaced blacklist, other", model.AppProjectSpec{NamespaceResourceBlacklist: rules{{Group: "", Kind: "Secret", Name: "other"}}}, secret, true, true},
		{"name in the namespaced whitelist", model.AppProjectSpec{NamespaceResourceWhitelist: rules{{Group: "", Kind: "Secret", Name: secret.Name}}}, secret, true, true},
		{"name in the namespaced whitelist, other", model.AppProjectSpec{NamespaceResourceWhitelist: rules{{Group: "", Kind: "Secret", Name: "other"}}}, secret, true, false},
		{"a name that the cluster makes may be one that is denied", model.AppProjectSpec{NamespaceResourceBlacklist: rules{{Group: "batch", Kind: "Job", Name: "root-*"}}}, model.ObjectKey{Group: "batch", Kind: "Job", Namespace: "n"}, true, false},
		{"a name that the cluster makes is none that is allowed", model.AppProjectSpec{NamespaceResourceWhitelist: rules{{Group: "batch", Kind: "Job", Name: "our-*"}}}, model.ObjectKey{Group: "batch", Kind: "Job", Namespace: "n"}, true, false},
		{"invalid glob denies", model.AppProjectSpec{NamespaceResourceBlacklist: rules{{Group: "", Kind: "[S"}}}, secret, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Destinations = anywhere
			d := CheckObjects(Project{Name: "shop", Spec: c.spec}, Destination{Name: "c", Namespace: "n"},
				[]ObjectFacts{{Key: c.key, Namespaced: c.namespaced, Origin: "rbac.yaml#1"}})
			if d.Allowed != c.want {
				t.Fatalf("got %+v", d)
			}
			if !c.want {
				r := onlyRefusal(t, d, CodeKind)
				if r.Object == nil || *r.Object != c.key || r.Origin != "rbac.yaml#1" {
					t.Errorf("object missing: %+v", r)
				}
			}
		})
	}
}

func TestKindMessage(t *testing.T) {
	p := Project{Name: "shop", Spec: model.AppProjectSpec{Destinations: anywhere, ClusterResourceWhitelist: []model.KindRule{{Kind: "Namespace"}, {Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}}}}
	d := CheckObjects(p, Destination{Name: "c"}, []ObjectFacts{{Key: model.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "x"}, Origin: "rbac.yaml"}})
	r := onlyRefusal(t, d, CodeKind)
	if want := `project "shop" does not allow rbac.authorization.k8s.io/ClusterRole; object "x" in rbac.yaml`; r.Message != want {
		t.Errorf("got %q", r.Message)
	}
	if want := "clusterResourceWhitelist #2 rbac.authorization.k8s.io/ClusterRoleBinding"; r.NearestRule != want {
		t.Errorf("got %q", r.NearestRule)
	}
}

func TestObjectNamespaces(t *testing.T) {
	p := Project{Name: "shop", Spec: model.AppProjectSpec{
		Destinations: []model.ProjectDestination{
			{Name: "eu", Namespace: "shop-*"}, {Name: "eu", Namespace: "!shop-secret"}},
		ClusterResourceWhitelist: []model.KindRule{{Kind: "Namespace"}},
	}}
	for _, c := range []struct {
		name       string
		dest       Destination
		namespace  string
		namespaced bool
		want       bool
	}{
		{"destination namespace", Destination{Name: "eu", Namespace: "shop-a"}, "", true, true},
		{"own allowed namespace", Destination{Name: "eu", Namespace: "shop-a"}, "shop-b", true, true},
		{"denied namespace", Destination{Name: "eu", Namespace: "shop-a"}, "shop-secret", true, false},
		{"other cluster", Destination{Name: "us", Namespace: "shop-a"}, "", true, false},
		{"cluster-scoped objects have none", Destination{Name: "eu", Namespace: "kube-system"}, "", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := model.ObjectKey{Kind: "ConfigMap", Namespace: c.namespace, Name: "cfg"}
			if !c.namespaced {
				key = model.ObjectKey{Kind: "Namespace", Name: "cfg"}
			}
			d := CheckObjects(p, c.dest, []ObjectFacts{{Key: key, Namespaced: c.namespaced, Origin: "a.yaml#1"}})
			if d.Allowed != c.want {
				t.Fatalf("got %+v", d)
			}
			if !c.want {
				r := onlyRefusal(t, d, CodeDestination)
				if r.Object == nil || r.Origin != "a.yaml#1" || !strings.Contains(r.Message, `object "cfg" in a.yaml#1`) {
					t.Errorf("got %+v", r)
				}
			}
		})
	}
	strict := Project{Name: "shop", Spec: model.AppProjectSpec{Destinations: []model.ProjectDestination{{Name: "eu", Namespace: "shop"}}}}
	d := CheckObjects(strict, Destination{Name: "eu", Namespace: "shop"}, []ObjectFacts{
		{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "kube-system", Name: "a"}, Namespaced: true}})
	onlyRefusal(t, d, CodeDestination)
}

func TestUnknownScope(t *testing.T) {
	custom := ObjectFacts{Key: model.ObjectKey{Group: "example.org", Kind: "Thing", Namespace: "kube-system", Name: "x"}, ScopeUnknown: true}
	for _, c := range []struct {
		name string
		spec model.AppProjectSpec
		want bool
	}{
		{"allowed if it is namespaced", model.AppProjectSpec{}, true},
		{"allowed if it is cluster-scoped", model.AppProjectSpec{NamespaceResourceWhitelist: []model.KindRule{}, ClusterResourceWhitelist: []model.KindRule{{Group: "*", Kind: "*"}}}, true},
		{"allowed neither way", model.AppProjectSpec{NamespaceResourceWhitelist: []model.KindRule{}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Destinations = []model.ProjectDestination{{Name: "eu", Namespace: "shop"}}
			d := CheckObjects(Project{Name: "p", Spec: c.spec}, Destination{Name: "eu", Namespace: "shop"}, []ObjectFacts{custom})
			if d.Allowed != c.want {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestManyRefusalsAreCounted(t *testing.T) {
	var objs []ObjectFacts
	for i := range 500 {
		objs = append(objs, ObjectFacts{Key: model.ObjectKey{Kind: "Node", Name: fmt.Sprint(i)}})
	}
	d := CheckObjects(Project{Name: "p", Spec: model.AppProjectSpec{Destinations: anywhere}}, Destination{Name: "c"}, objs)
	if d.Allowed || d.Refused != 500 || len(d.Refusals) != maxRefusals {
		t.Errorf("allowed %v, refused %d, listed %d", d.Allowed, d.Refused, len(d.Refusals))
	}
	if d.Checks[0].Message != "500 of 500 objects are of kinds that the project does not allow" {
		t.Errorf("got %q", d.Checks[0].Message)
	}
}

func TestNoObjectsAreAllowed(t *testing.T) {
	if d := CheckObjects(Project{}, Destination{}, nil); !d.Allowed {
		t.Errorf("got %+v", d)
	}
}

func BenchmarkCheckObjects(b *testing.B) {
	var objs []ObjectFacts
	for i := range 2000 {
		objs = append(objs, ObjectFacts{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: fmt.Sprint("ns-", i%20), Name: fmt.Sprint(i)}, Namespaced: true})
	}
	p := Project{Name: "p", Spec: model.DefaultProjectSpec()}
	for b.Loop() {
		if !CheckObjects(p, Destination{Name: "c"}, objs).Allowed {
			b.Fatal("refused")
		}
	}
}
