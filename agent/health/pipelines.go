package health

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// What runs jobs, models and streams.
var pipelines = map[string]family{
	"tekton.dev": { // https://tekton.dev/docs/pipelines/pipelineruns/#monitoring-execution-status
		"PipelineRun": tektonRun, "TaskRun": tektonRun, "CustomRun": tektonRun, "Run": tektonRun,
		"Pipeline": exists, "Task": exists, "ClusterTask": exists, "StepAction": exists, "VerificationPolicy": exists,
	},
	"triggers.tekton.dev": {"EventListener": judge(condition3("Ready"), condition3("Available")), "Trigger": exists,
		"TriggerBinding": exists, "ClusterTriggerBinding": exists, "TriggerTemplate": exists, "Interceptor": exists, "ClusterInterceptor": exists},
	"operator.tekton.dev": {"TektonConfig": judge(ready), "TektonPipeline": judge(ready), "TektonTrigger": judge(ready), "TektonDashboard": judge(ready),
		"TektonChain": judge(ready), "TektonResult": judge(ready), "TektonHub": judge(ready), "TektonAddon": judge(ready)},
	"sparkoperator.k8s.io": {
		"SparkApplication":          judge(spark),
		"ScheduledSparkApplication": judge(suspended("spec.suspend"), word("status.scheduleState", words{"Scheduled": ok, "FailedValidation": failed, "*": inProgress})),
	},
	"ray.io": { // https://docs.ray.io/en/latest/cluster/kubernetes/
		"RayCluster": judge(stale, when("RayClusterSuspended", yes).is(paused), word("status.state", words{"suspended": paused, "failed": failed, "unhealthy": failed}),
			when("ReplicaFailure", yes).is(failed), word("status.state", words{"ready": ok, "*": inProgress}), conditionOK("RayClusterProvisioned")),
		"RayJob": judge(word("status.jobDeploymentStatus", words{"Suspended": paused, "Failed": failed, "ValidationFailed": failed}),
			word("status.jobStatus", words{"SUCCEEDED": ok, "FAILED": failed, "STOPPED": paused}), word("status.jobDeploymentStatus", words{"Complete": ok, "*": inProgress})),
		"RayService": judge(stale, conditionOK("Ready"), word("status.serviceStatus", words{"Running": ok, "FailedToGetServeDeploymentStatus": failed,
			"FailedServeDeploy": failed, "*": inProgress})),
	},
	"serving.kserve.io": {
		"InferenceService": judge(when("Stopped", yes).is(paused), stale, kserveModel, anyCondition(no, inProgress, "Stopped"), anyCondition(unknown, inProgress, "Stopped"), when("Ready", yes).is(ok)),
		"InferenceGraph":   judge(stale, ready),
		"TrainedModel":     judge(stale, conditionOK("Ready")),
		"ServingRuntime":   exists, "ClusterServingRuntime": exists, "ClusterStorageContainer": exists,
		"LLMInferenceService": judge(stale, conditionOK("Ready")),
	},
	"machinelearning.seldon.io": {"SeldonDeployment": judge(word("status.state", words{"Available": ok, "Creating": inProgress, "Failed": failed, "*": inProgress}))},
	"mlops.seldon.io": {"Model": judge(stale, ready), "Pipeline": judge(stale, ready), "Experiment": judge(stale, ready), "Server": judge(stale, ready),
		"SeldonRuntime": judge(stale, ready), "ServerConfig": exists},
	"kubeflow.org": {
		"PyTorchJob": trainingJob, "TFJob": trainingJob, "MPIJob": trainingJob, "XGBoostJob": trainingJob, "PaddleJob": trainingJob, "JAXJob": trainingJob,
		"Notebook": judge(only(func(obj map[string]any) bool { return annotation(obj, "kubeflow-resource-stopped") != "" }, otherwise(paused, "the notebook is stopped")),
			only(func(obj map[string]any) bool { return integer(obj, "status", "readyReplicas") > 0 }, otherwise(ok, ""))),
	},
	"trainer.kubeflow.org":     {"TrainJob": judge(when("Failed", yes).is(failed), when("Complete", yes).is(ok), when("Suspended", yes).is(paused))},
	"jobset.x-k8s.io":          {"JobSet": judge(when("Failed", yes).is(failed), when("Completed", yes).is(ok), when("Suspended", yes).is(paused))},
	"leaderworkerset.x-k8s.io": {"LeaderWorkerSet": judge(stale, when("Progressing", yes).is(inProgress), when("UpdateInProgress", yes).is(inProgress), conditionOK("Available"))},
	"batch.volcano.sh":         {"Job": judge(word("status.state.phase", words{"Completed": ok, "Failed": failed, "Aborted": failed, "Terminated": failed, "*": inProgress}))},
	"scheduling.volcano.sh": {"Queue": judge(word("status.state", words{"Open": ok, "Closed": paused, "*": inProgress})),
		"PodGroup": judge(word("status.phase", words{"Running": ok, "Completed": ok, "Unknown": undefined, "*": inProgress}))},
	"kueue.x-k8s.io": {"ClusterQueue": judge(word("spec.stopPolicy", words{"Hold": paused, "HoldAndDrain": paused}), condition3("Active")), "LocalQueue": judge(condition3("Active")),
		"AdmissionCheck": judge(condition3("Active")), "ResourceFlavor": exists},
	"flink.apache.org": {
		// A session cluster has no job; its JobManager is all there is.
		"FlinkDeployment": judge(word("status.jobManagerDeploymentStatus", words{"ERROR": failed}), word("status.jobStatus.state", words{"FAILED": failed}),
			word("status.lifecycleState", words{"STABLE": ok, "FAILED": failed, "SUSPENDED": paused}),
			flag("status.reconciliationStatus.success", ok, ""), word("status.reconciliationStatus.state", words{"DEPLOYED": ok}),
			word("status.jobManagerDeploymentStatus", words{"*": inProgress})),
		"FlinkSessionJob": judge(word("status.lifecycleState", words{"STABLE": ok, "FAILED": failed, "SUSPENDED": paused, "*": inProgress})),
	},
	"camel.apache.org": {"Integration": judge(stale, ready), "Pipe": judge(stale, ready), "KameletBinding": judge(stale, ready), "Kamelet": judge(stale, ready),
		"IntegrationPlatform": judge(word("status.phase", words{"Ready": ok, "Error": failed, "*": inProgress}))},
	"numaflow.numaproj.io": {
		"Pipeline": numaflow, "MonoVertex": numaflow, "Vertex": numaflow, "InterStepBufferService": numaflow,
	},
	"numaplane.numaproj.io": {
		"PipelineRollout": numaplane("PipelinePausingOrPaused"), "MonoVertexRollout": numaplane("MonoVertexPausingOrPaused"),
		"ISBServiceRollout": numaplane(""), "NumaflowControllerRollout": numaplane(""),
	},
	"openfaas.com": {"Function": judge(stale, when("Stalled", yes).is(failed), when("Ready", no).is(failed),
		only(func(obj map[string]any) bool { return integer(obj, "status", "replicas") == 0 }, when("Ready", yes).is(paused)), ready)},
	"core.spinkube.dev": {"SpinApp": judge(stale, when("Progressing", no).because("ProgressDeadlineExceeded").is(failed), when("Available", no).is(failed), when("Available", unknown).is(inProgress),
		less("status.readyReplicas", "spec.replicas", "replicas are ready"), spinProgress, when("Available", yes).is(ok))},
	"tower.ansible.com": {"AnsibleJob": judge(word("status.ansibleJobResult.status", words{"successful": ok, "failed": failed, "error": failed, "canceled": failed, "*": inProgress}))},
	"app.terraform.io": {"Workspace": judge(word("status.runStatus", words{"errored": failed, "canceled": failed, "force_canceled": failed}),
		only(has("status.workspaceID"), otherwise(ok, ""))),
		"Module":    judge(word("status.run.status", words{"applied": ok, "planned_and_finished": ok, "errored": failed, "canceled": failed, "*": inProgress})),
		"AgentPool": judge(only(has("status.agentPoolID"), otherwise(ok, "")))},
	"pulumi.com": {"Stack": judge(when("Stalled", yes).is(failed), word("status.lastUpdate.state", words{"failed": failed}), when("Reconciling", yes).is(inProgress), conditionOK("Ready"))},
}

var (
	// Succeeded is Unknown while it runs.
	tektonRun   = judge(condition3("Succeeded"))
	trainingJob = judge(when("Failed", yes).is(failed), when("Succeeded", yes).is(ok), when("Suspended", yes).is(paused))
)

func spinProgress(obj map[string]any) (model.HealthFacet, bool) {
	if c := conditionOf(obj, "Progressing"); c.is(yes) && c.reason != "NewReplicaSetAvailable" {
		return say(inProgress, c.text())
	}
	return nothing()
}

// kserveModel: the model is loaded by its own steps.
func kserveModel(obj map[string]any) (model.HealthFacet, bool) {
	state := str(obj, "status", "modelStatus", "transitionStatus")
	switch state {
	case "", "UpToDate":
		return nothing()
	case "InProgress":
		return say(inProgress, "the model is being loaded")
	}
	text := "the model: " + state
	if m := str(obj, "status", "modelStatus", "lastFailureInfo", "message"); m != "" {
		text += ": " + m
	}
	return say(failed, text)
}

// numaflow: paused pipelines do what they were told.
var numaflow = judge(stale, func(obj map[string]any) (model.HealthFacet, bool) {
	if labels, _ := at(obj, "metadata", "labels").(map[string]any); labels["numaplane.numaproj.io/progressive-result-state"] == "failed" {
		return say(failed, "the progressive upgrade failed")
	}
	return nothing()
}, word("status.phase", words{"Failed": failed}), anyCondition(no, failed),
	word("status.phase", words{"Running": ok, "Paused": ok, "Pausing": ok, "*": inProgress}))

// numaplane judges the rollouts around Numaflow's kinds.
func numaplane(pausing string) check {
	upgrading := func(obj map[string]any) (model.HealthFacet, bool) {
		if str(obj, "status", "upgradeInProgress") == "" && str(obj, "status", "phase") != "Pending" {
			return nothing()
		}
		return say(inProgress, "an upgrade is in progress")
	}
	return judge(stale,
		when("ProgressiveUpgradeSucceeded", no).is(failed),
		word("status.phase", words{"Failed": failed}),
		upgrading,
		when("ChildResourcesHealthy", no).because("Progressing").is(inProgress),
		when("ChildResourcesHealthy", no).because("PipelineFailed", "MonoVertexFailed", "ISBSvcFailed", "Failed", "Degraded").is(failed),
		only(func(map[string]any) bool { return pausing != "" }, when(pausing, yes).is(ok)),
		when("ChildResourcesHealthy", yes).is(ok),
		when("ChildResourcesHealthy", no).is(failed),
		only(has("status"), otherwise(undefined, "no condition says how it does")))
}

// spark: while an application runs, as many executors as it wants do. With
// dynamic allocation that is a range.
func spark(obj map[string]any) (model.HealthFacet, bool) {
	state := str(obj, "status", "applicationState", "state")
	reason := str(obj, "status", "applicationState", "errorMessage")
	if reason == "" {
		reason = strings.ToLower(state)
	}
	switch state {
	case "COMPLETED":
		return say(ok, "")
	case "FAILED", "SUBMISSION_FAILED", "FAILING":
		return say(failed, reason)
	case "SUSPENDED", "SUSPENDING":
		return say(paused, reason)
	case "RUNNING":
		running := int64(0)
		executors, _ := at(obj, "status", "executorState").(map[string]any)
		for _, s := range executors {
			if s == "RUNNING" {
				running++
			}
		}
		least, most := sparkExecutors(obj)
		if running < least || most >= 0 && running > most {
			return say(inProgress, itoa(running)+" executors are running")
		}
		return say(ok, "")
	case "":
		return nothing()
	}
	return say(inProgress, reason)
}

// sparkExecutors are how many executors an application wants; most is negative
// without a limit.
func sparkExecutors(obj map[string]any) (least, most int64) {
	least, most = 0, -1
	if d, _ := at(obj, "spec", "dynamicAllocation").(map[string]any); boolean(d, "enabled") {
		least = integer(d, "minExecutors")
		if n, is := integerOK(d, "maxExecutors"); is {
			most = n
		}
		return least, most
	}
	conf, _ := at(obj, "spec", "sparkConf").(map[string]any)
	for _, prefix := range []string{"spark.streaming.dynamicAllocation.", "spark.dynamicAllocation."} {
		if conf[prefix+"enabled"] != "true" {
			continue
		}
		if n, is := number(conf[prefix+"minExecutors"]); is {
			least = n
		}
		if n, is := number(conf[prefix+"maxExecutors"]); is {
			most = n
		}
		return least, most
	}
	if n, fixed := integerOK(obj, "spec", "executor", "instances"); fixed {
		return n, n
	}
	return 1, -1
}
