package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

const (
	clusterName = "bench"
	calm        = 3 * time.Second // between a start and the clock
)

// fleet is a hub, one cluster with its agent, and the workload's repository.
type fleet struct {
	*rig.Rig
	workload
	cluster *rig.Cluster
	repo    *testbed.Repo
	api     *client.Client
	head    string // last commit
	changed int    // number of changes so far
}

// startFleet starts everything up to the point where applications can be
// applied.
func startFleet(ctx context.Context, bin string, w workload, log io.Writer) (_ *fleet, err error) {
	r, err := rig.Start(ctx, rig.Options{Bin: bin, Log: log, HubArgs: []string{"--database-url", ""}})
	if err != nil {
		return nil, err
	}
	f := &fleet{Rig: r, workload: w}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if f.api, err = r.API(); err != nil {
		return nil, err
	}
	if f.cluster, err = r.AddCluster(ctx, clusterName); err != nil {
		return nil, err
	}
	if err := f.cluster.Enrol(ctx); err != nil {
		return nil, err
	}
	if f.repo, err = r.Git.CreateRepo(ctx, "fleet"); err != nil {
		return nil, err
	}
	files, err := w.files("0")
	if err != nil {
		return nil, err
	}
	if f.head, err = f.repo.Commit(ctx, "The workload", files); err != nil {
		return nil, err
	}
	if _, err := r.CLI(ctx, "repo", "add", f.repo.URL()); err != nil {
		return nil, err
	}
	return f, restFor(ctx, calm)
}

// firstSync is one sample of first.
type firstSync struct {
	accepted, settled time.Duration
	// fromAccepted is from the answer of the API on.
	fromAccepted  time.Duration
	before, after usage
	requests      requestKind
}

// firstSync applies all applications and waits until all are Synced and Healthy
// at the hub.
func (f *fleet) firstSync(ctx context.Context) (s firstSync, err error) {
	applications, err := f.applications(f.repo.URL(), clusterName)
	if err != nil {
		return s, err
	}
	audit, err := f.cluster.AuditFromNow()
	if err != nil {
		return s, err
	}
	if s.before, err = usageOf(f.Rig, f.cluster); err != nil {
		return s, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		at  time.Time
		err error
	}
	settled := make(chan end, 1)
	go func() {
		err := f.awaitSettled(ctx, f.head)
		settled <- end{time.Now(), err}
	}()
	begin := time.Now()
	if _, err := f.CLIInput(ctx, applications, "apply", "-f", "-", "-o", "name"); err != nil {
		return s, err
	}
	accepted := time.Now()
	e := <-settled
	if e.err != nil {
		return s, e.err
	}
	s.accepted, s.settled, s.fromAccepted = accepted.Sub(begin), e.at.Sub(begin), e.at.Sub(accepted)
	if s.after, err = usageOf(f.Rig, f.cluster); err != nil {
		return s, err
	}
	s.requests, err = requestsUntilNow(ctx, f.cluster.ControlPlane, audit)
	return s, err
}

// awaitSettled returns when the hub shows all N applications Synced to the commit
// and Healthy, by its event stream; the stream's rows are then confirmed by a
// listing.
func (f *fleet) awaitSettled(ctx context.Context, commit string) error {
	var good int
	settled := map[string]bool{}
	last := ""
	err := rig.FollowApplications(ctx, f.api, func(apps rig.Applications, changed ...string) bool {
		if changed == nil {
			clear(settled)
			for name := range apps {
				changed = append(changed, name)
			}
		}
		for _, name := range changed {
			v, ok := apps[name]
			settled[name] = ok && rig.Settled(v) && v.Revision == commit
			if !settled[name] {
				delete(settled, name)
				last = fmt.Sprintf("%s: sync %s, health %s, revision %.8s, conditions %v", name, v.Sync.Status, v.Health.Status, v.Revision, v.Conditions)
			}
		}
		good = len(settled)
		return good == f.n
	})
	if err != nil {
		return fmt.Errorf("%d of %d applications were Synced and Healthy at %.8s, one that was not: %s: %w", good, f.n, commit, last, err)
	}
	return rig.FollowApplications(ctx, f.api, func(apps rig.Applications, _ ...string) bool {
		n := 0
		for _, v := range apps {
			if rig.Settled(v) && v.Revision == commit {
				n++
			}
		}
		return n == f.n
	})
}

// commit gives the applications a new revision and returns when the branch
// points at it.
func (f *fleet) commit(ctx context.Context, apps ...int) (revision string, at time.Time, err error) {
	f.changed++
	revision = fmt.Sprint(f.changed)
	files, err := f.changes(revision, apps...)
	if err != nil {
		return "", at, err
	}
	f.head, err = f.repo.Commit(ctx, "Revision "+revision, files)
	return revision, time.Now(), err
}

// changeAll is one sample of change.
func (f *fleet) changeAll(ctx context.Context) (cluster, hub time.Duration, before, after usage, err error) {
	configs, err := watchAll(ctx, f.cluster.ControlPlane, configMapsGVR)
	if err != nil {
		return
	}
	defer configs.Stop()
	if before, err = usageOf(f.Rig, f.cluster); err != nil {
		return
	}
	revision, begin, err := f.commit(ctx, f.all()...)
	if err != nil {
		return
	}
	type end struct {
		at  time.Time
		err error
	}
	settled := make(chan end, 1)
	go func() {
		err := f.awaitSettled(ctx, f.head)
		settled <- end{time.Now(), err}
	}()
	if err = f.Push(ctx, f.repo.URL(), branch, f.head); err != nil {
		return
	}
	if err = configs.until(ctx, f.n, revisionIs(revision)); err != nil {
		return
	}
	cluster = time.Since(begin)
	e := <-settled
	if err = e.err; err != nil {
		return
	}
	hub = e.at.Sub(begin)
	after, err = usageOf(f.Rig, f.cluster)
	return
}
