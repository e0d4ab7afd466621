package sync

import "strings"

// removal says since which Kubernetes version a kind is not served any more in
// an API version, and what stands in its place, "" for nothing.
type removal struct{ since, instead string }

// removals are the APIs that Kubernetes has stopped to serve, by API version and
// kind. "*" stands for every kind of the API version that is not listed. Source:
// the Kubernetes deprecated API migration guide.
var removals = map[string]map[string]removal{
	"extensions/v1beta1": {
		"Deployment": {"1.16", "apps/v1"}, "DaemonSet": {"1.16", "apps/v1"}, "ReplicaSet": {"1.16", "apps/v1"},
		"NetworkPolicy": {"1.16", "networking.k8s.io/v1"}, "PodSecurityPolicy": {"1.16", ""}, "Ingress": {"1.22", "networking.k8s.io/v1"},
	},
	"apps/v1beta1":                         {"*": {"1.16", "apps/v1"}},
	"apps/v1beta2":                         {"*": {"1.16", "apps/v1"}},
	"networking.k8s.io/v1beta1":            {"Ingress": {"1.22", "networking.k8s.io/v1"}, "IngressClass": {"1.22", "networking.k8s.io/v1"}},
	"admissionregistration.k8s.io/v1beta1": {"MutatingWebhookConfiguration": {"1.22", "admissionregistration.k8s.io/v1"}, "ValidatingWebhookConfiguration": {"1.22", "admissionregistration.k8s.io/v1"}},
	"apiextensions.k8s.io/v1beta1":         {"*": {"1.22", "apiextensions.k8s.io/v1"}},
	"apiregistration.k8s.io/v1beta1":       {"*": {"1.22", "apiregistration.k8s.io/v1"}},
	"certificates.k8s.io/v1beta1":          {"CertificateSigningRequest": {"1.22", "certificates.k8s.io/v1"}},
	"coordination.k8s.io/v1beta1":          {"Lease": {"1.22", "coordination.k8s.io/v1"}},
	"rbac.authorization.k8s.io/v1beta1":    {"*": {"1.22", "rbac.authorization.k8s.io/v1"}},
	"scheduling.k8s.io/v1beta1":            {"*": {"1.22", "scheduling.k8s.io/v1"}},
	"storage.k8s.io/v1beta1": {
		"CSIDriver": {"1.22", "storage.k8s.io/v1"}, "CSINode": {"1.22", "storage.k8s.io/v1"}, "StorageClass": {"1.22", "storage.k8s.io/v1"},
		"VolumeAttachment": {"1.22", "storage.k8s.io/v1"}, "CSIStorageCapacity": {"1.27", "storage.k8s.io/v1"},
	},
	"batch/v1beta1":                        {"CronJob": {"1.25", "batch/v1"}},
	"discovery.k8s.io/v1beta1":             {"EndpointSlice": {"1.25", "discovery.k8s.io/v1"}},
	"events.k8s.io/v1beta1":                {"Event": {"1.25", "events.k8s.io/v1"}},
	"autoscaling/v2beta1":                  {"*": {"1.25", "autoscaling/v2"}},
	"autoscaling/v2beta2":                  {"*": {"1.26", "autoscaling/v2"}},
	"policy/v1beta1":                       {"PodDisruptionBudget": {"1.25", "policy/v1"}, "PodSecurityPolicy": {"1.25", ""}},
	"node.k8s.io/v1beta1":                  {"RuntimeClass": {"1.25", "node.k8s.io/v1"}},
	"flowcontrol.apiserver.k8s.io/v1beta1": {"*": {"1.26", "flowcontrol.apiserver.k8s.io/v1"}},
	"flowcontrol.apiserver.k8s.io/v1beta2": {"*": {"1.29", "flowcontrol.apiserver.k8s.io/v1"}},
	"flowcontrol.apiserver.k8s.io/v1beta3": {"*": {"1.32", "flowcontrol.apiserver.k8s.io/v1"}},
}

// removed is a sentence about an API that Kubernetes has stopped to serve, "" for
// any other.
func removed(apiVersion, kind string) string {
	r, ok := removals[apiVersion][kind]
	if !ok {
		r, ok = removals[apiVersion]["*"]
	}
	switch {
	case !ok:
		return ""
	case r.instead == "":
		return strings.Join([]string{kind, apiVersion, "was removed in Kubernetes", r.since, "and has no successor"}, " ")
	}
	return kind + " " + apiVersion + " was removed in Kubernetes " + r.since + "; use " + r.instead
}
