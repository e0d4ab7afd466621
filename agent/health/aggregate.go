package health

import (
	"fmt"

	"github.com/hawser-dev/hawser/shared/model"
)

// maxCauses bounds the causes of an application's health.
const maxCauses = 10

// Item is one managed object in the sum. Hooks are none.
type Item struct {
	Key    model.ObjectKey
	Health model.HealthFacet
	// Ignored: the health of the object is not counted, because it asks for that,
	// belongs to another application, or is the application itself (IsSelf). That
	// it exists counts.
	Ignored bool
}

// application is the kind of Argo CD's applications, and ours.
var application = model.GroupKind{Group: "argoproj.io", Kind: "Application"}

// IsSelf reports whether key is the application of that name itself: one that
// manages itself would wait for its own health.
func IsSelf(app string, key model.ObjectKey) bool {
	return key.GroupKind() == application && key.Name == app
}

// Aggregate sums up an application by the rules of Argo CD (controller/health.go,
// which differs from its documentation): the worst counts, in the order of
// model.HealthOrder; a single missing object does not count, because its sync
// facet already says so, but when nothing exists the application is Missing;
// neither do child applications that are Missing or Unknown; nor objects that
// are ignored or have no health. An application without objects is Healthy.
//
// The message names the first object with the worst health and how many share
// it; Since is that of the named object. causes are the objects with that
// health, at most 10, in the order given; none when it is Healthy.
func Aggregate(items []Item) (f model.HealthFacet, causes []model.HealthCause) {
	worst, missing := model.HealthHealthy, 0
	for _, it := range items {
		if it.Health.Status == model.HealthMissing && !it.Ignored {
			missing++
		}
		if it.counts() && it.Health.Status.WorseThan(worst) {
			worst = it.Health.Status
		}
	}
	// The order has Missing before Degraded, but where nothing exists nothing is.
	if len(items) > 0 && missing == len(items) {
		causes, _ := causesOf(items, model.HealthMissing, func(Item) bool { return true })
		return facet(model.HealthMissing, "none of the objects exists in the cluster"), causes
	}
	if worst == model.HealthHealthy {
		return healthy(), nil
	}
	causes, n := causesOf(items, worst, Item.counts)
	for _, it := range items {
		if it.counts() && it.Health.Status == worst {
			f = model.HealthFacet{Status: worst, Message: it.Key.String(), Since: it.Health.Since}
			if it.Health.Message != "" {
				f.Message += ": " + it.Health.Message
			}
			f.Message = cut(f.Message)
			break
		}
	}
	if n > 1 {
		f.Message += fmt.Sprintf(" (and %d more)", n-1)
	}
	return f, causes
}

// counts reports whether the health of the object counts.
func (it Item) counts() bool {
	switch it.Health.Status {
	case "", model.HealthMissing:
		return false
	case model.HealthUnknown:
		return !it.Ignored && it.Key.GroupKind() != application
	}
	return !it.Ignored
}

func causesOf(items []Item, worst model.Health, counts func(Item) bool) (causes []model.HealthCause, n int) {
	for _, it := range items {
		if it.Health.Status != worst || !counts(it) {
			continue
		}
		if n++; n <= maxCauses {
			causes = append(causes, model.HealthCause{ObjectKey: it.Key, Status: it.Health.Status, Message: it.Health.Message})
		}
	}
	return causes, n
}
