package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// patience is generous because the machine may be small and busy; what is
// promised within a time says so.
const patience = 90 * time.Second

const shop = `apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {containers: [{name: main, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: flood}
spec: {containers: [{name: main, image: x}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: b}
`

// floodMiB is how much the flood is; HAWSER_TEST_FLOOD_MIB says otherwise.
const floodMiB = 128

type world struct {
	*rig.Rig
	t       *testing.T
	api     *client.Client
	eu      *rig.Cluster
	kubelet *testbed.Kubelet
}

// flood writes n bytes of log, and says how many it got rid of.
type flood struct {
	mu      sync.Mutex
	left    int
	written int
}

func (f *flood) serve(ctx context.Context, r testbed.LogRequest, w io.Writer) bool {
	if r.Pod != "flood" {
		return false
	}
	block := bytes.Repeat([]byte(time.Now().UTC().Format(time.RFC3339Nano)+" "+strings.Repeat("x", 200)+"\n"), 200)
	for ctx.Err() == nil {
		f.mu.Lock()
		done := f.left <= 0
		f.left -= len(block)
		f.mu.Unlock()
		if done {
			break
		}
		n, err := w.Write(block)
		f.mu.Lock()
		f.written += n
		f.mu.Unlock()
		if err != nil {
			break
		}
	}
	return true
}

func start(t *testing.T, f *flood) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	k, err := testbed.StartKubelet(testbed.KubeletOptions{Logs: f.serve})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t), Log: os.Stderr, HubArgs: []string{"--poll-interval", "5s", "--database-url", ""}, AgentArgs: []string{"--allow-exec"}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Rig: r, t: t, kubelet: k}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the hub's log:\n%s\nthe agent's log:\n%s", testbed.Tail(r.Hub.LogPath(), 30), testbed.Tail(filepath.Join(r.Dir, "agent-eu.log"), 30))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.eu, err = r.AddClusterWith(ctx, testbed.Options{Name: "eu", Kubelet: k}); err != nil {
		t.Fatal(err)
	}
	if err := w.eu.Enrol(ctx); err != nil {
		t.Fatal(err)
	}
	if w.api, err = r.API(); err != nil {
		t.Fatal(err)
	}
	repo, err := r.Git.CreateRepo(ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(ctx, "shop", map[string][]byte{"app/all.yaml": []byte(shop)}); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"app", "create", "shop", "--repo", repo.URL(), "--path", "app", "--dest-name", "eu", "--dest-namespace", "shop",
			"--sync-option", "CreateNamespace=true", "--sync-policy", "automated", "--self-heal"},
		{"app", "wait", "shop", "--timeout", patience.String()},
	} {
		if _, err := r.CLI(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// running is a command line that goes on.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *growing
	err   *growing
	ended chan struct{}
}

// growing is what a program has written so far.
type growing struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *growing) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

func (g *growing) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.String()
}

// begin starts the command line with a token, "" for the rig's own.
func (w *world) begin(token string, args ...string) *running {
	w.t.Helper()
	r := &running{t: w.t, cmd: exec.Command(filepath.Join(w.Bin, "hawser"), args...), out: &growing{}, err: &growing{}, ended: make(chan struct{})}
	r.cmd.Env = w.CLIEnv()
	if token != "" {
		r.cmd.Env = append(r.cmd.Env, "HAWSER_TOKEN="+token)
	}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.err
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // the exit status is asked for
		close(r.ended)
	}()
	w.t.Cleanup(func() { r.cmd.Process.Kill(); <-r.ended })
	return r
}

func await(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *running) says(text string) {
	r.t.Helper()
	await(r.t, fmt.Sprintf("%q to be said", text), patience, func() bool {
		select {
		case <-r.ended:
			if !strings.Contains(r.out.String(), text) {
				r.t.Fatalf("it has ended: %s%s", r.out, r.err)
			}
		default:
		}
		return strings.Contains(r.out.String(), text)
	})
}

// ends waits for the exit status and what was said about it.
func (r *running) ends(within time.Duration, code int, why string) {
	r.t.Helper()
	began := time.Now()
	select {
	case <-r.ended:
	case <-time.After(within):
		r.t.Errorf("%v has not ended after %s", r.cmd.Args[1:], within)
		return
	}
	if got := r.cmd.ProcessState.ExitCode(); got != code || !strings.Contains(r.err.String(), why) {
		r.t.Errorf("%v ended with %d and %q; want %d and %q", r.cmd.Args[1:], got, r.err, code, why)
	}
	r.t.Logf("%v ended after %s", r.cmd.Args[1:4], time.Since(began).Round(time.Millisecond))
}

// alone waits until the kubelet serves nobody any more.
func (w *world) alone() {
	w.t.Helper()
	await(w.t, "the kubelet to be left alone", patience, func() bool {
		logs, commands := w.kubelet.Serving()
		return logs == 0 && commands == 0
	})
}

func TestAccessWhenSomethingGoesWrong(t *testing.T) {
	f := &flood{}
	w := start(t, f)
	w.kubelet.Say("shop", "a", "main", "a line")
	for _, step := range []struct {
		name string
		run  func(*world, *testing.T)
	}{
		{"a revoked token ends streams within 10 s", (*world).revokedToken},
		{"Ctrl-C", (*world).interrupted},
		{"a flood delays nothing else", func(w *world, t *testing.T) { w.flooded(t, f) }},
		{"the agent is killed", (*world).agentKilled},
		{"the hub is killed", (*world).hubKilled},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			inner := *w
			inner.t = t
			step.run(&inner, t)
		}) {
			return
		}
	}
}

func (w *world) revokedToken(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var token struct{ ID, Token string }
	if err := w.api.Do(ctx, http.MethodPost, "/tokens", map[string]any{"name": "bob", "ttl": "1h", "admin": true}, &token); err != nil {
		t.Fatal(err)
	}
	logs := w.begin(token.Token, "app", "logs", "shop", "--name", "a", "-f")
	command := w.begin(token.Token, "app", "exec", "shop", "--pod", "a", "-i", "--", "cat")
	events := w.begin(token.Token, "app", "events", "shop", "-f")
	if _, err := io.WriteString(command.in, "hello\n"); err != nil {
		t.Fatal(err)
	}
	logs.says("a line")
	command.says("hello")
	if err := w.api.Do(ctx, http.MethodDelete, "/tokens/"+token.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*running{logs, command, events} {
		r.ends(10*time.Second, 4, "permission_revoked")
	}
	w.alone()
}

// interrupted: Ctrl-C ends what was begun, here and in the cluster.
func (w *world) interrupted(t *testing.T) {
	logs := w.begin("", "app", "logs", "shop", "--name", "a", "-f")
	logs.says("a line")
	if err := logs.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	logs.ends(10*time.Second, 130, "")
	w.alone()
}

func (w *world) agentKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	logs := w.begin("", "app", "logs", "shop", "--name", "a", "-f")
	command := w.begin("", "app", "exec", "shop", "--pod", "a", "-i", "--", "cat")
	if _, err := io.WriteString(command.in, "hello\n"); err != nil {
		t.Fatal(err)
	}
	logs.says("a line")
	command.says("hello")
	w.eu.KillAgent()
	logs.ends(10*time.Second, 8, "(a") // agent_offline or access_interrupted
	command.ends(10*time.Second, 8, "(a")
	w.alone()
	_, err := w.CLI(ctx, "app", "logs", "shop")
	var failed *rig.CLIError
	if !errors.As(err, &failed) || failed.Code != 8 || !strings.Contains(failed.Stderr, "agent_offline") || !strings.Contains(failed.Stderr, "has been disconnected since") {
		t.Errorf("while the agent is away: %v", err)
	}
	if err := w.eu.RestartAgent(); err != nil {
		t.Fatal(err)
	}
	w.works(t)
}

// works waits until logs can be read.
func (w *world) works(t *testing.T) {
	t.Helper()
	var last error
	await(t, fmt.Sprint("logs to be there again; the last answer: ", last), patience, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := w.CLI(ctx, "app", "logs", "shop", "--name", "a")
		last = err
		return err == nil && strings.Contains(string(out), "a line")
	})
}

func (w *world) hubKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	logs := w.begin("", "app", "logs", "shop", "--name", "a", "-f")
	command := w.begin("", "app", "exec", "shop", "--pod", "a", "-i", "--", "cat")
	if _, err := io.WriteString(command.in, "hello\n"); err != nil {
		t.Fatal(err)
	}
	logs.says("a line")
	command.says("hello")
	w.Hub.Kill()
	logs.ends(10*time.Second, 8, "")
	command.ends(10*time.Second, 8, "")
	w.alone()
	if err := w.Hub.Start(ctx); err != nil {
		t.Fatal(err)
	}
	w.works(t)
}

// flooded: while a container's log comes as fast as it can, syncs are as fast as
// before, and neither end holds much of it.
func (w *world) flooded(t *testing.T, f *flood) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	mib := floodMiB
	if n, err := strconv.Atoi(os.Getenv("HAWSER_TEST_FLOOD_MIB")); err == nil {
		mib = n
	}
	quiet := w.syncs(ctx, t, func(n int) bool { return n < 5 })
	f.mu.Lock()
	f.left = mib << 20
	f.mu.Unlock()
	began := time.Now()
	read := w.begin("", "app", "logs", "shop", "--name", "flood")
	read.cmd.Stdout = nil
	// Somebody else who has stopped reading.
	slow := exec.Command(filepath.Join(w.Bin, "hawser"), "app", "logs", "shop", "--name", "flood", "-f")
	slow.Env = w.CLIEnv()
	out, err := slow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { slow.Process.Kill(); slow.Wait() }()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	over := func() bool {
		select {
		case <-read.ended:
			return true
		default:
			return false
		}
	}
	beside := w.syncs(ctx, t, func(n int) bool { return n < 5 || !over() })
	<-read.ended
	took := time.Since(began)
	if code := read.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("reading the flood ended with %d: %s", code, read.err)
	}
	agent, err := testbed.ProcessUsage(w.eu.AgentPID())
	if err != nil {
		t.Fatal(err)
	}
	hub, err := testbed.ProcessUsage(w.Hub.PID())
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	written := f.written
	f.mu.Unlock()
	t.Logf("%d MiB of log in %s (%.1f MiB/s); a sync takes %s (median of %d, worst %s), without a flood %s (worst %s); peak memory: agent %d MiB, hub %d MiB",
		written>>20, took.Round(time.Millisecond), float64(written)/(1<<20)/took.Seconds(),
		median(beside), len(beside), slices.Max(beside), median(quiet), slices.Max(quiet), agent.PeakRSS>>20, hub.PeakRSS>>20)
	if m := median(beside); m > 5*time.Second {
		t.Errorf("beside a flood a sync takes %s", m)
	}
	if agent.PeakRSS > 160<<20 {
		t.Errorf("the agent has used %d MiB", agent.PeakRSS>>20)
	}
}

// syncs asks for a sync of what is in sync as long as more says, and measures how
// long it takes until it has ended: commands, reports and acknowledgements travel
// on the control session.
func (w *world) syncs(ctx context.Context, t *testing.T, more func(n int) bool) (took []time.Duration) {
	t.Helper()
	for n := 0; more(n); n++ {
		began := time.Now()
		var op model.OperationInfo
		if err := w.api.Do(ctx, http.MethodPost, "/applications/shop/sync", map[string]any{}, &op); err != nil {
			t.Fatal(err)
		}
		for !op.Phase.Terminal() {
			if err := w.api.Get(ctx, "/operations/"+string(op.ID), &op); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond)
		}
		if op.Phase != model.PhaseSucceeded {
			t.Fatalf("the sync %s: %s", op.Phase, op.Message)
		}
		took = append(took, time.Since(began).Round(time.Millisecond))
	}
	return took
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}
