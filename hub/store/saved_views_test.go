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
	put(fleet.SavedView{ID: "2", Name: "broken", Owner: "user b"})
	put(fleet.SavedView{ID: "3", Name: "broken", Project: "default"})
	again := put(fleet.SavedView{ID: "4", Name: "broken", Owner: "user a", Search: map[string]string{"q": "health:degraded"}})
	if again.ID != mine.ID {
		t.Errorf("a view of the same name has the id %q, not %q", again.ID, mine.ID)
	}
	list, err := s.SavedViews(t.Context(), "user a")
	if err != nil || len(list) != 2 || list[0].ID != "1" || list[0].Search["q"] != "health:degraded" || list[1].Project != "default" {
		t.Fatalf("%+v, %v", list, err)
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
