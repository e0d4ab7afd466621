package jsonnet

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// lib has a function that makes a ConfigMap.
const lib = `{ cm(name, data={}):: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: name }, data: data } }`

func evaluate(files map[string]string, options *model.JsonnetOptions, refs ...string) (string, *workspace.Memory, error) {
	host := &workspace.Memory{
		Trees:  map[string]map[string]string{"": files},
		Values: map[string]string{workspace.AppName: "web", workspace.AppRevision: "c1"},
	}
	w := &workspace.Workspace{
		Host: host, Dir: "app", Refs: refs, Limits: workspace.DefaultLimits(),
		Source: model.Source{Path: "app", Directory: &model.DirectoryOption{Jsonnet: options}},
	}
	objects, err := New()(w, "app/a.jsonnet")
	var out []string
	for _, o := range objects {
		out = append(out, o.Origin+" "+string(manifest.AppendJSON(nil, o.Body["data"])))
	}
	return strings.Join(out, "\n"), host, err
}

func TestResults(t *testing.T) {
	files := func(text string) map[string]string {
		return map[string]string{
			"app/a.jsonnet": "local k = import 'k.libsonnet'; " + text, "app/k.libsonnet": lib,
			"app/text.txt": "hello", "app/raw.bin": "\x00\xff", "app/sub/x.libsonnet": "{ up: (import '../k.libsonnet').cm('up'), here: import 'y.json' }",
			"app/sub/y.json": `{"y": 1}`, "vendor/k8s/main.libsonnet": "import 'part.libsonnet'", "vendor/k8s/part.libsonnet": "'vendored'",
			"other/which.libsonnet": "'other'", "vendor/which.libsonnet": "'vendor'", "app/sub2/z.libsonnet": "import 'fromdir.libsonnet'", "app/fromdir.libsonnet": "'dir'",
		}
	}
	vars := func(v ...model.JsonnetVar) []model.JsonnetVar { return v }
	tests := []struct {
		name, text string
		options    *model.JsonnetOptions
		want       string
	}{
		{"an object", "k.cm('a', {x: 1 + 1})", nil, `app/a.jsonnet#1 {"x":2}`},
		{"a list", "[k.cm('a', {x: '1'}), k.cm('b', {})]", nil, "app/a.jsonnet#1.items[0] {\"x\":\"1\"}\napp/a.jsonnet#1.items[1] {}"},
		{"a List", "{apiVersion: 'v1', kind: 'List', items: [k.cm('a')]}", nil, "app/a.jsonnet#1.items[0] {}"},
		{"a List in a list", "[{apiVersion: 'v1', kind: 'List', items: [k.cm('a')]}]", nil, "app/a.jsonnet#1.items[0].items[0] {}"},
		{"an empty list", "[]", nil, ""},
		{"null", "null", nil, ""},
		{"external variables", "k.cm('a', {s: std.extVar('s'), c: std.extVar('c')})",
			&model.JsonnetOptions{ExtVars: vars(model.JsonnetVar{Name: "s", Value: "1+1"}, model.JsonnetVar{Name: "c", Value: "1+1", Code: true})},
			`app/a.jsonnet#1 {"c":2,"s":"1+1"}`},
		{"arguments", "function(s, c, d='default') k.cm('a', {s: s, c: c, d: d})",
			&model.JsonnetOptions{TLAs: vars(model.JsonnetVar{Name: "s", Value: "[]"}, model.JsonnetVar{Name: "c", Value: "[{a: 1}]", Code: true})},
			`app/a.jsonnet#1 {"c":[{"a":1}],"d":"default","s":"[]"}`},
		{"build environment", "k.cm('a', {n: std.extVar('n')})",
			&model.JsonnetOptions{ExtVars: vars(model.JsonnetVar{Name: "n", Value: "$ARGOCD_APP_NAME-${ARGOCD_APP_REVISION}-$$x-$NOPE"})},
			`app/a.jsonnet#1 {"n":"web-c1-$x-"}`},
		{"text and bytes", "k.cm('a', {t: importstr 'text.txt', b: importbin 'raw.bin'})", nil, `app/a.jsonnet#1 {"b":[0,255],"t":"hello"}`},
		{"imports from imports", "local x = import 'sub/x.libsonnet'; k.cm('a', {up: x.up.metadata.name, here: x.here.y})", nil, `app/a.jsonnet#1 {"here":1,"up":"up"}`},
		{"a library", "k.cm('a', {v: import 'k8s/main.libsonnet'})", &model.JsonnetOptions{Libs: []string{"vendor"}}, `app/a.jsonnet#1 {"v":"vendored"}`},
		{"a library with a slash before", "k.cm('a', {v: import 'k8s/main.libsonnet'})", &model.JsonnetOptions{Libs: []string{"/vendor/"}}, `app/a.jsonnet#1 {"v":"vendored"}`},
		{"the last library wins", "k.cm('a', {v: import 'which.libsonnet'})", &model.JsonnetOptions{Libs: []string{"vendor", "nowhere", "other"}}, `app/a.jsonnet#1 {"v":"other"}`},
		{"the directory of the source is a library", "k.cm('a', {v: import 'sub2/z.libsonnet'})", nil, `app/a.jsonnet#1 {"v":"dir"}`},
		{"a trace is silent", "std.trace('loud', k.cm('a'))", nil, "app/a.jsonnet#1 {}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := evaluate(files(tt.text), tt.options)
			if err != nil || got != tt.want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

func TestProblemsNameTheirPlace(t *testing.T) {
	tests := []struct{ name, text, code, message, fix string }{
		{"syntax", "{\n  a: ,\n}", "jsonnet_error", "app/a.jsonnet:2:6: ", ""},
		{"unknown variable", "{\n  a: nope }", "jsonnet_error", "app/a.jsonnet:2:6: Unknown variable: nope", ""},
		{"error", "{\n  a: error 'no\\n luck' }", "jsonnet_error", "app/a.jsonnet:2:6: no luck", ""},
		{"no such field", "local x = {};\n x.field", "jsonnet_error", "app/a.jsonnet:2:2: Field does not exist: field", ""},
		{"external variable", "std.extVar('region')", "jsonnet_error", "app/a.jsonnet:1:1: Undefined external variable: region", "give it in spec.source.directory.jsonnet.extVars; given are: env"},
		{"argument", "function(region) {}", "jsonnet_error", "app/a.jsonnet: Missing argument: region", "arguments of the file's function come from spec.source.directory.jsonnet.tlas"},
		{"import", "import 'nope.libsonnet'", "jsonnet_error", "app/a.jsonnet:1:1: import \"nope.libsonnet\" was not found; looked for app/nope.libsonnet, lib/nope.libsonnet", ""},
		{"import of a file of the machine", "importstr '/etc/passwd'", "jsonnet_error", "app/a.jsonnet:1:1: import \"/etc/passwd\": files of this machine cannot be imported", ""},
		{"import from outside", "import '../../../etc/passwd'", "jsonnet_error", "app/a.jsonnet:1:1: import \"../../../etc/passwd\" leaves the repository", ""},
		{"import of another source", "import '$values/x.libsonnet'", "jsonnet_error", "import \"$values/x.libsonnet\" was not found", ""},
		{"import of a URL", "import 'https://example.com/x.libsonnet'", "jsonnet_error", "import \"https://example.com/x.libsonnet\" leaves the repository", ""},
		{"import of a directory", "import 'sub'", "jsonnet_error", "import \"sub\" was not found", ""},
		{"in an import", "\nimport 'broken.libsonnet'", "jsonnet_error", "app/broken.libsonnet:2:5: Expected token OPERATOR but got", ""},
		{"import of itself", "import 'a.jsonnet'", "jsonnet_error", "", "most likely something contains or calls itself; at most 500 calls may be inside each other"},
		{"endless recursion", "local f(x) = f(x + 1) + 1; f(0)", "jsonnet_error", "app/a.jsonnet:1:", "most likely something contains or calls itself; at most 500 calls may be inside each other"},
		{"native function", "std.native('exec')('id')", "jsonnet_error", "app/a.jsonnet:1:1: ", ""},
		{"a string", "'hello'", "manifest_invalid", "app/a.jsonnet document 1: a Kubernetes object is a mapping, this is the string \"hello\"", ""},
		{"lists in a list", "[[{}]]", "manifest_invalid", "app/a.jsonnet document 1: List.items[0]: a Kubernetes object is a mapping, this is a list", ""},
		{"no kind", "[{apiVersion: 'v1'}]", "manifest_incomplete", "app/a.jsonnet document 1 items[0]: \"kind\" is missing", ""},
		{"a function left", "{apiVersion: 'v1', kind: 'X', metadata: {name: 'a'}, f: function(x) x}", "jsonnet_error", "couldn't manifest function", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, host, err := evaluate(map[string]string{
				"app/a.jsonnet": tt.text, "app/broken.libsonnet": "{\n  a b }", "app/sub/x": "1", "lib/x": "", "x": "",
			}, &model.JsonnetOptions{Libs: []string{"lib"}, ExtVars: []model.JsonnetVar{{Name: "env", Value: "x"}}}, "values")
			e := fault.As(err)
			if e == nil {
				t.Fatal("no error")
			}
			if e.Kind != fault.Unprocessable || e.Code != tt.code || !strings.Contains(e.Message, tt.message) || e.Fix != tt.fix {
				t.Errorf("%s %s: %s (%s)", e.Kind, e.Code, e.Message, e.Fix)
			}
			if strings.Contains(err.Error(), "goroutine") || len(e.Message) > 300 {
				t.Errorf("%s", err)
			}
			for _, asked := range host.Asked {
				if strings.Contains(asked, "..") || strings.Contains(asked, "etc") || strings.Contains(asked, "download") {
					t.Errorf("the host was asked to %s", asked)
				}
			}
		})
	}
}

func TestCodeThatIsNoneNamesItsField(t *testing.T) {
	vars := []model.JsonnetVar{{Name: "fine", Value: "["}, {Name: "bad", Value: "[", Code: true}}
	for field, options := range map[string]*model.JsonnetOptions{"extVars": {ExtVars: vars}, "tlas": {TLAs: vars}} {
		_, _, err := evaluate(map[string]string{"app/a.jsonnet": "{}"}, options)
		if e := fault.As(err); e == nil || e.Code != "jsonnet_error" || e.Field != "spec.source.directory.jsonnet."+field+"[1].value" || !strings.Contains(e.Message, `the value of "bad" is no Jsonnet`) {
			t.Errorf("%v", err)
		}
	}
}

func TestLibrariesStayInTheRepository(t *testing.T) {
	for _, lib := range []string{"../x", "a/../../x", "//etc", "file:///etc", "\\etc"} {
		_, _, err := evaluate(map[string]string{"app/a.jsonnet": "{}"}, &model.JsonnetOptions{Libs: []string{"ok", lib}})
		if e := fault.As(err); e == nil || e.Code != "path_escapes_repo" || e.Field != "spec.source.directory.jsonnet.libs[1]" {
			t.Errorf("%q: %v", lib, err)
		}
	}
}

func TestLimitsOfFilesAndResults(t *testing.T) {
	w := &workspace.Workspace{Dir: "app", Limits: workspace.Limits{Manifest: manifest.Limits{MaxBytes: 100}, OutputBytes: 200, TotalBytes: 400}, Host: &workspace.Memory{Trees: map[string]map[string]string{"": {
		"app/big.txt": strings.Repeat("x", 101), "app/import.jsonnet": "importstr 'big.txt'", "app/result.jsonnet": "{ x: std.repeat('y', 300) }",
		"app/fine.jsonnet": `{apiVersion:'v1',kind:'X',metadata:{name:'a'},x:std.repeat('y', 60)}`,
	}}}}
	evaluate := New()
	if _, err := evaluate(w, "app/import.jsonnet"); !fault.HasCode(err, "too_large") || !strings.Contains(err.Error(), "app/import.jsonnet:1:1: app/big.txt: the file has 101 bytes") {
		t.Error(err)
	}
	if _, err := evaluate(w, "app/result.jsonnet"); !fault.HasCode(err, "too_large") {
		t.Error(err)
	}
	if objects, err := evaluate(w, "app/fine.jsonnet"); err != nil || len(objects) != 1 {
		t.Error(err)
	}
}

// broken is a host that fails.
type broken struct{ workspace.Memory }

func (*broken) Stat(string, string) (workspace.Info, error) {
	return workspace.Info{}, fault.New(fault.Unavailable, "git_unavailable", "no Git process")
}

func TestTroubleOfTheHostIsNotTheFiles(t *testing.T) {
	w := &workspace.Workspace{Host: &broken{}, Limits: workspace.DefaultLimits()}
	if _, err := New()(w, "a.jsonnet"); !fault.HasCode(err, "git_unavailable") || !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

func TestOnlyWhatIsUsedIsAsked(t *testing.T) {
	_, host, err := evaluate(map[string]string{"app/a.jsonnet": "local lazy = import 'never.libsonnet'; local b = import 'b.libsonnet'; [b, b, import 'b.libsonnet'][0:0]", "app/b.libsonnet": "{}"},
		&model.JsonnetOptions{Libs: []string{"lib"}, ExtVars: []model.JsonnetVar{{Name: "x", Value: "$ARGOCD_APP_NAME"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(host.Asked, ", "); got != "fact ARGOCD_APP_NAME, stat /app/a.jsonnet, read /app/a.jsonnet" {
		t.Errorf("asked %s", got)
	}
}
