package delivery

import (
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
	var where []string
	for _, s := range spec.ManifestSources() {
		switch {
		case s.Chart != "":
			where = append(where, "chart "+s.Chart)
		case s.Path == "" || s.Path == ".":
			where = append(where, "the root of the repository")
		default:
			where = append(where, s.Path)
		}
	}
	verb := " contains"
	if len(where) > 1 {
		verb = " contain"
	}
	return fault.New(fault.Unprocessable, "no_manifests", "%s%s no manifest; nothing was changed in the cluster", strings.Join(where, ", "), verb).
		WithField("spec.source.path").
		WithFix("correct the path, look at directory.recurse, include and exclude, or set syncPolicy.automated.allowEmpty")
}
