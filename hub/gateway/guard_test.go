package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
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

// Neither are those that it quotes when it answers a desired state, or in what it says
// of its cluster.
func TestE06_TestA44_AcksAndClusterReportsQuoteNoValues(t *testing.T) {
	p := serve(t, Options{SessionBurst: 100})
	p.store.acks, p.store.reports = make(chan []fleet.Ack, 10), make(chan fleet.ClusterReport, 10)
	cert, _ := p.certificate(t, "a")
	stream, err := agentv1.NewControlClient(p.dial(t, model.AgentServerName, cert)).Session(t.Context())
	if err != nil || stream.Send(hello("a")) != nil {
		t.Fatal("the session is not opened", err)
	}
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	const quoted = `refused {"kind":"Secret","data":{"k":"CANARY"}}`
	for _, message := range []*agentv1.AgentMessage{
		{Message: &agentv1.AgentMessage_Ack{Ack: &agentv1.Ack{AppUid: "x", Generation: 1, ErrorCode: "bad", Error: quoted}}},
		{Message: &agentv1.AgentMessage_Cluster{Cluster: wire.ClusterReportToProto(model.ClusterReport{Conditions: []string{quoted}, ObservedAt: time.Now()})}},
	} {
		message.Epoch = m.GetWelcome().GetEpoch()
		if err := stream.Send(message); err != nil {
			t.Fatal(err)
		}
	}
	var ack []fleet.Ack
	var report fleet.ClusterReport
	for range 2 {
		select {
		case ack = <-p.store.acks:
		case report = <-p.store.reports:
		case <-time.After(20 * time.Second):
			t.Fatalf("stored: %v, %+v", ack, report)
		}
	}
	for what, said := range map[string]any{"ack": ack, "cluster": report.Conditions} {
		b, err := json.Marshal(said)
		if err != nil || strings.Contains(string(b), "CANARY") || !strings.Contains(string(b), "hidden") {
			t.Errorf("%s: %s, %v", what, b, err)
		}
	}
}
