package failpoint

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build makes the program in testdata/caller, with or without failpoints.
func build(t *testing.T, tags string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds programs, which -short leaves out")
	}
	path := filepath.Join(t.TempDir(), "caller")
	out, err := exec.Command("go", "build", "-tags", tags, "-o", path, "./testdata/caller").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestAnOrdinaryBuildHasNothingOfIt(t *testing.T) {
	symbols := func(program string) (n int) {
		out, err := exec.Command("go", "tool", "nm", program).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "shared/failpoint.") {
				n++
			}
		}
		return n
	}
	plain := build(t, "")
	if n := symbols(plain); n != 0 {
		t.Errorf("the program has %d symbols of this package", n)
	}
	if n := symbols(build(t, "failpoints")); n == 0 {
		t.Error("with the tag it has none either, so that this test sees nothing")
	}
	cmd := exec.Command(plain)
	cmd.Env = append(os.Environ(), Variable+"=journal.write.before=kill")
	if out, err := cmd.Output(); err != nil || string(out) != "1 <nil>\n2 <nil>\n3 <nil>\n" {
		t.Errorf("it obeys: %v\n%s", err, out)
	}
}

func TestWhatHappensAtAPoint(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("failpoints are for systems with signals")
	}
	program := build(t, "failpoints")
	const failed = "the failpoint journal.write.after fails"
	for _, c := range []struct {
		name, orders   string
		stdout, stderr string
		status         int // -1: SIGKILL
	}{
		{"nothing asked for", "", "1 <nil>\n2 <nil>\n3 <nil>\n", "", 0},
		{"killed at the first hit", "journal.write.before=kill", "", "failpoint: journal.write.before 1 kill\n", -1},
		{"killed at the third hit", "journal.write.before=kill@3", "1 <nil>\n2 <nil>\n", "failpoint: journal.write.before 3 kill\n", -1},
		{"not hit so often", "journal.write.before=kill@4", "1 <nil>\n2 <nil>\n3 <nil>\n", "", 0},
		{"one error", "journal.write.after=error@2", "1 <nil>\n2 " + failed + "\n3 <nil>\n", "failpoint: journal.write.after 2 error\n", 0},
		{"traced", "trace; journal.write.after=kill@1", "", "failpoint: journal.write.before 1 pass\nfailpoint: journal.write.after 1 kill\n", -1},
		{"a name that does not exist", "journal.write=kill", "", `no point is called "journal.write"`, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(program)
			cmd.Env = append(os.Environ(), Variable+"="+c.orders)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			status := statusOf(t, cmd.Run())
			if status != c.status || stdout.String() != c.stdout || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("status %d\nstdout: %s\nstderr: %s", status, &stdout, &stderr)
			}
		})
	}
	t.Run("held until the file is gone", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "held")
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), Variable+"=journal.write.before=pause@2:"+file)
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(file); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the file was not made")
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if status := statusOf(t, cmd.Wait()); status != 0 || stdout.String() != "1 <nil>\n2 <nil>\n3 <nil>\n" {
			t.Errorf("status %d: %s", status, &stdout)
		}
	})
}

// statusOf is a program's exit status, -1 for SIGKILL.
func statusOf(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL {
		return -1
	}
	return exit.ExitCode()
}

// Without the tag a hit costs nothing that can be measured.
func BenchmarkHit(b *testing.B) {
	for b.Loop() {
		Hit("journal.write.before")
	}
}
