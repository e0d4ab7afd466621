package health

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Cluster API, https://cluster-api.sigs.k8s.io. Conditions of v1beta1 have a
// severity where they are False: Error needs people, Info and Warning pass, as
// while a cluster is made or scaled. Those of v1beta2 have none, and say
// Available=False from the beginning; phase Provisioned comes with the
// infrastructure, before the control plane answers.
var clusterAPI = map[string]family{
	"cluster.x-k8s.io": {
		"Cluster": judge(suspended("spec.paused"), stale, word("status.phase", words{"Failed": failed}),
			severeConditions, passing("Ready"), only(not(provisioned), onItsWay),
			when("Ready", no).is(failed), when("ControlPlaneInitialized", no).is(inProgress), when("ControlPlaneInitialized", unknown).is(inProgress),
			when("Available", no).because("NotAvailable").is(failed), word("status.phase", words{"Provisioned": ok, "*": inProgress})),
		"Machine": judge(word("status.phase", words{"Running": ok, "Failed": failed, "*": inProgress})),
		"MachineDeployment": judge(suspended("spec.paused"), stale,
			word("status.phase", words{"Running": ok, "Failed": failed, "*": inProgress})),
		"MachineSet": judge(stale, only(has("status.failureReason"), word("status.failureReason", words{"*": failed})),
			numbers("status.availableReplicas", "spec.replicas", "machines are available")),
		"MachinePool":        judge(stale, word("status.phase", words{"Running": ok, "Scaling": ok, "Failed": failed, "Unknown": failed, "*": inProgress})),
		"MachineHealthCheck": judge(stale, machineHealth),
		"ClusterClass":       judge(stale, when("RefVersionsUpToDate", no).is(failed), when("VariablesReconciled", no).is(failed), otherwise(ok, "")),
	},
	"addons.cluster.x-k8s.io": {
		"ClusterResourceSet":        judge(condition3("ResourcesApplied")),
		"ClusterResourceSetBinding": exists,
		"HelmChartProxy":            judge(clusterAPIReady),
		"HelmReleaseProxy":          judge(clusterAPIReady),
	},
	"controlplane.cluster.x-k8s.io": {
		"KubeadmControlPlane": judge(annotatedPaused, stale, severeConditions,
			only(has("spec.replicas"), less("status.updatedReplicas", "spec.replicas", "control plane machines are updated"),
				less("status.readyReplicas", "spec.replicas", "control plane machines are ready")), clusterAPIReady),
	},
	"operator.cluster.x-k8s.io": {
		"CoreProvider": judge(stale, ready), "InfrastructureProvider": judge(stale, ready), "BootstrapProvider": judge(stale, ready),
		"ControlPlaneProvider": judge(stale, ready), "AddonProvider": judge(stale, ready),
	},
}

var annotatedPaused = func(obj map[string]any) (model.HealthFacet, bool) {
	m, _ := at(obj, "metadata", "annotations").(map[string]any)
	if _, is := m["cluster.x-k8s.io/paused"]; is {
		return say(paused, "annotation cluster.x-k8s.io/paused is set")
	}
	return nothing()
}

// severeConditions: a condition is False with severity Error, and nothing says
// Ready.
var severeConditions = step(func(obj map[string]any) (model.HealthFacet, bool) {
	if conditionOf(obj, "Ready").is(yes) {
		return nothing()
	}
	for _, c := range objects(obj, "status", "conditions") {
		if str(c, "status") == no && str(c, "severity") == "Error" {
			return say(failed, str(c, "type")+": "+readCondition(obj, c).text())
		}
	}
	return nothing()
})

// passing: the condition is False with a severity that says that it passes.
func passing(typ string) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		for _, c := range objects(obj, "status", "conditions") {
			if severity := str(c, "severity"); str(c, "type") == typ && conditionStatus(c) == no && (severity == "Info" || severity == "Warning") {
				return say(inProgress, readCondition(obj, c).text())
			}
		}
		return nothing()
	}
}

func provisioned(obj map[string]any) bool { return str(obj, "status", "phase") == "Provisioned" }

// onItsWay is for a cluster of which the infrastructure is not there yet.
var onItsWay = steps(when("Ready", no).is(inProgress), when("Available", no).is(inProgress), word("status.phase", words{"*": inProgress}))

// clusterAPIReady is for the kinds of infrastructure, bootstrap and control plane
// providers: they say Ready by a condition, a boolean, or both.
var clusterAPIReady = steps(severeConditions, conditionOK("Ready"), conditionOK("Available"),
	flag("status.ready", ok, ""), unset("status.ready", inProgress, "not ready yet"),
	flag("status.initialization.provisioned", ok, ""), conditionOK("Discovered"), only(has("status.addressRef.name"), otherwise(ok, "")),
	only(not(has("status")), otherwise(ok, ""))) // not all of them have one

// clusterAPIGroup judges kinds of providers.
func clusterAPIGroup(kind string) check {
	for _, static := range []string{"Template", "Identity", "IPPool", "IPAddress"} {
		if strings.HasSuffix(kind, static) {
			return exists
		}
	}
	return clusterAPIKind
}

var clusterAPIKind = judge(annotatedPaused, clusterAPIReady)

func machineHealth(obj map[string]any) (model.HealthFacet, bool) {
	have, known := integerOK(obj, "status", "currentHealthy")
	want, wanted := integerOK(obj, "status", "expectedMachines")
	if !known || !wanted {
		return nothing()
	}
	if have < want {
		return say(failed, itoa(have)+" of "+itoa(want)+" machines are healthy")
	}
	return say(ok, "")
}

// less says Progressing while have is less than want.
func less(have, want, what string) step {
	compare := numbers(have, want, what)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		f, said := compare(obj)
		return f, said && f.Status != ok
	}
}
