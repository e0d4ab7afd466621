package action

import (
	"strconv"

	"github.com/hawser-dev/hawser/agent/lua"
)

// restartPods changes the pod template, as kubectl rollout restart does.
var restartPods = builtin{name: "restart", icon: iconRestart, run: func(r *request) error {
	set(r.obj, r.timestamp(), "spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
	return nil
}}

var scale = builtin{name: "scale",
	params: func(o map[string]any) []Param {
		n, ok := integer(o, "spec", "replicas")
		if !ok {
			n = 1 // the API server's default
		}
		return []Param{{Name: "replicas", Type: "number", Default: strconv.FormatInt(n, 10)}}
	},
	run: func(r *request) error {
		n, err := r.count("replicas")
		if err == nil {
			set(r.obj, n, "spec", "replicas")
		}
		return err
	}}

// maxJobName leaves room for the suffixes of a Job's pods, which carry its name
// in a label of 63 characters.
const maxJobName = 63

// childName is the name of what an operation makes of an object.
func (r *request) childName() string {
	s := "-" + suffix(r.opID)
	return limited(str(r.obj, "metadata", "name"), maxJobName-len(s)) + s
}

// child begins an object that an operation makes of another, which owns it.
func (r *request) child(apiVersion, kind string) map[string]any {
	meta := map[string]any{"name": r.childName()}
	if ns := str(r.obj, "metadata", "namespace"); ns != "" {
		meta["namespace"] = ns
	}
	if uid := str(r.obj, "metadata", "uid"); uid != "" {
		meta["ownerReferences"] = []any{map[string]any{
			"apiVersion": str(r.obj, "apiVersion"), "kind": str(r.obj, "kind"),
			"name": str(r.obj, "metadata", "name"), "uid": uid,
		}}
	}
	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
}

func (r *request) create(obj map[string]any) {
	r.created = append(r.created, lua.Effect{Operation: Create, Object: obj})
	r.untouched = true
}

// createJob makes a Job of a CronJob's template, as kubectl create job --from
// does.
func createJob(r *request) error {
	spec, ok := get(r.obj, "spec", "jobTemplate", "spec").(map[string]any)
	if !ok {
		return notPossible("the CronJob has no spec.jobTemplate.spec")
	}
	job := r.child("batch/v1", "Job")
	for _, field := range []string{"labels", "annotations"} {
		if m, ok := get(r.obj, "spec", "jobTemplate", "metadata", field).(map[string]any); ok && len(m) > 0 {
			set(job, clone(m), "metadata", field)
		}
	}
	set(job, "manual", "metadata", "annotations", "cronjob.kubernetes.io/instantiate")
	job["spec"] = clone(spec)
	r.create(job)
	return nil
}

// jobEnded reports whether a Job has ended or is about to.
func jobEnded(o map[string]any) bool {
	for _, item := range list(o, "status", "conditions") {
		c, _ := item.(map[string]any)
		switch str(c, "type") {
		case "Complete", "Failed", "FailureTarget", "SuccessCriteriaMet":
			if str(c, "status") == "True" {
				return true
			}
		}
	}
	return false
}

// terminateJob fails a Job: its controller sees the condition and ends the pods.
func terminateJob(r *request) error {
	if jobEnded(r.obj) {
		return nil
	}
	if get(r.obj, "status") == nil {
		return notPossible("the Job was not started yet")
	}
	conditions := append(list(r.obj, "status", "conditions"), map[string]any{
		"type": "FailureTarget", "status": "True", "reason": "ManuallyTerminated",
		"message":            "the Job was terminated by a resource action",
		"lastTransitionTime": r.timestamp(),
	})
	set(r.obj, conditions, "status", "conditions")
	return nil
}
