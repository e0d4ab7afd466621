package render

import (
	"encoding/json"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// renderPlugin parses what a config management plugin puts out. The plugin runs
// elsewhere; its output is a stranger's, so it is parsed here.
func renderPlugin(w *workspace.Workspace, c choice) (workspace.Output, error) {
	var options []byte
	name := c.plugin
	if p := w.Source.Plugin; p != nil {
		var err error
		if options, err = json.Marshal(p); err != nil {
			return workspace.Output{}, fault.Wrap(err, fault.Invalid, "source_invalid", "the options of the plugin cannot be read").WithField("spec.source.plugin")
		}
		if p.Name != "" {
			name = p.Name
		}
	}
	name, text, err := w.Host.Plugin(w.Dir, name, false, options)
	if err != nil {
		return workspace.Output{}, err
	}
	if limit := w.Limits.OutputBytes; limit > 0 && int64(len(text)) > limit {
		return workspace.Output{}, fault.New(fault.Unprocessable, "plugin_failed", "plugin %q put out %d bytes; the limit is %d", workspace.Clip(name, 60), len(text), limit)
	}
	lim := w.Limits.Manifest
	lim.MaxBytes = max(len(text), 1)
	objects, err := manifest.Parse("plugin "+name, text, lim)
	return workspace.Output{Objects: objects, Tool: toolPlugin}, err
}
