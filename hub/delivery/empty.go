package delivery

import (
	"cmp"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// CheckEmpty refuses an application that renders to nothing at all when it never
// had anything: most likely its path is wrong, and an application that is Synced
// to nothing would hide that. One that has a good state may become empty; what
// that deletes is the business of the agent's prune guard. allowEmpty permits
// both. Code no_manifests.
func CheckEmpty(spec model.ApplicationSpec, rendered Rendered, first bool) error {
	allowed := spec.SyncPolicy != nil && spec.SyncPolicy.Automated != nil && spec.SyncPolicy.Automated.AllowEmpty
	if len(rendered.Objects) > 0 || !first || allowed {
		return nil
	}
	where, why := "the application", "correct the path"
	for _, s := range spec.ManifestSources() {
		if len(spec.ManifestSources()) == 1 {
			where = cmp.Or(strings.Trim(s.Path, "/"), "the root of the repository")
			if s.Chart != "" {
				where = "chart " + s.Chart
			}
		}
	}
	for _, w := range rendered.Warnings {
		if w.Code == "no_manifests" {
			if _, reason, ok := strings.Cut(w.Message, ": "); ok {
				why = reason
			}
		}
	}
	return fault.New(fault.Unprocessable, "no_manifests", "%s contains no manifest; nothing was changed in the cluster", where).
		WithField("spec.source.path").
		WithFix("%s; or set syncPolicy.automated.allowEmpty", why)
}
