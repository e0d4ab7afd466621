package health

// Knative, https://knative.dev/docs/reference/api/: Ready sums up the others, and
// is Unknown while they settle. Conditions that matter less have a severity of
// their own, so the others are not looked at.
var knativeKind = judge(stale, ready)

var knative = map[string]family{
	"serving.knative.dev": {
		"Service": knativeKind, "Route": knativeKind, "Configuration": knativeKind, "DomainMapping": knativeKind,
		"Revision": knativeKind,
	},
	"autoscaling.internal.knative.dev": {"PodAutoscaler": judge(stale, when("Ready", no).because("NoTraffic").is(ok), ready)},
	"eventing.knative.dev":             {"Broker": knativeKind, "Trigger": knativeKind, "EventType": knativeKind, "EventPolicy": knativeKind},
	"messaging.knative.dev":            {"Channel": knativeKind, "Subscription": knativeKind, "InMemoryChannel": knativeKind, "KafkaChannel": knativeKind},
	"flows.knative.dev":                {"Parallel": knativeKind, "Sequence": knativeKind},
	"sources.knative.dev": {"ApiServerSource": knativeKind, "ContainerSource": knativeKind, "PingSource": knativeKind,
		"SinkBinding": knativeKind, "KafkaSource": knativeKind},
	// While it installs, and whenever a deployment restarts, the operator says
	// False: that passes.
	"operator.knative.dev": {"KnativeServing": knativeInstall, "KnativeEventing": knativeInstall},
}

var knativeInstall = judge(stale, when("InstallSucceeded", no).is(failed), anyCondition(unknown, inProgress), conditionOK("Ready"))
