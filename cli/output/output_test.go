package output

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestParse(t *testing.T) {
	for _, s := range Formats {
		s = strings.TrimSuffix(s, "=")
		want := Format(s)
		if s == "table" {
			want = Table
		}
		if f, err := Parse(s); err != nil || f != want {
			t.Errorf("%q: %q, %v", s, f, err)
		}
	}
	if _, err := Parse("xml"); !fault.HasCode(err, "output_unknown") {
		t.Errorf("%v", err)
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m",
		2 * time.Hour: "2h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 400 * 24 * time.Hour: "400d",
	} {
		at := now.Add(-d)
		if got := Age(now, &at); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
	if Age(now, nil) != "never" || Age(now, &time.Time{}) != "never" {
		t.Error("never is not never")
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"web":                  "web",
		"größe 名前":             "größe 名前",
		"a\x1b[2Jb":            "a\uFFFD[2Jb",
		"a\nb\tc\rd\x00":       "a\uFFFDb\uFFFDc\uFFFDd\uFFFD",
		"\u202Egpj.exe\u202C":  "\uFFFDgpj.exe\uFFFD",
		"\u2066x\u2069\u200F":  "\uFFFDx\uFFFD\uFFFD",
		"c1 control \u009b31m": "c1 control \uFFFD31m",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestDocument(t *testing.T) {
	v := map[string]any{"url": "https://a/?b=1&c=<d>"}
	for f, want := range map[Format]string{
		JSON: "{\n  \"url\": \"https://a/?b=1&c=<d>\"\n}\n",
		YAML: "url: https://a/?b=1&c=<d>\n",
	} {
		var b strings.Builder
		if err := Document(&b, f, v); err != nil || b.String() != want {
			t.Errorf("%s: %q, %v", f, b.String(), err)
		}
	}
}
