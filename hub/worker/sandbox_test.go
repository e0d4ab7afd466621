//go:build linux

package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"

	"github.com/hawser-dev/hawser/shared/fault"
)

func sandboxed(t testing.TB, p *Profile, opts Options) *Pool {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	opts.Sandbox = p
	if opts.Command == nil {
		opts.Command = []string{"sandboxed-worker"}
	}
	opts.Command = append([]string{exe}, opts.Command...)
	return newPool(t, opts)
}

// needs skips a test on kernels that lack what it is about.
func needs(t *testing.T, seccomp bool, landlock int) {
	t.Helper()
	if offer := Kernel(); seccomp && !offer.Seccomp || offer.Landlock < landlock {
		t.Skipf("this kernel has %v", offer.LogValue())
	}
	if raceDetector {
		t.Skip("the race detector's own calls are not on the list")
	}
}

// server is a TCP listener that counts who comes.
func server(t *testing.T) (address string, seen func() int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String(), n.Load
}

func refused(t *testing.T, p *Pool, attempt string) {
	t.Helper()
	if got := mustCall(t, p, attempt); !strings.HasPrefix(got, "error: ") {
		t.Errorf("%s: %q", attempt, got)
	}
}

// withoutCgo is how the hub is built; with it, Go cannot drop the capabilities
// of all threads.
func withoutCgo() bool {
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETUID, 0, 0, 0)
	return errno != syscall.ENOTSUP
}

func TestTheStateIsWhatTheKernelOffers(t *testing.T) {
	offer := Kernel()
	var s State
	p := sandboxed(t, &Profile{}, Options{})
	if err := json.Unmarshal([]byte(mustCall(t, p, "state")), &s); err != nil {
		t.Fatal(err)
	}
	if s.Landlock != offer.Landlock || s.Seccomp != offer.Seccomp || !s.NoNewPrivileges || withoutCgo() && !s.Capabilities {
		t.Errorf("%+v, the kernel offers %+v", s, offer)
	}
	// As others see it.
	pid := mustCall(t, p, "pid")
	want := []string{"NoNewPrivs:\t1"}
	if offer.Seccomp {
		want = append(want, "Seccomp:\t2")
	}
	if withoutCgo() {
		want = append(want, "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000")
	}
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*/status")
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%v %v", tasks, err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that ended
		}
		for _, line := range want {
			if !strings.Contains(string(status), line+"\n") {
				t.Errorf("%s: no %q", task, line)
			}
		}
	}
	limits, err := os.ReadFile("/proc/" + pid + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(limits)), " ")
	for _, line := range []string{"Max core file size 0 0 bytes", "Max file size 0 0 bytes", "Max open files 64 64 files"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in %s", line, limits)
		}
	}
	if got := mustCall(t, p, "env"); got != "" {
		t.Errorf("environment %q", got)
	}
}

func TestTheStrictestProfileReachesNothing(t *testing.T) {
	needs(t, true, 0)
	dir := t.TempDir()
	secret, canary := filepath.Join(dir, "secret"), filepath.Join(dir, "canary")
	if err := os.WriteFile(secret, []byte("canary"), 0o666); err != nil {
		t.Fatal(err)
	}
	address, seen := server(t)
	socket := filepath.Join(dir, "s")
	unixServer, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer unixServer.Close()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	victim := exec.Command("sleep", "60")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()

	p := sandboxed(t, nil, Options{})
	pid := mustCall(t, p, "pid")
	for _, attempt := range []string{
		"read " + secret, "read /etc/passwd", "read /proc/self/environ", "read /proc/self/maps", fmt.Sprintf("read /proc/%d/environ", os.Getpid()),
		fmt.Sprintf("list /proc/%d/fd", os.Getpid()), "list /", "list " + dir, "stat " + secret, "stat /", "write " + canary, "move " + secret + " " + canary, "remove " + secret,
		"dial " + address, "udp " + packets.LocalAddr().String(), "unix " + socket, "listen",
		"exec touch " + canary, "exec /bin/true", "execve /bin/true",
		fmt.Sprintf("kill %d", victim.Process.Pid), fmt.Sprintf("kill %d", os.Getpid()), "kill -1",
		"files",
	} {
		refused(t, p, attempt)
	}
	if again := mustCall(t, p, "pid"); again != pid {
		t.Errorf("an attempt cost the process: %s became %s", pid, again)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "canary" {
		t.Errorf("the secret is gone: %v", err)
	}
	if _, err := os.Stat(canary); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the canary is there: %v", err)
	}
	if n := seen(); n != 0 {
		t.Errorf("the server saw %d connections", n)
	}
	if err := packets.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, _, err := packets.ReadFrom(make([]byte, 10)); err == nil {
		t.Errorf("%d bytes came by UDP", n)
	}
	if err := victim.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process: %v", err)
	}
}

func TestAProfileWithNetworkAndDirectories(t *testing.T) {
	needs(t, true, 2)
	dir, own := t.TempDir(), t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("canary"), 0o666); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(own, "s")
	unixServer, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer unixServer.Close()
	address, seen := server(t)
	p := sandboxed(t, &Profile{Network: true, Write: []string{own}, Read: append(ClientFiles(), "/no/such/file")}, Options{OpenFiles: 128, FileLimit: 8 << 20})
	for attempt, want := range map[string]string{
		"dial " + address:               "connected",
		"write " + own + "/a":           "written",
		"list /etc/ssl":                 "",
		"write " + own + "/known-hosts": "written",
	} {
		if got := mustCall(t, p, attempt); strings.HasPrefix(got, "error") || want != "" && got != want {
			t.Errorf("%s: %q", attempt, got)
		}
	}
	// The kernel connects before the server has taken the connection and counted it.
	for deadline := time.Now().Add(10 * time.Second); seen() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server saw %d connections", seen())
		}
	}
	if err := os.Mkdir(own+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, attempt := range []string{"move " + own + "/a " + own + "/sub/a", "read " + own + "/sub/a", "remove " + own + "/sub/a"} {
		if got := mustCall(t, p, attempt); strings.HasPrefix(got, "error") {
			t.Errorf("%s: %q", attempt, got)
		}
	}
	for _, attempt := range []string{
		"read " + secret, "write " + dir + "/canary", "move " + own + "/known-hosts " + dir + "/canary", "read /etc/passwd", "list /", "read /proc/self/environ", "list /proc",
		"exec touch " + own + "/canary", "execve /bin/true", "listen", "unix " + socket, fmt.Sprintf("kill %d", os.Getpid()), "kill -1",
	} {
		refused(t, p, attempt)
	}
	for _, path := range []string{dir + "/canary", own + "/canary"} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
	// A file beyond the limit ends the process and takes no more disk.
	if got, err := call(t.Context(), p, time.Minute, "fill "+own+"/big"); err == nil && !strings.HasPrefix(got, "error") {
		t.Errorf("got %q", got)
	}
	if info, err := os.Stat(own + "/big"); err != nil || info.Size() > 8<<20 {
		t.Errorf("%v %v", info, err)
	}
}

func TestAProfileWithCommands(t *testing.T) {
	needs(t, true, 0)
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("no unshare command")
	}
	own := t.TempDir()
	p := sandboxed(t, &Profile{Network: true, Commands: true, Read: []string{"/"}, Write: []string{own}}, Options{OpenFiles: 128, Env: []string{"PATH=" + os.Getenv("PATH")}})
	if got := mustCall(t, p, "exec echo hello"); got != "hello" {
		t.Errorf("got %q", got)
	}
	if got := mustCall(t, p, "exec cp /etc/hostname "+own+"/copy"); got != "" {
		t.Errorf("got %q", got)
	}
	elsewhere := filepath.Join(t.TempDir(), "canary")
	refused(t, p, "exec unshare --user true")
	refused(t, p, "exec unshare --mount true")
	refused(t, p, "listen")
	if Kernel().Landlock > 0 {
		refused(t, p, "exec touch "+elsewhere)
	}
	if _, err := os.Stat(elsewhere); Kernel().Landlock > 0 && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the canary is there: %v", err)
	}
}

// Older kernels, and container runtimes that hide calls.
func TestKernelsThatOfferLess(t *testing.T) {
	dir := t.TempDir()
	secret, canary := filepath.Join(dir, "secret"), filepath.Join(dir, "canary")
	if err := os.WriteFile(secret, []byte("canary"), 0o666); err != nil {
		t.Fatal(err)
	}
	address, seen := server(t)
	attempts := []string{"read " + secret, "write " + canary, "list " + dir, "remove " + secret, "dial " + address, "exec touch " + canary, "execve /bin/true"}
	for name, tt := range map[string]struct {
		landlock int
		seccomp  bool
		blocked  bool
	}{
		"landlock": {4, false, true}, // the first that bounds TCP
		"seccomp":  {0, true, true},
		"nothing":  {0, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			needs(t, tt.seccomp, tt.landlock)
			p := sandboxed(t, nil, Options{Command: []string{"sandboxed-worker-" + name}})
			if got := mustCall(t, p, "echo on"); got != "on" {
				t.Errorf("got %q", got)
			}
			var s State
			if err := json.Unmarshal([]byte(mustCall(t, p, "state")), &s); err != nil {
				t.Fatal(err)
			}
			if s.Seccomp != tt.seccomp || (s.Landlock > 0) != (tt.landlock > 0) || withoutCgo() && !s.NoNewPrivileges {
				t.Errorf("%+v", s)
			}
			if !tt.blocked {
				return
			}
			for _, attempt := range attempts {
				refused(t, p, attempt)
			}
			if _, err := os.Stat(canary); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the canary is there: %v", err)
			}
			if _, err := os.Stat(secret); err != nil {
				t.Error(err)
			}
			if n := seen(); n != 0 {
				t.Errorf("the server saw %d connections", n)
			}
		})
	}
}

func TestWeakKernelsAreNamed(t *testing.T) {
	for offer, want := range map[KernelOffer]string{
		{}:                           "landlock=no seccomp=no limits=no true",
		{Landlock: 3, Limits: true}:  "landlock=abi 3 seccomp=no limits=yes true",
		{Landlock: 4, Limits: true}:  "landlock=abi 4 seccomp=no limits=yes true",
		{Landlock: 0, Seccomp: true}: "landlock=no seccomp=yes limits=no false",
		{Landlock: 7, Seccomp: true, Limits: true}: "landlock=abi 7 seccomp=yes limits=yes false",
	} {
		var parts []string
		for _, a := range offer.LogValue().Group() {
			parts = append(parts, a.String())
		}
		if got := fmt.Sprint(strings.Join(parts, " "), " ", offer.Weak()); got != want {
			t.Errorf("%+v: %s, want %s", offer, got, want)
		}
	}
}

func TestAProfileThatCannotBeReadEndsTheWorker(t *testing.T) {
	p := sandboxed(t, nil, Options{Env: []string{profileVariable + "={"}})
	if _, err := call(t.Context(), p, time.Minute, "echo"); !fault.HasCode(err, "worker_crashed") || !strings.Contains(fault.As(err).Cause.Error(), profileVariable) {
		t.Errorf("got %v", err)
	}
}

// The filter of other architectures is built here, and run in a simulator.
func TestFiltersOfEveryArchitecture(t *testing.T) {
	for _, name := range []string{"amd64", "arm64", "arm", "386"} {
		t.Run(name, func(t *testing.T) {
			info, err := arch.GetInfo(name)
			if err != nil {
				t.Fatal(err)
			}
			for profile, p := range map[string]Profile{
				"strict": {}, "network": {Network: true}, "files": {Network: true, Write: []string{"/x"}}, "commands": {Commands: true},
			} {
				policy := policyOf(p, info, 4242)
				for _, g := range policy.Syscalls {
					if len(g.Names)+len(g.NamesWithCondtions) == 0 {
						t.Errorf("%s: an empty group", profile)
					}
				}
				if name != runtime.GOARCH {
					continue // only this one's numbers are in the program
				}
				program, err := policy.Assemble()
				if err != nil {
					t.Fatalf("%s: %v", profile, err)
				}
				if raw, err := bpf.Assemble(program); err != nil || len(raw) > 4096 {
					t.Errorf("%s: %d instructions, %v", profile, len(raw), err)
				}
			}
		})
	}
}

func TestCPUTimeIsCountedForEachJob(t *testing.T) {
	p := newPool(t, Options{CPULimit: 400 * time.Millisecond, Env: []string{"GOMAXPROCS=1"}})
	pid := mustCall(t, p, "pid")
	// Together far more than the limit, each below it.
	for range 5 {
		if got := mustCall(t, p, "spin 150"); got != "spun" {
			t.Fatalf("got %q", got)
		}
	}
	// Waiting costs nothing.
	if got := mustCall(t, p, "wait 600"); got != "waited" {
		t.Errorf("got %q", got)
	}
	if again := mustCall(t, p, "pid"); again != pid {
		t.Errorf("process %s became %s", pid, again)
	}
	started := time.Now()
	_, err := call(t.Context(), p, time.Minute, "spin 100000")
	if e := fault.As(err); e.Code != "worker_cpu_exceeded" || e.Message != "the test used more than 400ms of CPU time and was stopped" {
		t.Errorf("got %v", err)
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	if s := p.Stats(); s.Killed != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAProcessThatSaysTooMuchIsNotUsedAgain(t *testing.T) {
	p := newPool(t, Options{})
	pid := mustCall(t, p, "pid")
	// "two" was written first.
	if got := mustCall(t, p, "chatter"); got != "two" {
		t.Errorf("got %q", got)
	}
	if again := mustCall(t, p, "pid"); again == pid || again == "one" {
		t.Errorf("got %q", again)
	}
}

func TestOldProcessesAreReplaced(t *testing.T) {
	p := newPool(t, Options{MaxAge: time.Nanosecond})
	if first, second := mustCall(t, p, "pid"), mustCall(t, p, "pid"); first == second {
		t.Error("the process was not replaced")
	}
}

func TestAFloodOfOutputIsCutOff(t *testing.T) {
	p := newPool(t, Options{MaxFrame: 1 << 20})
	for _, attempt := range []string{"flood", "promise 4294967295", "promise 1048577", "huge"} {
		if _, err := call(t.Context(), p, time.Minute, attempt); !fault.HasCode(err, "worker_crashed") {
			t.Errorf("%s: %v", attempt, err)
		}
	}
	// What is promised and does not come costs no memory, and the deadline ends it.
	whole := newPool(t, Options{})
	before := heap()
	if _, err := call(t.Context(), whole, 300*time.Millisecond, "promise "+strconv.Itoa(MaxFrame)); !fault.HasCode(err, "worker_timeout") {
		t.Errorf("got %v", err)
	}
	if grown := int64(heap()) - int64(before); grown > MaxFrame/4 {
		t.Errorf("%d bytes were set aside", grown)
	}
	if got := mustCall(t, whole, "shout"); got != "shouted" {
		t.Errorf("got %q", got)
	}
	if got := len(mustCall(t, whole, "huge")); got != 3<<20 {
		t.Errorf("%d bytes", got)
	}
}

// heap is what was allocated since the start.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
