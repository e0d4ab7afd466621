package command

import (
	"strings"
	"testing"
)

func TestClusterWait(t *testing.T) {
	newHubOf(t, map[string]answer{
		"GET /clusters/eu":      {200, `{"name":"eu","connected":true,"kubeVersion":"v1.37.2","namespaces":4,"lastSeen":"2026-05-01T12:00:00Z"}`},
		"GET /clusters/silent":  {200, `{"name":"silent","connected":true}`},
		"GET /clusters/revoked": {200, `{"name":"revoked","revoked":true}`},
		"GET /clusters/held":    {200, `{"name":"held","held":"another cluster"}`},
		"GET /clusters/later":   {404, `{"status":404,"kind":"not_found","code":"cluster_unknown","detail":"no such cluster"}`},
		"GET /clusters/secret":  {403, `{"status":403,"kind":"denied","code":"denied","detail":"no"}`},
	})
	for name, want := range map[string]struct {
		code int
		says string
	}{
		"eu":      {0, "v1.37.2"},
		"silent":  {ExitTimeout, `timed out before cluster "silent" had reported`},
		"later":   {ExitTimeout, `timed out before cluster "later" had reported`},
		"revoked": {ExitBad, "its agent was revoked"},
		"held":    {ExitBad, "hawser cluster diagnose held"},
		"secret":  {ExitDenied, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			if r := run(t, "", "cluster", "wait", name, "--timeout", "300ms"); r.code != want.code || !strings.Contains(r.out+r.err, want.says) {
				t.Errorf("%+v", r)
			}
		})
	}
}
