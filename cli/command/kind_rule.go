package command

import (
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// kindsOf are the usual kinds of each group of Kubernetes, as of 1.34.
var kindsOf = map[string][]string{
	"": {"Binding", "ConfigMap", "Endpoints", "Event", "LimitRange", "Namespace", "Node", "PersistentVolume", "PersistentVolumeClaim", "Pod",
		"PodTemplate", "ReplicationController", "ResourceQuota", "Secret", "Service", "ServiceAccount"},
	"admissionregistration.k8s.io": {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
	"apiextensions.k8s.io":         {"CustomResourceDefinition"},
	"apiregistration.k8s.io":       {"APIService"},
	"apps":                         {"ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"},
	"autoscaling":                  {"HorizontalPodAutoscaler"},
	"batch":                        {"CronJob", "Job"},
	"certificates.k8s.io":          {"CertificateSigningRequest"},
	"coordination.k8s.io":          {"Lease"},
	"discovery.k8s.io":             {"EndpointSlice"},
	"networking.k8s.io":            {"Ingress", "IngressClass", "NetworkPolicy"},
	"node.k8s.io":                  {"RuntimeClass"},
	"policy":                       {"PodDisruptionBudget"},
	"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
	"scheduling.k8s.io":            {"PriorityClass"},
	"storage.k8s.io":               {"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"},
}

// parseKind reads "[GROUP/]KIND[:OBJECT]". A kind without a group is that of the
// group that usually has it; "/KIND" is of the core group whatever it is.
func parseKind(text string) (model.KindRule, error) {
	rest, name, _ := strings.Cut(text, ":")
	r := model.KindRule{Kind: rest, Name: name}
	if i := strings.LastIndex(rest, "/"); i >= 0 {
		r.Group, r.Kind = rest[:i], rest[i+1:]
		return r, nil
	}
	if strings.ContainsAny(rest, `*?[\`) || slices.Contains(kindsOf[""], rest) {
		return r, nil
	}
	for group, kinds := range kindsOf {
		if slices.Contains(kinds, rest) {
			r.Group = group
			return r, nil
		}
	}
	return r, fault.New(fault.Invalid, "usage", "the core group has no kind %q, and no usual group has it", rest).
		WithFix("write its group, as in example.com/%s", rest)
}
