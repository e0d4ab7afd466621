package rig

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// AgentOptions say as whom and through what an Agent works.
type AgentOptions struct {
	// Cluster is its name at the hub.
	Cluster string
	// Kubeconfig is how it reaches its API server, and as whom.
	Kubeconfig []byte
	// Namespace is its own.
	Namespace string
	// Hub is the address that it dials; empty means the hub's.
	Hub string
	// Args are further arguments of hawser-agent run.
	Args []string
	// Bin is the directory with its program at the next start; empty means the rig's.
	Bin string
}

// Agent is an agent process that a test starts, kills and holds at will. Unlike a
// Cluster's, it has its own user and namespace, so that several work on one
// control plane, and its own lines to hub and API server, so that they can be
// cut. Its methods may be called from several goroutines.
type Agent struct {
	AgentOptions
	rig        *Rig
	kubeconfig string

	mu   sync.Mutex
	proc *testbed.Process
	log  string
}

// NewAgent makes an Agent; it does not start it. Close of the rig does not end it.
func (r *Rig) NewAgent(o AgentOptions) (*Agent, error) {
	if o.Hub == "" {
		o.Hub = r.Hub.Addr
	}
	f, err := os.CreateTemp(r.Dir, o.Cluster+"-*.kubeconfig")
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(o.Kubeconfig); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Agent{AgentOptions: o, rig: r, kubeconfig: f.Name()}, f.Close()
}

// Enrol starts the agent with a token for its cluster and returns when the hub
// shows it as connected.
func (a *Agent) Enrol(ctx context.Context, log string) error {
	out, err := a.rig.CLI(ctx, "cluster", "enroll", a.Cluster, "--yes", "-o", "json")
	if err != nil {
		return err
	}
	var minted struct{ Token string }
	if err := json.Unmarshal(out, &minted); err != nil || minted.Token == "" {
		return fmt.Errorf("hawser cluster enroll printed no token: %s", out)
	}
	if err := a.Start(log, "HAWSER_TOKEN="+minted.Token); err != nil {
		return err
	}
	return a.AwaitConnected(ctx)
}

// Start starts the agent, which must not be running. What it writes is added to
// the file log, below the rig's directory.
func (a *Agent) Start(log string, env ...string) error {
	log = filepath.Join(a.rig.Dir, log)
	proc, err := testbed.StartProcess("hawser-agent "+a.Cluster, log, a.rig.Dir, append(os.Environ(), env...), filepath.Join(cmp.Or(a.Bin, a.rig.Bin), "hawser-agent"),
		append([]string{"run", "--hub", a.Hub, "--ca-hash", a.rig.Hub.CAHash, "--kubeconfig", a.kubeconfig, "--namespace", a.Namespace, "--log-level", "debug"}, a.Args...)...)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proc, a.log = proc, log
	return nil
}

// Process is the newest process, nil when there was none.
func (a *Agent) Process() *testbed.Process {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proc
}

// Log is the file of the newest process.
func (a *Agent) Log() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log
}

// Stop ends the agent in good order.
func (a *Agent) Stop() {
	if p := a.Process(); p != nil {
		p.Stop(10 * time.Second)
	}
}

// Kill ends the agent with SIGKILL.
func (a *Agent) Kill() {
	if p := a.Process(); p != nil {
		p.Kill()
	}
}

// Hold stops the process without ending it, as a frozen machine does, until
// Continue.
func (a *Agent) Hold() { a.Process().Signal(syscall.SIGSTOP) }

// Continue ends Hold.
func (a *Agent) Continue() { a.Process().Signal(syscall.SIGCONT) }

// AwaitConnected waits until the hub shows the cluster as connected.
func (a *Agent) AwaitConnected(ctx context.Context) error {
	for {
		out, err := a.rig.CLI(ctx, "cluster", "get", a.Cluster, "-o", "json")
		if err == nil && strings.Contains(string(out), `"connected": true`) {
			return nil
		}
		if err := a.Process().Failure(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not connect: %w\n%s", a.Cluster, errors.Join(err, context.Cause(ctx)), testbed.Tail(a.Log(), 20))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
