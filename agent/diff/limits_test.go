package diff

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/manifest"
)

func TestTags(t *testing.T) {
	secret := func(data string) string { return "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n" + data }
	compare := func(desired, liveYAML string, key []byte, annotations ...string) []Field {
		t.Helper()
		res, err := Compare(Input{Desired: object(t, desired), Live: body(t, liveYAML), RedactionKey: key, SensitiveAnnotations: annotations, Managers: []live.FieldManager{}})
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range res.Fields() {
			shown, _ := json.Marshal(f.Desired)
			if f.InDesired && res.Differences[i].Desired != string(shown) {
				t.Errorf("%s is shown as %s and as %s", f.Path, res.Differences[i].Desired, shown)
			}
		}
		return res.Fields()
	}
	tag := regexp.MustCompile(`^redacted:[0-9a-f]{8}$`)
	values := func(fields []Field) (d, l string) {
		t.Helper()
		if len(fields) != 1 {
			t.Fatalf("%d fields: %+v", len(fields), fields)
		}
		d, _ = fields[0].Desired.(string)
		l, _ = fields[0].Live.(string)
		if !tag.MatchString(d) || !tag.MatchString(l) || d == l {
			t.Errorf("tags %q and %q", d, l)
		}
		return d, l
	}
	short, long := secret("data: {p: QQ==}"), secret("data: {p: "+strings.Repeat("QUFB", 100)+"}")
	d1, l1 := values(compare(short, long, []byte("k")))
	l2, d2 := values(compare(long, short, []byte("k")))
	if d1 != d2 || l1 != l2 {
		t.Error("equal values have different tags")
	}
	if d3, _ := values(compare(short, long, []byte("other key"))); d3 == d1 {
		t.Error("the key does not matter")
	}
	if d4, _ := values(compare(secret("stringData: {p: A}"), long, []byte("k"))); d4 != d1 {
		t.Error("stringData has another tag than the same data")
	}
	if d5, _ := values(compare(secret(`data: {p: "Q\nQ=="}`), long, []byte("k"))); d5 != d1 {
		t.Error("the same value in another base64 spelling has another tag")
	}
	a, _ := values(compare(short, long, nil))
	b, _ := values(compare(short, long, nil))
	if a != b || a == d1 {
		t.Error("without a key, tags are not consistent, or anybody's")
	}
	if plain := manifest.Redact(object(t, short), nil)["data"].(map[string]any)["p"]; a == plain {
		t.Error("without a key, values can be tried against the tags")
	}

	annotated := func(v string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {token: " + v + "}}\ndata: {}\n"
	}
	values(compare(annotated("canary1"), annotated("canary2"), []byte("k"), "token"))
	open := compare(annotated("canary1"), annotated("canary2"), []byte("k"), "other")
	if len(open) != 1 || open[0].Desired != "canary1" {
		t.Errorf("an annotation that is not sensitive is hidden: %+v", open)
	}
	of := strings.Replace(annotated("canary1"), "Secret", "ConfigMap", 1)
	if open = compare(of, strings.Replace(of, "canary1", "canary2", 1), []byte("k"), "token"); len(open) != 1 || open[0].Desired != "canary1" {
		t.Errorf("an annotation of another kind is hidden: %+v", open)
	}
	whole := compare(annotated("canary1"), secret("data: {}"), []byte("k"), "token")
	if out := fmt.Sprint(whole); len(whole) != 1 || strings.Contains(out, "canary") {
		t.Errorf("%s", out)
	}

	shown := Redact(Input{Desired: object(t, annotated("canary1")+"stringData: {p: A}"), RedactionKey: []byte("k"), SensitiveAnnotations: []string{"token"}})
	out, _ := json.Marshal(shown)
	if strings.Contains(string(out), "canary") || strings.Contains(string(out), `"A"`) || !strings.Contains(string(out), "redacted:") {
		t.Errorf("redacted %s", out)
	}
	plain := object(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}")
	if got := Redact(Input{Desired: plain}); !reflect.DeepEqual(got, plain) {
		t.Errorf("a ConfigMap is redacted: %v", got)
	}
}

// TestLargeObjects: what is large costs time in proportion.
func TestLargeObjects(t *testing.T) {
	const n = 20_000
	env := func(reverse bool) []any {
		list := make([]any, n)
		for i := range list {
			j := i
			if reverse {
				j = n - 1 - i
			}
			list[i] = map[string]any{"name": fmt.Sprintf("V%06d", j), "value": "x"}
		}
		return list
	}
	deploy := func(list []any) map[string]any {
		return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "d"}, "spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "a", "env": list}}}}}}
	}
	var fields strings.Builder
	for i := range n {
		fmt.Fprintf(&fields, `,"k:{\"name\":\"V%06d\"}":{".":{},"f:name":{},"f:value":{}}`, i)
	}
	var set strings.Builder
	for i := range n {
		fmt.Fprintf(&set, `,"v:\"a.io/f%06d\"":{}`, i)
	}
	managers := []live.FieldManager{own(`{"f:metadata":{"f:finalizers":{` + set.String()[1:] + `}},"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:env":{` + fields.String()[1:] + `}}}}}}}`)}
	deep := map[string]any{}
	for at, i := deep, 0; i < 5000; i++ {
		next := map[string]any{}
		at["d"], at = next, next
	}
	// Lists in lists, of which nobody knows how they merge.
	nested, nestedLive := any("x"), any("x")
	for range 40 {
		nested = []any{map[string]any{"name": "a", "l": nested}}
		nestedLive = []any{map[string]any{"name": "a", "l": nestedLive, "filledIn": true}}
	}
	twice := append(env(false), env(false)...)
	cases := []struct {
		name          string
		desired, live map[string]any
		total         int
	}{
		{"the same list", deploy(env(false)), deploy(env(false)), 0},
		{"in another order", deploy(env(false)), deploy(env(true)), 1},
		{"everything removed", deploy([]any{}), deploy(env(false)), n},
		{"everything missing", deploy(env(false)), deploy([]any{}), n},
		{"everything twice", deploy(env(false)), deploy(twice), n},
		{"a large set", finalizers(1), finalizers(n), n - 1},
		{"lists in lists", map[string]any{"apiVersion": "a.io/v1", "kind": "X", "spec": nested}, map[string]any{"apiVersion": "a.io/v1", "kind": "X", "spec": nestedLive}, 0},
		{"a deep object", map[string]any{"apiVersion": "a.io/v1", "kind": "X", "spec": deep}, map[string]any{"apiVersion": "a.io/v1", "kind": "X", "spec": map[string]any{}}, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Desired: c.desired, Live: manifest.AppendJSON(nil, c.live), Managers: managers}
			began := time.Now()
			res, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if res.Total != c.total || len(res.Differences) > MaxDifferences || len(res.Fields()) > MaxFields {
				t.Errorf("%d differences, %d listed", res.Total, len(res.Differences))
			}
			again, err := Compare(in)
			if err != nil || !reflect.DeepEqual(again.Differences, res.Differences) {
				t.Errorf("the listed differences change from one comparison to the next (%v)", err)
			}
			for i := 1; i < len(res.Differences); i++ {
				if res.Differences[i-1].Path > res.Differences[i].Path {
					t.Fatalf("%s is before %s", res.Differences[i-1].Path, res.Differences[i].Path)
				}
			}
		})
	}
}

// finalizers makes an object with n of them.
func finalizers(n int) map[string]any {
	list := make([]any, n)
	for i := range list {
		list[i] = fmt.Sprintf("a.io/f%06d", i)
	}
	return map[string]any{"apiVersion": "a.io/v1", "kind": "X", "metadata": map[string]any{"name": "x", "finalizers": list}}
}

func TestManyManagers(t *testing.T) {
	managers := []live.FieldManager{own(`{"f:data":{"f:a":{},"f:b":{}}}`)}
	for i := range 200 {
		managers = append(managers, other(fmt.Sprintf("m%d", i), `{"f:data":{"f:b":{}}}`))
	}
	res, err := Compare(Input{Desired: object(t, head("v1", "ConfigMap")+"data: {c: '1'}"), Live: body(t, head("v1", "ConfigMap")+"data: {a: '1', b: '1', c: '1'}"), Managers: managers})
	if err != nil || strings.Join(paths(res), " ") != ".data.a" {
		t.Errorf("%q %v", paths(res), err)
	}
}

// A secret that is known by its form shows in no difference, also not in one of a
// ConfigMap; that it changed does.
func TestP13_DifferencesHideSecretsThatAreKnownByTheirForm(t *testing.T) {
	token := func(n int) string {
		return "eyJ" + "hbGciOiJSUzI1NiJ9." + "eyJ" + "pc3MiOiJrdWJlcm5ldGVzIn0" + ".canarycanarycanarycanary" + fmt.Sprint(n)
	}
	const manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: a}\ndata: {one: 'token %s', two: %s, three: same}\n"
	res, err := Compare(Input{
		Desired: object(t, fmt.Sprintf(manifest, token(1), token(1))), Live: body(t, fmt.Sprintf(manifest, token(2), token(1))), RedactionKey: []byte("k"), Managers: []live.FieldManager{},
	})
	if err != nil || len(res.Differences) != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	d := res.Differences[0]
	if strings.Contains(d.Desired+d.Live, "canary") || d.Desired == d.Live || !strings.HasPrefix(d.Live, `"token redacted:heuristic:`) {
		t.Errorf("the difference is %+v", d)
	}
}
