package health

import (
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// What watches over others: the Prometheus operator
// (https://prometheus-operator.dev/docs/api-reference/api/), VictoriaMetrics,
// Grafana, OpenTelemetry, Jaeger, Datadog and the like.
var observability = map[string]family{
	"monitoring.coreos.com": {
		"Prometheus":         prometheus,
		"PrometheusAgent":    prometheus,
		"Alertmanager":       prometheus,
		"ThanosRuler":        prometheus,
		"PrometheusRule":     prometheusBound,
		"ServiceMonitor":     prometheusBound,
		"PodMonitor":         prometheusBound,
		"Probe":              prometheusBound,
		"ScrapeConfig":       prometheusBound,
		"AlertmanagerConfig": prometheusBound,
	},
	"grafana.integreatly.org": {
		"Grafana": judge(word("status.stageStatus", words{"failed": failed}),
			only(has("status.stageStatus"), stageComplete("status.stage", "complete", "status.stageStatus", "success"), otherwise(inProgress, "not complete yet"))),
		"GrafanaDashboard": judge(anyCondition(no, failed), anyCondition(yes, ok)),
		"GrafanaFolder":    judge(anyCondition(no, failed), anyCondition(yes, ok)),
		"GrafanaDatasource": judge(flag("status.NoMatchingInstances", failed, "no Grafana instance matches"),
			anyCondition(no, failed), only(has("status.uid"), otherwise(ok, "")), anyCondition(yes, ok)),
		"GrafanaAlertRuleGroup": judge(anyCondition(no, failed), anyCondition(yes, ok)),
		"GrafanaContactPoint":   judge(anyCondition(no, failed), anyCondition(yes, ok)),
	},
	"opentelemetry.io": {
		"OpenTelemetryCollector": judge(telemetryReplicas, only(has("status"), word("spec.mode", words{"sidecar": ok}))),
		"Instrumentation":        exists,
	},
	"jaegertracing.io": {"Jaeger": judge(word("status.phase", words{"Running": ok, "Failed": failed}))},
	"datadoghq.com": {
		"DatadogMetric": judge(when("Error", yes).is(failed), when("Valid", no).is(failed), otherwise(ok, "")),
		// The agent's own operator: the last condition of reconciling.
		"DatadogAgent":   judge(when("DatadogAgentReconcileError", yes).is(failed), when("AgentReconcileError", yes).is(failed), otherwise(ok, "")),
		"DatadogMonitor": judge(when("Error", yes).is(failed), otherwise(ok, "")),
	},
	"coralogix.com": {
		"Alert":                 judge(condition3("RemoteSynced")),
		"RecordingRuleGroupSet": judge(condition3("RemoteSynced")),
		"RuleGroup":             judge(condition3("RemoteSynced")),
	},
	"loki.grafana.com": {
		"LokiStack": judge(when("Failed", yes).is(failed), when("Degraded", yes).is(failed), when("Pending", yes).is(inProgress), conditionOK("Ready")),
	},
	"tempo.grafana.com": {
		"TempoStack":      judge(when("Failed", yes).is(failed), when("ConfigurationError", yes).is(failed), when("Pending", yes).is(inProgress), conditionOK("Ready")),
		"TempoMonolithic": judge(when("Failed", yes).is(failed), when("ConfigurationError", yes).is(failed), when("Pending", yes).is(inProgress), conditionOK("Ready")),
	},
	"metrics.keptn.sh": {
		"KeptnMetric": judge(word("status.errMsg", words{"*": failed}), only(has("status.value"), otherwise(ok, ""))),
		// An analysis that passes with warnings passes.
		"Analysis": judge(flag("status.pass", ok, ""), flag("status.warning", ok, ""), unset("status.pass", failed, "the analysis did not pass")),
	},
	"lifecycle.keptn.sh": {
		"KeptnAppVersion":       judge(word("status.status", words{"Succeeded": ok, "Failed": failed, "*": inProgress})),
		"KeptnTask":             judge(word("status.status", words{"Succeeded": ok, "Failed": failed, "*": inProgress})),
		"KeptnWorkloadInstance": judge(word("status.status", words{"Succeeded": ok, "Failed": failed, "*": inProgress})),
		"KeptnWorkloadVersion":  judge(word("status.status", words{"Succeeded": ok, "Failed": failed, "*": inProgress})),
		"KeptnEvaluation":       judge(word("status.overallStatus", words{"Succeeded": ok, "Failed": failed, "*": inProgress})),
	},
}

var (
	// Condition Available of the Prometheus operator has a fourth status,
	// Degraded: some pods are not ready.
	prometheus = judge(suspended("spec.paused"),
		staleCondition("Available", "Reconciled"),
		when("Reconciled", no).is(failed),
		when("Available", yes).is(ok),
		when("Available", "Degraded").because("SomePodsNotReady").is(inProgress),
		when("Available", no).because("SomePodsNotReady").is(inProgress),
		when("Available", "Degraded").is(failed),
		when("Available", no).is(failed),
		when("Available", unknown).is(inProgress))

	// prometheusBound: newer operators say of each workload that uses a
	// configuration whether it was accepted; older ones say nothing.
	prometheusBound = judge(func(obj map[string]any) (model.HealthFacet, bool) {
		for _, b := range objects(obj, "status", "bindings") {
			for _, c := range conditionsAt(obj, b, "conditions") {
				if c.typ == "Accepted" && c.is(no) {
					return say(failed, str(b, "name")+" does not accept it: "+c.text())
				}
			}
		}
		return say(ok, "")
	})

	victoriaMetrics = judge(stale, word("status.updateStatus", words{"operational": ok, "expanding": inProgress, "paused": paused, "failed": failed, "*": inProgress}))
)

func victoriaMetricsGroup(string) check { return victoriaMetrics }

// stageComplete: two words have their last values.
func stageComplete(path1, word1, path2, word2 string) step {
	p1, p2 := dotted(path1), dotted(path2)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		if str(obj, p1...) == word1 && str(obj, p2...) == word2 {
			return say(ok, "")
		}
		return nothing()
	}
}

// telemetryReplicas reads "ready/wanted".
func telemetryReplicas(obj map[string]any) (model.HealthFacet, bool) {
	text := str(obj, "status", "scale", "statusReplicas")
	if text == "" {
		return nothing()
	}
	a, b, _ := strings.Cut(text, "/")
	have, err1 := strconv.Atoi(a)
	want, err2 := strconv.Atoi(b)
	switch {
	case err1 != nil || err2 != nil:
		return say(inProgress, "the status says "+strconv.Quote(text)+" replicas")
	case want == 0 && str(obj, "spec", "mode") == "daemonset": // no node is eligible
		return say(ok, "")
	case have == 0:
		return say(failed, "no replica is ready")
	case have < want:
		return say(inProgress, text+" replicas are ready")
	}
	return say(ok, "")
}
