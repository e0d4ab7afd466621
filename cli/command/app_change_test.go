package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func init() {
	commandCases = append(commandCases,
		commandCase{args: "app create web --repo https://git/x --path p --dest-name eu --upsert", err: `application "web" written`, asked: `"repoURL":"https://git/x"`},
		commandCase{args: "app create web --repo https://git/x --path p --dest-name eu --dry-run", out: "repoURL: https://git/x\n"},
		commandCase{args: "app create -f - --dest-name us", in: webSpec, err: `application "web" created`, asked: `"destination":{"name":"us","namespace":"shop-web"}`},
		commandCase{args: "app create other -f -", in: webSpec + "\n---\n" + webSpec, code: 2, err: "the file has 2 applications"},
		commandCase{args: "app create -f -", in: "kind: AppProject\napiVersion: argoproj.io/v1alpha1\nmetadata: {name: x}\n", code: 2, err: "(kind_unexpected)"},
		commandCase{args: "app create -f -", in: "{}", code: 2, err: "error:"},
		commandCase{args: "app create", code: 2, err: "name one application"},
		commandCase{args: "app set web --revision v2 -p b=2", err: `application "web" changed`,
			asked: `"path":"deploy","targetRevision":"v2","helm":{"parameters":[{"name":"a","value":"1"},{"name":"b","value":"2"}]}`},
		commandCase{args: "app set web --path deploy", err: `application "web" is so already`, asked: "GET /applications/web"},
		commandCase{args: "app set web", code: 2, err: "nothing to change"},
		commandCase{args: "app set web -p x", code: 2, err: "is not NAME=VALUE"},
		commandCase{args: "app set web --which-source x --revision v2", code: 3, err: "(source_position_unknown)"},
		commandCase{args: "app set web --source-position 2 --revision v2", code: 2, err: "(source_position_unknown)"},
		commandCase{args: "app unset web -p a", err: `application "web" changed`, asked: `"helm":{}`},
		commandCase{args: "app unset web -p nix", code: 3, err: "(override_unknown)"},
		commandCase{args: "app unset web", code: 2, err: "nothing to take away"},
		commandCase{args: `app patch web --type merge --patch {"spec":{"source":{"path":"prod"}}}`, err: `application "web" changed`, asked: `"path":"prod"`},
		commandCase{args: `app patch web --patch [{"op":"remove","path":"/spec/source/helm"}]`, err: `application "web" changed`, asked: `"source":{"repoURL":"https://git/x","path":"deploy"}`},
		commandCase{args: `app patch web --patch [{"op":"remove","path":"/nix"}]`, code: 2, err: "(patch_invalid)"},
		commandCase{args: `app patch web --type merge --patch {"spec":{"nix":1}}`, code: 2, err: "(unknown_field)"},
		commandCase{args: `app patch web --type merge --patch {"metadata":{"name":"x"}}`, code: 2, err: "(name_mismatch)"},
		commandCase{args: "app patch web --type strategic --patch x", code: 2, err: "is not known"},
		commandCase{args: "app patch web", code: 2, err: "--patch is missing"},
		commandCase{args: "app edit nix", code: 3, err: "(application_not_found)"},
	)
}

func TestAChangeIsMadeAgainWhenSomebodyElseWroteMeanwhile(t *testing.T) {
	answers := everything()
	answers["PUT /applications/web"] = problemAnswer(409, "conflict", "version_conflict", "changed meanwhile")
	hub := newHubOf(t, answers)
	r := run(t, "", "app", "set", "web", "--revision", "v2")
	if r.code != 2 && r.code != 6 || !strings.Contains(r.err, "version_conflict") {
		t.Errorf("%+v", r)
	}
	if n := strings.Count(hub.requests(), "PUT "); n != 3 {
		t.Errorf("written %d times", n)
	}
}

// editing replaces text in the file each time it is opened; an empty step saves
// nothing.
func editing(t *testing.T, steps ...[2]string) {
	t.Helper()
	dir := t.TempDir()
	for i, step := range steps {
		script := "#!/bin/sh\n"
		if i+1 < len(steps) {
			script += "mv " + filepath.Join(dir, "next"+string(rune('0'+i+1))) + " " + filepath.Join(dir, "editor") + "\n"
		}
		script += "cp \"$1\" " + filepath.Join(dir, "seen"+string(rune('0'+i))) + "\n"
		if step[0] != "" {
			script += "sed -i 's|" + step[0] + "|" + step[1] + "|' \"$1\"\n"
		}
		name := "editor"
		if i > 0 {
			name = "next" + string(rune('0'+i))
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HAWSER_EDITOR", filepath.Join(dir, "editor"))
	t.Setenv("TMPDIR", dir)
}

func TestEdit(t *testing.T) {
	t.Run("taken", func(t *testing.T) {
		hub := newHubOf(t, everything())
		editing(t, [2]string{"path: deploy", "path: prod"})
		run(t, "", "app", "edit", "web").check(t, 0, "", `application "web" changed`)
		if !strings.Contains(hub.requests(), `"path":"prod"`) {
			t.Errorf("asked\n%s", hub.requests())
		}
	})
	t.Run("not changed", func(t *testing.T) {
		hub := newHubOf(t, everything())
		editing(t, [2]string{})
		run(t, "", "app", "edit", "web").check(t, 0, "", "nothing was changed")
		if strings.Contains(hub.requests(), "PUT") {
			t.Errorf("asked\n%s", hub.requests())
		}
	})
	t.Run("comes back with the reason", func(t *testing.T) {
		newHubOf(t, everything())
		editing(t, [2]string{"path: deploy", "pth: deploy"}, [2]string{"pth: deploy", "path: prod"})
		run(t, "", "app", "edit", "web").check(t, 0, "", "changed")
		b, err := os.ReadFile(filepath.Join(os.Getenv("TMPDIR"), "seen1"))
		if err != nil || !strings.Contains(string(b), "# error: ") || !strings.Contains(string(b), "(unknown_field)") {
			t.Errorf("%v: the second time the editor showed\n%s", err, b)
		}
	})
	t.Run("given up", func(t *testing.T) {
		newHubOf(t, everything())
		editing(t, [2]string{"path: deploy", "pth: deploy"}, [2]string{})
		r := run(t, "", "app", "edit", "web")
		r.check(t, 2, "", "what you wrote is in")
		if !strings.Contains(r.err, "(unknown_field)") {
			t.Errorf("stderr %s", r.err)
		}
	})
	t.Run("written by somebody else meanwhile", func(t *testing.T) {
		answers := everything()
		answers["PUT /applications/web"] = problemAnswer(409, "conflict", "version_conflict", "changed meanwhile")
		newHubOf(t, answers)
		editing(t, [2]string{"path: deploy", "path: prod"})
		if r := run(t, "", "app", "edit", "web"); r.code == 0 || !strings.Contains(r.err, "what you wrote is in") || !strings.Contains(r.err, "(version_conflict)") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("no editor", func(t *testing.T) {
		newHubOf(t, everything())
		t.Setenv("HAWSER_EDITOR", "/nix/nix")
		run(t, "", "app", "edit", "web").check(t, 2, "", "(editor_failed)")
	})
}
