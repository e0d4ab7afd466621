package testbed

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// helperEnv makes this test binary a parent that starts a child and waits to be
// killed.
const helperEnv = "HAWSER_TESTBED_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		p, err := StartProcess("sleep", filepath.Join(dir, "sleep.log"), dir, os.Environ(), "/bin/sh", "-c", "sleep 600")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		<-p.Exited()
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// alive tells whether a process runs; one that was not reaped yet does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return fields[0] != "Z" && fields[0] != "X"
}

func TestChildrenDieWithAKilledParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), helperEnv+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !alive(child) {
		t.Fatalf("no child: %q", line)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	eventually(t, 10*time.Second, "the child is gone", func(context.Context) error {
		if alive(child) {
			return fmt.Errorf("process %d is alive", child)
		}
		return nil
	})
}

func TestProcessStopAndFailure(t *testing.T) {
	dir := t.TempDir()
	start := func(script string) *Process {
		p, err := StartProcess("prog", filepath.Join(dir, "log"), dir, []string{"PATH=" + os.Getenv("PATH")}, "/bin/sh", "-c", script)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	failed := start("echo the reason; exit 3")
	<-failed.Exited()
	if err := failed.Failure(); err == nil || !strings.Contains(err.Error(), "the reason") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("failure: %v", err)
	}
	stubborn := start("trap '' TERM; echo ready; while :; do sleep 1; done")
	eventually(t, 10*time.Second, "it ignores the signal", func(context.Context) error {
		if log := Tail(stubborn.logPath, 1); log != "ready" {
			return fmt.Errorf("log %q", log)
		}
		return nil
	})
	if !stubborn.Running() || stubborn.Failure() != nil {
		t.Error("a running process is reported as failed")
	}
	stubborn.Stop(50 * time.Millisecond)
	if stubborn.Running() || alive(stubborn.PID()) {
		t.Error("it survived Stop")
	}
	if _, err := StartProcess("absent", filepath.Join(dir, "log"), dir, nil, filepath.Join(dir, "absent")); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("a missing program: %v", err)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for content, want := range map[string]string{
		"":                                  "",
		"a\nb\n":                            "a\nb",
		"a\nb\nc\nd\n":                      "b\nc\nd",
		strings.Repeat("x", 40<<10) + "\ny": strings.Repeat("x", 32<<10-2) + "\ny",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Tail(path, 3); got != want {
			t.Errorf("tail of %.10q… (%d bytes) is %.10q… (%d bytes)", content, len(content), got, len(got))
		}
	}
	if got := Tail(path+".missing", 3); !strings.Contains(got, "no such file") {
		t.Errorf("tail of a missing file: %q", got)
	}
}
