package health

import (
	"fmt"
	"slices"

	"github.com/hawser-dev/hawser/shared/model"
)

// Facts returns what people like to see beside an object: the images that it
// runs, sorted, and short facts such as how many of its pods are ready.
func Facts(gk model.GroupKind, obj map[string]any) (images []string, info []model.Info) {
	var spec map[string]any
	switch gk {
	case model.GroupKind{Kind: "Pod"}:
		spec, _ = at(obj, "spec").(map[string]any)
		info = podFacts(obj)
	case model.GroupKind{Group: "apps", Kind: "Deployment"}, model.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		info = readyFact(integer(obj, "status", "readyReplicas"), replicas(obj))
	case model.GroupKind{Group: "apps", Kind: "ReplicaSet"}:
		info = readyFact(integer(obj, "status", "readyReplicas"), replicas(obj))
		if r := annotation(obj, "deployment.kubernetes.io/revision"); r != "" {
			info = append(info, model.Info{Name: "Revision", Value: r})
		}
	case model.GroupKind{Group: "apps", Kind: "DaemonSet"}:
		info = readyFact(integer(obj, "status", "numberReady"), integer(obj, "status", "desiredNumberScheduled"))
	case model.GroupKind{Group: "batch", Kind: "Job"}:
		want, ok := integerOK(obj, "spec", "completions")
		if !ok {
			want = 1
		}
		info = []model.Info{{Name: "Completions", Value: fmt.Sprintf("%d/%d", integer(obj, "status", "succeeded"), want)}}
	case model.GroupKind{Group: "batch", Kind: "CronJob"}:
		spec, _ = at(obj, "spec", "jobTemplate", "spec", "template", "spec").(map[string]any)
	default:
		return nil, nil
	}
	if spec == nil {
		spec, _ = at(obj, "spec", "template", "spec").(map[string]any)
	}
	return imagesOf(spec), info
}

func annotation(obj map[string]any, name string) string {
	m, _ := at(obj, "metadata", "annotations").(map[string]any)
	s, _ := m[name].(string)
	return s
}

func readyFact(have, want int64) []model.Info {
	return []model.Info{{Name: "Ready", Value: fmt.Sprintf("%d/%d", have, want)}}
}

func imagesOf(spec map[string]any) (out []string) {
	for _, field := range []string{"initContainers", "containers"} {
		for _, c := range objects(spec, field) {
			if image := str(c, "image"); image != "" {
				out = append(out, image)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func podFacts(obj map[string]any) []model.Info {
	have, restarts := int64(0), int64(0)
	reason := str(obj, "status", "reason")
	for _, c := range objects(obj, "status", "containerStatuses") {
		if boolean(c, "ready") {
			have++
		}
		restarts += integer(c, "restartCount")
		if r := str(c, "state", "waiting", "reason"); r != "" {
			reason = r
		}
	}
	if reason == "" {
		reason = str(obj, "status", "phase")
	}
	if str(obj, "metadata", "deletionTimestamp") != "" {
		reason = "Terminating"
	}
	info := readyFact(have, int64(len(list(obj, "spec", "containers"))))
	if reason != "" {
		info = append(info, model.Info{Name: "Status", Value: reason})
	}
	if restarts > 0 {
		info = append(info, model.Info{Name: "Restarts", Value: fmt.Sprint(restarts)})
	}
	return info
}
