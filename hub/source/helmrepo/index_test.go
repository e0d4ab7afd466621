package helmrepo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
)

const small = `# made by hand
apiVersion: v1
generated: "2026-01-01T00:00:00Z"
entries:
  redis:
  - apiVersion: v2
    annotations:
      note: |
        entries:
          not-a-chart:
    version: 20.1.0
    urls: [redis-20.1.0.tgz]
    digest: SHA256UPPER
  - version: 20.0.0

    urls:
    - https://cdn.example.com/redis-20.0.0.tgz
    digest: sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    created: 2026-01-01T00:00:00.123Z
  - version: 19.0.0
    urls: []
  -
  - version: 18.0.0
    removed: true
    urls: [x]
  - version: 21.0.0-rc.1
    urls: [redis-21.0.0-rc.1.tgz]
  - version: {a: b}
    urls: text
  # between
  "quoted.name":
    - version: "1.10"
      urls: [q.tgz]
  empty: []
serverInfo: {}
`

func TestFind(t *testing.T) {
	unix := small
	for name, index := range map[string]string{
		"as it is":     unix,
		"CRLF":         strings.ReplaceAll(unix, "\n", "\r\n"),
		"with a BOM":   "\xef\xbb\xbf" + unix,
		"after ---":    "---\n" + unix,
		"entries last": "serverInfo: {}\n" + strings.TrimSuffix(unix, "serverInfo: {}\n"),
		"no newline":   strings.TrimSpace(unix),
	} {
		charts, err := Find(strings.NewReader(index), "charts.example.com", "redis", "quoted.name", "empty", "redsi")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, v := range charts["redis"].Versions {
			got = append(got, v.Version+" "+v.URLs[0])
		}
		want := "[20.1.0 redis-20.1.0.tgz 20.0.0 https://cdn.example.com/redis-20.0.0.tgz 21.0.0-rc.1 redis-21.0.0-rc.1.tgz]"
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v", name, got)
		}
		if v := charts["redis"].Versions; v[0].Digest != "" || v[1].Digest != strings.Repeat("a", 64) || !strings.HasPrefix(v[1].Created, "2026-01-01T") {
			t.Errorf("%s: %+v", name, v)
		}
		if q := charts["quoted.name"].Versions; len(q) != 1 || q[0].Version != "1.10" {
			t.Errorf("%s: %+v", name, q)
		}
		if len(charts["empty"].Versions)+len(charts["redsi"].Versions) != 0 {
			t.Errorf("%s: %+v", name, charts)
		}
	}
}

func TestIndexesOfOtherLayouts(t *testing.T) {
	whole := map[string]any{}
	if err := yaml.Unmarshal([]byte(small), &whole); err != nil {
		t.Fatal(err)
	}
	entries := whole["entries"].(map[string]any)
	redis := entries["redis"].([]any)
	entries["redis"] = append(redis[:len(redis)-1], nil) // JSON is not lenient about types
	text, err := json.MarshalIndent(whole, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for name, index := range map[string]string{
		"JSON":              string(text),
		"sequence indented": "entries:\n    redis:\n        - version: 20.1.0\n          urls: [a]\n",
		"key is last":       "entries: # charts\n  a:\n  - version: 1.0.0\n    urls: [a]\n  redis:\n  - {version: 20.1.0, urls: [a]}",
		"long lines": "entries:\n  a:\n  - description: " + strings.Repeat("x", 300<<10) + "\n    version: 1.0.0\n    urls: [a]\n  redis:\n" +
			"  - description: " + strings.Repeat("y", 300<<10) + "\n    version: 20.1.0\n    urls: [a]\n",
	} {
		charts, err := Find(strings.NewReader(index), "r", "redis")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v, err := charts["redis"].Pick("r", "~20.1"); err != nil || v.Version != "20.1.0" {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	for _, none := range []string{"entries: {}\napiVersion: v1\n", "entries:\napiVersion: v1", `{"entries":{}}`, `{"entries":null}`} {
		charts, err := Find(strings.NewReader(none), "r", "redis")
		if err != nil || len(charts["redis"].Versions) != 0 {
			t.Errorf("%q: %v, %v", none, charts, err)
		}
	}
}

func TestWhatIsNoIndexIsAnError(t *testing.T) {
	for _, index := range []string{
		"", "hello", "apiVersion: v1\n", "entries: [a]\n", "entries:\n- a\n", "entries:\n  ? a\n  : b\n", "entries:\n    a:\n  b:\n",
		"entries:\n  redis:\n  - version: \"1.0.0\n", "entries:\n  redis:\n  - version: *nowhere\n",
		`{"apiVersion":"v1"}`, `{"entries":[]}`, `{"entries":{"redis":[{"version":"1"`, `{"entries":{"redis":{"a":1}}}`, `{"a":`,
		"entries: {}\nentries:\n  redis:\n",
		"entries:\n  redis:\n  - &a [x,x,x,x,x,x,x,x,x]\n  - &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  - &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n  - &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n  - &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n  - &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n  - version: *f\n    urls: *f\n",
	} {
		if charts, err := Find(strings.NewReader(index), "charts.example.com", "redis"); err == nil {
			if len(charts["redis"].Versions) > 0 {
				t.Errorf("%.80q: %v", index, charts)
			}
			if !strings.Contains(index, "&a") { // entries of an odd type are left out
				t.Errorf("%.80q is taken", index)
			}
		} else if !fault.HasCode(err, "index_invalid") || fault.As(err).Kind != fault.Upstream {
			t.Errorf("%.80q: %v", index, err)
		}
	}
}

func TestChartNotFoundSaysWhatIsThere(t *testing.T) {
	charts, err := Find(strings.NewReader(small), "https://charts.example.com", "redis", "rediss", "zzzzzz", "pre")
	if err != nil {
		t.Fatal(err)
	}
	charts["pre"] = Chart{Name: "pre", Versions: []Version{{Version: "1.0.0-alpha"}}}
	for _, c := range []struct{ chart, want, message, field string }{
		{"redis", "^99", `chart "redis" has no version matching "^99"; newest is 20.1.0`, "spec.source.targetRevision"},
		{"redis", "20.1", "", ""},
		{"redis", "main", `chart "redis" has no version matching "main"; newest is 20.1.0`, "spec.source.targetRevision"},
		{"rediss", "", `https://charts.example.com has no chart "rediss"`, "spec.source.chart"},
		{"zzzzzz", "1.0.0", `https://charts.example.com has no chart "zzzzzz"`, "spec.source.chart"},
		{"pre", "", `chart "pre" has prereleases only; the newest is 1.0.0-alpha`, "spec.source.targetRevision"},
	} {
		_, err := charts[c.chart].Pick("https://charts.example.com", c.want)
		if c.message == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if e := fault.As(err); err == nil || e.Code != "chart_not_found" || e.Kind != fault.Unprocessable || !strings.HasPrefix(e.Message, c.message) || e.Field != c.field {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// bigIndex is an index of charts × 200 versions that exists while it is read.
func bigIndex(charts int) io.Reader {
	var chart bytes.Buffer
	chart.WriteString("  chart-0000:\n")
	for v := range 200 {
		fmt.Fprintf(&chart, "  - apiVersion: v2\n    description: %s\n    urls:\n    - chart-1.%d.0.tgz\n    version: 1.%d.0\n",
			strings.Repeat("words ", 30), v, v)
	}
	r, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, "apiVersion: v1\nentries:\n")
		text := chart.Bytes()
		for c := 0; c < charts && err == nil; c++ {
			copy(text[len("  chart-"):], fmt.Sprintf("%04d", c))
			_, err = w.Write(text)
		}
		_ = w.CloseWithError(err)
	}()
	return r
}

func TestABigIndexIsReadInPassing(t *testing.T) {
	// 50 MB. What it costs is that of the one chart.
	allocations := testing.AllocsPerRun(1, func() {
		charts, err := Find(bigIndex(1000), "r", "chart-0900")
		if err != nil {
			t.Fatal(err)
		}
		if v, err := charts["chart-0900"].Pick("r", ""); err != nil || v.Version != "1.199.0" {
			t.Fatal(v, err)
		}
	})
	if allocations > 50_000 {
		t.Errorf("%.0f allocations for a chart of 200 versions", allocations)
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"entries":{"redis":[{"version":"1.0.0","urls":["a"]}]}}`))
	f.Add([]byte("entries:\n  redis:\n  - version: 1\n    urls: [a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		charts, err := Find(bytes.NewReader(data), "r", "redis")
		if err != nil && fault.As(err).Code == "internal" {
			t.Errorf("%v", err)
		}
		for _, v := range charts["redis"].Versions {
			if v.Version == "" || len(v.URLs) == 0 {
				t.Errorf("%+v", v)
			}
		}
		_, _ = charts["redis"].Pick("r", "*")
	})
}
