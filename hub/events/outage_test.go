package events

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestAnOutageOfTheDatabaseIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &views{rows: map[model.AppUID]string{"u": "web"}, err: errors.New("away")}
		b := New("r", 8)
		f := NewFeed(b, v, slog.New(slog.DiscardHandler))
		r := b.Subscribe()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = f.Run(ctx) }()
		f.PublishApplications([]model.AppUID{"u"})
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		v.set(func() {
			if v.reads > 25 {
				t.Errorf("%d reads in a minute without a database", v.reads)
			}
			v.err = nil
		})
		if got, err := r.Next(ctx); err != nil || len(got) != 1 {
			t.Errorf("after the outage: %v, %v", got, err)
		}
		cancel()
		synctest.Wait()
	})
}
