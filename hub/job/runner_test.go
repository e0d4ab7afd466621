package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// kept is a store in memory.
type kept struct {
	mu    sync.Mutex
	jobs  map[string]*fleet.StoredJob
	items map[string][]model.JobItem
	// lost, when set, is what recording an item answers.
	lost func() error
	ends int
}

func newKept(id string, n int) *kept {
	k := &kept{jobs: map[string]*fleet.StoredJob{}, items: map[string][]model.JobItem{}}
	k.jobs[id] = &fleet.StoredJob{Job: model.Job{ID: id, Kind: model.JobSync, Phase: model.JobRunning, Total: n, Pending: n}}
	for i := range n {
		k.items[id] = append(k.items[id], model.JobItem{Number: i + 1, Application: fmt.Sprintf("app-%d", i+1), Phase: model.ItemPending})
	}
	return k
}

func (k *kept) RunningJobs(context.Context) (out []fleet.RunningJob, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, j := range k.jobs {
		if j.Phase == model.JobRunning {
			out = append(out, fleet.RunningJob{ID: id, Token: j.Token})
		}
	}
	return out, nil
}

func (k *kept) Job(_ context.Context, id string) (fleet.StoredJob, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return *k.jobs[id], nil
}

func (k *kept) PendingJobItems(_ context.Context, job string, after, limit int) (out []model.JobItem, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, i := range k.items[job] {
		if i.Phase == model.ItemPending && i.Number > after && len(out) < limit {
			out = append(out, i)
		}
	}
	return out, nil
}

func (k *kept) FinishJobItem(_ context.Context, job string, number int, r fleet.ItemResult) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost != nil {
		if err := k.lost(); err != nil {
			return err
		}
	}
	i, j := &k.items[job][number-1], k.jobs[job]
	if i.Phase != model.ItemPending {
		return errors.New("finished twice")
	}
	i.Phase, i.Operation, i.Code = r.Phase, r.Operation, r.Code
	j.Pending--
	if r.Phase == model.ItemAccepted {
		j.Accepted++
	} else {
		j.Failed++
	}
	return nil
}

func (k *kept) EndJob(_ context.Context, id string) (fleet.StoredJob, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j := k.jobs[id]
	phase, ends := fleet.JobEnd(j.Job)
	if ends {
		j.Phase = phase
		k.ends++
	}
	return *j, ends, nil
}

// taker is a hub that takes each key once.
type taker struct {
	mu     sync.Mutex
	taken  map[string]int
	most   int // side by side
	now    int
	refuse func(n int, key string) error
	calls  int
}

func (h *taker) do(_ context.Context, job fleet.StoredJob, item model.JobItem) (model.OperationID, error) {
	h.mu.Lock()
	h.now++
	h.calls++
	h.most = max(h.most, h.now)
	n, key := h.calls, fleet.JobKey(job.ID, item.Number)
	h.mu.Unlock()
	time.Sleep(time.Millisecond) // of the bubble's clock
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now--
	if h.refuse != nil {
		if err := h.refuse(n, key); err != nil {
			return "", err
		}
	}
	if h.taken == nil {
		h.taken = map[string]int{}
	}
	h.taken[key] = 1
	return model.OperationID("op-" + key), nil
}

func runner(k *kept) *Runner {
	return New(Options{Store: k, Changed: func(model.Job) {}, Log: slog.New(slog.DiscardHandler), Workers: 4, Batch: 7})
}

func TestEveryItemIsGivenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, h := newKept("j", 50), &taker{}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = runner(k).Run(ctx, h.do) }()
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		if j := k.jobs["j"]; j.Phase != model.JobFinished || j.Accepted != 50 || k.ends != 1 {
			t.Errorf("%+v, ended %d times", j, k.ends)
		}
		if h.calls != 50 || len(h.taken) != 50 {
			t.Errorf("%d commands, %d taken", h.calls, len(h.taken))
		}
		if h.most > 4 || h.most < 2 {
			t.Errorf("%d side by side", h.most)
		}
	})
}

// The hub is killed between a command and its record, again and again.
func TestAHubThatIsKilledGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, h := newKept("j", 40), &taker{}
		for life := 0; ; life++ {
			if life > 40 {
				t.Fatal("it does not come to an end")
			}
			ctx, kill := context.WithCancel(t.Context())
			recorded := 0
			k.lost = func() error {
				if recorded++; recorded > 3 {
					kill()
					return errors.New("killed")
				}
				return nil
			}
			ended := make(chan struct{})
			go func() { _ = runner(k).Run(ctx, h.do); close(ended) }()
			time.Sleep(time.Second)
			kill()
			<-ended
			if k.jobs["j"].Phase == model.JobFinished {
				break
			}
		}
		if j := k.jobs["j"]; j.Accepted != 40 || j.Failed != 0 || k.ends != 1 {
			t.Errorf("%+v, ended %d times", j, k.ends)
		}
		if len(h.taken) != 40 || h.calls <= 40 {
			t.Errorf("%d keys in %d commands", len(h.taken), h.calls)
		}
	})
}

func TestWhatCannotBeDoneYetIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept("j", 10)
		h := &taker{refuse: func(n int, key string) error {
			switch {
			case key == fleet.JobKey("j", 3):
				return fault.New(fault.Denied, "permission_denied", "no")
			case n <= 15:
				return fault.New(fault.Unavailable, "db_unavailable", "away")
			}
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = runner(k).Run(ctx, h.do) }()
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		if j := k.jobs["j"]; j.Phase != model.JobFinished || j.Accepted != 9 || j.Failed != 1 {
			t.Errorf("%+v", j)
		}
		if got := k.items["j"][2].Code; got != "permission_denied" {
			t.Errorf("the third: %q", got)
		}
	})
}

func TestANewJobIsWokenFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, h := newKept("a", 1), &taker{}
		r := runner(k)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = r.Run(ctx, h.do) }()
		time.Sleep(time.Second)
		more := newKept("b", 1)
		k.mu.Lock()
		k.jobs["b"], k.items["b"] = more.jobs["b"], more.items["b"]
		k.mu.Unlock()
		r.Wake()
		time.Sleep(time.Second)
		if k.jobs["b"].Phase != model.JobFinished {
			t.Error("a job waits although it was woken for")
		}
		cancel()
		synctest.Wait()
	})
}

// A job of another token that comes late does not wait for the end of a big one.
func TestTokensTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept("big", 700)
		k.jobs["big"].Token = "ann"
		small := newKept("small", 3)
		small.jobs["small"].Token = "bob"
		var order []string
		first := true
		do := func(ctx context.Context, job fleet.StoredJob, item model.JobItem) (model.OperationID, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if first { // the other comes while the first batch is under way
				first = false
				k.jobs["small"], k.items["small"] = small.jobs["small"], small.items["small"]
			}
			order = append(order, job.ID)
			return model.OperationID(fleet.JobKey(job.ID, item.Number)), nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = runner(k).Run(ctx, do) }()
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		for _, id := range []string{"big", "small"} {
			if j := k.jobs[id]; j.Phase != model.JobFinished {
				t.Errorf("%+v", j)
			}
		}
		if at := slices.Index(order, "small"); at != 7 {
			t.Errorf("the small job began after %d commands of the big one, want after one batch of 7", at)
		}
	})
}
