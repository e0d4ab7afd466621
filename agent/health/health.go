package health

import (
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/hawser-dev/hawser/shared/model"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxMessage bounds messages: they are repeated in every report.
const maxMessage = 300

// check judges an object of one kind that is not being deleted.
type check func(obj map[string]any) model.HealthFacet

// checks are the kinds judged here. A kind is looked up by group and kind only:
// its versions share their meaning.
var checks = map[model.GroupKind]check{
	{Kind: "Pod"}:                                                     pod,
	{Group: "apps", Kind: "Deployment"}:                               deployment,
	{Group: "apps", Kind: "ReplicaSet"}:                               replicaSet,
	{Group: "apps", Kind: "StatefulSet"}:                              statefulSet,
	{Group: "apps", Kind: "DaemonSet"}:                                daemonSet,
	{Group: "batch", Kind: "Job"}:                                     job,
	{Group: "batch", Kind: "CronJob"}:                                 cronJob,
	{Kind: "Service"}:                                                 service,
	{Kind: "ReplicationController"}:                                   replicaSet,
	{Kind: "PersistentVolume"}:                                        volume,
	{Kind: "PersistentVolumeClaim"}:                                   volumeClaim,
	{Kind: "Namespace"}:                                               namespace,
	{Group: "policy", Kind: "PodDisruptionBudget"}:                    disruptionBudget,
	{Group: "networking.k8s.io", Kind: "Ingress"}:                     ingress,
	{Group: "extensions", Kind: "Ingress"}:                            ingress,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:           autoscaler,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             apiService,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: definition,
}

// inert are kinds that do nothing by themselves: they are healthy when they
// exist. Listing them saves asking kstatus, which says the same.
var inert = map[model.GroupKind]bool{
	{Kind: "ConfigMap"}:      true,
	{Kind: "Secret"}:         true,
	{Kind: "ServiceAccount"}: true,
	{Kind: "LimitRange"}:     true,
	{Kind: "ResourceQuota"}:  true,
	{Kind: "Endpoints"}:      true,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:               true,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: true,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:              true,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:               true,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:              true,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                  true,
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:               true,
	{Group: "coordination.k8s.io", Kind: "Lease"}:                    true,
	{Group: "apps", Kind: "ControllerRevision"}:                      true,
}

// Of judges one live object, given as decoded JSON; it is not changed. Since is
// not set: only who remembers the last judgement knows it.
func Of(gk model.GroupKind, obj map[string]any) model.HealthFacet {
	if deleting(obj) {
		return progressing("%s", cut(pendingDeletion(obj)))
	}
	var f model.HealthFacet
	if c := checkOf(gk); c != nil {
		f = c(obj)
	} else {
		f = generic(obj)
	}
	f.Message = cut(f.Message)
	return f
}

// pendingDeletion names what the deletion waits for.
func pendingDeletion(obj map[string]any) string {
	var names []string
	for _, v := range list(obj, "metadata", "finalizers") {
		if s, is := v.(string); is {
			names = append(names, s)
		}
	}
	if len(names) == 0 {
		return "pending deletion"
	}
	return "pending deletion, blocked by finalizers " + strings.Join(names, ", ")
}

// generic judges by the conventions of status and conditions, as kstatus
// describes them.
func generic(obj map[string]any) model.HealthFacet {
	if f, said := composite(obj); said {
		return f
	}
	r, err := status.Compute(&unstructured.Unstructured{Object: obj})
	if err != nil {
		return facet(model.HealthUnknown, "the status of the object does not follow the conventions")
	}
	switch r.Status {
	case status.CurrentStatus:
		return healthy()
	case status.InProgressStatus, status.TerminatingStatus:
		return progressing("%s", r.Message)
	case status.FailedStatus:
		return degraded("%s", r.Message)
	case status.NotFoundStatus:
		return facet(model.HealthMissing, r.Message)
	}
	return facet(model.HealthUnknown, r.Message)
}

func facet(h model.Health, message string) model.HealthFacet {
	return model.HealthFacet{Status: h, Message: message}
}

func healthy() model.HealthFacet { return facet(model.HealthHealthy, "") }

func progressing(format string, args ...any) model.HealthFacet {
	return facet(model.HealthProgressing, fmt.Sprintf(format, args...))
}

func degraded(format string, args ...any) model.HealthFacet {
	return facet(model.HealthDegraded, fmt.Sprintf(format, args...))
}

func suspendedBecause(message string) model.HealthFacet { return facet(model.HealthSuspended, message) }

func cut(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}
