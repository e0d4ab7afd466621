package filter

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

var schema = Schema{
	Things: "applications",
	Keys: []Key{
		{Name: "name"}, {Name: "project"}, {Name: "code", Aliases: []string{"condition"}},
		{Name: "health", Kind: Word, Words: []string{"healthy", "degraded", "missing"}},
		{Name: "changed", Kind: Age}, {Name: "apps", Kind: Number},
	},
	States: []string{"ready", "stale"},
	Labels: []string{"label", "cluster.label"},
}

func parse(t *testing.T, s string) Query {
	t.Helper()
	q, err := Parse(s, schema, func(name string) bool { return name == "helth" })
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return q
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "  \t\n": "",
		"api":                               "name:~api",
		"api*":                              "name:api*",
		`"api x"`:                           `name:~"api x"`,
		`"a*"`:                              `name:~"a*"`,
		"a,b":                               "name:~a,~b",
		"-api":                              "-name:~api",
		"NOT api":                           "-name:~api",
		"NOT -api":                          "name:~api",
		"NOTapi":                            "name:~NOTapi",
		"NOT":                               "name:~NOT",
		"health:Degraded,MISSING":           "health:degraded,missing",
		"health:*ing":                       "health:missing",
		"-project:x env:prod":               "-project:x label:env=prod",
		"not:ready":                         "-is:ready",
		"-not:ready":                        "is:ready",
		"is:stale,ready":                    "is:stale,ready",
		"label:env=prod,test":               "label:env=prod,test",
		"label:env":                         "label:env=*",
		`label:env=""`:                      `label:env=""`,
		`cluster.label:region=eu-*`:         "cluster.label:region=eu-*",
		"condition:denied":                  "code:denied",
		"changed:<1h":                       "changed:<3600",
		"changed:>1d12h":                    "changed:>129600",
		"apps:10,>=20,<5":                   "apps:10,>=20,<5",
		"helth:x":                           "label:helth=x",
		"team.example.org/x:y":              "label:team.example.org/x=y",
		`name:"a,b",c`:                      `name:"a,b",c`,
		`name:"say \"hi\""`:                 `name:"say \"hi\""`,
		"http://x":                          "label:http=//x",
		"name:a:b":                          "name:a:b",
		`health:degraded  "free text" api*`: `health:degraded name:~"free text" name:api*`,
	} {
		q := parse(t, in)
		if got := q.String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
		again, err := Parse(q.String(), schema, nil)
		if err == nil && again.String() != q.String() {
			t.Errorf("%s is parsed again as %s", q, again)
		}
	}
}

func TestErrorsSayWhereAndWhatWasMeant(t *testing.T) {
	for in, want := range map[string]string{
		"helath:degraded":                       `character 1: applications have no key "helath"; did you mean "health"?`,
		"api  projct:x":                         `character 6: applications have no key "projct"; did you mean "project"?`,
		"äö healt:x":                            `character 4: `,
		"health:degrated":                       `character 8: "degrated" is no value of health; did you mean "degraded"?`,
		"health:":                               "character 8: a value is missing",
		"health:a,":                             "character 10: a value is missing beside the comma",
		",":                                     "character 1: a value is missing beside the comma",
		`name:"x`:                               "character 6: the quote is not closed",
		"-":                                     "nothing after the negation",
		"- x":                                   "nothing after the negation",
		"is:reddy":                              `did you mean "ready"?`,
		"changed:1h":                            "is no age",
		"changed:<1y":                           "is no age",
		"changed:<":                             "is no age",
		"changed:<99999999999999d":              "is no age",
		"apps:many":                             "is no number",
		"label:=x":                              "the name of the label is missing",
		"api sync=OutOfSync":                    "character 5: between a key and its value there is a colon, as in sync:OutOfSync",
		"label:a,b":                             "write label:a=VALUE,VALUE",
		strings.Repeat("a ", MaxTerms+1):        "more than 50 terms",
		strings.Repeat("a,", MaxValues+1) + "a": "more than 200 values",
		strings.Repeat("a", MaxLength+1):        "at most 2000",
		"\xff":                                  "not UTF-8",
	} {
		_, err := Parse(in, schema, nil)
		if !fault.HasCode(err, "filter_invalid") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %s", in, err, want)
		}
	}
	if _, err := Parse("env:prod", Schema{Things: "projects", Keys: schema.Keys}, nil); err == nil || !strings.Contains(err.Error(), "projects have no key") {
		t.Errorf("without labels: %v", err)
	}
}

func TestTerms(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	one := func(s string) Term { return parse(t, s).Terms[0] }
	for name, ok := range map[string]bool{
		"word":         one("api").Text("my-api-2") && !one("api").Text("web"),
		"glob":         one("name:a*").Text("api") && !one("name:a*").Text("web") && one("name:a?i").Text("aüi"),
		"exact":        one("name:api").Text("api") && !one("name:api").Text("my-api"),
		"or":           one("name:a,b").Text("b") && !one("name:a,b").Text("c"),
		"not":          one("-name:a,b").Text("c") && !one("-name:a,b").Text("b"),
		"texts":        one("code:x").Texts([]string{"a", "x"}) && !one("-code:x").Texts([]string{"x"}) && one("-code:x").Texts(nil),
		"words":        one("health:missing").Word("missing") && one("-health:missing").Word("healthy"),
		"age":          one("changed:<1h").Age(now, now.Add(-time.Minute)) && !one("changed:<1h").Age(now, now.Add(-2*time.Hour)) && !one("changed:<1h").Age(now, time.Time{}),
		"number":       one("apps:>=2").Number(2) && !one("apps:>2").Number(2) && one("apps:<=2").Number(2) && one("apps:2").Number(2),
		"label":        one("env:prod").LabelOf(map[string]string{"env": "prod"}) && !one("env:prod").LabelOf(map[string]string{"env": "test"}),
		"no label":     !one("env:prod").LabelOf(nil) && one("-env:prod").LabelOf(nil) && !one("label:env").LabelOf(nil),
		"first label":  !one("env:prod").LabelOf(map[string]string{"env": "test"}, map[string]string{"env": "prod"}),
		"second label": one("env:prod").LabelOf(nil, map[string]string{"env": "prod"}),
		"empty label":  one("label:env").LabelOf(map[string]string{"env": ""}),
		"made by hand": Equal("name", "a*").Text("a*") && !Equal("name", "a*").Text("ab"),
	} {
		if !ok {
			t.Error(name)
		}
	}
	if got, ok := one("name:a,b").Exact(); !ok || len(got) != 2 {
		t.Errorf("exact: %v %v", got, ok)
	}
	if _, ok := one("name:a*").Exact(); ok {
		t.Error("a glob is not exact")
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "abc", true}, {"a*c", "abc", true}, {"a*c", "abd", false}, {"*b*", "abc", true}, {"", "", true}, {"", "a", false},
		{"?", "ü", true}, {"??", "ü", false}, {"a**b", "ab", true}, {"*a*a*a*", "aa", false}, {"a?", "a", false},
	} {
		if got := Glob(c.pattern, c.s); got != c.want {
			t.Errorf("%q, %q: %v", c.pattern, c.s, got)
		}
	}
	start := time.Now()
	if Glob(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 5000)) {
		t.Error("a text without a b matches")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("a hostile glob took %s", d)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"api", `health:degraded -project:x env:prod name:api* "free text" not:ready`, "changed:<1h apps:>5", `a"b\"c",d`, "NOT NOT x", "label:a=b,c*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Parse(s, schema, nil)
		if err != nil {
			if !fault.HasCode(err, "filter_invalid") {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		for _, term := range q.Terms {
			term.Text("api")
			term.Word("missing")
			term.Number(3)
			term.LabelOf(map[string]string{"env": "prod"})
		}
	})
}
