package exposition

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry makes a registry with what every program tells of itself: the Go
// runtime (go_goroutines among it), the process, and its build. component is
// "hub" or "agent".
func NewRegistry(component, version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "hawser_build_info", Help: "Always 1; the labels say what is running.",
	}, []string{"component", "version", "go_version"})
	build.WithLabelValues(component, version, runtime.Version()).Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Seconds are the buckets of what is quick, as a request: 1 ms to 10 s.
var Seconds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// LongSeconds are the buckets of what takes a while, as a sync: 50 ms to an hour.
var LongSeconds = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}
