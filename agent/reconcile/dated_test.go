package reconcile

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// A condition has a time from when it appears, and keeps it as long as it stands.
func TestConditionsHaveATime(t *testing.T) {
	first, then, own := time.Unix(100, 0), time.Unix(200, 0), time.Unix(50, 0)
	shared := model.Condition{Type: "SharedResourceWarning", Code: "resource_owned", Message: "a belongs to b"}
	other := model.Condition{Type: "SharedResourceWarning", Code: "resource_owned", Message: "c belongs to b"}
	live := model.Condition{Type: "ComparisonError", Code: "comparison_failed", Message: "x"}
	timed := model.Condition{Type: "SyncError", Message: "y", Since: &own}
	one := dated(nil, []model.Condition{shared, live, timed}, first)
	two := dated(one, []model.Condition{shared, other, live, timed}, then)
	for name, c := range map[string]struct {
		got  model.Condition
		want *time.Time
	}{
		"new": {one[0], &first}, "about live objects": {one[1], nil}, "with a time": {one[2], &own},
		"still there": {two[0], &first}, "another": {two[1], &then}, "about live objects, again": {two[2], nil},
	} {
		if (c.got.Since == nil) != (c.want == nil) || c.want != nil && !c.got.Since.Equal(*c.want) {
			t.Errorf("%s: since %v, want %v", name, c.got.Since, c.want)
		}
	}
	if three := dated(nil, []model.Condition{shared}, then); !three[0].Since.Equal(then) {
		t.Error("one that came again has the time of the first")
	}
}
