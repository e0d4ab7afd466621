package api

import (
	"net/http"
	"strings"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// badInput is one wrong thing that a person may send, and what is said about it.
// It is sent over HTTP and given to the command line, and both say the same.
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
	fix      string // what the advice begins with; "": there is none
	// hawser is the same on the command line.
	hawser commandLine
}

// commandLine is how hawser is given a row, and how it ends.
type commandLine struct {
	// args are its arguments; "" stands for apply -f -. The body is its standard
	// input, and HUB the hub's address.
	args string
	exit int
	// message, when set, is what it says in other words than the API.
	message string
	// onTheWay makes the row of what a good command sends, as a broken proxy would
	// do, where no command can be written that sends it; why says why not.
	onTheWay func(*http.Request)
	why      string
}

const (
	jsonType = "Content-Type: application/json"

	whyHeaders = "hawser sends the headers that belong to what it sends, and no flag adds one"
	whyQuery   = "hawser refuses flags that it does not know before it asks the hub"
	whyPages   = "hawser asks for pages of its own size and follows the hub's cursors; no flag takes one"
	whyName    = "hawser takes the name in the path from the document, and refuses another one in an editor itself"
	whyVersion = "hawser sends the version that it has just read"
)

func setHeader(key, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(key, value) }
}

func setQuery(key, value string) func(*http.Request) {
	return func(r *http.Request) {
		q := r.URL.Query()
		q.Set(key, value)
		r.URL.RawQuery = q.Encode()
	}
}

// whenWriting changes only the request that writes.
func whenWriting(f func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		if r.Method == http.MethodPut {
			f(r)
		}
	}
}

func badInputs() []badInput {
	const apps, web = "/api/v1/applications", "/api/v1/applications/web"
	const set = "app set web --path other"
	elsewhere := []fleet.Grant{{Project: "bank", Role: "editor"}}
	return []badInput{
		{row: "1", method: "POST", path: apps, body: application("My_App"), status: 400, code: "name_invalid", id: "HW-1061", field: "metadata.name",
			message: `name "My_App": use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`, hawser: commandLine{exit: 2}},
		{row: "2", method: "POST", path: apps, body: application(strings.Repeat("a", 64)), status: 400, code: "name_invalid", id: "HW-1061", field: "metadata.name",
			message: "name is 64 characters; the limit is 63", hawser: commandLine{exit: 2}},
		{row: "3", method: "POST", path: apps, body: application("\"pay\u202etxt\""), status: 400, code: "name_invalid", id: "HW-1061", field: "metadata.name",
			message: "name contains the invisible character U+202E at position 4", hawser: commandLine{exit: 2}},
		{row: "4", method: "PUT", path: web, body: application("web"), headers: []string{"If-None-Match: *"}, status: 409, code: "already_exists", id: "HW-1004", field: "metadata.name",
			message: `app "web" already exists in project "default"`,
			hawser:  commandLine{args: "app create web --repo https://github.com/shop/web --path deploy --dest-name eu --dest-namespace shop-web", exit: 2}},
		{row: "5, a project that there is", method: "POST", path: apps, body: application("new", "project: default", "project: shop"), grants: elsewhere,
			status: 400, code: "project_unknown", id: "HW-4105", field: "spec.project", fix: "name a project that you see: hawser project list; if there should be another, ask an administrator to create it, or to let you use it", hawser: commandLine{exit: 2}},
		{row: "5, one that there is not", method: "POST", path: apps, body: application("new", "project: default", "project: none"), grants: elsewhere,
			status: 400, code: "project_unknown", id: "HW-4105", field: "spec.project", fix: "name a project that you see: hawser project list; if there should be another, ask an administrator to create it, or to let you use it", hawser: commandLine{exit: 2}},
		{row: "5, one that is only seen", method: "POST", path: apps, body: application("new", "project: default", "project: shop"), grants: []fleet.Grant{{Project: "shop", Role: "viewer"}},
			status: 403, code: "permission_denied",
			fix: "ask an administrator of this hub to be editor there: hawser account set NAME --grant editor:shop, or for an API token hawser token create NAME --grant editor:shop", hawser: commandLine{exit: 5}},
		{row: "6", method: "PUT", path: web, body: application("web", "project: default", "project: default\n  autosync: true"), status: 400, code: "unknown_field", field: "spec.autosync",
			message: "unknown field spec.autosync", fix: "write spec.syncPolicy.automated", hawser: commandLine{exit: 2}},
		{row: "7", method: "PUT", path: web, body: application("web", "project: default", "project: default\n  revisionHistoryLimit: \"3\""), status: 400, code: "type_mismatch", field: "spec.revisionHistoryLimit",
			message: `spec.revisionHistoryLimit must be a number, got the string "3"`, hawser: commandLine{exit: 2}},
		{row: "8", method: "PUT", path: web, body: application("web", "project: default", "project: default\n  project: shop"), status: 400, code: "duplicate_key",
			message: `key "project" appears twice`, fix: "keep one of them", hawser: commandLine{exit: 2}},
		{row: "8, in JSON", method: "PUT", path: web, headers: []string{jsonType}, body: `{"kind":"Application","kind":"Application"}`, status: 400, code: "duplicate_key",
			message: `key "kind" appears twice`, fix: "keep one of them", hawser: commandLine{exit: 2}},
		{row: "9", method: "PUT", path: web, body: strings.Repeat("# padding\n", 3<<20), status: 413, code: "body_too_large", id: "HW-1016",
			message: "the request is 31457280 bytes; the limit is 4194304 bytes (4 MiB)",
			hawser:  commandLine{exit: 2, message: "standard input: the text is 31457280 bytes; the limit is 4194304"}},
		{row: "10", method: "PUT", path: web, headers: []string{jsonType}, body: strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), status: 400, code: "too_deep",
			message: "line 1: nesting is deeper than 64", hawser: commandLine{exit: 2}},
		{row: "11", method: "PUT", path: web, body: application("web") + "# \xc3(", status: 400, code: "encoding_invalid",
			message: "byte 0xC3 at offset", fix: "save the text as UTF-8", hawser: commandLine{exit: 2}},
		{row: "12, empty", method: "PUT", path: web, status: 400, code: "body_missing", message: "the text is empty; send ", hawser: commandLine{exit: 2}},
		{row: "12, null", method: "PUT", path: web, headers: []string{jsonType}, body: "null", status: 400, code: "body_missing", message: "the text is empty; send ", hawser: commandLine{exit: 2}},
		{row: "13", method: "PUT", path: web, headers: []string{"Content-Type: text/plain"}, body: application("web"), status: 415, code: "unsupported_media_type",
			message: `content type "text/plain" is not taken; send application/json or application/yaml`,
			hawser:  commandLine{exit: 2, onTheWay: setHeader("Content-Type", "text/plain"), why: whyHeaders}},
		{row: "13, compressed", method: "PUT", path: web, headers: []string{"Content-Encoding: gzip"}, body: application("web"), status: 415, code: "unsupported_media_type",
			message: `bodies in the encoding "gzip" are not taken`, hawser: commandLine{exit: 2, onTheWay: setHeader("Content-Encoding", "gzip"), why: whyHeaders}},
		{row: "14", method: "GET", path: "/api/v3/applications", status: 404, code: "api_version_unknown", id: "HW-1007", message: "this hub serves v1",
			hawser: commandLine{args: "--hub HUB/api/v3 app list", exit: 3}},
		{row: "21", method: "POST", path: apps, body: application("new", "project: default", "project: shop", "github.com/shop/web", "github.com/other/x"), status: 403, code: "repo_not_permitted", id: "HW-4101",
			message: `project "shop"`, field: "spec.source.repoURL", fix: `add the repository to sourceRepos of project "shop", or use a repository that it allows`, hawser: commandLine{exit: 5}},
		{row: "43", method: "POST", path: "/api/v1/explain", headers: []string{jsonType},
			body:   `{"project":"shop","sources":["https://github.com/shop/web"],"destination":{"name":"eu","namespace":"shop-web"},"kinds":[{"group":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"x"}]}`,
			status: 200, code: "kind_not_permitted", id: "HW-4104", message: `project "shop" does not allow rbac.authorization.k8s.io/ClusterRole; object "x"`,
			fix: `remove the object, or add {group: "rbac.authorization.k8s.io", kind: "ClusterRole"} to clusterResourceWhitelist of project "shop"`,
			hawser: commandLine{args: "project simulate shop --source https://github.com/shop/web --dest eu --namespace shop-web --kind rbac.authorization.k8s.io/ClusterRole:x",
				exit: 1, message: "1 of 1 objects are of kinds that the project does not allow"}},
		{row: "44", method: "PUT", path: web, body: application("web", "project: default", "project: shop", "name: eu, namespace: shop-web", "name: us, namespace: kube-system"), status: 403,
			code: "destination_not_permitted", id: "HW-4103", message: `project "shop"`, field: "spec.destination",
			fix: `choose a destination that project "shop" allows, or add this one to its destinations`, hawser: commandLine{exit: 5}},
		{row: "unknown query parameter", method: "GET", path: apps + "?projcet=x", status: 400, code: "unknown_parameter", message: `unknown parameter "projcet"; did you mean "project"?`,
			hawser: commandLine{args: "app list", exit: 2, onTheWay: setQuery("projcet", "x"), why: whyQuery}},
		{row: "tampered cursor", method: "GET", path: apps + "?cursor=!!!", status: 400, code: "cursor_invalid", field: "cursor", message: "the cursor is not one of this hub",
			fix:    "start again without a cursor, and keep the other parameters the same",
			hawser: commandLine{args: "app list", exit: 2, onTheWay: setQuery("cursor", "!!!"), why: whyPages}},
		{row: "limit", method: "GET", path: apps + "?limit=0", status: 400, code: "limit_invalid", field: "limit",
			hawser: commandLine{args: "app list", exit: 2, onTheWay: setQuery("limit", "0"), why: whyPages}},
		{row: "another name", method: "PUT", path: "/api/v1/applications/other", body: application("web"), status: 400, code: "name_mismatch", field: "metadata.name",
			hawser: commandLine{args: set, exit: 2, onTheWay: whenWriting(func(r *http.Request) { r.URL.Path = "/api/v1/applications/other" }), why: whyName}},
		{row: "tampered ETag", method: "PUT", path: web, headers: []string{"If-Match: x"}, body: application("web"), status: 400, code: "etag_invalid", field: "If-Match",
			hawser: commandLine{args: set, exit: 2, onTheWay: whenWriting(setHeader("If-Match", "x")), why: whyHeaders}},
		{row: "stale ETag", method: "PUT", path: web, headers: []string{`If-Match: "99"`}, body: application("web", "shop-web", "other"), status: 412, code: "version_conflict", fix: "read it again and repeat the change",
			hawser: commandLine{args: set, exit: 2, onTheWay: whenWriting(setHeader("If-Match", `"99"`)), why: whyVersion}},
	}
}
