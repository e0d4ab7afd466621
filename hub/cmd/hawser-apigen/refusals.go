package main

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hawser-dev/hawser/hub/api"
)

// refusal is what a status of a refusal means here, whatever the route.
var refusal = map[int]string{
	http.StatusBadRequest:            "The request is wrong",
	http.StatusUnauthorized:          "There is no token, or it is not valid any more",
	http.StatusForbidden:             "It may not be done; explain says which rule decided",
	http.StatusNotFound:              "There is no such thing, or none that the caller sees",
	http.StatusConflict:              "It is there already, or not possible now",
	http.StatusPreconditionFailed:    "It has another version than If-Match names, or was changed meanwhile",
	http.StatusRequestEntityTooLarge: "The request or the answer is too large",
	http.StatusUnsupportedMediaType:  "The body has another Content-Type than the route takes",
	http.StatusUnprocessableEntity:   "What is at the source, or is asked for, cannot be used",
	http.StatusTooManyRequests:       "Too many requests; Retry-After says when to ask again",
	http.StatusServiceUnavailable:    "Something that is needed does not answer; Retry-After says when to ask again",
}

// codesOf are the codes that have a status of their own, by which they are known.
var codesOf = map[int][]string{
	http.StatusPreconditionFailed:   {"version_conflict"},
	http.StatusUnsupportedMediaType: {"unsupported_media_type"},
	http.StatusForbidden:            {"permission_denied"},
}

func refusalName(status int) string { return "problem" + strconv.Itoa(status) }

// refusals are the answers to whatever is not done: one for each status, and one
// for any.
func (g *documented) refusals() map[string]*huma.Response {
	made := func(text string) *huma.Response {
		return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/problem+json": {
			Schema: g.schema(problemType), Examples: examplesOf(problemType),
		}}}
	}
	out := map[string]*huma.Response{"problem": made("What is wrong, and what to do")}
	for status, text := range refusal {
		if codes := codesOf[status]; codes != nil {
			text += " (" + strings.Join(codes, ", ") + ")"
		}
		r := made(text)
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			r.Headers = map[string]*huma.Header{"Retry-After": {Description: "seconds", Schema: &huma.Schema{Type: huma.TypeInteger}}}
		}
		out[refusalName(status)] = r
	}
	return out
}

// refusedWith are the statuses of the refusals that a route may answer, as far as
// its row in the table tells; any other is the default.
func refusedWith(r api.Route) []int {
	out := []int{http.StatusBadRequest, http.StatusTooManyRequests, http.StatusServiceUnavailable}
	if !r.Public {
		out = append(out, http.StatusUnauthorized)
	}
	if r.Resource != "" {
		out = append(out, http.StatusForbidden)
	}
	if strings.Contains(r.Path, ":") || r.Resource != "" {
		out = append(out, http.StatusNotFound)
	}
	if r.Method != http.MethodGet {
		out = append(out, http.StatusConflict)
	}
	if r.Matched {
		out = append(out, http.StatusPreconditionFailed)
	}
	if r.Body != nil {
		out = append(out, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}
	return out
}
