package reconcile

import (
	"testing"

	"github.com/hawser-dev/hawser/agent/journal"
)

func TestNextRun(t *testing.T) {
	for name, c := range map[string]struct {
		last *journal.Run
		want string
	}{
		"the first":                       {nil, "op"},
		"after another operation's":       {&journal.Run{ID: "other", Over: true}, "op"},
		"of another with the same begin":  {&journal.Run{ID: "op2", Over: true}, "op"},
		"interrupted":                     {&journal.Run{ID: "op"}, "op"},
		"interrupted later":               {&journal.Run{ID: "op-3"}, "op-3"},
		"over":                            {&journal.Run{ID: "op", Over: true}, "op-2"},
		"over again":                      {&journal.Run{ID: "op-9", Over: true}, "op-10"},
		"over, although its hooks failed": {&journal.Run{ID: "op-2", Over: true, Hooks: []journal.HookEnd{{}}}, "op-3"},
	} {
		if got := nextRun(c.last, "op"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
