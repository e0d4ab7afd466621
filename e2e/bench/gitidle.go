package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

const (
	idleRepositories = 3
	idlePerRepo      = 100
	gitIdleFor       = 10 * time.Minute
)

// gitIdle counts what 300 applications over 3 repositories ask of Git in ten
// minutes in which nothing happens, with the hub's own poll interval.
func (b *bench) gitIdle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	r, err := rig.Start(ctx, rig.Options{Bin: b.bin, Log: b.log, HubArgs: []string{"--database-url", ""}})
	if err != nil {
		return err
	}
	defer r.Close()
	cluster, err := r.AddCluster(ctx, clusterName)
	if err != nil {
		return err
	}
	if err := cluster.Enrol(ctx); err != nil {
		return err
	}
	var applications bytes.Buffer
	for i := range idleRepositories {
		repo, err := r.Git.CreateRepo(ctx, fmt.Sprintf("idle-%d", i))
		if err != nil {
			return err
		}
		files := map[string][]byte{}
		for a := range idlePerRepo {
			name := fmt.Sprintf("idle-%d-%03d", i, a)
			files[fmt.Sprintf("a%03d/config.yaml", a)] = fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n", name)
			fmt.Fprintf(&applications, "---\napiVersion: hawser.dev/v1alpha1\nkind: Application\nmetadata: {name: %s}\nspec:\n  project: default\n  source: {repoURL: %q, path: a%03d, targetRevision: %s}\n  destination: {name: %s, namespace: default}\n",
				name, repo.URL(), a, testbed.DefaultBranch, clusterName)
		}
		if _, err := repo.Commit(ctx, "Idle", files); err != nil {
			return err
		}
		if _, err := r.CLI(ctx, "repo", "add", repo.URL()); err != nil {
			return err
		}
	}
	if _, err := r.CLIInput(ctx, applications.Bytes(), "apply", "-f", "-", "-o", "name"); err != nil {
		return err
	}
	api, err := r.API()
	if err != nil {
		return err
	}
	err = rig.FollowApplications(ctx, api, func(apps rig.Applications, _ ...string) bool {
		known := 0
		for _, a := range apps {
			if a.Generation > 0 {
				known++
			}
		}
		return known == idleRepositories*idlePerRepo
	})
	if err != nil {
		return err
	}
	before := r.Git.Counts("")
	if err := restFor(ctx, gitIdleFor); err != nil {
		return err
	}
	after := r.Git.Counts("")
	b.add("git-idle/requests", "Git requests of 300 applications over 3 repositories in 10 idle minutes", "",
		float64(after.Refs+after.ListRefs+after.Fetch+after.Other-before.Refs-before.ListRefs-before.Fetch-before.Other)).atMost("max", 15)
	b.add("git-idle/fetches", "of which fetches", "", float64(after.Fetch-before.Fetch)).atMost("max", 0)
	b.logf("✔ git-idle")
	return nil
}
