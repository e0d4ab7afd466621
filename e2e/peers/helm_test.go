package peers_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/e2e/peers"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/shared/model"
)

var contents sync.Map // by hash

// TestMain lets the test binary be the render worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker-render" {
		if err := render.WorkerMain(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func renderer(tb testing.TB) *render.Renderer {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	r, err := render.New(render.Options{WorkerCommand: []string{self, "worker-render"}, Workers: 1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

// chartsCopy copies the charts, because helm writes into them.
func chartsCopy(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := copyTree(dir, "testdata/charts"); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// copyTree copies a directory with its symbolic links.
func copyTree(to, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		src, dst := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case e.IsDir():
			if err := os.Mkdir(dst, 0o755); err != nil {
				return err
			}
			if err := copyTree(dst, src); err != nil {
				return err
			}
		case e.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(src)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, dst); err != nil {
				return err
			}
		default:
			data, err := os.ReadFile(src)
			if err != nil {
				return err
			}
			if err := os.WriteFile(dst, data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestHelmTemplate renders charts here and with helm template, and compares the
// objects.
func TestHelmTemplate(t *testing.T) {
	bins := peers.Get(t)
	r := renderer(t)
	type set = []model.HelmParameter
	cases := []struct {
		name  string
		chart string
		helm  model.HelmSource
		args  []string // of helm template that say the same
		kube  string   // of the cluster; "" is unknown
		apis  []string
	}{
		{name: "web", chart: "web"},
		{
			name: "web in production", chart: "web", helm: model.HelmSource{ValueFiles: []string{"values-prod.yaml"}, ReleaseName: "shop-web", Namespace: "shop"},
			args: []string{"-f", "web/values-prod.yaml"}, kube: "v1.31.4",
		},
		{
			name: "web with parameters", chart: "web",
			helm: model.HelmSource{
				ValueFiles: []string{"values-prod.yaml"},
				Values:     "replicaCount: 7\nenv: {LOG_LEVEL: null, ADDED: '1'}\n",
				Parameters: set{
					{Name: "image.tag", Value: "1.0"}, {Name: "env.FORCED", Value: "0123", ForceString: true}, {Name: "env.NUMBER", Value: "12345678"},
					{Name: "ingress.hosts[0].host", Value: "other.example.com"}, {Name: "imagePullSecrets", Value: "{name=a}"},
					{Name: `podAnnotations.example\.com/x`, Value: "a,b"}, {Name: "nodeSelector", Value: "null"},
				},
				SkipTests: true,
			},
			args: []string{
				"-f", "web/values-prod.yaml", "-f", "$values", "--set", "image.tag=1.0", "--set", "env.NUMBER=12345678",
				"--set", "ingress.hosts[0].host=other.example.com", "--set", "imagePullSecrets={name=a}", "--set", `podAnnotations.example\.com/x=a\,b`,
				"--set", "nodeSelector=null", "--set-string", "env.FORCED=0123", "--skip-tests",
			},
		},
		{name: "umbrella", chart: "umbrella"},
		{name: "umbrella with all", chart: "umbrella", helm: model.HelmSource{ValueFiles: []string{"values-full.yaml"}}, args: []string{"-f", "umbrella/values-full.yaml"}},
		{name: "umbrella by tag", chart: "umbrella", helm: model.HelmSource{Parameters: set{{Name: "worker.enabled", Value: "null"}, {Name: "tags.jobs", Value: "true"}}}, args: []string{"--set", "worker.enabled=null,tags.jobs=true"}},
		{name: "hooks and CRDs", chart: "lifecycle"},
		{name: "without tests and CRDs", chart: "lifecycle", helm: model.HelmSource{SkipTests: true, SkipCrds: true}, args: []string{"--skip-tests", "--skip-crds"}},
		{name: "library", chart: "consumer"},
		{name: "operator", chart: "operator"},
		{
			name: "operator on a cluster with monitoring", chart: "operator", kube: "v1.30.2", apis: []string{"monitoring.coreos.com/v1", "monitoring.coreos.com/v1/ServiceMonitor"},
		},
		{
			name: "operator with set capabilities", chart: "operator", kube: "v1.30.2", apis: []string{"other.io/v1"},
			helm: model.HelmSource{KubeVersion: "1.28.1", APIVersions: []string{"monitoring.coreos.com/v1/ServiceMonitor"}, FileParameters: []model.HelmFileParameter{{Name: "message", Path: "files/lines.txt"}}},
			args: []string{"--kube-version", "1.28.1", "--api-versions", "monitoring.coreos.com/v1/ServiceMonitor", "--set-file", "message=operator/files/lines.txt"},
		},
		{name: "strict", chart: "strict", helm: model.HelmSource{Parameters: set{{Name: "host", Value: "a.b"}}}, args: []string{"--set", "host=a.b"}},
		{name: "strict without schema", chart: "strict", helm: model.HelmSource{SkipSchemaValidation: true, Values: "host: A_B\nreplicas: 0\n"}, args: []string{"-f", "$values", "--skip-schema-validation"}},
		{name: "odd", chart: "not-its-name", helm: model.HelmSource{Parameters: set{{Name: "deep", Value: "true"}, {Name: "set", Value: "{1,two,}"}}}, args: []string{"--set", "deep=true", "--set", "set={1,two,}"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			scratch, theirs := t.TempDir(), chartsCopy(t)
			if c.chart == "umbrella" || c.chart == "consumer" {
				if _, err := bins.RunHelm(t.Context(), theirs, scratch, "dependency", "build", c.chart); err != nil {
					t.Fatal(err)
				}
			}
			name, namespace := c.helm.ReleaseName, c.helm.Namespace
			if name == "" {
				name = "app"
			}
			if namespace == "" {
				namespace = "space"
			}
			args := []string{name, c.chart, "--namespace", namespace}
			if !c.helm.SkipCrds {
				args = append(args, "--include-crds")
			}
			if c.kube != "" && c.helm.KubeVersion == "" {
				args = append(args, "--kube-version", c.kube)
			}
			if len(c.helm.APIVersions) == 0 {
				for _, a := range c.apis {
					args = append(args, "--api-versions", a)
				}
			}
			for _, a := range c.args {
				if a == "$values" {
					a = filepath.Join(scratch, "values.yaml")
					if err := os.WriteFile(a, []byte(c.helm.Values), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				args = append(args, a)
			}
			text, err := bins.Template(t.Context(), theirs, scratch, args...)
			if err != nil {
				t.Fatal(err)
			}
			ours := chartsCopy(t)
			// A lock file that helm made must be one that fits here.
			if lock, err := os.ReadFile(filepath.Join(theirs, c.chart, "Chart.lock")); err == nil {
				if err := os.WriteFile(filepath.Join(ours, c.chart, "Chart.lock"), lock, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			res, err := r.Render(t.Context(), render.Request{
				App: "a", AppName: "app", Namespace: "space", Source: model.Source{Path: c.chart, Helm: &c.helm}, Snapshot: directory(ours),
				Cluster: func() (string, []string) { return c.kube, c.apis },
			})
			if err != nil {
				t.Fatal(err)
			}
			compare(t, res.Objects, objectsOf(t, text))
		})
	}
}
