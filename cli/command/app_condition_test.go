package command

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/wire"
)

const (
	running = "7cc9050e00000000000000000000000000000000"
	broken  = "d8b6439d00000000000000000000000000000000"
)

// brokenApp is synced and healthy, at a revision before the newest.
func brokenApp(name string) string {
	since := time.Now().Add(-40 * time.Minute).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"name":%q,"project":"shop","cluster":"eu","sync":{"status":"Synced"},"health":{"status":"Healthy"},"freshness":"live",
"observedAt":"2026-01-02T03:04:05Z","revision":%q,"conditions":[{"type":"ComparisonError","code":"jinja_undefined",
"message":"a.j2:3: x is undefined\nyaml_invalid: b.yaml:1:\u001b a tab\nc.yaml: too","revision":%q,"since":%q}]}`, name, running, broken, since)
}

// fineApp has an agent's condition about a live object, which is no reason for
// a mark.
const fineApp = `{"name":"fine","sync":{"status":"Synced"},"health":{"status":"Healthy"},"freshness":"live","observedAt":"2026-01-02T03:04:05Z",
"conditions":[{"type":"ComparisonError","code":"comparison_failed","message":"no"},{"type":"RepeatedResourceWarning","message":"twice","since":"2026-01-02T03:04:05Z"}]}`

const brokenWarning = "warning: checkout: jinja_undefined: a.j2:3: x is undefined, and 2 more (at d8b6439d, 40m ago; 7cc9050e still runs)\n"

func withBroken() map[string]answer {
	return with(map[string]answer{
		"GET /applications":                {200, `{"items":[` + brokenApp("checkout") + `,` + fineApp + `]` + asOf},
		"GET /applications/checkout":       {200, brokenApp("checkout")},
		"GET /applications/fine":           {200, fineApp},
		"POST /applications/checkout/sync": {202, queuedOp},
		"POST /applications/fine/sync":     {202, queuedOp},
		"POST /applications/refused/sync":  {422, `{"kind":"unprocessable","code":"newest_not_rendered","detail":"the newest of \"refused\" cannot be rendered"}`},
	})
}

func TestAnApplicationThatCannotBeRendered(t *testing.T) {
	for _, c := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"app get checkout", 0, "Condition:  ComparisonError jinja_undefined: a.j2:3: x is undefined (at d8b6439d, 40m ago; 7cc9050e still runs)\n" +
			"              yaml_invalid: b.yaml:1:\uFFFD a tab\n              c.yaml: too\n", ""},
		{"app list", 0, "  Synced !  Healthy  ", "1 of 2 cannot be rendered at its newest revision: hawser app get checkout\n"},
		{"app list -o wide", 0, "  jinja_undefined\n", "1 of 2 cannot"},
		{"app list -o name", 0, "app/checkout\napp/fine\n", ""},
		{"app list -o json", 0, `"revision": "` + broken + `"`, ""},
		{"app sync refused", 10, "", "(newest_not_rendered)"},
		{"app sync checkout --revision 7cc9050e", 0, "Succeeded", brokenWarning},
		{"app sync checkout -o json", 0, `"Succeeded"`, ""},
		{"app sync fine", 0, "Succeeded", ""},
		{"app diff checkout", 10, "", brokenWarning},
		{"app diff checkout --exit-code=false", 10, "", "(jinja_undefined)"},
		{"app diff fine", 0, "", ""},
		{"app wait checkout", 10, "", "error: HW-2045 checkout: a.j2:3: x is undefined, and 2 more (at d8b6439d, 40m ago; 7cc9050e still runs) (jinja_undefined)\n"},
		{"app wait checkout --sync", 10, "", "(jinja_undefined)"},
		{"app wait checkout --timeout 10s --sync --health", 10, "", "(jinja_undefined)"},
		{"app wait checkout --health", 0, "checkout  Synced  Healthy  7cc9050e\n", brokenWarning},
		{"app wait checkout --health -o json", 0, `"checkout"`, ""},
		{"app wait fine", 0, "fine  Synced  Healthy\n", ""},
		{"app wait checkout --revision " + running, 0, "checkout", brokenWarning},
		{"app wait checkout --revision 7cc9050", 0, "checkout", brokenWarning},
		{"app wait checkout --revision 7CC9050E", 0, "checkout", brokenWarning},
		{"app wait checkout --revision 7cc905 --timeout 300ms", 7, "", "synced to 7cc9050e, not 7cc905, a.j2:3: x is undefined, and 2 more (wait_timeout)"},
		{"app wait checkout --revision 0000000 --timeout 300ms", 7, "", "synced to 7cc9050e, not 0000000"},
		{"app wait checkout --revision " + broken, 10, "", "error: HW-2045 checkout: a.j2:3: x is undefined, and 2 more (at d8b6439d, 40m ago; 7cc9050e still runs) (jinja_undefined)\n" +
			"  fix: see all of it: hawser app get checkout\n"},
		{"app wait fine checkout --revision d8b6439 --sync", 10, "", "(jinja_undefined)"},
		{"app wait checkout --health --revision d8b6439d", 0, "checkout", brokenWarning},
	} {
		t.Run(c.args, func(t *testing.T) {
			patience = 50 * time.Millisecond
			t.Cleanup(func() { patience = 20 * time.Second })
			newHubOf(t, withBroken())
			run(t, "", strings.Fields(c.args)...).check(t, c.code, c.out, c.err)
		})
	}
}

func TestTheFooterNamesAFew(t *testing.T) {
	var items []string
	for i := range 5 {
		items = append(items, brokenApp(fmt.Sprintf("a%d", i)))
	}
	for n, want := range map[int]string{
		2: "2 of 2 cannot be rendered at their newest revision (a0, a1): hawser app get a0\n",
		5: "5 of 5 cannot be rendered at their newest revision (a0, a1, a2, …): hawser app get a0\n",
	} {
		newHubOf(t, map[string]answer{"GET /applications": {200, `{"items":[` + strings.Join(items[:n], ",") + `]` + asOf}})
		run(t, "", "app", "list").check(t, 0, "a0", want)
	}
}

// A sync right after a change is meant for what was changed: it is asked for once the
// hub has looked at that, and at once where the hub will not come to know.
func TestASyncWaitsForWhatWasJustWritten(t *testing.T) {
	for name, c := range map[string]struct {
		first string
		looks int
	}{
		"not looked at yet": {`{"settled":false,"head":"a","rendered":"a"}`, 3},
		"settled":           {`{"settled":true,"head":"a","rendered":"a"}`, 1},
		"no answer of Git":  {`{"settled":false,"head":"a","rendered":"a","code":"git_unavailable"}`, 1},
		"head not known":    {`{"settled":false}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			looks := 0
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				looks++
				answer := c.first
				if looks == 3 {
					answer = `{"settled":true,"head":"a","rendered":"a"}`
				}
				fmt.Fprintf(w, `{"items":[%s]}`, answer)
			}))
			t.Cleanup(s.Close)
			api, err := client.New(client.Hub{URL: s.URL, CAHash: wire.CAHash(s.Certificate()), Token: "hwt_x"})
			if err != nil {
				t.Fatal(err)
			}
			(&call{api: api}).awaitSettled(t.Context(), "fine")
			if looks != c.looks {
				t.Errorf("asked %d times, want %d", looks, c.looks)
			}
		})
	}
}
