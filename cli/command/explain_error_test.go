package command

import (
	"strings"
	"testing"
)

func TestErrorsAreExplainedWithoutAHub(t *testing.T) {
	t.Setenv("HAWSER_CONFIG", t.TempDir()+"/config.yaml")
	t.Setenv("HAWSER_HUB", "")
	t.Setenv("HAWSER_TOKEN", "")
	for _, c := range []commandCase{
		{args: "explain HW-4103", out: "HW-4103 destination_not_permitted\n"},
		{args: "explain hw-4103", out: "the project allows no deployment to this cluster and namespace\n"},
		{args: "explain destination_not_permitted", out: "What to do:   hawser explain app/NAME"},
		{args: "explain alias_taken", out: "… already means cluster …\n"},
		{args: "explain HW-4103 -o json", out: `"code": "destination_not_permitted"`},
		{args: "-o name explain alias_taken", out: "HW-1001\n"},
		{args: "explain HW-0001", code: 3, err: "docs/errors.md"},
		{args: "explain alias_takn", code: 3, err: "did you mean alias_taken (HW-1001)?"},
		{args: "explain app/web", code: 4, err: "(not_logged_in)"},
		{args: "explain --help", out: "explain HW-4103"},
	} {
		run(t, "", strings.Fields(c.args)...).check(t, c.code, c.out, c.err)
	}
}
