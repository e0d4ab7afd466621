package command

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	webState     = `{"items":[{"group":"apps","kind":"Deployment","namespace":"n","name":"web","version":"v1","sync":{"status":"OutOfSync"},"health":{"status":"Healthy"}}],"revision":"0123456789012345678901234567890123456789","generation":3,"state":"s1","freshness":"live"}`
	webManifests = `{"source":"git","revision":{"commit":"0123456789012345678901234567890123456789"},"items":[{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"n","labels":{"tier":"front"}}},{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"a":"redacted:01"}}]}`
	webCompared  = `{"from":{"commit":"0123456789012345678901234567890123456789"},"to":{"commit":"abcdefabcdefabcdefabcdefabcdefabcdefabcd"},"items":[
{"kind":"ConfigMap","namespace":"n","name":"old","status":"Pruned","from":{"kind":"ConfigMap","metadata":{"name":"old"}}},
{"kind":"ConfigMap","namespace":"n","name":"c","status":"Configured","from":{"data":{"a":"1","b":"x"}},"to":{"data":{"a":"2","b":"x"}}},
{"kind":"ConfigMap","namespace":"n","name":"new","status":"Created","to":{"kind":"ConfigMap"}},{"kind":"Service","namespace":"n","name":"s","status":"Unchanged"}],
"warnings":[{"type":"RenderWarning","code":"w","message":"look\u001b[2J"}]}`
	plannedOp = `{"id":"op-1","appUID":"u","app":"web","kind":"sync","phase":"Succeeded","spec":{"dryRun":true},"result":{"resources":[
{"group":"apps","kind":"Deployment","namespace":"n","name":"web","status":"Configured"},{"kind":"Service","namespace":"n","name":"s","status":"Unchanged"},
{"kind":"ConfigMap","namespace":"n","name":"new","status":"Created"},{"kind":"ConfigMap","namespace":"n","name":"old","status":"Pruned"}]}}`
)

func init() {
	commandCases = append(commandCases,
		commandCase{args: "app manifests web", out: "apiVersion: apps/v1\nkind: Deployment\n", asked: "GET /applications/web/manifests?source=git"},
		commandCase{args: "app manifests web --source live -o name", out: "deployment.apps/web\nsecret/s\n", asked: "GET /applications/web/manifests?source=live"},
		commandCase{args: "app manifests web --revisions v2 --source-positions 2", out: "kind: Secret", asked: "position=2&revision=v2&source=git"},
		commandCase{args: "app manifests web --revisions v2", code: 2, err: "do not go together"},
		commandCase{args: "app manifests web --source etcd", code: 2, err: "is not known"},
		commandCase{args: "app resources web", out: "apps   Deployment  n          web   No        OutOfSync  Healthy\n"},
		commandCase{args: "app resources web --orphaned", out: "       Secret  n          left  Yes", err: "300 objects are orphaned, of which 1 are shown", asked: "GET /applications/web/resources?orphaned=true"},
		commandCase{args: "app resources web --with-orphaned", out: "n          left  Yes", err: "of which 1 are shown", asked: "GET /applications/web/resources?orphaned=true"},
		commandCase{args: "app resources web --tree", out: "└─ Pod", err: "more nodes than are shown"},
		commandCase{args: "app get web -o tree", out: "└─ Pod", err: "more nodes than are shown"},
		commandCase{args: "app get web --show-operation --hard-refresh", out: "Name:", asked: "POST /applications/web/refresh?hard=true"},
		commandCase{args: "app cancel web", out: "Terminated", asked: "POST /applications/web/terminate"},
		commandCase{args: "app terminate-op web", out: "Terminated", asked: "POST /applications/web/terminate"},
		commandCase{args: "app refresh web --hard", err: "accepted", asked: "POST /applications/web/refresh?hard=true"},
		commandCase{args: "app diff web --revision v2", code: 1, out: "    @@ -1,3 +1,3 @@\n     data:\n    -  a: \"1\"\n    +  a: \"2\"\n       b: x\n", err: "web: abcdefab against 01234567, which is desired", asked: "POST /applications/web/compare?revision=v2"},
		commandCase{args: "app diff web --exit-code=terraform", code: 2, out: "~ apps/Deployment"},
		commandCase{args: "app diff nix --exit-code=terraform", code: 1, err: "(application_not_found)"},
		commandCase{args: "app diff web --exit-code=nix", code: 2, err: "is not known"},
		commandCase{args: "app diff -l a=b --revision v2", code: 1, out: "+ ConfigMap n/new  (new)", err: "(w)", asked: "GET /applications?limit=500&selector=a%3Db"},
		commandCase{args: "app diff web -l a=b", code: 2, err: "not both"},
		commandCase{args: "app diff web --local . --revision v2", code: 2, err: "exclude each other"},
		commandCase{args: "app diff web --local /nix/nix", code: 3, err: "(file_not_found)"},
		commandCase{args: "app plan web", code: 1, out: "  + Service n/s\nPlan: 1 to create, 0 to change, 0 to prune, 0 unchanged (0 blocked) at 01234567\n",
			asked: `POST /applications/web/sync {"prune":true,"dryRun":true,"revision":"0123456789012345678901234567890123456789"}`},
		commandCase{args: "app plan web --exit-code=terraform", code: 2, out: "Plan:"},
		commandCase{args: "app plan web --revision v2", code: 1, out: "the cluster was not asked", asked: "POST /applications/web/compare?revision=v2"},
		commandCase{args: "app plan web --revision 0123456", code: 1, out: "Plan: 1 to create", asked: `"dryRun":true`},
		commandCase{args: "app plan web --revision v2 --out /nix/nix", code: 6, err: "(plan_not_applicable)"},
		commandCase{args: "app plan web --prune=false", code: 1, out: "Plan:", asked: `POST /applications/web/sync {"dryRun":true`},
		commandCase{args: "app sync web --label tier=front", out: "Succeeded", asked: `"resources":["apps:Deployment:n/web"]`},
		commandCase{args: "app sync web --label tier=nix", code: 3, err: "(selection_empty)"},
		commandCase{args: "app sync web --preview-changes", code: 2, err: "(confirmation_needed)"},
		commandCase{args: "app sync web --preview-changes --yes", out: "Succeeded", err: "Plan: 1 to create"},
		commandCase{args: "app sync -l a=b", code: 2, err: "this syncs 2 applications, and nobody is there to ask"},
		commandCase{args: "app sync --plan /nix/nix", code: 3, err: "(file_not_found)"},
		commandCase{args: "app sync --plan x --prune", code: 2, err: "exclude each other"},
		commandCase{args: "app wait web --for operation", out: "web  OutOfSync (Drift)  Healthy  01234567\n"},
		commandCase{args: "app wait web --for=nix", code: 2, err: "is not known"},
	)
}

func TestMain(m *testing.M) {
	everythingElse = map[string]answer{
		"GET /applications/web/resources":                     {200, webState},
		"GET /applications/web/resources?orphaned=true":       {200, `{"items":[],"orphaned":[{"kind":"Secret","namespace":"n","name":"left","sync":{"status":""},"health":{"status":""}}],"orphanedTotal":300}`},
		"GET /applications/web/manifests":                     {200, webManifests},
		"POST /applications/web/compare":                      {200, webCompared},
		"GET /applications?limit=500&selector=a%3Db":          {200, `{"items":[{"name":"web"}],"nextCursor":"n"` + asOf},
		"GET /applications?cursor=n&limit=500&selector=a%3Db": {200, `{"items":[{"name":"web"}]` + asOf},
	}
	os.Exit(m.Run())
}

func TestAPlanIsCarriedOutAsItIs(t *testing.T) {
	answers := with(map[string]answer{"GET /operations/op-1": {200, plannedOp}})
	hub := newHubOf(t, answers)
	file := filepath.Join(t.TempDir(), "web.plan")
	run(t, "", "app", "plan", "web", "-o", file).check(t, 1, "  - ConfigMap n/old  prune\n  ~ apps/Deployment n/web\n  + ConfigMap n/new\n"+
		"Plan: 1 to create, 1 to change, 1 to prune, 1 unchanged (0 blocked) at 01234567\n", "carry it out: hawser app sync --plan")
	answers["GET /operations/op-1"] = answer{200, doneOp}
	run(t, "", "app", "sync", "--plan", file).check(t, 0, "Succeeded", "")
	want := `POST /applications/web/sync?state=s1 {"prune":true,"confirmPrune":1,"revision":"0123456789012345678901234567890123456789"}`
	if !strings.Contains(hub.requests(), want) {
		t.Errorf("asked\n%s\nwant %s", hub.requests(), want)
	}
	answers["POST /applications/web/sync"] = problemAnswer(409, "precondition", "stale_plan", "it has moved")
	run(t, "", "app", "sync", "--plan", file).check(t, 6, "", "(stale_plan)")
	run(t, "", "app", "sync", "other", "--plan", file).check(t, 3, "", "(selection_empty)")

	t.Setenv("HAWSER_HUB", "https://other:8443")
	run(t, "", "app", "sync", "--plan", file).check(t, 6, "", "(plan_of_another_hub)")
}

func TestPlansThatAreNone(t *testing.T) {
	newHubOf(t, everything())
	for _, text := range []string{"", "{}", "x", `{"apiVersion":"cli.hawser.dev/v1","kind":"PlanList","items":[{}]}`, `{"apiVersion":"cli.hawser.dev/v2","kind":"PlanList","items":[{"app":"web"}]}`} {
		file := filepath.Join(t.TempDir(), "p")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "", "app", "sync", "--plan", file).check(t, 2, "", "(plan_invalid)")
	}
}

func TestAPlanThatGoesOnMoving(t *testing.T) {
	hub := newHubOf(t, with(map[string]answer{"GET /operations/op-1": {200, plannedOp}}))
	n := 0
	hub.vary = func(path string) (answer, bool) {
		if path != "/applications/web/resources" {
			return answer{}, false
		}
		n++
		return answer{200, strings.Replace(webState, `"s1"`, fmt.Sprintf(`"s%d"`, n), 1)}, true
	}
	run(t, "", "app", "plan", "web").check(t, 6, "", "(stale_plan)")
}

func TestABlockedPlanIsNotCarriedOut(t *testing.T) {
	newHubOf(t, with(map[string]answer{"GET /operations/op-1": {200, strings.Replace(strings.Replace(plannedOp, `"Configured"`, `"Failed","message":"schema"`, 1), "Succeeded", "Failed", 1)}}))
	file := filepath.Join(t.TempDir(), "web.plan")
	run(t, "", "app", "plan", "web", "--out", file).check(t, 10, "✗ apps/Deployment n/web  schema", "(plan_blocked)")
	run(t, "", "app", "sync", "--plan", file).check(t, 6, "", "(plan_blocked)")
}

func TestSeveralSyncs(t *testing.T) {
	second := strings.NewReplacer("op-1", "op-2", `"app":"web"`, `"app":"api"`).Replace
	hub := newHubOf(t, with(map[string]answer{
		"POST /applications/api/sync": {202, second(queuedOp)}, "GET /operations/op-2": {200, strings.Replace(second(doneOp), "Succeeded", "Failed", 1)},
		"POST /applications/no/sync": problemAnswer(403, "denied", "permission_denied", "no"),
	}))
	run(t, "", "app", "sync", "web", "web", "api").check(t, 9, "op-1  web", "✖ 1 of 2 failed; next: hawser app get api")
	r := run(t, "", "app", "sync", "web", "api", "no", "--progress", "plain")
	r.check(t, 9, "Succeeded", "(permission_denied)")
	if !strings.Contains(r.err, "  web  Succeeded") {
		t.Errorf("stderr %s", r.err)
	}
	run(t, "", "app", "sync", "no").check(t, 5, "", "(permission_denied)")
	if r := run(t, "", "app", "sync", "web", "--progress", "json"); !strings.Contains(r.err, `"event":"operation"`) || !strings.Contains(r.err, `"phase":"Succeeded"`) {
		t.Errorf("stderr %s", r.err)
	}
	if !strings.Contains(hub.requests(), "POST /applications/api/sync") {
		t.Error("the second was not asked for")
	}
}

func TestWaitingThatCannotEndWell(t *testing.T) {
	view := func(more string) answer {
		return answer{200, `{"name":"web","freshness":"live","desired":{"commit":"0123456789012345678901234567890123456789"},"sync":{"status":"OutOfSync"},"health":{"status":"Healthy"},"revision":"aaaa"` + more + `}`}
	}
	const later = `"2099-01-01T00:00:00Z"`
	for name, c := range map[string]struct {
		args, view, sources string
		code                int
		err                 string
	}{
		"a sync that failed":            {view: `,"operation":{"id":"op-1","kind":"sync","phase":"Failed","message":"hook failed","spec":{},"finishedAt":` + later + `}`, code: 10, err: "web: the sync has failed: hook failed (operation_failed)"},
		"a dry run that failed":         {view: `,"operation":{"id":"op-1","kind":"sync","phase":"Failed","spec":{"dryRun":true},"finishedAt":` + later + `}`, code: 7, err: "(wait_timeout)"},
		"a refused manifest":            {view: `,"conditions":[{"type":"SyncError","code":"schema_invalid","message":"replicas is no number","since":` + later + `}]`, code: 10, err: "web: replicas is no number (schema_invalid)"},
		"an outage":                     {view: `,"conditions":[{"type":"SyncError","code":"cluster_unavailable","message":"away","since":` + later + `}]`, code: 7, err: "away"},
		"a refusal of before":           {view: `,"conditions":[{"type":"SyncError","code":"schema_invalid","message":"old","since":"2001-01-01T00:00:00Z"}]`, code: 7, err: "old"},
		"another revision":              {args: "--revision 9999999999", view: `,"conditions":[{"type":"SyncError","code":"schema_invalid","message":"old","since":` + later + `}]`, code: 7, err: "old"},
		"stale":                         {args: "--health", view: `,"freshness":"stale"`, code: 8, err: "(cluster_stale)"},
		"a commit that touches nothing": {args: "--revision ffffffff --sync", view: `,"sync":{"status":"Synced"}`, sources: `{"items":[{"head":"ffffffffffffffffffffffffffffffffffffffff","rendered":"aaaa","settled":true}]}`},
		"a commit not looked at": {args: "--revision ffffffff --sync", view: `,"sync":{"status":"Synced"}`, sources: `{"items":[{"head":"ffffffffffffffffffffffffffffffffffffffff","rendered":"aaaa"}]}`,
			code: 7, err: "synced to aaaa, not ffffffff"},
		"degraded is wanted": {args: "--degraded --health", view: `,"health":{"status":"Degraded"}`},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]answer{"GET /applications/web": view(c.view)}
			if c.sources != "" {
				answers["GET /applications/web/sources"] = answer{200, c.sources}
			}
			newHubOf(t, with(answers))
			out := ""
			if c.code == 0 {
				out = "web"
			}
			run(t, "", append([]string{"app", "wait", "web", "--timeout", "700ms"}, strings.Fields(c.args)...)...).check(t, c.code, out, c.err)
		})
	}
}

func TestALocalDirectoryIsPacked(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{".git/config": "secret", "base/b.yaml": "b", "apps/web/a.yaml": "a", "apps/web/notes.txt": "n"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"apps/web/in.yaml": "../../base/b.yaml", "apps/web/out.yaml": "/etc/passwd", "up.yaml": "../x"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	var sent bytes.Buffer
	skipped, err := packDirectory(&sent, root, []string{"*.yaml"})
	if err != nil || skipped != 2 {
		t.Fatal(skipped, err)
	}
	got := map[string]string{}
	gz, err := gzip.NewReader(&sent)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(gz); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r)
		got[head.Name] = string(b) + head.Linkname
	}
	want := map[string]string{"base/b.yaml": "b", "apps/web/a.yaml": "a", "apps/web/in.yaml": "../../base/b.yaml"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}

	hub := newHubOf(t, everything())
	run(t, "", "app", "diff", "web", "--local", filepath.Join(root, "apps", "web"), "--exit-code=false").check(t, 0, "+ ConfigMap n/new", "left out")
	if !strings.Contains(hub.requests(), "POST /applications/web/compare?path=apps%2Fweb ") {
		t.Errorf("asked %.300q", hub.requests())
	}
	run(t, "", "app", "diff", "web", "--local", root).check(t, 1, "~", "against 01234567")
	if !strings.Contains(hub.requests(), "POST /applications/web/compare ") {
		t.Errorf("asked %.300q", hub.requests())
	}
	run(t, "", "app", "diff", "web", "--local", root, "--local-repo-root", filepath.Join(root, "apps")).check(t, 2, "", "is not in --local-repo-root")
}

func TestADirectoryThatIsTooLarge(t *testing.T) {
	root := t.TempDir()
	f, err := os.Create(filepath.Join(root, "big"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(maxLocalBytes+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := packDirectory(io.Discard, root, nil); !fault.HasCode(err, "too_large") {
		t.Errorf("got %v", err)
	}
}

func TestMarkdownOfADifference(t *testing.T) {
	newHubOf(t, everything())
	r := run(t, "", "app", "diff", "web", "--revision", "v2", "-o", "markdown")
	r.check(t, 1, "### web at abcdefab: 3 differences\n", "which is desired")
	for _, want := range []string{"<details><summary><code>~ ConfigMap n/c</code></summary>\n\n```diff\n@@ -1,3 +1,3 @@\n", "</details>"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("got\n%s", r.out)
		}
	}
	newHubOf(t, with(map[string]answer{"GET /operations/op-1": {200, plannedOp}}))
	run(t, "", "app", "plan", "web", "-o", "markdown").check(t, 1, "```diff\n- ConfigMap n/old\n! apps/Deployment n/web\n+ ConfigMap n/new\n```", "")
	if got := markdownOf("t", []difference{{Status: "Configured", From: json.RawMessage(`{"a":"x"}`), To: json.RawMessage("{\"a\":\"```\"}")}}); !strings.Contains(got, "````diff") {
		t.Errorf("a text ends the fence:\n%s", got)
	}
}

func TestAnotherProgramShowsTheDifference(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "differ")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ndiff -r $1 $2 | grep '^[<>]'\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	newHubOf(t, everything())
	t.Setenv("KUBECTL_EXTERNAL_DIFF", script)
	run(t, "", "app", "diff", "web").check(t, 1, "< .spec.replicas: 5\n> .spec.replicas: 2\n", "")
	run(t, "", "app", "diff", "web", "--revision", "v2").check(t, 1, "<   a: \"1\"\n>   a: \"2\"\n", "desired")
	t.Setenv("KUBECTL_EXTERNAL_DIFF", "/nix/nix")
	run(t, "", "app", "diff", "web").check(t, 2, "", "(external_diff_failed)")
}
