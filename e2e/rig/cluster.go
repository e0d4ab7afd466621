package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// Cluster is a control plane and, once enrolled, its agent.
type Cluster struct {
	rig  *Rig
	Name string
	*testbed.ControlPlane
	// AgentEnv is added to the agent's environment at its next start, as
	// "KEY=value".
	AgentEnv []string
	ownPlane bool
	agent    *testbed.Process
	args     []string
	env      []string
}

// AddCluster starts a control plane under a name. It does not enrol it.
func (r *Rig) AddCluster(ctx context.Context, name string) (*Cluster, error) {
	return r.AddClusterWith(ctx, testbed.Options{Name: name})
}

// AddClusterWith is AddCluster with a control plane of its own making.
func (r *Rig) AddClusterWith(ctx context.Context, o testbed.Options) (*Cluster, error) {
	name := o.Name
	o.Log = r.Log
	cp, err := testbed.StartControlPlane(ctx, o)
	if err != nil {
		return nil, err
	}
	c := r.UseCluster(name, cp)
	c.ownPlane = true
	return c, nil
}

// UseCluster takes a control plane that somebody else started and will stop.
func (r *Rig) UseCluster(name string, cp *testbed.ControlPlane) *Cluster {
	c := &Cluster{rig: r, Name: name, ControlPlane: cp}
	r.mu.Lock()
	r.clusters = append(r.clusters, c)
	r.mu.Unlock()
	return c
}

// Enrol asks the hub for a one-time token and starts the agent with it; it
// returns when the hub shows the cluster as connected.
func (c *Cluster) Enrol(ctx context.Context, agentArgs ...string) error {
	out, err := c.rig.CLI(ctx, "cluster", "enroll", c.Name, "--yes", "-o", "json")
	if err != nil {
		return err
	}
	var minted struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(out, &minted); err != nil || minted.Token == "" {
		return fmt.Errorf("hawser cluster enroll printed no token: %s", out)
	}
	if err := c.StartAgent(ctx, minted.Token, agentArgs...); err != nil {
		return err
	}
	return c.AwaitConnected(ctx)
}

// StartAgent starts the agent; token may be empty when it is enrolled already.
// Arguments are kept for RestartAgent.
func (c *Cluster) StartAgent(ctx context.Context, token string, agentArgs ...string) error {
	kubeconfig := filepath.Join(c.rig.Dir, c.Name+".kubeconfig")
	if err := os.WriteFile(kubeconfig, c.Kubeconfig(), 0o600); err != nil {
		return err
	}
	c.args = append([]string{
		"run", "--hub", c.rig.Hub.Addr, "--ca-hash", c.rig.Hub.CAHash,
		"--kubeconfig", kubeconfig, "--namespace", "hawser-system",
	}, append(c.rig.AgentArgs, agentArgs...)...)
	c.env = append(os.Environ(), c.AgentEnv...)
	return c.startAgent(token)
}

func (c *Cluster) startAgent(token string) error {
	env := c.env
	if token != "" {
		env = append(env[:len(env):len(env)], "HAWSER_TOKEN="+token)
	}
	proc, err := testbed.StartProcess("hawser-agent "+c.Name, c.AgentLog(), c.rig.Dir, env, filepath.Join(c.rig.Bin, "hawser-agent"), c.args...)
	if err != nil {
		return err
	}
	c.agent = proc
	return nil
}

// KillAgent ends the agent with SIGKILL.
func (c *Cluster) KillAgent() { c.agent.Kill() }

// RestartAgent starts the agent again, without a token: its identity is in its
// cluster.
func (c *Cluster) RestartAgent() error { return c.startAgent("") }

// AgentPID is the process id of the agent.
func (c *Cluster) AgentPID() int { return c.agent.PID() }

// StopAgent ends the agent in order, with SIGTERM.
func (c *Cluster) StopAgent() { c.agent.Stop(10 * time.Second) }

// AgentRunning reports whether the agent's process is alive.
func (c *Cluster) AgentRunning() bool { return c.agent != nil && c.agent.Running() }

// AgentLog is the file with the agent's output.
func (c *Cluster) AgentLog() string { return filepath.Join(c.rig.Dir, "agent-"+c.Name+".log") }

// AwaitConnected waits until the hub shows the cluster as connected.
func (c *Cluster) AwaitConnected(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		if !c.agent.Running() {
			return c.agent.Failure()
		}
		out, err := c.rig.CLI(ctx, "cluster", "get", c.Name, "-o", "json")
		if err == nil {
			var got struct {
				Connected bool `json:"connected"`
			}
			if json.Unmarshal(out, &got) == nil && got.Connected {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster %s does not connect (%v)\n%s", c.Name, err, testbed.Tail(c.AgentLog(), 20))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Cluster) close() {
	if c.agent != nil {
		c.agent.Stop(10 * time.Second)
	}
	if c.ownPlane {
		c.ControlPlane.Stop()
	}
}
