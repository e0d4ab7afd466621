package docs

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// rule is what is special about commands that begin with some words.
type rule struct {
	begins string
	// exit are the statuses that are right; none means 0.
	exit []int
	// confirmed: a person is asked, and says yes.
	confirmed bool
	// not is why the command is not run. Its words are parsed all the same, by
	// TestEveryBlockIsChecked.
	not string
}

// walks are pages whose commands are run, in order, on a hub with an agent.
var walks = []struct {
	page  string
	files map[string]string // in the directory where they are run
	rules []rule
	least int // so many are run
}{
	{page: "docs/access.md", least: 2, rules: []rule{
		{begins: "hawser app events", not: "follows until somebody ends it"},
		{begins: "hawser app logs", not: "follows until somebody ends it"},
		{begins: "hawser app exec", not: "pods of the testbed run nothing"},
	}},
	{page: "docs/customizations.md", least: 4, files: map[string]string{"argocd-cm.yaml": customizations}, rules: []rule{
		{begins: "hawser settings customizations diff", exit: []int{1}},
	}},
	{page: "docs/scripts.md", least: 3, files: map[string]string{
		"obj.yaml": deployment, "scripts/apps/Deployment/health.lua": `return {status = "Healthy", message = "as it should"}`,
		"scripts/apps/Deployment/actions/discovery.lua":      `return {restart = {}}`,
		"scripts/apps/Deployment/actions/restart/action.lua": `obj.metadata.annotations = {reason = actionParams and actionParams["reason"]}; return obj`,
	}},
	{page: "docs/projects.md", least: 6, files: map[string]string{"app.yaml": application}, rules: []rule{
		{begins: "hawser project simulate", exit: []int{0, 1}}, // 1: not allowed
	}},
	{page: "docs/rbac.md", least: 10, files: map[string]string{
		"argocd-rbac-cm.yaml": policy, "policy.csv": "p, alice, applications, sync, shop/*, allow\n", "shop.yaml": project,
	}, rules: []rule{
		{begins: "hawser-hub policy test", exit: []int{0, 1}}, // 1: no
		{begins: "hawser auth can-i", exit: []int{0, 1}},
		{begins: "hawser auth explain", exit: []int{0, 1}},
	}},
	{page: "docs/operate.md", least: 9, rules: []rule{
		{begins: "hawser-hub backup --file -", not: "needs age, and a key"},
		{begins: "hawser-hub restore hub-2026-11-28.zip --database-url", not: "TestGoingBack of e2e/upgrade and the scenario restore_backup restore"},
		{begins: "hawser-hub migrate", not: "needs a Postgres with roles: migrations/grant_test.go"},
		{begins: "helm", not: "TestTheInstallationIsRun does"},
		{begins: "hawser cluster revoke", confirmed: true},
		{begins: "hawser cluster enroll", confirmed: true},
		{begins: "hawser cluster allow", confirmed: true, exit: []int{2}}, // nothing is held
	}},
	{page: "docs/secrets.md", least: 3},
}

const (
	customizations = `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm}
data:
  resource.customizations.health.example.com_Widget: |
    return {status = "Healthy"}
`
	deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
`
	application = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: api}
spec:
  project: team-pay
  source: {repoURL: https://git.example.com/pay/api, path: web, targetRevision: main}
  destination: {name: eu-prod, namespace: payments-eu}
`
	policy = `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-rbac-cm}
data:
  policy.csv: |
    p, role:dev, applications, sync, shop/*, allow
    g, dev, role:dev
`
	project = `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop}
spec:
  sourceRepos: ["*"]
  destinations: [{name: "*", namespace: "*"}]
`
)

// TestThePagesAreRun runs the commands of pages as a reader would, on a hub with a
// cluster eu-prod, the projects shop and team-pay, and the applications shop, web and
// web-eu.
func TestThePagesAreRun(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane and a hub, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	plane := testbed.NeedControlPlane(t, testbed.Options{Name: "docs"})
	r, err := rig.Start(ctx, rig.Options{Bin: programs(t), HubArgs: []string{"--database-url", ""}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	settle(ctx, t, r, r.UseCluster("eu-prod", plane))
	for _, w := range walks {
		t.Run(w.page, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range w.files {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ran := 0
			used := map[string]bool{}
			for _, b := range blocks(w.page, pages(t)[w.page], func(int, string) {}) {
				if b.lang != "sh" {
					continue
				}
				for _, line := range linesOf(b.text) {
					i := slices.IndexFunc(w.rules, func(r rule) bool { return strings.HasPrefix(line, r.begins) })
					want := rule{}
					if i >= 0 {
						want = w.rules[i]
						used[want.begins] = true
					}
					if want.not != "" {
						continue
					}
					ran++
					if want.confirmed {
						line += " --yes"
					}
					out, code := bash(ctx, t, r, dir, line)
					if len(want.exit) == 0 && code != 0 || len(want.exit) > 0 && !slices.Contains(want.exit, code) {
						t.Errorf("%s\nexit status %d\n%s", line, code, out)
					}
				}
			}
			for _, r := range w.rules {
				if !used[r.begins] {
					t.Errorf("the page has no command %q any more", r.begins)
				}
			}
			if ran < w.least {
				t.Errorf("%d commands were run, not %d or more", ran, w.least)
			}
		})
	}
}

// linesOf are the commands of a block, without comments.
func linesOf(text string) (lines []string) {
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line, _, _ = strings.Cut(line, "  #")
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// bash runs a line as a reader with the three programs in his PATH.
func bash(ctx context.Context, t *testing.T, r *rig.Rig, dir, line string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-eo", "pipefail", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(r.CLIEnv(), "PATH="+programs(t)+":"+os.Getenv("PATH"), "HAWSER_DATA="+r.Hub.Data, "HAWSER_LISTEN="+r.Hub.Addr)
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// settle makes what the pages speak of.
func settle(ctx context.Context, t *testing.T, r *rig.Rig, eu *rig.Cluster) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(eu.Enrol(ctx))
	repo, err := r.Git.CreateRepo(ctx, "fleet")
	check(err)
	_, err = repo.Commit(ctx, "first", map[string][]byte{"web/web.yaml": []byte(deployment)})
	check(err)
	_, err = r.CLI(ctx, "repo", "add", repo.URL())
	check(err)
	api, err := r.API()
	check(err)
	for _, text := range []string{project, strings.Replace(project, "name: shop", "name: team-pay", 1)} {
		_, err := r.CLIInput(ctx, []byte(text), "apply", "-f", "-")
		check(err)
	}
	for _, a := range []struct{ name, project, namespace string }{{"shop", "shop", "shop"}, {"web", "team-pay", "web"}, {"web-eu", "shop", "web-eu"}} {
		check(api.Do(ctx, http.MethodPost, "/applications", fmt.Appendf(nil, `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %s}
spec:
  project: %s
  source: {repoURL: %q, path: web, targetRevision: %s}
  destination: {name: eu-prod, namespace: %s}
  syncPolicy: {automated: {}, syncOptions: [CreateNamespace=true]}
`, a.name, a.project, repo.URL(), testbed.DefaultBranch, a.namespace), nil))
		check(rig.FollowApplications(ctx, api, func(apps rig.Applications, _ ...string) bool {
			v, ok := apps[a.name]
			return ok && v.Sync.Status == model.SyncSynced
		}))
	}
}
