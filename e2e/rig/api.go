package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// API is a client of the hub with the identity that the command line has.
func (r *Rig) API() (*client.Client, error) {
	b, err := os.ReadFile(r.ConfigPath())
	if err != nil {
		return nil, err
	}
	var file config.File
	if err := yaml.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("the command line's configuration: %w", err)
	}
	hub, ok := file.Context("")
	if !ok {
		return nil, errors.New("the command line is not logged in")
	}
	return client.New(client.Hub{URL: hub.URL, CAHash: hub.CAHash, Token: hub.Token})
}

// Applications are the hub's rows by name, as an event stream keeps them.
type Applications map[string]model.AppView

// FollowApplications keeps the hub's rows of all applications up to date over its
// event stream and calls holds after the first reading and after each change,
// with the names that changed (nil after a reading of everything), until it
// returns true. It does not poll. A stream that breaks is opened again.
func FollowApplications(ctx context.Context, api *client.Client, holds func(apps Applications, changed ...string) bool) error {
	const pause = 100 * time.Millisecond
	apps := Applications{}
	done := false
	for {
		var failure error
		err := api.Events(ctx, "", func(e client.Event) bool {
			switch e.Type {
			case "hello", "reset":
				if apps, failure = listApplications(ctx, api); failure == nil {
					done = holds(apps)
				}
			case "application":
				var name string
				if name, failure = apps.take(e.Data); failure == nil {
					done = holds(apps, name)
				}
			}
			return !done && failure == nil
		})
		if done {
			return nil
		}
		err = errors.Join(failure, err)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if err != nil && !fault.Is(err, fault.Unavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause): // the hub is away: nothing tells when it is back
		}
	}
}

// take applies one event.
func (a Applications) take(data []byte) (name string, err error) {
	var e struct {
		UID     model.AppUID   `json:"uid"`
		Name    string         `json:"name"`
		View    *model.AppView `json:"view"`
		Deleted bool           `json:"deleted"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return "", fmt.Errorf("an application event: %w", err)
	}
	switch {
	case e.Deleted: // named by its uid alone
		for name, v := range a {
			if v.UID == e.UID {
				delete(a, name)
				return name, nil
			}
		}
	case e.View != nil:
		a[e.Name] = *e.View
	}
	return e.Name, nil
}

func listApplications(ctx context.Context, api *client.Client) (Applications, error) {
	apps := Applications{}
	// What events have too: rows that nobody asks more of have short revisions.
	query := url.Values{"limit": {"500"}, "fields": {"uid,name,project,cluster,sync,health,operation,freshness,observedAt,revision,conditions"}}
	for {
		var page struct {
			Items      []model.AppView `json:"items"`
			NextCursor string          `json:"nextCursor"`
		}
		if err := api.Get(ctx, "/applications?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		for _, v := range page.Items {
			apps[v.Name] = v
		}
		if page.NextCursor == "" {
			return apps, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// Settled reports whether an application is Synced and Healthy by a live
// observation and no operation runs.
func Settled(v model.AppView) bool {
	return v.Sync.Status == model.SyncSynced && v.Health.Status == model.HealthHealthy &&
		(v.Freshness == model.FreshLive || v.Freshness == model.FreshLagging) &&
		(v.Operation == nil || v.Operation.Phase.Terminal())
}
