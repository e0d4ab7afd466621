package api

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"reflect"
	"testing"
)

// A cursor belongs to one list, filter, order and hub; everything else is refused,
// whatever was changed about it.
func TestCursorsAreSealed(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.call("POST", "/api/v1/applications", application(fmt.Sprint("web", i))).ok(201)
	}
	type list struct {
		NextCursor string
		Total      int
		Items      []struct{ Name string }
	}
	var first, second list
	w.call("GET", "/api/v1/applications?limit=2&filter=web&sort=-name", "").ok(200).into(&first)
	if first.NextCursor == "" || first.Total != 5 || first.Items[0].Name != "web4" {
		t.Fatalf("%+v", first)
	}
	good := first.NextCursor
	ask := func(path, cursor string) answer {
		return w.call("GET", "/api/v1"+path+"&cursor="+url.QueryEscape(cursor), "")
	}
	ask("/applications?limit=3&filter=web&sort=-name", good).ok(200).into(&second) // the limit may change
	if len(second.Items) != 3 || second.Items[0].Name != "web2" || second.NextCursor != "" {
		t.Errorf("%+v", second)
	}
	for _, other := range []string{
		"/applications?filter=web&sort=name", "/applications?filter=web", "/applications?filter=web0&sort=-name", "/applications?sort=-name",
		"/applications?filter=web&sort=-name&project=default", "/clusters?filter=web&sort=-name", "/projects?filter=web&sort=-name", "/operations?filter=web",
	} {
		ask(other, good).problem(400, "cursor_invalid")
	}
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for _, flip := range []byte{1, 0x80} {
			bad := append([]byte{}, raw...)
			bad[i] ^= flip
			ask("/applications?filter=web&sort=-name", base64.RawURLEncoding.EncodeToString(bad)).problem(400, "cursor_invalid")
		}
	}
	for _, bad := range []string{good[1:], good + "A", good + "=", good[:len(good)/2], "e30", string(make([]byte, 5000)), base64.RawURLEncoding.EncodeToString(raw[16:])} {
		ask("/applications?filter=web&sort=-name", bad).problem(400, "cursor_invalid")
	}
	w.opts.CursorKey = []byte("another hub's")
	w.login()
	ask("/applications?filter=web&sort=-name", good).problem(400, "cursor_invalid")
}

func TestOperationsAreFiltered(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/api/v1/applications", application("web")).ok(201)
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	var got struct {
		Items  []map[string]any
		Total  int
		Facets map[string]struct{ Values map[string]int }
	}
	w.call("GET", "/api/v1/operations?filter="+url.QueryEscape("app:web is:open kind:sync")+"&fields=id,phase&sort=-created&facets=kind", "").ok(200).into(&got)
	if got.Total != 1 || len(got.Items) != 1 || len(got.Items[0]) != 2 || got.Facets["kind"].Values["sync"] != 1 {
		t.Errorf("%+v", got)
	}
	w.call("GET", "/api/v1/operations?filter=phase:failed", "").ok(200).into(&got)
	if got.Total != 0 {
		t.Errorf("%+v", got)
	}
	w.call("GET", "/api/v1/operations?filter=health:x", "").problem(400, "filter_invalid")
	w.call("GET", "/api/v1/operations?fields=phse", "").problem(400, "fields_invalid")
	w.call("GET", "/api/v1/operations?sort=phse", "").problem(400, "sort_invalid")
}

// Rows can have what otherwise only the answer for one has, and it is the same.
func TestRowsHaveDetailsWhenAsked(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.call("POST", "/api/v1/applications", application(fmt.Sprint("web", i))).ok(201)
	}
	var one map[string]any
	w.call("GET", "/api/v1/applications/web1", "").ok(200).into(&one)
	if one["application"] == nil {
		t.Fatal("no document")
	}
	type list struct {
		NextCursor string
		Items      []map[string]any
	}
	for _, c := range []struct {
		fields string
		want   []string
	}{
		{"name,application", []string{"name", "application"}},
		{"application", []string{"application"}},
		{"name,project,sync,application,resources,history,healthCauses", []string{"name", "project", "sync", "application"}},
	} {
		var got list
		w.call("GET", "/api/v1/applications?limit=2&fields="+c.fields, "").ok(200).into(&got)
		if len(got.Items) != 2 || got.NextCursor == "" {
			t.Fatalf("%s: %+v", c.fields, got)
		}
		row := got.Items[1]
		if len(row) != len(c.want) {
			t.Errorf("%s: %v", c.fields, row)
		}
		for _, k := range c.want {
			if !reflect.DeepEqual(row[k], one[k]) {
				t.Errorf("%s: %s is %v, in the answer for one %v", c.fields, k, row[k], one[k])
			}
		}
	}
	for _, fields := range []string{"application,nme", "history,nme"} {
		w.call("GET", "/api/v1/applications?fields="+fields, "").problem(400, "fields_invalid")
	}
}
