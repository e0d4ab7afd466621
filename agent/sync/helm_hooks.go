package sync

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Charts mark hooks with annotations of Helm, which mean phases and waves here as
// in Argo CD. An object with a hook annotation of our own is what that says.
const (
	helmHook       = "helm.sh/hook"
	helmHookWeight = "helm.sh/hook-weight"
)

// helmPhases are the phases of Helm's events. Others, such as test, have none:
// their objects are hooks that never run.
var helmPhases = map[string]string{
	"pre-install": "PreSync", "pre-upgrade": "PreSync", "post-install": "PostSync", "post-upgrade": "PostSync",
	"pre-delete": "PreDelete", "post-delete": "PostDelete",
}

// hookOf is the value of the object's hook annotation, "" when it is no hook.
// Events of Helm come as phases where they have one.
func hookOf(o manifest.Object) string {
	if own := strings.TrimSpace(o.Annotation(model.AnnotationHook)); own != "" {
		return own
	}
	var phases []string
	for event := range strings.SplitSeq(o.Annotation(helmHook), ",") {
		event = strings.ToLower(strings.TrimSpace(event))
		phase, ok := helmPhases[event]
		if !ok {
			phase = event
		}
		// Helm 2 marked CRDs so; they are objects like others.
		if event != "" && event != "crd-install" && !slices.Contains(phases, phase) {
			phases = append(phases, phase)
		}
	}
	return strings.Join(phases, ",")
}

// helmWave is the wave that the weight of a Helm hook means. A weight that is no
// number counts as 0, as in Helm.
func helmWave(o manifest.Object) int {
	if o.Annotation(model.AnnotationHook) != "" || o.Annotation(helmHook) == "" {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(o.Annotation(helmHookWeight)))
	return n
}
