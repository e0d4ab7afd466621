package command

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// askingCommands are the commands that ask for a yes.
var askingCommands = []string{
	"app delete", "app delete-resource", "app sync", "apply", "cluster enroll", "cluster label",
	"import argocd finish", "import argocd handover", "import argocd rollback", "import finish", "import handover", "import rollback",
	"project allow dest", "project allow kind", "project allow sa", "project allow source", "project apply",
	"project deny dest", "project deny kind", "project deny source", "project edit",
	"project role add-group", "project role add-policy", "project role create", "project role delete", "project role remove-group", "project role remove-policy", "project window add", "project window delete", "project window update",
}

func eachCommand(visit func(path string, c *cobra.Command)) {
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		if !c.HasSubCommands() && !c.DisableFlagParsing {
			visit(path, c)
		}
		for _, sub := range c.Commands() {
			walk(sub, strings.TrimSpace(path+" "+sub.Name()))
		}
	}
	walk(newRoot(&session{}), "")
}

// TestWhoAsksOffersYes: --yes and --no-input are in the help of those that ask,
// and of no other.
func TestWhoAsksOffersYes(t *testing.T) {
	var offering []string
	eachCommand(func(path string, c *cobra.Command) {
		help := c.UsageString()
		if strings.Contains(help, "--yes") {
			offering = append(offering, path)
		}
		if strings.Contains(help, "--yes") != strings.Contains(help, "--no-input") && path != "login" && !strings.HasPrefix(path, "account ") { // these ask for a password
			t.Errorf("%s offers one of --yes and --no-input", path)
		}
	})
	slices.Sort(offering)
	if !slices.Equal(offering, askingCommands) {
		t.Errorf("offered by\n%s\nwant\n%s", strings.Join(offering, "\n"), strings.Join(askingCommands, "\n"))
	}
}

// TestNobodyToAsk: without a terminal, and with --no-input at one, what would be
// asked is refused, the refusal names --yes, and nothing is changed.
func TestNobodyToAsk(t *testing.T) {
	answers := everything()
	answers["POST /projects/shop/preview"] = answer{200, `{"project":"shop","applications":1,"invalidCount":1,"invalid":[{"name":"web"}]}`}
	for _, line := range []string{"app delete web", "app delete-resource web --kind Deployment", "app sync -l a=b", "app sync web --preview-changes", "project allow source shop https://git/y"} {
		for _, terminal := range []bool{true, false} {
			hub := newHubOf(t, answers)
			args := strings.Fields(line)
			if terminal {
				args = append(args, "--no-input")
			}
			r := runAs(t.Context(), Streams{In: strings.NewReader("yes\n"), Terminal: terminal}, args...)
			if r.code == 0 || !strings.Contains(r.err, "--yes") {
				t.Errorf("%v: exit status %d, stderr %q", args, r.code, r.err)
			}
			for _, change := range []string{"DELETE /applications", "/sync", "PUT /projects"} {
				if strings.Contains(strings.ReplaceAll(hub.requests(), `/sync {"dryRun":true`, ""), change) {
					t.Errorf("%v: the hub was asked %s", args, hub.requests())
				}
			}
			hub = newHubOf(t, answers)
			r = runAs(t.Context(), Streams{In: strings.NewReader(""), Terminal: terminal}, append(strings.Fields(line), "--yes")...)
			if strings.Contains(r.err, "[yes, no") || strings.Contains(r.err, "Nobody") {
				t.Errorf("%v --yes: stderr %q", line, r.err)
			}
			if asked := hub.requests(); !strings.Contains(asked, "DELETE /applications") && !strings.Contains(asked, "/sync") && !strings.Contains(asked, "PUT /projects") {
				t.Errorf("%v --yes: the hub was asked %s", line, asked)
			}
		}
	}
}

// TestAContextOfKubectl: kubectl hands its own --context through. Who reads is
// told; who would change something is refused, and the hub is not asked.
func TestAContextOfKubectl(t *testing.T) {
	for line, change := range map[string]bool{
		"app list": false, "app get web": false, "get app/web": false, "get shop": false, "fleet status": false, "app diff web": false,
		"app sync web": true, "app delete web -y": true, "delete app/web -y": true, "token create x --admin": true, "cluster revoke eu": true,
		"app unpin web": true, "app actions run web restart --kind Deployment": true,
	} {
		hub := newHubOf(t, everything())
		path := filepath.Join(t.TempDir(), "config.yaml")
		text := "current: one\ncontexts:\n- {name: one, url: \"" + hub.srv.URL + "\", caHash: \"" + hub.pin() + "\", token: hwt_CANARY}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"HAWSER_HUB", "HAWSER_CA_HASH", "HAWSER_TOKEN"} {
			t.Setenv(name, "")
		}
		t.Setenv("HAWSER_CONFIG", path)
		s := Streams{Program: "kubectl-hawser", In: strings.NewReader("")}
		r := runAs(t.Context(), s, append(strings.Fields(line), "--context", "kind-eu")...)
		wrote := strings.Contains(hub.requests(), "POST") || strings.Contains(hub.requests(), "DELETE") || strings.Contains(hub.requests(), "PUT")
		switch {
		case change && (r.code != 3 || wrote || !strings.Contains(r.err, `--context one, or one of kubectl hawser context list`)):
			t.Errorf("%s: exit status %d, stderr %q, asked %s", line, r.code, r.err, hub.requests())
		case !change && (r.code > 1 || !strings.Contains(r.err, `"kind-eu" is none of hawser; the current one, "one", is used`)):
			t.Errorf("%s: exit status %d, stderr %q", line, r.code, r.err)
		}
	}
}

// TestFixesNameThePlugin: where kubectl runs it a fix says so, whoever wrote it.
func TestFixesNameThePlugin(t *testing.T) {
	newHubOf(t, map[string]answer{"GET /applications/web": {403, `{"kind":"denied","code":"permission_denied","detail":"no","fix":"ask: hawser token create NAME, or see hawser.dev, or hawser is"}`}})
	r := runAs(t.Context(), Streams{Program: "kubectl-hawser"}, "app", "get", "web")
	r.check(t, 5, "", "fix: ask: kubectl hawser token create NAME, or see hawser.dev, or hawser is\n")
	r = runAs(t.Context(), Streams{Program: "hawser"}, "app", "get", "web")
	r.check(t, 5, "", "fix: ask: hawser token create NAME, or see hawser.dev, or hawser is\n")
}

// A person who is asked may also press Ctrl-C, and then has said nothing.
func TestASignalEndsAQuestion(t *testing.T) {
	for _, args := range []string{"app delete web", "app delete web --cascade", "cluster enroll eu"} {
		answers := everything()
		hub := newHubOf(t, answers)
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		in, typed := io.Pipe()
		defer typed.Close()
		r := runAs(ctx, Streams{In: readerFunc(func(b []byte) (int, error) {
			interrupt() // the question was asked
			return in.Read(b)
		}), Terminal: true}, strings.Fields(args)...)
		r.check(t, ExitInterrupted, "", "interrupted")
		if got := hub.requests(); strings.Contains(got, "DELETE") || strings.Contains(got, "POST") {
			t.Errorf("%s: something was done: %s", args, got)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
