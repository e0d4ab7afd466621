package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Each row over HTTP.
func TestBadInput(t *testing.T) {
	for _, c := range badInputs() {
		t.Run(c.row, func(t *testing.T) {
			w := newWorld(t)
			w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
			before := w.store.fingerprint()
			headers := c.headers
			if c.grants != nil {
				headers = append(headers, "Authorization: Bearer "+w.as(false, c.grants...))
			}
			a := w.call(c.method, c.path, c.body, headers...)
			p := c.answered(a)
			if want := fault.ID(c.code); p.ID != want || want == "" || c.id != "" && c.id != want {
				t.Errorf("number %q, want %q %q", p.ID, want, c.id)
			}
			if !strings.HasPrefix(p.Detail, c.message) {
				t.Errorf("message %q, want %q", p.Detail, c.message)
			}
			if p.Field != c.field {
				t.Errorf("field %q, want %q", p.Field, c.field)
			}
			if !strings.HasPrefix(p.Fix, c.fix) || (p.Fix == "") != (c.fix == "") {
				t.Errorf("advice %q, want %q", p.Fix, c.fix)
			}
			sound(t, a.body)
			if w.store.fingerprint() != before {
				t.Error("something was stored")
			}
		})
	}
}

// answered is what the API says is wrong. A kind that is not allowed is no error
// of the question that asks about it: objects are known when they are rendered,
// and before that they can be asked about.
func (c badInput) answered(a answer) problem {
	a.t.Helper()
	if c.status != http.StatusOK {
		return a.problem(c.status, c.code)
	}
	var d policy.Decision
	a.ok(c.status).into(&d)
	if d.Allowed || len(d.Refusals) != 1 || d.Refusals[0].Code != c.code {
		a.t.Fatalf("it is not refused as %q: %s", c.code, a.body)
	}
	r := d.Refusals[0]
	return problem{ID: d.ID, Detail: r.Message, Field: r.Field, Fix: r.Fix}
}

// The rows that issue and catalogue name are all there.
func TestBadInputIsComplete(t *testing.T) {
	have := map[string]bool{}
	for _, c := range badInputs() {
		number, _, _ := strings.Cut(c.row, ",")
		have[number] = true
	}
	for _, row := range strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12 13 14 21 43 44") {
		if !have[row] {
			t.Errorf("row %s is not tested", row)
		}
	}
}

// sound is what holds for every answer: nothing of the inside, nothing that
// writes on a terminal, and no longer than people read.
func sound(t *testing.T, text string) {
	t.Helper()
	for _, bad := range []string{"/root", "/home", "goroutine", "panic", "model.", "json: ", "\x1b", "\u202e", "hwt_"} {
		if strings.Contains(text, bad) {
			t.Errorf("the answer has %q: %s", bad, text)
		}
	}
	var p problem
	if json.Unmarshal([]byte(text), &p) == nil && len([]rune(p.Detail)) > 300 {
		t.Errorf("%d characters: %s", len([]rune(p.Detail)), p.Detail)
	}
}

// An application with five mistakes is answered with all five.
func TestAllProblemsOfAnApplicationAtOnce(t *testing.T) {
	w := newWorld(t)
	body := application("My_App", "path: deploy", "path: ../x", "name: eu, ", "", "project: default", "project: default\n  revisionHistoryLimit: -1\n  syncPolicy: {syncOptions: [Odd=true], retry: {backoff: {duration: 5 minutes}}}")
	p := w.call(http.MethodPost, "/api/v1/applications", body).problem(400, "name_invalid")
	got := map[string]bool{}
	for _, e := range p.Errors {
		got[e.Code+" "+e.Field] = true
		if e.ID == "" || e.Detail == "" {
			t.Errorf("%+v", e)
		}
	}
	if len(p.Errors) < 5 {
		t.Errorf("%d problems: %v", len(p.Errors), got)
	}
	for _, want := range []string{"name_invalid metadata.name", "path_escapes_repo spec.source.path"} {
		if !got[want] {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	_, out, code := hawser(t, w, w.token, body, "apply", "-f", "-")
	for _, e := range p.Errors {
		if !strings.Contains(out, e.ID+" ") {
			t.Errorf("the command line says nothing of %s: %s", e.Code, out)
		}
	}
	if code != 2 {
		t.Errorf("status %d", code)
	}
}
