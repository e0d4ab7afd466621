package health

// Flux, https://fluxcd.io/flux/components/. Ready is Unknown while something new
// is tried. The generation of the status is that of the last success, so that of
// the condition counts.
var fluxSteps = steps(when("Stalled", yes).is(failed), staleCondition("Ready"), ready)

// The image controllers say Ready=False, with what was wrong before, also while
// they work.
var fluxImage = steps(when("Stalled", yes).is(failed),
	when("Reconciling", yes).because("NewGeneration", "Scanning", "AccessingRepository", "ApplyingPolicy").is(inProgress), fluxSteps)

// fluxDependent is for kinds that wait for others of their kind: that passes, or
// else the other one is not well.
var fluxDependent = judge(suspended("spec.suspend"), when("Stalled", yes).is(failed), staleCondition("Ready"),
	when("Ready", no).because("DependencyNotReady").is(inProgress), ready)

var (
	fluxKind = judge(suspended("spec.suspend"), fluxSteps)
	// fluxStatic are kinds of which newer versions have no status.
	fluxStatic = judge(suspended("spec.suspend"), only(has("status.conditions"), fluxSteps), otherwise(ok, ""))
)

var flux = map[string]family{
	"kustomize.toolkit.fluxcd.io": {"Kustomization": fluxDependent},
	"helm.toolkit.fluxcd.io":      {"HelmRelease": fluxDependent},
	"source.toolkit.fluxcd.io": {
		"GitRepository": fluxKind,
		"OCIRepository": fluxKind,
		"Bucket":        fluxKind,
		"HelmChart":     fluxKind,
		// Repositories of type oci are not fetched, and have no status.
		"HelmRepository": judge(suspended("spec.suspend"), word("spec.type", words{"oci": ok}), fluxSteps),
	},
	"source.extensions.fluxcd.io": {"ArtifactGenerator": fluxKind},
	"image.toolkit.fluxcd.io": {
		"ImageRepository":       judge(suspended("spec.suspend"), fluxImage),
		"ImagePolicy":           judge(suspended("spec.suspend"), fluxImage),
		"ImageUpdateAutomation": fluxKind,
	},
	"notification.toolkit.fluxcd.io": {
		"Receiver": fluxKind,
		"Alert":    fluxStatic,
		"Provider": fluxStatic,
	},
	"fluxcd.controlplane.io": {
		"FluxInstance":             fluxKind,
		"FluxReport":               exists,
		"ResourceSet":              fluxKind,
		"ResourceSetInputProvider": fluxKind,
	},
	// The Terraform controller for Flux.
	"infra.contrib.fluxcd.io": {"Terraform": judge(suspended("spec.suspend"), stale,
		when("Ready", unknown).is(inProgress), when("Plan", yes).because("TerraformPlannedWithChanges").is(paused), ready)},
	"flagger.app": {"Canary": judge(
		word("status.phase", words{"Initialized": ok, "Succeeded": ok, "Failed": failed, "Terminated": paused,
			"Waiting": paused, "WaitingPromotion": paused, "*": inProgress}))},
}
