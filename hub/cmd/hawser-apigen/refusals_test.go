package main

import (
	"net/http"
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestRefusalsOfARoute(t *testing.T) {
	for name, c := range map[string]struct {
		route api.Route
		want  []int
	}{
		"public":   {api.Route{Method: "GET", Path: "/version", Public: true}, []int{400, 429, 503}},
		"a list":   {api.Route{Method: "GET", Path: "/things", Resource: "things"}, []int{400, 401, 403, 404, 429, 503}},
		"a write":  {api.Route{Method: "PUT", Path: "/things/:name", Resource: "things", Body: struct{}{}, Matched: true}, []int{400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 503}},
		"a delete": {api.Route{Method: "DELETE", Path: "/things/:name", Resource: "things"}, []int{400, 401, 403, 404, 409, 429, 503}},
	} {
		got := refusedWith(c.route)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		for _, status := range got {
			if refusal[status] == "" {
				t.Errorf("%s: %d means nothing", name, status)
			}
		}
	}
}

// The codes that the document names have the status that it names them at.
func TestCodesOfRefusalsHaveTheirStatus(t *testing.T) {
	kinds := map[int]fault.Kind{http.StatusForbidden: fault.Denied, http.StatusPreconditionFailed: fault.Conflict, http.StatusUnsupportedMediaType: fault.Invalid}
	for status, codes := range codesOf {
		for _, code := range codes {
			if got := fault.StatusOf(kinds[status], code); got != status {
				t.Errorf("%s is answered with %d, not %d", code, got, status)
			}
			if fault.ID(code) == "" {
				t.Errorf("%s has no number", code)
			}
		}
	}
}
