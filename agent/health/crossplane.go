package health

import "github.com/hawser-dev/hawser/shared/model"

// Crossplane, https://docs.crossplane.io/latest/guides/crossplane-with-argo-cd/:
// managed resources say Synced (it could be written to the provider) and Ready
// (the provider has it); definitions Established and Offered; packages Installed
// and Healthy.
var (
	crossplaneManaged = judge(
		when("Synced", no).because("ReconcilePaused").is(paused),
		// Ready, and in older providers Synced, stay True when an update fails in the
		// background. A resource that is found to be up to date has it True again.
		when("LastAsyncOperation", no).is(failed),
		when("Synced", no).is(failed),
		conditionOK("Ready"),
		conditionOK("Healthy"),
		conditionOK("Established"),
		when("ValidPipeline", yes).is(ok),
		when("RevisionHealthy", yes).is(ok),
	)
	crossplanePackage = judge(
		when("Installed", no).because("InactivePackageRevision").is(paused),
		when("Installed", no).is(failed),
		when("Healthy", no).is(failed),
		when("Healthy", unknown).because("UnknownPackageRevisionHealth").is(inProgress),
		only(func(obj map[string]any) bool { return conditionOf(obj, "Installed").is(yes) }, when("Healthy", yes).is(ok)),
	)
	// Kinds that only configure are well until they say otherwise.
	crossplaneStatic = judge(when("Synced", no).is(failed), when("ValidPipeline", no).is(failed), when("RevisionHealthy", no).is(failed), otherwise(ok, ""))
)

var crossplane = map[string]family{
	"pkg.crossplane.io": {
		"Provider":                crossplanePackage,
		"Configuration":           crossplanePackage,
		"Function":                crossplanePackage,
		"DeploymentRuntimeConfig": exists,
		"ControllerConfig":        exists,
		"ImageConfig":             exists,
		"Lock":                    exists,
	},
	"apiextensions.crossplane.io": {
		"CompositeResourceDefinition": judge(when("Established", no).because("TerminatingComposite").is(inProgress),
			when("Offered", no).because("TerminatingClaim").is(inProgress), conditionOK("Established")),
		"Composition":               crossplaneStatic,
		"CompositionRevision":       crossplaneStatic,
		"EnvironmentConfig":         exists,
		"ManagedResourceDefinition": judge(conditionOK("Established")),
	},
	"stacks.crossplane.io": { // before version 0.11
		"ClusterStackInstall": crossplaneStack,
		"StackInstall":        crossplaneStack,
	},
}

// crossplaneStack reads conditions where the first versions had them.
func crossplaneStack(obj map[string]any) model.HealthFacet {
	for _, c := range conditionsAt(obj, obj, "status", "conditionedStatus", "conditions") {
		if c.typ == "Ready" && c.is(yes) {
			return healthy()
		}
		if c.typ == "Ready" {
			return progressing("%s", c.text())
		}
	}
	return progressing(waitingForStatus)
}

// composite is for the kinds that users define for Crossplane, which are in
// groups of their own: what could not be composed stays so until it is changed.
func composite(obj map[string]any) (model.HealthFacet, bool) {
	c := conditionOf(obj, "Synced")
	switch {
	case !c.is(no) || c.behind:
		return nothing()
	case c.reason == "ReconcileError":
		return say(failed, c.text())
	case c.reason == "ReconcilePaused":
		return say(paused, c.text())
	}
	return nothing()
}

// crossplaneGroup judges kinds of providers, of which there are thousands, and
// what is configured for them.
func crossplaneGroup(kind string) check {
	switch kind {
	case "ProviderConfig", "ClusterProviderConfig", "ProviderConfigUsage", "ClusterProviderConfigUsage", "StoreConfig":
		return exists
	}
	return crossplaneManaged
}
