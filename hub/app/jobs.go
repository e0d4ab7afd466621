package app

import (
	"github.com/hawser-dev/hawser/hub/job"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/shared/model"
)

// jobs are kept by the store and run by the runner.
type jobs struct {
	*store.Store
	runner *job.Runner
}

func (j jobs) Wake() { j.runner.Wake() }

func (h *hub) jobRunner() *job.Runner {
	return job.New(job.Options{
		Store: h.store, Log: h.log,
		Changed: func(j model.Job) { h.feed.Publish("job", j.ID, j) },
	})
}
