package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/app"
	"github.com/hawser-dev/hawser/hub/cache"
	hubfleet "github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	monorepoApps  = 1000
	monorepoParts = 10       // directories of each application
	monorepoFile  = 10 << 10 // bytes of the file in each directory
)

// monorepo measures a repository of 10,000 directories and 100 MB that 1,000
// applications are in: cold clone, a poll that finds nothing, and a commit to one
// file until every application is decided.
func (b *bench) monorepo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "hawser-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := testbed.StartGitServer(ctx, testbed.GitOptions{Dir: filepath.Join(dir, "server")})
	if err != nil {
		return err
	}
	defer server.Close()
	repo, err := server.CreateRepo(ctx, "monorepo")
	if err != nil {
		return err
	}
	commit, err := repo.Commit(ctx, "A monorepo", monorepoFiles())
	if err != nil {
		return err
	}
	if err := quietly(ctx, "git", "-C", repo.Dir(), "repack", "-adq"); err != nil {
		return err
	}
	for i := range b.repeat {
		if commit, err = b.monorepoSample(ctx, filepath.Join(dir, fmt.Sprint(i)), server, repo, commit); err != nil {
			return err
		}
	}
	return nil
}

func monorepoFiles() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	files := make(map[string][]byte, monorepoApps*monorepoParts)
	noise := make([]byte, monorepoFile*3/4)
	for a := range monorepoApps {
		for p := range monorepoParts {
			for i := range noise {
				noise[i] = byte(random.UintN(256))
			}
			files[partPath(a, p)] = fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app-%04d-part-%d}\ndata:\n  noise: %s\n", a, p, base64.StdEncoding.EncodeToString(noise))
		}
	}
	return files
}

func partPath(app, part int) string {
	return fmt.Sprintf("apps/app-%04d/part-%d/config.yaml", app, part)
}

func (b *bench) monorepoSample(ctx context.Context, dir string, server *testbed.GitServer, repo *testbed.Repo, commit string) (head string, err error) {
	// The floor: the git command, for all history and for the last commit only.
	for name, args := range map[string][]string{
		"git-clone":         {"clone", "--quiet", "--bare"},
		"git-clone-shallow": {"clone", "--quiet", "--bare", "--depth=1"},
	} {
		started := time.Now()
		if err := quietly(ctx, "git", append(args, repo.URL(), filepath.Join(dir, name))...); err != nil {
			return "", err
		}
		b.add("monorepo/"+name, "floor: git "+args[0]+" of 100 MB in 10,000 directories", "s", seconds(time.Since(started)))
	}

	hub := filepath.Join(b.bin, "hawser-hub")
	sources, err := source.New(source.Options{
		Dir: filepath.Join(dir, "hub"), WorkerCommand: []string{hub, app.GitWorkerCommand},
		AllowHTTPCredentials: true, Blocked: []netip.Prefix{},
	})
	if err != nil {
		return "", err
	}
	defer sources.Close()
	target := hubfleet.Target{RepoURL: repo.URL(), Revision: testbed.DefaultBranch}
	resolve := func() (string, error) {
		found, err := sources.Resolve(ctx, target.RepoURL, []hubfleet.Target{target})
		if err != nil {
			return "", err
		}
		return found[target].Commit, found[target].Err
	}
	started := time.Now()
	got, err := resolve()
	if err != nil {
		return "", err
	}
	if got != commit {
		return "", fmt.Errorf("resolved to %s instead of %s", got, commit)
	}
	b.add("monorepo/clone", "cold clone by the hub's Git process", "s", seconds(time.Since(started))).over("monorepo/git-clone").atMost("ratio", 4)
	peak, err := childrenPeak()
	if err != nil {
		return "", err
	}
	b.add("monorepo/clone-peak", "peak memory of that process", "MiB", mib(peak)).atMost("max", 500)

	before := server.Counts("")
	started = time.Now()
	if _, err = resolve(); err != nil {
		return "", err
	}
	after := server.Counts("")
	b.add("monorepo/poll", "a poll that finds nothing", "s", seconds(time.Since(started)))
	b.add("monorepo/poll-requests", "its requests", "", float64(after.Refs+after.ListRefs+after.Fetch-before.Refs-before.ListRefs-before.Fetch)).atMost("max", 1)

	r, err := render.New(render.Options{WorkerCommand: []string{hub, app.RenderWorkerCommand}, Results: cache.Part{Store: cache.NewMemory(512<<20, nil), Space: cache.Space{Name: "manifests", TTL: 24 * time.Hour}}, TraceBytes: 128 << 20})
	if err != nil {
		return "", err
	}
	defer r.Close()
	keys := make([]string, monorepoApps)
	// decide renders all applications at a commit and tells how many were not
	// as before.
	decide := func(commit string) (changed int, err error) {
		fresh := make([]bool, monorepoApps)
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(2 * runtime.GOMAXPROCS(0))
		for i := range keys {
			g.Go(func() error {
				snapshot, err := sources.At(gctx, target, commit)
				if err != nil {
					return err
				}
				res, err := r.Render(gctx, render.Request{
					App: model.AppUID(fmt.Sprint(i)), AppName: fmt.Sprintf("app-%04d", i), Project: "default", Snapshot: snapshot, PreviousKey: keys[i],
					Source: model.Source{RepoURL: target.RepoURL, Path: fmt.Sprintf("apps/app-%04d", i), Directory: &model.DirectoryOption{Recurse: true}},
				})
				if err != nil {
					return err
				}
				keys[i], fresh[i] = res.Key, !res.Unchanged
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return 0, err
		}
		for _, f := range fresh {
			if f {
				changed++
			}
		}
		return changed, nil
	}
	started = time.Now()
	if n, err := decide(commit); err != nil || n != monorepoApps {
		return "", errors.Join(err, fmt.Errorf("%d applications rendered at first", n))
	}
	b.add("monorepo/first-render", "rendering all 1,000 applications for the first time", "s", seconds(time.Since(started)))

	head, err = repo.Commit(ctx, "One file", map[string][]byte{
		partPath(7, 3): fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app-0007-part-3}\ndata: {at: %q}\n", time.Now()),
	})
	if err != nil {
		return "", err
	}
	jobs := r.Jobs()
	started = time.Now()
	if got, err = resolve(); err != nil || got != head {
		return "", errors.Join(err, fmt.Errorf("the poll found %s", got))
	}
	b.add("monorepo/fetch", "a commit to one file: until its objects are here", "s", seconds(time.Since(started)))
	n, err := decide(head)
	if err != nil {
		return "", err
	}
	b.add("monorepo/commit", "until all 1,000 applications are decided and the affected have bundles", "s", seconds(time.Since(started)))
	b.add("monorepo/commit-affected", "applications that got a new bundle", "", float64(n)).atMost("max", 1)
	b.add("monorepo/commit-renders", "renders", "", float64(r.Jobs()-jobs)).atMost("max", 1)
	b.logf("✔ monorepo")
	return head, nil
}

// quietly runs a command; its error has what the command wrote to standard error.
func quietly(ctx context.Context, command string, args ...string) error {
	cmd := exec.CommandContext(ctx, command, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}
