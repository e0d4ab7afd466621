package plugin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/hawser-dev/hawser/shared/fault"
)

// The test binary is also the hub's: with these arguments it is a host or a
// runner.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "plugin-host" {
		if err := hostMain(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func hostMain(args []string) error {
	if len(args) > 0 && args[0] == "--runner" {
		return RunnerMain(args[1:])
	}
	opts := HostOptions{Runner: []string{"/proc/self/exe", "plugin-host", "--runner"}, Ready: os.Stdout, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	f := pflag.NewFlagSet("plugin-host", pflag.ContinueOnError)
	f.StringVar(&opts.Config, "config", "", "")
	f.StringVar(&opts.Socket, "socket", "", "")
	f.BoolVar(&opts.GroupAccess, "group", false, "")
	f.StringArrayVar(&opts.Env, "env", nil, "")
	f.StringArrayVar(&opts.Hide, "hide", nil, "")
	f.StringArrayVar(&opts.Writable, "writable", nil, "")
	f.IntVar(&opts.Parallel, "parallel", 2, "")
	f.StringVar(&opts.Image, "image", "", "")
	f.DurationVar(&opts.Limits.Time, "time", 20*time.Second, "")
	f.Int64Var(&opts.Limits.Memory, "memory", 256<<20, "")
	f.Int64Var(&opts.Limits.FileBytes, "file", 0, "")
	f.IntVar(&opts.Limits.Processes, "processes", 100, "")
	withParent := f.Bool("with-parent", false, "")
	user := f.Int("user", 0, "")
	only := f.String("only", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	if underRace {
		opts.Limits.Memory = 1 << 50
	}
	if *withParent {
		opts.Parent = os.Stdin
	}
	if *only != "" {
		var mode struct {
			Pid, User, Files bool
			First            int
		}
		if err := json.Unmarshal([]byte(*only), &mode); err != nil {
			return err
		}
		opts.only = []isolation{{pidSpace: mode.Pid, userSpace: mode.User, files: mode.Files, user: mode.First}}
	}
	if *user != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(*user, *user, *user), syscall.Setresuid(*user, *user, *user)); err != nil {
			return err
		}
		// As after an exec by that user, who may then set up namespaces of its own.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return Serve(ctx, opts)
}

// isolations are the ways in which hosts run, each where it can be tried.
func isolations(t *testing.T) map[string][]string {
	t.Helper()
	if os.Geteuid() != 0 {
		return map[string][]string{"whatever there is": nil}
	}
	user := fmt.Sprint("--user=", 61000+os.Getpid()%1000)
	return map[string][]string{
		"root":                nil,
		"root without spaces": {`--only={"First":64100}`},
		"another user":        {user},
		"nothing":             {user, `--only={}`},
		"only Landlock":       {user, `--only={"Files":true}`},
	}
}

// runningHost is a host process.
type runningHost struct {
	cmd    *exec.Cmd
	socket string
	log    *lockedBuffer
	flags  []string
	exited chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// sockets is a directory that every user can reach.
func sockets(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startHost runs a host of a plugin file, as a sidecar does, until the test ends.
func startHost(t *testing.T, dir, config string, flags ...string) *runningHost {
	t.Helper()
	file := filepath.Join(dir, "plugin.yaml")
	for i := 1; ; i++ {
		if _, err := os.Stat(file); err != nil {
			break
		}
		file = filepath.Join(dir, fmt.Sprintf("plugin%d.yaml", i))
	}
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	h := &runningHost{socket: strings.TrimSuffix(file, "yaml") + "sock"}
	h.flags = append([]string{"plugin-host", "--config", file, "--socket", h.socket}, flags...)
	h.start(t)
	t.Cleanup(func() {
		h.end(t)
		if t.Failed() {
			t.Logf("host: %s", h.log)
		}
	})
	return h
}

func (h *runningHost) start(t *testing.T) {
	t.Helper()
	h.log = &lockedBuffer{}
	h.exited = make(chan struct{})
	h.cmd = exec.Command("/proc/self/exe", h.flags...)
	h.cmd.Stderr = h.log
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, ReadyNotice) {
		t.Fatalf("the host is not ready: %q %v\n%s", line, err, h.log)
	}
	go func() {
		_ = h.cmd.Wait() // how it ends is not tested here
		close(h.exited)
	}()
}

func (h *runningHost) end(t *testing.T) {
	t.Helper()
	_ = h.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-h.exited:
	case <-time.After(20 * time.Second):
		t.Error("the host does not end")
		_ = h.cmd.Process.Kill()
		<-h.exited
	}
}

func connect(t *testing.T, opts Options) *Plugins {
	t.Helper()
	p, err := Connect(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// onePlugin is a plugin with a script that generates.
func onePlugin(name, generate string) string {
	return definition(name, map[string]any{"generate": sh(generate)})
}

func sh(script string) map[string]any {
	return map[string]any{"command": []string{"sh", "-c"}, "args": []string{script}}
}

func definition(name string, spec map[string]any) string {
	text, err := json.Marshal(map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "ConfigManagementPlugin",
		"metadata": map[string]any{"name": name}, "spec": spec,
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// memory is a tree of files. A name that ends with "*" is executable, a content
// that begins with "->" a link.
type memory struct {
	files map[string]string
	root  string
	// hold, when it is not nil, is waited for before contents are given.
	hold chan struct{}
}

func files(pairs ...string) *memory {
	m := &memory{files: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		m.files[pairs[i]] = pairs[i+1]
	}
	return m
}

func (m *memory) Root() string { return m.root }

func (m *memory) get(p string) (name string, mode uint32) {
	if _, ok := m.files[p]; ok {
		return p, 0o100644
	}
	if _, ok := m.files[p+"*"]; ok {
		return p + "*", 0o100755
	}
	return "", 0
}

func (m *memory) Stat(_ context.Context, p string) (string, int64, uint32, error) {
	if name, mode := m.get(p); mode != 0 {
		return name, int64(len(m.files[name])), mode, nil
	}
	for name := range m.files {
		if p == "" || strings.HasPrefix(name, p+"/") {
			return "", 0, 0o040000, nil
		}
	}
	return "", 0, 0, nil
}

func (m *memory) List(ctx context.Context, dir string, recurse bool, visit func(string, string, int64, uint32, bool)) error {
	seen := map[string]bool{}
	var names []string
	for name := range m.files {
		name = strings.TrimSuffix(name, "*")
		rest := name
		if dir != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(name, dir+"/"); !ok {
				continue
			}
		}
		if first, _, deeper := strings.Cut(rest, "/"); deeper && !recurse {
			name = joinDir(dir, first)
		}
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return fault.New(fault.Unprocessable, "path_not_found", "%q is not there", dir)
	}
	slices.Sort(names)
	for _, p := range names {
		hash, size, mode, err := m.Stat(ctx, p)
		if err != nil {
			return err
		}
		if strings.HasPrefix(m.files[p], "->") {
			return fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s leads out of the repository", p)
		}
		visit(p, hash, size, mode, false)
	}
	return nil
}

func (m *memory) Contents(ctx context.Context, hashes []string) ([][]byte, error) {
	if m.hold != nil {
		select {
		case <-m.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		out[i] = []byte(m.files[h])
	}
	return out, nil
}

// alive says whether a process of this command line exists.
func alive(t *testing.T, word string) bool {
	t.Helper()
	for _, p := range processes() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if err == nil && p.state != 'Z' && p.pid != os.Getpid() && bytes.Contains(line, []byte(word)) {
			return true
		}
	}
	return false
}

// eventually waits for something that has no signal of its own, such as the end
// of another's process.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 15 s", what)
		}
	}
}

// copiesLeft are the copies that hosts of a socket have on disk.
func copiesLeft(t *testing.T, h *runningHost) []string {
	t.Helper()
	abs, err := filepath.Abs(h.socket)
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(os.TempDir(), workPrefix(abs)+"*", "run-*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}
