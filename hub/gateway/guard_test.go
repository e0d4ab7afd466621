package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// An agent that quotes values of Secrets in what it says of operations has none of
// them stored, whether it says so in its hello or later.
func TestE06_TestA44_WhatIsSaidOfOperationsQuotesNoValues(t *testing.T) {
	p := serve(t, Options{SessionBurst: 100})
	p.store.updates, p.store.hellos = make(chan model.OperationUpdate, 10), make(chan model.Hello, 10)
	cert, _ := p.certificate(t, "a")
	update, err := wire.OperationUpdateToProto(model.OperationUpdate{
		ID: "op", App: "x", Kind: model.OperationSync, Phase: model.PhaseRunning, Message: `refused {"kind":"Secret","data":{"k":"CANARY"}}`,
		Result: &model.OperationResult{Resources: []model.ResourceResult{{ObjectKey: model.ObjectKey{Kind: "Secret", Name: "s"}, Message: "it is CANARY"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	first := hello("a")
	first.GetHello().Operations = append(first.GetHello().Operations, update)
	stream, err := agentv1.NewControlClient(p.dial(t, model.AgentServerName, cert)).Session(t.Context())
	if err != nil || stream.Send(first) != nil {
		t.Fatal("the session is not opened", err)
	}
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&agentv1.AgentMessage{Epoch: m.GetWelcome().GetEpoch(), Message: &agentv1.AgentMessage_Operation{Operation: update}}); err != nil {
		t.Fatal(err)
	}
	for what, said := range map[string]any{"hello": <-p.store.hellos, "update": <-p.store.updates} {
		b, err := json.Marshal(said)
		if err != nil || strings.Contains(string(b), "CANARY") || !strings.Contains(string(b), "hidden") {
			t.Errorf("%s: %s, %v", what, b, err)
		}
	}
}
