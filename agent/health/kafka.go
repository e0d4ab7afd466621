package health

import "github.com/hawser-dev/hawser/shared/model"

// Kafka and what is around it, by three operators.
var kafka = map[string]family{
	"kafka.strimzi.io": { // https://strimzi.io/docs/operators/latest/configuring
		"Kafka": strimzi, "KafkaTopic": strimzi, "KafkaUser": strimzi, "KafkaConnect": strimzi,
		"KafkaConnector": judge(strimziTroubles, failedConnector, conditionOK("Ready")),
		"KafkaBridge":    strimzi, "KafkaMirrorMaker": strimzi, "KafkaMirrorMaker2": strimzi,
		// Pools have conditions only when something is wrong.
		"KafkaNodePool": judge(stale, when("NotReady", yes).is(failed), otherwise(ok, "")),
		// A rebalance that waits for approval waits for people.
		"KafkaRebalance": judge(when("NotReady", yes).is(failed), when("ProposalReady", yes).is(paused), when("ReconciliationPaused", yes).is(paused),
			when("Stopped", yes).is(paused), when("Ready", yes).is(ok)),
	},
	"core.strimzi.io": {"StrimziPodSet": judge(stale, when("Error", yes).is(failed), numbers("status.readyPods", "status.pods", "pods are ready"))},
	"kafka.banzaicloud.io": {
		"KafkaCluster": judge(word("status.state", words{"ClusterRollingUpgrading": inProgress}), banzaiBrokers,
			word("status.state", words{"ClusterRunning": ok, "*": inProgress})),
		"KafkaTopic": judge(word("status.state", words{"created": ok})),
		"KafkaUser":  judge(word("status.state", words{"created": ok})),
	},
	"platform.confluent.io": {
		"Kafka": confluent, "Connect": confluent, "ControlCenter": confluent, "KsqlDB": confluent, "SchemaRegistry": confluent,
		"Zookeeper": confluent, "KRaftController": confluent, "KafkaRestProxy": confluent,
		"Connector":  judge(confluentConnector),
		"KafkaTopic": judge(word("status.state", words{"CREATED": ok, "SUCCEEDED": ok, "ERROR": failed, "FAILED": failed, "*": inProgress})),
		"Schema":     judge(word("status.state", words{"CREATED": ok, "SUCCEEDED": ok, "ERROR": failed, "FAILED": failed, "*": inProgress})),
	},
}

var (
	strimziTroubles = steps(when("ReconciliationPaused", yes).is(paused), stale, when("NotReady", yes).because("Creating").is(inProgress),
		when("NotReady", yes).is(failed))
	strimzi   = judge(strimziTroubles, conditionOK("Ready"))
	confluent = judge(word("status.phase", words{"RUNNING": ok, "FAILED": failed, "ERROR": failed, "*": inProgress}))
)

// failedConnector reads what Kafka Connect answered. Older versions of Strimzi
// call a connector ready that has been made, whatever became of it.
func failedConnector(obj map[string]any) (model.HealthFacet, bool) {
	if str(obj, "status", "connectorStatus", "connector", "state") == "FAILED" {
		return say(failed, "the connector failed")
	}
	n := int64(0)
	for _, t := range objects(obj, "status", "connectorStatus", "tasks") {
		if str(t, "state") == "FAILED" {
			n++
		}
	}
	if n > 0 {
		return say(failed, itoa(n)+" tasks failed")
	}
	return nothing()
}

// banzaiBrokers: a broker is well when it has its configuration and Cruise
// Control has moved what it had to.
func banzaiBrokers(obj map[string]any) (model.HealthFacet, bool) {
	brokers, _ := at(obj, "status", "brokersState").(map[string]any)
	for _, id := range sortedKeys(brokers) {
		b, _ := brokers[id].(map[string]any)
		moved := str(b, "gracefulActionState", "cruiseControlState")
		if str(b, "configurationState") != "ConfigInSync" || moved != "GracefulUpscaleSucceeded" && moved != "GracefulDownscaleSucceeded" {
			return say(failed, "broker "+id+" has not its configuration, or is not balanced")
		}
	}
	if len(brokers) == 0 {
		return say(inProgress, "no broker yet")
	}
	if topic := str(obj, "status", "cruiseControlTopicStatus"); topic != "CruiseControlTopicReady" {
		return say(inProgress, "Cruise Control is not ready yet")
	}
	return nothing()
}

func confluentConnector(obj map[string]any) (model.HealthFacet, bool) {
	if str(obj, "status", "state") == "ERROR" {
		for _, c := range conditions(obj) {
			return say(failed, c.text())
		}
		return say(failed, explained(obj, "ERROR"))
	}
	if n := integer(obj, "status", "failedTasksCount"); n > 0 {
		return say(failed, itoa(n)+" tasks failed")
	}
	switch str(obj, "status", "connectorState") {
	case "RUNNING":
		return say(ok, "")
	case "PAUSED":
		return say(paused, "the connector is paused")
	case "FAILED":
		return say(failed, "the connector failed")
	}
	return nothing()
}
