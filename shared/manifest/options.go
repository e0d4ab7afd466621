package manifest

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// SyncOptions merges the application's sync options with those of the object's
// annotation, which win: "Prune=false" becomes {"Prune": "false"}. An option
// without "=" has the value "true". Names and values are kept as written.
func SyncOptions(app []string, o Object) map[string]string {
	options := map[string]string{}
	for _, s := range app {
		addOption(options, s)
	}
	for s := range strings.SplitSeq(o.Annotation(model.AnnotationSyncOptions), ",") {
		addOption(options, s)
	}
	return options
}

func addOption(options map[string]string, s string) {
	name, value, ok := strings.Cut(s, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if name == "" {
		return
	}
	if !ok {
		value = "true"
	}
	options[name] = value
}
