package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
)

func TestRestartsText(t *testing.T) {
	since := time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	many := make([]string, 12)
	for i := range many {
		many[i] = fmt.Sprintf("app-%02d", 11-i)
	}
	for name, c := range map[string]struct {
		lives    journal.Lives
		isolated []string
		want     []string
		not      string
	}{
		"nothing happened":       {},
		"a single end":           {lives: journal.Lives{Row: 1, Total: 1, Since: since, Last: since}},
		"two ends":               {lives: journal.Lives{Row: 2, Total: 2, Since: since, Last: since.Add(time.Minute)}, want: []string{"agent_oom_restarts: ", "2 times", "since 2026-11-28T06:00:00Z", "last at 2026-11-28T06:01:00Z", "one application at a time"}, not: "memory"},
		"two ends, long ago":     {lives: journal.Lives{Total: 2, Since: since, Last: since}, want: []string{"2 times"}, not: "one application"},
		"memory is known":        {lives: journal.Lives{Row: 3, Total: 3, ForMemory: 2, Since: since, Last: since}, want: []string{"3 times", "2 times it is known", "for want of memory"}},
		"some are isolated":      {lives: journal.Lives{Total: 8, Since: since, Last: since}, isolated: []string{"web", "shop"}, want: []string{"ended 3 times by each of them: shop, web"}},
		"one, and a version ago": {lives: journal.Lives{Total: 1, Since: since, Last: since}, isolated: []string{"web"}, want: []string{"1 times", ": web"}},
		"many are isolated":      {lives: journal.Lives{Total: 40, Since: since, Last: since}, isolated: many, want: []string{"app-00, app-01", "app-09, and 2 more"}, not: "app-10"},
	} {
		t.Run(name, func(t *testing.T) {
			got := restartsText(c.lives, c.isolated)
			if (got == "") != (c.want == nil) {
				t.Fatalf("it says %q", got)
			}
			for _, w := range c.want {
				if !strings.Contains(got, w) {
					t.Errorf("it says %q, without %q", got, w)
				}
			}
			if c.not != "" && strings.Contains(got, c.not) {
				t.Errorf("it says %q, with %q", got, c.not)
			}
		})
	}
}

// Memory is named as the reason only when the pod's status says so of the only
// container that it can have been.
func TestPodKilledForMemory(t *testing.T) {
	one := func(reason string) string {
		return fmt.Sprintf(`{"lastState":{"terminated":{"reason":%q,"exitCode":137}}}`, reason)
	}
	pod := func(containers ...string) string {
		return `{"status":{"containerStatuses":[` + strings.Join(containers, ",") + `]}}`
	}
	for name, c := range map[string]struct {
		code   int
		answer string
		want   bool
		failed bool
	}{
		"it was":                      {200, pod(one("OOMKilled")), true, false},
		"an error ended it":           {200, pod(one("Error")), false, false},
		"it never ended":              {200, pod(`{"lastState":{}}`), false, false},
		"no status yet":               {200, `{}`, false, false},
		"which of two":                {200, pod(one("OOMKilled"), one("Error")), false, false},
		"there is no such pod":        {404, `{}`, false, true},
		"the agent may not read pods": {403, pod(one("OOMKilled")), false, true},
		"the answer is no JSON":       {200, `<html>`, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/prefix/api/v1/namespaces/ns/pods/agent-0" {
					t.Errorf("asked %s %s", r.Method, r.URL.Path)
				}
				w.WriteHeader(c.code)
				fmt.Fprint(w, c.answer)
			}))
			defer server.Close()
			base, err := url.Parse(server.URL + "/prefix/")
			if err != nil {
				t.Fatal(err)
			}
			got, err := podKilledForMemory(t.Context(), server.Client(), base, "ns", "agent-0")
			if got != c.want || (err != nil) != c.failed {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}
