package metrics

import "github.com/prometheus/client_golang/prometheus"

// CacheAsked is told by hub/cache of each look.
func (s *Set) CacheAsked(store, space, result string) {
	s.cache.WithLabelValues(space, store, result).Inc()
}

// CacheMoved is told by hub/cache of bytes.
func (s *Set) CacheMoved(store string, read, written int) {
	if read > 0 {
		s.cacheBytes.WithLabelValues(store, "read").Add(float64(read))
	}
	if written > 0 {
		s.cacheBytes.WithLabelValues(store, "written").Add(float64(written))
	}
}

// WatchCache tells how much the cache in this process keeps. It is called once.
func (s *Set) WatchCache(bytes func() int64) {
	s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hawser_cache_memory_bytes", Help: "Memory that the cache of this process takes.",
	}, func() float64 { return float64(bytes()) }))
}
