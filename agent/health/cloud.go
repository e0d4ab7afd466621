package health

import "github.com/hawser-dev/hawser/shared/model"

// Resources of clouds and of services, by controllers that have a kind for each
// of them.
var cloud = map[string]family{
	"services.cloud.sap.com": {"ServiceInstance": sapService, "ServiceBinding": sapService},
	"iammanager.keikoproj.io": {"Iamrole": judge(word("status.state", words{"Ready": ok, "Error": failed, "RolesMaxLimitReached": failed,
		"PolicyNotAllowed": failed, "RoleNameNotAvailable": failed, "*": inProgress}))},
	"core.humio.com": {
		"HumioCluster": judge(word("status.state", words{"Running": ok, "ConfigError": failed, "Unknown": undefined, "*": inProgress})),
		"HumioAction":  humio, "HumioAlert": humio, "HumioIngestToken": humio, "HumioParser": humio, "HumioRepository": humio, "HumioView": humio,
	},
	"apps.3scale.net": {"APIManager": judge(threescaleDeployments, when("Available", yes).is(ok), when("Available", no).is(failed))},
	"capabilities.3scale.net": {
		"ActiveDoc": threescale, "ApplicationAuth": threescale, "Backend": threescale, "CustomPolicyDefinition": threescale, "DeveloperAccount": threescale,
		"DeveloperUser": judge(word("status.developerUserState", words{"suspended": paused}), threescaleSteps),
		"OpenAPI":       threescale, "Product": threescale, "ProxyConfigPromote": threescale,
		"Application": judge(word("status.state", words{"suspended": paused}), when("Ready", yes).is(ok),
			only(not(has("status.applicationID")), only(not(has("status.adminId")), when("Ready", no).is(failed))), conditionOK("Ready")),
		"Tenant": judge(when("Ready", no).is(failed), only(has("status.tenantId"), only(has("status.adminId"), when("Ready", yes).is(ok))), conditionTime("Ready")),
	},
	"elbv2.k8s.aws": {"TargetGroupBinding": exists, "IngressClassParams": exists},
}

var (
	// Config Connector of Google Cloud: the reason of condition Ready says it all,
	// https://cloud.google.com/config-connector/docs/concepts/resources#conditions.
	configConnector = judge(stale,
		whenReason("Ready", "UpdateFailed", failed),
		whenReason("Ready", "DependencyNotFound", failed),
		whenReason("Ready", "DependencyInvalid", failed),
		whenReason("Ready", "DependencyNotReady", paused),
		whenReason("Ready", "ManagementConflict", failed),
		flag("status.healthy", ok, ""), unset("status.healthy", failed, "not healthy"),
		conditionOK("Ready"))

	// AWS Controllers for Kubernetes, https://aws-controllers-k8s.github.io/community/docs/:
	// Terminal needs people, Recoverable passes.
	awsController = judge(when("ACK.Terminal", yes).is(failed), when("ACK.Recoverable", yes).is(inProgress), conditionOK("Ready"),
		conditionOK("ACK.ResourceSynced"))

	// Azure Service Operator, https://azure.github.io/azure-service-operator/design/resource-states/.
	azureOperator = judge(func(obj map[string]any) (model.HealthFacet, bool) {
		for _, c := range objects(obj, "status", "conditions") {
			if str(c, "type") == "Ready" && str(c, "status") == no && str(c, "severity") == "Error" {
				return say(failed, readCondition(obj, c).text())
			}
		}
		return nothing()
	}, staleCondition("Ready"), conditionOK("Ready"))

	sapService = judge(staleCondition("Succeeded", "Failed", "Ready"), when("Failed", yes).is(failed), when("Succeeded", no).is(failed),
		anyCondition(yes, ok), anyCondition(no, ok))

	// NotFound is Humio's word for what it has not created yet or what somebody
	// took away there.
	humio = judge(word("status.state", words{"Exists": ok, "NotFound": model.HealthMissing, "ConfigError": failed, "Unknown": undefined, "*": inProgress}))

	threescaleSteps = steps(when("Failed", yes).is(failed), when("Invalid", yes).is(failed), when("Orphan", yes).is(failed),
		when("Waiting", yes).is(paused), when("In-progress", yes).is(inProgress), when("Ready", yes).is(ok), when("Synced", yes).is(ok))
	threescale = judge(threescaleSteps)

	readyGroup = judge(stale, ready)
)

func configConnectorGroup(string) check { return configConnector }
func awsGroup(string) check             { return awsController }
func azureGroup(string) check           { return azureOperator }
func conditionReadyGroup(string) check  { return readyGroup }

// conditionTime: True alone is not enough yet.
func conditionTime(typ string) step {
	return steps(when(typ, yes).is(inProgress), conditionOK(typ))
}

func threescaleDeployments(obj map[string]any) (model.HealthFacet, bool) {
	d, _ := at(obj, "status", "deployments").(map[string]any)
	if d == nil {
		return nothing()
	}
	if len(list(d, "ready")) == 0 || len(list(d, "starting")) > 0 || len(list(d, "stopped")) > 0 {
		if conditionOf(obj, "Available").is(yes) {
			return nothing()
		}
		return say(inProgress, "not all deployments are ready")
	}
	return say(ok, "")
}
