package fleetsim

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// served is what a cluster serves: kinds that it can do justice to without the
// controllers of a real one, but for Deployments, which have one (deployment.go).
var served = func() map[model.GroupKind]live.Kind {
	m := map[model.GroupKind]live.Kind{}
	for _, k := range []struct {
		group, kind, resource string
		clusterScoped         bool
	}{
		{"", "ConfigMap", "configmaps", false},
		{"", "Namespace", "namespaces", true},
		{"", "Secret", "secrets", false},
		{"", "Service", "services", false},
		{"", "ServiceAccount", "serviceaccounts", false},
		{"apps", "Deployment", "deployments", false},
		{"networking.k8s.io", "NetworkPolicy", "networkpolicies", false},
		{"rbac.authorization.k8s.io", "ClusterRole", "clusterroles", true},
		{"rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", true},
		{"rbac.authorization.k8s.io", "Role", "roles", false},
		{"rbac.authorization.k8s.io", "RoleBinding", "rolebindings", false},
	} {
		gk := model.GroupKind{Group: k.group, Kind: k.kind}
		m[gk] = live.Kind{GroupKind: gk, Version: "v1", Versions: []string{"v1"}, Resource: k.resource, Namespaced: !k.clusterScoped, Watchable: true}
	}
	return m
}()

var (
	kindNamespace  = model.GroupKind{Kind: "Namespace"}
	kindDeployment = model.GroupKind{Group: "apps", Kind: "Deployment"}
)

func kindOf(gk model.GroupKind) (live.Kind, error) {
	k, ok := served[gk]
	if !ok {
		return live.Kind{}, fault.New(fault.Unprocessable, "kind_unknown", "the cluster does not serve kind %s", gk)
	}
	return k, nil
}

// resources are the kinds as a cluster report names them.
var resources, namespacedKinds = func() (all, namespaced []string) {
	for gk, k := range served {
		all = append(all, strings.TrimPrefix(gk.Group+"/v1/"+gk.Kind, "/"))
		if k.Namespaced {
			namespaced = append(namespaced, gk.String())
		}
	}
	slices.Sort(all)
	slices.Sort(namespaced)
	return all, namespaced
}()

// fieldManagers merge as the API server does, by the same code, but know no
// schemas: a list is one value, and belongs to whoever wrote it last.
var fieldManagers = func() map[model.GroupKind]*managedfields.FieldManager {
	m := map[model.GroupKind]*managedfields.FieldManager{}
	for gk := range served {
		gv := schema.GroupVersion{Group: gk.Group, Version: "v1"}
		fm, err := managedfields.NewDefaultCRDFieldManager(managedfields.NewDeducedTypeConverter(), asIs{}, asIs{}, asIs{}, gv.WithKind(gk.Kind), gv, "", nil)
		if err != nil {
			panic(err) // nothing of it depends on the outside
		}
		m[gk] = fm
	}
	return m
}()

// asIs is what a FieldManager wants to know of a scheme that has one version of
// everything and no defaults.
type asIs struct{}

func (asIs) Convert(in, out, _ any) error { return errOneVersion }
func (asIs) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}
func (asIs) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}
func (asIs) Default(runtime.Object) {}
func (asIs) New(gvk schema.GroupVersionKind) (runtime.Object, error) {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(gvk)
	return u, nil
}

var errOneVersion = &meta.NoKindMatchError{}
