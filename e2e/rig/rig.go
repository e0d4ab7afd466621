package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// Options say what a Rig is made of.
type Options struct {
	// Bin is the directory with hawser, hawser-hub and hawser-agent.
	Bin string
	// Dir receives data and logs; empty means a new temporary directory that
	// Close removes.
	Dir string
	// Log receives progress for people.
	Log io.Writer
	// HubArgs are further arguments of hawser-hub serve.
	HubArgs []string
	// AgentArgs are further arguments of hawser-agent run.
	AgentArgs []string
	// GitUser and GitPassword protect the Git server when set.
	GitUser, GitPassword string
	// NoGit leaves the Git server out.
	NoGit bool
}

// Rig is a hub, a Git server and clusters with their agents. Its methods may be
// called from several goroutines.
type Rig struct {
	Options
	Hub *Hub
	Git *testbed.GitServer

	mu       sync.Mutex
	clusters []*Cluster
	ownDir   bool
}

// Start starts the Git server and the hub, and logs the command line in.
func Start(ctx context.Context, o Options) (_ *Rig, err error) {
	r := &Rig{Options: o}
	if r.Log == nil {
		r.Log = io.Discard
	}
	if r.Bin, err = filepath.Abs(o.Bin); err != nil {
		return nil, err
	}
	for _, name := range []string{"hawser", "hawser-hub", "hawser-agent"} {
		if _, err := os.Stat(filepath.Join(r.Bin, name)); err != nil {
			return nil, fmt.Errorf("%s is not built: run make build (%w)", name, err)
		}
	}
	if r.Dir == "" {
		if r.Dir, err = os.MkdirTemp("", "hawser-rig-"); err != nil {
			return nil, err
		}
		r.ownDir = true
		// The private Postgres may run as another user and must reach its data.
		if err := os.Chmod(r.Dir, 0o755); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if !o.NoGit {
		r.Git, err = testbed.StartGitServer(ctx, testbed.GitOptions{
			Dir: filepath.Join(r.Dir, "git"), User: o.GitUser, Password: o.GitPassword, AllowPush: true,
		})
		if err != nil {
			return nil, err
		}
	}
	r.Hub, err = newHub(r)
	if err != nil {
		return nil, err
	}
	if err := r.Hub.Start(ctx); err != nil {
		return nil, err
	}
	return r, r.login(ctx)
}

// Close ends everything that was started, in reverse order, and removes what
// the rig made. It may be called more than once.
func (r *Rig) Close() error {
	r.mu.Lock()
	clusters := r.clusters
	r.clusters = nil
	r.mu.Unlock()
	var errs []error
	var wg sync.WaitGroup
	for _, c := range clusters {
		wg.Go(func() { c.close() })
	}
	wg.Wait()
	if r.Hub != nil {
		errs = append(errs, r.Hub.Stop())
		r.Hub.stopDatabase()
		r.Hub.port.Release()
	}
	if r.Git != nil {
		r.Git.Close()
	}
	if r.ownDir {
		errs = append(errs, os.RemoveAll(r.Dir))
	}
	return errors.Join(errs...)
}

func (r *Rig) logf(format string, args ...any) { fmt.Fprintf(r.Log, format+"\n", args...) }
