package scenarios

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// patience is how long a script waits for anything. It is generous because the
// machine may be small and busy; speed is measured elsewhere.
const patience = 90 * time.Second

// Credentials of the locked Git server.
const (
	gitUser     = "captain"
	gitPassword = "long-john-silver"
)

// world is what all scripts share.
type world struct {
	*rig.Rig
	api    *client.Client
	eu, us *rig.Cluster
	// kubelet answers for the nodes of eu, whose agent allows commands.
	kubelet *testbed.Kubelet
	locked  *testbed.GitServer
	ssh     *testbed.SSHGitServer
	close   []func()
}

// theWorld is started by the first script that needs it and ended by TestMain.
var (
	worldMu  sync.Mutex
	theWorld *world
	worldErr error
)

func TestMain(m *testing.M) {
	code := m.Run()
	worldMu.Lock()
	w := theWorld
	worldMu.Unlock()
	if w != nil {
		keep := os.Getenv("HAWSER_KEEP_LOGS")
		if code != 0 && keep != "" {
			w.saveLogs(keep)
		}
		w.end()
	}
	os.Exit(code)
}

func need() (*world, error) {
	worldMu.Lock()
	defer worldMu.Unlock()
	if theWorld == nil && worldErr == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		theWorld, worldErr = startWorld(ctx)
	}
	return theWorld, worldErr
}

func startWorld(ctx context.Context) (_ *world, err error) {
	w := &world{}
	defer func() {
		if err != nil {
			w.end()
		}
	}()
	bin, err := w.programs(ctx)
	if err != nil {
		return nil, err
	}
	// Scripts say when the hub is to look at Git. The poll is there to find out
	// when a Git server is well again.
	pluginArgs, err := w.plugins()
	if err != nil {
		return nil, err
	}
	w.Rig, err = rig.Start(ctx, rig.Options{Bin: bin, Log: os.Stderr, HubArgs: append([]string{"--poll-interval", "5s", "--database-url", "", "--log-level", "debug"}, pluginArgs...)})
	if err != nil {
		return nil, err
	}
	w.close = append(w.close, func() {
		if err := w.Rig.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "scenarios: closing:", err)
		}
	})
	if w.api, err = w.API(); err != nil {
		return nil, err
	}
	w.locked, err = testbed.StartGitServer(ctx, testbed.GitOptions{Repos: w.Git.Repos, User: gitUser, Password: gitPassword})
	if err != nil {
		return nil, err
	}
	w.close = append(w.close, w.locked.Close)
	if w.ssh, err = testbed.StartSSHGitServer(ctx, testbed.SSHGitOptions{Repos: w.Git.Repos}); err != nil {
		return nil, err
	}
	w.close = append(w.close, w.ssh.Close)
	if w.kubelet, err = testbed.StartKubelet(testbed.KubeletOptions{}); err != nil {
		return nil, err
	}
	w.close = append([]func(){w.kubelet.Close}, w.close...) // after the clusters
	if w.eu, err = w.AddClusterWith(ctx, testbed.Options{Name: "eu", Kubelet: w.kubelet}); err != nil {
		return nil, err
	}
	if err := w.eu.Enrol(ctx, "--allow-exec"); err != nil {
		return nil, err
	}
	if w.us, err = w.AddCluster(ctx, "us"); err != nil {
		return nil, err
	}
	return w, w.us.Enrol(ctx)
}

// configManagementPlugins are what the hub of the scenarios runs: one that makes
// a ConfigMap of the lines of a file, and one that fails.
var configManagementPlugins = map[string]string{
	"lines": `apiVersion: argoproj.io/v1alpha1
kind: ConfigManagementPlugin
metadata: {name: lines}
spec:
  discover: {fileName: "*.lines"}
  generate:
    command: [sh, -c]
    args: ['cat *.lines | while read name text; do printf -- "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {text: %s, by: %s}\n" "$name" "$text" "$ARGOCD_ENV_BY"; done']
  parameters:
    static: [{name: by, title: Author, required: true}]
    dynamic: {command: [sh, -c, 'printf "[{\"name\": \"lines\", \"string\": \"%s\"}]" "$(cat *.lines | wc -l)"']}
`,
	"broken": `apiVersion: argoproj.io/v1alpha1
kind: ConfigManagementPlugin
metadata: {name: broken}
spec:
  generate:
    command: [sh, -c, 'echo the last words >&2; exit 3']
`,
}

// plugins writes the plugins' files and returns the hub's flags for them.
func (w *world) plugins() (args []string, err error) {
	dir, err := os.MkdirTemp("", "hawser-plugins-")
	if err != nil {
		return nil, err
	}
	w.close = append(w.close, func() { os.RemoveAll(dir) })
	for name, text := range configManagementPlugins {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return nil, err
		}
		args = append(args, "--plugin", file)
	}
	return args, nil
}

// programs is where hawser, hawser-hub and hawser-agent are.
func (w *world) programs(ctx context.Context) (string, error) {
	bin, remove, err := rig.Build(ctx)
	if err == nil {
		w.close = append(w.close, remove)
	}
	return bin, err
}

func (w *world) end() {
	for i := len(w.close) - 1; i >= 0; i-- {
		w.close[i]()
	}
}

// saveLogs copies what the programs wrote, for looking at a failure.
func (w *world) saveLogs(dir string) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
		return
	}
	logs, _ := filepath.Glob(filepath.Join(w.Dir, "*.log"))
	for _, c := range []*rig.Cluster{w.eu, w.us} {
		if c == nil {
			continue
		}
		if b, err := os.ReadFile(c.AuditLog()); err == nil {
			os.WriteFile(filepath.Join(dir, "audit-"+c.Name+".log"), b, 0o644)
		}
	}
	for _, log := range logs {
		if b, err := os.ReadFile(log); err == nil {
			os.WriteFile(filepath.Join(dir, filepath.Base(log)), b, 0o644)
		}
	}
}

func (w *world) cluster(name string) *rig.Cluster {
	switch name {
	case "eu":
		return w.eu
	case "us":
		return w.us
	}
	return nil
}

// script is what a script has of its own.
type script struct {
	*world
	name string
	repo *testbed.Repo
	// signer is the key that signs commits.
	signer *openpgp.Entity
	// witness is read from, per cluster, for the audit command.
	witness map[string]*witness
	writes  *writes
	// incarnation of the hub when a backup was made.
	incarnation int
}

type scriptKey struct{}

func of(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

func setup(env *testscript.Env) error {
	w, err := need()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name := strings.ReplaceAll(strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"), "_", "-")
	s := &script{world: w, name: name, witness: map[string]*witness{}}
	if s.repo, err = w.Git.CreateRepo(ctx, name); err != nil {
		return err
	}
	for _, c := range []*rig.Cluster{w.eu, w.us} {
		if s.witness[c.Name], err = newWitness(c); err != nil {
			return err
		}
	}
	signer, public, err := newSigner(name)
	if err != nil {
		return err
	}
	s.signer = signer
	env.Values[scriptKey{}] = s
	vars := map[string]string{
		"NAME": name, "REPO_URL": s.repo.URL(), "LOCKED_URL": w.locked.URL(name), "SSH_URL": w.ssh.URL(name),
		"HUB": w.Hub.Addr, "GIT": gitHost(w.Git), "GIT_USER": gitUser,
		"SIGNER":  signer.PrimaryKey.KeyIdString(),
		"KUBE_US": w.us.KubeconfigPath(),
	}
	for k, v := range vars {
		env.Setenv(k, v)
	}
	env.Setenv("PATH", w.Bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	env.Setenv("HAWSER_CONFIG", w.ConfigPath())
	env.Setenv("HAWSER_KEYRING", "off")
	env.Setenv("NO_COLOR", "1")
	if err := fillIn(env.WorkDir, vars); err != nil {
		return err
	}
	for file, content := range map[string][]byte{
		"ssh_key": w.ssh.ClientKey(), "known_hosts": []byte(w.ssh.KnownHosts() + "\n"),
		"signer.asc":   public,
		"git_password": []byte(gitPassword + "\n"), "wrong_password": []byte("flint\n"),
	} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, file), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// fillIn replaces ${NAME} and the like in the script's files.
func fillIn(dir string, vars map[string]string) error {
	var pairs []string
	for k, v := range vars {
		pairs = append(pairs, "${"+k+"}", v)
	}
	replacer := strings.NewReplacer(pairs...)
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(replacer.Replace(string(b))), 0o644)
	})
}

// within gives a command its time limit.
func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func usage(ts *testscript.TestScript, text string) {
	ts.Fatalf("usage: %s", text)
}

// verdict ends a command that may be negated.
func verdict(ts *testscript.TestScript, neg bool, err error) {
	switch {
	case err != nil && !neg:
		ts.Fatalf("%v", err)
	case err == nil && neg:
		ts.Fatalf("it should have failed")
	case err != nil:
		fmt.Fprintln(ts.Stderr(), err)
	}
}

// gitHost is the host and port of the Git server that scripts share.
func gitHost(g *testbed.GitServer) string {
	return strings.TrimSuffix(strings.TrimPrefix(g.URL("x"), "http://"), "/x.git")
}
