package health

import "github.com/hawser-dev/hawser/shared/model"

// Policies and those who enforce them. That something violates a policy is not
// the health of the policy, except where finding it is all that it does.
var policies = map[string]family{
	"kyverno.io": { // https://kyverno.io/docs/
		"Policy": kyverno, "ClusterPolicy": kyverno, "CleanupPolicy": exists, "ClusterCleanupPolicy": exists,
		"PolicyException": exists, "UpdateRequest": judge(word("status.state", words{"Completed": ok, "Failed": failed, "Skip": ok, "*": inProgress})),
		"GlobalContextEntry": kyverno,
	},
	"policies.kyverno.io": {"ValidatingPolicy": kyvernoNew, "ImageValidatingPolicy": kyvernoNew, "MutatingPolicy": kyvernoNew, "GeneratingPolicy": kyvernoNew,
		"DeletingPolicy": kyvernoNew, "PolicyException": exists},
	"wgpolicyk8s.io": {"PolicyReport": exists, "ClusterPolicyReport": exists},
	"templates.gatekeeper.sh": { // https://open-policy-agent.github.io/gatekeeper/website/docs/
		"ConstraintTemplate": judge(gatekeeperErrors, flag("status.created", ok, ""), unset("status.created", inProgress, "the constraint is not created yet")),
	},
	"config.gatekeeper.sh": {"Config": exists},
	"policies.kubewarden.io": {"PolicyServer": judge(anyCondition(no, failed), anyCondition(yes, ok)),
		"ClusterAdmissionPolicy": kubewarden, "AdmissionPolicy": kubewarden, "ClusterAdmissionPolicyGroup": kubewarden, "AdmissionPolicyGroup": kubewarden},
	"policy.open-cluster-management.io": {
		"Policy":              judge(flag("spec.disabled", ok, ""), word("status.compliant", words{"Compliant": ok, "*": failed}), only(notEmpty("status.placement"), otherwise(ok, ""))),
		"CertificatePolicy":   judge(word("status.compliant", words{"Compliant": ok, "*": failed})),
		"ConfigurationPolicy": judge(evaluatedGeneration, word("status.compliant", words{"Compliant": ok, "*": failed})),
		"OperatorPolicy":      judge(stale, condition3("Compliant")),
	},
}

var (
	kyverno = judge(when("Ready", yes).is(ok), when("Ready", no).because("Failed").is(failed), conditionOK("Ready"),
		flag("status.ready", ok, ""), unset("status.ready", inProgress, "not ready yet")) // until version 1.8
	kyvernoNew = judge(flag("status.conditionStatus.ready", ok, ""),
		unset("status.conditionStatus.ready", inProgress, "not ready yet"), conditionOK("Ready"))
	kubewarden = judge(word("status.policyStatus", words{"active": ok, "unschedulable": failed, "*": inProgress}))
	// Constraints are kinds that users make, one for each template.
	gatekeeperConstraint = judge(gatekeeperErrors, gatekeeperEnforced)
)

func gatekeeperGroup(string) check { return gatekeeperConstraint }

// gatekeeperErrors: each pod of Gatekeeper says what it cannot do.
func gatekeeperErrors(obj map[string]any) (model.HealthFacet, bool) {
	for _, pod := range objects(obj, "status", "byPod") {
		for _, e := range objects(pod, "errors") {
			return say(failed, str(pod, "id")+": "+str(e, "message"))
		}
	}
	return nothing()
}

func gatekeeperEnforced(obj map[string]any) (model.HealthFacet, bool) {
	pods := objects(obj, "status", "byPod")
	for _, pod := range pods {
		if integer(pod, "observedGeneration") < integer(obj, "metadata", "generation") {
			return say(inProgress, waitingForController)
		}
		if !boolean(pod, "enforced") {
			return say(inProgress, str(pod, "id")+" does not enforce it yet")
		}
	}
	if len(pods) == 0 {
		return nothing()
	}
	return say(ok, "")
}

func evaluatedGeneration(obj map[string]any) (model.HealthFacet, bool) {
	if n, is := integerOK(obj, "status", "lastEvaluatedGeneration"); is && n < integer(obj, "metadata", "generation") {
		return say(inProgress, waitingForController)
	}
	return nothing()
}
