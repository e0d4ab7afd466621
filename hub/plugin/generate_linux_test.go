package plugin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestInitAndGenerate(t *testing.T) {
	for name, flags := range isolations(t) {
		t.Run(name, func(t *testing.T) {
			dir := sockets(t)
			startHost(t, dir, definition("cue", map[string]any{
				"version":  "v1.0",
				"init":     sh(`echo "not a manifest"; cat ../other > made; mkdir -p "$TMPDIR/a"; echo x > "$HOME/.rc"`),
				"generate": sh(`cat made app.yaml; pwd | sed 's,.*/src,dir: src,'; ls -A "$HOME"`),
			}), flags...)
			p := connect(t, Options{Sockets: dir})
			name, out, err := p.Generate(t.Context(), Run{Name: "cue-v1.0", Dir: "app", Files: files("app/app.yaml", "a: 1\n", "other", "o: 2\n")})
			if err != nil || name != "cue-v1.0" || string(out) != "o: 2\na: 1\ndir: src/app\n.rc\n" {
				t.Errorf("%s %q %v", name, out, err)
			}
		})
	}
}

func TestTheEnvironmentIsWhatTheSourceGives(t *testing.T) {
	t.Setenv("HUB_CANARY", "canary-of-the-hub")
	dir := sockets(t)
	startHost(t, dir, onePlugin("env", `env | grep -v '^PWD=\|^SHLVL=\|^_=' | sed 's,/[^=]*/run-[0-9]*,RUN,' | sort`), "--env", "TOOL_OPTION=fast")
	p := connect(t, Options{Sockets: dir})
	text := "t e x t"
	_, out, err := p.Generate(t.Context(), Run{
		Name: "env", Files: files("a", "b"),
		Env: map[string]string{"ARGOCD_APP_NAME": "web", "KUBE_VERSION": "1.33"},
		Options: model.PluginSource{
			Env: []model.EnvEntry{{Name: "MODE", Value: "x"}, {Name: "PATH", Value: "/evil"}, {Name: "FOR", Value: "$ARGOCD_APP_NAME-${KUBE_VERSION}$HOME$$"}},
			Parameters: []model.PluginParameter{
				{Name: "one-text", String: &text}, {Name: "some", Array: []string{"a", "b"}}, {Name: "map.it", Map: map[string]string{"k-1": "v"}},
			},
		},
	})
	want := `ARGOCD_APP_NAME=web
ARGOCD_APP_PARAMETERS=[{"name":"one-text","string":"t e x t"},{"name":"some","array":["a","b"]},{"name":"map.it","map":{"k-1":"v"}}]
ARGOCD_ENV_FOR=web-1.33$
ARGOCD_ENV_MODE=x
ARGOCD_ENV_PATH=/evil
HOME=RUN/home
KUBE_VERSION=1.33
LANG=C.UTF-8
PARAM_MAP_IT_K_1=v
PARAM_ONE_TEXT=t e x t
PARAM_SOME_0=a
PARAM_SOME_1=b
PATH=` + searchPath() + `
TMPDIR=RUN/tmp
TOOL_OPTION=fast
`
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

func TestFailuresAreTold(t *testing.T) {
	token := "s3cr3t-value"
	for _, c := range []struct {
		name, generate, init string
		code, message        string // after the time, which "T" stands for
	}{
		{name: "exit status", generate: `echo no >&2; echo bad file >&2; exit 3`, message: "plugin \"cue\" exited 3 after T: no\nbad file"},
		{name: "silence", generate: `exit 4`, message: `plugin "cue" exited 4 after T and wrote nothing to its standard error`},
		{name: "after init", init: `echo fine; echo dandy >&2`, generate: `echo no >&2; exit 3`, message: "plugin \"cue\" exited 3 after T: no"},
		{name: "init", init: `echo here; echo there >&2; exit 5`, generate: `echo a`, message: "plugin \"cue\" exited 5 after T in init: here\nthere"},
		{name: "secrets", generate: `echo "token $ARGOCD_ENV_TOKEN https://user:password@host/x $OF_THE_HOST" >&2; exit 1`,
			message: `plugin "cue" exited 1 after T: token *** https://user:***@host/x ***`},
		{name: "last lines", generate: `i=0; while [ $i -lt 100 ]; do echo $i >&2; i=$((i+1)); done; exit 1`,
			message: "plugin \"cue\" exited 1 after T: 80\n81\n82\n83\n84\n85\n86\n87\n88\n89\n90\n91\n92\n93\n94\n95\n96\n97\n98\n99"},
		{name: "colours", generate: `printf '\033[31mred\033[0m\a\n' >&2; exit 1`, message: `plugin "cue" exited 1 after T: red`},
		{name: "signal", generate: `kill -USR1 $$`, message: `plugin "cue" was ended by signal 10 (SIGUSR1) after T and wrote nothing to its standard error`},
		{name: "file size", generate: `dd if=/dev/zero of=big bs=1M count=20 2>/dev/null; exit $?`, message: `plugin "cue" exited`},
		{name: "too much time", generate: `echo begun >&2; sleep 100`, message: "plugin \"cue\" did not end within 3s and was stopped: begun"},
		{name: "no program", generate: `exec /no/such`, message: `plugin "cue" exited 127 after T: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("OF_THE_HOST", "hidden-from-messages")
			dir := sockets(t)
			spec := map[string]any{"generate": sh(c.generate)}
			if c.init != "" {
				spec["init"] = sh(c.init)
			}
			h := startHost(t, dir, definition("cue", spec), "--time=3s", "--file=1000000", "--env=OF_THE_HOST")
			p := connect(t, Options{Sockets: dir})
			_, _, err := p.Generate(t.Context(), Run{Name: "cue", Files: files("a", "b"),
				Options: model.PluginSource{Env: []model.EnvEntry{{Name: "TOKEN", Value: token}}}})
			e := fault.As(err)
			before, after, _ := strings.Cut(c.message, " T")
			if e == nil || e.Kind != fault.Unprocessable || e.Code != "plugin_failed" || !strings.HasPrefix(e.Message, before) || !strings.Contains(e.Message, after) {
				t.Errorf("%v\nwant %s", err, c.message)
			}
			if c.message[len(c.message)-1] != ' ' && c.name != "file size" && !strings.HasSuffix(e.Message, after) {
				t.Errorf("%q", e.Message)
			}
			if left := copiesLeft(t, h); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	for argv, want := range map[string]string{
		"cuee":         `plugin "cue" cannot run its command: there is no program "cuee" in the PATH of its host`,
		"./script":     "./script: permission denied (files of the source have no execute permission unless spec.preserveFileMode is true)",
		"./not-there":  "./not-there: no such file or directory",
		"/etc/no-such": "/etc/no-such: no such file or directory",
	} {
		dir := sockets(t)
		startHost(t, dir, definition("cue", map[string]any{"generate": map[string]any{"command": []string{argv}}}))
		p := connect(t, Options{Sockets: dir})
		_, _, err := p.Generate(t.Context(), Run{Name: "cue", Files: files("script*", "#!/bin/sh\n")})
		if !fault.HasCode(err, "plugin_failed") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", argv, err)
		}
	}
}

func TestFileModesAreKeptOnRequest(t *testing.T) {
	for _, preserve := range []bool{false, true} {
		dir := sockets(t)
		startHost(t, dir, definition("modes", map[string]any{"preserveFileMode": preserve, "generate": sh(`stat -c '%a %n' a b`)}))
		p := connect(t, Options{Sockets: dir})
		want := map[bool]string{false: "644 a\n644 b\n", true: "755 a\n644 b\n"}[preserve]
		_, out, err := p.Generate(t.Context(), Run{Name: "modes", Files: files("a*", "#!/bin/sh\n", "b", "")})
		if err != nil || string(out) != want {
			t.Errorf("%t: %q %v", preserve, out, err)
		}
	}
}

func TestRunsOneAfterTheOtherHaveTheSamePaths(t *testing.T) {
	dir := sockets(t)
	startHost(t, dir, onePlugin("paths", `pwd; echo $HOME $TMPDIR; id -u`))
	p := connect(t, Options{Sockets: dir})
	_, first, err := p.Generate(t.Context(), Run{Name: "paths", Files: files("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	_, again, err := p.Generate(t.Context(), Run{Name: "paths", Files: files("c", "d")})
	if err != nil || string(again) != string(first) {
		t.Errorf("%q and %q %v", first, again, err)
	}
}

func TestEmptyOutputIsAResult(t *testing.T) {
	dir := sockets(t)
	startHost(t, dir, onePlugin("none", `true`))
	p := connect(t, Options{Sockets: dir})
	_, out, err := p.Generate(t.Context(), Run{Name: "none", Files: files("a", "b")})
	if err != nil || len(out) != 0 {
		t.Errorf("%q %v", out, err)
	}
}

func TestLargeInputsAndOutputs(t *testing.T) {
	dir := sockets(t)
	startHost(t, dir, onePlugin("large", `cat deep/er/* | sha256sum; cat deep/er/0; find . -type f | wc -l`))
	p := connect(t, Options{Sockets: dir, Limits: Limits{InputBytes: 24 << 20, InputFiles: 1500}})
	many := files()
	for i := range 1000 {
		many.files[fmt.Sprintf("deep/er/%d", i)] = strings.Repeat("0123456789abcdef", 1024)
	}
	_, out, err := p.Generate(t.Context(), Run{Name: "large", Files: many})
	if err != nil || len(out) < 16<<10 || !strings.HasSuffix(string(out), "1000\n") {
		t.Errorf("%d bytes %v", len(out), err)
	}
	many.files["more"] = strings.Repeat("x", 10<<20)
	if _, _, err = p.Generate(t.Context(), Run{Name: "large", Files: many}); !fault.HasCode(err, "too_large") {
		t.Errorf("%v", err)
	}
	delete(many.files, "more")
	for i := range 600 {
		many.files[fmt.Sprintf("small/%d", i)] = ""
	}
	if _, _, err = p.Generate(t.Context(), Run{Name: "large", Files: many}); !fault.HasCode(err, "too_large") {
		t.Errorf("%v", err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	for name, flags := range isolations(t) {
		t.Run(name, func(t *testing.T) {
			dir := sockets(t)
			h := startHost(t, dir, onePlugin("flood", `yes "a: b" | head -c 1000000000`), flags...)
			p := connect(t, Options{Sockets: dir})
			_, _, err := p.Generate(t.Context(), Run{Name: "flood", Files: files("a", "b")})
			if !fault.HasCode(err, "plugin_failed") || !strings.Contains(err.Error(), `plugin "flood" put out more than 32 MiB and was stopped`) {
				t.Errorf("%v", err)
			}
			if left := copiesLeft(t, h); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	if underRace {
		t.Skip("the race detector needs more memory than there may be")
	}
	dir := sockets(t)
	// One process, and several that are small enough each.
	startHost(t, dir, onePlugin("hungry", `x=$(head -c 400000000 /dev/zero | tr '\0' x); echo ${#x}`), "--memory=180000000")
	startHost(t, dir, onePlugin("hungry-together", `for i in 1 2 3 4 5 6 7 8 9; do (x=$(head -c 25000000 /dev/zero | tr '\0' x); sleep 20; :) & done; wait`), "--memory=180000000")
	p := connect(t, Options{Sockets: dir})
	began := time.Now()
	if _, out, err := p.Generate(t.Context(), Run{Name: "hungry", Files: files("a", "b")}); !fault.HasCode(err, "plugin_failed") {
		t.Errorf("%q %v", out, err)
	}
	_, _, err := p.Generate(t.Context(), Run{Name: "hungry-together", Files: files("a", "b")})
	if !fault.HasCode(err, "plugin_failed") || !strings.Contains(err.Error(), "memory") || time.Since(began) > 18*time.Second {
		t.Errorf("%v", err)
	}
}

func TestAForkBombCostsItsRunOnly(t *testing.T) {
	for name, flags := range isolations(t) {
		t.Run(name, func(t *testing.T) {
			dir := sockets(t)
			word := fmt.Sprintf("bomb-%d-%d", os.Getpid(), len(name)) // another copy of this test may run
			startHost(t, dir, onePlugin("bomb", `: `+word+`; b() { b | b & }; [ -f bomb ] && { b; sleep 300; }; echo "a: b"`), append(flags, "--time=3s")...)
			p := connect(t, Options{Sockets: dir})
			_, _, err := p.Generate(t.Context(), Run{Name: "bomb", Files: files("bomb", "")})
			if !fault.HasCode(err, "plugin_failed") {
				t.Errorf("%v", err)
			}
			if alive(t, ": "+word+"; b() { b | b & }; [ -f bomb ]") {
				for _, q := range processes() {
					line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", q.pid))
					if strings.Contains(string(line), word) && !strings.Contains(string(line), "plugin-host") {
						t.Errorf("%d is left", q.pid)
					}
				}
			}
			if _, out, err := p.Generate(t.Context(), Run{Name: "bomb", Files: files("none", "")}); err != nil || string(out) != "a: b\n" {
				t.Errorf("%q %v", out, err)
			}
		})
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	for name, flags := range isolations(t) {
		t.Run(name, func(t *testing.T) {
			dir := sockets(t)
			word := fmt.Sprintf("%d", 70000+os.Getpid()+len(name))
			// One that keeps the output open, one in a session of its own whose
			// parents are gone, and one that ignores what can be ignored.
			startHost(t, dir, onePlugin("leaver", `sleep `+word+` & (setsid sh -c 'trap "" TERM HUP INT; setsid sleep `+word+` >/dev/null 2>&1 &' &) ; sleep 0.2; echo "a: b"`), flags...)
			p := connect(t, Options{Sockets: dir})
			began := time.Now()
			_, out, err := p.Generate(t.Context(), Run{Name: "leaver", Files: files("a", "b")})
			if err != nil || string(out) != "a: b\n" || time.Since(began) > 10*time.Second {
				t.Errorf("%q %v after %s", out, err, time.Since(began))
			}
			if alive(t, word) {
				t.Error("a background process is left")
			}
		})
	}
}

func TestACallerThatGoesAwayEndsItsRun(t *testing.T) {
	for name, flags := range isolations(t) {
		t.Run(name, func(t *testing.T) {
			dir := sockets(t)
			word := fmt.Sprintf("%d", 80000+os.Getpid()+len(name))
			h := startHost(t, dir, onePlugin("slow", `sleep `+word), append(flags, "--parallel=1")...)
			p := connect(t, Options{Sockets: dir})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, _, err := p.Generate(ctx, Run{Name: "slow", Files: files("a", "b")})
				done <- err
			}()
			eventually(t, "the command runs", func() bool { return alive(t, word) })
			cancel()
			if err := <-done; err == nil || fault.HasCode(err, "plugin_failed") {
				t.Errorf("%v", err)
			}
			eventually(t, "the command ends", func() bool { return !alive(t, word) })
			eventually(t, "its copy goes", func() bool { return len(copiesLeft(t, h)) == 0 })
		})
	}
}

func TestRunsAtTheSameTimeDoNotMeet(t *testing.T) {
	for name, flags := range isolations(t) {
		t.Run(name, func(t *testing.T) {
			dir := sockets(t)
			// Each waits until the other runs, and looks for the other's files.
			meet := filepath.Join(dir, "meet")
			if err := os.Mkdir(meet, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(meet, 0o777); err != nil {
				t.Fatal(err)
			}
			startHost(t, dir, onePlugin("pair", `touch `+meet+`/$ARGOCD_ENV_ME; while [ ! -e `+meet+`/$ARGOCD_ENV_OTHER ]; do sleep 0.02; done; echo "who: $(cat who)"; ls`),
				append(flags, "--writable="+meet)...)
			p := connect(t, Options{Sockets: dir})
			type answer struct {
				out string
				err error
			}
			answers := map[string]chan answer{"a": make(chan answer, 1), "b": make(chan answer, 1)}
			for me, other := range map[string]string{"a": "b", "b": "a"} {
				go func() {
					_, out, err := p.Generate(t.Context(), Run{Name: "pair", Files: files("who", me, "file-"+me, ""),
						Options: model.PluginSource{Env: []model.EnvEntry{{Name: "ME", Value: me}, {Name: "OTHER", Value: other}}}})
					answers[me] <- answer{string(out), err}
				}()
			}
			for me, c := range answers {
				if a := <-c; a.err != nil || a.out != "who: "+me+"\nfile-"+me+"\nwho\n" {
					t.Errorf("%s: %q %v", me, a.out, a.err)
				}
			}
		})
	}
}

func TestAHostThatIsKilledIsUnavailableUntilItIsBack(t *testing.T) {
	for name, flags := range isolations(t) {
		t.Run(name, func(t *testing.T) {
			dir := sockets(t)
			word := fmt.Sprintf("%d", 90000+os.Getpid()+len(name))
			h := startHost(t, dir, onePlugin("cue", `[ -f slow ] && sleep `+word+`; echo "a: b"`), flags...)
			p := connect(t, Options{Sockets: dir})
			before := p.Identity()
			done := make(chan error, 1)
			go func() {
				_, _, err := p.Generate(t.Context(), Run{Name: "cue", Files: files("slow", "b")})
				done <- err
			}()
			eventually(t, "the command runs", func() bool { return alive(t, word) })
			if err := h.cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-h.exited
			err := <-done
			if e := fault.As(err); e == nil || e.Code != "plugin_unavailable" || e.Kind != fault.Upstream {
				t.Errorf("%v", err)
			}
			eventually(t, "the command ends", func() bool { return !alive(t, word) })
			if p.Identity() != before {
				t.Error("a plugin that is down for a while has another identity")
			}
			h.start(t) // over the socket that was left
			_, out, err := p.Generate(t.Context(), Run{Name: "cue", Files: files("a", "b")})
			if err != nil || string(out) != "a: b\n" {
				t.Errorf("%q %v", out, err)
			}
			if left := copiesLeft(t, h); len(left) != 0 {
				t.Errorf("copies of the killed host are left: %v", left)
			}
		})
	}
}
