package app

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/hub/events"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
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

// Poke looks at every spelling of the repository that is followed; one that
// nobody follows needs no look.
func (r repositories) Poke(repoURL string) {
	r.pokeAll(func(followed string) bool { return means(repoURL, followed) })
}

// means reports whether a registered repository is the one that is followed; a
// registry is everything in it.
func means(registered, followed string) bool {
	identity := fleet.RepositoryIdentity(registered)
	return fleet.RepositoryIdentity(followed) == identity ||
		strings.HasPrefix(identity, "oci://") && fleet.RepositoryUnder(followed, registered)
}

func (r repositories) PokeUnder(prefix string) {
	r.pokeAll(func(followed string) bool { return fleet.RepositoryUnder(followed, prefix) })
}

func (r repositories) pokeAll(meant func(repoURL string) bool) {
	for _, followed := range r.poller.Repositories() {
		if meant(followed) {
			_ = r.poller.Poke(followed) // it may be followed no longer
		}
	}
}

func (r repositories) Probe(ctx context.Context, repoURL string, cred *fleet.Credential, each func(api.ProbeStep)) error {
	var failed error
	err := r.sources.Probe(ctx, repoURL, cred, func(s source.Step) {
		each(api.ProbeStep{Name: s.Name, Detail: s.Detail, Took: s.Took, Err: s.Err})
		failed = cmp.Or(failed, s.Err)
	})
	return cmp.Or(err, failed)
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
		out[i] = api.StreamEvent{ID: e.ID, Type: e.Type, Key: e.Key, Project: e.Project, Name: e.Name, Token: e.Token, Body: e.Body}
	}
	return out, err
}
