package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hawser-dev/hawser/shared/fault"
)

// TestMain lets the test binary be the worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "test-worker" || strings.HasPrefix(os.Args[1], "sandboxed-worker")) {
		var err error
		kernel := Kernel()
		switch os.Args[1] {
		case "sandboxed-worker":
			entered, err = Sandbox()
		case "sandboxed-worker-landlock":
			entered, err = enter(Profile{}, KernelOffer{Landlock: kernel.Landlock})
		case "sandboxed-worker-seccomp":
			entered, err = enter(Profile{}, KernelOffer{Seccomp: kernel.Seccomp})
		case "sandboxed-worker-nothing":
			entered, err = enter(Profile{}, KernelOffer{})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := Serve(os.Stdin, os.Stdout, testWorker); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func testWorker(c *Conn) error {
	var in wrapperspb.StringValue
	if err := c.Receive(&in); err != nil {
		return err
	}
	verb, rest, _ := strings.Cut(in.GetValue(), " ")
	switch verb {
	case "crash":
		panic("last words: " + rest)
	case "hang":
		time.Sleep(time.Hour) // not select {}: the runtime would call that a deadlock
	case "eat":
		var hoard [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			hoard = append(hoard, b)
			runtime.KeepAlive(hoard)
		}
	case "grow":
		grown = make([]byte, 64<<20)
		for i := range grown {
			grown[i] = 1
		}
	case "env":
		return c.Send(wrapperspb.String(strings.Join(os.Environ(), ",")))
	case "pid":
		return c.Send(wrapperspb.String(fmt.Sprint(os.Getpid())))
	case "huge":
		return c.Send(wrapperspb.String(strings.Repeat("x", 3<<20)))
	case "rubbish":
		_, err := os.Stdout.WriteString("\xff\xff\xff\xff")
		return err
	}
	if attempt, ok := attempts[verb]; ok {
		rest = outcome(attempt(rest))
	}
	return c.Send(wrapperspb.String(rest))
}

var grown []byte

// entered is what Sandbox said in this worker.
var entered State

func newPool(t testing.TB, opts Options) *Pool {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	opts.Name = "test"
	if opts.Command == nil {
		opts.Command = []string{exe, "test-worker"}
	}
	p := NewPool(opts)
	t.Cleanup(p.Close)
	return p
}

func call(ctx context.Context, p *Pool, limit time.Duration, msg string) (string, error) {
	var out wrapperspb.StringValue
	err := p.Do(ctx, limit, func(c *Conn) error {
		if err := c.Send(wrapperspb.String(msg)); err != nil {
			return err
		}
		if err := c.Receive(&out); err != nil {
			return err
		}
		c.Finished()
		return nil
	})
	return out.GetValue(), err
}

func mustCall(t *testing.T, p *Pool, msg string) string {
	t.Helper()
	out, err := call(t.Context(), p, time.Minute, msg)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOneProcessServesManyJobs(t *testing.T) {
	p := newPool(t, Options{Max: 4})
	pid := mustCall(t, p, "pid")
	for i := range 50 {
		if got := mustCall(t, p, fmt.Sprintf("echo %d", i)); got != fmt.Sprint(i) {
			t.Fatalf("got %q", got)
		}
	}
	if got := len(mustCall(t, p, "huge")); got != 3<<20 {
		t.Fatalf("%d bytes came back", got)
	}
	if again := mustCall(t, p, "pid"); again != pid {
		t.Errorf("process %s became %s", pid, again)
	}
	if s := p.Stats(); s.Started != 1 || s.Jobs != 53 || s.Crashed+s.Killed+s.Recycled != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEnvironmentIsOnlyWhatTheOptionsSay(t *testing.T) {
	t.Setenv("HAWSER_SECRET", "canary")
	if got := mustCall(t, newPool(t, Options{Env: []string{"A=b"}}), "env"); got != "A=b" {
		t.Errorf("got %q", got)
	}
	if got := mustCall(t, newPool(t, Options{}), "env"); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestJobsRunAtTheSameTimeUpToMax(t *testing.T) {
	p := newPool(t, Options{Max: 3})
	var mu sync.Mutex
	running, most := 0, 0
	full := make(chan struct{})
	var wg sync.WaitGroup
	for range 9 {
		wg.Go(func() {
			err := p.Do(t.Context(), time.Minute, func(c *Conn) error {
				mu.Lock()
				running++
				if most = max(most, running); running == 3 {
					select {
					case <-full:
					default:
						close(full)
					}
				}
				mu.Unlock()
				<-full // three at the same time, or the test ends at its deadline
				mu.Lock()
				running--
				mu.Unlock()
				c.Finished()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most != 3 {
		t.Errorf("%d jobs at the same time", most)
	}
}

func TestCrashTakesOnlyItsJob(t *testing.T) {
	p := newPool(t, Options{Max: 2})
	_, err := call(t.Context(), p, time.Minute, "crash boom")
	e := fault.As(err)
	if e.Code != "worker_crashed" || e.Kind != fault.Unavailable {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(e.Message, "boom") || !strings.Contains(e.Cause.Error(), "last words: boom") {
		t.Errorf("message %q, cause %q", e.Message, e.Cause)
	}
	if got := mustCall(t, p, "echo on"); got != "on" {
		t.Errorf("got %q", got)
	}
	if _, err := call(t.Context(), p, time.Minute, "rubbish"); !fault.HasCode(err, "worker_crashed") {
		t.Errorf("rubbish: %v", err)
	}
	if s := p.Stats(); s.Crashed != 2 || s.Started != 2 {
		t.Errorf("%+v", s)
	}
}

func TestDeadlineKills(t *testing.T) {
	p := newPool(t, Options{})
	if _, err := call(t.Context(), p, 50*time.Millisecond, "hang"); !fault.HasCode(err, "worker_timeout") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	go func() { <-started; cancel() }()
	err := p.Do(ctx, time.Minute, func(c *Conn) error {
		if err := c.Send(wrapperspb.String("hang")); err != nil {
			return err
		}
		close(started)
		return c.Receive(&wrapperspb.StringValue{})
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := mustCall(t, p, "echo on"); got != "on" {
		t.Errorf("got %q", got)
	}
	if s := p.Stats(); s.Killed != 2 {
		t.Errorf("%+v", s)
	}
}

func TestWaitingForAProcessEndsWithItsContext(t *testing.T) {
	p := newPool(t, Options{})
	release := make(chan struct{})
	busy := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.Do(t.Context(), 0, func(c *Conn) error { close(busy); <-release; c.Finished(); return nil }); err != nil {
			t.Error(err)
		}
	})
	<-busy
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := call(ctx, p, 0, "echo"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	wg.Wait()
}

func TestMemoryLimit(t *testing.T) {
	if runtime.GOOS != "linux" || raceDetector {
		t.Skip("limits on memory exist on Linux only, and not with the race detector")
	}
	p := newPool(t, Options{MemoryLimit: 256 << 20, Env: []string{"GOMAXPROCS=1"}})
	_, err := call(t.Context(), p, time.Minute, "eat")
	if !fault.HasCode(err, "worker_crashed") || !strings.Contains(fault.As(err).Cause.Error(), "out of memory") {
		t.Errorf("got %v", err)
	}
	if got := mustCall(t, p, "echo on"); got != "on" {
		t.Errorf("got %q", got)
	}
}

func TestProcessesAreReplaced(t *testing.T) {
	byJobs := newPool(t, Options{MaxJobs: 2})
	first, second, third := mustCall(t, byJobs, "pid"), mustCall(t, byJobs, "pid"), mustCall(t, byJobs, "pid")
	if first != second || second == third {
		t.Errorf("pids %s %s %s", first, second, third)
	}
	if runtime.GOOS != "linux" {
		return
	}
	bySize := newPool(t, Options{RecycleRSS: 48 << 20})
	first = mustCall(t, bySize, "pid")
	mustCall(t, bySize, "grow")
	if again := mustCall(t, bySize, "pid"); again == first {
		t.Error("the process was not replaced")
	}
}

func TestRenewedPoolsUseNewProcesses(t *testing.T) {
	p := newPool(t, Options{Max: 2})
	idle := mustCall(t, p, "pid")
	var running string
	err := p.Do(t.Context(), 0, func(c *Conn) error {
		running = idle // the one that was idle is busy now
		p.Renew()
		var out wrapperspb.StringValue
		err := errors.Join(c.Send(wrapperspb.String("pid")), c.Receive(&out))
		if out.GetValue() != running {
			t.Errorf("the job ran in %s, want %s", out.GetValue(), running)
		}
		c.Finished()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh := mustCall(t, p, "pid")
	if fresh == running {
		t.Error("a process from before had another job")
	}
	p.Renew()
	if again := mustCall(t, p, "pid"); again == fresh {
		t.Error("an idle process from before had another job")
	}
}

func TestUnfinishedJobCostsTheProcess(t *testing.T) {
	p := newPool(t, Options{})
	first := mustCall(t, p, "pid")
	own := errors.New("own")
	if err := p.Do(t.Context(), 0, func(c *Conn) error { return own }); !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
	if again := mustCall(t, p, "pid"); again == first {
		t.Error("the process had another job")
	}
}

func TestIdleProcessesEnd(t *testing.T) {
	p := newPool(t, Options{Max: 3, Idle: 50 * time.Millisecond})
	if err := p.Warm(3); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	procs := append([]*process(nil), p.idle...)
	p.mu.Unlock()
	if len(procs) != 3 {
		t.Fatalf("%d processes", len(procs))
	}
	for _, proc := range procs[:2] {
		select {
		case <-proc.exited:
		case <-time.After(20 * time.Second):
			t.Fatal("an idle process lives on")
		}
	}
	if !procs[2].alive() {
		t.Error("the last process ended as well")
	}
}

func TestADeadIdleProcessIsNotUsed(t *testing.T) {
	p := newPool(t, Options{})
	if err := p.Warm(1); err != nil {
		t.Fatal(err)
	}
	proc := p.idle[0]
	proc.kill()
	<-proc.exited
	if got := mustCall(t, p, "echo on"); got != "on" {
		t.Errorf("got %q", got)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	p := newPool(t, Options{Max: 2})
	mustCall(t, p, "echo")
	var result error
	started := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		result = p.Do(context.Background(), 0, func(c *Conn) error {
			if err := c.Send(wrapperspb.String("hang")); err != nil {
				return err
			}
			close(started)
			return c.Receive(&wrapperspb.StringValue{})
		})
	})
	<-started
	p.Close()
	wg.Wait()
	if !fault.HasCode(result, "worker_unavailable") {
		t.Errorf("got %v", result)
	}
	if _, err := call(t.Context(), p, 0, "echo"); !fault.HasCode(err, "worker_unavailable") {
		t.Errorf("got %v", err)
	}
	p.Close()
}

func TestNoCommand(t *testing.T) {
	p := NewPool(Options{Name: "test", Command: []string{filepath.Join(t.TempDir(), "missing")}})
	defer p.Close()
	_, err := call(t.Context(), p, 0, "echo")
	if !fault.HasCode(err, "worker_unavailable") {
		t.Errorf("got %v", err)
	}
}

func TestServeEndsWithItsInput(t *testing.T) {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(r, io.Discard, testWorker) }()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := Serve(strings.NewReader("\x00\x00"), io.Discard, testWorker); err == nil {
		t.Error("half a frame is no error")
	}
	if err := Serve(strings.NewReader("\xff\xff\xff\xff"), io.Discard, testWorker); err == nil {
		t.Error("a frame beyond the limit is no error")
	}
}

func TestProblemsKeepEverything(t *testing.T) {
	one := fault.Wrap(errors.New("why"), fault.Unprocessable, "yaml_invalid", "a.yaml:1: no").WithField("f").WithFix("do").WithFound("x", "y")
	got := fault.As(Fault(Problem(fmt.Errorf("wrapped: %w", one))))
	if got.Kind != one.Kind || got.Code != one.Code || got.Message != one.Message || got.Field != "f" || got.Fix != "do" || got.Found != "x" || got.Allowed != "y" || got.Cause.Error() != "why" {
		t.Errorf("got %#v", got)
	}
	var list fault.List
	if !errors.As(Fault(Problem(fault.List{one, fault.New(fault.Invalid, "b", "c")})), &list) || len(list) != 2 || list[1].Code != "b" {
		t.Errorf("got %v", list)
	}
	if e := fault.As(Fault(Problem(errors.New("bug")))); e.Kind != fault.Internal || e.Cause.Error() != "bug" {
		t.Errorf("got %#v", e)
	}
	p := Problem(one)
	p.Kind = "nonsense"
	if e := fault.As(Fault(p)); e.Kind != fault.Internal {
		t.Errorf("got %#v", e)
	}
}
