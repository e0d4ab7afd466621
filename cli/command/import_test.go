package command

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/cli/importer"
)

const keptRBAC = `{"version":2,"changedBy":"ana","changedAt":"2026-01-02T03:04:05Z","enforced":false,"rbac":{"policy.default":"role:readonly"},
"versions":[{"version":2,"changedBy":"ana","changedAt":"2026-01-02T03:04:05Z"}]}`

func init() {
	more = append(more, map[string]answer{
		"GET /settings/rbac": {200, keptRBAC},
		"PUT /settings/rbac": {200, `{"version":3,"result":"configured","enforced":false}`},
	})
	commandCases = append(commandCases, []commandCase{
		{args: "settings rbac get", out: "rbac:\n  policy.default: role:readonly\n", err: "kept, not enforced"},
		{args: "settings rbac get --version 1 -o name", out: "settings/rbac\n", asked: "/settings/rbac?version=1"},
		{args: "settings rbac set -f -", in: "kind: ConfigMap\ndata: {scopes: x}", out: "RBAC policy configured, version 3\n", err: "kept, not enforced"},
		{args: "settings rbac set", code: 2, err: "nothing to read"},
		{args: "settings rbac history", out: "VERSION"},
	}...)
}

// observedApp is an application of the hub that was imported and is observed.
func observedApp(conditions, resources string) map[string]answer {
	all := everything()
	row := `{"name":"web","project":"shop","cluster":"eu"}`
	all["GET /applications?limit=500&selector=hawser.dev%2Fimported%3Dargocd"] = answer{200, `{"items":[` + row + `]` + asOf}
	all["GET /applications/web"] = answer{200, `{"uid":"u","name":"web","project":"shop","cluster":"eu","sync":{"status":"Synced"},"health":{"status":"Healthy"},"freshness":"live","observedAt":"2026-01-02T03:04:05Z",
"conditions":[` + conditions + `],"resources":[` + resources + `],"application":{"apiVersion":"hawser.dev/v1alpha1","kind":"Application","metadata":{"name":"web","resourceVersion":"4",
"labels":{"hawser.dev/imported":"argocd"},"annotations":{"hawser.dev/mode":"observe","hawser.dev/imported-from":"argocd/argocd/web"}},"spec":{"project":"shop","destination":{"name":"eu"}}}}`}
	return all
}

func TestWhatIsNotHandedOver(t *testing.T) {
	const (
		tooOld = `{"type":"SyncError","code":"agent_too_old","message":"the cluster's agent is from before applications that are only observed"}`
		child  = `{"group":"argoproj.io","kind":"Application","name":"leaf","sync":{"status":"Synced"}}`
		same   = `{"kind":"ConfigMap","name":"x","sync":{"status":"Synced"}}`
	)
	for _, c := range []struct {
		name                  string
		conditions, resources string
		args                  string
		code                  int
		says                  string
	}{
		{"an agent that is too old", tooOld, same, "import argocd handover shop --accept-changes --argocd-is-paused", 6, "(agent_too_old"},
		{"its status", tooOld, same, "import argocd status", 1, "is from before applications that are only observed"},
		{"a rollback to it", tooOld, same, "import argocd rollback shop --timeout 20s", 6, "Argo CD was not changed"},
		{"an app of apps", "", child, "import argocd handover shop --argocd-is-paused", 6, "(import_app_of_apps"},
		{"an app of apps all the same", "", child, "import argocd handover shop --argocd-is-paused --accept-app-of-apps", 0, "app/web handed over"},
		{"who has not paused Argo CD", "", same, "import argocd handover shop", 6, `kubectl patch application web -n argocd`},
		{"what is the same", "", same, "import argocd handover shop --argocd-is-paused", 0, "app/web handed over"},
		{"what only is observed is not finished", "", same, "import argocd finish shop --yes", 6, "(import_not_handed_over"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHubOf(t, observedApp(c.conditions, c.resources))
			r := run(t, "", strings.Fields(c.args)...)
			if r.code != c.code || !strings.Contains(r.out+r.err, c.says) {
				t.Errorf("exit status %d\n%s%s", r.code, r.out, r.err)
			}
			if wrote := strings.Contains(h.requests(), "PUT /applications/web"); wrote != (c.code == 0) {
				t.Errorf("asked %s", h.requests())
			}
		})
	}
}

// parses reports why a line is no command of the tree, as it stands.
func parses(line string) error {
	words, _, _ := strings.Cut(line, " #")
	root := newRoot(&session{})
	c, rest, err := root.Find(strings.Fields(words)[1:])
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if c.HasSubCommands() && len(c.Flags().Args()) > 0 {
		return fmt.Errorf("%s has no %s", c.CommandPath(), c.Flags().Args()[0])
	}
	return c.ValidateArgs(c.Flags().Args())
}

var codeOfHawser = regexp.MustCompile("(?m)^(hawser [^\\n]+)$|`(hawser [^`]+)`")

func TestTheCommandsOfTheMovingGuideAreCommands(t *testing.T) {
	b, err := os.ReadFile("../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range codeOfHawser.FindAllStringSubmatch(string(b), -1) {
		n++
		if err := parses(m[1] + m[2]); err != nil {
			t.Errorf("%s: %v", m[1]+m[2], err)
		}
	}
	if n < 12 {
		t.Errorf("only %d commands were found", n)
	}
	for _, bad := range []string{"hawser import argocd plam", "hawser import argocd plan --from", "hawser cluster enroll", "hawser cluster alias one"} {
		if parses(bad) == nil {
			t.Errorf("%q parses", bad)
		}
	}
}

// What a plan tells people to type is a command, in places where names are given.
func TestTheCommandsOfAPlanAreCommands(t *testing.T) {
	files, err := filepath.Glob("../importer/testdata/exports/*")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	var objects []importer.Object
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := importer.Parse(f, b)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, got...)
	}
	plan := importer.Translate(objects, importer.Options{})
	commands := map[string]bool{}
	for _, e := range plan.Enrol {
		commands[e.Command] = true
	}
	for i := range plan.Items {
		for _, f := range plan.Items[i].Problems() {
			if at := strings.Index(f.Fix, "hawser "); at >= 0 {
				text, _, _ := strings.Cut(f.Fix[at:], ")")
				commands[text] = true
			}
		}
	}
	for c := range commands {
		if err := parses(c); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
	if len(plan.Enrol) == 0 || len(commands) < 4 {
		t.Errorf("only %v", commands)
	}
}

// Two people who give a cluster an alias at the same time both have it.
func TestAnAliasIsNotWrittenOverAnother(t *testing.T) {
	h := newHubOf(t, everything())
	puts := 0
	h.vary = func(path string) (answer, bool) {
		if path != "/clusters/eu/aliases" {
			return answer{}, false
		}
		if puts++; puts < 3 {
			return problemAnswer(412, "conflict", "version_conflict", "another version"), true
		}
		return answer{}, false
	}
	r := run(t, "", "cluster", "alias", "eu", "https://new")
	r.check(t, 0, "", "now means cluster")
	if n := strings.Count(h.requests(), "GET /clusters/eu"); puts != 3 || n != 3 {
		t.Errorf("%d writes after %d reads", puts, n)
	}
}

// A repository holds more than the objects of Argo CD.
func TestImportLeavesOutWhatIsNotOfArgoCD(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"app.yaml": strings.Replace(argoApp, "far", "eu", 1), "kustomization.yaml": "resources: [app.yaml]", "values.yaml": "a: 1",
		"web.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newHubOf(t, everything())
	r := run(t, "", "import", "argocd", "plan", "-f", dir)
	r.check(t, 0, "1 apps, 0 projects, 0 appsets, 0 repos, 0 clusters → 1 ready, 0 need attention", "")
	for _, want := range []string{"not of Argo CD: " + dir + "/values.yaml, line 1\n", "not of Argo CD: " + dir + "/web.yaml, line 1: Deployment/web\n"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in\n%s", want, r.out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "broken.json"), []byte(`{"a": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "import", "argocd", "plan", "-f", dir).check(t, 1, "cannot be read: "+dir+"/broken.json: line 1: ", "")
	run(t, "", "import", "argocd", "apply", "-f", dir).check(t, 1, "application/web created", "")
	run(t, "", "import", "argocd", "plan", "-f", dir+"/broken.json").check(t, 2, "", dir+"/broken.json cannot be read: line 1")
	run(t, "", "import", "argocd", "plan", "-f", dir+"/values.yaml").check(t, 3, "", "there is no object of Argo CD in "+dir+"/values.yaml")
}
