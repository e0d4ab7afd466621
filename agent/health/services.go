package health

import (
	"github.com/hawser-dev/hawser/shared/model"
	utiljson "k8s.io/apimachinery/pkg/util/json"
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
	case "Pending", "": // before the API server sets it
		return progressing("waiting for a volume")
	case "Lost":
		return degraded("the volume is lost")
	default:
		return facet(model.HealthUnknown, "phase "+phase)
	}
}

// volume: one that is released waits to be reclaimed by people.
func volume(obj map[string]any) model.HealthFacet {
	switch phase := str(obj, "status", "phase"); phase {
	case "Available", "Bound", "Released":
		return healthy()
	case "Pending", "":
		return progressing("the volume is not available yet")
	case "Failed":
		return degraded("%s", explained(obj, "the volume could not be reclaimed"))
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
	cs := conditions(obj)
	for _, c := range cs {
		if c.is("False") && c.reason != "InsufficientPods" {
			return degraded("%s", c.text())
		}
	}
	for _, c := range cs {
		if c.is("False") { // a budget that allows nothing right now does its work
			return facet(model.HealthHealthy, "no disruption is allowed at present")
		}
	}
	if len(cs) == 0 {
		return progressing(waitingForStatus)
	}
	return healthy()
}

// annotationScalerConditions is where autoscaling/v1 keeps conditions.
const annotationScalerConditions = "autoscaling.alpha.kubernetes.io/conditions"

// autoscaler takes the first condition that says something, in the order in which
// the controller lists them: AbleToScale first. That it has no metrics yet, as
// while its target starts, does not fail a sync; the message says so.
func autoscaler(obj map[string]any) model.HealthFacet {
	cs := conditions(obj)
	if text := annotation(obj, annotationScalerConditions); len(cs) == 0 && text != "" {
		var list []any
		if utiljson.Unmarshal([]byte(text), &list) == nil {
			cs = conditionsAt(obj, map[string]any{"c": list}, "c")
		}
	}
	for i, c := range cs {
		switch {
		case scalerFails[c.typ+" "+c.reason]:
			return degraded("%s", c.text())
		case c.is("True") && (c.typ == "AbleToScale" || c.typ == "ScalingLimited"):
			for _, later := range cs[i:] {
				if later.typ == "ScalingActive" && later.is("False") {
					c = later
				}
			}
			return facet(model.HealthHealthy, c.message)
		}
	}
	return progressing("waiting to autoscale")
}

// scalerFails are the reasons of conditions that are a failure when they come
// first, https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/podautoscaler/horizontal.go.
var scalerFails = map[string]bool{
	"AbleToScale FailedGetScale":            true,
	"AbleToScale FailedUpdateScale":         true,
	"ScalingActive FailedGetResourceMetric": true,
	"ScalingActive InvalidSelector":         true,
	"ScalingActive AmbiguousSelector":       true,
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
	if c := conditionOf(obj, "NonStructuralSchema"); c.is("True") {
		return degraded("%s", c.text())
	}
	switch c := conditionOf(obj, "Established"); {
	case c.is("True"):
		return healthy()
	case c.status != "" && c.reason != "Installing":
		return degraded("%s", c.text())
	}
	return progressing("waiting until the definition is established")
}
