package main

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/wire"
)

// TestMain lets the test's own program be hawser, under whatever name it is
// linked to.
func TestMain(m *testing.M) {
	if os.Getenv("HAWSER_TEST_AS_PROGRAM") == "1" {
		main()
	}
	os.Exit(m.Run())
}

// place is a directory with hawser in it, a hub, and nothing of the user's.
type place struct {
	t    *testing.T
	bin  string
	env  []string
	hub  *httptest.Server
	path string
}

func newPlace(t *testing.T, names ...string) *place {
	t.Helper()
	p := &place{t: t, bin: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, "hawser") {
		if err := os.Symlink(self, filepath.Join(p.bin, name)); err != nil {
			t.Skip("this machine has no links:", err)
		}
	}
	p.hub = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/applications":
			io.WriteString(w, `{"items":[{"name":"web","project":"shop","cluster":"eu"},{"name":"worker","project":"shop","cluster":"us"}]}`)
		case "/api/v1/whoami":
			if r.Header.Get("Authorization") != "Bearer hwt_CANARY" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			io.WriteString(w, `{"name":"ana"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	p.hub.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.hub.StartTLS()
	t.Cleanup(p.hub.Close)
	home := t.TempDir()
	p.path = p.bin + string(os.PathListSeparator) + os.Getenv("PATH")
	p.env = []string{
		"HAWSER_TEST_AS_PROGRAM=1", "PATH=" + p.path, "HOME=" + home, "HAWSER_CONFIG=" + filepath.Join(home, "config.yaml"),
		"HAWSER_CACHE=" + filepath.Join(home, "cache"), "HAWSER_KEYRING=off", "LC_ALL=C.UTF-8",
		"HAWSER_HUB=" + p.hub.URL, "HAWSER_CA_HASH=" + wire.CAHash(p.hub.Certificate()), "HAWSER_TOKEN=hwt_CANARY",
	}
	return p
}

type result struct {
	code     int
	out, err string
}

func (p *place) run(program string, args ...string) result {
	p.t.Helper()
	if !filepath.IsAbs(program) {
		if own := filepath.Join(p.bin, program); exists(own) {
			program = own
		}
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(p.t.Context(), program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (p *place) script(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.bin, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		p.t.Fatal(err)
	}
}

// complete asks bash itself what it would offer for a line.
func (p *place) complete(words ...string) []string {
	p.t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		p.t.Skip("no bash here")
	}
	script := `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; }
compopt() { :; }
source <(hawser completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
__start_hawser
printf '%s\n' "${COMPREPLY[@]}"`
	r := p.run(bash, append([]string{"-c", script, "bash"}, words...)...)
	if r.code != 0 || r.err != "" {
		p.t.Errorf("%q: %d, on the person's screen: %s", words, r.code, r.err)
	}
	return strings.Fields(r.out)
}

func TestBashCompletes(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct{ line, want string }{
		{"hawser app ge", "get"},
		{"hawser app get wo", "worker"},
		{"hawser get app/wo", "app/worker"},
		{"hawser get clus", "cluster/"},
		{"hawser get app/web --refr", "--refresh"},
		{"hawser app list --color nev", "never"},
		{"hawser help exi", "exit-codes"},
	} {
		got := p.complete(strings.Fields(c.line)...)
		if len(got) == 0 || got[0] != c.want {
			t.Errorf("%s: offered %q, want %s", c.line, got, c.want)
		}
	}
	p.hub.Close()
	if got := p.complete("hawser", "cluster", "get", "e"); len(got) != 0 {
		t.Errorf("without a hub %q was offered", got)
	}
}

func TestScriptsForEveryShell(t *testing.T) {
	p := newPlace(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := p.run("hawser", "completion", shell)
		if r.code != 0 || !strings.Contains(r.out, "__complete") || r.err != "" {
			t.Errorf("%s: %d %s", shell, r.code, r.err)
		}
		program, err := exec.LookPath(shell)
		if err != nil || shell == "powershell" {
			continue
		}
		file := filepath.Join(t.TempDir(), shell)
		if err := os.WriteFile(file, []byte(r.out), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := p.run(program, "-n", file); r.code != 0 {
			t.Errorf("%s does not read it: %s", shell, r.err)
		}
	}
}

// A person who presses Tab sees names at once: those of the last time. The new
// ones come behind the scenes.
func TestNamesAreRememberedAndRenewed(t *testing.T) {
	p := newPlace(t)
	first := p.run("hawser", "__complete", "app", "get", "")
	if !strings.HasPrefix(first.out, "web\tshop eu\nworker\tshop us\n") {
		t.Fatalf("got %+v", first)
	}
	p.hub.Close()
	again := p.run("hawser", "__complete", "app", "get", "")
	if again.out != first.out {
		t.Errorf("without the hub: %+v", again)
	}
	start := time.Now()
	p.run("hawser", "__complete", "app", "get", "")
	t.Logf("remembered names after %s", time.Since(start).Round(time.Millisecond))
}

func TestPlugins(t *testing.T) {
	p := newPlace(t)
	p.script("hawser-greet", `echo "args $*"; echo "hub $HAWSER_HUB"; echo "env [$HAWSER_TOKEN]"; printf 'fd '; cat <&$HAWSER_TOKEN_FD; exit 7`)
	p.script("hawser-app", "echo shadowed")
	r := p.run("hawser", "greet", "--any", "thing", "-x")
	if want := "args --any thing -x\nhub " + p.hub.URL + "\nenv []\nfd hwt_CANARY"; r.code != 7 || r.out != want {
		t.Errorf("got %+v, want\n%s", r, want)
	}
	p.env = append(p.env, "HAWSER_PLUGIN_TOKEN=env")
	if r := p.run("hawser", "greet"); !strings.Contains(r.out, "env [hwt_CANARY]") {
		t.Errorf("got %+v", r)
	}
	if r := p.run("hawser", "app"); strings.Contains(r.out, "shadowed") {
		t.Error("a plugin took the place of a command")
	}
	r = p.run("hawser", "plugin", "list", "--sort-by", "name")
	if !strings.Contains(r.out, "greet") || !strings.Contains(r.out, "hawser has a command of this name") {
		t.Errorf("got %+v", r)
	}
	if r := p.run("hawser", "--help"); !strings.Contains(r.out, "Plugin commands:\n  greet") || strings.Contains(r.out, "hawser-app") {
		t.Errorf("got %s", r.out)
	}
	// A plugin calls hawser, which reads the token from the descriptor.
	p.script("hawser-me", "hawser whoami")
	if r := p.run("hawser", "me"); r.code != 0 || r.out != "ana\n" {
		t.Errorf("got %+v", r)
	}
	if r := p.run("hawser", "nix"); r.code != 2 || !strings.Contains(r.err, `unknown command "nix"`) {
		t.Errorf("got %+v", r)
	}
}

func TestAPluginOfKubectl(t *testing.T) {
	p := newPlace(t, "kubectl-hawser", "kubectl_complete-hawser")
	r := p.run("kubectl-hawser", "app", "--help")
	if !strings.Contains(r.out, "kubectl hawser app [command]") {
		t.Errorf("got %s", r.out)
	}
	r = p.run("kubectl-hawser", "whoami", "--context", "kind-x", "--kubeconfig", "/nix", "-A")
	if r.code != 0 || r.out != "ana\n" || !strings.Contains(r.err, `context "kind-x" is none of hawser`) {
		t.Errorf("got %+v", r)
	}
	if r := p.run("hawser", "whoami", "--context", "kind-x"); r.code != 0 && r.code != 3 {
		t.Errorf("got %+v", r)
	}
	if r := p.run("kubectl_complete-hawser", "app", "get", "wo"); !strings.HasPrefix(r.out, "worker\t") {
		t.Errorf("got %+v", r)
	}
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl here")
	}
	if r := p.run(kubectl, "hawser", "whoami"); r.code != 0 || r.out != "ana\n" {
		t.Errorf("kubectl: %+v", r)
	}
	if r := p.run(kubectl, "__complete", "hawser", "app", "get", "wo"); !strings.HasPrefix(r.out, "worker\t") {
		t.Errorf("kubectl completes: %+v", r)
	}
}

func TestManPages(t *testing.T) {
	p := newPlace(t)
	dir := filepath.Join(t.TempDir(), "man")
	if r := p.run("hawser", "man", dir); r.code != 0 {
		t.Fatalf("got %+v", r)
	}
	b, err := os.ReadFile(filepath.Join(dir, "hawser-app-list.1"))
	if err != nil || !bytes.Contains(b, []byte("only this project")) {
		t.Errorf("%v %s", err, b)
	}
}
