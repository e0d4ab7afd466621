package api

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What gin serves and what the table says are the same.
func TestEveryRouteIsInTheTable(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Settings, o.Jobs, o.GPGKeys = &fakeSettings{}, &fakeJobs{}, &fakeGPGKeys{} })
	table := map[string]bool{}
	for _, r := range Routes() {
		key := r.Method + " /api/v1" + r.Path
		if table[key] {
			t.Errorf("%s is twice in the table", key)
		}
		table[key] = true
	}
	_, engine := newEngine(w.opts)
	for _, r := range engine.Routes() {
		key := r.Method + " " + r.Path
		if !strings.HasPrefix(r.Path, "/api/v1/") {
			if !slices.Contains(outsideTheTable, key) {
				t.Errorf("gin serves %s, which is neither in the table nor known to be outside of it", key)
			}
			continue
		}
		if !table[key] {
			t.Errorf("gin serves %s, which is not in the table of routes.go", key)
		}
		delete(table, key)
	}
	for key := range table {
		t.Errorf("the table has %s, which gin does not serve", key)
	}
}

// outsideTheTable are for probes, for webhooks, and for reading about the table.
var outsideTheTable = []string{"GET /auth/login", "GET /auth/callback/:provider", "GET /livez", "GET /readyz", "POST /api/webhook", "GET /openapi.json", "GET /openapi.yaml", "GET /api/docs", "GET /api/docs.css", "GET /first-login", "GET /first-login.css", "GET /first-login.js"}

func TestTheTableIsComplete(t *testing.T) {
	id := regexp.MustCompile(`^[a-z][A-Za-z]*$`)
	ids := map[string]bool{}
	for _, r := range Routes() {
		name := r.Method + " " + r.Path
		if !id.MatchString(r.ID) || ids[r.ID] {
			t.Errorf("%s: the operation id %q is missing, wrong or taken", name, r.ID)
		}
		ids[r.ID] = true
		if r.Summary == "" || strings.HasSuffix(r.Summary, ".") || strings.Contains(r.Summary, "\n") {
			t.Errorf("%s: summary %q is not one line without a full stop", name, r.Summary)
		}
		if r.Tag == "" || r.Status == 0 || r.handler == nil {
			t.Errorf("%s: tag, status or handler is missing", name)
		}
		if !slices.ContainsFunc(Tags(), func(t Tag) bool { return t.Name == r.Tag }) {
			t.Errorf("%s: the tag %q has no meaning in Tags", name, r.Tag)
		}
		if (r.Verb == "") != (r.Resource == "") {
			t.Errorf("%s: verb %q and resource %q belong together", name, r.Verb, r.Resource)
		}
		if r.Answer == nil && r.Status != http.StatusNoContent && r.Stream == NoStream {
			t.Errorf("%s: says not what is answered", name)
		}
		if r.Resource == "" && r.Method != http.MethodGet && !r.Public && !slices.Contains([]string{"explain", "canI", "listRights", "logout", "confirmSession", "changePassword", "endSession", "logoutEverywhere", "putSavedView", "deleteSavedView"}, r.ID) { // a question with a body; about oneself
			t.Errorf("%s: changes something and says not who may", name)
		}
		for _, p := range r.Query {
			if !slices.Contains([]string{"string", "integer", "boolean", "duration", "time"}, p.Type) || p.Meaning == "" {
				t.Errorf("%s: parameter %q has no meaning, or the unknown type %q", name, p.Name, p.Type)
			}
		}
		for what, v := range map[string]any{"body": r.Body, "answer": r.Answer} {
			if v != nil && reflect.TypeOf(v).Kind() != reflect.Struct {
				t.Errorf("%s: the %s is a %T; a named struct says what it is", name, what, v)
			}
		}
	}
}
