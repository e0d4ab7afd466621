package health

import "github.com/hawser-dev/hawser/shared/model"

// Platforms on top of Kubernetes: OpenShift and its Operator Lifecycle Manager,
// OpenKruise, KubeVirt, Karmada, Gardener and Keycloak.
var platform = map[string]family{
	"operators.coreos.com": { // https://olm.operatorframework.io/docs/concepts/crds/
		"Subscription":          judge(subscription),
		"ClusterServiceVersion": judge(word("status.phase", words{"Succeeded": ok, "Failed": failed, "Unknown": undefined, "*": inProgress})),
		"InstallPlan":           judge(word("status.phase", words{"Complete": ok, "Failed": failed, "RequiresApproval": paused, "*": inProgress})),
		"CatalogSource":         judge(word("status.connectionState.lastObservedState", words{"READY": ok, "TRANSIENT_FAILURE": failed, "*": inProgress})),
		"OperatorGroup":         exists,
		"OperatorCondition":     exists,
	},
	"olm.operatorframework.io": {"ClusterExtension": judge(when("Progressing", no).is(failed), when("Progressing", yes).because("Retrying").is(failed), conditionOK("Installed")),
		"ClusterCatalog": judge(when("Progressing", no).is(failed), conditionOK("Serving"))},
	"apps.openshift.io": {"DeploymentConfig": judge(deploymentConfig)},
	"config.openshift.io": {"ClusterOperator": judge(when("Degraded", yes).is(failed), when("Available", no).is(failed), when("Progressing", yes).is(inProgress), conditionOK("Available")),
		"ClusterVersion": judge(when("Failing", yes).is(failed), when("Progressing", yes).is(inProgress), conditionOK("Available"))},
	"machineconfiguration.openshift.io": {"MachineConfigPool": judge(suspended("spec.paused"), stale, when("Degraded", yes).is(failed), when("Updating", yes).is(inProgress), conditionOK("Updated"))},

	"apps.kruise.io": { // https://openkruise.io/docs/
		"CloneSet":        judge(kruiseStale, kruisePaused("spec.updateStrategy.paused", "status.updatedAvailableReplicas"), kruisePartition("spec.updateStrategy.partition", "status.expectedUpdatedReplicas", 1), kruiseReplicas),
		"StatefulSet":     judge(kruiseStale, kruisePaused("spec.updateStrategy.rollingUpdate.paused", "status.updatedAvailableReplicas"), kruisePartition("spec.updateStrategy.rollingUpdate.partition", "", 1), kruiseReplicas),
		"DaemonSet":       judge(kruiseStale, kruisePaused("spec.updateStrategy.rollingUpdate.paused", "status.updatedNumberScheduled"), kruisePartition("spec.updateStrategy.rollingUpdate.partition", "", 1), kruiseDaemons),
		"BroadcastJob":    judge(word("status.phase", words{"completed": ok, "running": inProgress, "failed": failed, "paused": paused, "*": inProgress})),
		"AdvancedCronJob": judge(suspended("spec.paused"), only(notEmpty("status.active"), otherwise(inProgress, "a job is running")), only(has("status.lastScheduleTime"), otherwise(ok, "")), only(has("status"), otherwise(failed, "no job has run yet"))),
		"SidecarSet":      exists, "WorkloadSpread": exists,
	},
	"rollouts.kruise.io": {"Rollout": judge(stale, kruiseRollout)},
	"game.kruise.io": {
		"GameServer":    judge(gameServer),
		"GameServerSet": judge(stale, kruisePaused("spec.updateStrategy.rollingUpdate.paused", ""), kruisePartition("spec.updateStrategy.rollingUpdate.partition", "", 0), gameServers),
	},

	"kubevirt.io": { // https://kubevirt.io/user-guide/
		"VirtualMachine": judge(when("Paused", yes).is(paused), when("Ready", yes).is(ok),
			word("status.printableStatus", words{"Stopped": paused, "Paused": paused, "Running": ok}),
			only(not(has("status.created")), when("Ready", no).is(paused)), conditionOK("Ready")),
		"VirtualMachineInstance": judge(word("status.phase", words{"Failed": failed, "Pending": inProgress, "Scheduling": inProgress, "Scheduled": inProgress,
			"Succeeded": paused, "Unknown": undefined}), when("Paused", yes).is(paused), ready),
		"KubeVirt":                        judge(when("Degraded", yes).is(failed), when("Progressing", yes).is(inProgress), conditionOK("Available")),
		"VirtualMachineInstanceMigration": judge(word("status.phase", words{"Succeeded": ok, "Failed": failed, "*": inProgress})),
	},

	"cluster.open-cluster-management.io": {"ManagedCluster": judge(condition3("ManagedClusterConditionAvailable"))},
	"work.karmada.io":                    {"ResourceBinding": judge(karmada), "ClusterResourceBinding": judge(karmada), "Work": judge(condition3("Applied"))},
	"core.gardener.cloud":                {"Shoot": judge(gardenerShoot)},
	"k8s.keycloak.org": { // https://www.keycloak.org/operator/installation
		"Keycloak":            judge(stale, when("HasErrors", yes).is(failed), conditionOK("Ready")),
		"KeycloakRealmImport": judge(when("HasErrors", yes).is(failed), when("Done", yes).is(ok), when("Started", yes).is(inProgress)),
	},
	"keycloak.org": {"Keycloak": judge(word("status.phase", words{"failing": failed}), flag("status.ready", ok, ""), unset("status.ready", inProgress, "not ready yet")),
		"KeycloakRealm": judge(word("status.phase", words{"failing": failed}), flag("status.ready", ok, ""), unset("status.ready", inProgress, "not ready yet"))},
	"spot.io": {"SpotDeployment": judge(spotDeployment)},
	"proclaim.dogmatiq.io": {"DNSSDServiceInstance": judge(when("Adopted", no).is(failed),
		whenReason("Advertised", "AdvertiseError", failed), whenReason("Advertised", "UnadvertiseError", failed),
		whenReason("Discoverable", "DiscoveryError", undefined), conditionOK("Discoverable"))},
}

// whenReason looks at a reason whatever the status of the condition.
func whenReason(typ, reason string, h model.Health) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		if c := conditionOf(obj, typ); c.reason == reason {
			return say(h, c.text())
		}
		return nothing()
	}
}

// subscription: an operator that is installed, and whose upgrade waits for the
// approval that somebody reserved, is well.
func subscription(obj map[string]any) (model.HealthFacet, bool) {
	if len(conditions(obj)) == 0 {
		return nothing()
	}
	pending := conditionOf(obj, "InstallPlanPending")
	reserved := str(obj, "spec", "installPlanApproval") == "Manual" && str(obj, "status", "installedCSV") != "" &&
		pending.is(yes) && pending.reason == "RequiresApproval"
	for _, typ := range []string{"CatalogSourcesUnhealthy", "InstallPlanFailed", "ResolutionFailed"} {
		if c := conditionOf(obj, typ); c.is(yes) {
			return say(failed, typ+": "+c.text())
		}
	}
	if c := conditionOf(obj, "InstallPlanMissing"); c.status != "" && c.reason != "ReferencedInstallPlanNotFound" {
		return say(failed, "InstallPlanMissing: "+c.text())
	}
	switch state := str(obj, "status", "state"); {
	case state == "UpgradeFailed":
		return say(failed, "the upgrade failed")
	case pending.is(yes) && !reserved:
		return say(inProgress, "InstallPlanPending: "+pending.text())
	case state == "UpgradePending" && reserved, state == "AtLatestKnown":
		return say(ok, "")
	case state == "":
		return say(inProgress, "not installed yet")
	default:
		return say(inProgress, state)
	}
}

func deploymentConfig(obj map[string]any) (model.HealthFacet, bool) {
	if n, known := integerOK(obj, "status", "replicas"); !known || len(conditions(obj)) == 0 {
		return nothing()
	} else if n == 0 {
		return say(ok, "")
	}
	available := conditionOf(obj, "Available")
	rolled := conditionOf(obj, "Progressing")
	done := rolled.is(yes) && rolled.reason == "NewReplicationControllerAvailable"
	switch {
	case available.is(yes) && done:
		return say(ok, "")
	case available.is(yes):
		return say(inProgress, rolled.text())
	case done:
		return say(inProgress, available.text())
	}
	return say(failed, available.text())
}

// kruiseStale: OpenKruise's kinds have nothing to say before they saw the object.
func kruiseStale(obj map[string]any) (model.HealthFacet, bool) {
	if at(obj, "status") == nil {
		return say(inProgress, waitingForStatus)
	}
	if integer(obj, "status", "observedGeneration") != integer(obj, "metadata", "generation") {
		return say(inProgress, waitingForController)
	}
	return nothing()
}

// kruisePaused: a rollout that never began has no count of what is updated.
func kruisePaused(flag, updated string) step {
	p, u := dotted(flag), dotted(updated)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		if boolean(obj, p...) {
			return say(paused, "the rollout is paused")
		}
		if _, known := integerOK(obj, u...); !known && updated != "" {
			return say(paused, "the rollout has not begun")
		}
		return nothing()
	}
}

// kruisePartition: a rollout that has come as far as its partition allows waits
// for people. Where the first generation is rolled out as a whole, first is 1.
func kruisePartition(partition, target string, first int64) step {
	p, t := dotted(partition), dotted(target)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		if at(obj, p...) == nil || integer(obj, p...) == 0 && !isPercentage(at(obj, p...)) || integer(obj, "metadata", "generation") <= first {
			return nothing()
		}
		want := integer(obj, "status", "replicas") - integer(obj, p...)
		have := integer(obj, "status", "updatedReplicas")
		if target != "" {
			want = integer(obj, t...)
		} else if n, is := integerOK(obj, "status", "desiredNumberScheduled"); is {
			want, have = n-integer(obj, p...), integer(obj, "status", "updatedNumberScheduled")
		}
		if have < want {
			return progressingStep("%d of %d replicas are updated", have, want)
		}
		return say(paused, "the rollout waits at its partition")
	}
}

func isPercentage(v any) bool {
	s, is := v.(string)
	return is && s != "" && s != "0%"
}

func kruiseReplicas(obj map[string]any) (model.HealthFacet, bool) {
	have, want := integer(obj, "status", "updatedAvailableReplicas"), integer(obj, "status", "replicas")
	if have != want {
		return say(failed, itoa(have)+" of "+itoa(want)+" replicas are updated and available")
	}
	return say(ok, "")
}

func kruiseDaemons(obj map[string]any) (model.HealthFacet, bool) {
	want := integer(obj, "status", "desiredNumberScheduled")
	updated, available := integer(obj, "status", "updatedNumberScheduled"), integer(obj, "status", "numberAvailable")
	switch {
	case updated == want && available == want:
		return say(ok, "")
	case updated == want && integer(obj, "status", "numberUnavailable") == want:
		return say(failed, "no pod is available")
	}
	return progressingStep("%d of %d pods are available", available, want)
}

func kruiseRollout(obj map[string]any) (model.HealthFacet, bool) {
	phase := str(obj, "status", "phase")
	state := str(obj, "status", "canaryStatus", "currentStepState")
	switch {
	case phase == "Healthy":
		return say(ok, "")
	case phase == "Terminating" || phase == "Disabled":
		return say(failed, "the rollout is "+phase)
	case state == "StepPaused":
		return say(paused, "the rollout waits at a step")
	case phase == "":
		return nothing()
	}
	return say(inProgress, explained(obj, phase))
}

func gameServer(obj map[string]any) (model.HealthFacet, bool) {
	now, wanted := str(obj, "status", "currentState"), str(obj, "status", "desiredState")
	if at(obj, "status") == nil {
		return say(undefined, waitingForStatus)
	}
	if now != wanted {
		return say(inProgress, "from "+now+" to "+wanted)
	}
	for _, c := range conditionsAt(obj, obj, "status", "podStatus", "conditions") {
		if c.typ == "KruisePodReady" && !c.is(yes) {
			return say(failed, "the pod is not ready")
		}
	}
	if now == "Ready" {
		return say(ok, "")
	}
	return say(undefined, now)
}

func gameServers(obj map[string]any) (model.HealthFacet, bool) {
	if at(obj, "status") == nil {
		return nothing()
	}
	have, want := integer(obj, "status", "updatedReadyReplicas"), integer(obj, "status", "replicas")
	if have < want {
		return progressingStep("%d of %d servers are updated and ready", have, want)
	}
	return say(ok, "")
}

func spotDeployment(obj map[string]any) (model.HealthFacet, bool) {
	for _, c := range conditions(obj) {
		switch {
		case c.typ == "InvalidSpec", c.typ == "Progressing" && (c.reason == "RolloutAborted" || c.reason == "ProgressDeadlineExceeded"):
			return say(failed, c.text())
		case c.typ == "Paused" && c.is(yes):
			return say(paused, "the rollout is paused")
		}
	}
	if at(obj, "status") == nil {
		return nothing()
	}
	if str(obj, "status", "phase") == "Progressing" {
		return say(inProgress, "the steps of the rollout are not done yet")
	}
	return say(ok, "")
}

// karmada sums up what the clusters say that an object was distributed to.
func karmada(obj map[string]any) (model.HealthFacet, bool) {
	clusters, reports := objects(obj, "spec", "clusters"), objects(obj, "status", "aggregatedStatus")
	if len(clusters) == 0 || len(clusters) != len(reports) {
		return say(inProgress, "not all clusters have reported yet")
	}
	for _, r := range reports {
		h := str(r, "health")
		if h == "Unhealthy" || h == "Unknown" && !boolean(r, "applied") {
			return say(failed, "cluster "+str(r, "clusterName")+" says "+h)
		}
	}
	return say(ok, "")
}

// gardenerShoot: Gardener sums up the conditions of a cluster in a label.
func gardenerShoot(obj map[string]any) (model.HealthFacet, bool) {
	labels, _ := at(obj, "metadata", "labels").(map[string]any)
	switch labels["shoot.gardener.cloud/status"] {
	case "healthy":
		return say(ok, "")
	case "unhealthy":
		return say(failed, "unhealthy")
	case "unknown":
		return say(undefined, "unknown")
	}
	return nothing()
}
