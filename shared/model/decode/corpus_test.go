package decode

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// What a document says and what is kept of it must be the same, apart from
// what is dropped by design.
func TestCorpusDecodesUnchanged(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*")
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs, err := Documents(data)
			if err != nil {
				t.Fatal(err)
			}
			nodes, err := parse(data)
			if err != nil {
				t.Fatal(err)
			}
			nodes = flatten(nodes)
			if len(docs) == 0 || len(docs) != len(nodes) {
				t.Fatalf("%d documents of %d nodes", len(docs), len(nodes))
			}
			for i, d := range docs {
				if d.Err != nil {
					t.Fatalf("document %d: %v", d.Index, d.Err)
				}
				objects++
				var got any = d.Application
				switch {
				case d.Project != nil:
					got = d.Project
				case d.Set != nil:
					got = d.Set
				}
				written := generic(t, nodes[i].json())
				kept := generic(t, marshal(t, got))
				meta := written["metadata"].(map[string]any)
				delete(written, "status")
				for _, k := range []string{"managedFields", "ownerReferences"} {
					delete(meta, k)
				}
				if d.Application != nil && written["spec"].(map[string]any)["project"] == nil {
					written["spec"].(map[string]any)["project"] = model.DefaultProject
				}
				if w, k := prune(written), prune(kept); !reflect.DeepEqual(w, k) {
					t.Errorf("document %d\nwritten %s\nkept    %s", d.Index, marshal(t, w), marshal(t, k))
				}
				roundTrip(t, d)
			}
		})
	}
	if objects < 30 {
		t.Errorf("the corpus has %d objects, 30 are wanted", objects)
	}
}

func roundTrip(t *testing.T, d Document) {
	t.Helper()
	if d.Application != nil {
		again, err := Application(marshal(t, d.Application))
		if err != nil || !reflect.DeepEqual(again, *d.Application) {
			t.Errorf("round trip: %v\n%+v\n%+v", err, again, *d.Application)
		}
		return
	}
	if d.Set != nil {
		again, err := ApplicationSet(marshal(t, d.Set))
		if err != nil || !reflect.DeepEqual(again, *d.Set) {
			t.Errorf("round trip: %v\n%+v\n%+v", err, again, *d.Set)
		}
		return
	}
	again, err := Project(marshal(t, d.Project))
	if err != nil || !reflect.DeepEqual(again, *d.Project) {
		t.Errorf("round trip: %v\n%+v\n%+v", err, again, *d.Project)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func generic(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// prune removes values that mean the same as their absence. Values that mean
// something else (pointers, the empty whitelist) have tests of their own.
func prune(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range x {
			if p := prune(e); p != nil {
				out[k] = p
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, e := range x {
			p := prune(e)
			if p == nil {
				p = "(empty)"
			}
			out = append(out, p)
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case string:
		if x == "on" { // YAML 1.1, where a string is wanted
			return true
		}
		if x == "" {
			return nil
		}
	case bool:
		if !x {
			return nil
		}
	case float64:
		if x == 0 {
			return nil
		}
	}
	return v
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/corpus/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestZeroValuesThatMeanSomethingAreKept(t *testing.T) {
	app, err := Application(read(t, "04-automated-off.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if app.Spec.SyncPolicy.AutomatedEnabled() || *app.Spec.SyncPolicy.Automated.Enabled {
		t.Error("enabled: false was lost")
	}
	app, err = Application(read(t, "22-empty-automated.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !app.Spec.SyncPolicy.AutomatedEnabled() {
		t.Error("automated: {} means on")
	}
	app, err = Application(read(t, "15-ignore-differences.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if app.Spec.RevisionHistoryLimit == nil || *app.Spec.RevisionHistoryLimit != 0 {
		t.Error("revisionHistoryLimit: 0 was lost")
	}
	project, err := Project(read(t, "32-project-empty-whitelist.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Project(marshal(t, project))
	if err != nil {
		t.Fatal(err)
	}
	if again.Spec.NamespaceResourceWhitelist == nil {
		t.Error("an empty namespaceResourceWhitelist denies everything; it became absent, which allows everything")
	}
	app, err = Application(read(t, "13-plugin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if p := app.Spec.Source.Plugin.Parameters; p[1].String == nil || p[3].Array == nil {
		t.Errorf("empty plugin parameters were lost: %+v", p)
	}
}

func TestValuesObjectKeepsNumbersAndBooleans(t *testing.T) {
	app, err := Application(read(t, "07-helm-values-object.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"architecture":"standalone","auth":{"enabled":true,"existing":null},"big":9007199254740993,"empty":{},"ports":[6379,6380],"ratio":0.5,"replicas":3,"text":"yes"}`
	if got := string(app.Spec.Source.Helm.ValuesObject); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStringsThatLookLikeBooleansStayStrings(t *testing.T) {
	app, err := Application(read(t, "20-yaml11-booleans.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a := app.Spec.SyncPolicy.Automated
	if app.Spec.Source.TargetRevision != "on" || !app.Spec.Source.Directory.Recurse || !a.Prune || a.SelfHeal {
		t.Errorf("got %+v", app.Spec)
	}
}

func TestMergeKeys(t *testing.T) {
	app, err := Application(read(t, "21-anchors.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{"a", "b", "c"} {
		s := app.Spec.Sources[i]
		if s.Path != path || s.TargetRevision != "main" || s.RepoURL != "https://git.example.org/a.git" {
			t.Errorf("source %d: %+v", i, s)
		}
	}
}

// Every type that can occur in a document must be one that fill knows.
func TestEveryFieldCanBeFilled(t *testing.T) {
	var walk func(reflect.Type, string)
	walk = func(rt reflect.Type, path string) {
		switch rt {
		case typeRaw, typeTime, typeIntOrString:
			return
		}
		switch rt.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(rt.Elem(), path)
		case reflect.Struct:
			for i := range rt.NumField() {
				f := rt.Field(i)
				if f.Tag.Get("json") == "" {
					t.Errorf("%s.%s has no JSON name", path, f.Name)
				}
				walk(f.Type, path+"."+f.Name)
			}
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64:
		default:
			t.Errorf("%s is a %s", path, rt)
		}
	}
	walk(reflect.TypeFor[model.Application](), "Application")
	walk(reflect.TypeFor[model.AppProject](), "AppProject")
	walk(reflect.TypeFor[model.ApplicationSet](), "ApplicationSet")
}

// Every field of Application and AppProject is set by some document of the
// corpus: one that nobody writes is one of which nobody knows that it is kept.
func TestTheCorpusSetsEveryField(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*")
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	var note func(v reflect.Value, path string)
	note = func(v reflect.Value, path string) {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return
			}
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Slice:
			if v.Type() != typeRaw {
				for i := range v.Len() {
					note(v.Index(i), path)
				}
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				note(v.MapIndex(k), path)
			}
		case reflect.Struct:
			if v.Type() == typeTime || v.Type() == typeIntOrString {
				return
			}
			for _, f := range fieldsOf(v.Type()) {
				if x := v.FieldByIndex(f.index); !x.IsZero() {
					set[path+"."+f.name] = true
					note(x, path+"."+f.name)
				}
			}
		}
	}
	kinds, shapes := map[string]int{}, map[string]bool{}
	for _, file := range files {
		docs, err := Documents(read(t, filepath.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			kinds[d.Kind]++
			switch {
			case d.Application != nil:
				note(reflect.ValueOf(d.Application), "Application")
				shapes[string(marshal(t, d.Application.Spec))] = true
			case d.Project != nil:
				note(reflect.ValueOf(d.Project), "AppProject")
				shapes[string(marshal(t, d.Project.Spec))] = true
			}
		}
	}
	// fields of the structs. What of the dry source of a hydrator is the same as
	// of any other source is looked at there.
	var walk func(rt reflect.Type, path string)
	walk = func(rt reflect.Type, path string) {
		for rt.Kind() == reflect.Pointer || rt.Kind() == reflect.Slice && rt != typeRaw || rt.Kind() == reflect.Map {
			rt = rt.Elem()
		}
		if rt.Kind() != reflect.Struct || rt == typeTime || rt == typeIntOrString {
			return
		}
		for _, f := range fieldsOf(rt) {
			p := path + "." + f.name
			if f.name == "status" { // the hub fills it in; what is written is ignored
				continue
			}
			if !set[p] {
				t.Errorf("no document of the corpus sets %s", p)
				continue
			}
			switch p {
			case "Application.spec.sources", "Application.operation.sync.source", "Application.operation.sync.sources",
				"Application.spec.sourceHydrator.drySource.helm", "Application.spec.sourceHydrator.drySource.kustomize",
				"Application.spec.sourceHydrator.drySource.directory", "Application.spec.sourceHydrator.drySource.plugin":
				continue
			}
			walk(rt.FieldByIndex(f.index).Type, p)
		}
	}
	walk(reflect.TypeFor[model.Application](), "Application")
	walk(reflect.TypeFor[model.AppProject](), "AppProject")
	if n := kinds["Application"] + kinds["AppProject"]; n < 60 || len(shapes) < 60 || kinds["AppProject"] < 20 {
		t.Errorf("%v objects of %d shapes; 60 are wanted, 20 of them projects", kinds, len(shapes))
	}
}
