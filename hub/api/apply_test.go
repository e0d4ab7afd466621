package api

import (
	"context"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// brokenStore meets a bug when certain objects are written.
type brokenStore struct{ *fakeStore }

func (s brokenStore) UpsertApplication(ctx context.Context, a fleet.App) (fleet.App, bool, error) {
	if a.Name == "two" {
		panic("CANARY: index out of range")
	}
	return s.fakeStore.UpsertApplication(ctx, a)
}

func (s brokenStore) UpsertProjectOver(ctx context.Context, p model.AppProject, by string, version int64) (model.AppProject, error) {
	if p.Metadata.Name == "bad" {
		panic("CANARY: nil map")
	}
	return s.fakeStore.UpsertProjectOver(ctx, p, by, version)
}

func TestAPanicIsTheErrorOfItsObject(t *testing.T) {
	w := newWorld(t)
	w.opts.Store = brokenStore{w.store}
	w.login()
	project := "apiVersion: hawser.dev/v1alpha1\nkind: AppProject\nmetadata: {name: bad}\nspec:\n  sourceRepos: ['*']\n"
	var got struct{ Items []applied }
	w.call("POST", "/api/v1/apply", strings.Join([]string{application("one"), application("two"), application("three"), project}, "---\n")).ok(207).into(&got)
	for i, want := range []string{resultCreated, resultFailed, resultCreated, resultFailed} {
		item := got.Items[i]
		if item.Result != want {
			t.Errorf("%s: %+v", item.Name, item)
		}
		if want == resultFailed && (item.Error == nil || item.Error.Code != "internal" || item.Error.Kind != fault.Internal || strings.Contains(item.Error.Detail, "CANARY")) {
			t.Errorf("%s: %+v", item.Name, item.Error)
		}
	}
	if calls := w.calls.take(); !strings.Contains(calls, "uid-one") || !strings.Contains(calls, "uid-three") || strings.Contains(calls, "uid-two") {
		t.Errorf("told: %s", calls)
	}
	if !strings.Contains(w.log.String(), "CANARY: index out of range") {
		t.Error("the panic is not in the log")
	}
}
