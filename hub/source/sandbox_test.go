package source

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/worker"
)

// A Git process has entered its sandbox before it gets its first job.
func TestA46_GitWorkersLiveInASandbox(t *testing.T) {
	if runtime.GOOS != "linux" || !worker.Kernel().Seccomp {
		t.Skip("no sandbox on this machine")
	}
	dir := t.TempDir()
	s := newSources(t, Options{Dir: dir, Workers: 2})
	// An answer, of whatever kind, comes from behind the sandbox.
	const nobody = "https://127.0.0.1:1/x"
	if _, err := s.Resolve(t.Context(), nobody, []fleet.Target{{RepoURL: nobody}}); err == nil {
		t.Fatal("nobody answered")
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range tasks {
		children, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that ended
		}
		for pid := range strings.FieldsSeq(string(children)) {
			command, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			status, err := os.ReadFile("/proc/" + pid + "/status")
			if err != nil || !bytes.Contains(command, []byte("worker-git")) {
				continue
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
		t.Error("no Git process was found")
	}
}

func TestOnlyHubsWithFileRepositoriesStartCommands(t *testing.T) {
	if p := workerProfile("/data", false); p.Commands || !p.Network || !slices.Equal(p.Write, []string{"/data"}) || slices.Contains(p.Read, "/") {
		t.Errorf("%+v", p)
	}
	if p := workerProfile("/data", true); !p.Commands {
		t.Errorf("%+v", p)
	}
}
