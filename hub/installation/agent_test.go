package installation

import (
	"os/exec"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/charts"
	"github.com/hawser-dev/hawser/shared/fault"
)

var agent = Agent{Hub: "hub.example.org:8443", CAHash: "sha256:" + strings.Repeat("ab", 32), Token: "hwe_0123456789abcdef", Cluster: "eu-1"}

// typed is what a shell makes of a command.
func typed(t *testing.T, command string) []string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `helm() { for a; do printf '%s\n' "$a"; done; }; `+command).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestTheHelmCommandIsWhole(t *testing.T) {
	got := agent.Helm()
	want := `helm upgrade --install hawser-agent oci://ghcr.io/hawser-dev/charts/hawser-agent --version ` + charts.Version() + ` \
  --namespace hawser-system --create-namespace \
  --set hub.address=hub.example.org:8443 \
  --set hub.caHash=sha256:` + strings.Repeat("ab", 32) + ` \
  --set clusterName=eu-1 \
  --set token.value=hwe_0123456789abcdef`
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
}

// What is set by the command is what the manifest is rendered with.
func TestCommandAndManifestHaveTheSameValues(t *testing.T) {
	for name, a := range map[string]Agent{
		"the default": agent,
		"namespaced":  {Hub: agent.Hub, CAHash: agent.CAHash, Token: agent.Token, Cluster: "eu", Profile: "namespaced", Namespaces: []string{"shop", "web"}},
		"all rights":  {Hub: agent.Hub, CAHash: agent.CAHash, Token: agent.Token, Cluster: "eu", Profile: "cluster-admin", Chart: "./a chart's place", Registry: "registry.example.com:5000/mirror"},
	} {
		t.Run(name, func(t *testing.T) {
			set := map[string]any{}
			args := typed(t, a.Helm())
			for i, arg := range args {
				if arg == "--set" {
					if err := strvals.ParseInto(args[i+1], set); err != nil {
						t.Fatal(err)
					}
				}
			}
			if a.Chart != "" && args[3] != a.Chart {
				t.Errorf("chart %q", args[3])
			}
			for _, v := range a.values() {
				var at any = set
				for key := range strings.SplitSeq(v.path, ".") {
					at = at.(map[string]any)[key]
				}
				switch {
				case v.yes:
					if at != true {
						t.Errorf("%s is %v", v.path, at)
					}
				case v.list != nil:
					if list, ok := at.([]any); !ok || len(list) != len(v.list) || list[0] != v.list[0] {
						t.Errorf("%s is %v", v.path, at)
					}
				case at != v.text:
					t.Errorf("%s is %v, want %s", v.path, at, v.text)
				}
			}
			manifest, err := a.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]int{}
			for doc := range strings.SplitSeq(manifest, "\n---\n") {
				var o struct {
					Kind     string
					Metadata struct{ Namespace string }
				}
				if err := yaml.Unmarshal([]byte(doc), &o); err != nil || o.Kind == "" {
					t.Fatalf("%v in\n%s", err, doc)
				}
				kinds[o.Kind]++
			}
			for _, kind := range []string{"Namespace", "ServiceAccount", "Secret", "Deployment", "NetworkPolicy"} {
				if kinds[kind] == 0 {
					t.Errorf("no %s in %v", kind, kinds)
				}
			}
			for _, text := range []string{a.Hub, a.CAHash, a.Token, a.Cluster} {
				if !strings.Contains(manifest, text) {
					t.Errorf("%q is not in the manifest", text)
				}
			}
			if !strings.HasPrefix(manifest, "apiVersion: v1\nkind: Namespace\n") {
				t.Error("the namespace is not first")
			}
		})
	}
}

func TestTextsOfStrangersStayOneArgument(t *testing.T) {
	a := agent
	a.Cluster = `eu$(reboot)'; rm -rf / #,profile=cluster-admin{x}\`
	args := typed(t, a.Helm())
	set := map[string]any{}
	for i, arg := range args {
		if arg == "--set" {
			if err := strvals.ParseInto(args[i+1], set); err != nil {
				t.Fatal(err)
			}
		}
	}
	if set["clusterName"] != a.Cluster || set["profile"] != nil {
		t.Errorf("%v", set)
	}
}

func TestWhatDoesNotFitTogether(t *testing.T) {
	for code, a := range map[string]Agent{
		"profile_unknown":    {Profile: "admin"},
		"namespaces_missing": {Profile: "namespaced"},
		"namespaces_unused":  {Profile: "observe", Namespaces: []string{"shop"}},
	} {
		if err := a.Check(); !fault.HasCode(err, code) {
			t.Errorf("%+v: %v", a, err)
		}
	}
	if err := (Agent{Profile: "namespaced", Namespaces: []string{"shop"}}).Check(); err != nil {
		t.Error(err)
	}
}
