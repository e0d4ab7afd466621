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

// What lists mark, the fleet counts and a filter finds: also where only the way to
// Git is blocked, and after a rollback.
func TestTheFleetCountsWhatListsMark(t *testing.T) {
	since := start
	s := newStore()
	mark := func(c model.Condition, pin *model.Pin) func(*fleet.AppRow) {
		return func(r *fleet.AppRow) { r.Conditions, r.Pin = []model.Condition{c}, pin }
	}
	s.put(
		row("fine"),
		row("of-an-agent", mark(model.Condition{Type: "ComparisonError", Code: "comparison_failed"}, nil)),
		row("broken", mark(model.Condition{Type: "ComparisonError", Code: "yaml_invalid", Revision: "abc", Since: &since}, nil)),
		row("pinned", mark(model.Condition{Type: "ComparisonError", Code: "yaml_invalid", Revision: "abc", Since: &since}, &model.Pin{})),
		row("git-away", mark(model.Condition{Type: "ComparisonError", Code: "git_unavailable", Since: &since}, nil)),
		row("denied", mark(model.Condition{Type: "InvalidSpecError", Code: "repo_not_permitted", Since: &since}, nil)),
	)
	x := newIndex(t, s)
	if n := x.Fleet(t.Context(), fleet.Sight{}).Applications.Unrendered; n != 4 {
		t.Errorf("%d are counted, want 4", n)
	}
	if got := names(t, x, fleet.ListQuery{Filter: "is:unrendered"}); len(got) != 4 {
		t.Errorf("found %v", got)
	}
	if got := names(t, x, fleet.ListQuery{Filter: "not:unrendered"}); len(got) != 2 {
		t.Errorf("found %v", got)
	}
}
