package health

import (
	"fmt"

	"github.com/hawser-dev/hawser/shared/model"
)

// Item is one managed object in the sum.
type Item struct {
	Key    model.ObjectKey
	Health model.HealthFacet
	// Ignored: the object asks not to be counted, or is a hook.
	Ignored bool
}

// Aggregate sums up an application by Argo CD's rules: the worst counts, in the
// order of model.HealthOrder; objects that are ignored or have no health do not;
// a single missing object does not, because its sync facet already says so, but
// when all are missing the application is. An application without objects is
// Healthy. The message names the first object with the worst health and how many
// share it. Since is that of the named object.
func Aggregate(items []Item) model.HealthFacet {
	counted, missing, same := 0, 0, 0
	worst := -1
	for i, it := range items {
		if it.Ignored || it.Health.Status == "" {
			continue
		}
		counted++
		if it.Health.Status == model.HealthMissing {
			missing++
			continue
		}
		switch {
		case worst < 0 || it.Health.Status.WorseThan(items[worst].Health.Status):
			worst, same = i, 1
		case it.Health.Status == items[worst].Health.Status:
			same++
		}
	}
	if counted > 0 && counted == missing {
		return facet(model.HealthMissing, "none of the objects exists in the cluster")
	}
	if worst < 0 || items[worst].Health.Status == model.HealthHealthy {
		return healthy()
	}
	w := items[worst]
	f := model.HealthFacet{Status: w.Health.Status, Message: w.Key.String(), Since: w.Health.Since}
	if w.Health.Message != "" {
		f.Message += ": " + w.Health.Message
	}
	f.Message = cut(f.Message)
	if same > 1 {
		f.Message += fmt.Sprintf(" (and %d more)", same-1)
	}
	return f
}
