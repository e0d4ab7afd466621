package health

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Databases, caches, queues and search.
var databases = map[string]family{
	"postgresql.cnpg.io": { // https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/
		"Cluster": judge(annotated("cnpg.io/reconciliationLoop", "disabled", paused), when("cnpg.io/hibernation", yes).is(paused),
			when("cnpg.io/hibernation", no).because("DeletingPods", "WaitingPodsDeletion").is(inProgress),
			when("cnpg.io/hibernation", no).is(failed), word("status.phase", cnpgPhases)),
		"Pooler":              judge(numbers("status.instances", "spec.instances", "instances")),
		"Backup":              judge(word("status.phase", words{"completed": ok, "failed": failed, "walArchivingFailing": failed, "*": inProgress})),
		"ScheduledBackup":     judge(suspended("spec.suspend"), otherwise(ok, "")),
		"Database":            cnpgApplied,
		"Publication":         cnpgApplied,
		"Subscription":        cnpgApplied,
		"ImageCatalog":        exists,
		"ClusterImageCatalog": exists,
	},
	// https://github.com/zalando/postgres-operator/blob/master/pkg/apis/acid.zalan.do/v1/const.go
	"acid.zalan.do": {"postgresql": judge(word("status.PostgresClusterStatus", words{"Running": ok, "Creating": inProgress, "Updating": inProgress, "*": failed}))},
	"postgres-operator.crunchydata.com": {"PostgresCluster": judge(stale, suspended("spec.shutdown"), suspended("spec.paused"),
		when("PersistentVolumeResizing", yes).is(inProgress), crunchyInstances)},
	"k8s.mariadb.com": {
		"MariaDB":  judge(suspended("spec.suspend"), mariadb),
		"MaxScale": judge(suspended("spec.suspend"), mariadb),
		"Backup":   judge(mariadb),
		"Restore":  judge(mariadb),
		"Database": judge(ready), "User": judge(ready), "Grant": judge(ready), "Connection": judge(ready),
		"SqlJob": judge(when("Complete", yes).because("JobFailed").is(failed), when("Failed", yes).is(failed), when("Complete", yes).is(ok)),
	},
	"mariadb.mmontes.io": {"MariaDB": judge(mariadb)},
	"pxc.percona.com": {
		"PerconaXtraDBCluster":       percona,
		"PerconaXtraDBClusterBackup": judge(word("status.state", words{"Succeeded": ok, "Failed": failed, "*": inProgress})),
	},
	"psmdb.percona.com": {
		"PerconaServerMongoDB":       percona,
		"PerconaServerMongoDBBackup": judge(word("status.state", words{"ready": ok, "error": failed, "rejected": failed, "*": inProgress})),
	},
	"ps.percona.com":               {"PerconaServerMySQL": percona},
	"pgv2.percona.com":             {"PerconaPGCluster": percona},
	"mongodbcommunity.mongodb.com": {"MongoDBCommunity": judge(word("status.phase", words{"Running": ok, "Failed": failed, "*": inProgress}))},
	"mongodb.com":                  {"MongoDB": judge(stale, word("status.phase", words{"Running": ok, "Failed": failed, "*": inProgress})), "MongoDBOpsManager": judge(word("status.opsManager.phase", words{"Running": ok, "Failed": failed, "*": inProgress}))},
	"mysql.oracle.com":             {"InnoDBCluster": judge(word("status.cluster.status", words{"ONLINE": ok, "ONLINE_PARTIAL": failed, "ONLINE_UNCERTAIN": failed, "OFFLINE": failed, "NO_QUORUM": failed, "SPLIT_BRAIN": failed, "INVALID": failed, "*": inProgress}))},
	"pingcap.com":                  {"TidbCluster": judge(suspended("spec.paused"), conditionOK("Ready"))},
	"scylla.scylladb.com": {"ScyllaCluster": judge(stale, when("Degraded", yes).is(failed), when("Progressing", yes).is(inProgress), conditionOK("Available"),
		only(has("status"), otherwise(ok, "")))}, // older versions have no conditions
	"cassandra.datastax.com": {"CassandraDatacenter": judge(stale, suspended("spec.stopped"), when("Valid", no).is(failed), when("Stopped", yes).is(paused), when("Updating", yes).is(inProgress),
		conditionOK("Ready"))},
	"cassandra.rook.io":              {"Cluster": judge(cassandraRacks)},
	"clickhouse.altinity.com":        {"ClickHouseInstallation": altinity, "ClickHouseInstallationTemplate": exists},
	"clickhouse-keeper.altinity.com": {"ClickHouseKeeperInstallation": altinity},
	"databases.spotahome.com": {
		// It reports nothing but that it exists; newer versions have a state.
		"RedisFailover": judge(word("status.state", words{"Healthy": ok, "NotHealthy": failed, "*": inProgress}), otherwise(ok, "")),
	},
	"redis.redis.opstreelabs.in": {
		"Redis":            exists,
		"RedisReplication": exists,
		"RedisSentinel":    exists,
		"RedisCluster":     judge(word("status.state", words{"Ready": ok, "Failed": failed, "*": inProgress}), otherwise(ok, "")),
	},
	"app.redislabs.com": {
		"RedisEnterpriseCluster":  judge(word("status.state", words{"Running": ok, "Error": failed, "InvalidUpgrade": failed, "Invalid": failed, "*": inProgress})),
		"RedisEnterpriseDatabase": judge(word("status.status", words{"active": ok, "creation-failed": failed, "*": inProgress})),
	},
	"dragonflydb.io": {"Dragonfly": judge(word("status.phase", words{"ready": ok, "Ready": ok, "*": inProgress}))},
	"minio.min.io":   {"Tenant": judge(minioState)},
	"rabbitmq.com": { // https://www.rabbitmq.com/kubernetes/operator/using-operator
		"RabbitmqCluster": judge(when("ReconcileSuccess", no).is(failed), when("ClusterAvailable", no).is(inProgress), when("ClusterAvailable", unknown).is(inProgress),
			when("AllReplicasReady", no).is(inProgress), when("AllReplicasReady", unknown).is(inProgress),
			only(func(obj map[string]any) bool { return conditionOf(obj, "ClusterAvailable").is(yes) }, when("AllReplicasReady", yes).is(ok))),
		"Binding": rabbitTopology, "Exchange": rabbitTopology, "Permission": rabbitTopology, "Policy": rabbitTopology, "Queue": rabbitTopology,
		"Shovel": rabbitTopology, "User": rabbitTopology, "Vhost": rabbitTopology, "Federation": rabbitTopology, "SchemaReplication": rabbitTopology,
		"TopicPermission": rabbitTopology, "OperatorPolicy": rabbitTopology, "SuperStream": rabbitTopology,
	},
	// Elastic Cloud on Kubernetes, https://www.elastic.co/guide/en/cloud-on-k8s/current/k8s-api-reference.html
	"elasticsearch.k8s.elastic.co": {"Elasticsearch": judge(stale, word("status.phase", words{"Invalid": failed, "ApplyingChanges": inProgress, "MigratingData": inProgress}),
		elasticNodes, elasticHealth)},
	"kibana.k8s.elastic.co":           {"Kibana": elastic},
	"apm.k8s.elastic.co":              {"ApmServer": elastic},
	"agent.k8s.elastic.co":            {"Agent": elastic},
	"beat.k8s.elastic.co":             {"Beat": elastic},
	"logstash.k8s.elastic.co":         {"Logstash": elastic},
	"enterprisesearch.k8s.elastic.co": {"EnterpriseSearch": elastic},
	"maps.k8s.elastic.co":             {"ElasticMapsServer": elastic},
	"opensearch.opster.io":            {"OpenSearchCluster": judge(word("status.phase", words{"RUNNING": ok, "*": inProgress}))},
	"solr.apache.org":                 {"SolrCloud": judge(solrNodes)},
	"zookeeper.pravega.io":            {"ZookeeperCluster": judge(zookeeper)},
	"db.atlasgo.io": { // https://atlasgo.io/integrations/kubernetes
		"AtlasSchema": judge(when("Ready", no).because("Reconciling", "GettingDevDB").is(inProgress),
			reasonInMessage("Ready", "Reconciling", "GettingDevDB"), ready),
		"AtlasMigration": judge(when("Ready", no).because("Reconciling", "GettingDevDB", "ApprovalPending").is(inProgress), ready),
	},
}

// cnpgPhases are the phases of CloudNativePG that end in something else by
// themselves, and those that need people. A phase that is not known here is
// newer than this table.
var cnpgPhases = words{
	"Cluster in healthy state":                                 ok,
	"Setting up primary":                                       inProgress,
	"Creating a new replica":                                   inProgress,
	"Creating primary instance":                                inProgress,
	"Upgrading cluster":                                        inProgress,
	"Upgrading Postgres major version":                         inProgress,
	"Online upgrade in progress":                               inProgress,
	"Waiting for the instances to become active":               inProgress,
	"Promoting to primary cluster":                             inProgress,
	"Switchover in progress":                                   inProgress,
	"Applying configuration":                                   inProgress,
	"Primary instance is being restarted in-place":             inProgress,
	"Primary instance is being restarted without a switchover": inProgress,
	"Failing over":                                             failed,
	"Cluster upgrade delayed":                                  paused, // an upgrade that a policy holds back
	"Waiting for user action":                                  failed,
	"Not enough disk space":                                    failed,
	"Unable to create required cluster objects":                failed,
	"Cluster is unrecoverable and needs manual intervention":   failed,
	"Cluster has incomplete or invalid image catalog":          failed,
	"Cluster cannot proceed to reconciliation due to an unknown plugin being required":        failed,
	"Cluster cannot execute instance online upgrade due to missing architecture binary":       failed,
	"Cluster cannot proceed to reconciliation due to an error while interacting with plugins": failed,
	"*": undefined,
}

var (
	cnpgApplied    = judge(stale, flag("status.applied", ok, ""), only(has("status.applied"), word("status.message", words{"*": failed}), otherwise(failed, "not applied")))
	altinity       = judge(word("status.status", words{"Completed": ok, "InProgress": inProgress, "Aborted": failed, "*": failed}))
	rabbitTopology = judge(ready, otherwise(undefined, "the operator says nothing of it"))
	// Percona: a paused cluster has been shut down by those who own it.
	percona = judge(word("status.state", words{"ready": ok, "initializing": inProgress, "stopping": inProgress, "paused": paused, "error": failed, "*": undefined}))
	elastic = judge(stale, elasticHealth)
	// Yellow is an index without all of its replicas, as after a restart.
	elasticHealth = word("status.health", words{"green": ok, "yellow": inProgress, "red": failed, "*": undefined})
)

// mariadb: any condition that is False is on its way to True, unless its reason
// says that it failed.
func mariadb(obj map[string]any) (model.HealthFacet, bool) {
	cs := conditions(obj)
	for _, c := range cs {
		if !c.is(no) {
			continue
		}
		if c.reason == "Failed" || c.message == "Failed" {
			return say(failed, c.text())
		}
		return say(inProgress, c.text())
	}
	if len(cs) == 0 {
		return nothing()
	}
	return say(ok, "")
}

// reasonInMessage is for controllers that put the reason in the message.
func reasonInMessage(typ string, passing ...string) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		c := conditionOf(obj, typ)
		if !c.is(no) || !contains(passing, c.message) {
			return nothing()
		}
		return say(inProgress, c.message)
	}
}

func minioState(obj map[string]any) (model.HealthFacet, bool) {
	state := str(obj, "status", "currentState")
	switch {
	case state == "":
		return nothing()
	case state == "Initialized":
		return say(ok, "")
	case state == "Statefulset not controlled by operator", state == "Another MinIO Tenant already exists in the namespace",
		state == "Tenant credentials are not set properly", state == "Different versions across MinIO Pools",
		state == "Pool Decommissioning Not Allowed", strings.HasPrefix(state, "Error"):
		return say(failed, state)
	}
	return say(inProgress, state)
}

// elasticNodes: all nodes that were asked for are there.
func elasticNodes(obj map[string]any) (model.HealthFacet, bool) {
	have, known := integerOK(obj, "status", "availableNodes")
	if !known {
		return say(undefined, "the number of nodes is not known")
	}
	want := int64(0)
	for _, set := range objects(obj, "spec", "nodeSets") {
		want += integer(set, "count")
	}
	if have < want {
		return progressingStep("%d of %d nodes are available", have, want)
	}
	return nothing()
}

func crunchyInstances(obj map[string]any) (model.HealthFacet, bool) {
	sets := objects(obj, "status", "instances")
	for _, s := range sets {
		if have, want := integer(s, "readyReplicas"), integer(s, "replicas"); have < want {
			return progressingStep("instance set %s: %d of %d replicas are ready", str(s, "name"), have, want)
		}
	}
	if len(sets) == 0 {
		return nothing()
	}
	return say(ok, "")
}

func cassandraRacks(obj map[string]any) (model.HealthFacet, bool) {
	racks, _ := at(obj, "status", "racks").(map[string]any)
	for _, name := range sortedKeys(racks) {
		r, _ := racks[name].(map[string]any)
		if have, want := integer(r, "readyMembers"), integer(r, "members"); have < want {
			return progressingStep("rack %s: %d of %d members are ready", name, have, want)
		}
	}
	if racks == nil {
		return nothing()
	}
	return say(ok, "")
}

func solrNodes(obj map[string]any) (model.HealthFacet, bool) {
	nodes := objects(obj, "status", "solrNodes")
	for _, n := range nodes {
		if !boolean(n, "ready") {
			return say(inProgress, "node "+str(n, "name")+" is not ready")
		}
	}
	if at(obj, "status", "solrNodes") == nil {
		return nothing()
	}
	return say(ok, "")
}

func zookeeper(obj map[string]any) (model.HealthFacet, bool) {
	have, want := integer(obj, "status", "readyReplicas"), integer(obj, "status", "replicas")
	if have == 0 || have < want {
		return progressingStep("%d of %d nodes have joined the ensemble", have, want)
	}
	return say(ok, "")
}
