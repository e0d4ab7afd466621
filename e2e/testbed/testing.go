package testbed

import (
	"context"
	"errors"
	"io"
)

// TB is the part of testing.TB that the adapters use; naming it here keeps the
// testing package out of the demo and the benchmarks.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Failed() bool
}

// NeedControlPlane starts a control plane for a test and stops it after. When
// the test failed, the ends of the process logs are in its output.
func NeedControlPlane(t TB, opts Options) *ControlPlane {
	t.Helper()
	if opts.Log == nil {
		opts.Log = testLog{t}
	}
	cp, err := StartControlPlane(t.Context(), opts)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, proc := range []string{ProcEtcd, ProcAPIServer, ProcControllerManager, ProcScheduler, ProcKwok} {
				t.Logf("end of the log of %s of %s:\n%s", proc, cp.Name, Tail(cp.LogPath(proc), 15))
			}
		}
		cp.Stop()
	})
	return cp
}

// testLog writes progress lines to the log of a test.
type testLog struct{ t TB }

var _ io.Writer = testLog{}

func (l testLog) Write(p []byte) (int, error) {
	l.t.Helper()
	l.t.Logf("%s", p)
	return len(p), nil
}

// SkipTB is TB for what a machine may lack.
type SkipTB interface {
	TB
	Skipf(format string, args ...any)
}

// NeedRedis starts a Redis for a test and stops it after. Where no redis-server can
// be had, the test is skipped, and says why.
func NeedRedis(t SkipTB, opts RedisOptions) *Redis {
	t.Helper()
	if opts.Log == nil {
		opts.Log = testLog{t}
	}
	r, err := StartRedis(t.Context(), opts)
	if errors.Is(err, ErrNoRedis) {
		t.Skipf("%v", err)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(r.Stop)
	return r
}
