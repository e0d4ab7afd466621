package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// problem is an RFC 9457 document with this API's members.
type problem struct {
	Type   string     `json:"type"`
	Title  string     `json:"title"`
	Status int        `json:"status"`
	Kind   fault.Kind `json:"kind"`
	Code   string     `json:"code"`
	// ID is the code's number, such as HW-4103; see docs/errors.md.
	ID        string `json:"id,omitempty"`
	Detail    string `json:"detail"`
	Field     string `json:"field,omitempty"`
	Found     string `json:"found,omitempty"`
	Allowed   string `json:"allowed,omitempty"`
	Fix       string `json:"fix,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	// TraceID is set when the request was traced.
	TraceID string `json:"traceId,omitempty"`
	// Errors lists all problems when there are several; the document itself
	// then tells the first.
	Errors  []problemItem `json:"errors,omitempty"`
	Explain any           `json:"explain,omitempty"`

	// retryAfter is the header Retry-After in seconds, 0 for what the kind says.
	retryAfter int
}

// problemItem is one of several problems.
type problemItem struct {
	Code    string `json:"code"`
	ID      string `json:"id,omitempty"`
	Detail  string `json:"detail"`
	Field   string `json:"field,omitempty"`
	Found   string `json:"found,omitempty"`
	Allowed string `json:"allowed,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

const maxErrors = 20

var titles = map[fault.Kind]string{
	fault.Invalid:       "The request is wrong",
	fault.NotFound:      "There is no such thing",
	fault.Conflict:      "It exists or has changed",
	fault.Denied:        "Not allowed",
	fault.Unauthorized:  "Not logged in",
	fault.Precondition:  "Not possible now",
	fault.Unprocessable: "The content at the source is wrong",
	fault.Upstream:      "Another system refused or failed",
	fault.Unavailable:   "Try again later",
	fault.TooLarge:      "Too large",
	fault.RateLimited:   "Too many requests",
	fault.Internal:      "Internal error",
}

func newProblem(err error, requestID string) problem {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		var known *fault.Error
		if !errors.As(err, &known) || known.Kind == fault.Internal {
			err = fault.Wrap(err, fault.Unavailable, "timeout", "the request took too long")
		}
	}
	e := fault.As(err)
	p := problem{
		Type: "urn:hawser:problem:" + e.Code, Title: titles[e.Kind], Status: fault.StatusOf(e.Kind, e.Code), Kind: e.Kind, Code: e.Code, ID: e.ID(),
		Detail: shorten(e.Message), Field: shorten(e.Field), Found: shorten(e.Found), Allowed: shorten(e.Allowed), Fix: shorten(e.Fix),
		RequestID: requestID, Explain: e.Explain, retryAfter: int((e.RetryAfter + time.Second - 1) / time.Second),
	}
	if d, ok := e.Explain.(policy.Decision); ok {
		d.ID = e.ID()
		p.Explain = d
	}
	if e.Kind == fault.Internal {
		// What went wrong inside is for the log.
		p.Detail, p.Field, p.Found, p.Allowed, p.Explain = "internal error", "", "", "", nil
		p.Fix = "try again; if it stays, look for request " + requestID + " in the hub's log"
	}
	var list fault.List
	if errors.As(err, &list) && len(list) > 1 {
		for i, e := range list {
			if i == maxErrors {
				break
			}
			p.Errors = append(p.Errors, problemItem{e.Code, e.ID(), shorten(e.Message), shorten(e.Field), shorten(e.Found), shorten(e.Allowed), shorten(e.Fix)})
		}
	}
	return p
}

// ProblemOf is the problem document that answers an error, for those who write
// about it; nil is answered like a bug.
func ProblemOf(err error, requestID string) any {
	if err == nil {
		err = errors.New("no error")
	}
	return newProblem(err, requestID)
}

// shorten keeps a text within 300 characters, shows control characters escaped
// and hides what URLs in it carry, wherever the text came from.
func shorten(s string) string {
	const most = 300
	s = fleet.MaskURLs(s)
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			return string([]rune(b.String())[:most-3]) + "..."
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// fail answers with the problem of err and ends the request.
func (a *api) fail(c *gin.Context, err error) {
	_ = c.Error(err) // for the log line
	c.Abort()
	p := newProblem(err, requestID(c))
	p.TraceID = tracing.ID(c.Request.Context())
	writeProblem(c.Writer, p)
}

func writeProblem(w http.ResponseWriter, p problem) {
	body, err := json.Marshal(p)
	if err != nil {
		p.Explain = nil
		body, _ = json.Marshal(p) // only strings and numbers are left
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	switch {
	case p.retryAfter > 0:
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	case p.Kind == fault.Unauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="hawser"`)
	case p.Kind == fault.RateLimited:
		h.Set("Retry-After", "30")
	case p.Kind == fault.Unavailable:
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the caller may be gone
}
