package explain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// run is one call of the command on files below dir. status is its exit status.
type answer struct {
	status      int
	out, notes  string
	code, field string // of the error
}

func run(t *testing.T, dir string, files map[string]string, args ...string) answer {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "@", dir+"/")
	}
	var out, notes bytes.Buffer
	c := Command()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&notes)
	c.SetIn(strings.NewReader(""))
	err := c.Execute()
	a := answer{out: out.String(), notes: notes.String()}
	switch {
	case errors.Is(err, ErrNo):
		a.status = 1
	case err != nil:
		a.status, a.code, a.field = 2, fault.As(err).Code, fault.As(err).Field
		a.notes += err.Error()
	}
	return a
}

// steps are "phase operation name" of a plan.
func steps(t *testing.T, a answer) []string {
	t.Helper()
	var r struct {
		Steps []struct{ Phase, Operation, Namespace, Name string }
	}
	if err := json.Unmarshal([]byte(a.out), &r); err != nil {
		t.Fatalf("%v: %+v", err, a)
	}
	out := []string{}
	for _, s := range r.Steps {
		out = append(out, fmt.Sprintf("%s %s %s", s.Phase, s.Operation, strings.TrimPrefix(s.Namespace+"/"+s.Name, "/")))
	}
	return out
}

const fooCRD = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Foo, plural: foos}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {a: {type: integer}, mode: {type: string, default: auto}, l: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, properties: {name: {type: string}}}}}}}}}}]
`

func foo(meta, spec string) string {
	return "apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: f, namespace: ns" + meta + "}\nspec: " + spec + "\n"
}

func managed(manager, operation, fields string) string {
	return fmt.Sprintf(", managedFields: [{manager: %s, operation: %s, apiVersion: example.com/v1, time: '2026-01-01T00:00:00Z', fieldsType: FieldsV1, fieldsV1: %s}]", manager, operation, fields)
}

// TestPlanAndDiffAgree: a plan says unchanged where a diff says equal.
func TestPlanAndDiffAgree(t *testing.T) {
	for _, c := range []struct {
		name          string
		desired, live string
		equal         bool
		operation     string
	}{
		{"what kubectl applied by itself is taken over", foo("", "{a: 1}"), foo(managed("kubectl-client-side-apply", "Update", `{"f:spec":{"f:a":{},"f:b":{}}}`), "{a: 1, b: 2}"), false, "configure"},
		{"what Argo CD applied, too", foo("", "{a: 1}"), foo(managed("argocd-controller", "Apply", `{"f:spec":{"f:a":{},"f:b":{}}}`), "{a: 1, b: 2}"), false, "configure"},
		{"what kubectl applied by the server stays", foo("", "{a: 1}"), foo(managed("kubectl", "Apply", `{"f:spec":{"f:a":{},"f:b":{}}}`), "{a: 1, b: 2}"), true, "unchanged"},
		{"a definition beside the desired object knows defaults", fooCRD + "---\n" + foo("", "{a: 1}"), fooCRD + "---\n" + foo(managed("hawser", "Apply", `{"f:spec":{"f:a":{},"f:mode":{}}}`), "{a: 1, mode: auto}"), true, "unchanged"},
		{"a definition that is live knows how a list merges", foo("", "{l: [{name: a}]}"), fooCRD + "---\n" + foo("", "{l: [{name: a}, {name: b}]}"), true, "unchanged"},
		{"without a definition more elements differ", foo("", "{l: [{name: a}]}"), foo("", "{l: [{name: a}, {name: b}]}"), false, "configure"},
		{"equal", foo("", "{a: 1}"), foo("", "{a: 1}"), true, "unchanged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"d/d.yaml": c.desired, "l/l.yaml": c.live}
			dir := t.TempDir()
			d := run(t, dir, files, "diff", "--desired", "@d/d.yaml", "--live", "@l/l.yaml")
			if (d.status == 0) != c.equal || d.status == 2 {
				t.Errorf("diff: %+v", d)
			}
			if got := steps(t, run(t, dir, files, "plan", "-f", "@d", "--live", "@l", "-o", "json", "-n", "ns")); !slices.Contains(got, "Sync "+c.operation+" ns/f") {
				t.Errorf("plan: %q", got)
			}
		})
	}
	t.Run("rules to ignore differences", func(t *testing.T) {
		files := map[string]string{"d.yaml": foo("", "{a: 1}"), "l.yaml": foo("", "{a: 2}"), "r.yaml": "[{group: example.com, kind: Foo, jsonPointers: [/spec/a]}]"}
		if got := steps(t, run(t, t.TempDir(), files, "plan", "-f", "@d.yaml", "--live", "@l.yaml", "--ignore", "@r.yaml", "-o", "json")); !slices.Equal(got, []string{"Sync unchanged ns/f"}) {
			t.Errorf("plan: %q", got)
		}
	})
}

// TestNothingLive: a cluster that has nothing is no error.
func TestNothingLive(t *testing.T) {
	const list = "apiVersion: v1\nkind: List\nitems: []\n"
	files := map[string]string{"d.yaml": foo("", "{a: 1}"), "list.yaml": list, "list.json": `{"apiVersion": "v1", "items": [], "kind": "List", "metadata": {"resourceVersion": ""}}`, "none.yaml": "", "empty/": "", "lists/a.yaml": list}
	dir := t.TempDir()
	for _, live := range []string{"@list.yaml", "@list.json", "@none.yaml"} {
		a := run(t, dir, files, "diff", "--desired", "@d.yaml", "--live", live, "-o", "json")
		if a.status != 1 || !strings.Contains(a.out, `"equal": false`) || !strings.Contains(a.notes, "is not live") {
			t.Errorf("diff --live %s: %+v", live, a)
		}
	}
	for _, live := range []string{"@list.yaml", "@none.yaml", "@empty", "@lists"} {
		a := run(t, dir, files, "plan", "-f", "@d.yaml", "--live", live, "-o", "json")
		if got := steps(t, a); a.status != 0 || !slices.Equal(got, []string{"Sync create ns/f"}) {
			t.Errorf("plan --live %s: %q %+v", live, got, a)
		}
	}
	for _, args := range [][]string{{"diff", "--desired", "@list.yaml", "--live", "@d.yaml"}, {"plan", "-f", "@empty"}, {"plan", "-f", "@list.yaml"}, {"health", "-f", "@none.yaml"}} {
		if a := run(t, dir, files, args...); a.status != 2 || a.code != "no_object" {
			t.Errorf("%q: %+v", args, a)
		}
	}
}

// TestPlanThatIsHeldBack: what is not tried because of a refusal can still be read
// in its order.
func TestPlanThatIsHeldBack(t *testing.T) {
	const job = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: %s, annotations: {argocd.argoproj.io/hook: %s}}\n"
	const cm = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, annotations: {argocd.argoproj.io/sync-wave: '%s'}}\n"
	files := map[string]string{
		"d/d.yaml": fmt.Sprintf(job, "migrate", "PreSync") + fmt.Sprintf(cm, "late", "2") + fmt.Sprintf(cm, "early", "-1") + fmt.Sprintf(cm, "bad", "soon") + fmt.Sprintf(job, "after", "PostSync") +
			fmt.Sprintf(job, "alarm", "SyncFail") + fmt.Sprintf(job, "before-delete", "PreDelete") + fmt.Sprintf(job, "after-delete", "PostDelete"),
		"l/l.yaml": fmt.Sprintf(cm, "old", "0"),
	}
	dir := t.TempDir()
	a := run(t, dir, files, "plan", "-f", "@d", "--live", "@l", "-o", "json", "-n", "ns")
	got := steps(t, a)
	if slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, " refuse ") }) {
		want := []string{"PreSync hold ns/migrate", "Sync hold ns/early", "Sync refuse ns/bad", "Sync hold ns/late", "Sync hold ns/old", "PostSync hold ns/after", "SyncFail hold ns/alarm", "PreDelete create ns/before-delete", "PostDelete create ns/after-delete"}
		if !slices.Equal(got, want) || a.status != 1 {
			t.Errorf("status %d\n got %q\nwant %q", a.status, got, want)
		}
	} else {
		t.Errorf("nothing is refused: %q", got)
	}
}

// TestWhatAPlanPrunes: only what the agent would.
func TestWhatAPlanPrunes(t *testing.T) {
	cm := func(name, meta string) string {
		return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: ns" + meta + "}\n"
	}
	tracked := func(app, name string) string {
		return cm(name, ", annotations: {argocd.argoproj.io/tracking-id: '"+app+":/ConfigMap:ns/"+name+"'}")
	}
	cluster := cm("kube-root-ca.crt", "") + "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: ns}\n" +
		cm("owned", ", ownerReferences: [{apiVersion: v1, kind: X, name: x, uid: u}]") + cm("stray", "") +
		cm("copy", ", annotations: {argocd.argoproj.io/tracking-id: 'shop:/ConfigMap:ns/other'}")
	for _, c := range []struct {
		name, live string
		args       []string
		want       []string
		warned     bool
	}{
		{"the application that the live objects name", tracked("shop", "a") + tracked("shop", "old") + tracked("other", "foreign") + cluster, nil, []string{"Sync unchanged ns/a", "Sync prune ns/old"}, false},
		{"no desired object is live", tracked("shop", "old") + cluster, nil, []string{"Sync create ns/a", "Sync prune ns/old"}, false},
		{"the one that is named", cm("a", "") + tracked("shop", "old") + cluster, []string{"--app", "shop"}, []string{"Sync unchanged ns/a", "Sync prune ns/old"}, false},
		{"another one is named", cm("a", "") + tracked("shop", "old") + cluster, []string{"--app", "x"}, []string{"Sync unchanged ns/a"}, false},
		{"nothing names one", cm("a", "") + tracked("other", "foreign") + cluster, nil, []string{"Sync unchanged ns/a", "Sync prune ns/stray"}, true},
		{"being deleted", tracked("shop", "a") + strings.Replace(tracked("shop", "old"), "namespace: ns,", "namespace: ns, deletionTimestamp: '2026-01-01T00:00:00Z',", 1), nil, []string{"Sync unchanged ns/a", "Sync keep ns/old"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"d.yaml": cm("a", ""), "l.yaml": c.live}
			a := run(t, t.TempDir(), files, append([]string{"plan", "-f", "@d.yaml", "--live", "@l.yaml", "-o", "json"}, c.args...)...)
			if got := steps(t, a); !slices.Equal(got, c.want) || strings.Contains(a.notes, "do not tell") != c.warned {
				t.Errorf("got %q, want %q (%s)", got, c.want, a.notes)
			}
		})
	}
}

// TestScopesOfUnknownKinds: live objects tell where their kind lives.
func TestScopesOfUnknownKinds(t *testing.T) {
	issuer := func(name, more string) string {
		return "---\napiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: " + name + more + "}\n"
	}
	deploy := "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
	for _, c := range []struct {
		name, desired, live string
		want                []string
	}{
		{"a kind without namespaces", issuer("a", "") + issuer("b", ""), issuer("a", ", uid: x"), []string{"Sync unchanged a", "Sync create b"}},
		{"a kind with namespaces", issuer("a", ""), issuer("b", ", namespace: q"), []string{"Sync create ns/a", "Sync prune q/b"}},
		{"one that is desired in a namespace", issuer("a", ", namespace: q"), issuer("a", ""), []string{"Sync create q/a", "Sync prune ns/a"}},
		{"a kind of Kubernetes", deploy, deploy, []string{"Sync unchanged ns/web"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := run(t, t.TempDir(), map[string]string{"d.yaml": c.desired, "l.yaml": c.live}, "plan", "-f", "@d.yaml", "--live", "@l.yaml", "-n", "ns", "-o", "json")
			if got := steps(t, a); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestNamesInAnswers: all parts of a name are there, of core kinds the empty group.
func TestNamesInAnswers(t *testing.T) {
	const two = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n"
	files := map[string]string{"d.yaml": two}
	dir := t.TempDir()
	for _, args := range [][]string{{"health", "-f", "@d.yaml", "-o", "json"}, {"diff", "--desired", "@d.yaml", "--live", "@d.yaml", "-o", "json"}} {
		a := run(t, dir, files, args...)
		var got struct{ Items []map[string]any }
		if err := json.Unmarshal([]byte(a.out), &got); err != nil || len(got.Items) != 2 {
			t.Fatalf("%q: %v %+v", args, err, a)
		}
		for i, want := range []map[string]any{{"group": "", "kind": "ConfigMap", "namespace": "ns", "name": "a"}, {"group": "", "kind": "Namespace", "namespace": "", "name": "ns"}} {
			part := map[string]any{}
			for k := range want {
				part[k] = got.Items[i][k]
			}
			if !reflect.DeepEqual(part, want) {
				t.Errorf("%q: %v, want %v", args, got.Items[i], want)
			}
		}
	}
}

// TestSeveralFiles: a flag that is given twice counts twice.
func TestSeveralFiles(t *testing.T) {
	cm := func(name string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: ns}\ndata: {k: v}\n"
	}
	files := map[string]string{"a.yaml": cm("a"), "b.yaml": cm("b"), "c/c.yaml": cm("c")}
	dir := t.TempDir()
	if got := steps(t, run(t, dir, files, "plan", "-f", "@a.yaml", "-f", "@b.yaml", "--live", "@b.yaml", "--live", "@c", "-o", "json")); !slices.Equal(got, []string{"Sync create ns/a", "Sync unchanged ns/b", "Sync prune ns/c"}) {
		t.Errorf("plan: %q", got)
	}
	if a := run(t, dir, files, "health", "-f", "@a.yaml", "-f", "@b.yaml", "-o", "json"); !strings.Contains(a.out, `"a"`) || !strings.Contains(a.out, `"b"`) {
		t.Errorf("health: %+v", a)
	}
	if a := run(t, dir, files, "diff", "--desired", "@a.yaml", "--desired", "@b.yaml", "--live", "@a.yaml", "--live", "@b.yaml"); a.status != 0 || strings.Count(a.out, "equal") != 2 {
		t.Errorf("diff: %+v", a)
	}
	for _, c := range []struct {
		args []string
		code string
	}{
		{[]string{"actions", "-f", "@a.yaml", "-f", "@b.yaml"}, "object_count"},
		{[]string{"plan", "-f", "-", "-f", "-"}, "flag_conflict"},
		{[]string{"plan", "-f", "-", "--live", "-"}, "flag_conflict"},
		{[]string{"diff", "--desired", "-", "--live", "-"}, "flag_conflict"},
		{[]string{"plan"}, "flag_missing"},
	} {
		if a := run(t, dir, files, c.args...); a.status != 2 || a.code != c.code {
			t.Errorf("%q: %+v", c.args, a)
		}
	}
}

// TestRulesThatNeverMatch are refused, and not passed over.
func TestRulesThatNeverMatch(t *testing.T) {
	files := map[string]string{"d.yaml": foo("", "{a: 1}")}
	dir := t.TempDir()
	for _, rule := range []string{"group: example.com, jsonPointers: [/spec/a~2b]", "group: example.com, jsonPointers: [/spec/l/-]", "group: example.com/v1, jsonPointers: [/spec/a]"} {
		files["r.yaml"] = "[{kind: Foo, " + rule + "}]"
		if a := run(t, dir, files, "diff", "--desired", "@d.yaml", "--live", "@d.yaml", "--ignore", "@r.yaml"); a.status != 2 || a.code != "ignore_rules_invalid" {
			t.Errorf("%s: %+v", rule, a)
		}
	}
}

// TestKustomizations: they are no manifests; those of Flux are.
func TestKustomizations(t *testing.T) {
	const cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\n"
	for _, c := range []struct {
		name, content string
		left          bool
	}{
		{"without a kind", "resources: [a.yaml]\n", true},
		{"with one", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n", true},
		{"of Flux", "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k, namespace: ns}\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := run(t, t.TempDir(), map[string]string{"d/a.yaml": cm, "d/kustomization.yaml": c.content}, "plan", "-f", "@d", "-o", "json")
			if got := len(steps(t, a)); a.status != 0 || strings.Contains(a.notes, "must be rendered first") != c.left || (got == 1) != c.left {
				t.Errorf("%d steps: %+v", got, a)
			}
		})
	}
}
