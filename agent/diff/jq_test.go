package diff

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// TestHostileExpressions: no expression of anybody costs more than a second and
// some memory, and none makes a difference go away by failing.
func TestHostileExpressions(t *testing.T) {
	data := map[string]any{}
	for i := range 200 {
		data[fmt.Sprintf("key%03d", i)] = strings.Repeat(`"quoted\" `, 20)
	}
	d := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c"}, "data": data}
	l := deepCopy(d).(map[string]any)
	l["data"].(map[string]any)["key000"] = "drift"
	liveBody, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	const stages = 60
	again := func(s string) string { return strings.TrimSuffix(strings.Repeat(s+" | ", stages), " | ") }
	for _, expr := range []string{
		`last(range(1e12))`, `last(repeat(1))`, `def f: f; f`, `def f: 1 + f; f`, `def f(g): f(g); f(.)`, `input`, `env`, `$ENV`, `$ENV.PATH`, `limit(1e9; repeat(1))`, `[range(1e12)]`, `[limit(1e9; repeat("aaaaaaaa"))] | .[0]`,
		`"x" * 1e9`, `reduce range(100) as $i ("xxxxxxxx"; . + .)`, `reduce repeat(1) as $i (.; [.])`, `foreach range(1e9) as $i ([]; . + [$i])`,
		again(`[., .]`), again(`[., .]`) + " | tojson", again(`map(., .)`), again(`tojson`), again(`@json`), again(`. + .`), again(`{a: ., b: .}`), again(`"\(.)\(.)"`), again(`(.a = .) | (.b = .)`), again(`(., .)`), again(`..`), again(`gsub("a"; "aa")`),
		`[.. | .. | .. | ..] | length`, `.. | .. | .. | ..`, `[while(true; .)]`, `until(false; .)`, `[recurse(.)]`, `[.data[] | explode] | combinations`, `import "x" as x; .`, `include "x"; .`, `halt`, `"a" | halt_error`, `debug`, `1`, `error("no")`, `.[`, ``, strings.Repeat("(", 2000) + "." + strings.Repeat(")", 2000), strings.Repeat(".a", 3000),
		`getpath(["a","b"]) as $x | .`, `.data | to_entries`, `setpath([1e9]; 1)`, `.data[1e9]`, `splits("")`,
	} {
		t.Run(cut(expr, 40), func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			res, err := Compare(Input{Desired: d, Live: liveBody, Ignore: []model.IgnoreDifferences{{Kind: "ConfigMap", JQPathExpressions: []string{expr}}}})
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if took > 10*time.Second { // on a busy machine
				t.Errorf("it took %s", took)
			}
			if grown := int64(after.Sys) - int64(before.Sys); grown > 400<<20 {
				t.Errorf("the program grew by %d MiB", grown>>20)
			}
			if res.Total != 1 && (res.RuleFailed || res.Total != 0) { // some select everything
				t.Errorf("%d differences instead of one", res.Total)
			}
			if res.RuleFailed == (len(res.Problems) == 0) || res.Certain() == res.RuleFailed {
				t.Errorf("failed %v, certain %v, problems %q", res.RuleFailed, res.Certain(), res.Problems)
			}
		})
	}
}

func TestUsualExpressions(t *testing.T) {
	desired := object(t, deployHead+"spec: {replicas: 2, template: {spec: {containers: [{name: a, image: x, env: [{name: A, value: '1'}, {name: B, value: '2'}]}, {name: b, image: y}]}}}")
	liveBody := body(t, deployHead+"spec: {replicas: 3, template: {spec: {initContainers: [{name: injected, image: i}], containers: [{name: a, image: q, env: [{name: A, value: '9'}, {name: B, value: '2'}]}, {name: b, image: z}]}}}")
	const replicas, a, b, env = ".spec.replicas", ".spec.template.spec.containers[name=a].image", ".spec.template.spec.containers[name=b].image", ".spec.template.spec.containers[name=a].env[name=A].value"
	for _, c := range []struct {
		expr string
		want []string
	}{
		{`.spec.replicas`, []string{env, a, b}},
		{`.spec.template.spec.initContainers[] | select(.name == "injected")`, []string{replicas, env, a, b}},
		{`.spec.template.spec.containers[].image`, []string{replicas, env}},
		{`.spec.template.spec.containers[] | select(.name == "a")`, []string{replicas, b}},
		{`.spec.template.spec.containers[] | select(.name | test("^[ab]$")) | .env[]? | select(.name == "A") | .value`, []string{replicas, a, b}},
		{`.spec.template.spec.containers[0:1]`, []string{replicas, b}},
		{`.spec.template.spec.containers[-1].image`, []string{replicas, env, a}},
		{`.spec.template.spec.containers[1:] | .[0].image`, []string{replicas, env, a}},
		{`.spec | .replicas, .template`, nil},
		{`.. | .image?`, []string{replicas, env}},
		{`.spec.template.spec.containers | map(select(.name == "a")) | .[].image`, []string{replicas, env, a, b}}, // no path
		{`if .kind == "Deployment" then .spec.replicas else empty end`, []string{env, a, b}},
		{`.spec.nothing // .spec.replicas`, []string{env, a, b}},
		{`.spec.template.spec.containers | .[] | select(.name as $n | ["a", "b"] | index($n)) | .image`, []string{replicas, env}},
		{`first(.spec.template.spec.containers[]) | .image`, []string{replicas, env, b}},
		{`.spec["replicas"], .metadata.annotations["a/b"]`, []string{env, a, b}},
		{`.status[].x`, []string{replicas, env, a, b}},
		{`.metadata.labels | keys[]`, []string{replicas, env, a, b}},
		{`.`, nil},
	} {
		t.Run(c.expr, func(t *testing.T) {
			in := Input{Desired: desired, Live: liveBody, Ignore: []model.IgnoreDifferences{{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{c.expr}}}}
			for range 2 { // compiled, and from the cache
				res, err := Compare(in)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, d := range res.Differences {
					got = append(got, d.Path)
				}
				if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Errorf("differences %q, want %q; problems %q", got, c.want, res.Problems)
				}
			}
		})
	}
}

// TestSlowExpressionIsSuspended: an expression that always takes a second is not
// tried on every object of a fleet.
func TestSlowExpressionIsSuspended(t *testing.T) {
	const expr = `last(repeat("suspended"))`
	in := Input{Desired: object(t, deployHead+"spec: {replicas: 2}"), Live: body(t, deployHead+"spec: {replicas: 3}"),
		Ignore: []model.IgnoreDifferences{{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{expr}}}}
	began := time.Now()
	const objects = 20
	for range objects {
		res, err := Compare(in)
		if err != nil || !res.RuleFailed || !strings.Contains(res.Problems[0], "longer than 1s") {
			t.Fatalf("%+v %v", res, err)
		}
	}
	if took := time.Since(began); took > objects*jqLimit/2 {
		t.Errorf("%d objects took %s", objects, took)
	}
}
