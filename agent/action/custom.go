package action

import "slices"

// Flux: a field stops a controller, and an annotation that changes asks it to
// look again (fluxcd/pkg/apis/meta).
var fluxAll = []builtin{
	{name: "suspend", icon: iconPause, state: unless("spec", "suspend"), run: write(true, "spec", "suspend")},
	{name: "resume", icon: iconPlay, state: when("spec", "suspend"), run: write(false, "spec", "suspend")},
	{name: "reconcile", icon: iconRefresh, state: unless("spec", "suspend"), run: stamp("reconcile.fluxcd.io/requestedAt")},
}

// KEDA stops scaling by annotations.
const (
	kedaPausedKey   = "autoscaling.keda.sh/paused"
	kedaReplicasKey = "autoscaling.keda.sh/paused-replicas"
)

func kedaPaused(o map[string]any) bool     { return annotation(o, kedaPausedKey) == "true" }
func kedaReplicas(o map[string]any) string { return annotation(o, kedaReplicasKey) }

func kedaPause(paused func(map[string]any) bool) builtin {
	return builtin{name: "pause", icon: iconPause, state: func(o map[string]any) state { return on(!paused(o), disabled) },
		run: func(r *request) error { r.annotate(kedaPausedKey, "true"); return nil }}
}

func kedaResume(paused func(map[string]any) bool) builtin {
	return builtin{name: "resume", icon: iconPlay, state: func(o map[string]any) state { return on(paused(o), disabled) },
		run: func(r *request) error {
			remove(r.obj, "metadata", "annotations", kedaPausedKey)
			remove(r.obj, "metadata", "annotations", kedaReplicasKey)
			return nil
		}}
}

// CloudNativePG.
const (
	cnpgLoop        = "cnpg.io/reconciliationLoop"
	cnpgHibernation = "cnpg.io/hibernation"
)

// promotePrimary makes a healthy replica the primary: the one that is named, by
// its whole name or its number, else the one after the present primary.
func promotePrimary(r *request) error {
	var healthy []string
	for _, item := range list(r.obj, "status", "instancesStatus", "healthy") {
		if s, ok := item.(string); ok {
			healthy = append(healthy, s)
		}
	}
	primary := str(r.obj, "status", "currentPrimary")
	target := r.params["instance"]
	if target == "" || target == "any" {
		i := slices.Index(healthy, primary)
		if i < 0 || len(healthy) < 2 {
			return notPossible("there is no healthy replica to promote")
		}
		target = healthy[(i+1)%len(healthy)]
	} else {
		if full := str(r.obj, "metadata", "name") + "-" + target; slices.Contains(healthy, full) {
			target = full
		}
		if !slices.Contains(healthy, target) {
			return paramInvalid("instance", "%q is no healthy instance%s", target, allowed(healthy))
		}
	}
	if target == primary {
		return notPossible("%s is the primary already", primary)
	}
	set(r.obj, target, "status", "targetPrimary")
	set(r.obj, r.timestamp(), "status", "targetPrimaryTimestamp")
	// So that it shows before the operator acts.
	set(r.obj, "Switchover in progress", "status", "phase")
	set(r.obj, "Switching over to "+target, "status", "phaseReason")
	return nil
}

// Numaflow: a pipeline goes to the phase that its spec wants.
var numaflow = []builtin{
	{name: "pause", icon: iconPause, state: func(o map[string]any) state { return on(!numaflowPaused(o), disabled) }, run: write("Paused", "spec", "lifecycle", "desiredPhase")},
	{name: "unpause-gradual", display: "Unpause (gradual)", icon: iconPlay, state: func(o map[string]any) state {
		return on(numaflowPaused(o) && numaflowResume(o) != "fast", disabled)
	}, run: unpause("slow")},
	{name: "unpause-fast", display: "Unpause (fast)", icon: iconPlay, state: func(o map[string]any) state {
		s := numaflowResume(o)
		return on(numaflowPaused(o) && (s == "fast" || s == "slow, fast"), disabled)
	}, run: unpause("fast")},
	forcePromote,
}

// forcePromote ends a progressive upgrade of numaplane with the new version.
var forcePromote = builtin{name: "force-promote", display: "Force Promote", icon: iconForward, state: func(o map[string]any) state {
	s := str(o, "metadata", "labels", "numaplane.numaproj.io/upgrade-state")
	return on((s == "in-progress" || s == "trial") && str(o, "metadata", "labels", "numaplane.numaproj.io/force-promote") != "true", disabled)
}, run: write("true", "metadata", "labels", "numaplane.numaproj.io/force-promote")}

func numaflowPaused(o map[string]any) bool {
	return str(o, "spec", "lifecycle", "desiredPhase") == "Paused"
}

// numaflowResume lists how a pipeline may be resumed: "slow", "fast" or both.
func numaflowResume(o map[string]any) string {
	const key = "numaflow.numaproj.io/allowed-resume-strategies"
	return firstOf(annotation(o, key), str(o, "spec", "metadata", "annotations", key))
}

// unpause lets a pipeline run again. How it gets its pods back, a Pipeline is told
// by an annotation, which its controller reads when it resumes. A MonoVertex
// resumes with its spec.replicas, so slowly means without them: from the minimum.
func unpause(strategy string) func(*request) error {
	return func(r *request) error {
		set(r.obj, "Running", "spec", "lifecycle", "desiredPhase")
		switch {
		case str(r.obj, "kind") == "Pipeline":
			set(r.obj, strategy, "metadata", "annotations", "numaflow.numaproj.io/resume-strategy")
		case strategy == "slow":
			remove(r.obj, "spec", "replicas")
		}
		return nil
	}
}
