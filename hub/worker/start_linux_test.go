//go:build linux

package worker

import (
	"testing"
	"time"
)

// BenchmarkStart is what a new worker costs, from the fork to its first answer,
// with the sandbox; the program is this package's test, so that what the hub's
// libraries do at their start is not in it.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		p := sandboxed(b, nil, Options{Env: []string{"GOMAXPROCS=1"}})
		if _, err := call(b.Context(), p, time.Minute, "echo"); err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
}
