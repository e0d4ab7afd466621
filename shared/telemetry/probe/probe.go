// Package probe answers /livez and /readyz. Live says only that the program
// answers: it depends on nothing, so that a database or a cluster that is away has
// nobody restarted. Ready says, part by part, whether it can do its work.
package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// timeout of all checks together; kubelets wait a second by default.
const timeout = 3 * time.Second

// Check is one part.
type Check struct {
	Name string
	// Required: the program is not ready without it. Others are only told of.
	Required bool
	// Ask answers nil when the part is well. It should end with ctx.
	Ask func(ctx context.Context) error
}

// State of a part. Code is the error's: why it is not well is for the log, as
// everybody may ask.
type State struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Code     string `json:"code,omitempty"`
	Required bool   `json:"required"`
}

// Result of all checks.
type Result struct {
	OK bool `json:"ok"`
	// Parts are told when they are asked for, or when something is not well.
	Parts []State `json:"parts,omitempty"`
}

// Run asks all parts at once.
func Run(ctx context.Context, checks ...Check) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := Result{OK: true, Parts: make([]State, len(checks))}
	answers := make([]chan error, len(checks))
	for i, c := range checks {
		answers[i] = make(chan error, 1)
		go func() { answers[i] <- ask(ctx, c) }()
	}
	for i, c := range checks {
		st := State{Name: c.Name, OK: true, Required: c.Required}
		var err error
		select {
		case err = <-answers[i]:
		case <-ctx.Done(): // one that does not end with ctx is left behind
			err = fault.New(fault.Unavailable, "probe_timeout", "no answer in time")
		}
		if err != nil {
			st.OK, st.Code = false, fault.As(err).Code
			out.OK = out.OK && !c.Required
		}
		out.Parts[i] = st
	}
	return out
}

func ask(ctx context.Context, c Check) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "internal", "the check failed")
		}
	}()
	return c.Ask(ctx)
}

// Text is a result for people: a line for each part.
func (r Result) Text() string {
	var b strings.Builder
	for _, p := range r.Parts {
		switch {
		case p.OK:
			fmt.Fprintf(&b, "[+]%s ok\n", p.Name)
		case p.Required:
			fmt.Fprintf(&b, "[-]%s %s\n", p.Name, p.Code)
		default:
			fmt.Fprintf(&b, "[ ]%s %s (not required)\n", p.Name, p.Code)
		}
	}
	return b.String()
}

// Write answers with a result: 200 or 503, JSON, and all parts when they are asked
// for with ?verbose or something is not well.
func Write(w http.ResponseWriter, r *http.Request, res Result) {
	if res.OK && !r.URL.Query().Has("verbose") {
		res.Parts = nil
	}
	status := http.StatusOK
	if !res.OK {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(res.Text()))
		return
	}
	body, _ := json.Marshal(res) // strings and flags always encode
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// Handler serves /livez and /readyz.
func Handler(checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) { Write(w, r, Result{OK: true}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { Write(w, r, Run(r.Context(), checks...)) })
	return mux
}
