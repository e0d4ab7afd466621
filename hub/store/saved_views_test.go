package store

import (
	"fmt"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestSavedViews(t *testing.T) {
	s := setup(t)
	put := func(v fleet.SavedView) fleet.SavedView {
		t.Helper()
		v.Things, v.ChangedBy = "applications", "ann"
		out, err := s.PutSavedView(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	mine := put(fleet.SavedView{ID: "1", Name: "broken", Owner: "user a", Search: map[string]string{"q": "is:failing"}})
	put(fleet.SavedView{ID: "2", Name: "broken", Owner: "user b", Default: true})
	put(fleet.SavedView{ID: "3", Name: "broken", Project: "default"})
	again := put(fleet.SavedView{ID: "4", Name: "broken", Owner: "user a", Search: map[string]string{"q": "health:degraded"}})
	if again.ID != mine.ID {
		t.Errorf("a view of the same name has the id %q, not %q", again.ID, mine.ID)
	}
	list, err := s.SavedViews(t.Context(), "user a")
	if err != nil || len(list) != 2 || list[0].ID != "1" || list[0].Search["q"] != "health:degraded" || list[1].Project != "default" {
		t.Fatalf("%+v, %v", list, err)
	}
	// One default of each owner and project, and everyone sees those of everyone.
	first := put(fleet.SavedView{ID: "d1", Name: "first", Owner: fleet.Everyone, Default: true})
	put(fleet.SavedView{ID: "d2", Name: "second", Owner: fleet.Everyone, Default: true})
	put(fleet.SavedView{ID: "d3", Name: "of the project", Project: "default", Default: true})
	if got, err := s.SavedView(t.Context(), first.ID); err != nil || got.Default {
		t.Errorf("%+v, %v", got, err)
	}
	list, err = s.SavedViews(t.Context(), "user a")
	defaults := map[string]bool{}
	for _, v := range list {
		defaults[v.Name] = v.Default
	}
	if err != nil || len(list) != 5 || !defaults["second"] || defaults["first"] || !defaults["of the project"] {
		t.Errorf("%v, %v", defaults, err)
	}
	put(fleet.SavedView{ID: "d4", Name: "second", Owner: fleet.Everyone})
	if got, err := s.SavedView(t.Context(), "d2"); err != nil || got.Default {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.DeleteSavedView(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteSavedView(t.Context(), "1"); !fault.HasCode(err, "saved_view_unknown") {
		t.Error(err)
	}
	if _, err := s.SavedView(t.Context(), "1"); !fault.HasCode(err, "saved_view_unknown") {
		t.Error(err)
	}
	for i := range fleet.MaxSavedViews {
		put(fleet.SavedView{ID: fmt.Sprint("c", i), Name: fmt.Sprint(i), Owner: "user c"})
	}
	_, err = s.PutSavedView(t.Context(), fleet.SavedView{ID: "x", Things: "applications", Name: "x", Owner: "user c"})
	if !fault.HasCode(err, "saved_view_limit") {
		t.Error(err)
	}
	put(fleet.SavedView{ID: "y", Name: "1", Owner: "user c"}) // replaces one
}
