package command

import (
	"slices"
	"strings"
	"testing"
)

const views = `{"items":[
 {"id":"v1","things":"applications","name":"broken","search":{"q":"health:degraded","sort":"-since"},"changedBy":"ana","changedAt":"2026-01-02T03:04:05Z","mayChange":true},
 {"id":"v2","things":"applications","name":"broken","project":"shop","default":true,"search":{"q":"health:missing"},"changedBy":"bob","changedAt":"2026-01-02T03:04:05Z","mayChange":false},
 {"id":"v3","things":"applications","name":"all","everyone":true,"search":{},"changedBy":"eve\u001b[2J","changedAt":"2026-01-02T03:04:05Z","mayChange":false}]` + asOf

func init() {
	commandCases = append(commandCases,
		commandCase{args: "view list", out: "everyone"},
		commandCase{args: "view save mine --project shop --default --filter is:failing", err: "view \"mine\" is kept (project shop)"},
		commandCase{args: "view delete broken", err: "is forgotten (me)"},
		commandCase{args: "view delete broken --project bank", code: ExitNotFound, err: "there is no saved view"},
	)
	more = append(more, map[string]answer{
		"GET /saved-views":       {200, views},
		"POST /saved-views":      {200, `{"id":"v4","things":"applications","name":"mine","project":"shop","default":true,"search":{"q":"is:failing"},"changedBy":"ana","changedAt":"2026-01-02T03:04:05Z","mayChange":true}`},
		"DELETE /saved-views/v1": {204, ""},
	})
}

// A list is what a saved view shows of it: one's own before a project's, and what the
// flags say besides.
func TestAppListAsASavedView(t *testing.T) {
	for _, x := range []struct {
		args  []string
		query string
	}{
		{[]string{"--view", "broken"}, "filter=health%3Adegraded&sort=-since"},
		{[]string{"--view", "broken", "--project", "shop"}, "filter=health%3Amissing&project=shop"},
		{[]string{"--view", "broken", "--filter", "cluster:eu"}, "filter=health%3Adegraded+cluster%3Aeu&sort=-since"},
		{[]string{"--view", "all"}, ""},
	} {
		answers := everything()
		answers["GET /applications"] = answer{200, `{"items":[{"name":"web"}]` + asOf}
		h := newHubOf(t, answers)
		run(t, "", append([]string{"app", "list"}, x.args...)...).check(t, 0, "web", "")
		asked := slices.DeleteFunc(strings.Split(h.requests(), "\n"), func(a string) bool { return !strings.HasPrefix(a, "GET /applications?") })
		if len(asked) != 1 {
			t.Fatalf("%v: %v", x.args, asked)
		}
		for part := range strings.SplitSeq(x.query, "&") {
			if !strings.Contains(asked[0], part) {
				t.Errorf("%v asked %s, want %s", x.args, asked[0], part)
			}
		}
		if x.query == "" && strings.Contains(asked[0], "filter=") {
			t.Errorf("%v asked %s", x.args, asked[0])
		}
	}
	newHubOf(t, everything())
	run(t, "", "app", "list", "--view", "nothing").check(t, ExitNotFound, "", `"broken" (project shop)`)
}
