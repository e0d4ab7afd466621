package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	routes "github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

const root = "../../.."

func generated(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := generate(root, routes.Routes())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCommittedFilesAreWhatTheTableGenerates(t *testing.T) {
	for name, want := range generated(t) {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what hub/api/routes.go generates: run make gen", name)
		}
	}
}

func TestGeneratingIsStable(t *testing.T) {
	first, second := generated(t), generated(t)
	for name := range first {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s differs from run to run", name)
		}
	}
}

func TestTheDocumentIsWhole(t *testing.T) {
	var d map[string]any
	if err := json.Unmarshal(generated(t)["hub/api/openapi.json"], &d); err != nil {
		t.Fatal(err)
	}
	if d["openapi"] != "3.1.0" {
		t.Errorf("version %v", d["openapi"])
	}
	references := 0
	walk(d, func(m map[string]any) {
		ref, ok := m["$ref"].(string)
		if !ok {
			return
		}
		references++
		var at any = d
		for word := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			at, _ = at.(map[string]any)[word]
			if at == nil {
				t.Errorf("%s means nothing", ref)
				return
			}
		}
	})
	if references < 100 {
		t.Errorf("only %d references were found", references)
	}
	paths := d["paths"].(map[string]any)
	operations := 0
	for path, item := range paths {
		for method, op := range item.(map[string]any) {
			operations++
			responses := op.(map[string]any)["responses"].(map[string]any)
			if responses["default"] == nil || len(responses) < 2 {
				t.Errorf("%s %s: answers %v", method, path, responses)
			}
		}
	}
	if operations != len(routes.Routes()) {
		t.Errorf("%d operations of %d routes", operations, len(routes.Routes()))
	}
}

func walk(v any, each func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		each(v)
		for _, x := range v {
			walk(x, each)
		}
	case []any:
		for _, x := range v {
			walk(x, each)
		}
	}
}

func TestExamplesAreTaken(t *testing.T) {
	for _, v := range examples {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		switch v.(type) {
		case model.Application:
			_, err = decode.Application(b)
		case model.AppProject:
			_, err = decode.Project(b)
		default:
			err = decode.Into(b, reflect.New(reflect.TypeOf(v)).Interface())
		}
		if err != nil {
			t.Errorf("%T: %v", v, err)
		}
	}
}

// The console's files are read by a parser of TypeScript; what types they name is
// looked up here.
func TestTheTypeScriptIsSound(t *testing.T) {
	files := generated(t)
	for _, name := range []string{"hub/console/src/api/types.ts", "hub/console/src/api/client.ts"} {
		r := api.Transform(string(files[name]), api.TransformOptions{Loader: api.LoaderTS, Sourcefile: name, Target: api.ES2022})
		for _, m := range r.Errors {
			t.Errorf("%s:%d: %s", name, m.Location.Line, m.Text)
		}
	}
	declared := map[string]bool{"Record": true}
	for _, m := range regexp.MustCompile(`(?m)^export (?:interface|type) (\w+)`).FindAllSubmatch(files["hub/console/src/api/types.ts"], -1) {
		declared[string(m[1])] = true
	}
	named := regexp.MustCompile(`types\.(\w+)`).FindAllSubmatch(files["hub/console/src/api/client.ts"], -1)
	members := regexp.MustCompile(`(?m)^  "?[\w.-]+"?\??: (.*);$`).FindAllSubmatch(files["hub/console/src/api/types.ts"], -1)
	if len(named) < 50 || len(members) < 200 {
		t.Fatalf("found only %d names and %d members", len(named), len(members))
	}
	for _, m := range named {
		if !declared[string(m[1])] {
			t.Errorf("the client names the type %s, which is not declared", m[1])
		}
	}
	for _, m := range members {
		for _, word := range regexp.MustCompile(`\b[A-Z]\w*`).FindAllString(string(m[1]), -1) {
			if !declared[word] && !strings.Contains(string(m[1]), `"`) {
				t.Errorf("a member is of the type %s, which is not declared", word)
			}
		}
	}
}

// What is not told apart by its name outside must not be generated silently.
func TestNames(t *testing.T) {
	for in, want := range map[string]string{"apiToken": "APIToken", "idList": "IDList", "listing": "Listing", "urlPart": "URLPart", "identity": "Identity"} {
		if got := exported(in); got != want {
			t.Errorf("%s is called %s, want %s", in, got, want)
		}
	}
}
