package health

import "github.com/hawser-dev/hawser/shared/model"

// Parts are the parts of an object that matter, by field: a nil value stands for
// all that is below, and key "*" for the fields that are not named. Elements of
// lists are taken as if the list were not there.
type Parts map[string]Parts

// Reads returns the parts of objects of a kind that Of and Facts look at; nil for
// all. Decoding no more than that is most of what judging a pod costs.
func Reads(gk model.GroupKind) Parts { return reads[gk] }

// Static reports whether all objects of a kind are Healthy that are not being
// deleted, and have no facts.
func Static(gk model.GroupKind) bool { return inert[gk] }

var (
	metaParts = Parts{"name": nil, "generation": nil, "annotations": nil, "deletionTimestamp": nil, "finalizers": nil}
	container = Parts{"name": nil, "image": nil}
	podParts  = Parts{"restartPolicy": nil, "containers": container, "initContainers": container}
	template  = Parts{"spec": podParts}

	conditionParts = Parts{"type": nil, "status": nil, "reason": nil, "message": nil, "observedGeneration": nil}
	startedParts   = Parts{"name": nil, "ready": nil, "restartCount": nil, "state": nil, "lastState": nil}
	podStatusParts = Parts{"phase": nil, "reason": nil, "message": nil, "conditions": conditionParts,
		"containerStatuses": startedParts, "initContainerStatuses": startedParts}
)

var reads = map[model.GroupKind]Parts{
	{Kind: "Pod"}:                        {"metadata": metaParts, "spec": podParts, "status": podStatusParts},
	{Group: "apps", Kind: "Deployment"}:  {"metadata": metaParts, "status": nil, "spec": {"replicas": nil, "paused": nil, "template": template}},
	{Group: "apps", Kind: "ReplicaSet"}:  {"metadata": metaParts, "status": nil, "spec": {"replicas": nil, "template": template}},
	{Group: "apps", Kind: "StatefulSet"}: {"metadata": metaParts, "status": nil, "spec": {"replicas": nil, "updateStrategy": nil, "template": template}},
	{Group: "apps", Kind: "DaemonSet"}:   {"metadata": metaParts, "status": nil, "spec": {"updateStrategy": nil, "template": template}},
	{Group: "batch", Kind: "Job"}:        {"metadata": metaParts, "status": nil, "spec": {"completions": nil, "template": template}},
	{Group: "batch", Kind: "CronJob"}:    {"metadata": metaParts, "status": nil, "spec": {"suspend": nil, "jobTemplate": {"spec": {"template": template}}}},
}
