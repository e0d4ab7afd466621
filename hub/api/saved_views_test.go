package api

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// fakeSavedViews keeps views in memory, as hub/store does.
type fakeSavedViews struct {
	mu    sync.Mutex
	views []fleet.SavedView
}

func (f *fakeSavedViews) SavedViews(_ context.Context, owner string) ([]fleet.SavedView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.views), func(v fleet.SavedView) bool { return v.Project == "" && v.Owner != owner && v.Owner != fleet.Everyone }), nil
}

func (f *fakeSavedViews) SavedView(_ context.Context, id string) (fleet.SavedView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.views {
		if v.ID == id {
			return v, nil
		}
	}
	return fleet.SavedView{}, fleet.SavedViewUnknown(id)
}

func (f *fakeSavedViews) PutSavedView(_ context.Context, v fleet.SavedView) (fleet.SavedView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, old := range f.views {
		if v.Default && old.Owner == v.Owner && old.Project == v.Project && old.Things == v.Things {
			f.views[i].Default = false
		}
		if old.Owner == v.Owner && old.Project == v.Project && old.Things == v.Things && old.Name == v.Name {
			v.ID = old.ID
			f.views[i] = v
			return v, nil
		}
	}
	f.views = append(f.views, v)
	return v, nil
}

func (f *fakeSavedViews) DeleteSavedView(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views = slices.DeleteFunc(f.views, func(v fleet.SavedView) bool { return v.ID == id })
	return nil
}

func TestSavedViewsAreOfAPersonOrOfAProject(t *testing.T) {
	w := newRightsWorld(t, func(o *Options) { o.SavedViews = &fakeSavedViews{} })
	bearer := func(grants ...fleet.Grant) string { return "Authorization: Bearer " + w.as(false, grants...) }
	admin := "Authorization: Bearer " + w.as(true)
	ann, bob := bearer(fleet.Grant{Project: "shop", Role: "viewer"}), bearer(fleet.Grant{Project: "shop", Role: "viewer"})
	other := bearer(fleet.Grant{Project: "bank", Role: "editor"})
	const path = "/api/v1/saved-views"

	mine := w.short("POST", path, `{"things":"applications","name":"broken","search":{"q":"is:failing"}}`, ann)
	if mine.status != 200 || !strings.Contains(mine.body, `"mayChange":true`) {
		t.Fatal(mine.status, mine.body)
	}
	idOf := func(a answer) string { return strings.Split(strings.Split(a.body, `"id":"`)[1], `"`)[0] }
	id := idOf(mine)
	again := w.short("POST", path, `{"things":"applications","name":"broken","search":{"q":"health:degraded"}}`, ann)
	if !strings.Contains(again.body, id) {
		t.Errorf("one of the same name got another id: %s", again.body)
	}
	if a := w.short("POST", path, `{"things":"applications","name":"team","project":"shop","search":{}}`, admin); a.status != 200 {
		t.Fatal(a.status, a.body)
	}
	for _, x := range []struct {
		who, header, method, path, body string
		status                          int
		has, not                        string
	}{
		{"the owner", ann, "GET", path, "", 200, "health:degraded", "is:failing"},
		{"a member of the project", bob, "GET", path, "", 200, `"mayChange":false`, "broken"},
		{"somebody else", other, "GET", path, "", 200, `"items":[]`, "team"},
		{"a viewer who keeps one of the project", ann, "POST", path, `{"things":"applications","name":"x","project":"shop","search":{}}`, 403, "permission_denied", ""},
		{"somebody who does not see the project", other, "POST", path, `{"things":"applications","name":"x","project":"shop","search":{}}`, 404, "", "team"},
		{"a project that there is not", other, "POST", path, `{"things":"applications","name":"x","project":"nowhere","search":{}}`, 404, "", ""},
		{"somebody who deletes another's", bob, "DELETE", path + "/" + id, "", 404, "saved_view_unknown", ""},
		{"an administrator who deletes somebody's", admin, "DELETE", path + "/" + id, "", 404, "saved_view_unknown", ""},
		{"a default of one's own", ann, "POST", path, `{"things":"applications","name":"broken","default":true,"search":{"q":"health:degraded"}}`, 200, `"default":true`, ""},
		{"somebody who keeps one of everyone", ann, "POST", path, `{"things":"applications","name":"all","everyone":true,"search":{}}`, 403, "permission_denied", ""},
		{"one of everyone and of a project", admin, "POST", path, `{"things":"applications","name":"all","everyone":true,"project":"shop","search":{}}`, 400, "parameter_invalid", ""},
		{"an administrator who keeps the default of everyone", admin, "POST", path, `{"things":"applications","name":"all","everyone":true,"default":true,"search":{}}`, 200, `"everyone":true,"default":true`, ""},
		{"somebody who sees that of everyone, and no more", other, "GET", path, "", 200, `"name":"all","everyone":true,"default":true,"search":{},`, `"mayChange":true`},
		{"the owner who deletes", ann, "DELETE", path + "/" + id, "", 204, "", ""},
		{"the owner who deletes twice", ann, "DELETE", path + "/" + id, "", 404, "saved_view_unknown", ""},
		{"a list that there is not", ann, "POST", path, `{"things":"apps","name":"x","search":{}}`, 400, "value_unknown", ""},
		{"no name", ann, "POST", path, `{"things":"applications","name":" ","search":{}}`, 400, "name_invalid", ""},
		{"a name with a control character", ann, "POST", path, `{"things":"applications","name":"a\u202eb","search":{}}`, 400, "name_invalid", ""},
		{"too much", ann, "POST", path, `{"things":"applications","name":"x","search":{"q":"` + strings.Repeat("x", 4001) + `"}}`, 400, "parameter_invalid", ""},
		{"a key that there is not", ann, "POST", path, `{"things":"applications","name":"x","searches":{}}`, 400, "", ""},
	} {
		a := w.short(x.method, x.path, x.body, x.header)
		if a.status != x.status || !strings.Contains(a.body, x.has) || x.not != "" && strings.Contains(a.body, x.not) {
			t.Errorf("%s: %d %s", x.who, a.status, a.body)
		}
	}
	all := idOf(w.short("POST", path, `{"things":"applications","name":"all","everyone":true,"search":{}}`, admin))
	if a := w.short("DELETE", path+"/"+all, "", ann); a.status != 403 {
		t.Errorf("somebody deletes a view of everyone: %d %s", a.status, a.body)
	}
	if a := w.short("DELETE", path+"/"+all, "", admin); a.status != 204 {
		t.Errorf("an administrator deletes a view of everyone: %d %s", a.status, a.body)
	}
}
