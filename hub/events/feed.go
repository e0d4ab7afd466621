package events

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// feedPause is the least time between two reads of application rows; the first
// change after a quiet time is published at once.
const feedPause = 40 * time.Millisecond

// feedPatience is the longest pause between two reads while the database does
// not answer.
const feedPatience = 5 * time.Second

// Views reads application rows.
type Views interface {
	AppViews(ctx context.Context, f fleet.ViewFilter) ([]model.AppView, error)
}

// Feed publishes the present rows of applications that changed. Changes are
// coalesced by application, so what waits is bounded by what exists.
type Feed struct {
	broker *Broker
	views  Views
	log    *slog.Logger

	mu      sync.Mutex
	pending map[model.AppUID]struct{}
	wake    chan struct{}

	// known is what applications were when they were published, for when they are
	// gone or of another project. Only Run uses it.
	known map[model.AppUID]published
}

// published is what was last said about an application.
type published struct{ name, project string }

// NewFeed makes a Feed; nothing is published before Run.
func NewFeed(broker *Broker, views Views, log *slog.Logger) *Feed {
	return &Feed{broker: broker, views: views, log: log, pending: map[model.AppUID]struct{}{}, wake: make(chan struct{}, 1), known: map[model.AppUID]published{}}
}

// PublishApplications notes applications whose rows changed or went. It never
// blocks.
func (f *Feed) PublishApplications(apps []model.AppUID) {
	if len(apps) == 0 {
		return
	}
	f.mu.Lock()
	for _, uid := range apps {
		f.pending[uid] = struct{}{}
	}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Publish publishes body about one thing. body must not change afterwards.
func (f *Feed) Publish(eventType, key string, body any) {
	e := Event{Type: eventType, Key: key, Payload: func() ([]byte, error) { return json.Marshal(body) }}
	switch b := body.(type) {
	case model.OperationInfo:
		e.Project, e.Name = b.Project, b.AppName
	case model.Repository:
		e.Project, e.Name = b.Project, b.URL
	case model.Job:
		e.Token = b.Token
	}
	f.broker.Publish(e)
}

// Run publishes until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	pause := feedPause
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
		f.mu.Lock()
		uids := make([]model.AppUID, 0, len(f.pending))
		for uid := range f.pending {
			uids = append(uids, uid)
		}
		clear(f.pending)
		f.mu.Unlock()
		if err := f.publish(ctx, uids); err != nil && ctx.Err() == nil {
			pause = min(2*pause, feedPatience)
			f.log.Warn("changes wait for the database", "applications", len(uids), "error", err, "wait", pause.String())
			f.PublishApplications(uids)
		} else {
			pause = feedPause
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// applicationChange is the body of an application event.
type applicationChange struct {
	UID     model.AppUID   `json:"uid"`
	Name    string         `json:"name,omitempty"`
	View    *model.AppView `json:"view,omitempty"`
	Deleted bool           `json:"deleted,omitempty"`
}

func (f *Feed) publish(ctx context.Context, uids []model.AppUID) error {
	if len(uids) == 0 {
		return nil
	}
	if k, ok := f.views.(interface {
		ProjectOf(uid model.AppUID) (name, project string, ok bool)
	}); ok {
		for _, uid := range uids {
			if _, told := f.known[uid]; !told { // nothing of it was published yet
				if name, project, ok := k.ProjectOf(uid); ok {
					f.known[uid] = published{name, project}
				}
			}
		}
	}
	views, err := f.views.AppViews(ctx, fleet.ViewFilter{UIDs: uids})
	if err != nil {
		return err
	}
	found := make(map[model.AppUID]*model.AppView, len(views))
	for i := range views {
		found[views[i].UID] = &views[i]
	}
	events := make([]Event, 0, len(uids))
	for _, uid := range uids {
		before, view := f.known[uid], found[uid]
		if view == nil || before.project != "" && before.project != view.Project {
			// Those who see the old project alone hear that it is gone; those who see
			// both hear of the row, which comes after.
			events = append(events, changeOf(before.project, applicationChange{UID: uid, Name: before.name, Deleted: true}))
			delete(f.known, uid)
		}
		if view != nil {
			f.known[uid] = published{view.Name, view.Project}
			events = append(events, changeOf(view.Project, applicationChange{UID: uid, Name: view.Name, View: view}))
		}
	}
	f.broker.Publish(events...)
	return nil
}

func changeOf(project string, body applicationChange) Event {
	return Event{Type: "application", Key: string(body.UID), Project: project, Name: body.Name,
		Payload: func() ([]byte, error) { return json.Marshal(body) }}
}
