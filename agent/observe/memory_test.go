package observe

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// What one watched object may cost that no application manages. The goal for the
// whole agent is 1.5 KiB for each, with all that it does for others in it.
const (
	maxForeignConfigMap = 256
	maxForeignPod       = 768 // with its owner, health, images and facts
)

// TestMemoryPerForeignObject measures what 10,000 ConfigMaps of 2 KB and 2,000
// pods cost once they were watched.
func TestMemoryPerForeignObject(t *testing.T) {
	configMaps := perObject(t, gkConfigMap, 10_000, foreignConfigMap)
	pods := perObject(t, gkPod, 2_000, foreignPod)
	t.Logf("%d bytes per ConfigMap, %d per pod", configMaps, pods)
	if configMaps > maxForeignConfigMap || pods > maxForeignPod {
		t.Errorf("%d bytes per ConfigMap and %d per pod, want at most %d and %d", configMaps, pods, maxForeignConfigMap, maxForeignPod)
	}
}

func perObject(t *testing.T, gk model.GroupKind, n int, doc func(i int) []byte) int {
	t.Helper()
	s := newStore(time.Now, nil)
	s.addKind(gk, true)
	before := heap()
	for i := range n {
		rec, err := plain.record(gk, "v1", doc(i), true)
		if err != nil {
			t.Fatal(err)
		}
		s.put(rec, true, true)
	}
	after := heap()
	if s.count(gk) != n {
		t.Fatalf("%d objects", s.count(gk))
	}
	return int(after-before) / n
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func foreignConfigMap(i int) []byte {
	return fmt.Appendf(nil, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"settings-of-service-%d","namespace":"team-%d","uid":"0f0e0d0c-0b0a-0908-0706-%012d","resourceVersion":"%d","creationTimestamp":"2026-11-23T00:00:00Z","managedFields":[{"manager":"kubectl","operation":"Apply","time":"2026-11-23T00:00:00Z","fieldsV1":{"f:data":{"f:k":{}}}}]},"data":{"k":%q}}`,
		i, i%50, i, 100_000+i, strings.Repeat("0123456789abcdef", 128))
}

func foreignPod(i int) []byte {
	return fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"service-%d-7d4b9c6f5d-x%dz","generateName":"service-7d4b9c6f5d-","namespace":"team-%d","uid":"0f0e0d0c-0b0a-0908-0706-%012d","resourceVersion":"%d","creationTimestamp":"2026-11-23T00:00:00Z","labels":{"app":"service"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"service-%d-7d4b9c6f5d","uid":"aaaaaaaa-0b0a-0908-0706-%012d","controller":true}]},
"spec":{"restartPolicy":"Always","nodeName":"node-1","containers":[{"name":"app","image":"registry.example.com/team/service:1.%d","env":[{"name":"A","value":"%s"}]}]},
"status":{"phase":"Running","conditions":[{"type":"Ready","status":"False","message":"containers with unready status: [app]"}],"containerStatuses":[{"name":"app","ready":false,"restartCount":3}]}}`,
		i, i, i%50, i, 100_000+i, i/3, i/3, i%20, strings.Repeat("x", 1500))
}

// BenchmarkRecord is the CPU that one event of the watch costs.
func BenchmarkRecord(b *testing.B) {
	for name, c := range map[string]struct {
		gk  model.GroupKind
		doc []byte
	}{
		"foreign ConfigMap":  {gkConfigMap, foreignConfigMap(1)},
		"foreign pod":        {gkPod, foreignPod(1)},
		"tracked Deployment": {gkDeployment, []byte(deploymentJSON)},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plain.record(c.gk, "v1", c.doc, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
