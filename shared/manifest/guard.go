package manifest

import (
	"regexp"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Hidden stands for the value of a Secret that was not redacted, as JSON.
const Hidden = `"redacted"`

// redactedValue is what Redact makes of a value, as JSON.
var redactedValue = regexp.MustCompile(`^"redacted:[0-9a-f]{8}"$`)

// GuardDifference makes sure that a difference shows nothing of a Secret. The agent
// asks it of all that it sends, and the hub of all that it is sent: an agent may be
// old, or lie.
func GuardDifference(key model.ObjectKey, d *model.FieldDifference) {
	if IsSecret(key.GroupKind()) && !openField(d.Path) || strings.Contains(d.Path, "last-applied-configuration") {
		d.Desired, d.Live = hide(d.Desired), hide(d.Live)
		return
	}
	d.Desired, d.Live = HideKnown(d.Desired, unsaid), HideKnown(d.Live, unsaid)
}

// openField reports whether a field of a Secret may be shown. Only fields that
// are known to hold no secret are; a difference of a whole object or of all of
// metadata, where annotations may repeat the data, is not.
func openField(path string) bool {
	switch path {
	case ".type", ".immutable":
		return true
	}
	return strings.HasPrefix(path, ".metadata.labels") || strings.HasPrefix(path, ".metadata.ownerReferences") ||
		strings.HasPrefix(path, ".metadata.finalizers") ||
		strings.HasPrefix(path, ".metadata.annotations") && strings.Contains(path, "argocd.argoproj.io/")
}

func hide(v string) string {
	if v == "" || redactedValue.MatchString(v) {
		return v
	}
	return Hidden
}
