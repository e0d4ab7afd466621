package gateway

import (
	"testing"
	"time"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/model"
)

// An agent takes the time from its heartbeat to the hub's for the length of the way:
// one that came by the hub's own clock would say nothing about it.
func TestAHeartbeatIsAnsweredAtOnce(t *testing.T) {
	p := serve(t, Options{Heartbeat: time.Hour})
	cert, _ := p.certificate(t, "a")
	stream, epoch := open(t, p.dial(t, model.AgentServerName, cert), "a")
	for range 2 {
		if err := stream.Send(&agentv1.AgentMessage{Epoch: epoch, Message: &agentv1.AgentMessage_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}); err != nil {
			t.Fatal(err)
		}
		for answered := false; !answered; {
			msg, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			answered = msg.GetHeartbeat() != nil
		}
	}
}
