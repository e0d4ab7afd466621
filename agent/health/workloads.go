package health

import "github.com/hawser-dev/hawser/shared/model"

const waitingForController = "waiting for the controller to see the latest change"

// replicas wanted; Kubernetes defaults to one.
func replicas(obj map[string]any) int64 {
	if n, ok := integerOK(obj, "spec", "replicas"); ok {
		return n
	}
	return 1
}

func deployment(obj map[string]any) model.HealthFacet {
	if boolean(obj, "spec", "paused") {
		return suspended("the rollout is paused")
	}
	if !observed(obj) {
		return progressing(waitingForController)
	}
	if c := conditionOf(obj, "Progressing"); c.reason == "ProgressDeadlineExceeded" {
		return degraded("the rollout exceeded its progress deadline: %s", c.text())
	}
	want := replicas(obj)
	total := integer(obj, "status", "replicas")
	updated := integer(obj, "status", "updatedReplicas")
	available := integer(obj, "status", "availableReplicas")
	switch {
	case updated < want:
		return progressing("%d of %d replicas are updated", updated, want)
	case total > updated:
		return progressing("%d old replicas are pending termination", total-updated)
	case available < updated:
		return progressing("%d of %d updated replicas are available", available, updated)
	}
	return healthy()
}

func replicaSet(obj map[string]any) model.HealthFacet {
	if !observed(obj) {
		return progressing(waitingForController)
	}
	if c := conditionOf(obj, "ReplicaFailure"); c.is("True") {
		return degraded("%s", c.text())
	}
	if want, have := replicas(obj), integer(obj, "status", "availableReplicas"); have < want {
		return progressing("%d of %d replicas are available", have, want)
	}
	return healthy()
}

func statefulSet(obj map[string]any) model.HealthFacet {
	if integer(obj, "status", "observedGeneration") == 0 || !observed(obj) {
		return progressing(waitingForController)
	}
	want := replicas(obj)
	if ready := integer(obj, "status", "readyReplicas"); ready < want {
		return progressing("%d of %d replicas are ready", ready, want)
	}
	if str(obj, "spec", "updateStrategy", "type") == "OnDelete" {
		return healthy()
	}
	updated := integer(obj, "status", "updatedReplicas")
	if partition := integer(obj, "spec", "updateStrategy", "rollingUpdate", "partition"); partition > 0 {
		if target := want - partition; updated < target {
			return progressing("partitioned rollout: %d of %d replicas are updated", updated, target)
		}
		return healthy()
	}
	if str(obj, "status", "updateRevision") != str(obj, "status", "currentRevision") {
		return progressing("%d of %d replicas are updated", updated, want)
	}
	return healthy()
}

func daemonSet(obj map[string]any) model.HealthFacet {
	if !observed(obj) {
		return progressing(waitingForController)
	}
	if str(obj, "spec", "updateStrategy", "type") == "OnDelete" {
		return healthy()
	}
	want := integer(obj, "status", "desiredNumberScheduled")
	if n := integer(obj, "status", "updatedNumberScheduled"); n < want {
		return progressing("%d of %d pods are updated", n, want)
	}
	if n := integer(obj, "status", "numberAvailable"); n < want {
		return progressing("%d of %d pods are available", n, want)
	}
	return healthy()
}

func job(obj map[string]any) model.HealthFacet {
	if c := conditionOf(obj, "Failed"); c.is("True") {
		return degraded("%s", c.text())
	}
	if c := conditionOf(obj, "Complete"); c.is("True") {
		return facet(model.HealthHealthy, c.message)
	}
	if c := conditionOf(obj, "Suspended"); c.is("True") {
		return suspended("the job is suspended")
	}
	return progressing("the job has not ended yet")
}

func cronJob(obj map[string]any) model.HealthFacet {
	if boolean(obj, "spec", "suspend") {
		return suspended("the schedule is suspended")
	}
	return healthy()
}
