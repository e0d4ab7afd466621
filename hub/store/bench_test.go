package store

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// BenchmarkOpenSession opens sessions of many clusters at once, as after a hub
// was away.
func BenchmarkOpenSession(b *testing.B) {
	s := setup(b)
	var ids []model.ClusterID
	for i := range 100 {
		id := s.cluster(fmt.Sprint("c", i))
		s.desire(s.app(fmt.Sprint("app", i), id), "aaa")
		ids = append(ids, id)
	}
	var n atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := ids[int(n.Add(1))%len(ids)]
			if _, err := s.OpenSession(s.ctx(), id, model.Hello{Cluster: id}, signature); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkSaveReports stores one batch of 100 reports at a time.
func BenchmarkSaveReports(b *testing.B) {
	s := setup(b)
	one := s.cluster("one")
	o := s.session(one)
	var apps []fleet.App
	for i := range 100 {
		apps = append(apps, s.app(fmt.Sprint("app", i), one))
	}
	for seq := uint64(1); b.Loop(); seq++ {
		batch := make([]fleet.Report, len(apps))
		for i, a := range apps {
			batch[i] = s.report(a, o, seq)
		}
		if err := s.SaveReports(s.ctx(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(apps))/b.Elapsed().Seconds(), "reports/s")
}

// BenchmarkCreateOperation creates one command after the other.
func BenchmarkCreateOperation(b *testing.B) {
	s := setup(b)
	app := s.app("shop", s.cluster("one"))
	for b.Loop() {
		if _, _, err := s.CreateOperation(s.ctx(), fleet.NewOperation{App: app.UID, Kind: model.OperationSync}); err != nil {
			b.Fatal(err)
		}
	}
}
