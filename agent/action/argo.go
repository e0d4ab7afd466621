package action

import "strconv"

// Argo Rollouts and Argo Workflows. What the fields mean is in the CRDs of
// Rollouts 1.x and Workflows 3.x.

func rolloutPaused(o map[string]any) bool {
	if get(o, "status", "pauseConditions") != nil {
		return len(list(o, "status", "pauseConditions")) > 0
	}
	return boolean(o, "spec", "paused")
}

// oldRollouts reports whether the controller is of before version 0.10, which
// wrote no number as the observed generation and could not promote as one step.
func oldRollouts(o map[string]any) bool {
	seen, err := strconv.ParseInt(str(o, "status", "observedGeneration"), 10, 64)
	generation, ok := integer(o, "metadata", "generation")
	return err != nil || ok && seen > generation
}

// promoteRollout ends a rollout with the new version at once.
func promoteRollout(r *request) error {
	if get(r.obj, "status") == nil {
		return notPossible("the Rollout was not started yet")
	}
	if !oldRollouts(r.obj) {
		set(r.obj, true, "status", "promoteFull")
		return nil
	}
	steps := list(r.obj, "spec", "strategy", "canary", "steps")
	remove(r.obj, "status", "abort")
	if len(steps) > 0 {
		set(r.obj, int64(len(steps)), "status", "currentStepIndex")
	}
	return nil
}

// fullyPromoted reports whether a rollout has nothing under way.
func fullyPromoted(o map[string]any) bool {
	return str(o, "status", "currentPodHash") == str(o, "status", "stableRS")
}

func resumeRollout(r *request) error {
	if len(list(r.obj, "status", "pauseConditions")) > 0 {
		remove(r.obj, "status", "pauseConditions")
	}
	if boolean(r.obj, "spec", "paused") {
		set(r.obj, false, "spec", "paused")
	}
	return nil
}

// retryRollout starts an aborted rollout again, with its analyses.
func retryRollout(r *request) error {
	if !boolean(r.obj, "status", "abort") {
		return nil
	}
	remove(r.obj, "status", "abort")
	remove(r.obj, "status", "blueGreen", "prePromotionAnalysisRunStatus")
	remove(r.obj, "status", "blueGreen", "postPromotionAnalysisRunStatus")
	remove(r.obj, "status", "canary", "currentStepAnalysisRunStatus")
	remove(r.obj, "status", "canary", "currentBackgroundAnalysisRunStatus")
	return nil
}

// nextStep is the step of a canary after the present one; false when there is
// none.
func nextStep(o map[string]any) (int64, bool) {
	steps := list(o, "spec", "strategy", "canary", "steps")
	index, ok := integer(o, "status", "currentStepIndex")
	if !ok || index >= int64(len(steps)) {
		return 0, false
	}
	return index + 1, true
}

func skipStep(r *request) error {
	next, ok := nextStep(r.obj)
	if !ok {
		return nil
	}
	if len(list(r.obj, "status", "pauseConditions")) > 0 {
		remove(r.obj, "status", "pauseConditions")
	}
	set(r.obj, next, "status", "currentStepIndex")
	return nil
}

const workflowAPI = "argoproj.io/v1alpha1"

// cronWorkflow makes a Workflow of a CronWorkflow, as argo submit --from does.
func cronWorkflow(r *request) error {
	spec, ok := get(r.obj, "spec", "workflowSpec").(map[string]any)
	if !ok {
		return notPossible("the CronWorkflow has no spec.workflowSpec")
	}
	w := r.child(workflowAPI, "Workflow")
	for _, field := range []string{"labels", "annotations"} {
		if m, ok := get(r.obj, "spec", "workflowMetadata", field).(map[string]any); ok && len(m) > 0 {
			set(w, clone(m), "metadata", field)
		}
	}
	if f := list(r.obj, "spec", "workflowMetadata", "finalizers"); len(f) > 0 {
		set(w, clone(f), "metadata", "finalizers")
	}
	const instance = "workflows.argoproj.io/controller-instanceid"
	if id := str(r.obj, "metadata", "labels", instance); id != "" {
		set(w, id, "metadata", "labels", instance)
	}
	set(w, str(r.obj, "metadata", "name"), "metadata", "labels", "workflows.argoproj.io/cron-workflow")
	set(w, r.timestamp(), "metadata", "annotations", "workflows.argoproj.io/scheduled-time")
	w["spec"] = clone(spec)
	r.create(w)
	return nil
}

// templatedWorkflow makes a Workflow that runs a WorkflowTemplate.
func templatedWorkflow(r *request) error {
	name := str(r.obj, "metadata", "name")
	w := r.child(workflowAPI, "Workflow")
	set(w, name, "metadata", "labels", "workflows.argoproj.io/workflow-template")
	set(w, name, "spec", "workflowTemplateRef", "name")
	r.create(w)
	return nil
}
