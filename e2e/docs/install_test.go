package docs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hawser-dev/hawser/e2e/install"
	"github.com/hawser-dev/hawser/e2e/peers"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// TestCommandsOfOthers: helm and kubectl have the commands and flags that the pages
// call them with.
func TestCommandsOfOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("builds helm and kubectl, which -short leaves out")
	}
	kubectl, err := testbed.Kubectl(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{"helm": peers.Get(t).Helm, "kubectl": kubectl}
	n := 0
	for _, b := range all(t) {
		switch b.lang {
		case "console":
			b.text = commandsOf(b.text)
		case "sh":
		default:
			continue
		}
		for _, c := range dryRun(t, b.text) {
			if paths[c[0]] == "" {
				continue
			}
			n++
			cmd := exec.CommandContext(t.Context(), paths[c[0]], append(slices.Clone([]string(c[1:])), "--help")...)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
			out, err := cmd.CombinedOutput()
			if err == nil {
				err = isWhole(c, string(out))
			}
			if err != nil {
				t.Errorf("%s:%d: %s: %v\n%s", b.page, b.line, strings.Join(c, " "), err, out)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d are found", n)
	}
}

// installation is what is special on the page about installing. Its pods are shown as
// ready and run nothing.
var installation = []rule{
	{begins: "kubectl -n hawser logs", not: "pods of the testbed run nothing"},
	{begins: "HAWSER_TOKEN=TOKEN hawser-agent preflight", not: "no hub is at the page's name; e2e/line and e2e/charts run it"},
	{begins: "helm test", not: "pods of the testbed run nothing; e2e/install runs that of the hub, e2e/charts that of the agent"},
	{begins: "hawser cluster enroll", not: "the other way to the agent that helm installs; e2e/scenarios applies it"},
}

// TestTheInstallationIsRun follows the page word for word, with the helm and the
// kubectl of everybody, on a control plane that enforces what a cluster enforces.
func TestTheInstallationIsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	helm := peers.Get(t).Helm
	kubectl, err := testbed.Kubectl(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	plane := testbed.NeedControlPlane(t, testbed.Options{Name: "install"})
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	client, err := kubernetes.NewForConfig(plane.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	// Namespaces that the page takes for given.
	for _, name := range []string{"shop", "till"} {
		if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := install.Balance(ctx, plane); err != nil {
			t.Errorf("services of type LoadBalancer: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })

	dir := t.TempDir()
	config := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(config, plane.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root(t), "charts"), filepath.Join(dir, "charts")); err != nil {
		t.Fatal(err)
	}
	var lines, upgrades []string
	for _, page := range []string{"docs/operate.md", "docs/install.md"} {
		for _, b := range blocks(page, pages(t)[page], func(int, string) {}) {
			if b.lang != "sh" {
				continue
			}
			for _, line := range linesOf(b.text) {
				switch {
				case slices.ContainsFunc(installation, func(r rule) bool { return strings.HasPrefix(line, r.begins) }):
				case page == "docs/install.md":
					lines = append(lines, line)
				case strings.HasPrefix(line, "helm"):
					upgrades = append(upgrades, line)
				}
			}
		}
	}
	removal := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "helm uninstall") })
	if len(lines) < 9 || len(upgrades) < 2 || removal < 0 {
		t.Fatalf("the pages have %d and %d commands", len(lines), len(upgrades))
	}
	for _, line := range slices.Insert(lines, removal, upgrades...) {
		cmd := exec.CommandContext(ctx, "bash", "-eo", "pipefail", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "KUBECONFIG="+config, "HOME="+dir,
			"PATH="+strings.Join([]string{filepath.Dir(helm), filepath.Dir(kubectl), programs(t), os.Getenv("PATH")}, ":"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", line, err, out)
		}
	}
	for _, namespace := range []string{"hawser", "hawser-system"} {
		left, err := client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
		if err != nil || len(left.Items) > 0 {
			t.Errorf("%d Deployments are left in %s (%v)", len(left.Items), namespace, err)
		}
	}
}
