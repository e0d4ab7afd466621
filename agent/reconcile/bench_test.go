package reconcile

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// BenchmarkFirstSync measures the agent's share of the first sync of 500
// applications of 4 objects each, and of one commit that changes one object in
// all of them. Run it with -benchtime 1x: the applications are created once.
func BenchmarkFirstSync(b *testing.B) {
	const apps = 500
	cp := controlPlane(b)
	audit, err := cp.AuditFromNow()
	if err != nil {
		b.Fatal(err)
	}
	a := startAgent(b, cp, "agent-bench")
	filler := strings.Repeat("0123456789abcdef", 128)
	bundle := func(i int, rev string) string {
		return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: app-%[1]d}
spec:
  replicas: 0
  selector: {matchLabels: {app: app-%[1]d}}
  template:
    metadata: {labels: {app: app-%[1]d}}
    spec: {serviceAccountName: app-%[1]d, containers: [{name: web, image: "registry.k8s.io/pause:3.9", resources: {limits: {cpu: 100m, memory: 64Mi}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: app-%[1]d}
spec: {clusterIP: None, selector: {app: app-%[1]d}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app-%[1]d}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: app-%[1]d}
data: {rev: %[2]q, filler: %[3]q}
`, i, rev, filler)
	}
	round := func(label string, g model.Generation) {
		type message struct {
			d model.Desired
			b []byte
		}
		var messages []message
		for i := range apps {
			d, enc := desired(b, fmt.Sprintf("bench-%d", i), fmt.Sprintf("bench-%d", i%20), g, automated(true, true), bundle(i, fmt.Sprint(g)))
			messages = append(messages, message{d, enc})
		}
		before := a.store.Stats()
		cpu, began := cpuTime(), time.Now()
		acks := make(chan error, apps)
		for _, m := range messages {
			a.engine.Desired(b.Context(), m.d, m.b, func(err error) { acks <- err })
		}
		for range apps {
			if err := <-acks; err != nil {
				b.Fatal(err)
			}
		}
		acked := time.Since(began)
		eventually(b, 2*time.Minute, func() error {
			for _, m := range messages {
				if st := a.status(m.d.App); st.Generation != g || st.Sync.Status != model.SyncSynced || st.Health.Status != model.HealthHealthy || st.Revision != m.d.Revision.Commit {
					return fmt.Errorf("%s is %v, %v", m.d.Name, st.Sync, st.Health)
				}
			}
			return nil
		})
		wall, used := time.Since(began), cpuTime()-cpu
		after := a.store.Stats()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		events, err := audit.Next()
		if err != nil {
			b.Fatal(err)
		}
		requests, journal := 0, 0
		for _, e := range events {
			if strings.HasPrefix(e.UserAgent, "hawser-agent") && e.Verb != "watch" {
				if e.Namespace == "agent-bench" {
					journal++
				} else {
					requests++
				}
			}
		}
		b.Logf("%s: wall %s, acknowledged after %s, CPU %s (test included), %d requests, %d for journal and lease (%d writes, %d KiB), heap %d MiB in use, %d MiB from the system",
			label, wall.Round(time.Millisecond), acked.Round(time.Millisecond), used.Round(time.Millisecond), requests, journal, after.Writes-before.Writes,
			(after.WriteBytes-before.WriteBytes)>>10, mem.HeapInuse>>20, mem.Sys>>20)
		b.ReportMetric(wall.Seconds(), label+"-s")
		b.ReportMetric(used.Seconds(), label+"-cpu-s")
	}
	round("first", 1)
	round("commit", 2)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
