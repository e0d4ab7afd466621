package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

func main() {
	if beBare() {
		return
	}
	bin := flag.String("bin", "bin", "directory with the programs")
	out := flag.String("out", "bench/result.json", "file for the JSON")
	only := flag.String("only", "first,change,latency,idle,memory,decisions,identity,cache,render,monorepo,git-idle,api,kubectl", "benchmarks to run; floor runs the floor alone")
	apps := flag.String("apps", "200,500", "numbers of applications")
	repeat := flag.Int("repeat", 3, "samples of floor, first and change")
	idleFor := flag.Duration("idle", time.Minute, "length of the idle benchmark")
	seeded := flag.Int("seed", 0, "measure nothing: start a hub with that many applications, print its address and tokens, and leave it until an interrupt")
	rate := flag.Int("rate", 0, "with -seed: changes a second that agents report; with -fleet: things a second that happen in clusters and to agents")
	agents := flag.Int("agents", goalAgents, "agents of the benchmark fleet")
	fleet := flag.Int("fleet", 0, "measure nothing: start a hub with that many agents, print the console's login link, and leave it until an interrupt")
	dev := flag.Bool("dev", false, "with -seed: serve the sources of the console over the hub, with hot reload")
	screenshots := flag.String("screenshots", "", "with -seed: take pictures of the console's screens into this directory, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *seeded > 0 {
		if err := leaveSeeded(ctx, *bin, *seeded, *rate, *dev, *screenshots); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if *fleet > 0 {
		if err := leaveFleet(ctx, *bin, *fleet, *rate); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	b := &bench{bin: *bin, agents: *agents, repeat: *repeat, idleFor: *idleFor, log: os.Stderr}
	err := b.configure(*only, *apps)
	if err == nil {
		err = b.run(ctx, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	bin     string
	only    map[string]bool
	apps    []int
	repeat  int
	idleFor time.Duration
	agents  int
	log     io.Writer
	report
}

func (b *bench) configure(only, apps string) error {
	known := []string{"floor", "first", "change", "latency", "idle", "memory", "decisions", "identity", "cache", "render", "monorepo", "git-idle", "api", "kubectl", "console", "fleet"}
	b.only = map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		if !slices.Contains(known, name) {
			return fmt.Errorf("-only: there is no benchmark %q; there are %s", name, strings.Join(known, ", "))
		}
		b.only[name] = true
	}
	for text := range strings.SplitSeq(apps, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-apps: %q is no number of applications", text)
		}
		b.apps = append(b.apps, n)
	}
	if b.repeat < 1 {
		return errors.New("-repeat: at least 1")
	}
	slices.Sort(b.apps)
	return nil
}

func (b *bench) run(ctx context.Context, out string) error {
	b.Started, b.Machine, b.Repeat = time.Now().UTC(), thisMachine(), b.repeat
	b.Requests, b.Errors = map[string]requestKind{}, map[string]string{}
	if b.only["render"] {
		b.try("render", func() error { return b.rendering(ctx) })
	}
	if b.only["decisions"] {
		b.try("decisions", func() error { return b.decisions(ctx) })
	}
	if b.only["identity"] {
		b.try("identity", func() error { return b.identity(ctx) })
	}
	if b.only["cache"] {
		b.try("cache", func() error { return b.sharedCache(ctx) })
	}
	if b.only["monorepo"] {
		b.try("monorepo", func() error { return b.monorepo(ctx) })
	}
	if b.only["git-idle"] {
		b.try("git-idle", func() error { return b.gitIdle(ctx) })
	}
	if b.only["api"] {
		b.try("api", func() error { return b.serving(ctx) })
	}
	if b.only["console"] {
		b.try("console", func() error { return b.console(ctx) })
	}
	if b.only["fleet"] {
		b.try("fleet", func() error { return b.thousandAgents(ctx, b.agents) })
	}
	if b.only["kubectl"] {
		b.try("kubectl", func() error { return b.kubectl(ctx) })
	}
	for i, n := range b.apps {
		b.many(ctx, n, i == len(b.apps)-1)
	}
	if b.only["memory"] {
		b.try("memory", func() error { return b.memory(ctx, b.apps[len(b.apps)-1]) })
	}
	if b.only["latency"] {
		b.try("latency", func() error { return b.one(ctx) })
	}
	if b.only["idle"] {
		b.try("idle", func() error { return b.resting(ctx) })
	}
	b.conclude()
	b.table(os.Stdout)
	if err := b.save(out); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if len(b.Errors) > 0 {
		return fmt.Errorf("%d benchmark(s) could not be measured", len(b.Errors))
	}
	return nil
}

// try runs a benchmark; one that fails does not stop the others.
func (b *bench) try(name string, run func() error) {
	if err := run(); err != nil {
		b.Errors[name] = err.Error()
		b.logf("✖ %s: %v", name, err)
	}
}

func (b *bench) logf(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// many runs what needs N applications. The last and largest N carries latency
// and idle among many.
func (b *bench) many(ctx context.Context, n int, largest bool) {
	needFleet := b.only["first"] || b.only["change"] || largest && (b.only["latency"] || b.only["idle"])
	needFloor := b.only["first"] || b.only["floor"]
	samples := 1
	if needFloor {
		samples = b.repeat
	}
	for i := range samples {
		floor := func() {
			if needFloor {
				b.try(fmt.Sprintf("floor-%d", n), func() error { return b.floor(ctx, n) })
			}
		}
		first := func() {
			if needFleet && (b.only["first"] || i == samples-1) {
				b.try(fmt.Sprintf("first-%d", n), func() error { return b.first(ctx, n, i == samples-1, largest) })
			}
		}
		// What comes second might profit or suffer; they take turns.
		if i%2 == 0 {
			floor()
			first()
		} else {
			first()
			floor()
		}
	}
}

func (b *bench) floor(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cp, err := testbed.StartControlPlane(ctx, testbed.Options{Name: "floor", Log: b.log})
	if err != nil {
		return err
	}
	defer cp.Stop()
	b.Versions.of(ctx, cp, nil)
	if err := restFor(ctx, calm); err != nil {
		return err
	}
	res, err := floor(ctx, cp, workload{n: n})
	if err != nil {
		return err
	}
	b.logf("✔ floor-%d: applied in %.2f s, all available in %.2f s, %d requests", n, res.applied.Seconds(), res.available.Seconds(), res.requests)
	name := fmt.Sprintf("floor-%d/", n)
	b.add(name+"wall", "raw server-side apply with 16 workers until every Deployment is Available", "s", seconds(res.available))
	b.add(name+"applied", "until the last apply was answered", "s", seconds(res.applied))
	b.add(name+"requests", "API requests", "", float64(res.requests))
	b.add(name+"cpu-apiserver", "CPU of the API server", "s", round(res.apiServerCPU))
	return nil
}

// first takes a sample of first and, with the fleet of the last one, goes on to
// what needs a fleet.
func (b *bench) first(ctx context.Context, n int, goOn, largest bool) error {
	start, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	f, err := startFleet(start, b.bin, workload{n: n}, b.log)
	if err != nil {
		return err
	}
	defer f.Close()
	b.Versions.of(ctx, f.cluster.ControlPlane, f.Rig)
	s, err := f.firstSync(start)
	if err != nil {
		return err
	}
	if b.only["first"] {
		b.recordFirst(n, s)
	}
	if !goOn {
		return nil
	}
	if b.only["change"] {
		b.try(fmt.Sprintf("change-%d", n), func() error { return b.change(ctx, f) })
	}
	if largest && b.only["latency"] {
		name := fmt.Sprintf("latency-%d", n)
		b.try(name, func() error { return b.latency(ctx, name, f) })
	}
	if largest && b.only["idle"] {
		name := fmt.Sprintf("idle-%d", n)
		b.try(name, func() error { return b.idle(ctx, name, f) })
	}
	return nil
}

// goalN is the number of applications that the goals are for.
const goalN = 500

func (b *bench) recordFirst(n int, s firstSync) {
	name := fmt.Sprintf("first-%d/", n)
	b.logf("✔ first-%d: accepted in %.2f s, all Synced and Healthy at the hub in %.2f s", n, s.accepted.Seconds(), s.settled.Seconds())
	hub, agent, postgres := s.after.HubCPU-s.before.HubCPU, s.after.AgentCPU-s.before.AgentCPU, s.after.PostgresCPU-s.before.PostgresCPU
	wall := b.add(name+"wall", "hawser apply until all are Synced and Healthy at the hub", "s", seconds(s.settled)).over(fmt.Sprintf("floor-%d/wall", n))
	b.add(name+"accepted", "hawser apply until its answer", "s", seconds(s.accepted))
	b.add(name+"from-accepted", "from that answer on", "s", seconds(s.fromAccepted))
	cpu := b.add(name+"cpu", "CPU of hub (with workers) and agent", "s", round(hub+agent))
	b.add(name+"cpu-hub", "CPU of the hub with its workers", "s", round(hub))
	b.add(name+"cpu-agent", "CPU of the agent", "s", round(agent))
	b.add(name+"cpu-postgres", "CPU of the hub's Postgres", "s", round(postgres))
	b.add(name+"cpu-apiserver", "CPU of the API server", "s", round(s.after.APIServerCPU-s.before.APIServerCPU)).over(fmt.Sprintf("floor-%d/cpu-apiserver", n))
	requests := b.add(name+"requests", "API requests without watches and discovery", "", float64(s.requests.counted())).over(fmt.Sprintf("floor-%d/requests", n))
	perApplication := b.add(name+"requests-per-application", "of which for objects, for each application of 4 objects", "", round(float64(s.requests.Rest)/float64(n)))
	journal := b.add(name+"requests-journal", "of which journal", "", float64(s.requests.Journal))
	peak := b.add(name+"agent-peak", "agent's peak memory", "MiB", mib(s.after.AgentPeak))
	b.add(name+"hub-peak", "hub's peak memory, without workers", "MiB", mib(s.after.HubPeak))
	b.add(name+"workers-peak", "sum of the hub's workers' peaks", "MiB", mib(s.after.WorkersPeak))
	b.Requests[fmt.Sprintf("first-%d", n)] = s.requests
	if n == goalN {
		wall.atMost("ratio", 1.5)
		cpu.atMost("median", 6)
		requests.atMost("max", 2500)
		perApplication.atMost("max", 5)
		journal.atMost("max", 100)
		peak.atMost("max", 64)
	}
}

func (b *bench) change(ctx context.Context, f *fleet) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	name := fmt.Sprintf("change-%d/", f.n)
	for range b.repeat {
		if err := restFor(ctx, calm); err != nil {
			return err
		}
		cluster, hub, before, after, err := f.changeAll(ctx)
		if err != nil {
			return err
		}
		b.logf("✔ change-%d: changed in the cluster in %.2f s, Synced at the hub in %.2f s", f.n, cluster.Seconds(), hub.Seconds())
		m := b.add(name+"cluster", "one commit changes an object in each: until the last is changed in the cluster", "s", seconds(cluster))
		h := b.add(name+"hub", "until all are Synced to it at the hub", "s", seconds(hub))
		b.add(name+"cpu", "CPU of hub (with workers) and agent", "s", round(after.HubCPU-before.HubCPU+after.AgentCPU-before.AgentCPU))
		if f.n == goalN {
			m.atMost("median", 3)
			h.atMost("median", 3)
		}
	}
	return nil
}

func (b *bench) latency(ctx context.Context, name string, f *fleet) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	audit, err := f.cluster.AuditFromNow()
	if err != nil {
		return err
	}
	err = f.latency(ctx, func(d time.Duration) {
		b.add(name+"/commit", "commit and webhook until the object is changed in the cluster", "s", seconds(d)).atMost("p50", 0.150).atMost("p99", 0.500)
	}, func(d time.Duration) {
		b.add(name+"/drift", "drift until it is reverted", "s", seconds(d)).atMost("p50", 0.100).atMost("p99", 0.300)
	})
	if err != nil {
		return err
	}
	requests, err := requestsUntilNow(ctx, f.cluster.ControlPlane, audit)
	if err != nil {
		return err
	}
	b.Requests[name] = requests
	b.logf("✔ %s: %d commits and drifts, %v", name, repeats, requests)
	// Each repeat is a commit and a drift.
	b.add(name+"/requests-per-change", "API requests for one change, without journal, watches and lease", "", round(float64(requests.Rest)/(2*repeats))).atMost("max", 2)
	return nil
}

// one measures latency with a single application in the cluster.
func (b *bench) one(ctx context.Context) error {
	f, err := b.small(ctx, workload{n: 1})
	if err != nil {
		return err
	}
	defer f.Close()
	return b.latency(ctx, "latency", f)
}

// resting measures idle with a cluster like the demo's.
func (b *bench) resting(ctx context.Context) error {
	f, err := b.small(ctx, workload{n: 3, replicas: 2})
	if err != nil {
		return err
	}
	defer f.Close()
	return b.idle(ctx, "idle", f)
}

func (b *bench) small(ctx context.Context, w workload) (*fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	f, err := startFleet(ctx, b.bin, w, b.log)
	if err != nil {
		return nil, err
	}
	b.Versions.of(ctx, f.cluster.ControlPlane, f.Rig)
	if _, err := f.firstSync(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (b *bench) idle(ctx context.Context, name string, f *fleet) error {
	if err := restFor(ctx, 10*time.Second); err != nil {
		return err
	}
	audit, err := f.cluster.AuditFromNow()
	if err != nil {
		return err
	}
	git := f.Git.Counts("")
	before, err := usageOf(f.Rig, f.cluster)
	if err != nil {
		return err
	}
	if err := restFor(ctx, b.idleFor); err != nil {
		return err
	}
	after, err := usageOf(f.Rig, f.cluster)
	if err != nil {
		return err
	}
	requests, err := requestsUntilNow(ctx, f.cluster.ControlPlane, audit)
	if err != nil {
		return err
	}
	b.Requests[name] = requests
	b.logf("✔ %s: %v", name, requests)
	b.add(name+"/cpu-hub", "CPU of the hub with its workers", "s", round(after.HubCPU-before.HubCPU))
	b.add(name+"/cpu-agent", "CPU of the agent", "s", round(after.AgentCPU-before.AgentCPU))
	b.add(name+"/cpu-postgres", "CPU of the hub's Postgres", "s", round(after.PostgresCPU-before.PostgresCPU))
	b.add(name+"/requests-other", "API requests that are neither watches nor the lease", "", float64(requests.Discovery+requests.Journal+requests.Rest)).atMost("max", 0)
	b.add(name+"/requests-lease", "API requests for the lease", "", float64(requests.Lease))
	b.add(name+"/requests-watch", "watches opened again", "", float64(requests.Watch))
	b.add(name+"/git", "questions to the Git server", "", float64(f.Git.Counts("").Refs-git.Refs))
	agent := b.add(name+"/agent-memory", "agent's memory", "MiB", mib(after.AgentRSS))
	if name == "idle" {
		agent.atMost("max", 40)
	}
	b.add(name+"/hub-memory", "hub's memory, without workers", "MiB", mib(after.HubRSS))
	return nil
}
