package ingest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// An agent that sends values of Secrets gets none of them stored, or told to anybody.
func TestE06_TestA44_ValuesOfSecretsInAReportAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		in := New(Options{Store: store})
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { defer close(done); _ = in.Run(ctx) }()
		report := fleet.Report{Cluster: "c", Epoch: epoch, AppReport: model.AppReport{App: "a", Seq: 1}}
		for _, kind := range []string{"Secret", "secret", "ConfigMap"} {
			report.Status.Resources = append(report.Status.Resources, model.ResourceStatus{
				ObjectKey:   model.ObjectKey{Kind: kind, Name: "s"},
				Differences: []model.FieldDifference{{Path: ".data.k", Desired: `"CANARY"`, Live: `"redacted:01234567"`}, {Path: ".type", Live: `"Opaque"`}},
			})
		}
		in.Offer(report)
		synctest.Wait()
		cancel()
		<-done
		stored := store.stored()
		if len(stored) != 1 {
			t.Fatalf("%d reports", len(stored))
		}
		for _, r := range stored[0].Status.Resources {
			d := r.Differences[0]
			if hidden := !strings.Contains(d.Desired, "CANARY"); hidden != (r.Kind != "ConfigMap") {
				t.Errorf("%s: %+v", r.Kind, d)
			}
			if d.Live != `"redacted:01234567"` || r.Differences[1].Live != `"Opaque"` {
				t.Errorf("%s: %+v", r.Kind, r.Differences)
			}
		}
	})
}

// So are those that it quotes in messages and in trees.
func TestE06_TestA44_MessagesAndTreesQuoteNoValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		in := New(Options{Store: store})
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { defer close(done); _ = in.Run(ctx) }()
		const quoted = `refused {"kind":"Secret","data":{"k":"CANARY"}}`
		secret := model.ObjectKey{Kind: "Secret", Name: "s"}
		node := model.TreeNode{ObjectKey: secret, Info: []model.Info{{Name: "value", Value: "CANARY"}}, Images: []string{"CANARY"}, Health: model.HealthFacet{Message: "it is CANARY"}}
		in.Offer(fleet.Report{Cluster: "c", Epoch: epoch, AppReport: model.AppReport{App: "a", Seq: 1,
			Tree: &model.ResourceTree{Nodes: []model.TreeNode{node, {ObjectKey: model.ObjectKey{Kind: "Pod"}, Info: []model.Info{{Value: quoted}}}}, Orphaned: []model.TreeNode{node}},
			Status: model.AppStatus{
				Health: model.HealthFacet{Message: quoted}, HealthCauses: []model.HealthCause{{ObjectKey: secret, Message: "it is CANARY"}},
				Conditions: []model.Condition{{Message: quoted}}, Resources: []model.ResourceStatus{{ObjectKey: secret, Health: model.HealthFacet{Message: "it is CANARY"}}},
				Operation: &model.OperationInfo{Message: quoted, Result: &model.OperationResult{Resources: []model.ResourceResult{{ObjectKey: secret, Message: "it is CANARY"}}}},
			}}})
		synctest.Wait()
		cancel()
		<-done
		stored := store.stored()
		if len(stored) != 1 || len(stored[0].Tree.Nodes) != 2 || len(stored[0].Tree.Orphaned) != 1 || len(stored[0].Status.Resources) != 1 {
			t.Fatalf("%+v", stored)
		}
		b, err := json.Marshal(stored[0].AppReport)
		if err != nil || strings.Contains(string(b), "CANARY") {
			t.Errorf("%s, %v", b, err)
		}
	})
}
