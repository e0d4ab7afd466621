package plugin

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func discovering(name string, discover map[string]any) string {
	return definition(name, map[string]any{"generate": sh("echo name: " + name), "discover": discover})
}

func TestDiscovery(t *testing.T) {
	dir := sockets(t)
	startHost(t, dir, discovering("a-file", map[string]any{"fileName": "*.cue", "find": map[string]any{"command": []string{"echo", "always"}}}))
	startHost(t, dir, discovering("b-glob", map[string]any{"find": map[string]any{"glob": "**/values-*.txt"}}))
	startHost(t, dir, discovering("c-command", map[string]any{"find": map[string]any{"command": []string{"sh", "-c"},
		"args": []string{`[ -z "$ARGOCD_ENV_NO" ] && ls command.mark 2>/dev/null`}}}))
	startHost(t, dir, discovering("d-path", map[string]any{"fileName": "./sub/main.txt"}))
	startHost(t, dir, onePlugin("e-only-by-name", "echo name: e"))
	p := connect(t, Options{Sockets: dir})
	if names := p.Names(); !slices.Equal(names, []string{"a-file", "b-glob", "c-command", "d-path", "e-only-by-name"}) {
		t.Fatalf("%v", names)
	}
	tree := files(
		"cue/x.cue", "", "cue-below/d/x.cue", "", "glob/one/two/values-a.txt", "", "glob-top/values-b.txt", "", "command/command.mark", "",
		"path/sub/main.txt", "", "two/x.cue", "", "two/values-b.txt", "", "none/x.yaml", "", "outside.cue", "")
	for dir, want := range map[string]string{
		"cue": "a-file", "cue-below": "", "glob": "b-glob", "glob-top": "b-glob", "command": "c-command", "path": "d-path",
		"two": "a-file", "none": "", "": "a-file", "not-there": "",
	} {
		run := Run{Dir: dir, Files: tree}
		if dir == "not-there" {
			run.Files = files("other/x", "")
			if _, err := p.discovered(t.Context(), p.mustNamed(t, "a-file"), &listing{run: run}, run); err != nil {
				t.Errorf("a directory that is not there: %v", err)
			}
			continue
		}
		name, err := p.Discover(t.Context(), run)
		if err != nil || name != want {
			t.Errorf("%q: %q %v, want %q", dir, name, err, want)
		}
		name, out, err := p.Generate(t.Context(), run)
		if want == "" {
			if !fault.HasCode(err, "plugin_unknown") {
				t.Errorf("%q: %v", dir, err)
			}
			continue
		}
		if err != nil || name != want || string(out) != "name: "+want+"\n" {
			t.Errorf("%q: %q %q %v", dir, name, out, err)
		}
	}
	// A plugin that is named is asked too.
	for name, dir := range map[string]string{"a-file": "none", "b-glob": "cue", "c-command": "cue"} {
		if _, _, err := p.Generate(t.Context(), Run{Name: name, Dir: dir, Files: tree}); !fault.HasCode(err, "plugin_not_for_source") {
			t.Errorf("%s: %v", name, err)
		}
	}
	run := Run{Name: "c-command", Dir: "command", Files: tree}
	if _, _, err := p.Generate(t.Context(), run); err != nil {
		t.Errorf("%v", err)
	}
	run.Options = model.PluginSource{Env: []model.EnvEntry{{Name: "NO", Value: "1"}}}
	if _, _, err := p.Generate(t.Context(), run); !fault.HasCode(err, "plugin_not_for_source") {
		t.Errorf("%v", err)
	}
	_, _, err := p.Generate(t.Context(), Run{Name: "c-comand", Files: tree})
	if e := fault.As(err); e == nil || e.Code != "plugin_unknown" || e.Fix != `did you mean "c-command"?` || !strings.Contains(e.Message, "a-file, b-glob") {
		t.Errorf("%v", err)
	}
}

func (p *Plugins) mustNamed(t *testing.T, name string) *host {
	t.Helper()
	h, err := p.named(name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestACommandOfDiscoveryIsAskedOncePerTree(t *testing.T) {
	dir := sockets(t)
	count := filepath.Join(dir, "count")
	if err := os.Mkdir(count, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(count, 0o777); err != nil {
		t.Fatal(err)
	}
	startHost(t, dir, discovering("cue", map[string]any{"find": map[string]any{"command": []string{"sh", "-c", "echo x; mktemp -p " + count + " > /dev/null"}}}), "--writable="+count)
	p := connect(t, Options{Sockets: dir})
	tree := files("a", "b")
	asked := 0
	for i, root := range []string{"", "", "1", "1", "2", "1", "worktree:x", "worktree:x"} {
		tree.root = root
		if name, err := p.Discover(t.Context(), Run{Files: tree}); err != nil || name != "cue" {
			t.Fatalf("%q %v", name, err)
		}
		if i != 3 && i != 5 {
			asked++
		}
		if entries, err := os.ReadDir(count); err != nil || len(entries) != asked {
			t.Errorf("%d: asked %d times, want %d (%v)", i, len(entries), asked, err)
		}
	}
}

func TestParameters(t *testing.T) {
	dir := sockets(t)
	static := []any{
		map[string]any{"name": "one", "title": "One", "tooltip": "about one", "required": true, "itemType": "string", "string": "x"},
		map[string]any{"name": "many", "collectionType": "array", "array": []string{"a"}},
	}
	startHost(t, dir, definition("both", map[string]any{"generate": sh("true"), "parameters": map[string]any{"static": static,
		"dynamic": sh(`echo "[{\"name\": \"$(cat name)\", \"collectionType\": \"map\", \"map\": {\"k\": \"v\"}, \"unknown\": 1}]"`)}}))
	startHost(t, dir, definition("static", map[string]any{"generate": sh("true"), "parameters": map[string]any{"static": static}}))
	startHost(t, dir, definition("broken", map[string]any{"generate": sh("true"), "parameters": map[string]any{"dynamic": sh(`echo nothing`)}}))
	startHost(t, dir, definition("failing", map[string]any{"generate": sh("true"), "parameters": map[string]any{"dynamic": sh(`echo oh >&2; exit 2`)}}))
	startHost(t, dir, definition("none", map[string]any{"generate": sh("true")}))
	p := connect(t, Options{Sockets: dir})
	tree := files("name", "found")
	for name, want := range map[string]string{
		"both":   "[{one One about one true string  x [] map[]} {many   false  array  [a] map[]} {found   false  map  [] map[k:v]}]",
		"static": "[{one One about one true string  x [] map[]} {many   false  array  [a] map[]}]", "none": "[]",
	} {
		_, list, err := p.Parameters(t.Context(), Run{Name: name, Files: tree})
		if err != nil || fmt.Sprint(list) != want {
			t.Errorf("%s: %v %v", name, list, err)
		}
	}
	for name, want := range map[string]string{"broken": "no JSON list", "failing": "in parameters.dynamic: oh"} {
		if _, _, err := p.Parameters(t.Context(), Run{Name: name, Files: tree}); !fault.HasCode(err, "plugin_failed") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPluginsComeAndGo(t *testing.T) {
	dir := sockets(t)
	p := connect(t, Options{Sockets: dir})
	empty := p.Identity()
	_, _, err := p.Generate(t.Context(), Run{Name: "cue", Files: files("a", "b")})
	if !fault.HasCode(err, "plugin_unknown") {
		t.Errorf("%v", err)
	}
	h := startHost(t, dir, discovering("cue", map[string]any{"fileName": "a"}))
	if _, out, err := p.Generate(t.Context(), Run{Name: "cue", Files: files("a", "b")}); err != nil || string(out) != "name: cue\n" {
		t.Errorf("%q %v", out, err)
	}
	first := p.Identity()
	if first == empty {
		t.Error("a plugin that came changes nothing")
	}
	h.end(t) // which removes the socket
	eventually(t, "the plugin is gone", func() bool { p.scan(); return p.Identity() == empty })

	h.flags = append(h.flags, "--image=registry.example/cue:2")
	h.start(t)
	eventually(t, "the plugin is back", func() bool { p.scan(); return len(p.Names()) == 1 })
	if p.Identity() == first {
		t.Error("another image is the same plugin")
	}
}

func TestAHostThatNeverAnsweredIsNotTakenForNone(t *testing.T) {
	dir := sockets(t)
	// The socket of a host that was killed before this hub began.
	h := startHost(t, dir, discovering("cue", map[string]any{"fileName": "a"}))
	if err := h.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-h.exited
	t.Cleanup(func() { // what its next start would do
		left, err := filepath.Glob(filepath.Join(os.TempDir(), workPrefix(h.socket)+"*"))
		if err != nil || len(left) != 1 || removeAll(left[0]) != nil {
			t.Errorf("%v %v", left, err)
		}
	})
	p := connect(t, Options{Sockets: dir})
	for _, dir := range []string{"", "elsewhere"} {
		name, err := p.Discover(t.Context(), Run{Dir: dir, Files: files("a", "b", "elsewhere/x", "")})
		if e := fault.As(err); e == nil || e.Code != "plugin_unavailable" || e.Kind != fault.Upstream {
			t.Errorf("%q %v", name, err)
		}
	}
	if _, _, err := p.Generate(t.Context(), Run{Name: "cue", Files: files("a", "b")}); !fault.HasCode(err, "plugin_unavailable") {
		t.Errorf("%v", err)
	}
}

func TestTheHubRunsItsOwnHosts(t *testing.T) {
	dir := sockets(t)
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	word := fmt.Sprintf("%d", 60000+os.Getpid())
	t.Setenv("HAWSER_CANARY", "canary")
	cue := write("cue.yaml", definition("cue", map[string]any{"generate": sh(`[ -f slow ] && sleep ` + word + `; env | grep CANARY; echo "a: b"`), "discover": map[string]any{"fileName": "x.cue"}}))
	log := &lockedBuffer{}
	opts := Options{
		Files: []string{cue}, Command: []string{"/proc/self/exe", "plugin-host"}, Dir: filepath.Join(dir, strings.Repeat("long", 30)),
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	p, err := Connect(opts)
	if err != nil {
		t.Fatal(err)
	}
	run := Run{Files: files("x.cue", "")}
	if name, out, err := p.Generate(t.Context(), run); err != nil || name != "cue" || string(out) != "a: b\n" {
		t.Errorf("%q %q %v", name, out, err)
	}
	host := func() (pid int) {
		for _, q := range processes() {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", q.pid))
			if q.parent == os.Getpid() && bytes.Contains(line, []byte(cue)) {
				pid = q.pid
			}
		}
		return pid
	}
	// It is killed in the middle of a run, which is lost; the next one has another.
	first := host()
	done := make(chan error, 1)
	go func() {
		_, _, err := p.Generate(t.Context(), Run{Name: "cue", Files: files("x.cue", "", "slow", "")})
		done <- err
	}()
	eventually(t, "the command runs", func() bool { return alive(t, word) })
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !fault.HasCode(err, "plugin_unavailable") {
		t.Errorf("%v", err)
	}
	eventually(t, "the command ends", func() bool { return !alive(t, word) })
	if _, out, err := p.Generate(t.Context(), run); err != nil || string(out) != "a: b\n" {
		t.Errorf("%q %v\n%s", out, err, log)
	}
	if again := host(); again == 0 || again == first {
		t.Errorf("%d after %d", again, first)
	}
	// Close ends the host and what it runs.
	go func() {
		_, _, err := p.Generate(context.Background(), Run{Name: "cue", Files: files("x.cue", "", "slow", "")})
		done <- err
	}()
	eventually(t, "the command runs", func() bool { return alive(t, word) })
	p.Close()
	if err := <-done; err == nil {
		t.Error("a run outlived its hub")
	}
	eventually(t, "all end", func() bool { return host() == 0 && !alive(t, word) })

	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no file":    {func(o *Options) { o.Files = []string{filepath.Join(dir, "none.yaml")} }, "file_unreadable"},
		"wrong":      {func(o *Options) { o.Files = []string{write("wrong.yaml", `{"spec": {"generat": {}}}`)} }, "unknown_field"},
		"twice":      {func(o *Options) { o.Files = []string{cue, cue} }, "config_invalid"},
		"no program": {func(o *Options) { o.Command = []string{"/no/such"} }, "plugin_unavailable"},
		"no host":    {func(o *Options) { o.Command = []string{"/bin/false"} }, "plugin_unavailable"},
		"no sockets": {func(o *Options) { o.Files, o.Sockets = nil, filepath.Join(dir, "none") }, "config_invalid"},
	} {
		o := opts
		c.change(&o)
		if p, err := Connect(o); !fault.HasCode(err, c.want) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				p.Close()
			}
		}
	}
}
