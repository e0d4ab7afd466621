package failpoint

import (
	"maps"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const a, b = "journal.write.before", "journal.write.after"
	for text, want := range map[string]map[string]order{
		"":                              {},
		" ; ":                           {},
		a + "=kill":                     {a: {act: kill, nth: 1}},
		a + "=kill@3":                   {a: {act: kill, nth: 3}},
		a + "=error":                    {a: {act: fail}},
		a + "=error@2":                  {a: {act: fail, nth: 2}},
		a + "=pause:/tmp/x":             {a: {act: pause, nth: 1, file: "/tmp/x"}},
		a + "=pause@4:/a:b@c":           {a: {act: pause, nth: 4, file: "/a:b@c"}},
		a + "=kill; " + b + "=error@2 ": {a: {act: kill, nth: 1}, b: {act: fail, nth: 2}},
	} {
		got, trace, err := parse(text)
		if err != nil || trace || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v, %v", text, got, trace, err)
		}
	}
	if got, trace, err := parse("trace;" + a + "=kill"); err != nil || !trace || len(got) != 1 {
		t.Errorf("trace: %v, %v, %v", got, trace, err)
	}
	for text, says := range map[string]string{
		a:                             "NAME=kill",
		"journal.writ.before=kill":    `no point is called "journal.writ.before"`,
		"=kill":                       `no point is called ""`,
		a + "=":                       "is not kill, error or pause",
		a + "=die":                    "is not kill, error or pause",
		a + "=kill@":                  "not a number",
		a + "=kill@0":                 "not a number",
		a + "=kill@-1":                "not a number",
		a + "=kill@x":                 "not a number",
		a + "=pause":                  "pause needs a file",
		a + "=pause:":                 "pause needs a file",
		a + "=kill:/tmp/x":            "nothing else takes one",
		a + "=kill;" + a + "=error":   "named twice",
		a + "=kill;journal=kill":      `no point is called "journal"`,
		"trace;nothing":               "NAME=kill",
		"journal.write.before = kill": "no point is called",
	} {
		if got, _, err := parse(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v; want an error that says %q", text, got, err, says)
		}
	}
}

func TestDue(t *testing.T) {
	for _, c := range []struct {
		nth, hit int64
		want     bool
	}{{0, 1, true}, {0, 7, true}, {3, 2, false}, {3, 3, true}, {3, 4, false}} {
		if got := (order{nth: c.nth}).due(c.hit); got != c.want {
			t.Errorf("hit %d of an order for %d: %v", c.hit, c.nth, got)
		}
	}
}
