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
		return suspendedBecause("the rollout is paused")
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
	if at(obj, "spec", "updateStrategy", "rollingUpdate") != nil { // as the API server defaults it
		if target := want - integer(obj, "spec", "updateStrategy", "rollingUpdate", "partition"); updated < target {
			return progressing("%d of %d replicas are updated", updated, target)
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

// job follows https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions.
// FailureTarget and SuccessCriteriaMet say how a Job will end, while its pods
// still terminate. Argo CD looks at whether a condition is listed, not at its
// status, and so calls a resumed Job, with Suspended=False, healthy.
func job(obj map[string]any) model.HealthFacet {
	if c := conditionOf(obj, "Failed"); c.is("True") {
		return degraded("%s", c.text())
	}
	if c := conditionOf(obj, "Complete"); c.is("True") {
		return facet(model.HealthHealthy, c.message)
	}
	if c := conditionOf(obj, "FailureTarget"); c.is("True") {
		return progressing("the job fails: %s", c.text())
	}
	if c := conditionOf(obj, "SuccessCriteriaMet"); c.is("True") {
		return progressing("the job succeeds: its last pods are ending")
	}
	if c := conditionOf(obj, "Suspended"); c.is("True") {
		return suspendedBecause("the job is suspended")
	}
	return progressing("the job has not ended yet")
}

// cronJob: a schedule that is suspended does what it was told; as Suspended it
// would hold up waves and those who wait for the application, as in Argo CD
// before version 3.2. While a job runs, how the last one ended is not known.
func cronJob(obj map[string]any) model.HealthFacet {
	if boolean(obj, "spec", "suspend") {
		return facet(model.HealthHealthy, "the schedule is suspended")
	}
	if at(obj, "status") == nil {
		return progressing(waitingForStatus)
	}
	scheduled := str(obj, "status", "lastScheduleTime")
	succeeded := str(obj, "status", "lastSuccessfulTime")
	switch {
	case scheduled == "":
		return facet(model.HealthHealthy, "no job has been scheduled yet")
	case len(list(obj, "status", "active")) > 0:
		return healthy()
	case succeeded == "":
		return facet(model.HealthHealthy, "no job has succeeded yet")
	case succeeded < scheduled: // both in UTC, as Kubernetes writes times
		return degraded("the last job did not succeed")
	}
	return healthy()
}
