package command

import (
	"context"
	"os"
	"strings"
	"testing"
)

const (
	teamProject = `{"apiVersion":"hawser.dev/v1alpha1","kind":"AppProject","metadata":{"name":"pay","resourceVersion":"7","generation":7},
		"spec":{"sourceRepos":["https://git/pay/*"],"destinations":[{"name":"eu","namespace":"pay-*"}],"namespaceResourceBlacklist":[{"group":"","kind":"Secret"}],
		"syncWindows":[{"kind":"deny","schedule":"0 0 * * *","duration":"24h","applications":["*"],"description":"always"}],
		"roles":[{"name":"ci","policies":["p, proj:pay:ci, applications, sync, pay/*, allow"],"groups":["devs","ops"],"description":"builds"}]},
		"status":{"changedBy":"ann"}}`
	harmless = `{"project":"pay","result":"configured","applications":3,"invalid":[],"valid":["old"],"validCount":1,"warnings":["spec.sourceRepos: manifests may come from any repository"],
		"rules":[{"list":"destinations","rule":"#1 eu/pay-*","clusters":2,"applications":3}]}`
	harmful = `{"project":"pay","result":"configured","applications":3,"invalidCount":2,"unknown":1,"invalid":[
		{"name":"web","cluster":"eu","namespace":"pay-web","id":"HW-4104","refusal":{"code":"kind_not_permitted","message":"project \"pay\" denies ConfigMap"}},
		{"name":"api\u001b[31m","cluster":"eu","namespace":"pay-api","id":"HW-4103","refusal":{"code":"destination_not_permitted","message":"no"}}],
		"valid":[],"rules":[{"list":"namespaceResourceBlacklist","rule":"#1 ConfigMap","applications":1,"objects":4,"denies":true}]}`
	usageOfPay = `{"project":"pay","applications":3,"objects":40,"limits":{"maxApplications":5,"maxObjectsPerApplication":30},"largest":"web","largestObjects":28,
		"clusters":[{"cluster":"eu","applications":2,"objects":30},{"cluster":"us","applications":1,"objects":10}],"inherits":["baseline"]}`
	refusedDecision = `{"allowed":false,"id":"HW-4103","question":"deploy web to cluster us, namespace pay","project":"pay","projectVersion":7,"changedBy":"ann","canChange":"administrators of this hub",
		"checks":[{"rule":"source","result":"passed","message":"https://git/pay/x matches rule #1 https://git/pay/*","matched":"#1 https://git/pay/*"},
		{"rule":"destination","result":"failed","message":"project \"pay\" may deploy to eu/pay-*; this is us/pay","nearest":"#1 eu/pay-*","differs":"the cluster is us"},
		{"rule":"kinds","result":"not evaluated","message":"decided after rendering"}],"refusals":[{"code":"destination_not_permitted"}],"refused":1}`
)

func projectHub(t *testing.T, preview string) *testHub {
	return newHubOf(t, map[string]answer{
		"GET /projects/pay": {200, teamProject}, "POST /projects/pay/preview": {200, preview}, "PUT /projects/pay": {200, teamProject},
		"GET /projects/pay/usage": {200, usageOfPay}, "POST /explain": {200, refusedDecision},
	})
}

func TestRulesAreChangedOneAtATime(t *testing.T) {
	for args, want := range map[string]string{ // what is written of the spec
		"allow source pay https://git/new/*":                   `"sourceRepos":["https://git/pay/*","https://git/new/*"]`,
		"deny source pay https://git/pay/bad":                  `"sourceRepoBlacklist":["https://git/pay/bad"]`,
		"allow source pay https://git/pay/* --remove":          `"spec":{"destinations"`,
		"allow dest pay us,pay":                                `{"name":"us","namespace":"pay"}`,
		"allow dest pay https://us:6443,pay":                   `{"server":"https://us:6443","namespace":"pay"}`,
		"allow dest pay ,pay -l env=prod":                      `{"namespace":"pay","clusterSelector":{"matchLabels":{"env":"prod"}}}`,
		"deny dest pay *,kube-*":                               `"destinationBlacklist":[{"name":"*","namespace":"kube-*"}]`,
		"deny dest pay eu-old,*":                               `"destinationBlacklist":[{"name":"eu-old","namespace":"*"}]`,
		"deny dest pay ,* -l env=prod":                         `"destinationBlacklist":[{"namespace":"*","clusterSelector":{"matchLabels":{"env":"prod"}}}]`,
		"allow dest pay eu,pay-* --remove":                     `"spec":{"sourceRepos":["https://git/pay/*"],"namespaceResourceBlacklist"`,
		"allow kind pay rbac.authorization.k8s.io/ClusterRole": `"clusterResourceWhitelist":[{"group":"rbac.authorization.k8s.io","kind":"ClusterRole"}]`,
		"deny kind pay Deployment":                             `{"group":"apps","kind":"Deployment"}]`,
		"allow kind pay ClusterRole":                           `"clusterResourceWhitelist":[{"group":"rbac.authorization.k8s.io","kind":"ClusterRole"}]`,
		"allow kind pay Namespace:pay-*":                       `"clusterResourceWhitelist":[{"group":"","kind":"Namespace","name":"pay-*"}]`,
		"deny kind pay ConfigMap":                              `"namespaceResourceBlacklist":[{"group":"","kind":"Secret"},{"group":"","kind":"ConfigMap"}]`,
		"allow kind pay Secret":                                `"spec":{"sourceRepos":["https://git/pay/*"],"destinations":[{"name":"eu","namespace":"pay-*"}],"roles"`,
		"deny kind pay example.com/Thing --cluster-scoped":     `"clusterResourceBlacklist":[{"group":"example.com","kind":"Thing"}]`,
		"allow sa pay *,pay-*,deployer":                        `"destinationServiceAccounts":[{"server":"*","namespace":"pay-*","defaultServiceAccount":"deployer"}]`,
		"window add pay -k allow --schedule 0_8_*_*_* --duration 8h --applications a,b --manual-sync": `{"kind":"allow","schedule":"0 8 * * *","duration":"8h","applications":["a","b"],"manualSync":true}`,
		"window update pay 0 --duration 2h": `{"kind":"deny","schedule":"0 0 * * *","duration":"2h","applications":["*"],"description":"always"}`,
	} {
		t.Run(args, func(t *testing.T) {
			hub := projectHub(t, harmless)
			words := append([]string{"project"}, strings.Fields(args)...)
			for i, word := range words {
				if strings.HasPrefix(word, "0_") {
					words[i] = strings.ReplaceAll(word, "_", " ")
				}
			}
			r := run(t, "", words...)
			if r.code != 0 || r.err != "warning: spec.sourceRepos: manifests may come from any repository\n1 applications become valid: old\nproject \"pay\" saved\n" || r.out != "" {
				t.Errorf("%+v", r)
			}
			asked := strings.Split(hub.requests(), "\n")
			if len(asked) != 3 || !strings.HasPrefix(asked[1], "POST /projects/pay/preview") || !strings.HasPrefix(asked[2], "PUT /projects/pay") || !strings.Contains(asked[2], want) || strings.Contains(asked[2], "changedBy") {
				t.Errorf("asked %s", hub.requests())
			}
		})
	}
	for args, want := range map[string]string{
		"allow source pay https://git/pay/*":   `project "pay" is so already`,
		"allow kind pay ConfigMap":             "allows every namespaced kind already (kind_allowed",
		"allow kind pay [A":                    "kind_allowed",
		"deny source pay [a":                   `spec.sourceRepoBlacklist[0] "[a"`,
		"deny kind pay Deploymnt":              `the core group has no kind "Deploymnt"`,
		"simulate pay":                         "nothing is asked",
		"allow dest pay eu":                    "is not CLUSTER,NAMESPACE",
		"allow dest pay ,a -l env":             "is not KEY=VALUE",
		"allow sa pay *,deployer":              "is not SERVER,NAMESPACE,ACCOUNT",
		"window delete pay 3":                  "has no sync window",
		"window add pay --kind deny":           "spec.syncWindows[1].schedule",
		"window update pay 0 --schedule daily": "spec.syncWindows[0].schedule",
	} {
		hub := projectHub(t, harmless)
		if r := run(t, "", append([]string{"project"}, strings.Fields(args)...)...); !strings.Contains(r.err, want) || strings.Contains(hub.requests(), "PUT") {
			t.Errorf("%s: %+v, asked %s", args, r, hub.requests())
		}
	}
}

func TestAProjectThatMakesApplicationsInvalidIsAskedAbout(t *testing.T) {
	const shown = "2 of 3 applications become invalid:\n  ✕ web on eu/pay-web: project \"pay\" denies ConfigMap (HW-4104)\n  ✕ api\uFFFD[31m on eu/pay-api: no (HW-4103)\nof 1 applications nothing was rendered yet; their objects are not judged\n"
	for name, c := range map[string]struct {
		args, answer string
		terminal     bool
		code         int
		err          string
		saved        bool
	}{
		"nobody is there":    {"", "", false, 6, shown + "error: HW-8047 2 applications become invalid by this, and nobody is there to ask; nothing was saved (project_invalidates", false},
		"nobody, but agreed": {"--yes", "", false, 0, shown + "project \"pay\" saved", true},
		"yes":                {"", "yes\n", true, 0, shown + "Save it all the same?", true},
		"no":                 {"", "no\n", true, 2, shown + "Save it all the same?", false},
		"nothing":            {"", "", true, 2, shown + "Save it all the same?", false},
	} {
		t.Run(name, func(t *testing.T) {
			hub := projectHub(t, harmful)
			r := runAs(t.Context(), Streams{In: strings.NewReader(c.answer), Terminal: c.terminal}, append([]string{"project", "deny", "kind", "pay", "ConfigMap"}, strings.Fields(c.args)...)...)
			if r.code != c.code || !strings.HasPrefix(r.err, c.err) || strings.Contains(hub.requests(), "PUT ") != c.saved {
				t.Errorf("%+v, asked %s", r, hub.requests())
			}
		})
	}
	hub := projectHub(t, harmful)
	r := run(t, "", "project", "deny", "kind", "pay", "ConfigMap", "--dry-run")
	if r.code != 1 || r.out != "namespaceResourceBlacklist #1 ConfigMap: denies 1 applications, 4 objects\n"+shown || strings.Contains(hub.requests(), "PUT") {
		t.Errorf("%+v", r)
	}
	hub = projectHub(t, harmless)
	if r := run(t, "", "project", "deny", "kind", "pay", "ConfigMap", "--dry-run"); r.code != 0 || !strings.Contains(r.out, "destinations #1 eu/pay-*: matches 2 clusters, 3 applications\n1 applications become valid: old\nno application of 3 becomes invalid\n") || strings.Contains(hub.requests(), "PUT") {
		t.Errorf("%+v", r)
	}
}

func TestAProjectThatAllowsMoreIsAskedAboutUnlessThatIsTheCommand(t *testing.T) {
	const wider = `{"project":"pay","result":"configured","applications":0,"widened":["cluster eu: namespace shop"]}`
	for args, saved := range map[string]bool{
		"deny dest pay eu,shop": false, "deny dest pay eu,shop --yes": true, "allow dest pay eu,shop": true, "allow source pay https://git/pay/* --remove": false,
	} {
		hub := projectHub(t, wider)
		r := run(t, "", append([]string{"project"}, strings.Fields(args)...)...)
		if !strings.HasPrefix(r.err, "now allows cluster eu: namespace shop\n") || strings.Contains(hub.requests(), "PUT ") != saved || (r.code == 0) != saved {
			t.Errorf("%s: %+v", args, r)
		}
		if !saved && (r.code != 6 || !strings.Contains(r.err, "project_widens")) {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

func TestSimulateIsGolden(t *testing.T) {
	const text = `✕ Not allowed: deploy web to cluster us, namespace pay     HW-4103 (destination_not_permitted)
  Checked in order
   1 ✓ source       https://git/pay/x matches rule #1 https://git/pay/*
   2 ✕ destination  project "pay" may deploy to eu/pay-*; this is us/pay
         nearest rule: #1 eu/pay-*     differs: the cluster is us
   3 – kinds        decided after rendering
  Decided by project pay (version 7)
  Who can change it: administrators of this hub
`
	file := t.TempDir() + "/app.yaml"
	const app = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec:\n  project: pay\n  source: {repoURL: https://git/pay/x, path: .}\n  destination: {name: us, namespace: pay}\n"
	if err := os.WriteFile(file, []byte(app), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, asked := range map[string]string{
		"simulate -f " + file: `"application":{"apiVersion"`,
		"simulate --app web":  `{"name":"web"}`,
		"simulate pay --source https://git/pay/x --dest us --namespace pay --kind apps/Deployment:web --verb sync --as bea": `{"verb":"sync","subject":"bea","project":"pay","sources":["https://git/pay/x"],"destination":{"name":"us","namespace":"pay"},"kinds":[{"group":"apps","kind":"Deployment","name":"web"}]}`,
		"simulate pay --dest https://us:6443": `{"project":"pay","destination":{"server":"https://us:6443"}}`,
	} {
		hub := projectHub(t, harmless)
		r := run(t, "", append([]string{"project"}, strings.Fields(args)...)...)
		if r.code != 1 || r.out != text || r.err != "" || !strings.Contains(hub.requests(), asked) {
			t.Errorf("%s: %+v\nasked %s", args, r, hub.requests())
		}
	}
	projectHub(t, harmless)
	if r := run(t, "", "project", "simulate", "--app", "web", "-o", "json"); r.code != 1 || !r.document() || !strings.Contains(r.out, `"differs": "the cluster is us"`) {
		t.Errorf("%+v", r)
	}
}

func TestListsOfAProjectAreGolden(t *testing.T) {
	projectHub(t, harmless)
	for args, want := range map[string]string{
		"usage pay": "Project:        pay\nApplications:   3 of 5\nObjects:        40\nLargest:        28 of 30 (web)\nInherits from:  baseline\n\n" +
			"CLUSTER  APPLICATIONS  OBJECTS\neu       2             30\nus       1             10\n",
		"role list pay": "NAME  POLICIES  GROUPS    DESCRIPTION\nci    1         devs,ops  builds\n",
	} {
		if r := run(t, "", append([]string{"project"}, strings.Fields(args)...)...); r.code != 0 || r.out != want || r.err != "" {
			t.Errorf("%s: %+v", args, r)
		}
	}
	if r := run(t, "", "project", "window", "list", "pay"); r.code != 0 || !strings.HasPrefix(r.out, "ID  STATE  KIND  SCHEDULE ") || !strings.Contains(r.out, "0   open   deny  0 0 * * *") {
		t.Errorf("%+v", r)
	}
}

func TestAProjectIsEdited(t *testing.T) {
	hub := projectHub(t, harmless)
	dir := t.TempDir()
	script := dir + "/editor"
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsed -i 's#https://git/pay/#https://git/other/#' \"$1\"\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	t.Setenv("HAWSER_EDITOR", script)
	if r := run(t, "", "project", "edit", "pay"); r.code != 0 || !strings.Contains(hub.requests(), `"sourceRepos":["https://git/other/*"]`) || !strings.Contains(r.err, "saved") {
		t.Errorf("%+v, asked %s", r, hub.requests())
	}
	hub = projectHub(t, harmless)
	t.Setenv("HAWSER_EDITOR", "true")
	if r := run(t, "", "project", "edit", "pay"); r.code != 0 || strings.Contains(hub.requests(), "PUT") {
		t.Errorf("%+v", r)
	}
}

func TestProjectsAreAppliedAfterAPreview(t *testing.T) {
	hub := projectHub(t, harmful)
	const text = "apiVersion: hawser.dev/v1alpha1\nkind: AppProject\nmetadata: {name: pay}\nspec: {sourceRepos: ['*']}\n"
	if r := runAs(context.Background(), Streams{In: strings.NewReader(text)}, "project", "apply", "-f", "-"); r.code != 6 || strings.Contains(hub.requests(), "PUT") {
		t.Errorf("%+v", r)
	}
	if r := run(t, text, "project", "apply", "-f", "-", "-y"); r.code != 0 || !strings.Contains(hub.requests(), "PUT /projects/pay") {
		t.Errorf("%+v", r)
	}
	run(t, "kind: Application\napiVersion: argoproj.io/v1alpha1\nmetadata: {name: a}\nspec: {source: {repoURL: 'https://x', path: .}, destination: {name: a}}", "project", "apply", "-f", "-").
		check(t, 2, "", "is no project")
}
