package sync

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/hawser-dev/hawser/agent/live"
)

func TestNeedsMigration(t *testing.T) {
	entry := func(text string) live.FieldManager {
		f := strings.Fields(text)
		m := live.FieldManager{Manager: f[0], Operation: f[1]}
		if len(f) > 2 {
			m.Subresource = f[2]
		}
		return m
	}
	for _, c := range []struct {
		name     string
		managers []string
		extra    string
		want     string
	}{
		{"nothing known", nil, "", ""},
		{"only us", []string{"hawser Apply"}, "", ""},
		{"what our actions patched", []string{"hawser Update"}, "", ""},
		{"even if it is named", []string{"hawser Update", "hawser Apply"}, "hawser", ""},
		{"our replacements", []string{"hawser-update Update"}, "", "hawser-update"},
		{"kubectl apply", []string{"kubectl-client-side-apply Update", "hawser Apply"}, "", "kubectl-client-side-apply"},
		{"kubectl's annotation", []string{"kubectl-last-applied Apply"}, "", "kubectl-last-applied"},
		{"kubectl apply of a subresource", []string{"kubectl-client-side-apply Update status"}, "", ""},
		{"others with kubectl", []string{"kubectl Apply", "kubectl-edit Update", "kubectl-patch Update", "kubectl-create Update", "kubectl-scale Update scale"}, "", ""},
		{"controllers", []string{"kube-controller-manager Update status", "helm Update", "before-first-apply Update"}, "", ""},
		{"Argo CD", []string{"argocd-controller Apply", "argocd-controller Update", "argocd-controller Update status", "argocd-application-controller Update"}, "", "argocd-controller argocd-application-controller"},
		{"Argo CD's actions", []string{"argocd-server Update"}, "", ""},
		{"a named manager", []string{"old-operator Update", "other Update"}, "old-operator", "old-operator"},
		{"a named manager that applies", []string{"old-operator Apply"}, "old-operator", "old-operator"},
		{"a named manager that is not there", []string{"other Update"}, "old-operator", ""},
		{"an unknown operation", []string{"kubectl-client-side-apply Delete"}, "", ""},
		{"an empty name is nobody", []string{"x Update"}, "", ""},
	} {
		var managers []live.FieldManager
		for _, m := range c.managers {
			managers = append(managers, entry(m))
		}
		if got := strings.Join(NeedsMigration(managers, c.extra), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if NeedsMigration([]live.FieldManager{{Manager: "hawser", Operation: "Apply"}}, "") != nil {
		t.Error("nothing to do is not nil")
	}
}

func TestMigratedEntries(t *testing.T) {
	const kubectl, argo = "kubectl-client-side-apply", "argocd-controller"
	e := func(manager, operation, version, time, fields string, subresource ...string) managedEntry {
		m := managedEntry{Manager: manager, Operation: operation, APIVersion: version, Time: time, FieldsType: "FieldsV1", FieldsV1: json.RawMessage(fields)}
		if len(subresource) > 0 {
			m.Subresource = subresource[0]
		}
		return m
	}
	type list = []managedEntry
	for _, c := range []struct {
		name    string
		entries list
		from    []string
		want    list
		changed bool
	}{
		{"nothing", nil, []string{kubectl}, nil, false},
		{"nobody to take over from", list{e("other", "Update", "v1", "1", `{"f:data":{"f:a":{}}}`)}, []string{kubectl}, list{e("other", "Update", "v1", "1", `{"f:data":{"f:a":{}}}`)}, false},
		{"becomes ours", list{e(kubectl, "Update", "v1", "1", `{"f:data":{".":{},"f:a":{}}}`)}, []string{kubectl}, list{e("hawser", "Apply", "v1", "1", `{"f:data":{".":{},"f:a":{}}}`)}, true},
		{"joins ours", list{e("hawser", "Apply", "v1", "2", `{"f:data":{"f:b":{}}}`), e(kubectl, "Update", "v1", "1", `{"f:data":{".":{},"f:a":{}}}`)}, []string{kubectl},
			list{e("hawser", "Apply", "v1", "2", `{"f:data":{".":{},"f:a":{},"f:b":{}}}`)}, true},
		{"a leaf and what is in it", list{e("hawser", "Apply", "v1", "2", `{"f:data":{"f:b":{}}}`), e(kubectl, "Update", "v1", "1", `{"f:data":{}}`)}, []string{kubectl},
			list{e("hawser", "Apply", "v1", "2", `{"f:data":{".":{},"f:b":{}}}`)}, true},
		{"several, the newest counts", list{e(kubectl, "Update", "v1", "2026-01-01T00:00:00Z", `{"f:a":{}}`), e(argo, "Apply", "v2", "2026-02-01T00:00:00Z", `{"f:b":{}}`), e(argo, "Update", "v1", "2025-01-01T00:00:00Z", `{"f:c":{}}`)}, []string{kubectl, argo},
			list{e("hawser", "Apply", "v2", "2026-02-01T00:00:00Z", `{"f:a":{},"f:b":{},"f:c":{}}`)}, true},
		{"others and subresources stay", list{e(kubectl, "Update", "v1", "1", `{"f:a":{}}`), e(kubectl, "Update", "v1", "1", `{"f:status":{}}`, "status"), e("hpa", "Update", "v1", "1", `{"f:a":{}}`, "scale"), e("hawser", "Update", "v1", "1", `{"f:z":{}}`)}, []string{kubectl},
			list{e("hawser", "Apply", "v1", "1", `{"f:a":{}}`), e(kubectl, "Update", "v1", "1", `{"f:status":{}}`, "status"), e("hpa", "Update", "v1", "1", `{"f:a":{}}`, "scale"), e("hawser", "Update", "v1", "1", `{"f:z":{}}`)}, true},
		{"without fields", list{e(kubectl, "Update", "v1", "1", ``)}, []string{kubectl}, list{e("hawser", "Apply", "v1", "1", `{}`)}, true},
		{"ourselves are nobody to take over from", list{e("hawser", "Update", "v1", "1", `{"f:z":{}}`)}, []string{"hawser"}, list{e("hawser", "Update", "v1", "1", `{"f:z":{}}`)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, _ := json.Marshal(c.entries)
			got, changed, err := migratedEntries(c.entries, c.from, "hawser")
			if err != nil || changed != c.changed {
				t.Fatalf("changed %v, %v", changed, err)
			}
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(c.want)
			if string(a) != string(b) {
				t.Errorf("got  %s\nwant %s", a, b)
			}
			if after, _ := json.Marshal(c.entries); string(after) != string(before) {
				t.Error("the argument is changed")
			}
		})
	}
	if _, _, err := migratedEntries(list{e(kubectl, "Update", "v1", "1", `{"x":1}`)}, []string{kubectl}, "hawser"); err == nil {
		t.Error("fields that cannot be read are no error")
	}
}

func TestMigrationPatch(t *testing.T) {
	const object = `{"metadata":{"resourceVersion":"7","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"},"managedFields":[{"manager":"kubectl-client-side-apply","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}}]}}`
	patch, err := migrationPatch([]byte(object), []string{"kubectl-client-side-apply"}, "hawser")
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"op":"replace","path":"/metadata/managedFields","value":[{"manager":"hawser","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}}]},` +
		`{"op":"replace","path":"/metadata/resourceVersion","value":"7"},{"op":"remove","path":"/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"}]`
	if string(patch) != want {
		t.Errorf("got  %s\nwant %s", patch, want)
	}
	for _, nothing := range []string{`{}`, `{"metadata":{}}`, `{"metadata":{"managedFields":[]}}`} {
		if patch, err = migrationPatch([]byte(nothing), []string{"kubectl-client-side-apply"}, "hawser"); patch != nil || err != nil {
			t.Errorf("%s: %s, %v", nothing, patch, err)
		}
	}
	if _, err = migrationPatch([]byte(`[]`), nil, "hawser"); err == nil {
		t.Error("no object is no error")
	}
}

func TestWithoutMigrated(t *testing.T) {
	const old = "kubectl-client-side-apply"
	managed := func(sets ...string) string {
		var out []string
		for i := 0; i < len(sets); i += 2 {
			manager, subresource, _ := strings.Cut(sets[i], "/")
			out = append(out, `{"manager":"`+manager+`","operation":"Update","subresource":"`+subresource+`","fieldsV1":`+sets[i+1]+`}`)
		}
		return `"managedFields":[` + strings.Join(out, ",") + `]`
	}
	for _, c := range []struct {
		name, object, fields, want string
	}{
		{"a field", `"data":{"a":"1","b":"2"}`, managed(old, `{"f:data":{"f:a":{},"f:b":{}}}`, "hawser", `{"f:data":{"f:b":{}}}`), `{"data":{"b":"2"}}`},
		{"a field that others own", `"data":{"a":"1"}`, managed(old, `{"f:data":{"f:a":{}}}`, "x", `{"f:data":{"f:a":{}}}`), ``},
		{"a field that others own by a subresource", `"data":{"a":"1"}`, managed(old, `{"f:data":{"f:a":{}}}`, old+"/scale", `{"f:data":{"f:a":{}}}`), ``},
		{"all of a map", `"data":{"a":"1"}`, managed(old, `{"f:data":{".":{},"f:a":{}}}`), `{}`},
		{"all of a structure, which is no member", `"spec":{"x":{"a":1},"y":2}`, managed(old, `{"f:spec":{"f:x":{"f:a":{}}}}`, "hawser", `{"f:spec":{"f:y":{}}}`), `{"spec":{"y":2}}`},
		{"with what nobody owns", `"spec":{"x":{"a":1,"default":2},"y":2}`, managed(old, `{"f:spec":{"f:x":{"f:a":{}}}}`, "hawser", `{"f:spec":{"f:y":{}}}`), `{"spec":{"y":2}}`},
		{"an item by its key", `"spec":{"c":[{"name":"a","v":1},{"name":"b","v":2,"default":3}]}`,
			managed(old, `{"f:spec":{"f:c":{"k:{\"name\":\"a\"}":{".":{},"f:name":{},"f:v":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{},"f:v":{}}}}}`, "hawser", `{"f:spec":{"f:c":{"k:{\"name\":\"a\"}":{".":{},"f:name":{},"f:v":{}}}}}`),
			`{"spec":{"c":[{"name":"a","v":1}]}}`},
		{"an item in which others have something", `"spec":{"c":[{"name":"b","v":2,"w":3}]}`,
			managed(old, `{"f:spec":{"f:c":{"k:{\"name\":\"b\"}":{".":{},"f:name":{},"f:v":{}}}}}`, "x", `{"f:spec":{"f:c":{"k:{\"name\":\"b\"}":{".":{},"f:name":{},"f:w":{}}}}}`),
			`{"spec":{"c":[{"name":"b","w":3}]}}`},
		{"an item by two keys and a number", `"spec":{"p":[{"port":80,"protocol":"TCP"},{"port":81,"protocol":"TCP"}]}`,
			managed(old, `{"f:spec":{"f:p":{"k:{\"port\":81,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}`, "hawser", `{"f:spec":{"f:p":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}`),
			`{"spec":{"p":[{"port":80,"protocol":"TCP"}]}}`},
		{"an item of a set", `"spec":{"s":["a","b"]}`, managed(old, `{"f:spec":{"f:s":{"v:\"b\"":{}}}}`, "hawser", `{"f:spec":{"f:s":{"v:\"a\"":{}}}}`), `{"spec":{"s":["a"]}}`},
		{"an item by its place", `"spec":{"s":["a","b"]}`, managed(old, `{"f:spec":{"f:s":{"i:1":{}}}}`, "hawser", `{"f:spec":{"f:s":{"i:0":{}}}}`), `{"spec":{"s":["a"]}}`},
		{"what is not there", `"data":{"b":"2"}`, managed(old, `{"f:data":{"f:a":{}}}`, "hawser", `{"f:data":{"f:b":{}}}`), ``},
		{"of another shape", `"data":"text"`, managed(old, `{"f:data":{"f:a":{}}}`, "hawser", `{"f:data":{"f:b":{}}}`), ``},
		{"never the whole metadata", `"data":{}`, managed(old, `{"f:metadata":{"f:labels":{"f:a":{}}}}`), ``},
		{"large numbers keep their digits", `"spec":{"n":12345678901234567890,"x":1}`, managed(old, `{"f:spec":{"f:x":{}}}`, "hawser", `{"f:spec":{"f:n":{}}}`), `{"spec":{"n":12345678901234567890}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			obj, err := withoutMigrated([]byte(`{`+c.object+`,"metadata":{`+c.fields+`}}`), []string{old}, "hawser")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if obj != nil {
				delete(obj, "metadata")
				b, err := json.Marshal(obj)
				if err != nil {
					t.Fatal(err)
				}
				got = string(b)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for _, bad := range []string{`[]`, `{"metadata":{"managedFields":[{"manager":"` + old + `","fieldsV1":{"x":1}}]}}`} {
		if _, err := withoutMigrated([]byte(bad), []string{old}, "hawser"); err == nil {
			t.Errorf("%s is no error", bad)
		}
	}
}

// No managed fields that a server may send make a migration panic, and what is
// taken over is owned after it.
func FuzzMigration(f *testing.F) {
	f.Add([]byte(`{"f:data":{".":{},"f:a":{}}}`), []byte(`{"f:data":{"f:b":{}}}`))
	f.Add([]byte(`{"f:spec":{"f:c":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}}}}}`), []byte(`{"f:spec":{"f:s":{"v:1":{},"i:0":{}}}}`))
	f.Add([]byte(`{}`), []byte(`{"k:{}":{}}`))
	f.Fuzz(func(t *testing.T, theirs, ours []byte) {
		if !json.Valid(theirs) || !json.Valid(ours) {
			return
		}
		entries := []managedEntry{{Manager: "kubectl-client-side-apply", Operation: "Update", FieldsV1: theirs}, {Manager: "hawser", Operation: "Apply", FieldsV1: ours}}
		out, changed, err := migratedEntries(entries, predecessors, "hawser")
		if err != nil {
			return
		}
		if !changed || len(out) != 1 {
			t.Fatalf("%d entries", len(out))
		}
		joined, err := fieldsOf(out[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			set, err := fieldsOf(e)
			if err != nil {
				t.Fatal(err)
			}
			if lost := set.Difference(joined); !lost.Empty() {
				t.Errorf("lost %s", lost)
			}
		}
		object, err := json.Marshal(map[string]any{"metadata": map[string]any{"managedFields": entries}, "spec": map[string]any{"c": []any{map[string]any{"name": "a"}}, "s": []any{1}}, "data": map[string]any{"a": 1}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := withoutMigrated(object, predecessors, "hawser"); err != nil {
			t.Errorf("%v", err)
		}
	})
}

func TestGoesWithNobodyElse(t *testing.T) {
	theirs := fieldpath.NewSet(fieldpath.MakePathOrDie("spec", "a", "b"))
	for _, c := range []struct {
		kept *fieldpath.Set
		want fieldpath.Path
	}{
		{fieldpath.NewSet(), fieldpath.MakePathOrDie("spec")},
		{fieldpath.NewSet(fieldpath.MakePathOrDie("spec", "x")), fieldpath.MakePathOrDie("spec", "a")},
		{fieldpath.NewSet(fieldpath.MakePathOrDie("spec", "a", "c")), fieldpath.MakePathOrDie("spec", "a", "b")},
		{fieldpath.NewSet(fieldpath.MakePathOrDie("spec", "a", "b", "c")), nil},
	} {
		if got := goesWith(fieldpath.MakePathOrDie("spec", "a", "b"), theirs, c.kept); !slices.EqualFunc(got, c.want, fieldpath.PathElement.Equals) {
			t.Errorf("kept %s: %s, want %s", c.kept, got, c.want)
		}
	}
}
