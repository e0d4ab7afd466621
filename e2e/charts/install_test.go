package charts

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"helm.sh/helm/v3/pkg/strvals"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	agentapp "github.com/hawser-dev/hawser/agent/app"
	hubapp "github.com/hawser-dev/hawser/hub/app"
)

// TestTheInstallationIsAsDocumented renders what the commands and the values of
// docs/install.md ask for, in order, an upgrade with --reuse-values on top of what
// came before.
func TestTheInstallationIsAsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	releases, charts := map[string]map[string]any{}, map[string]string{}
	helm, yamls := 0, 0
	for _, block := range regexp.MustCompile("(?ms)^( *)```(sh|yaml)\n(.*?)^ *```$").FindAllStringSubmatch(string(text), -1) {
		body := strings.ReplaceAll(strings.ReplaceAll(block[3], "\\\n", " "), "\n"+block[1], "\n")
		if block[2] == "yaml" {
			yamls++
			chart, _, ok := strings.Cut(strings.TrimPrefix(body, "# values of charts/"), "\n")
			if !ok || chart != hubName && chart != agent {
				t.Errorf("values of which chart?\n%s", body)
				continue
			}
			objects(t, mustRender(t, chart, "there", values(t, body)))
			continue
		}
		for line := range strings.SplitSeq(body, "\n") {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "helm" {
				continue
			}
			helm++
			if words[1] == "uninstall" {
				if releases[words[2]] == nil {
					t.Errorf("%s was never installed", words[2])
				}
				continue
			}
			if words[1] == "test" {
				// The release has a pod for it.
				if releases[words[2]] == nil || !slices.ContainsFunc(objects(t, mustRender(t, charts[words[2]], words[4], releases[words[2]])), func(o *unstructured.Unstructured) bool {
					return o.GetAnnotations()["helm.sh/hook"] == "test"
				}) {
					t.Errorf("%s has nothing to test: %s", words[2], line)
				}
				continue
			}
			release, chart := words[2], strings.TrimPrefix(words[3], "./charts/")
			vals := map[string]any{}
			if words[1] == "upgrade" {
				if vals = releases[release]; vals == nil || !slices.Contains(words, "--reuse-values") {
					t.Errorf("an upgrade of nothing: %s", line)
					continue
				}
			}
			namespace := ""
			for i, w := range words {
				switch w {
				case "--set":
					if err := strvals.ParseInto(strings.Trim(words[i+1], "'"), vals); err != nil {
						t.Errorf("%s: %v", line, err)
					}
				case "--namespace":
					namespace = words[i+1]
				}
			}
			releases[release], charts[release] = vals, chart
			files, err := render(load(t, chart), namespace, vals)
			if err != nil {
				t.Errorf("%s\n%v", line, err)
				continue
			}
			// What the page looks for afterwards.
			if !slices.ContainsFunc(objects(t, files), func(o *unstructured.Unstructured) bool {
				return o.GetKind() == "Deployment" && o.GetName() == release && o.GetNamespace() == namespace
			}) {
				t.Errorf("there is no Deployment %s in %s", release, namespace)
			}
		}
	}
	if helm < 11 || yamls < 1 {
		t.Errorf("%d commands and %d files of values are found", helm, yamls)
	}
}

// TestArgumentsAreThoseOfThePrograms: a pod with a flag that its program does not
// have starts over for ever.
func TestArgumentsAreThoseOfThePrograms(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings() {
		for _, o := range objects(t, mustRender(t, s.chart, s.namespace, s.vals(t))) {
			pod := podOf(t, o)
			if pod == nil {
				continue
			}
			flags := pflag.NewFlagSet(s.name, pflag.ContinueOnError)
			flags.SetOutput(&bytes.Buffer{})
			if s.chart == agent {
				new(agentapp.Config).Flags(flags)
			} else {
				new(hubapp.Config).Flags(flags)
			}
			args := pod.Spec.Containers[0].Args
			if err := flags.Parse(args); err != nil {
				t.Errorf("%s: %s %v: %v", s.name, o.GetKind(), args, err)
			}
			command := strings.Join(flags.Args(), " ")
			if !slices.Contains([]string{"run", "serve", "keys status", "preflight"}, command) {
				t.Errorf("%s: there is no command %q", s.name, command)
			}
			seen[command] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("only %v are run", seen)
	}
}
