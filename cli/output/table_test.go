package output

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// printed is a table as lines.
func printed(t *testing.T, s Sheet, rows ...[]string) []string {
	t.Helper()
	var b strings.Builder
	if err := s.Print(&b, rows); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func TestATableThatGoesToNoTerminalIsWhole(t *testing.T) {
	name, text := strings.Repeat("a-long-name-", 9)+"end", strings.Repeat("x", 200)
	lines := printed(t, Sheet{Columns: []Column{{Title: "NAME"}, {Title: "STATE", Status: true}, {Title: "ID", Wide: true}, {Title: "MESSAGE", Text: true}}},
		[]string{"größe", "OK", "1", ""}, []string{name, "Failed", "2", text}, []string{"c", "", "3", "short\x1b"})
	at := strings.Index(lines[0], "STATE")
	if len(lines) != 4 || at != len(name)+2 || strings.Contains(lines[0], "ID") {
		t.Fatalf("got %q", lines)
	}
	if lines[2] != name+"  Failed  "+text {
		t.Errorf("got %q", lines[2])
	}
	if got := string([]rune(lines[1])[at:]); got != "OK" {
		t.Errorf("not aligned: %q", lines[1])
	}
	if !strings.HasSuffix(lines[3], "short\uFFFD") {
		t.Errorf("got %q", lines[3])
	}
}

func TestATableFitsTheTerminal(t *testing.T) {
	name, text := strings.Repeat("abcdefghi-", 4)+"end", strings.Repeat("x", 200)
	for _, c := range []struct {
		what  string
		width int
		wide  bool
		row   []string
		want  string
	}{
		{"text takes what the names leave", 40, false, []string{"web", text}, "web   " + strings.Repeat("x", 33) + "…"},
		{"text keeps some room", 20, false, []string{name[:20], text}, Middle(name[:20], 16) + "  " + strings.Repeat("x", 23) + "…"},
		{"a name loses its middle", 50, false, []string{name, text}, Middle(name, 24) + "  " + strings.Repeat("x", 23) + "…"},
		{"wide is whole", 40, true, []string{name, text}, name + "  " + text},
		{"wide letters take two columns", 40, false, []string{"名前", text}, "名前  " + strings.Repeat("x", 33) + "…"},
	} {
		lines := printed(t, Sheet{Columns: []Column{{Title: "NAME"}, {Title: "TEXT", Text: true}}, Wide: c.wide, Look: Look{Width: c.width}}, c.row)
		if lines[1] != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.what, lines[1], c.want)
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		in   string
		room int
		want string
	}{
		{"payments-api-7c9f", 17, "payments-api-7c9f"}, {"payments-api-7c9f", 9, "paym…7c9f"}, {"payments", 3, "p…s"}, {"payments", 2, "payments"}, {"", 5, ""},
	} {
		if got := Middle(c.in, c.room); got != c.want {
			t.Errorf("%q to %d: %q, want %q", c.in, c.room, got, c.want)
		}
	}
}

func TestASpareColumnGoesBeforeTextIsCut(t *testing.T) {
	columns := []Column{{Title: "URL"}, {Title: "PROJECT", Spare: true}, {Title: "ERROR", Text: true}}
	for _, c := range []struct {
		name, text     string
		wide           bool
		width          int
		project, whole bool
	}{
		{"short", "no", false, 80, true, true},
		{"fits without it", strings.Repeat("x", 60), false, 80, false, true},
		{"too long anyway", strings.Repeat("x", 100), false, 80, false, false},
		{"wide", strings.Repeat("x", 100), true, 80, true, true},
		{"no terminal", strings.Repeat("x", 100), false, 0, true, true},
	} {
		got := strings.Join(printed(t, Sheet{Columns: columns, Wide: c.wide, Look: Look{Width: c.width}}, []string{"https://git/x", "storefront", c.text}), "\n")
		if strings.Contains(got, "PROJECT") != c.project || strings.Contains(got, "storefront") != c.project || strings.Contains(got, c.text) != c.whole {
			t.Errorf("%s: got\n%s", c.name, got)
		}
	}
}

func TestChosenColumns(t *testing.T) {
	s := Sheet{Columns: []Column{{Title: "NAME"}, {Title: "STATE"}, {Title: "ID", Wide: true}}}
	if err := s.Choose([]string{"id", " Name"}); err != nil {
		t.Fatal(err)
	}
	if got := printed(t, s, []string{"web", "ok", "7"}); got[0] != "ID  NAME" || got[1] != "7   web" {
		t.Errorf("got %q", got)
	}
	if err := s.Choose([]string{"nix"}); !fault.HasCode(err, "column_unknown") || !strings.Contains(fault.As(err).Fix, "name, state, id") {
		t.Errorf("got %v", err)
	}
}

func TestFurtherRowsGoOnBelow(t *testing.T) {
	s := Sheet{Columns: []Column{{Title: "NAME"}, {Title: "STATE"}}}
	var b strings.Builder
	for _, name := range []string{"storefront", "a", "a-name-that-is-longer"} {
		if err := s.Print(&b, [][]string{{name, "ok"}}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "NAME        STATE\nstorefront  ok\na           ok\na-name-that-is-longer  ok\n"; b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}

func TestLooks(t *testing.T) {
	columns := []Column{{Title: "NAME"}, {Title: "HEALTH", Status: true}, {Title: "N"}}
	row := []string{"web", "Degraded (stale)", "1"}
	for _, c := range []struct {
		look Look
		want string
	}{
		{Look{}, "web   Degraded (stale)  1"},
		{Look{Icons: true}, "web   ✖ Degraded (stale)  1"},
		{Look{Colour: true}, "web   \x1b[31mDegraded (stale)\x1b[0m  1"},
		{Look{Colour: true, Icons: true}, "web   \x1b[31m✖ Degraded (stale)\x1b[0m  1"},
	} {
		if got := printed(t, Sheet{Columns: columns, Look: c.look}, row)[1]; got != c.want {
			t.Errorf("%+v: %q, want %q", c.look, got, c.want)
		}
	}
	if got := (Look{Colour: true, Icons: true}).Status("Peculiar"); got != "Peculiar" {
		t.Errorf("got %q", got)
	}
}

func TestNatural(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"eu-2", "eu-10", -1}, {"eu-10", "eu-2", 1}, {"eu-02", "eu-2", -1}, {"a", "a", 0}, {"a", "B", -1}, {"", "a", -1},
		{"a99999999999999999999999", "a99999999999999999999998", 1},
	} {
		got := Natural(c.a, c.b)
		if (got < 0) != (c.want < 0) || (got > 0) != (c.want > 0) {
			t.Errorf("%q, %q: %d", c.a, c.b, got)
		}
	}
}
