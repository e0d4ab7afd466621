package scenarios

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

func cmdAgent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		usage(ts, "agent CLUSTER kill|start")
	}
	c := of(ts).cluster(args[0])
	if c == nil {
		ts.Fatalf("there is no cluster %s", args[0])
	}
	switch args[1] {
	case "kill":
		c.KillAgent()
		ts.Defer(func() {
			if !c.AgentRunning() {
				if err := c.RestartAgent(); err != nil {
					fmt.Fprintln(os.Stderr, "scenarios: the agent does not start again:", err)
				}
			}
		})
	case "start":
		ts.Check(c.RestartAgent())
	default:
		usage(ts, "agent CLUSTER kill|start")
	}
}

// enrolment is what enrol and refused are told.
type enrolment struct {
	name, token, plane, as, reason string
	viaProxy                       bool
}

func parseEnrolment(ts *testscript.TestScript, args []string) (enrolment, bool) {
	if len(args) < 4 || args[2] != "on" {
		return enrolment{}, false
	}
	e := enrolment{name: args[0], token: strings.TrimSpace(ts.ReadFile(args[1])), plane: args[3]}
	args = args[4:]
	if len(args) >= 2 && args[0] == "as" {
		e.as, args = args[1], args[2:]
	}
	if len(args) >= 2 && args[0] == "via" && args[1] == "proxy" {
		e.viaProxy, args = true, args[2:]
	}
	if len(args) == 1 {
		e.reason, args = args[0], nil
	}
	return e, len(args) == 0
}

// startSecondAgent runs a further agent on a control plane that has one already,
// under its own name and in its own namespace.
func (s *script) startSecondAgent(ctx context.Context, ts *testscript.TestScript, e enrolment) (*rig.Cluster, *testbed.ConnectProxy) {
	plane := s.cluster(e.plane)
	if plane == nil {
		ts.Fatalf("there is no cluster %s", e.plane)
	}
	c := s.UseCluster(e.name, plane.ControlPlane)
	args := []string{"--namespace", e.name + "-agent"}
	if e.as != "" {
		args = append(args, "--cluster-name", e.as)
	}
	var proxy *testbed.ConnectProxy
	if e.viaProxy {
		var err error
		proxy, err = testbed.StartConnectProxy(testbed.ConnectOptions{User: "bosun", Password: "pipe"})
		ts.Check(err)
		ts.Defer(proxy.Close)
		args = append(args, "--proxy", proxy.URL())
	}
	ts.Check(c.StartAgent(ctx, e.token, args...))
	ts.Defer(c.StopAgent)
	return c, proxy
}

func cmdEnrol(ts *testscript.TestScript, neg bool, args []string) {
	e, ok := parseEnrolment(ts, args)
	if !ok || neg || e.reason != "" {
		usage(ts, "enrol NAME TOKENFILE on CLUSTER [as OTHER] [via proxy]")
	}
	ctx, cancel := within()
	defer cancel()
	c, proxy := of(ts).startSecondAgent(ctx, ts, e)
	ts.Check(c.AwaitConnected(ctx))
	if proxy != nil && proxy.Tunnels() == 0 {
		ts.Fatalf("the agent is connected, and not through the proxy")
	}
}

// oneRefusal keeps second agents of one name from running at once.
var oneRefusal sync.Mutex

func cmdRefused(ts *testscript.TestScript, neg bool, args []string) {
	e, ok := parseEnrolment(ts, args)
	if !ok || neg || e.reason == "" {
		usage(ts, "refused NAME TOKENFILE on CLUSTER [as OTHER] TEXT")
	}
	oneRefusal.Lock()
	defer oneRefusal.Unlock()
	ctx, cancel := within()
	defer cancel()
	c, _ := of(ts).startSecondAgent(ctx, ts, e)
	defer c.StopAgent()
	// A log file of another process gives no signal.
	for !strings.Contains(testbed.Tail(c.AgentLog(), 200), e.reason) {
		if ctx.Err() != nil {
			ts.Fatalf("the agent does not say %s within %v:\n%s", e.reason, patience, testbed.Tail(c.AgentLog(), 30))
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintln(ts.Stdout(), testbed.Tail(c.AgentLog(), 30))
}
