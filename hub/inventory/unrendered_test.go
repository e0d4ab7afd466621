package inventory

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// What runs is an older revision then, whatever its facets say.
func TestWhatCannotBeRenderedIsNotReady(t *testing.T) {
	since := time.Now()
	content := model.Condition{Type: "ComparisonError", Code: "yaml_invalid", Revision: "abc", Since: &since}
	for name, c := range map[string]struct {
		view model.AppView
		want bool
	}{
		"fine":          {model.AppView{}, false},
		"content":       {model.AppView{Conditions: []model.Condition{content}}, true},
		"rolled back":   {model.AppView{Conditions: []model.Condition{content}, Pin: &model.Pin{}}, false},
		"not permitted": {model.AppView{Conditions: []model.Condition{{Type: "InvalidSpecError", Since: &since}}}, true},
		"path":          {model.AppView{Conditions: []model.Condition{{Type: "ComparisonError", Code: "path_not_found", Since: &since}}}, true},
		"git is away":   {model.AppView{Conditions: []model.Condition{{Type: "ComparisonError", Code: "git_unavailable", Since: &since}}}, false},
		"of an agent":   {model.AppView{Conditions: []model.Condition{{Type: "ComparisonError", Code: "comparison_failed", Revision: "abc"}}}, false},
	} {
		a := newApp(fleet.AppRow{AppView: c.view}, 1)
		a.sync, a.health, a.op = "synced", "healthy", ""
		if got := seen(a, model.FreshLive); a.unrendered != c.want || got.ready() == c.want {
			t.Errorf("%s: unrendered %v, ready %v", name, a.unrendered, got.ready())
		}
	}
}
