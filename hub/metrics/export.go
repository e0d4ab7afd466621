package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// exports tells how far the receivers of audit records are behind. They are those of
// the hub's configuration; each is told by the one hub that sends to it.
type exports struct {
	now              func() time.Time
	records, seconds *prometheus.Desc

	mu sync.Mutex
	of map[string]behind
}

// behind is how many records a receiver has not taken, and from when the oldest is.
type behind struct {
	records int64
	oldest  time.Time
}

func newExports(now func() time.Time) *exports {
	return &exports{
		now: now, of: map[string]behind{},
		records: prometheus.NewDesc("hawser_audit_export_behind_records", "Audit records that a receiver of --audit-export has not taken yet. Only the hub that sends to it tells.", []string{"receiver"}, nil),
		seconds: prometheus.NewDesc("hawser_audit_export_behind_seconds", "Age of the oldest audit record that a receiver of --audit-export has not taken yet, 0 when it has all. Only the hub that sends to it tells.", []string{"receiver"}, nil),
	}
}

// AuditBehind is told by hub/audit of a receiver that this hub sends to: how many
// records it has not taken, and from when the oldest of them is.
func (s *Set) AuditBehind(receiver string, records int64, oldest time.Time) {
	s.exports.mu.Lock()
	defer s.exports.mu.Unlock()
	s.exports.of[receiver] = behind{records, oldest}
}

// AuditElsewhere is told of a receiver that another hub sends to.
func (s *Set) AuditElsewhere(receiver string) {
	s.exports.mu.Lock()
	defer s.exports.mu.Unlock()
	delete(s.exports.of, receiver)
}

// Describe implements prometheus.Collector.
func (e *exports) Describe(to chan<- *prometheus.Desc) { to <- e.records; to <- e.seconds }

// Collect implements prometheus.Collector.
func (e *exports) Collect(to chan<- prometheus.Metric) {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for receiver, b := range e.of {
		age := 0.0
		if b.records > 0 {
			age = max(0, now.Sub(b.oldest).Seconds())
		}
		to <- prometheus.MustNewConstMetric(e.records, prometheus.GaugeValue, float64(b.records), receiver)
		to <- prometheus.MustNewConstMetric(e.seconds, prometheus.GaugeValue, age, receiver)
	}
}
