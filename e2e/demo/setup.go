package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

//go:embed all:samples
var samples embed.FS

//go:embed fleet.yaml.tmpl
var fleetTemplate string

const (
	gitUser     = "demo"
	gitPassword = "demo-password"
)

var applications = []string{"storefront-eu", "storefront-us", "edge", "checkout", "catalog", "sensors"}

// demo is everything that runs.
type demo struct {
	*rig.Rig
	repo           *testbed.Repo
	eu, us, edge   *rig.Cluster
	firstSync, all time.Duration
	// console is the link with which a browser logs in once; user and password work
	// from then on.
	console, user, password string
}

// start brings everything up. On an error what was started is in the demo that
// is returned, for Close.
func start(ctx context.Context, bin, dir string, p *progress) (*demo, error) {
	p.step("starting the hub (own Postgres) and a Git server")
	r, err := rig.Start(ctx, rig.Options{
		Bin: bin, Dir: dir, Log: p, GitUser: gitUser, GitPassword: gitPassword,
		HubArgs: []string{"--poll-interval", "10s"},
	})
	if err != nil {
		return nil, err
	}
	d := &demo{Rig: r}
	p.done("hub at %s, Git at %s", r.Hub.URL(), r.Git.URL("fleet"))

	for _, c := range []struct {
		name string
		into **rig.Cluster
	}{{"eu-prod", &d.eu}, {"us-prod", &d.us}, {"edge-lab", &d.edge}} {
		p.step("starting control plane %s", c.name)
		cluster, err := r.AddCluster(ctx, c.name)
		if err != nil {
			return d, err
		}
		*c.into = cluster
		if err := cluster.Enrol(ctx); err != nil {
			return d, err
		}
		p.done("%s runs Kubernetes %s, its agent is enrolled", c.name, cluster.KubernetesVersion())
	}

	p.step("a repository, a project, six applications: YAML, Helm, Kustomize, Jinja2")
	if d.repo, err = r.Git.CreateRepo(ctx, "fleet"); err != nil {
		return d, err
	}
	if _, err := d.repo.Commit(ctx, "The fleet as it should be", sampleFiles()); err != nil {
		return d, err
	}
	begin := time.Now()
	if err := d.declare(ctx); err != nil {
		return d, err
	}
	if _, err := r.CLI(ctx, append([]string{"app", "wait", "--timeout", "2m"}, applications...)...); err != nil {
		return d, err
	}
	d.firstSync = time.Since(begin)
	p.done("%s Synced and Healthy", strings.Join(applications, ", "))
	if err := d.openConsole(ctx); err != nil {
		return d, err
	}
	d.all = time.Since(p.begin)
	return d, nil
}

// openConsole makes the link of the console. The code in it works once; it is in the
// fragment, which a browser sends to nobody.
func (d *demo) openConsole(ctx context.Context) error {
	page, code, err := d.Hub.FirstLogin(ctx)
	if err != nil {
		return err
	}
	d.user, d.password = "demo", "demo-"+strings.ToLower(rand.Text()[:12])
	d.console = page + "#" + url.Values{"code": {code}, "username": {d.user}, "password": {d.password}}.Encode()
	return nil
}

// declare does what a person would do on the command line.
func (d *demo) declare(ctx context.Context) error {
	manifests, err := d.manifests()
	if err != nil {
		return err
	}
	steps := []struct {
		stdin []byte
		args  []string
	}{
		{nil, []string{"cluster", "alias", "edge-lab", model.InClusterServer}},
		{[]byte(gitPassword), []string{"repo", "add", d.repo.URL(), "--username", gitUser, "--password-stdin"}},
		{manifests, []string{"apply", "-f", "-"}},
	}
	for _, s := range steps {
		if _, err := d.CLIInput(ctx, s.stdin, s.args...); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) manifests() ([]byte, error) {
	t, err := template.New("fleet").Parse(fleetTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	repo := d.repo.URL()
	err = t.Execute(&b, map[string]string{"RepoURL": repo, "RepoGlob": strings.TrimSuffix(repo, "fleet.git") + "*"})
	return b.Bytes(), err
}

func sampleFiles() map[string][]byte {
	files := map[string][]byte{}
	err := fs.WalkDir(samples, "samples", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := samples.ReadFile(path)
		files[strings.TrimPrefix(path, "samples/")] = b
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return files
}

// login is the command that logs in at a terminal, where no link and no file is at hand.
func (d *demo) login(hawser string) string {
	return fmt.Sprintf("%s login %s --ca-hash %s --username %s", hawser, d.Hub.Addr, d.Hub.CAHash, d.user)
}

// invite says how to reach what runs and what to try.
func (d *demo) invite(w io.Writer, bin string) {
	hawser := filepath.Join(bin, "hawser")
	clone := strings.Replace(d.repo.URL(), "://", "://"+gitUser+":"+gitPassword+"@", 1)
	fmt.Fprintf(w, `
Everything runs (%.0f s). In a browser, which does not know the hub's certificate:

  %s

That link works once; later: %s, user %s, password %s

In another terminal:

  export HAWSER_CONFIG=%s
  %s cluster list
  %s app list
  %s app get storefront-eu
  %s app tree storefront-eu

Once the link was opened, its user can log in at a terminal of one's own, too:

  %s

Change something in Git (the hub looks every 10 s):

  git clone %s fleet && cd fleet
  sed -i 's/Welcome aboard/Ahoy/' storefront/eu/storefront.yaml
  git commit -am Ahoy && git push
  %s app wait storefront-eu --revision $(git rev-parse HEAD)

Change something in a cluster and see it put right:

  kubectl --kubeconfig %s -n shop delete deployment storefront
  kubectl --kubeconfig %s -n shop get deployment -w

Logs and data: %s
Ctrl-C stops everything and leaves nothing behind.
`, d.all.Seconds(), d.console, d.Hub.URL(), d.user, d.password, d.ConfigPath(), hawser, hawser, hawser, hawser, d.login(hawser), clone, hawser,
		d.eu.KubeconfigPath(), d.eu.KubeconfigPath(), d.Dir)
}
