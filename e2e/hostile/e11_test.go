package hostile

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Versions that the other end does not speak are refused with both ranges.
func TestE11_VersionsThatNobodySpeaks(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	for name, c := range map[string]struct {
		least, most uint32
		code, says  string
	}{
		"from the future": {999, 1000, "hub_too_old", "speaks 999 to 1000"},
		"none":            {0, 0, "wire_invalid", ""},
		"none to some":    {0, 1, "wire_invalid", ""},
		"backwards":       {2, 1, "wire_invalid", ""},
	} {
		hello := Hello(cluster)
		hello.GetHello().ProtocolMin, hello.GetHello().ProtocolMax = c.least, c.most
		err := begin(t, call(t, a, model.AgentServerName), hello).end()
		if !fault.HasCode(err, c.code) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	open(t, call(t, a, model.AgentServerName), cluster)
}

// Messages that are too large, no text, nested without end, or unknown end their
// own session and nothing else; fields that a newer agent has are passed over.
func TestE11_MessagesThatAreNone(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	neighbour, theirs := w.join("us")
	other := open(t, call(t, neighbour, model.AgentServerName), theirs)

	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 7)
	nested := []byte{}
	for range 20_000 {
		nested = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), nested[:min(len(nested), 60<<10)])
	}
	text := &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Ack{Ack: &agentv1.Ack{AppUid: "aXXa", Generation: 1}}}
	for name, c := range map[string]struct {
		message []byte
		ends    bool
	}{
		"5 MiB":         {make([]byte, 5<<20), true},
		"invalid UTF-8": {[]byte(strings.Replace(string(Encode(text)), "XX", "\xff\xfe", 1)), true},
		"garbage":       {[]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), true},
		"nested":        {nested, true},
		"only unknown":  {unknown, true}, // of no epoch
	} {
		h, err := a.HTTP2(within(t), model.AgentServerName)
		must(t, err)
		stream, err := h.Call(agentv1.Control_Session_FullMethodName)
		must(t, err)
		must(t, h.Message(stream, append(Encode(Hello(cluster)), unknown...)))
		await(t, "the session", func() bool { return w.gateway.IsConnected(cluster) })
		_ = h.Message(stream, c.message) // it may be cut off before the end
		status, message, err := h.Status(stream)
		if err == nil && status == "0" {
			t.Errorf("%s: the session ended well: %s", name, message)
		}
		h.Conn.Close()
		await(t, "the end of the session", func() bool { return !w.gateway.IsConnected(cluster) })
	}
	w.lives(other)
}

// What was said in one session is not taken in the next, and numbers that go
// back change nothing.
func TestE11_ReplayedAndReordered(t *testing.T) {
	w := newWorld(t, nil)
	a, cluster := w.join("eu")
	app := w.application("shop", cluster)
	first := open(t, call(t, a, model.AgentServerName), cluster)
	report := func(seq uint64, status string) *agentv1.AgentMessage {
		return &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{
			{AppUid: string(app), Seq: seq, ObservedAt: timestamppb.Now(), StatusJson: []byte(`{"health":{"status":"` + status + `"}}`)}}}}}
	}
	must(t, first.say(report(7, "Healthy")))
	w.health("shop", "Healthy")
	must(t, first.say(report(5, "Missing")))
	must(t, first.say(report(8, "Degraded")))
	w.health("shop", "Degraded")
	must(t, first.say(report(3, "Missing")))
	w.lives(first)

	replayed := report(9, "Missing")
	replayed.Epoch = first.epoch
	second := open(t, call(t, a, model.AgentServerName), cluster)
	must(t, ignoreEOF(second.stream.Send(replayed)))
	if err := second.end(); !fault.HasCode(err, "epoch_stale") {
		t.Errorf("a replayed message: %v", err)
	}
	if err := first.end(); !fault.HasCode(err, "session_superseded") {
		t.Errorf("the first session: %v", err)
	}
	await(t, "the count", func() bool { return w.refused.of("epoch_stale") == 1 })
	w.health("shop", "Degraded")
}
