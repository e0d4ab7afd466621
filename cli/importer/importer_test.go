package importer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/model"
)

func parseFiles(t *testing.T, pattern string) []Object {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	var out []Object
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := Parse(filepath.Base(f), b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, objects...)
	}
	return out
}

var hub = Options{
	Clusters: []Cluster{
		{Name: "europe", Aliases: []string{"https://eu.example.com:6443"}, Labels: map[string]string{"region": "west"}},
		{Name: "eu-1", Aliases: []string{"https://eu:6443", "https://kubernetes.default.svc"}},
	},
}

// leaves are the paths of all fields of an object.
func leaves(n *yaml.Node, path string, out []string) []string {
	switch {
	case len(n.Content) == 0:
		return append(out, path)
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			out = leaves(n.Content[i+1], join(path, n.Content[i].Value), out)
		}
	default:
		for i, item := range n.Content {
			out = leaves(item, fmt.Sprintf("%s[%d]", path, i), out)
		}
	}
	return out
}

// No field of any object is unaccounted for, and each line says what it must.
func TestEveryFieldIsAccountedFor(t *testing.T) {
	fields := 0
	for _, pattern := range []string{"../../shared/model/decode/testdata/corpus/*", "testdata/exports/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) < 10 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				objects := parseFiles(t, file)
				plan := Translate(objects, hub)
				if len(objects) == 0 || len(plan.Items) != len(objects) {
					t.Fatalf("%d items of %d objects", len(plan.Items), len(objects))
				}
				for _, o := range objects {
					i := slices.IndexFunc(plan.Items, func(i Item) bool { return i.Kind == o.Kind && i.Name == o.Name && i.Namespace == o.Namespace })
					if i < 0 {
						t.Fatalf("%s %s is not in the report", o.Kind, o.Name)
					}
					item := plan.Items[i]
					for _, path := range leaves(o.root, "", nil) {
						fields++
						if !item.Covers(path) {
							t.Errorf("%s: nothing is said of %s", item.Ref(), path)
						}
					}
					for _, f := range item.Fields {
						if f.Outcome == Translated && f.To == "" || f.Outcome == Ignored && f.Why == "" || f.Outcome == Attention && (f.Why == "" || f.Fix == "") {
							t.Errorf("%s: the line of %s is incomplete: %+v", item.Ref(), f.Path, f)
						}
					}
				}
			})
		}
	}
	if fields < 800 {
		t.Errorf("only %d fields were looked at", fields)
	}
}

// The corpus is what users write; nothing of it is lost.
func TestTheCorpusNeedsNoAttentionButForItsPlace(t *testing.T) {
	for _, f := range []string{"01", "03", "05", "06", "07", "10", "11", "14", "15", "18", "20", "21", "25", "26", "27", "28"} {
		objects := parseFiles(t, "../../shared/model/decode/testdata/corpus/"+f+"-*")
		o := hub
		o.Clusters = nil
		o.Projects = []string{"team-a", "shop", "demo"}
		for _, item := range Translate(objects, o).Items {
			for _, p := range item.Problems() {
				if !strings.HasPrefix(p.Path, "spec.destination") && p.Path != "spec.project" {
					t.Errorf("%s %s: %+v", f, item.Ref(), p)
				}
			}
		}
	}
}

func TestSecretsAreNotInTheReport(t *testing.T) {
	plan := Translate(parseFiles(t, "testdata/exports/*"), hub)
	b, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(b); strings.Contains(s, "CANARY") || strings.Contains(s, "Q0FOQVJZ") {
		at := strings.Index(s, "CANARY")
		t.Errorf("a secret is in the report: %s", s[max(0, at-200):min(len(s), at+50)])
	}
	if s := fmt.Sprintf("%v %+v %#v", plan.Repositories, plan.Templates, plan.Repositories); strings.Contains(s, "CANARY") {
		t.Error("a secret is in the text of a request")
	}
}

func item(t *testing.T, p Plan, kind, name string) Item {
	t.Helper()
	for _, i := range p.Items {
		if i.Kind == kind && i.Name == name {
			return i
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return Item{}
}

func (i *Item) line(path string) Field {
	for _, f := range i.Fields {
		if f.Path == path {
			return f
		}
	}
	return Field{}
}

func TestAnInstallation(t *testing.T) {
	objects := parseFiles(t, "testdata/exports/*")
	plan := Translate(objects, hub)

	t.Run("lines", func(t *testing.T) {
		for _, c := range []struct {
			kind, name, path string
			outcome          Outcome
			contains         string
		}{
			{"Application", "payments", "status", Ignored, "observed"},
			{"Application", "payments", "operation", Ignored, "not repeated"},
			{"Application", "payments", "metadata.managedFields", Ignored, "API server"},
			{"Application", "payments", "metadata.namespace", Translated, "imported-from"},
			{"Application", "payments", `metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]`, Ignored, "kubectl"},
			{"Application", "payments", `metadata.annotations["argocd.argoproj.io/manifest-generate-paths"]`, Taken, ""},
			{"Application", "payments", "spec.source.helm.version", Taken, "no effect"},
			{"Application", "payments", "spec.destination.server", Attention, "hawser cluster enroll"},
			{"Application", "eu-guestbook", "metadata.ownerReferences", Translated, "of its own"},
			{"Application", "eu-guestbook", "spec.destination.name", Translated, "europe"},
			{"Application", "legacy", "spec.source.plugin.name", Attention, "--plugin kustomized-helm=NAME"},
			{"Application", "legacy", "spec.syncWave", Attention, "no such field"},
			{"Application", "legacy", `metadata.annotations["argocd.argoproj.io/skip-reconcile"]`, Attention, "leaves the application alone"},
			{"Application", "jobs", "spec.syncPolicy.automated", Translated, "handover"},
			{"Application", "hydrated", "spec.sourceHydrator", Attention, "hydrate"},
			{"Application", "hydrated", "metadata.deletionTimestamp", Attention, "deleting"},
			{"Application", "hydrated", "spec.project", Attention, `no project "lost"`},
			{"AppProject", "team-pay", "spec.roles[0].jwtTokens", Attention, "1 tokens"},
			{"ApplicationSet", "guestbook", "spec", Taken, model.SetNotExpanded},
			{"Secret", "repo-1", "data.password", Translated, "password"},
			{"Secret", "repo-1", "data.insecure", Ignored, "off"},
			{"Secret", "repo-charts", "stringData.type", Translated, "oci"},
			{"Secret", "repo-gcp", "stringData.gcpServiceAccountKey", Attention, "Google"},
			{"Secret", "repo-gcp", "stringData.projct", Attention, "no such entry"},
			{"Secret", "creds-azure", "stringData.useAzureWorkloadIdentity", Attention, "Azure"},
			{"Secret", "write", "stringData", Ignored, "hydrate"},
			{"Secret", "cluster-10.2.0.4-123", "data.config", Ignored, "stay where they are"},
			{"Secret", "cluster-10.2.0.4-123", "metadata.labels.region", Attention, "another value"},
			{"Secret", "cluster-2", "data.server", Attention, "--alias https://10.2.0.4:6443 --project team-pay --label env=staging"},
			{"Secret", "cluster-2", "stringData.namespaces", Attention, "agent-rbac"},
			{"ConfigMap", "argocd-cm", `data["dex.config"]`, Ignored, "single sign-on"},
			{"ConfigMap", "argocd-cm", `data["kustomize.buildOptions"]`, Attention, "Kustomize"},
			{"ConfigMap", "argocd-cm", `data["resource.exclusions"]`, Ignored, "watched"},
			{"ConfigMap", "argocd-cm", `data["resource.customizations.ignoreDifferences.apps_Deployment"]`, Attention, "jsonPointers"},
			{"ConfigMap", "argocd-cm", `data["custom.made.up"]`, Attention, "does not know"},
			{"ConfigMap", "argocd-cm", `data["resource.customizations.health.argoproj.io_Application"]`, Taken, ""},
			{"ConfigMap", "argocd-rbac-cm", `data["policy.csv"][line 2]`, Taken, "which decides by it"},
			{"ConfigMap", "argocd-rbac-cm", `data["policy.csv"][line 6]`, Attention, "3 fields"},
			{"ConfigMap", "argocd-rbac-cm", `data["policy.csv"][line 8]`, Attention, "p or g"},
			{"ConfigMap", "argocd-cmd-params-cm", `data["server.insecure"]`, Ignored, "tuning"},
			{"Secret", "argocd-secret", `data["webhook.github.secret"]`, Attention, "webhooks"},
			{"Deployment", "argocd-server", "spec", Ignored, "configuration"},
		} {
			i := item(t, plan, c.kind, c.name)
			f := i.line(c.path)
			if f.Outcome != c.outcome || !strings.Contains(f.To+f.Why+f.Fix, c.contains) {
				t.Errorf("%s %s %s: %+v", c.kind, c.name, c.path, f)
			}
		}
	})

	t.Run("applications", func(t *testing.T) {
		byName := map[string]model.Application{}
		for _, a := range plan.Applications {
			byName[a.Metadata.Name] = a
		}
		if len(byName) != 3 {
			t.Errorf("got %d: %v", len(byName), byName)
		}
		jobs := byName["jobs"]
		if !jobs.Spec.SyncPolicy.AutomatedEnabled() || !jobs.Spec.SyncPolicy.Automated.Prune || !slices.Equal(jobs.Metadata.Finalizers, []string{model.FinalizerCascade}) || jobs.Metadata.Namespace != "team-pay" {
			t.Errorf("what a handover took is not there: %+v", jobs)
		}
		legacy := byName["legacy"]
		if legacy.Metadata.Annotations[annotationMode] != modeObserve || legacy.Metadata.Annotations[AnnotationImportedFrom] != "argocd/argocd/legacy" || legacy.Metadata.Namespace != "" {
			t.Errorf("got %+v", legacy.Metadata)
		}
		if byName["eu-guestbook"].Spec.Destination.Name != "europe" {
			t.Errorf("got %+v", byName["eu-guestbook"].Spec.Destination)
		}
		again := item(t, plan, "Application", "payments")
		if !again.Blocked {
			t.Error("payments goes to a cluster that is not enrolled")
		}
	})

	t.Run("repositories", func(t *testing.T) {
		byURL := map[string]Repository{}
		for _, r := range slices.Concat(plan.Repositories, plan.Templates) {
			byURL[r.URL] = r
		}
		if len(byURL) != 5 {
			t.Errorf("got %v", plan.Repositories)
		}
		https := byURL["https://git.example.com/team-pay/deploy.git"]
		if https.Password != "CANARY-password" || https.Username != "bot" || !https.ForceBasicAuth || !https.EnableLFS || https.Project != "team-pay" || https.NoProxy != ".internal" ||
			!strings.HasPrefix(https.CABundle, "-----BEGIN CERT") || https.InsecureSkipVerify || https.Type != "git" {
			t.Errorf("got %s", https)
		}
		ssh := byURL["git@git.example.com:platform/values.git"]
		if !strings.Contains(ssh.SSHKey, "CANARY-key") || ssh.KnownHosts != "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGit\n|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAAB3hash\n" {
			t.Errorf("got %q", ssh.KnownHosts)
		}
		charts := byURL["oci://registry.example.com/charts"]
		if charts.Type != "oci" || charts.Name != "charts" || !charts.InsecurePlainHTTP {
			t.Errorf("got %s", charts)
		}
		if app := byURL["https://github.example.com/acme"]; app.GitHubAppID != 12 || app.GitHubAppInstallationID != 34 || app.GitHubAppPrivateKey != "CANARY-app" {
			t.Errorf("got %s", app)
		}
	})

	t.Run("clusters", func(t *testing.T) {
		if len(plan.Enrol) != 1 || plan.Enrol[0].Applications != 1 || plan.Enrol[0].Server != "https://10.2.0.4:6443" ||
			plan.Enrol[0].Command != "hawser cluster enroll arn-aws-eks-eu-west-1-123-cluster-pay-prod --alias https://10.2.0.4:6443 --project team-pay --label env=staging" {
			t.Errorf("got %+v", plan.Enrol)
		}
		if labels := plan.ClusterLabels["europe"]; len(labels) != 1 || labels["env"] != "prod" {
			t.Errorf("got %v", plan.ClusterLabels)
		}
	})

	t.Run("settings", func(t *testing.T) {
		if len(plan.Customizations) != 4 {
			t.Errorf("got %v", plan.Customizations)
		}
		if p := plan.Policy; p == nil || p.Default != "role:readonly" || len(p.Lines) != 5 || p.Lines[4].Fields[0] != "acme:pay" || p.Lines[1].Line != 3 {
			t.Errorf("got %+v", p)
		}
	})

	t.Run("counts", func(t *testing.T) {
		c := plan.Counts
		if c.Applications != 5 || c.Projects != 1 || c.ApplicationSets != 1 || c.Clusters != 2 || c.Repositories != 7 || c.Ready+c.Attention != len(objects) || c.Attention < 10 {
			t.Errorf("got %+v", c)
		}
	})

	t.Run("again", func(t *testing.T) {
		if again := Translate(objects, hub); !reflect.DeepEqual(plan, again) {
			t.Error("the second plan of the same objects is another")
		}
	})
}

// What a handover decided stays when the same is imported again.
func TestImportingAgainIsNoRollback(t *testing.T) {
	objects := parseFiles(t, "testdata/exports/02-*")
	for _, c := range []struct {
		name            string
		mode            string
		existing        *Existing
		observe, blocks bool
	}{
		{"new", Observe, nil, true, false},
		{"new and managed", Manage, nil, false, false},
		{"observed", Manage, &Existing{"argocd/argocd/legacy", modeObserve}, true, false},
		{"handed over", Observe, &Existing{"argocd/argocd/legacy", model.ModeManage}, false, false},
		{"never observed", Observe, &Existing{"argocd/argocd/legacy", ""}, false, false},
		{"somebody's own", Observe, &Existing{}, false, true},
		{"from another Argo CD", Observe, &Existing{ImportedFrom: "argocd/other/legacy"}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := hub
			o.Mode = c.mode
			if c.existing != nil {
				o.Applications = map[string]Existing{"legacy": *c.existing}
			}
			plan := Translate(objects, o)
			if i := item(t, plan, "Application", "legacy"); i.Blocked != c.blocks {
				t.Fatalf("blocked is %v: %+v", i.Blocked, i.Problems())
			}
			for _, a := range plan.Applications {
				if c.existing != nil && a.Metadata.Name == "legacy" && a.Metadata.Annotations[annotationMode] != c.existing.Mode {
					t.Errorf("it was %q and is %v", c.existing.Mode, a.Metadata.Annotations)
				}
				if a.Metadata.Name == "legacy" && (a.Metadata.Annotations[annotationMode] == modeObserve) != c.observe {
					t.Errorf("got %v", a.Metadata.Annotations)
				}
			}
		})
	}
}

func TestTextsThatAreNoObjects(t *testing.T) {
	for text, want := range map[string]string{
		"- a\n":                        "an object is needed",
		"a: [":                         "x: line 1",
		"metadata: {name: x}\n":        "kind is missing",
		"kind: A\nkind: B\n":           "appears twice",
		"a: &a [1]\nb: *b\n":           "unknown anchor",
		bomb():                         "too large",
		"kind: List\nitems: [1]\n":     "an object is needed",
		strings.Repeat("{a: ", 2000):   "x:",
		"kind: Secret\ndata: {a: '!'}": "",
	} {
		_, err := Parse("x", []byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	if got, err := Parse("x", []byte("---\n# nothing\n---\n\n")); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
	objects, err := Parse("x", []byte("kind: Secret\nmetadata: {name: s, labels: {argocd.argoproj.io/secret-type: repository}}\ndata: {url: '!'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if i := Translate(objects, hub).Items[0]; !i.Blocked || !strings.Contains(i.Problems()[0].Why, "not base64") {
		t.Errorf("got %+v", i)
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("kind: X\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	return b.String()
}
