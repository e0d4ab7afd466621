package health

import "github.com/hawser-dev/hawser/shared/model"

// Service meshes. Istio's configuration has a status only where its analysis is
// switched on (https://istio.io/latest/docs/ops/configuration/mesh/configuration-validation/).
var mesh = map[string]family{
	"install.istio.io": {
		"IstioOperator": judge(istioState, word("status.status", words{"NONE": undefined, "UPDATING": inProgress, "RECONCILING": inProgress,
			"HEALTHY": ok, "ERROR": failed, "ACTION_REQUIRED": failed})),
	},
	"sailoperator.io": {
		"Istio": sail, "IstioRevision": sail, "IstioCNI": sail, "ZTunnel": sail, "IstioRevisionTag": sail,
	},
	"kiali.io": {"Kiali": judge(when("Failure", yes).is(failed), when("Successful", yes).is(ok), when("Running", yes).is(inProgress))},
}

var sail = judge(stale, when("Reconciled", no).is(failed), ready)

// istioState: before it was a word, the state was a number.
func istioState(obj map[string]any) (model.HealthFacet, bool) {
	n, is := integerOK(obj, "status", "status")
	if !is || n < 0 || n > 5 {
		return nothing()
	}
	return say([]model.Health{undefined, inProgress, inProgress, ok, failed, failed}[n],
		[]string{"not present", "being updated", "being reconciled", "", "error", "action required"}[n])
}

// istioConfig judges all kinds of the groups *.istio.io that configure the mesh.
var istioConfig = judge(func(obj map[string]any) (model.HealthFacet, bool) {
	for _, m := range objects(obj, "status", "validationMessages") {
		if str(m, "level") == "ERROR" {
			return say(failed, istioMessage(m))
		}
	}
	return nothing()
}, when("Healthy", no).is(failed), // of WorkloadEntries
	when("Reconciled", no).is(inProgress), otherwise(ok, ""))

func istioMessage(m map[string]any) string {
	text := str(m, "type", "code")
	if name := str(m, "type", "name"); name != "" {
		text += " " + name
	}
	if url := str(m, "documentationUrl"); url != "" {
		text += ", see " + url
	}
	return text
}

func istioGroup(string) check { return istioConfig }
