//go:build unix

package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestHeapProfileOnSignal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "heap")
	t.Setenv(heapProfileEnv, path)
	stop := profileOnSignal(slog.New(slog.DiscardHandler))
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err == nil {
			if !strings.HasPrefix(string(b), "heap profile: ") || !strings.Contains(string(b), "# HeapAlloc = ") {
				t.Errorf("%.100s", b)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestHeapProfileThatCannotBeWritten(t *testing.T) {
	if err := writeHeapProfile(filepath.Join(t.TempDir(), "missing", "heap")); err == nil {
		t.Error("written nowhere")
	}
}
