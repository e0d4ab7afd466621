package health

import (
	"fmt"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// annotationIgnoreRestartPolicy makes a pod that ends by itself count as one
// that runs on. It has no effect on hooks, which are waited for until they end.
const annotationIgnoreRestartPolicy = "argocd.argoproj.io/ignore-restart-policy"

// annotationHelmHook marks the hooks of charts.
const annotationHelmHook = "helm.sh/hook"

func pod(obj map[string]any) model.HealthFacet {
	policy := str(obj, "spec", "restartPolicy")
	hook := annotation(obj, model.AnnotationHook) != "" || annotation(obj, annotationHelmHook) != ""
	runsOn := policy == "" || policy == "Always" || !hook && annotation(obj, annotationIgnoreRestartPolicy) == "true"
	phase := str(obj, "status", "phase")

	why := ""
	if phase == "Pending" || phase == "Running" {
		why = stuck(obj)
	}
	// A pod that ends by itself is not Degraded while it waits, as for its image:
	// as a hook it would fail its sync, and yet run once the image is there.
	if why != "" && runsOn {
		return degraded("%s", why)
	}
	switch phase {
	case "Pending":
		if why == "" {
			why = pendingBecause(obj)
		}
		return progressing("%s", why)
	case "Succeeded":
		return facet(model.HealthHealthy, str(obj, "status", "message"))
	case "Failed":
		return degraded("%s", failedBecause(obj))
	case "Running":
		if !runsOn {
			if why == "" {
				why = "running until it ends"
			}
			return progressing("%s", why)
		}
		if conditionOf(obj, "Ready").is("True") {
			return healthy()
		}
		for _, c := range objects(obj, "status", "containerStatuses") {
			if ended, _ := at(c, "lastState", "terminated").(map[string]any); ended != nil && !boolean(c, "ready") {
				return degraded("container %s restarted: %s", str(c, "name"), endOf(ended))
			}
		}
		if c := conditionOf(obj, "Ready"); c.message != "" {
			return progressing("%s", c.message)
		}
		return progressing("not ready yet")
	}
	return facet(model.HealthUnknown, str(obj, "status", "message"))
}

// stuck names the containers that wait for something that will not come by
// itself. Argo CD looks at the main containers only; one that initialises and is
// in a crash loop holds up the pod just as much.
func stuck(obj map[string]any) string {
	var out []string
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range objects(obj, "status", field) {
			reason := str(c, "state", "waiting", "reason")
			if !badReason(reason) {
				continue
			}
			s := fmt.Sprintf("container %s: %s", str(c, "name"), reason)
			if m := str(c, "state", "waiting", "message"); m != "" {
				s += ": " + m
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}

func badReason(reason string) bool {
	return strings.HasPrefix(reason, "Err") || strings.HasSuffix(reason, "Error") ||
		strings.HasSuffix(reason, "BackOff") || reason == "InvalidImageName"
}

func pendingBecause(obj map[string]any) string {
	if c := conditionOf(obj, "PodScheduled"); c.is("False") {
		return c.text()
	}
	for _, c := range objects(obj, "status", "initContainerStatuses") {
		if ended, _ := at(c, "state", "terminated").(map[string]any); ended != nil && integer(ended, "exitCode") != 0 {
			return fmt.Sprintf("init container %s: %s", str(c, "name"), endOf(ended))
		}
	}
	return str(obj, "status", "message")
}

func failedBecause(obj map[string]any) string {
	if m := str(obj, "status", "message"); m != "" {
		return m
	}
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range objects(obj, "status", field) {
			if ended, _ := at(c, "state", "terminated").(map[string]any); ended != nil &&
				(integer(ended, "exitCode") != 0 || str(ended, "reason") == "OOMKilled") {
				return fmt.Sprintf("container %s: %s", str(c, "name"), endOf(ended))
			}
		}
	}
	return str(obj, "status", "reason")
}

// endOf says how a container ended.
func endOf(terminated map[string]any) string {
	if m := str(terminated, "message"); m != "" {
		return m
	}
	s := fmt.Sprintf("exit code %d", integer(terminated, "exitCode"))
	if r := str(terminated, "reason"); r != "" && r != "Error" && r != "Completed" {
		s = r + ", " + s
	}
	return s
}
