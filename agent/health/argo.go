package health

import "github.com/hawser-dev/hawser/shared/model"

// The Argo projects: Argo CD, Rollouts, Workflows, Events and GitOps Promoter.
var argo = map[string]family{
	"argoproj.io": {
		"Rollout":  rollout,
		"Workflow": judge(word("status.phase", words{"Pending": inProgress, "Running": inProgress, "Succeeded": ok, "Failed": failed, "Error": failed, "*": undefined})),
		// Workflows of the past are not the schedule's health.
		"CronWorkflow": judge(suspended("spec.suspend"), when("SpecError", yes).is(failed), when("SubmissionError", yes).is(failed), otherwise(ok, "")),
		"AnalysisRun": judge(word("status.phase", words{"Pending": inProgress, "Running": inProgress, "Successful": ok,
			"Failed": failed, "Error": failed, "Inconclusive": undefined})),
		"Experiment": judge(word("status.phase", words{"Pending": inProgress, "Running": inProgress, "Successful": ok,
			"Failed": failed, "Error": failed, "Inconclusive": undefined})),
		// The health that its own controller found. Aggregate knows that Missing and
		// Unknown of a child do not make its parent so.
		"Application": judge(word("status.health.status", words{"Healthy": ok, "Suspended": paused, "Progressing": inProgress,
			"Degraded": failed, "Missing": model.HealthMissing, "Unknown": undefined, "*": undefined})),
		"ApplicationSet": judge(when("ErrorOccurred", yes).is(failed), when("ResourcesUpToDate", no).is(failed),
			when("RolloutProgressing", yes).is(inProgress), when("ResourcesUpToDate", yes).is(ok)),
		"AppProject":              exists,
		"AnalysisTemplate":        exists,
		"ClusterAnalysisTemplate": exists,
		"WorkflowTemplate":        exists,
		"ClusterWorkflowTemplate": exists,
		"EventBus":                argoEvents,
		"EventSource":             argoEvents,
		"Sensor":                  argoEvents,
	},
	"promoter.argoproj.io": {
		"PromotionStrategy":       judge(promoterReady, promotion),
		"ChangeTransferPolicy":    judge(promoterReady, promotion),
		"PullRequest":             judge(promoterReady, when("Reconciled", no).is(failed), when("Ready", yes).is(ok), when("Reconciled", yes).is(ok)),
		"CommitStatus":            judge(promoterReady, ready),
		"GitRepository":           judge(promoterReady, ready),
		"ScmProvider":             judge(promoterReady, ready),
		"ClusterScmProvider":      judge(promoterReady, ready),
		"ControllerConfiguration": exists,
		"ArgoCDCommitStatus": judge(promoterReady, only(has("status"), only(not(notEmpty("status.applicationsSelected")),
			when("Ready", yes).is(failed)), ready)),
		"GitCommitStatus":        judge(promoterReady, promoterGates),
		"TimedCommitStatus":      judge(promoterReady, promoterGates),
		"WebRequestCommitStatus": judge(promoterReady, promoterGates),
	},
}

var argoEvents = judge(stale, anyCondition(no, failed), when("Deployed", yes).is(ok))

// rollout follows https://argo-rollouts.readthedocs.io: since version 1.0 the
// status has a phase; before, replicas and pod hashes had to be compared.
func rollout(obj map[string]any) model.HealthFacet {
	if at(obj, "status") == nil || rolloutBehind(obj) {
		return progressing(waitingForController)
	}
	if phase := str(obj, "status", "phase"); phase != "" {
		f, known := word("status.phase", words{"Healthy": ok, "Degraded": failed, "Progressing": inProgress, "Paused": paused})(obj)
		if !known {
			return facet(model.HealthUnknown, "phase "+phase)
		}
		if f.Status == ok {
			f.Message = ""
		}
		return f
	}
	for _, c := range conditions(obj) {
		if c.typ == "InvalidSpec" || c.typ == "Progressing" && (c.reason == "RolloutAborted" || c.reason == "ProgressDeadlineExceeded") {
			return degraded("%s", c.text())
		}
	}
	if boolean(obj, "spec", "paused") || len(list(obj, "status", "pauseConditions")) > 0 {
		return suspendedBecause("the rollout is paused")
	}
	current := str(obj, "status", "currentPodHash")
	if current == "" {
		return progressing(waitingForController)
	}
	want, updated := replicas(obj), integer(obj, "status", "updatedReplicas")
	if updated < want {
		return progressing("%d of %d replicas are updated", updated, want)
	}
	if n := integer(obj, "status", "availableReplicas"); n < updated {
		return progressing("%d of %d updated replicas are available", n, updated)
	}
	stable := str(obj, "status", "stableRS")
	if stable == "" {
		stable = str(obj, "status", "canary", "stableRS")
	}
	switch {
	case at(obj, "spec", "strategy", "blueGreen") != nil:
		if str(obj, "status", "blueGreen", "activeSelector") != current {
			return progressing("the active service is not switched over yet")
		}
		if stable != "" && stable != current {
			return progressing("waiting for analysis to end")
		}
	case at(obj, "spec", "strategy", "canary") != nil:
		if n := integer(obj, "status", "replicas"); n > updated {
			return progressing("%d old replicas are pending termination", n-updated)
		}
		if stable != current {
			return progressing("the steps of the rollout are not done yet")
		}
	}
	return healthy()
}

// rolloutBehind: the generation seen is a number, mostly in a string. Before version
// 0.10 it was a hash, which says nothing.
func rolloutBehind(obj map[string]any) bool {
	generation := integer(obj, "metadata", "generation")
	if seen, is := number(at(obj, "status", "observedGeneration")); is && seen < generation {
		return true
	}
	if at(obj, "spec", "workloadRef") == nil {
		return false
	}
	workload := annotation(obj, "rollout.argoproj.io/workload-generation")
	return workload != "" && workload != str(obj, "status", "workloadObservedGeneration")
}

// promoterReady is what all kinds of GitOps Promoter share. A Ready that is
// True is looked at further.
var promoterReady = steps(staleCondition("Ready", "Reconciled"), when("Ready", no).is(failed), when("Ready", unknown).is(inProgress))

// promotion: what is proposed is deployed, in each environment.
func promotion(obj map[string]any) (model.HealthFacet, bool) {
	if !conditionOf(obj, "Ready").is(yes) {
		return nothing()
	}
	status, _ := at(obj, "status").(map[string]any)
	environments := []map[string]any{status}
	if str(obj, "kind") == "PromotionStrategy" {
		if environments = objects(obj, "status", "environments"); len(environments) == 0 {
			return say(failed, "no environments are configured")
		}
	}
	first := ""
	for i, e := range environments {
		active, proposed := str(e, "active", "dry", "sha"), proposedSHA(e)
		if active == "" || proposed == "" {
			return say(inProgress, "the commits of "+branchOf(e)+" are not known yet")
		}
		if i > 0 && proposed != first {
			return say(inProgress, "not all environments are hydrated to the same commit yet")
		}
		first = proposed
	}
	for _, e := range environments {
		// What is hydrated to the same commit needs no promotion, though the note
		// on it is newer.
		if p := str(e, "proposed", "dry", "sha"); p != "" && p != str(e, "active", "dry", "sha") {
			return say(inProgress, branchOf(e)+" is being promoted")
		}
	}
	return say(ok, "")
}

func proposedSHA(environment map[string]any) string {
	if sha := str(environment, "proposed", "note", "drySha"); sha != "" {
		return sha
	}
	return str(environment, "proposed", "dry", "sha")
}

func branchOf(environment map[string]any) string {
	if b := str(environment, "branch"); b != "" {
		return "environment " + b
	}
	return "the environment"
}

// promoterGates: a gate has a phase for each environment.
func promoterGates(obj map[string]any) (model.HealthFacet, bool) {
	if !conditionOf(obj, "Ready").is(yes) {
		return nothing()
	}
	waiting := ""
	for _, e := range objects(obj, "status", "environments") {
		switch str(e, "phase") {
		case "failure":
			return say(failed, branchOf(e)+" failed")
		case "success":
		default:
			waiting = branchOf(e) + " is pending"
		}
	}
	if waiting != "" {
		return say(inProgress, waiting)
	}
	return say(ok, "")
}
