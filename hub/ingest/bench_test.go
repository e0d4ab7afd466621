package ingest

import (
	"fmt"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// BenchmarkOffer takes reports as agents send them: 50 objects, some with a message
// of ordinary length, and a tree.
func BenchmarkOffer(b *testing.B) {
	const progressing = "Waiting for rollout to finish: 2 out of 3 new replicas have been updated (minimum availability is 1 of 3)"
	report := fleet.Report{Cluster: "c", Epoch: epoch, AppReport: model.AppReport{App: "a", Tree: &model.ResourceTree{}}}
	report.Status.Health.Message = progressing
	for i := range 50 {
		kind := []string{"Deployment", "ConfigMap", "Service", "Secret", "Pod"}[i%5]
		key := model.ObjectKey{Kind: kind, Namespace: "shop", Name: fmt.Sprint("object-", i)}
		r := model.ResourceStatus{ObjectKey: key}
		n := model.TreeNode{ObjectKey: key, Info: []model.Info{{Name: "Revision", Value: "Rev:12"}, {Name: "Containers", Value: "2/2"}}}
		if kind == "Deployment" || kind == "Pod" {
			r.Health.Message, n.Health.Message = progressing, progressing
		}
		report.Status.Resources = append(report.Status.Resources, r)
		report.Tree.Nodes = append(report.Tree.Nodes, n)
	}
	in := New(Options{Store: &fakeStore{}})
	b.ReportAllocs()
	for b.Loop() {
		report.Seq++
		in.Offer(report)
	}
}
