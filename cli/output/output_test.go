package output

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestParse(t *testing.T) {
	for _, s := range []string{"", "wide", "json", "yaml", "name"} {
		if f, err := Parse(s); err != nil || string(f) != s {
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

func TestRows(t *testing.T) {
	columns := []Column{{Title: "NAME"}, {Title: "STATE"}, {Title: "ID", Wide: true}, {Title: "MESSAGE", Text: true}}
	name := strings.Repeat("a-long-name-", 9) + "end"
	rows := [][]string{
		{"größe", "OK", "1", ""},
		{name, "Failed", "2", strings.Repeat("x", 200)},
		{"c", "", "3", "short\x1b"},
	}
	var table, wide strings.Builder
	if err := Rows(&table, Table, columns, rows); err != nil {
		t.Fatal(err)
	}
	if err := Rows(&wide, Wide, columns, rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(table.String(), "\n"), "\n")
	at := strings.Index(lines[0], "STATE")
	if len(lines) != 4 || at != len(name)+2 {
		t.Fatalf("got\n%s", table.String())
	}
	if !strings.HasPrefix(lines[2], name+"  Failed  ") || !strings.HasSuffix(lines[2], "x…") {
		t.Errorf("got %q", lines[2])
	}
	if text := lines[2][strings.Index(lines[2], "xx"):]; utf8.RuneCountInString(text) != leastText {
		t.Errorf("text of %d: %q", utf8.RuneCountInString(text), text)
	}
	if got := string([]rune(lines[1])[at:]); got != "OK" {
		t.Errorf("not aligned: %q", lines[1])
	}
	if strings.Contains(table.String(), "ID") || !strings.HasSuffix(lines[3], "short\uFFFD") {
		t.Errorf("got\n%s", table.String())
	}
	if !strings.Contains(wide.String(), "ID") || !strings.Contains(wide.String(), strings.Repeat("x", 200)) {
		t.Errorf("got\n%s", wide.String())
	}
}

func TestTextTakesWhatTheNamesLeave(t *testing.T) {
	var b strings.Builder
	err := Rows(&b, Table, []Column{{Title: "NAME"}, {Title: "MESSAGE", Text: true}}, [][]string{{"web", strings.Repeat("x", 100)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(b.String(), "\n")[1:2] {
		if n := utf8.RuneCountInString(line); n != lineWidth {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
}

func TestASpareColumnGoesBeforeTextIsCut(t *testing.T) {
	columns := []Column{{Title: "URL"}, {Title: "PROJECT", Spare: true}, {Title: "ERROR", Text: true}}
	for _, c := range []struct {
		name, text     string
		format         Format
		project, whole bool
	}{
		{"short", "no", Table, true, true},
		{"fits without it", strings.Repeat("x", 60), Table, false, true},
		{"too long anyway", strings.Repeat("x", 100), Table, false, false},
		{"wide", strings.Repeat("x", 100), Wide, true, true},
	} {
		var b strings.Builder
		if err := Rows(&b, c.format, columns, [][]string{{"https://git/x", "storefront", c.text}}); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		if strings.Contains(got, "PROJECT") != c.project || strings.Contains(got, "storefront") != c.project || strings.Contains(got, c.text) != c.whole {
			t.Errorf("%s: got\n%s", c.name, got)
		}
	}
}
