package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/peers"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// patience is generous because the machine may be small and busy.
const patience = 3 * time.Minute

// chapter is a chapter of README.md as blocks of shell commands.
func chapter(t *testing.T, root, title string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n## "+title+"\n")
	if !found {
		t.Fatalf("README.md has no chapter %q", title)
	}
	body, _, _ := strings.Cut(after, "\n## ")
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(body, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// shell is the newcomer's: it stays open from block to block.
type shell struct {
	t    *testing.T
	dir  string
	env  []string
	vars string // exports of the blocks so far
}

// run runs commands as they stand, in bash that ends with the first one that fails.
func (s *shell) run(commands string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", s.vars+commands)
	cmd.Dir, cmd.Env = s.dir, s.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	s.t.Logf("$ %s", strings.TrimSpace(commands))
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	s.t.Logf("%s%s", out.String(), errs.String())
	return out.String()
}

// yours gives the exports of a block the values that this newcomer has.
func (s *shell) yours(block string, values map[string]string) {
	s.t.Helper()
	names := regexp.MustCompile(`\b([A-Z_]+)=`).FindAllStringSubmatch(block, -1)
	if len(names) != len(values) {
		s.t.Fatalf("the reader is to say %d things, and not %d:\n%s", len(values), len(names), block)
	}
	for _, m := range names {
		value, known := values[m[1]]
		if !known {
			s.t.Fatalf("nobody knows what to say for %s", m[1])
		}
		s.vars += fmt.Sprintf("export %s='%s'\n", m[1], value)
	}
}

// cluster is a control plane whose pods are run.
func cluster(t *testing.T, name string, pods *Pods) *testbed.ControlPlane {
	t.Helper()
	kubelet, err := pods.Kubelet()
	if err != nil {
		t.Fatal(err)
	}
	cp := testbed.NeedControlPlane(t, testbed.Options{Name: name, Kubelet: kubelet, NoKwok: true})
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := Balance(ctx, cp); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	all.Go(func() {
		if err := pods.Run(ctx, cp); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(func() { // before the control plane stops
		cancel()
		all.Wait()
	})
	return cp
}

// The hub is installed in one cluster and the agent in another, and what Git has comes
// to run there.
func TestTheReadmeInstallsHawser(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl, with which the way begins")
	}
	root, err := testbed.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	blocks := chapter(t, root, "Install it")
	if len(blocks) != 4 {
		t.Fatalf("the chapter has %d blocks", len(blocks))
	}
	yours, hub, agent, application := blocks[0], blocks[1], blocks[2], blocks[3]

	bin := rig.Programs(t)
	kubectl, err := testbed.Kubectl(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	database, err := testbed.StartPostgres(t.Context(), testbed.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Stop() })
	git, err := testbed.StartGitServer(t.Context(), testbed.GitOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(git.Close)
	repo, err := git.CreateRepo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(t.Context(), "shop", map[string][]byte{"deploy/shop.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: opening-hours}\ndata: {sunday: closed}\n")}); err != nil {
		t.Fatal(err)
	}
	port, err := testbed.ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(port.Release)

	dir := t.TempDir()
	programs := map[string]string{"hawser-hub": filepath.Join(bin, "hawser-hub"), "hawser-agent": filepath.Join(bin, "hawser-agent")}
	central := cluster(t, "central", &Pods{Namespaces: []string{"hawser"}, Programs: programs, Dir: filepath.Join(dir, "central"), Listen: map[string]string{"https": port.Addr()}})
	prod := cluster(t, "eu-prod", &Pods{Namespaces: []string{"hawser-system"}, Programs: programs, Dir: filepath.Join(dir, "eu-prod")})

	s := &shell{t: t, dir: checkout(t, root), env: []string{
		"PATH=" + strings.Join([]string{bin, filepath.Dir(kubectl), filepath.Dir(peers.Get(t).Helm), os.Getenv("PATH")}, ":"), "HOME=" + dir,
	}}
	at := func(cp *testbed.ControlPlane) { s.env = append(s.env, "KUBECONFIG="+cp.KubeconfigPath()) }

	host, number, _ := strings.Cut(port.Addr(), ":")
	s.yours(yours, map[string]string{"HUB": host, "PORT": number, "DATABASE_URL": database.DSN(), "REGISTRY": "registry.example.com"})
	at(central)
	said := s.run(hub)
	login := regexp.MustCompile(`(?m)^ *(hawser login .*)$`).FindStringSubmatch(said)
	code := regexp.MustCompile(`one-time login code: (\S+)`).FindStringSubmatch(said)
	if login == nil || code == nil {
		t.Fatalf("the hub prints no command to log in with:\n%s", said)
	}
	s.run("echo " + code[1] + " | " + login[1] + " --code-stdin") // what a terminal asks for
	at(prod)
	s.run(agent)
	repository, commands, found := strings.Cut(application, "\n")
	if !found {
		t.Fatal("the last block is one line")
	}
	s.yours(repository, map[string]string{"REPO": git.URL("shop")})
	s.run(commands)
	if got := s.run("kubectl -n shop get configmap opening-hours -o jsonpath={.data.sunday}"); got != "closed" {
		t.Errorf("what is in the cluster says %q", got)
	}
	if got := s.run("hawser cluster get eu-prod -o jsonpath={.connected}"); got != "true" {
		t.Errorf("the cluster is connected: %s", got)
	}
}

// checkout is the repository as a newcomer has it, who writes files beside it.
func checkout(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "charts"), filepath.Join(dir, "charts")); err != nil {
		t.Fatal(err)
	}
	return dir
}
