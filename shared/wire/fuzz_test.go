package wire

import (
	"crypto/x509"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func seed(f *testing.F, messages ...proto.Message) {
	for _, m := range messages {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// named fails unless an error has a code that people can look up.
func named(t *testing.T, err error) {
	if err != nil && fault.As(err).Code != "wire_invalid" && fault.As(err).Code != "wire_too_large" {
		t.Errorf("refused with %v", err)
	}
}

// What an agent says is refused with a name, or is within what one may say, and
// the same when it is said again.
func FuzzAgentMessage(f *testing.F) {
	at := timestamppb.New(time.Unix(1_700_000_000, 0))
	seed(f,
		&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Hello{Hello: &agentv1.Hello{ClusterId: "c", ProtocolMin: 1, ProtocolMax: 1, Known: []*agentv1.KnownApplication{{AppUid: "a", Generation: 1}}, LastEpoch: &agentv1.Epoch{Incarnation: 1, Number: 2}}}},
		&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Ack{Ack: &agentv1.Ack{AppUid: "a", Generation: 1, Error: "e"}}},
		&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{{AppUid: "a", Seq: 1, ObservedAt: at, StatusJson: []byte(`{}`), TreeJson: []byte(`{"nodes":[{}]}`)}}}}},
		&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Operation{Operation: &agentv1.OperationUpdate{Id: "o", AppUid: "a", Kind: "Sync", Phase: "Succeeded", FinishedAt: at, ResultJson: []byte(`{"resources":[{}]}`)}}},
		&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Cluster{Cluster: &agentv1.ClusterReport{ObservedAt: at, Conditions: []string{"c"}}}},
	)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p agentv1.AgentMessage
		if proto.Unmarshal(b, &p) != nil {
			return
		}
		_, err := Epoch(p.Epoch)
		named(t, err)
		switch m := p.Message.(type) {
		case *agentv1.AgentMessage_Hello:
			h, err := Hello(m.Hello)
			if named(t, err); err != nil {
				return
			}
			again, err := HelloToProto(h)
			if err != nil {
				t.Fatalf("it does not encode: %v", err)
			}
			if same, err := Hello(again); err != nil || !reflect.DeepEqual(h, same) {
				t.Errorf("%+v became %+v, %v", h, same, err)
			}
			if len(h.Instance) > maxWord || len(h.AgentVersion) > maxWord || len(h.Known) > maxKnown {
				t.Error("too much was let through")
			}
		case *agentv1.AgentMessage_Ack:
			_, _, code, message, err := Ack(m.Ack)
			if named(t, err); len(code) > maxWord || len(message) > maxText+4 {
				t.Error("too much was let through")
			}
		case *agentv1.AgentMessage_Reports:
			for _, r := range m.Reports.GetReports() {
				_, err := AppReport(r)
				named(t, err)
			}
		case *agentv1.AgentMessage_Operation:
			u, err := OperationUpdate(m.Operation)
			if named(t, err); err == nil && u.Phase != model.PhaseRunning && !u.Phase.Terminal() {
				t.Errorf("an agent decides about the phase %s", u.Phase)
			}
		case *agentv1.AgentMessage_Cluster:
			r, err := ClusterReport(m.Cluster)
			if named(t, err); len(r.Conditions) > maxConditions {
				t.Error("too much was let through")
			}
		}
	})
}

// What a hub says is refused with a name, or understood.
func FuzzHubMessage(f *testing.F) {
	digest := "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	seed(f,
		&agentv1.HubMessage{Message: &agentv1.HubMessage_Welcome{Welcome: &agentv1.Welcome{Epoch: &agentv1.Epoch{Incarnation: 1, Number: 1}, HubId: "h", IncarnationSignature: []byte("s")}}},
		&agentv1.HubMessage{Message: &agentv1.HubMessage_Desired{Desired: &agentv1.Desired{AppUid: "a", Name: "a", Generation: 1, BundleDigest: digest, SpecJson: []byte(`{}`), ProjectJson: []byte(`{}`)}}},
		&agentv1.HubMessage{Message: &agentv1.HubMessage_Withdraw{Withdraw: &agentv1.Withdraw{AppUid: "a", Generation: 1, OperationId: "o", Mode: agentv1.Withdraw_MODE_CASCADE}}},
		&agentv1.HubMessage{Message: &agentv1.HubMessage_Operation{Operation: &agentv1.Operation{Id: "o", AppUid: "a", Seq: 1, Kind: "Sync", SpecJson: []byte(`{}`)}}},
		&agentv1.HubMessage{Message: &agentv1.HubMessage_Settings{Settings: &agentv1.Settings{Digest: digest, CustomizationsJson: []byte(`{}`)}}},
		&agentv1.HubMessage{Message: &agentv1.HubMessage_GoAway{GoAway: &agentv1.GoAway{Code: "c"}}},
		&agentv1.HubMessage{Message: &agentv1.HubMessage_OpenTunnel{OpenTunnel: &agentv1.OpenTunnel{Id: "i"}}},
		&agentv1.HubMessage{Message: &agentv1.HubMessage_Refresh{Refresh: &agentv1.Refresh{AppUids: []string{"a"}}}},
	)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p agentv1.HubMessage
		if proto.Unmarshal(b, &p) != nil {
			return
		}
		switch m := p.Message.(type) {
		case *agentv1.HubMessage_Welcome:
			_, err := Welcome(m.Welcome)
			named(t, err)
		case *agentv1.HubMessage_Desired:
			d, _, err := Desired(m.Desired)
			if named(t, err); err == nil && d.Generation <= 0 {
				t.Error("a desired state without a generation")
			}
		case *agentv1.HubMessage_Withdraw:
			w, err := Withdraw(m.Withdraw)
			if named(t, err); err == nil && w.Mode == "" {
				t.Error("a withdrawal that does not say how")
			}
		case *agentv1.HubMessage_Operation:
			_, err := Command(m.Operation)
			named(t, err)
		case *agentv1.HubMessage_Settings:
			_, _ = Settings(m.Settings) // its errors have names of their own
		case *agentv1.HubMessage_GoAway:
			_, err := ParseGoAway(m.GoAway)
			named(t, err)
		case *agentv1.HubMessage_OpenTunnel:
			_, err := OpenTunnel(m.OpenTunnel)
			named(t, err)
		case *agentv1.HubMessage_Refresh:
			_, err := AppUIDs(m.Refresh.GetAppUids())
			named(t, err)
		case *agentv1.HubMessage_OperationAck:
			_, err := OperationIDs(m.OperationAck.GetIds())
			named(t, err)
		}
	})
}

// Requests and answers on access streams do not end the process.
func FuzzAccess(f *testing.F) {
	seed(f,
		&agentv1.AccessAnswer{Answer: &agentv1.AccessAnswer_End{End: &agentv1.AccessEnd{Kind: "denied", Code: "c"}}},
		&agentv1.AccessAnswer{Answer: &agentv1.AccessAnswer_Lines{Lines: &agentv1.LogLines{Lines: []*agentv1.LogLine{{Source: 1, Text: []byte("t")}}}}},
		&agentv1.AccessAnswer{Answer: &agentv1.AccessAnswer_Events{Events: &agentv1.ObjectEvents{Events: []*agentv1.ObjectEvent{{Uid: "u"}}}}},
	)
	f.Fuzz(func(t *testing.T, b []byte) {
		var answer agentv1.AccessAnswer
		if proto.Unmarshal(b, &answer) == nil {
			_, _ = AccessAnswer(&answer)
		}
		var request agentv1.AccessRequest
		if proto.Unmarshal(b, &request) == nil {
			if _, err := AccessRequest(&request); err != nil && fault.As(err).Code == "" {
				t.Errorf("refused with %v", err)
			}
		}
		var input agentv1.AccessInput
		if proto.Unmarshal(b, &input) == nil {
			_ = AccessInput(&input)
		}
	})
}

// A CA's hash that is taken is one that CAHash could give.
func FuzzCAHash(f *testing.F) {
	f.Add("sha256:" + "ab")
	f.Add(CAHash(&x509.Certificate{RawSubjectPublicKeyInfo: []byte("k")}))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseCAHash(s)
		if err == nil && !validDigest(got) {
			t.Errorf("%q became %q", s, got)
		}
	})
}
