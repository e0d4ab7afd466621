package api

import (
	"cmp"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Each row on the command line: the number, the code, the field and the advice of
// the API come out of it, and the status.
func TestBadInputOverTheCommandLine(t *testing.T) {
	for _, c := range badInputs() {
		t.Run(c.row, func(t *testing.T) {
			w := newWorld(t)
			w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
			token := w.token
			if c.grants != nil {
				token = w.as(false, c.grants...)
			}
			if change := c.hawser.onTheWay; change != nil {
				hub := w.handler
				w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					change(r)
					hub.ServeHTTP(rw, r)
				})
			}
			before := w.store.fingerprint()
			out, errs, code := hawser(t, w, token, c.body, strings.Fields(cmp.Or(c.hawser.args, "apply -f -"))...)
			all := out + errs
			if code != c.hawser.exit || code == 0 {
				t.Errorf("status %d, want %d", code, c.hawser.exit)
			}
			want := []string{fault.ID(c.code) + " ", "(" + c.code + ")", cmp.Or(c.hawser.message, c.message), c.field, c.fix}
			for _, text := range want {
				if !strings.Contains(all, text) {
					t.Errorf("no %q in: %s", text, all)
				}
			}
			sound(t, all)
			if w.store.fingerprint() != before {
				t.Error("something was stored")
			}
		})
	}
}

// What no command can be written for is known, and why.
func TestBadInputThatNoCommandSends(t *testing.T) {
	known := map[string]string{
		"13": whyHeaders, "13, compressed": whyHeaders, "tampered ETag": whyHeaders,
		"unknown query parameter": whyQuery,
		"tampered cursor":         whyPages, "limit": whyPages,
		"another name": whyName, "stale ETag": whyVersion,
	}
	for _, c := range badInputs() {
		if (c.hawser.onTheWay != nil) != (c.hawser.why != "") {
			t.Errorf("row %s is changed on the way without a reason, or the other way round", c.row)
		}
		if why := known[c.row]; why != c.hawser.why {
			t.Errorf("row %s: %q, known is %q", c.row, c.hawser.why, why)
		}
		delete(known, c.row)
	}
	if len(known) > 0 {
		t.Errorf("rows that are not there: %v", known)
	}
}
