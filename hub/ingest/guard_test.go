package ingest

import (
	"context"
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
