package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

func TestStatistics(t *testing.T) {
	var hundred []float64
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, float64(i))
	}
	for _, c := range []struct {
		samples                    []float64
		median, p50, p99, min, max float64
	}{
		{[]float64{7}, 7, 7, 7, 7, 7},
		{[]float64{3, 1, 2}, 2, 2, 3, 1, 3},
		{[]float64{4, 1, 3, 2}, 2.5, 2, 4, 1, 4},
		{hundred, 50.5, 50, 99, 1, 100},
		{hundred[:50], 75.5, 75, 100, 51, 100},
	} {
		m := &metric{Samples: slices.Clone(c.samples)}
		m.statistics()
		if m.Median != c.median || m.P50 != c.p50 || m.P99 != c.p99 || m.Min != c.min || m.Max != c.max {
			t.Errorf("%d samples: got %+v, want %+v", len(c.samples), m, c)
		}
		if !slices.Equal(m.Samples, c.samples) {
			t.Error("the samples were reordered")
		}
	}
}

func TestGoals(t *testing.T) {
	var r report
	r.add("floor/wall", "", "s", 4)
	r.add("first/wall", "", "s", 5).over("floor/wall").atMost("ratio", 1.5)
	r.add("first/cpu", "", "s", 7).atMost("median", 6)
	r.add("alone", "", "s", 1).over("nothing").atMost("ratio", 2)
	r.add("both", "", "s", 1).atMost("p50", 2).atMost("p99", 2)
	r.add("both", "", "s", 3).atMost("p50", 2).atMost("p99", 2)
	r.add("no goal", "", "s", 1)
	r.conclude()
	for name, want := range map[string]bool{"first/wall": true, "first/cpu": false, "alone": false, "both": false} {
		m := r.metric(name)
		if m.Met == nil || *m.Met != want {
			t.Errorf("%s: met is %v, want %v", name, m.Met, want)
		}
	}
	if m := r.metric("first/wall"); *m.Ratio != 1.25 || *m.Floor != 4 {
		t.Errorf("ratio %v over %v", *m.Ratio, *m.Floor)
	}
	if goals := r.metric("both").Goals; len(goals) != 2 || !goals[0].Met || goals[1].Met || goals[1].Got != 3 {
		t.Errorf("goals of both: %+v", goals)
	}
	if r.metric("no goal").Met != nil {
		t.Error("met without a goal")
	}
	path := filepath.Join(t.TempDir(), "deep", "result.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || !strings.Contains(string(b), `"name": "first/wall"`) {
		t.Errorf("%v: %s", err, b)
	}
	var table strings.Builder
	r.table(&table)
	for _, want := range []string{"ratio ≤ 1.50 met", "median ≤ 6 MISSED by 1"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
}

func TestRequestsAreSortedByWhatTheyAreFor(t *testing.T) {
	var r requestKind
	for _, e := range []testbed.AuditEvent{
		{Verb: "watch", Resource: "pods"},
		{Verb: "list", Resource: "secrets", Namespace: "hawser-system"},
		{Verb: "get", RequestURI: "/apis?timeout=1s"},
		{Verb: "update", Resource: "secrets", Namespace: "hawser-system"},
		{Verb: "create", Resource: "secrets", Namespace: "team-01"},
		{Verb: "update", Resource: "leases", Namespace: "hawser-system"},
		{Verb: "patch", Resource: "deployments", Namespace: "team-01"},
		{Verb: "patch", Resource: "deployments", Subresource: "status", Namespace: "team-01"},
	} {
		e.UserAgent = "hawser-agent/1.0 op/3"
		r.take(e)
		e.UserAgent = "somebody"
		r.take(e)
	}
	if r.Watch != 2 || r.Discovery != 1 || r.Journal != 1 || r.Lease != 1 || r.Rest != 3 || r.counted() != 5 {
		t.Errorf("got %+v", r)
	}
	want := map[string]int{
		"watch pods": 1, "list secrets": 1, "get /apis": 1, "update secrets": 1, "create secrets": 1,
		"update leases": 1, "patch deployments": 1, "patch deployments/status": 1,
	}
	if !maps.Equal(r.ByVerb, want) {
		t.Errorf("by verb: %v", r.ByVerb)
	}
}

func TestProcessTree(t *testing.T) {
	p, err := parseStat([]byte("77 (a ) b) S 5 77 77 0 -1 4194560 1 2 3 4 100 50 25 25 20 0 9 0 1 2 3"))
	if err != nil || p.parent != 5 || p.cpu != 2 {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := parseStat([]byte("77 (x) S 5")); err == nil {
		t.Error("half a line was taken")
	}
	table := processTable{1: {}, 5: {parent: 1}, 6: {parent: 5}, 7: {parent: 5}, 8: {parent: 7}, 9: {parent: 1}}
	for _, c := range []struct {
		root, without int
		want          []int
	}{{5, 0, []int{5, 6, 7, 8}}, {5, 7, []int{5, 6}}, {7, 0, []int{7, 8}}, {4, 0, nil}} {
		if got := slices.Sorted(slices.Values(table.tree(c.root, c.without))); !slices.Equal(got, c.want) {
			t.Errorf("tree of %d without %d: %v", c.root, c.without, got)
		}
	}
	own, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	if own[os.Getpid()].parent != os.Getppid() {
		t.Errorf("this process is not the child of its parent: %+v", own[os.Getpid()])
	}
}

func TestWorkload(t *testing.T) {
	w := workload{n: 45}
	files, err := w.files("0")
	if err != nil || len(files) != 4*45 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if n := len(files["app-0003/config.yaml"]); n < configSize || n > configSize+512 {
		t.Errorf("a ConfigMap of %d bytes", n)
	}
	again, _ := w.files("0")
	for name := range files {
		if string(files[name]) != string(again[name]) {
			t.Errorf("%s differs between two runs", name)
		}
	}
	changed, err := w.changes("1", w.all()...)
	if err != nil || len(changed) != 45 {
		t.Fatalf("%d changes, %v", len(changed), err)
	}
	for name, b := range changed {
		if string(b) == string(files[name]) {
			t.Errorf("%s is not changed", name)
		}
	}
	first, rest, err := w.patches()
	if err != nil || len(first) != namespaces || len(rest) != 4*45 {
		t.Errorf("%d and %d patches, %v", len(first), len(rest), err)
	}
	docs, err := w.applications("http://git.example/fleet.git", "eu")
	if err != nil || strings.Count(string(docs), "---\n") != 45 {
		t.Errorf("%v: %.200s", err, docs)
	}
}

func TestConfigure(t *testing.T) {
	for _, bad := range [][2]string{{"first,second", "1"}, {"first", "0"}, {"first", "x"}, {"", "1"}, {"first", ""}} {
		if (&bench{repeat: 1}).configure(bad[0], bad[1]) == nil {
			t.Errorf("-only %q -apps %q was taken", bad[0], bad[1])
		}
	}
	b := &bench{repeat: 1}
	if err := b.configure("first,idle", "500,200"); err != nil || !slices.Equal(b.apps, []int{200, 500}) || !b.only["idle"] {
		t.Errorf("got %+v, %v", b, err)
	}
}

func TestFiguresOfGoBenchmarks(t *testing.T) {
	got := map[string][]float64{}
	nanoseconds("goos: linux\nBenchmarkOf/typed-2  \t 6155 \t 193.5 ns/op \t 64 B/op\nBenchmarkOf/typed-2 10 200 ns/op\nBenchmarkHealth/2KB-16 1 11000 ns/op\nBenchmarkX/a-b 1 7 ns/op\nBenchmarkY 1 3 MB/s\nPASS\n", got)
	want := map[string][]float64{"BenchmarkOf/typed": {193.5, 200}, "BenchmarkHealth/2KB": {11000}, "BenchmarkX/a-b": {7}}
	if !maps.EqualFunc(got, want, slices.Equal[[]float64]) {
		t.Errorf("%v", got)
	}
}
