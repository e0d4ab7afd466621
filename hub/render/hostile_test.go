package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// evil are workers that are in somebody else's hands: what they ask.
var evil = map[string]func(ask func(*workerv1.Question) *workerv1.Answer){
	"parent":   func(ask func(*workerv1.Question) *workerv1.Answer) { ask(read("", "../x")) },
	"inner":    func(ask func(*workerv1.Question) *workerv1.Answer) { ask(read("", "app/../../x")) },
	"absolute": func(ask func(*workerv1.Question) *workerv1.Answer) { ask(read("", "/etc/passwd")) },
	"nul":      func(ask func(*workerv1.Question) *workerv1.Answer) { ask(read("", "a\x00b")) },
	"dot":      func(ask func(*workerv1.Question) *workerv1.Answer) { ask(stat("", ".")) },
	"long":     func(ask func(*workerv1.Question) *workerv1.Answer) { ask(stat("", strings.Repeat("a", 5000))) },
	"list": func(ask func(*workerv1.Question) *workerv1.Answer) {
		ask(&workerv1.Question{Question: &workerv1.Question_List{List: &workerv1.ListFiles{Path: "..", Recurse: true}}})
	},
	"overrides": func(ask func(*workerv1.Question) *workerv1.Answer) {
		ask(&workerv1.Question{Question: &workerv1.Question_Overrides{Overrides: &workerv1.Overrides{Path: "../other"}}})
	},
	"plugin": func(ask func(*workerv1.Question) *workerv1.Answer) {
		ask(&workerv1.Question{Question: &workerv1.Question_Plugin{Plugin: &workerv1.RunPlugin{Path: "../other"}}})
	},
	"tree":     func(ask func(*workerv1.Question) *workerv1.Answer) { ask(read("base:0123", "x")) },
	"ref":      func(ask func(*workerv1.Question) *workerv1.Answer) { ask(read("ref:secret", "x")) },
	"treename": func(ask func(*workerv1.Question) *workerv1.Answer) { ask(stat("ref:", "x")) },
	"empty":    func(ask func(*workerv1.Question) *workerv1.Answer) { ask(&workerv1.Question{}) },
	"endless": func(ask func(*workerv1.Question) *workerv1.Answer) {
		for ask(stat("", "app")) != nil {
		}
	},
	"greedy": func(ask func(*workerv1.Question) *workerv1.Answer) {
		for ask(read("", "big")) != nil {
		}
	},
}

func read(tree, path string) *workerv1.Question {
	return &workerv1.Question{Question: &workerv1.Question_Read{Read: &workerv1.ReadFiles{Tree: tree, Paths: []string{path}}}}
}

func stat(tree, path string) *workerv1.Question {
	return &workerv1.Question{Question: &workerv1.Question_Stat{Stat: &workerv1.Stat{Tree: tree, Path: path}}}
}

func init() {
	for name, act := range evil {
		testWorkers["worker-evil-"+name] = evilWorker(act)
	}
	testWorkers["worker-liar"] = func(in, out *os.File) error {
		return worker.Serve(in, out, func(c *worker.Conn) error {
			if err := c.Receive(&workerv1.RenderJob{}); err != nil {
				return err
			}
			return c.Send(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Result{Result: &workerv1.RenderResult{
				Bundle: []byte("no bundle"), Digest: "sha256:00", Objects: 1,
			}}})
		})
	}
}

// evilWorker asks, and puts out all that it learned as a problem.
func evilWorker(act func(ask func(*workerv1.Question) *workerv1.Answer)) func(in, out *os.File) error {
	return func(in, out *os.File) error {
		return worker.Serve(in, out, func(c *worker.Conn) error {
			if err := c.Receive(&workerv1.RenderJob{}); err != nil {
				return err
			}
			var failed error
			var learned strings.Builder
			act(func(q *workerv1.Question) *workerv1.Answer {
				var answer workerv1.Answer
				if failed = c.Send(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Question{Question: q}}); failed == nil {
					failed = c.Receive(&answer)
				}
				if failed != nil {
					return nil
				}
				learned.WriteString(answer.String())
				return &answer
			})
			if failed != nil {
				return failed
			}
			return c.Send(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Problem{Problem: worker.Problem(
				fault.New(fault.Unprocessable, "learned", "%s", learned.String()))}})
		})
	}
}

// guarded is a Snapshot that tells of paths that no clean question has.
type guarded struct {
	*memory
	t *testing.T
}

func inside(p string) bool {
	return p == "" || !strings.HasPrefix(p, "/") && !strings.Contains("/"+p+"/", "/../") && !strings.Contains(p, "\x00")
}

func (g guarded) Stat(ctx context.Context, p string) (hash string, size int64, mode uint32, err error) {
	if !inside(p) {
		g.t.Errorf("the snapshot was asked for %q", p)
	}
	return g.memory.Stat(ctx, p)
}

func (g guarded) List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error {
	if !inside(dir) {
		g.t.Errorf("the snapshot was asked for %q", dir)
	}
	return g.memory.List(ctx, dir, recurse, visit)
}

func TestAWorkerThatAsksForMoreIsKilled(t *testing.T) {
	for name := range evil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRenderer(t, Options{WorkerCommand: []string{"worker-evil-" + name}, Workers: 1, Limits: Limits{TotalBytes: 1 << 20}})
			snap := guarded{snapshotOf(map[string]string{"app/a.yaml": configMap("a"), "big": strings.Repeat("x", 1<<20)}), t}
			_, err := r.Render(t.Context(), Request{AppName: "web", Source: model.Source{Path: "app"}, Snapshot: snap, Refs: map[string]func(context.Context) (Snapshot, error){
				"values": func(context.Context) (Snapshot, error) { return snap, nil },
			}})
			if !errors.Is(err, errQuestion) {
				t.Errorf("got %v", err)
			}
			// The next job gets another process.
			if _, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap}); !errors.Is(err, errQuestion) {
				t.Errorf("got %v", err)
			}
			if st := r.pool.Stats(); st.Started != 2 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestAWorkerThatLiesIsAnError(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-liar"}})
	snap := snapshotOf(map[string]string{"app/a.yaml": configMap("a")})
	if res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap}); err == nil || len(res.Objects) > 0 {
		t.Errorf("%+v %v", res, err)
	}
}

func TestAToolThatBreaksCostsItsRenderOnly(t *testing.T) {
	r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}, Workers: 1})
	s := newScene(map[string]string{"app/Chart.yaml": "panic"})
	_, err := r.Render(t.Context(), s.request())
	if e := fault.As(err); e.Code != "render_failed" || e.Kind != fault.Unprocessable || strings.Contains(err.Error(), "bug\n") || strings.Contains(err.Error(), "goroutine") {
		t.Errorf("got %v", err)
	}
	s.snap = s.snap.with("app/Chart.yaml", "recurse")
	if _, err := r.Render(t.Context(), s.request()); !fault.HasCode(err, "render_crashed") {
		t.Errorf("got %v", err)
	}
	s.snap = s.snap.with("app/Chart.yaml", "stat x")
	if res, err := r.Render(t.Context(), s.request()); err != nil || said(res) != "[stat false false end]" {
		t.Errorf("%s %v", said(res), err)
	}
	// A process whose tool panicked is not used again.
	if st := r.pool.Stats(); st.Started != 3 || st.Crashed != 1 {
		t.Errorf("%+v", st)
	}
}

// attack stands for a tool that a chart has taken over: it does what Chart.yaml
// says, and a ConfigMap tells what came of it.
func attack(w *workspace.Workspace, _ choice) (workspace.Output, error) {
	script, err := w.Read(workspace.Main, w.Dir+"/Chart.yaml")
	if err != nil {
		return workspace.Output{}, err
	}
	verb, arg, _ := strings.Cut(strings.TrimSpace(string(script)), " ")
	switch verb {
	case "read":
		var text []byte
		text, err = os.ReadFile(arg)
		verb = string(text)
	case "write":
		err = os.WriteFile(arg, []byte("canary"), 0o600)
	case "dial":
		var c net.Conn
		if c, err = net.Dial("tcp", arg); err == nil {
			err = c.Close()
		}
	case "lookup":
		// The C library's resolver says less about what was not permitted.
		_, err = (&net.Resolver{PreferGo: true}).LookupHost(context.Background(), "localhost.example")
	case "exec":
		err = exec.Command("/bin/touch", arg).Run()
	case "forks":
		for range 1000 {
			if err = exec.Command("/bin/sleep", "60").Start(); err != nil {
				break
			}
		}
	case "threads":
		for range 2000 {
			go func() { runtime.LockOSThread(); select {} }()
		}
		time.Sleep(time.Second) // until the process is gone
	case "spin":
		for n := 0; ; n++ {
			_ = n
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "eat":
		var hoard [][]byte
		for {
			hoard = append(hoard, bytes.Repeat([]byte("x"), 1<<20))
			runtime.KeepAlive(hoard)
		}
	case "flood":
		chunk := bytes.Repeat([]byte("canary: canary\n"), 1<<16)
		for range (10 << 30) / len(chunk) {
			if _, err := os.Stdout.Write(chunk); err != nil {
				os.Exit(1)
			}
		}
	case "shout":
		chunk := bytes.Repeat([]byte("canary\n"), 1<<16)
		for {
			if _, err := os.Stderr.Write(chunk); err != nil {
				os.Exit(1)
			}
		}
	case "segv":
		err = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(0)
	}
	objects, parseErr := manifest.Parse("attack", fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {said: %q}\n", fmt.Sprint(verb, " ", err)), manifest.Limits{})
	return workspace.Output{Objects: objects}, parseErr
}

func init() {
	testWorkers["worker-attack"] = func(in, out *os.File) error {
		return serveWorker(in, out, toolset{toolDirectory: tools[toolDirectory], toolHelm: {render: attack}})
	}
}

// What a chart makes a worker do ends in its own render, as an error that says
// what happened, while another application renders beside it.
func TestAnAttackCostsItsRenderOnly(t *testing.T) {
	if runtime.GOOS != "linux" || !worker.Kernel().Seccomp {
		t.Skip("no sandbox on this machine")
	}
	dir := t.TempDir()
	secret, canary := filepath.Join(dir, "secret"), filepath.Join(dir, "canary")
	if err := os.WriteFile(secret, []byte("HAWSER-CANARY"), 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Int64
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			seen.Add(1)
			_ = c.Close()
		}
	}()
	defer func() { _ = l.Close(); <-listening }()

	var log bytes.Buffer
	r := newRenderer(t, Options{
		WorkerCommand: []string{"worker-attack"}, Workers: 2, Deadline: 10 * time.Second, CPULimit: time.Second, MemoryLimit: 256 << 20,
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for script, want := range map[string]string{
		"read " + secret:            "permitted",
		"read /proc/self/environ":   "permitted",
		"read /etc/hostname":        "permitted",
		"write " + canary:           "permitted",
		"dial " + l.Addr().String(): "permitted",
		"lookup":                    "permitted",
		"exec " + canary:            "permitted",
		"forks":                     "permitted",
		"threads":                   "render_crashed",
		"spin":                      "render_timeout",
		"eat":                       "render_crashed",
		"flood":                     "render_crashed",
		"shout":                     "render_timeout",
		"segv":                      "render_crashed",
		"exit":                      "render_crashed",
	} {
		name, _, _ := strings.Cut(script, " ")
		t.Run(name, func(t *testing.T) {
			sibling := make(chan error, 1)
			go func() {
				snap := snapshotOf(map[string]string{"app/a.yaml": configMap("sibling-" + name)})
				res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap})
				if err == nil && len(res.Objects) != 1 {
					err = fmt.Errorf("%d objects", len(res.Objects))
				}
				sibling <- err
			}()
			started := time.Now()
			res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snapshotOf(map[string]string{"app/Chart.yaml": script + "\n"})})
			took := time.Since(started)
			if strings.HasPrefix(want, "render_") {
				if e := fault.As(err); e.Code != want || e.Kind != fault.Unprocessable || strings.Contains(e.Error(), "canary") {
					t.Errorf("got %v", err)
				}
			} else if err != nil || !strings.Contains(said(res), want) {
				t.Errorf("got %v %v", res.Objects, err)
			}
			if took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			if err := <-sibling; err != nil {
				t.Errorf("the application beside it: %v", err)
			}
		})
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("the server saw %d connections", n)
	}
	if _, err := os.Stat(canary); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the canary is there: %v", err)
	}
	if strings.Contains(log.String(), "HAWSER-CANARY") || len(log.String()) > 1<<20 {
		t.Errorf("%d bytes of log", log.Len())
	}
}

func TestA46_RenderWorkersAreInTheStrictestSandbox(t *testing.T) {
	if runtime.GOOS != "linux" || !worker.Kernel().Seccomp {
		t.Skip("no sandbox on this machine")
	}
	r := newRenderer(t, Options{})
	if err := r.pool.Warm(1); err != nil {
		t.Fatal(err)
	}
	snap := snapshotOf(map[string]string{"app/a.yaml": configMap("a")})
	if _, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap}); err != nil {
		t.Fatal(err)
	}
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range children {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that ended
		}
		for _, pid := range strings.Fields(string(text)) {
			command, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			if !strings.Contains(string(command), "worker-render") {
				continue
			}
			status, err := os.ReadFile("/proc/" + pid + "/status")
			if err != nil {
				continue // it ended
			}
			found++
			for _, line := range []string{"Seccomp:\t2\n", "NoNewPrivs:\t1\n"} {
				if !strings.Contains(string(status), line) {
					t.Errorf("process %s: no %q", pid, line)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no render worker was found")
	}
}

func TestAKeptResultThatWasChangedIsRenderedAgain(t *testing.T) {
	for name, spoil := range map[string]func(value, other []byte) []byte{
		"content": func(value, _ []byte) []byte {
			value[len(value)/2] ^= 1
			return value
		},
		"its bundle":       func(value, _ []byte) []byte { value[len(value)-9] ^= 1; return value },
		"another's result": func(_, other []byte) []byte { return other },
		"cut":              func(value, _ []byte) []byte { return value[:len(value)-5] },
		"cut to nothing":   func([]byte, []byte) []byte { return nil },
		"a long header":    func(value, _ []byte) []byte { return append([]byte{0xff, 0xff, 0xff, 0x7f}, value...) },
		"another's bundle under its header": func(value, other []byte) []byte {
			mine, _ := decodeRendered(value)
			theirs, _ := decodeRendered(other)
			mine.encoded = theirs.encoded
			out, _ := mine.encode()
			return out
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRenderer(t, Options{})
			snap := snapshotOf(map[string]string{"app/a.yaml": configMap("a"), "other/b.yaml": configMap("b")})
			other, err := r.Render(t.Context(), Request{Source: model.Source{Path: "other"}, Snapshot: snap})
			if err != nil {
				t.Fatal(err)
			}
			req := Request{Source: model.Source{Path: "app"}, Snapshot: snap}
			first, err := r.Render(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			mine, _ := r.opts.Results.Get(t.Context(), first.Key)
			theirs, ok := r.opts.Results.Get(t.Context(), other.Key)
			if mine == nil || !ok {
				t.Fatal("nothing is kept")
			}
			r.opts.Results.Put(t.Context(), first.Key, spoil(slices.Clone(mine), slices.Clone(theirs)))
			jobs := r.pool.Stats().Jobs
			again, err := r.Render(t.Context(), req)
			if err != nil || again.Digest != first.Digest || names(again.Objects) != "a" || again.Key != first.Key {
				t.Errorf("%+v %v", again, err)
			}
			if got := r.pool.Stats().Jobs - jobs; got != 1 {
				t.Errorf("%d renders", got)
			}
			if _, err := r.Render(t.Context(), req); err != nil || r.pool.Stats().Jobs-jobs != 1 {
				t.Errorf("the good result was not kept: %v", err)
			}
		})
	}
}

func FuzzQuestionPaths(f *testing.F) {
	for _, p := range []string{"", ".", "..", "../x", "a/../b", "/a", "a//b", "a/", "a/./b", "a\\b", "a\x00", "..a", "a..", strings.Repeat("a/", 3000)} {
		f.Add("", p)
		f.Add("ref:values", p)
		f.Add("ref:", p)
	}
	f.Fuzz(func(t *testing.T, tree, p string) {
		snap := guarded{snapshotOf(map[string]string{"a/b": "x"}), t}
		a := newAnswers(Request{Snapshot: snap, Refs: map[string]func(context.Context) (Snapshot, error){
			"values": func(context.Context) (Snapshot, error) { return snap, nil },
		}}, nil, DefaultLimits(), "")
		for _, q := range []*workerv1.Question{
			stat(tree, p), read(tree, p),
			{Question: &workerv1.Question_List{List: &workerv1.ListFiles{Tree: tree, Path: p}}},
			{Question: &workerv1.Question_Overrides{Overrides: &workerv1.Overrides{Path: p}}},
		} {
			_, err := a.ask(t.Context(), q)
			if err != nil && !errors.Is(err, errQuestion) {
				t.Errorf("%q %q: %v", tree, p, err)
			}
			segments := "/" + p + "/"
			if err == nil && (strings.Contains(segments, "/../") || p != "" && strings.Contains(segments, "//")) {
				t.Errorf("%q was taken", p)
			}
		}
	})
}
