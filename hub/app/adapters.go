package app

import (
	"context"
	"errors"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/events"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/shared/model"
)

// GitWorkerCommand and RenderWorkerCommand are the hidden commands with which
// the hub starts itself as a child.
const (
	GitWorkerCommand    = "worker-git"
	RenderWorkerCommand = "worker-render"
)

// renderer fits source and render to delivery.
type renderer struct {
	sources *source.Sources
	render  *render.Renderer
}

func (r renderer) Render(ctx context.Context, req delivery.RenderRequest) (delivery.Rendered, error) {
	snapshot, err := r.sources.Snapshot(ctx, req.Source.RepoURL, req.Commit)
	if err != nil {
		return delivery.Rendered{}, err
	}
	res, err := r.render.Render(ctx, render.Request{
		App: req.App, AppName: req.AppName, Project: req.Project,
		Source: req.Source, Snapshot: snapshot, Namespace: req.Namespace, PreviousKey: req.PreviousKey,
	})
	if err != nil {
		return delivery.Rendered{}, err
	}
	return delivery.Rendered{
		Unchanged: res.Unchanged, Objects: res.Objects, Encoded: res.Encoded,
		Digest: res.Digest, Key: res.Key, Revision: snapshot.Revision(),
	}, nil
}

func deliveryHeads(resolved map[string]source.Resolved) map[string]delivery.Head {
	heads := make(map[string]delivery.Head, len(resolved))
	for revision, r := range resolved {
		heads[revision] = delivery.Head{Commit: r.Commit, Err: r.Err}
	}
	return heads
}

// notifier fits the gateway to delivery.
type notifier struct{ gateway *gateway.Gateway }

func (n notifier) Notify(cluster model.ClusterID, apps []model.AppUID) {
	n.gateway.Notify(cluster, apps...)
}

// warmStore hands bundles that were just stored to the gateway, which is about
// to send them.
type warmStore struct {
	*store.Store
	gateway *gateway.Gateway
}

func (w warmStore) PutBundles(ctx context.Context, bundles []fleet.Bundle) error {
	if err := w.Store.PutBundles(ctx, bundles); err != nil {
		return err
	}
	w.gateway.WarmBundles(bundles...)
	return nil
}

// agents fits the gateway to the API.
type agents struct{ *gateway.Gateway }

// NotifyAll makes every session start anew, because what an open one was told
// about held deletes stays as it was.
func (a agents) NotifyAll() {
	a.CloseAll("restore_acknowledged", "pruning is allowed again; sessions start anew")
}

// repositories fits sources and poller to the API.
type repositories struct {
	sources *source.Sources
	poller  *source.Poller
}

func (r repositories) Poke(repoURL string) { _ = r.poller.Poke(repoURL) } // one that nobody follows needs no look

func (r repositories) Test(ctx context.Context, repoURL string, cred *fleet.Credential) error {
	return r.sources.Check(ctx, repoURL, cred)
}

// stream fits the event broker to the API.
type stream struct{ broker *events.Broker }

func (s stream) Resume(lastID string) api.StreamReader {
	if lastID == "" {
		return reader{s.broker.Subscribe()}
	}
	return reader{s.broker.Resume(lastID)}
}

type reader struct{ *events.Reader }

func (r reader) Next(ctx context.Context) ([]api.StreamEvent, error) {
	list, err := r.Reader.Next(ctx)
	if errors.Is(err, events.ErrReset) {
		return nil, api.ErrReset
	}
	out := make([]api.StreamEvent, len(list))
	for i, e := range list {
		out[i] = api.StreamEvent{ID: e.ID, Type: e.Type, Key: e.Key, Body: e.Body}
	}
	return out, err
}
