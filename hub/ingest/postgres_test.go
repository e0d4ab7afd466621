package ingest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/ingest"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

// TestReportsReachTheDatabase sends bursts of reports from several sessions
// through to Postgres, and heartbeats after them.
func TestReportsReachTheDatabase(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := make([]byte, vault.KeySize)
	rand.Read(key)
	box, err := vault.New(key)
	must(err)
	s, err := store.Open(ctx, dbtest.Postgres(t), box, store.Options{})
	must(err)
	defer s.Close()
	sign := func(string, int64) ([]byte, error) { return []byte("s"), nil }
	_, err = s.InitHub(ctx, sign)
	must(err)

	const clusters, perCluster, rounds = 4, 100, 10
	type agent struct {
		cluster model.ClusterID
		epoch   model.Epoch
		apps    []model.AppUID
	}
	var agents []agent
	for c := range clusters {
		name := fmt.Sprint("c", c)
		must(s.CreateEnrolmentToken(ctx, fleet.EnrolmentToken{ID: name, Hash: []byte(name), Cluster: name, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}))
		cl, err := s.Enrol(ctx, []byte(name), name, "", func(model.ClusterID) (fleet.Certificate, error) {
			return fleet.Certificate{Serial: name, NotAfter: time.Now().Add(time.Hour)}, nil
		})
		must(err)
		o, err := s.OpenSession(ctx, cl.ID, model.Hello{Cluster: cl.ID}, sign)
		must(err)
		a := agent{cluster: cl.ID, epoch: o.Epoch}
		for i := range perCluster {
			app, _, err := s.UpsertApplication(ctx, fleet.App{Cluster: cl.ID, Application: model.Application{Metadata: model.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, i)}}})
			must(err)
			a.apps = append(a.apps, app.UID)
		}
		agents = append(agents, a)
	}

	var (
		mu        sync.Mutex
		acked     = map[model.ClusterID]uint64{}
		published = map[model.AppUID]bool{}
		changed   = make(chan struct{}, 1)
	)
	in := ingest.New(ingest.Options{
		Store: s,
		Acknowledge: func(c model.ClusterID, _ model.Epoch, seq uint64) {
			mu.Lock()
			acked[c] = seq
			mu.Unlock()
			select {
			case changed <- struct{}{}:
			default:
			}
		},
		Publish: func(apps []model.AppUID) {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range apps {
				published[a] = true
			}
		},
	})
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- in.Run(running) }()

	start := time.Now()
	last := uint64(perCluster * rounds)
	var wg sync.WaitGroup
	for _, a := range agents {
		wg.Go(func() {
			seq := uint64(0)
			for range rounds {
				for _, app := range a.apps {
					seq++
					in.Offer(fleet.Report{Cluster: a.cluster, Epoch: a.epoch, AppReport: model.AppReport{
						App: app, Seq: seq, Generation: 1, ObservedAt: time.Now(),
						Status: model.AppStatus{Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthFacet{Status: model.HealthHealthy, Message: fmt.Sprint(seq)}},
					}})
				}
				select { // let some be written between the rounds
				case <-changed:
				case <-ctx.Done():
				}
			}
			in.Beat(fleet.Beat{Cluster: a.cluster, Epoch: a.epoch, Seq: seq, ObservedAt: time.Now()})
		})
	}
	wg.Wait()
	for {
		mu.Lock()
		all := true
		for _, a := range agents {
			all = all && acked[a.cluster] == last
		}
		mu.Unlock()
		if all {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("acknowledged %v, want %d each", acked, last)
		}
	}
	t.Logf("%d reports of %d applications in %s", clusters*perCluster*rounds, clusters*perCluster, time.Since(start))
	stop()
	must(<-done)

	if len(published) != clusters*perCluster {
		t.Errorf("%d of %d applications were published", len(published), clusters*perCluster)
	}
	views, err := s.AppViews(ctx, fleet.ViewFilter{})
	must(err)
	for _, v := range views {
		var n uint64
		if _, err := fmt.Sscan(v.Health.Message, &n); err != nil || n <= last-perCluster {
			t.Errorf("%s shows report %q, the newest is above %d", v.Name, v.Health.Message, last-perCluster)
		}
		if v.Freshness != model.FreshLive || v.Sync.Status != model.SyncSynced {
			t.Errorf("%+v", v)
		}
	}
}
