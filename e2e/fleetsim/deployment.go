package fleetsim

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-dev/hawser/shared/model"
)

// How long a Deployment takes until it is available: between the two.
const rolloutLeast, rolloutMost = 50 * time.Millisecond, 400 * time.Millisecond

// control does what the controller of Deployments does: some time after a change
// the status tells of it. c.mu is held.
func (c *Cluster) control(o *object, u *unstructured.Unstructured) {
	if o.settling || sameStatus(u, rollout(u, o.trouble)) {
		return
	}
	o.settling = true
	wait := rolloutLeast + time.Duration(c.rnd.Int64N(int64(rolloutMost-rolloutLeast)))
	time.AfterFunc(wait, func() { c.settle(o) })
}

// settle writes the status of a Deployment that changed.
func (c *Cluster) settle(o *object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o.settling = false
	if c.objects[o.rec.Key] != o {
		return // it is gone
	}
	if c.isDark() { // its controllers cannot write either
		o.settling = true
		time.AfterFunc(rolloutMost, func() { c.settle(o) })
		return
	}
	u, err := decode(o.raw)
	if err != nil {
		return
	}
	u.Object["status"] = rollout(u, o.trouble)
	c.store(u, o)
}

// rollout is the status that a Deployment comes to have.
func rollout(u *unstructured.Unstructured, trouble string) map[string]any {
	want, found, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	if !found {
		want = 1
	}
	available := want
	progress := condition("Progressing", "True", "NewReplicaSetAvailable", "ReplicaSet has successfully progressed.")
	ready := condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
	if trouble != "" {
		available = max(0, want-1)
		progress = condition("Progressing", "False", "ProgressDeadlineExceeded", trouble)
	}
	if available == 0 && want > 0 {
		ready = condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
	}
	status := map[string]any{
		"observedGeneration": u.GetGeneration(), "conditions": []any{ready, progress},
	}
	for field, n := range map[string]int64{"replicas": want, "updatedReplicas": want, "readyReplicas": available, "availableReplicas": available, "unavailableReplicas": want - available} {
		if n > 0 { // the real one leaves zeros out
			status[field] = n
		}
	}
	return status
}

func condition(typ, status, reason, message string) map[string]any {
	return map[string]any{"type": typ, "status": status, "reason": reason, "message": message}
}

// sameStatus reports whether a Deployment has a status already.
func sameStatus(u *unstructured.Unstructured, status map[string]any) bool {
	have, _ := u.Object["status"].(map[string]any)
	if len(have) != len(status) {
		return false
	}
	for k, v := range status {
		if k == "conditions" {
			continue
		}
		if have[k] != v {
			return false
		}
	}
	return equalConditions(have["conditions"], status["conditions"])
}

func equalConditions(a, b any) bool {
	as, _ := a.([]any)
	bs, _ := b.([]any)
	if len(as) != len(bs) {
		return false
	}
	for i := range as {
		am, _ := as[i].(map[string]any)
		bm, _ := bs[i].(map[string]any)
		if am["status"] != bm["status"] || am["message"] != bm["message"] || am["reason"] != bm["reason"] {
			return false
		}
	}
	return true
}

// Trouble keeps a Deployment from becoming available for a reason, or, with "",
// does so no longer. It answers false where there is no such Deployment.
func (c *Cluster) Trouble(key model.ObjectKey, reason string) bool {
	c.mu.Lock()
	o := c.objects[key]
	if o == nil || key.GroupKind() != kindDeployment || c.isDark() {
		c.mu.Unlock()
		return false
	}
	o.trouble = reason
	c.mu.Unlock()
	c.settle(o)
	return true
}

// Drift changes an object as somebody with kubectl would: a value of a ConfigMap or
// Secret, the replicas of a Deployment, else a label. It answers false where there is
// no such object or nobody can reach it.
func (c *Cluster) Drift(key model.ObjectKey, value string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.objects[key]
	if o == nil {
		return false
	}
	patch := map[string]any{"metadata": map[string]any{"labels": map[string]any{"app.kubernetes.io/part-of": value}}}
	switch key.Kind {
	case "ConfigMap":
		u, err := decode(o.raw)
		if err != nil {
			return false
		}
		data, _, _ := unstructured.NestedStringMap(u.Object, "data")
		change := map[string]any{}
		for k := range data {
			change[k] = value
		}
		patch = map[string]any{"data": change}
	case "Deployment":
		patch = map[string]any{"spec": map[string]any{"replicas": int64(c.rnd.IntN(5) + 4)}}
	}
	writes := c.writes
	_, err := c.patch(key, "", "", patch, "kubectl-edit", false)
	c.writes = writes // people's are not counted
	return err == nil
}
