package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// badInput is one wrong request, and what is said about it. With a text of its
// own for the command line, it is also applied with hawser apply.
type badInput struct {
	row          string // of the catalogue of bad inputs, or a name
	method, path string
	body         string
	headers      []string
	grants       []fleet.Grant // nil: an administrator
	// What is answered.
	status   int
	code, id string
	message  string // what the message says, or begins with
	field    string
	// exit is the status of hawser apply; 0: not a text that is applied.
	exit int
}

const jsonType = "Content-Type: application/json"

func badInputs() []badInput {
	put := func(name string) (string, string) { return "PUT", "/api/v1/applications/" + name }
	method, path := put("web")
	return []badInput{
		{row: "1", method: "POST", path: "/api/v1/applications", body: application("My_App"), status: 400, code: "name_invalid", id: "HW-1061", field: "metadata.name",
			message: `name "My_App": use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`, exit: 2},
		{row: "2", method: "POST", path: "/api/v1/applications", body: application(strings.Repeat("a", 64)), status: 400, code: "name_invalid", id: "HW-1061", field: "metadata.name",
			message: "name is 64 characters; the limit is 63", exit: 2},
		{row: "3", method: "POST", path: "/api/v1/applications", body: application("\"pay\u202etxt\""), status: 400, code: "name_invalid", id: "HW-1061", field: "metadata.name",
			message: "name contains the invisible character U+202E at position 4", exit: 2},
		{row: "4", method: method, path: path, body: application("web"), headers: []string{"If-None-Match: *"}, status: 409, code: "already_exists", id: "HW-1004",
			message: `app "web" already exists in project "default"`},
		{row: "5, a project that there is", method: "POST", path: "/api/v1/applications", body: application("new", "project: default", "project: shop"), grants: []fleet.Grant{{Project: "bank", Role: "editor"}},
			status: 400, code: "project_unknown", id: "HW-4105"},
		{row: "5, one that there is not", method: "POST", path: "/api/v1/applications", body: application("new", "project: default", "project: none"), grants: []fleet.Grant{{Project: "bank", Role: "editor"}},
			status: 400, code: "project_unknown", id: "HW-4105"},
		{row: "5, one that is only seen", method: "POST", path: "/api/v1/applications", body: application("new", "project: default", "project: shop"), grants: []fleet.Grant{{Project: "shop", Role: "viewer"}},
			status: 403, code: "permission_denied"},
		{row: "6", method: method, path: path, body: application("web", "project: default", "project: default\n  autosync: true"), status: 400, code: "unknown_field", field: "spec.autosync",
			message: "unknown field spec.autosync", exit: 2},
		{row: "7", method: method, path: path, body: application("web", "project: default", `project: default`+"\n  revisionHistoryLimit: \"3\""), status: 400, code: "type_mismatch", field: "spec.revisionHistoryLimit",
			message: `spec.revisionHistoryLimit must be a number, got the string "3"`, exit: 2},
		{row: "8", method: method, path: path, body: application("web", "project: default", "project: default\n  project: shop"), status: 400, code: "duplicate_key", message: `key "project" appears twice`, exit: 2},
		{row: "8, in JSON", method: method, path: path, headers: []string{jsonType}, body: `{"kind":"Application","kind":"Application"}`, status: 400, code: "duplicate_key", message: `key "kind" appears twice`},
		{row: "9", method: method, path: path, body: strings.Repeat("# padding\n", 3<<20), status: 413, code: "body_too_large", id: "HW-1016", message: "the request is 31457280 bytes; the limit is 4194304 bytes (4 MiB)", exit: 2},
		{row: "10", method: method, path: path, headers: []string{jsonType}, body: strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), status: 400, code: "too_deep", message: "line 1: nesting is deeper than 64", exit: 2},
		{row: "11", method: method, path: path, body: application("web") + "# \xc3(", status: 400, code: "encoding_invalid", message: "byte 0xC3 at offset", exit: 2},
		{row: "12, empty", method: method, path: path, status: 400, code: "body_missing"},
		{row: "12, null", method: method, path: path, headers: []string{jsonType}, body: "null", status: 400, code: "body_missing"},
		{row: "13", method: method, path: path, headers: []string{"Content-Type: text/plain"}, body: application("web"), status: 415, code: "unsupported_media_type",
			message: `content type "text/plain" is not taken; send application/json or application/yaml`},
		{row: "13, compressed", method: method, path: path, headers: []string{"Content-Encoding: gzip"}, body: "x", status: 415, code: "unsupported_media_type"},
		{row: "14", method: "GET", path: "/api/v3/applications", status: 404, code: "api_version_unknown", id: "HW-1007", message: "this hub serves v1"},
		{row: "21", method: "POST", path: "/api/v1/applications", body: application("new", "project: default", "project: shop", "github.com/shop/web", "github.com/other/x"), status: 403, code: "repo_not_permitted", id: "HW-4101",
			message: `project "shop"`, exit: 5},
		{row: "44", method: method, path: path, body: application("web", "project: default", "project: shop", "name: eu, namespace: shop-web", "name: us, namespace: kube-system"), status: 403,
			code: "destination_not_permitted", id: "HW-4103", message: `project "shop"`, exit: 5},
		{row: "unknown query parameter", method: "GET", path: "/api/v1/applications?projcet=x", status: 400, code: "unknown_parameter", message: `unknown parameter "projcet"; did you mean "project"?`},
		{row: "tampered cursor", method: "GET", path: "/api/v1/applications?cursor=!!!", status: 400, code: "cursor_invalid", field: "cursor", message: "the cursor is not one of this hub"},
		{row: "limit", method: "GET", path: "/api/v1/applications?limit=0", status: 400, code: "limit_invalid"},
		{row: "another name", method: "PUT", path: "/api/v1/applications/other", body: application("web"), status: 400, code: "name_mismatch"},
		{row: "tampered ETag", method: method, path: path, headers: []string{"If-Match: x"}, body: application("web"), status: 400, code: "etag_invalid", field: "If-Match"},
		{row: "stale ETag", method: method, path: path, headers: []string{`If-Match: "99"`}, body: application("web", "shop-web", "other"), status: 412, code: "version_conflict"},
	}
}

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
			p := a.problem(c.status, c.code)
			if want := fault.ID(c.code); p.ID != want || want == "" || c.id != "" && c.id != want {
				t.Errorf("number %q, want %q %q", p.ID, want, c.id)
			}
			if !strings.HasPrefix(p.Detail, c.message) {
				t.Errorf("message %q, want %q", p.Detail, c.message)
			}
			if c.field != "" && p.Field != c.field {
				t.Errorf("field %q, want %q", p.Field, c.field)
			}
			sound(t, a.body)
			if w.store.fingerprint() != before {
				t.Error("something was stored")
			}
			if c.exit != 0 {
				out, code := hawserApply(t, w, c.body)
				if code != c.exit {
					t.Errorf("hawser apply ended with %d, want %d: %s", code, c.exit, out)
				}
				if !strings.Contains(out, fault.ID(c.code)+" ") || !strings.Contains(out, "("+c.code+")") {
					t.Errorf("hawser apply said %q", out)
				}
				sound(t, out)
			}
		})
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

// hawserApply runs the command line against the handler.
func hawserApply(t *testing.T, w *world, text string) (output string, code int) {
	t.Helper()
	server := httptest.NewTLSServer(w.handler)
	defer server.Close()
	sum := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	t.Setenv("HAWSER_CONFIG", filepath.Join(t.TempDir(), "config.yaml"))
	t.Setenv("HAWSER_HUB", server.URL)
	t.Setenv("HAWSER_CA_HASH", "sha256:"+hex.EncodeToString(sum[:]))
	t.Setenv("HAWSER_TOKEN", w.token)
	var out bytes.Buffer
	code = command.Main(t.Context(), []string{"apply", "-f", "-"}, command.Streams{In: strings.NewReader(text), Out: &out, Err: &out})
	return out.String(), code
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
	out, code := hawserApply(t, w, body)
	for _, e := range p.Errors {
		if !strings.Contains(out, e.ID+" ") {
			t.Errorf("the command line says nothing of %s: %s", e.Code, out)
		}
	}
	if code != 2 {
		t.Errorf("status %d", code)
	}
}

// Row 43: the kinds of objects are known when they are rendered; before that they
// can be asked about.
func TestAForbiddenKindIsExplained(t *testing.T) {
	w := newWorld(t)
	a := w.call(http.MethodPost, "/api/v1/explain", `{"project":"shop","sources":["https://github.com/shop/web"],"destination":{"name":"eu","namespace":"shop-web"},"kinds":[{"group":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"x"}]}`,
		jsonType).ok(200)
	for _, want := range []string{"kind_not_permitted", "ClusterRole", `"shop\"`} {
		if !strings.Contains(a.body, want) && !strings.Contains(a.body, strings.ReplaceAll(want, `\`, "")) {
			t.Errorf("the explanation has no %s: %s", want, a.body)
		}
	}
	if fault.ID("kind_not_permitted") != "HW-4104" {
		t.Errorf("its number is %s", fault.ID("kind_not_permitted"))
	}
}
