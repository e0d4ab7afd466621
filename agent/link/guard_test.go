package link

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
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

// hearing takes what is sent to the hub, and ends.
type hearing struct {
	sessionStream
	said []*agentv1.AgentMessage
}

func (h *hearing) Send(m *agentv1.AgentMessage) error {
	h.said = append(h.said, m)
	return nil
}

func (*hearing) Recv() (*agentv1.HubMessage, error) { return nil, io.EOF }

// A hello tells of the operations whose end the hub has not acknowledged, and quotes
// no values either.
func TestA44_AHelloQuotesNoValues(t *testing.T) {
	const quoted = `refused {"kind":"Secret","data":{"k":"CANARY"}}`
	h := &hearing{}
	s := &session{l: &Link{opts: Options{Now: time.Now}}, ctx: t.Context(), cancel: func(error) {}, stream: h}
	given := model.Hello{Cluster: "eu", Instance: "i", ProtocolMin: 1, ProtocolMax: 1, Operations: []model.OperationUpdate{{ID: "op", App: "a", Phase: model.PhaseFailed, Message: quoted,
		Result: &model.OperationResult{Resources: []model.ResourceResult{{ObjectKey: model.ObjectKey{Kind: "Secret", Name: "s"}, Message: "it is CANARY"}}}}}}
	if err := s.sayHello(given); err == nil {
		t.Fatal("nobody answered")
	}
	if len(h.said) != 1 || len(h.said[0].GetHello().GetOperations()) != 1 {
		t.Fatalf("%v", h.said)
	}
	b, err := proto.Marshal(h.said[0])
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("CANARY")) || bytes.Count(b, []byte("hidden")) < 2 {
		t.Errorf("it says %q", b)
	}
	if given.Operations[0].Message != quoted {
		t.Error("the caller's operation is changed")
	}
}
