package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// largeTree is how many nodes the tree of the first application has, and
	// smallTree that of the others.
	largeTree, smallTree = 1000, 12
	// seedPerson can log in to a seeded hub, with seedPassword. The hub listens on
	// loopback, and has nothing but what the seed made up.
	seedPerson, seedPassword = "operator", "five thousand clusters"
)

// treeOf is the resource tree of an application: Deployments with their ReplicaSets
// and pods, below each other, and what stands beside them.
func (s seed) treeOf(i int) model.ResourceTree {
	want, namespace := smallTree, s.project(i)
	if i == 0 {
		want = largeTree
	}
	at := s.now.Add(-time.Duration(i%700+60) * time.Minute)
	var nodes []model.TreeNode
	add := func(group, version, kind, name string, health model.Health, parent string, info ...model.Info) string {
		uid := seedID("node", i*10*largeTree+len(nodes))
		n := model.TreeNode{Version: version, UID: uid, Health: model.HealthFacet{Status: health}, CreatedAt: &at, Info: info}
		n.Group, n.Kind, n.Namespace, n.Name = group, kind, namespace, name
		if parent != "" {
			n.ParentUIDs = []string{parent}
		}
		if kind == "Pod" {
			n.Images = []string{"registry.example.com/" + namespace + "/web:1.4.2"}
		}
		nodes = append(nodes, n)
		return uid
	}
	add("", "v1", "ConfigMap", "web", model.HealthHealthy, "")
	add("", "v1", "ServiceAccount", "web", model.HealthHealthy, "")
	add("", "v1", "Service", "web", model.HealthHealthy, "")
	add("networking.k8s.io", "v1", "Ingress", "web", model.HealthHealthy, "")
	status, _ := s.statusOf(i)
	for d := 0; len(nodes) < want; d++ {
		name := "web"
		if d > 0 {
			name = fmt.Sprintf("web-%03d", d)
		}
		health := model.HealthHealthy
		if d%17 == 0 && status.Health.Status == model.HealthDegraded {
			health = model.HealthDegraded
		}
		deployment := add("apps", "v1", "Deployment", name, health, "")
		if len(nodes) == want {
			break
		}
		replicas := add("apps", "v1", "ReplicaSet", name+"-5d8f7c9b6", health, deployment)
		for p := 0; p < 6 && len(nodes) < want; p++ {
			pod, ready := health, model.Info{Name: "Ready", Value: "1/1"}
			if p > 0 {
				pod = model.HealthHealthy
			} else if pod == model.HealthDegraded {
				ready.Value = "0/1"
			}
			add("", "v1", "Pod", fmt.Sprintf("%s-5d8f7c9b6-%05x", name, p*7919+d), pod, replicas, ready, model.Info{Name: "Node", Value: fmt.Sprintf("node-%02d", p)})
		}
	}
	return model.ResourceTree{Nodes: nodes}
}

// changeOf is what the agent of a busy application says at its nth change: its health
// comes and goes, and so does drift. Every twentieth is in trouble at a time.
func (s seed) changeOf(i, n int, at time.Time) model.AppStatus {
	st, ok := s.statusOf(i)
	if !ok {
		st.Generation = 1
	}
	st.Health = model.HealthFacet{Status: model.HealthHealthy, Since: &at}
	st.Sync = model.SyncFacet{Status: model.SyncSynced}
	st.Conditions = nil
	switch (n + i) % 20 {
	case 0:
		st.Health.Status, st.Health.Message = model.HealthDegraded, "Deployment "+s.project(i)+"/web: 1 of 3 replicas is available: CrashLoopBackOff"
	case 1, 2:
		st.Health.Status, st.Health.Message = model.HealthProgressing, "Deployment "+s.project(i)+"/web: 2 of 3 replicas are updated"
	case 3:
		st.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonDrifted}
	case 4:
		st.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonPending}
	}
	s.deployment(i, &st, &at)
	return st
}

// change has the agents of the busy clusters report changes, perSecond of them,
// over their sessions, until ctx ends. Their sessions are open.
func (h *seededHub) change(ctx context.Context, perSecond int) {
	apps, begin := len(h.agents)*busyApps, time.Now()
	for k := 0; ; k++ {
		if restFor(ctx, time.Until(begin.Add(time.Duration(k)*time.Second/time.Duration(perSecond)))) != nil {
			return
		}
		i := k * 7919 % apps // every application in turn, and one agent after the other
		agent, uid := h.busyApp(i)
		agent.report(uid, h.changeOf(i, k/apps, time.Now()))
	}
}
