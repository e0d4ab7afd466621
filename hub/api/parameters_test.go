package api

import (
	"context"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

type announcing struct{ err error }

func (p announcing) Parameters(_ context.Context, app fleet.App) ([]model.PluginParameters, error) {
	return []model.PluginParameters{{Plugin: "cue", Parameters: []model.ParameterAnnouncement{{Name: "of-" + app.Name, Required: true}}}}, p.err
}

func TestPluginParameters(t *testing.T) {
	w := withApp(t)
	const route = "/api/v1/applications/web/plugin-parameters"
	var none struct{ Items []model.PluginParameters }
	w.call("GET", route, "").ok(200).into(&none) // no plugins here
	if none.Items == nil || len(none.Items) != 0 {
		t.Errorf("got %+v", none)
	}
	w.opts.Plugins = announcing{}
	w.login()
	w.call("GET", "/api/v1/applications/nope/plugin-parameters", "").problem(404, "application_not_found")
	w.call("GET", route, "").problem(409, "nothing_rendered")
	app := w.store.apps["web"]
	app.Source.Bundle = "sha256:ab"
	w.store.apps["web"] = app
	var got struct{ Items []model.PluginParameters }
	w.call("GET", route, "").ok(200).into(&got)
	if len(got.Items) != 1 || got.Items[0].Plugin != "cue" || got.Items[0].Parameters[0].Name != "of-web" {
		t.Errorf("got %+v", got)
	}
	w.opts.Plugins = announcing{fault.New(fault.Unprocessable, "plugin_failed", "plugin %q exited 1", "cue")}
	w.login()
	w.call("GET", route, "").problem(422, "plugin_failed")
}
