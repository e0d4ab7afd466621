package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/agent/app"
	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// clockAhead is in the environment of a test program that is to be hawser-agent on a
// machine whose clock is off by as much.
const clockAhead = "HAWSER_TEST_CLOCK_AHEAD"

// agentWithClock is `hawser-agent run`, with the flags that come after that, and the clock of another machine.
func agentWithClock(ahead string) error {
	off, err := time.ParseDuration(ahead)
	if err != nil {
		return err
	}
	cfg := app.Config{Now: func() time.Time { return time.Now().Add(off) }}
	flags := pflag.NewFlagSet("hawser-agent", pflag.ContinueOnError)
	cfg.Flags(flags)
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	log, err := telemetry.NewLogger(os.Stderr, telemetry.Options{Format: cfg.LogFormat, Level: cfg.LogLevel})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return app.Run(ctx, cfg, log)
}

// A machine whose clock is 10 minutes off enrols and works: its log says the code and
// what to do, before it enrols and after; the hub shows the same while it happens, to
// the API and to the command line; what it shows of applications is as old as it says;
// and all that is over when the clock is right.
func TestAClockThatIsTenMinutesOff(t *testing.T) {
	t.Parallel()
	w := need(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, ahead := range map[string]time.Duration{"early": 10 * time.Minute, "late": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("%s has passed", patience))
			defer cancel()
			s := &ship{world: w, t: t, ctx: ctx, name: name, user: nextUser(t)}
			kubeconfig, err := w.plane.UserKubeconfig(s.user, "system:masters")
			s.check(err)
			bin := t.TempDir()
			s.check(os.Symlink(self, filepath.Join(bin, "hawser-agent")))
			s.Agent, err = w.NewAgent(rig.AgentOptions{Cluster: name, Kubeconfig: kubeconfig, Namespace: name + "-agent", Bin: bin})
			s.check(err)
			t.Cleanup(s.Stop)
			s.repo, err = w.Git.CreateRepo(ctx, name)
			s.check(err)
			_, err = w.CLI(ctx, "repo", "add", s.repo.URL())
			s.check(err)

			out, err := w.CLI(ctx, "cluster", "enroll", name, "--yes", "-o", "json")
			s.check(err)
			var minted struct{ Token string }
			s.check(json.Unmarshal(out, &minted))
			s.check(s.Start(name+".log", "HAWSER_TOKEN="+minted.Token, clockAhead+"="+ahead.String()))
			s.check(s.AwaitConnected(ctx))
			which := map[bool]string{true: "ahead of", false: "behind"}[ahead > 0]
			for _, line := range []string{"msg=preflight", `msg="the clocks differ`} {
				s.eventually("in the log: "+line, 30*time.Second, func() bool {
					return testbed.Logged(s.Log(), line, "code=clock_skewed", "id=HW-6100", "10m0s "+which+" the hub's", "by NTP")
				})
			}
			var tokens struct{ Items []api.EnrolmentToken }
			s.check(w.api.Get(ctx, "/enrolment-tokens", &tokens))
			found := ""
			for _, token := range tokens.Items {
				if token.Cluster == name && token.Preflight != nil {
					for _, c := range token.Preflight.Checks {
						if c.Code != "" {
							found += c.Check + " " + string(c.Outcome) + " " + c.Code + " " + c.ID
						}
					}
				}
			}
			if found != "clock failed clock_skewed HW-6100" {
				t.Errorf("the hub's enrolment says %q", found)
			}
			diagnosis := func() string {
				var d api.ClusterDiagnosis
				s.check(w.api.Get(ctx, "/clusters/"+name+"/diagnosis", &d))
				var causes []string
				for _, c := range d.Causes {
					causes = append(causes, c.Code+" "+c.Seen)
				}
				return strings.Join(causes, "\n")
			}
			s.eventually("what the hub says", 30*time.Second, func() bool {
				return strings.Contains(diagnosis(), "clock_skewed the agent's clock is 10m0s "+which+" the hub's")
			})
			if out, err := w.CLI(ctx, "cluster", "diagnose", name); !strings.Contains(string(out), "HW-6100") {
				t.Errorf("hawser cluster diagnose: %v\n%s", err, out)
			}
			young := func(commit string) {
				t.Helper()
				s.view(name+"-app", "is live", func(v model.AppView) bool {
					return v.Revision == commit && v.Freshness == model.FreshLive && v.ObservedAt != nil && time.Since(*v.ObservedAt).Abs() < time.Minute
				})
			}
			first := s.commit(name+"-app", configMap("a", "1"))
			s.deploy(name+"-app", automated)
			s.settled(name+"-app", first)
			young(first)

			// The machine's clock is set.
			s.Stop()
			s.check(s.Start(name+"-right.log", clockAhead+"=0s"))
			s.check(s.AwaitConnected(ctx))
			s.eventually("nothing is said of clocks", 30*time.Second, func() bool { return diagnosis() == "" })
			second := s.commit(name+"-app", configMap("a", "2"))
			s.settled(name+"-app", second)
			young(second)
			if testbed.Logged(s.Log(), "clock_skewed") {
				t.Error("the log speaks of clocks that agree")
			}
		})
	}
}

// programOr runs the tests, unless the program was started as an agent.
func programOr(tests func() int) int {
	ahead := os.Getenv(clockAhead)
	if ahead == "" {
		return tests()
	}
	if err := agentWithClock(ahead); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}
