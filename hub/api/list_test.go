package api

import (
	"encoding/base64"
	"fmt"
	"net/url"
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
		"/applications?filter=web&sort=-name&project=default", "/clusters?filter=web&sort=-name", "/projects?filter=web&sort=-name",
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
