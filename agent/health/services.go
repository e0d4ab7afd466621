package health

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

func service(obj map[string]any) model.HealthFacet {
	if str(obj, "spec", "type") == "LoadBalancer" && len(list(obj, "status", "loadBalancer", "ingress")) == 0 {
		return progressing("waiting for a load balancer address")
	}
	return healthy()
}

func ingress(obj map[string]any) model.HealthFacet {
	if len(list(obj, "status", "loadBalancer", "ingress")) == 0 {
		return progressing("waiting for an address")
	}
	return healthy()
}

func volumeClaim(obj map[string]any) model.HealthFacet {
	switch phase := str(obj, "status", "phase"); phase {
	case "Bound":
		return healthy()
	case "Pending", "":
		return progressing("waiting for a volume")
	case "Lost":
		return degraded("the volume is lost")
	default:
		return facet(model.HealthUnknown, "phase "+phase)
	}
}

func namespace(obj map[string]any) model.HealthFacet {
	if str(obj, "status", "phase") == "Terminating" {
		return progressing("the namespace is being deleted")
	}
	return healthy()
}

func disruptionBudget(obj map[string]any) model.HealthFacet {
	if !observed(obj) {
		return progressing(waitingForController)
	}
	c := conditionOf(obj, "DisruptionAllowed")
	switch {
	case c.reason == "SyncFailed":
		return degraded("%s", c.text())
	case c.is("False"): // a budget that allows nothing right now does its work
		return facet(model.HealthHealthy, "no disruption is allowed at present")
	}
	return healthy()
}

// autoscaler follows the conditions of autoscaling/v2. v1 keeps them in an
// annotation that this does not read: it is healthy once it has scaled or
// reported.
func autoscaler(obj map[string]any) model.HealthFacet {
	conditions := objects(obj, "status", "conditions")
	for _, c := range conditions {
		reason := str(c, "reason")
		if str(c, "status") == "False" && (strings.HasPrefix(reason, "Failed") || reason == "InvalidSelector" ||
			reason == "AmbiguousSelector" || reason == "InvalidMetricSourceType") {
			return degraded("%s", condition{reason: reason, message: str(c, "message")}.text())
		}
	}
	for _, c := range conditions {
		switch str(c, "type") {
		case "AbleToScale", "ScalingActive", "ScalingLimited":
			if str(c, "status") == "True" {
				return facet(model.HealthHealthy, str(c, "message"))
			}
		}
	}
	if len(conditions) == 0 && integer(obj, "status", "currentReplicas") > 0 {
		return healthy()
	}
	return progressing("waiting to autoscale")
}

func apiService(obj map[string]any) model.HealthFacet {
	c := conditionOf(obj, "Available")
	if c.is("True") {
		return healthy()
	}
	return progressing("%s", c.text())
}

func definition(obj map[string]any) model.HealthFacet {
	if c := conditionOf(obj, "Terminating"); c.is("True") {
		return progressing("the definition is being deleted")
	}
	if c := conditionOf(obj, "NamesAccepted"); c.is("False") {
		return degraded("%s", c.text())
	}
	if c := conditionOf(obj, "Established"); !c.is("True") {
		return progressing("waiting until the definition is established")
	}
	return healthy()
}
