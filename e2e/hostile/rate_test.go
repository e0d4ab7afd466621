package hostile

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/hub/gateway"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// An agent that sends more bytes than it may is read more slowly; it is not cut off,
// nothing of it is lost, and its neighbours are as fast as ever.
func TestE06_BytesOfASessionAreBounded(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options, _ *gateway.MuxOptions) { o.BytesBurst, o.BytesPerSecond = 256<<10, 128<<10 })
	a, cluster := w.join("loud")
	app := w.application("shop", cluster)
	neighbour, theirs := w.join("quiet")
	quiet := w.application("quiet", theirs)
	other := open(t, call(t, neighbour, model.AgentServerName), theirs)
	s := open(t, call(t, a, model.AgentServerName), cluster)
	report := func(app model.AppUID, seq uint64, health string, size int) *agentv1.AgentMessage {
		return &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: &agentv1.AppReports{Reports: []*agentv1.AppReport{{AppUid: string(app), Seq: seq, ObservedAt: timestamppb.Now(),
			StatusJson: []byte(`{"health":{"status":"` + health + `","message":"` + strings.Repeat("x", size) + `"}}`)}}}}}
	}
	start := time.Now()
	for seq := range uint64(5) {
		must(t, s.say(report(app, 1+seq, "Degraded", 128<<10)))
	}
	must(t, s.say(report(app, 6, "Healthy", 0)))
	must(t, other.say(report(quiet, 1, "Healthy", 0)))
	w.health("quiet", "Healthy")
	fast := time.Since(start)
	w.health("shop", "Healthy")
	slow := time.Since(start)
	// 640 KiB, of which 256 came at once; slowly enough that a busy machine still sends
	// faster.
	if slow < 2800*time.Millisecond || fast > slow/2 {
		t.Errorf("the loud one took %s, its neighbour %s", slow, fast)
	}
	if w.refused.of("bytes_held_up") == 0 {
		t.Error("nobody counted it")
	}
	w.lives(s)
}

// Connections that come faster from an address than they may are closed unread, and
// an agent from another address gets in.
func TestE09_ConnectionsThatComeTooFast(t *testing.T) {
	w := newWorld(t, func(_ *gateway.Options, m *gateway.MuxOptions) { m.AcceptBurst, m.AcceptEvery = 50, time.Second })
	a, cluster := w.join("eu")
	stranger := w.stranger()
	stranger.From = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
	closed := 0
	for n := range 80 {
		conn, err := stranger.Connect(within(t))
		must(t, err)
		defer conn.Close()
		if n < 50 {
			continue
		}
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			continue // it is open
		}
		if closed++; closed == 5 {
			break
		}
	}
	if closed < 5 || w.refused.of("connections_rate") < 5 {
		t.Errorf("%d of 80 were closed, %d counted", closed, w.refused.of("connections_rate"))
	}
	a.From = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}
	w.lives(open(t, call(t, a, model.AgentServerName), cluster))
}
