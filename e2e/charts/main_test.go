package charts

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// The tests share one control plane.
var (
	planeOnce sync.Once
	plane     *testbed.ControlPlane
	planeErr  error
)

func controlPlane(t testing.TB) *testbed.ControlPlane {
	t.Helper()
	planeOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		plane, planeErr = testbed.StartControlPlane(ctx, testbed.Options{Name: "charts"})
	})
	if planeErr != nil {
		t.Fatal(planeErr)
	}
	return plane
}

func TestMain(m *testing.M) {
	code := m.Run()
	if plane != nil {
		plane.Stop()
	}
	os.Exit(code)
}
