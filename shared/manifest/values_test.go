package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// written spells a value with its keys in their order.
func written(v any) string {
	switch v := v.(type) {
	case *Mapping:
		var b strings.Builder
		for i, k := range v.Keys {
			if i > 0 {
				b.WriteString(" ")
			}
			b.WriteString(k + "=" + written(v.Values[k]))
		}
		return "{" + b.String() + "}"
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, written(item))
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return fmt.Sprintf("%T:%v", v, v)
}

func TestValuesKeepTheirOrder(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "{}",
		"# nothing\n":      "{}",
		"---\n# nothing\n": "{}",
		"z: 1\na: x\nm: {y: true, on: n, b: 0x10}":    "{z=int64:1 a=string:x m={y=bool:true on=string:n b=int64:16}}",
		"{\"b\": [1.5, null], \"a\": {}}":             "{b=[float64:1.5 <nil>:<nil>] a={}}",
		"{\n\t\"b\": 1,\n\t\"a\": 2\n}\n":             "{b=int64:1 a=int64:2}",
		"d: &d {p: 1, q: 2}\nc: {x: 0, <<: *d, q: 3}": "{d={p=int64:1 q=int64:2} c={x=int64:0 q=int64:3 p=int64:1}}",
		"8080: a\n": "{8080=string:a}",
	} {
		got, err := Values("values.yaml", []byte(text), Limits{})
		if err != nil || written(got) != want {
			t.Errorf("%q: %v %v", text, written(got), err)
		}
	}
}

func TestPlainStrings(t *testing.T) {
	for s, want := range map[string]bool{"a": true, "web-1": true, "1.2.3": true, "2001-01-01": true, "": false, "1": false, "y": false, "No": false, "null": false, "~": false, "0x1F": false, "1e3": false, "1_0": false, ".5": false, "077": false} {
		if got := PlainString(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestValuesRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"- a\n":             "values_invalid: v.yaml: variables are a mapping, this is a list",
		"hello":             "values_invalid: v.yaml: variables are a mapping, this is the string \"hello\"",
		"a: 1\n---\nb: 2\n": "values_invalid: v.yaml:3:1: only one YAML document is expected",
		"a: 1\na: 2\n":      "yaml_duplicate_key: v.yaml:2:1: \"a\" is already set at line 1",
		"a:\n\tb: 1\n":      "yaml_invalid: v.yaml:2:1: tab used",
		"a: &a [*a]":        "yaml_invalid: v.yaml:1:",
		"a: &a [x,x,x,x,x,x,x,x]\nb: [*a,*a,*a,*a,*a,*a]\n": "yaml_alias_limit: v.yaml:",
		strings.Repeat("#", 600):                            "too_large: v.yaml: the file is",
	} {
		_, err := Values("v.yaml", []byte(text), Limits{MaxBytes: 500, MaxAliasExpansion: 500})
		if e := fault.As(err); e == nil || !strings.HasPrefix(e.Code+": "+e.Message, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
