package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/console"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/hub/devdb"
	grants "github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	seedClusters, seedApplications, seedProjects = 5000, 10000, 100
	busyClusters                                 = 20
	seedRepositories                             = 10
)

// seededHub is a hub with a fleet that was written into its database.
type seededHub struct {
	*rig.Rig
	seed
	dir    string
	db     *devdb.DB
	api    *client.Client
	agents []*speaker
	// admin sees everything, plain three projects, and fifty has that many grants.
	admin, plain, fifty string
	stopBeat            context.CancelFunc
	beats               chan error
}

var (
	plainGrants = []grants.Grant{{Project: "team-000", Role: grants.RoleEditor}, {Project: "team-001", Role: grants.RoleOperator}, {Project: "team-002", Role: grants.RoleViewer}}
	fiftyGrants = manyGrants()
)

// manyGrants are half names and half globs, of which some name nothing.
func manyGrants() (out []grants.Grant) {
	roles := []string{grants.RoleViewer, grants.RoleOperator, grants.RoleEditor}
	for i := range 25 {
		out = append(out, grants.Grant{Project: fmt.Sprintf("team-%03d", 3*i), Role: roles[i%3]},
			grants.Grant{Project: fmt.Sprintf("*-%02d[13]", i%12), Role: roles[(i+1)%3]})
	}
	return out
}

// startSeededHub starts a hub with a fleet of n applications, half as many
// clusters and a hundredth as many projects. It returns when the hub has
// delivered all of them, and was started again after that.
func startSeededHub(ctx context.Context, bin string, n int, log io.Writer, args ...string) (_ *seededHub, err error) {
	h := &seededHub{}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	if h.dir, err = os.MkdirTemp("", "hawser-bench-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(h.dir, 0o755); err != nil { // Postgres may run as another user
		return nil, err
	}
	if h.db, err = devdb.Start(ctx, devdb.Options{Dir: filepath.Join(h.dir, "postgres")}); err != nil {
		return nil, err
	}
	h.Rig, err = rig.Start(ctx, rig.Options{Bin: bin, Dir: h.dir, Log: log, HubArgs: append([]string{"--database-url", h.db.DSN(), "--poll-interval", "1h"}, args...)})
	if err != nil {
		return nil, err
	}
	if h.api, err = h.API(); err != nil {
		return nil, err
	}
	busy := min(busyClusters, n/(2*busyApps))
	h.seed = seed{clusters: max(n/2-busy, 1), applications: n, projects: max(n/100, 3), now: time.Now().UTC().Truncate(time.Second)}
	if err := h.sources(ctx); err != nil {
		return nil, err
	}
	for i := range busy {
		a, err := newSpeaker(ctx, h.Rig, h.api, fmt.Sprintf("busy-%03d", i))
		if err != nil {
			return nil, err
		}
		if err := a.connect(ctx); err != nil {
			return nil, err
		}
		a.disconnect()
		h.agents, h.busy = append(h.agents, a), append(h.busy, a.Status().Cluster)
	}
	if err := h.tokens(ctx); err != nil {
		return nil, err
	}
	if err := h.api.Do(ctx, "POST", "/accounts", map[string]any{"name": seedPerson, "password": seedPassword, "admin": true}, nil); err != nil {
		return nil, err
	}
	if err := h.Hub.Stop(); err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := h.write(ctx, h.db.DSN()); err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "✔ seeded %d clusters, %d applications and %d projects in %.1f s\n", h.clusters+busy, h.applications, h.projects, time.Since(begin).Seconds())
	beat, stop := context.WithCancel(ctx)
	h.stopBeat, h.beats = stop, make(chan error, 1)
	go func() { h.beats <- h.beat(beat, h.db.DSN()) }()
	begin = time.Now()
	if err := h.Hub.Start(ctx); err != nil {
		return nil, err
	}
	if err := h.awaitDelivered(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "✔ the hub has rendered and delivered them in %.1f s\n", time.Since(begin).Seconds())
	if err := h.Hub.Stop(); err != nil {
		return nil, err
	}
	return h, h.Hub.Start(ctx)
}

// Close ends everything that was started and removes it.
func (h *seededHub) Close() {
	for _, a := range h.agents {
		a.disconnect()
	}
	if h.stopBeat != nil {
		h.stopBeat()
		<-h.beats
	}
	if h.Rig != nil {
		_ = h.Rig.Close()
	}
	if h.db != nil {
		_ = h.db.Stop()
	}
	if h.dir != "" {
		_ = os.RemoveAll(h.dir)
	}
}

// sources makes the repositories: a directory for each project.
func (h *seededHub) sources(ctx context.Context) error {
	for r := range seedRepositories {
		repo, err := h.Git.CreateRepo(ctx, fmt.Sprintf("platform-%d", r))
		if err != nil {
			return err
		}
		files := map[string][]byte{}
		for p := r; p < h.projects; p += seedRepositories {
			files[fmt.Sprintf("p%03d/app.yaml", p)] = fmt.Appendf(nil, `apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {team: %[1]s}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web, team: %[1]s}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example.com/%[1]s/web:1.4.2"}]}
`, h.project(p))
		}
		if len(files) == 0 {
			files["README"] = []byte("nothing yet\n")
		}
		if _, err := repo.Commit(ctx, "What the teams run", files); err != nil {
			return err
		}
		if _, err := h.CLI(ctx, "repo", "add", repo.URL()); err != nil {
			return err
		}
		h.repos = append(h.repos, repo.URL())
	}
	return nil
}

func (h *seededHub) tokens(ctx context.Context) error {
	for _, t := range []struct {
		name  string
		body  map[string]any
		token *string
	}{
		{"bench-admin", map[string]any{"admin": true}, &h.admin},
		{"bench-plain", map[string]any{"grants": plainGrants}, &h.plain},
		{"bench-fifty", map[string]any{"grants": fiftyGrants}, &h.fifty},
	} {
		var issued struct {
			Token string `json:"token"`
		}
		t.body["name"] = t.name
		if err := h.api.Do(ctx, "POST", "/tokens", t.body, &issued); err != nil {
			return err
		}
		*t.token = issued.Token
	}
	return nil
}

// awaitDelivered waits until every application has a desired state. The hub does
// not say so in one word; its database does.
func (h *seededHub) awaitDelivered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, h.db.DSN())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		var delivered, failed int
		var why *string
		err := conn.QueryRow(ctx, "SELECT (SELECT count(*) FROM desired), count(*), max(error::text) FROM app_sources WHERE error IS NOT NULL AND error::text <> 'null'").Scan(&delivered, &failed, &why)
		switch {
		case err != nil:
			return fmt.Errorf("wait until everything is delivered: %w", err)
		case failed > 0:
			return fmt.Errorf("%d applications cannot be rendered, such as: %s", failed, *why)
		case delivered >= h.applications:
			return nil
		}
		if restFor(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("%d of %d applications are delivered", delivered, h.applications)
		}
	}
}

// leaveSeeded starts a seeded hub and leaves it until ctx ends. rate is how many
// changes a second its agents report, 0 for none. With dev the console's sources are
// served over it; screenshots is a directory for pictures of its screens, after which
// it returns.
func leaveSeeded(ctx context.Context, bin string, n, rate int, dev bool, screenshots string) error {
	if n < 100 {
		return errors.New("-seed: at least 100 applications")
	}
	h, err := startSeededHub(ctx, bin, n, os.Stderr)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.connectAgents(ctx); err != nil {
		return err
	}
	fmt.Printf("address      %s\nuser         %s, password: %s\nCA hash      %s\nadministrator %s\nplain user   %s\nfifty grants %s\ncommand line HAWSER_CONFIG=%s HAWSER_KEYRING=off\n",
		h.Hub.URL(), seedPerson, seedPassword, h.Hub.CAHash, h.admin, h.plain, h.fifty, h.ConfigPath())
	fmt.Fprintln(os.Stderr, "interrupt to end it")
	if rate > 0 {
		go h.change(ctx, rate)
	}
	if screenshots != "" {
		return pictures(ctx, h, screenshots)
	}
	if dev {
		return console.Dev(ctx, h.Hub.URL(), h.dir, os.Stderr)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-h.beats:
		h.beats <- err
		return err
	}
}

// pictures takes pictures of the console's screens into dir.
func pictures(ctx context.Context, h *seededHub, dir string) error {
	p, err := console.Find(ctx, os.Stderr)
	if err != nil {
		return err
	}
	return p.Run(ctx, console.Steps{
		Project: "screenshots", Hub: h.Hub.URL(), User: seedPerson, Password: seedPassword,
		Output: filepath.Join(h.dir, "playwright"), Env: []string{"HAWSER_SCREENSHOTS=" + dir},
	}, os.Stderr)
}

// connectAgents opens the sessions of the busy clusters.
func (h *seededHub) connectAgents(ctx context.Context) error {
	for _, a := range h.agents {
		if err := a.connect(ctx); err != nil {
			return err
		}
	}
	return nil
}

// busyApp is an application of a busy cluster: its agent and its uid.
func (h *seededHub) busyApp(i int) (*speaker, model.AppUID) {
	return h.agents[i/busyApps], model.AppUID(seedID("app", i))
}
