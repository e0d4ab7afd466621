package kill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// patience is how long a case waits for anything. It is generous because the
// machine may be small and busy; speed is measured elsewhere.
const patience = 90 * time.Second

// outsider is who changes things in the cluster that are not his.
const outsider = "somebody"

const (
	// lanes is how many agents there are, each of its own cluster at the hub and
	// in its own namespace of the one control plane. They are more than run side
	// by side, because the hub lets one cluster open only so many sessions.
	lanes = 12
	// abreast is how many stories are told at a time.
	abreast = 5
)

// world is what all cases share: a hub with its Postgres, Git, a control plane.
type world struct {
	*rig.Rig
	plane *testbed.ControlPlane
	api   *client.Client
	eye   *rig.Watcher
	lanes chan *lane        // that are free, the longest first
	hand  dynamic.Interface // the outsider's
	log   testbed.TB
	// stored is what a watch of the outsider has seen.
	stored seenVersions
	mu     sync.Mutex
	close  []func()
}

func (w *world) atEnd(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.close = append(w.close, f)
}

func (w *world) end() {
	for _, f := range slices.Backward(w.close) {
		f()
	}
}

func startWorld(ctx context.Context, log testbed.TB) (_ *world, err error) {
	w := &world{log: log, stored: seenVersions{versions: map[string][]Version{}}}
	defer func() {
		if err != nil {
			w.end()
		}
	}()
	bin, remove, err := rig.WithFailpoints(ctx, os.Getenv("HAWSER_BIN"))
	if err != nil {
		return nil, err
	}
	w.atEnd(remove)
	users := []string{outsider}
	for i := range lanes {
		users = append(users, laneName(i))
	}
	w.plane, err = testbed.StartControlPlane(ctx, testbed.Options{Name: "kill", AuditPolicy: fmt.Sprintf(AuditPolicy, strings.Join(users, ", "))})
	if err != nil {
		return nil, err
	}
	w.atEnd(w.plane.Stop)
	w.Rig, err = rig.Start(ctx, rig.Options{Bin: bin, HubArgs: []string{"--poll-interval", "60s", "--database-url", ""}})
	if err != nil {
		return nil, err
	}
	w.atEnd(func() {
		if err := w.Rig.Close(); err != nil {
			log.Logf("closing: %v", err)
		}
	})
	if w.api, err = w.API(); err != nil {
		return nil, err
	}
	w.eye = rig.Watch(ctx, w.api)
	w.atEnd(w.eye.Stop)
	kubeconfig, err := w.plane.UserKubeconfig(outsider, "system:masters")
	if err != nil {
		return nil, err
	}
	cfg, err := testbed.RESTConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	if w.hand, err = dynamic.NewForConfig(cfg); err != nil {
		return nil, err
	}
	w.atEnd(w.finishJobs())
	w.atEnd(w.watchObjects())
	return w, w.openLanes(ctx)
}

// lane is one agent and its cluster at the hub.
type lane struct {
	*rig.Agent
	world *world
	line  *testbed.Proxy
	repo  *testbed.Repo
}

func laneName(i int) string { return fmt.Sprintf("lane-%d", i+1) }

func (w *world) openLanes(ctx context.Context) error {
	w.lanes = make(chan *lane, lanes)
	errs := make([]error, lanes)
	var wg sync.WaitGroup
	for i := range lanes {
		wg.Go(func() {
			l, err := w.openLane(ctx, laneName(i))
			if errs[i] = err; err == nil {
				w.lanes <- l
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (w *world) openLane(ctx context.Context, name string) (_ *lane, err error) {
	l := &lane{world: w}
	kubeconfig, err := w.plane.UserKubeconfig(name, "system:masters")
	if err != nil {
		return nil, err
	}
	if l.line, err = testbed.StartProxy(w.Hub.Addr, 1); err != nil {
		return nil, err
	}
	w.atEnd(l.line.Close)
	if l.Agent, err = w.NewAgent(rig.AgentOptions{Cluster: name, Kubeconfig: kubeconfig, Namespace: name + "-agent", Hub: l.line.Addr()}); err != nil {
		return nil, err
	}
	w.atEnd(l.Stop)
	if l.repo, err = w.Git.CreateRepo(ctx, name); err != nil {
		return nil, err
	}
	if _, err := w.CLI(ctx, "repo", "add", l.repo.URL()); err != nil {
		return nil, err
	}
	if err := l.Enrol(ctx, name+"-enrol.log"); err != nil {
		return nil, err
	}
	l.Stop()
	return l, nil
}

// commit replaces an application's manifests and tells the hub of the push.
func (l *lane) commit(ctx context.Context, app string, manifests []byte) (sha string, err error) {
	if sha, err = l.repo.Commit(ctx, app, map[string][]byte{app + "/objects.yaml": manifests}); err != nil {
		return "", err
	}
	return sha, l.world.Push(ctx, l.repo.URL(), testbed.DefaultBranch, sha)
}
