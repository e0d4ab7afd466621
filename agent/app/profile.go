//go:build unix

package app

import (
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"
)

// heapProfileEnv names a file. When it is set, SIGUSR1 has the agent collect its
// garbage and write a profile of its heap there, as text that begins with what
// lives. It is for the memory benchmark and for those who wonder where the bytes
// are; nothing listens for it otherwise.
const heapProfileEnv = "HAWSER_HEAP_PROFILE"

// Samples are not taken for a profile that nobody can ask for: their table costs
// more than a megabyte.
func init() {
	if os.Getenv(heapProfileEnv) == "" {
		runtime.MemProfileRate = 0
	}
}

// profileOnSignal serves heapProfileEnv until stop is called.
func profileOnSignal(log *slog.Logger) (stop func()) {
	path := os.Getenv(heapProfileEnv)
	if path == "" {
		return func() {}
	}
	asked, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-asked:
				if err := writeHeapProfile(path); err != nil {
					log.Warn("no heap profile", "error", err)
				}
			}
		}
	}()
	return func() {
		signal.Stop(asked)
		close(done)
	}
}

// writeHeapProfile replaces the file in one step, so that its appearance means
// that it is complete.
func writeHeapProfile(path string) error {
	runtime.GC()
	runtime.GC() // what a finalizer let go
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	err = pprof.Lookup("heap").WriteTo(f, 1)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
