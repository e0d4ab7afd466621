package manifest

import (
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// kindOrder is Argo CD's order, with custom resource definitions moved up: what
// others live in or are instances of comes first.
var kindOrder = []string{
	"Namespace",
	"CustomResourceDefinition",
	"NetworkPolicy",
	"ResourceQuota",
	"LimitRange",
	"PodSecurityPolicy",
	"PodDisruptionBudget",
	"ServiceAccount",
	"Secret",
	"ConfigMap",
	"StorageClass",
	"PersistentVolume",
	"PersistentVolumeClaim",
	"ClusterRole",
	"ClusterRoleBinding",
	"Role",
	"RoleBinding",
	"Service",
	"DaemonSet",
	"Pod",
	"ReplicationController",
	"ReplicaSet",
	"Deployment",
	"HorizontalPodAutoscaler",
	"StatefulSet",
	"Job",
	"CronJob",
	"IngressClass",
	"Ingress",
	"APIService",
}

var kindRanks = func() map[string]int {
	m := make(map[string]int, len(kindOrder))
	for i, k := range kindOrder {
		m[k] = i
	}
	return m
}()

// KindRank is the place of a kind in the order of writing; kinds that it does
// not name share the last place. Names of built-in kinds count only in built-in
// groups, so that a Service of another API is a custom resource.
func KindRank(gk model.GroupKind) int {
	if rank, ok := kindRanks[gk.Kind]; ok && isBuiltIn(gk.Group) {
		return rank
	}
	return len(kindOrder)
}

// isBuiltIn: groups of custom resources must have a dot, those of Kubernetes
// have none or end in k8s.io.
func isBuiltIn(group string) bool {
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}

// SortForApply orders objects by kind rank, group, kind, namespace and name.
// The sort is stable. Waves and phases are not its business.
func SortForApply(objs []Object) {
	slices.SortStableFunc(objs, func(a, b Object) int { return CompareForApply(a.Key, b.Key) })
}

// CompareForApply is the order of SortForApply for two keys.
func CompareForApply(a, b model.ObjectKey) int {
	if c := KindRank(a.GroupKind()) - KindRank(b.GroupKind()); c != 0 {
		return c
	}
	if c := strings.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	if c := strings.Compare(a.Group, b.Group); c != 0 {
		return c
	}
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}
