package health

// KEDA and the other autoscalers.
var autoscaling = map[string]family{
	"keda.sh": { // https://keda.sh/docs/latest/reference/scaledobject-spec/
		"ScaledObject": judge(when("Ready", no).is(failed), when("Fallback", yes).is(failed), when("Paused", yes).is(paused), when("Ready", yes).is(ok)),
		// Ready is Unknown with a reason when some of the triggers do not work, and
		// without one while nothing has been tried.
		"ScaledJob":                    judge(when("Ready", no).is(failed), when("Ready", unknown).because("PartialTriggerError").is(failed), when("Paused", yes).is(paused), when("Ready", yes).is(ok)),
		"TriggerAuthentication":        exists,
		"ClusterTriggerAuthentication": exists,
	},
	"autoscaling.k8s.io": {
		// A target without pods has no recommendation, and needs none.
		"VerticalPodAutoscaler": judge(when("ConfigUnsupported", yes).is(failed),
			when("RecommendationProvided", yes).is(ok), when("NoPodsMatched", yes).is(ok), when("RecommendationProvided", no).is(inProgress),
			otherwise(ok, "")),
		"VerticalPodAutoscalerCheckpoint": exists,
	},
	"karpenter.sh": { // https://karpenter.sh/docs/concepts/
		"NodePool": judge(ready),
		"NodeClaim": judge(stale, when("Disrupting", yes).is(paused), when("Ready", yes).is(ok), when("Ready", no).is(failed),
			when("Initialized", yes).is(inProgress), when("Registered", yes).is(inProgress), when("Launched", yes).is(inProgress)),
	},
	"karpenter.k8s.aws":   {"EC2NodeClass": judge(ready)},
	"karpenter.azure.com": {"AKSNodeClass": judge(ready)},
}
