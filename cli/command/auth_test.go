package command

import (
	"os"
	"strings"
	"testing"
)

func init() {
	more = append(more, map[string]answer{"POST /can-i": {200, `{"allowed":false,"rule":"no line says so","source":"nothing","subject":"ana","question":"sync applications shop/web","fix":"ask"}`}})
	commandCases = append(commandCases,
		commandCase{args: "auth can-i sync app/web", out: "yes\n", asked: `POST /explain {"verb":"sync","name":"web"}`},
		commandCase{args: "auth can-i deploy project/shop --as ci", out: "yes\n", asked: `POST /explain {"verb":"deploy","subject":"ci","project":"shop"}`},
		commandCase{args: "auth can-i sync applications shop/web", code: 1, out: "no\n", err: "no line says so", asked: `POST /can-i {"verb":"sync","resource":"applications","object":"shop/web"}`},
		commandCase{args: "auth can-i update settings --as group:devs -o json", code: 1, out: `"source": "nothing"`, asked: `POST /can-i {"verb":"update","resource":"settings","as":"group:devs"}`},
		commandCase{args: "auth explain sync applications shop/web --as ann", code: 1, out: "Allowed:  no\nRule:     no line says so\nSource:   nothing\nFix:      ask\n", asked: `"as":"ann"`},
		commandCase{args: "auth explain sync", code: 2, err: "takes 2 arguments"},
		commandCase{args: "auth can-i sync cluster/eu", code: 2, err: "types: app, project"},
		commandCase{args: "app explain web --verb exec", out: "deploy", asked: `POST /explain {"verb":"exec","name":"web"}`},
		commandCase{args: "explain app/web", out: "deploy", asked: `POST /explain {"name":"web"}`},
		commandCase{args: "app logs web --exclude begun.*ended -o raw", out: "one\x1b[31m\nbetween\ncut\n", err: "it waits"},
		commandCase{args: "app logs web --exclude (", code: 2, err: "is no regular expression"},
	)
}

// TestMayI: no is exit status 1, the reason on standard error, the word alone on
// standard output.
func TestMayI(t *testing.T) {
	answers := everything()
	answers["POST /explain"] = answer{200, `{"allowed":false,"question":"sync web","project":"shop","checks":[{"name":"role","result":"failed","rule":"viewer has no sync"}]}`}
	newHubOf(t, answers)
	r := run(t, "", "auth", "can-i", "sync", "app/web")
	if r.code != 1 || r.out != "no\n" || !strings.Contains(r.err, "viewer has no sync") {
		t.Errorf("exit status %d, stdout %q, stderr %q", r.code, r.out, r.err)
	}
	if r = run(t, "", "auth", "can-i", "sync", "app/web", "-q"); r.code != 1 || r.out != "no\n" || r.err != "" {
		t.Errorf("exit status %d, stdout %q, stderr %q", r.code, r.out, r.err)
	}
	if r = run(t, "", "explain", "app/web"); r.code != 1 || !strings.Contains(r.out, "viewer has no sync") {
		t.Errorf("exit status %d, stdout %q", r.code, r.out)
	}
}

// TestLogsWithout: a line is judged whole, and what was never ended is not lost.
func TestLogsWithout(t *testing.T) {
	newHubOf(t, everything())
	for pattern, want := range map[string]string{
		"and ended":  "one\x1b[31m\ncut\nbetween\n",
		"^and ended": "one\x1b[31m\nbegun and ended\nbetween\ncut\n",
		"cut":        "one\x1b[31m\nbegun and ended\nbetween\n",
		".":          "",
	} {
		r := run(t, "", "app", "logs", "web", "-o", "raw", "--exclude", pattern)
		got, all := strings.Split(strings.TrimSpace(r.out), "\n"), strings.Split(strings.TrimSpace(want), "\n")
		if r.code != 0 || len(got) != len(all) {
			t.Errorf("%q: %q, want %q", pattern, r.out, want)
		}
		for _, line := range all {
			if !strings.Contains(r.out, line) {
				t.Errorf("%q: %q lacks %q", pattern, r.out, line)
			}
		}
	}
	if r := run(t, "", "app", "logs", "web", "-o", "json", "--exclude", "between"); strings.Contains(r.out, "between") || !strings.Contains(r.out, "and ended") {
		t.Errorf("%q", r.out)
	}
}

// TestLogoutRevokes: the token is no good any more, unless others use it; a hub
// that does not answer keeps nobody logged in.
func TestLogoutRevokes(t *testing.T) {
	for _, c := range []struct {
		args    string
		status  int
		revoked bool
		err     string
	}{
		{"logout", 204, true, "logged out of one"},
		{"logout --all", 204, true, "logged out of one"},
		{"logout --keep", 204, false, "logged out of one"},
		{"logout", 401, true, "logged out of one"},
		{"logout", 503, true, `warning: the token of "one" stays valid at https://`},
	} {
		answers := everything()
		answers["POST /logout"] = answer{c.status, ""}
		if c.status > 204 {
			answers["POST /logout"] = problemAnswer(c.status, map[int]string{401: "unauthorized", 503: "unavailable"}[c.status], "x", "no")
		}
		hub := newHubOf(t, answers)
		path := contextsOf(t, `{current: one, contexts: [{name: one, url: "`+hub.srv.URL+`", caHash: "`+hub.pin()+`", token: hwt_CANARY, plain: true, user: ana}]}`, 0o600)
		r := run(t, "", strings.Fields(c.args)...)
		if r.code != 0 || !strings.Contains(r.err, c.err) || strings.Contains(hub.requests(), "POST /logout") != c.revoked {
			t.Errorf("%s with %d: exit status %d, stderr %q, asked %q", c.args, c.status, r.code, r.err, hub.requests())
		}
		if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "CANARY") {
			t.Errorf("%s with %d: the token is still here: %v %s", c.args, c.status, err, text)
		}
	}
}
