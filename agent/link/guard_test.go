package link

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// What the agent says of operations, desired states and the cluster quotes no values
// of Secrets when it leaves the agent.
func TestA44_WhatIsSaidOfOperationsQuotesNoValues(t *testing.T) {
	const quoted = `refused {"kind":"Secret","data":{"k":"CANARY"}}`
	o := newOutbox()
	session := o.start()
	o.operation(model.OperationUpdate{ID: "op", App: "a", Phase: model.PhaseFailed, Message: quoted,
		Result: &model.OperationResult{Resources: []model.ResourceResult{{ObjectKey: model.ObjectKey{Kind: "Secret", Name: "s"}, Message: "it is CANARY"}}}})
	o.acker(session, "a", 1)(fault.New(fault.Invalid, "refused", "%s", quoted))
	given := model.ClusterReport{Conditions: []string{quoted}}
	o.clusterReport(given)
	w := o.take()
	if len(w.operations) != 1 || len(w.acks) != 1 || w.cluster == nil {
		t.Fatalf("%+v", w)
	}
	for what, said := range map[string]any{"operation": w.operations["op"], "ack": w.acks["a"].message, "cluster": w.cluster.Conditions} {
		if b, err := json.Marshal(said); err != nil || strings.Contains(string(b), "CANARY") || !strings.Contains(string(b), "hidden") {
			t.Errorf("%s: %s, %v", what, b, err)
		}
	}
	if given.Conditions[0] != quoted {
		t.Error("the caller's report is changed")
	}
}
