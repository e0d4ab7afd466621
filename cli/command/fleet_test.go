package command

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

const fleetSummary = `{"clusters":{"total":415,"reporting":412,"silent":3,"notReporting":[{"name":"eu-edge-031","lastSeen":"2026-01-02T02:50:05Z","state":"offline"},{"name":"us\u001b[2J","state":"neverseen"}]},
"applications":{"total":9988,"health":{"healthy":9702,"degraded":41,"progressing":112,"novel":2},"sync":{"synced":9857,"drifted":27,"pending":61},"operation":{"none":9985,"running":2,"queued":1},"stale":43,"unrendered":3},
"projects":7` + asOf

func init() {
	more = append(more, map[string]answer{"GET /fleet/summary": {200, fleetSummary}})
	commandCases = append(commandCases,
		commandCase{args: "fleet status", out: "CLUSTERS    412 reporting / 415   3 offline: eu-edge-031 (", err: "do not follow Git"},
		commandCase{args: "fleet status -o json", out: `"drifted": 27`},
		commandCase{args: "fleet status -o name", out: "fleet\n"},
		commandCase{args: "gpg list", out: "KEY ID"},
		commandCase{args: "gpg get B5690EEEBB952194", out: "-----BEGIN PGP", err: "fingerprint"},
		commandCase{args: "gpg remove B5690EEEBB952194", err: "key B5690EEEBB952194 removed", asked: "DELETE /gpg-keys/B5690EEEBB952194"},
		commandCase{args: "gpg add", code: 2, err: "name the file with the keys"},
	)
	const key = `{"keyID":"B5690EEEBB952194","fingerprint":"4AEE18F83AFDEB23","subType":"rsa2048","owner":"Ana <ana@example.org>","keyData":"-----BEGIN PGP PUBLIC KEY BLOCK-----\n","addedAt":"2026-01-02T03:04:05Z"}`
	more = append(more, map[string]answer{
		"GET /gpg-keys":                     {200, `{"items":[` + key + `]` + asOf},
		"GET /gpg-keys/B5690EEEBB952194":    {200, key},
		"DELETE /gpg-keys/B5690EEEBB952194": {204, ""},
	})
}

// TestTheFleetInNumbers: the whole text, without a terminal and with one.
func TestTheFleetInNumbers(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	newHubOf(t, everything())
	r := runAt(t, now, Streams{}, "fleet", "status")
	r.check(t, 0, `CLUSTERS    412 reporting / 415   3 offline: eu-edge-031 (14m) us`+"\uFFFD"+`[2J (never) and 1 more
APPS        9,988   healthy 9,702 · degraded 41 · progressing 112 · novel 2 · stale 43
SYNC        synced 9,857 · drifted 27 · pending 61 · not rendered 3
OPERATIONS  running 2 · queued 1
PROJECTS    7
`, "3 applications do not follow Git, because the newest revision cannot be rendered: hawser app list --filter is:unrendered")
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("NO_COLOR", "1")
	r = runAt(t, now, Streams{OutTerminal: true, Width: 120}, "fleet", "status")
	r.check(t, 0, "✖ 3 offline: eu-edge-031 (14m)", "3 applications")
	r.check(t, 0, "✔ healthy 9,702 · ✖ degraded 41 · ◐ progressing 112", "3 applications")
	r.check(t, 0, "≠ drifted 27 · … pending 61 · ✖ not rendered 3", "3 applications")
}

func TestAFleetOfNothing(t *testing.T) {
	newHubOf(t, map[string]answer{"GET /fleet/summary": {200, `{"clusters":{},"applications":{},"projects":0,"away":true` + asOf}})
	r := run(t, "", "fleet", "status")
	r.check(t, 0, "CLUSTERS    0 reporting / 0\nAPPS        0\nPROJECTS    0\n", "warning: the hub's database does not answer")
	r.check(t, 0, "PROJECTS", "cluster enroll NAME")
}

// runAt runs one command line at a moment.
func runAt(t *testing.T, now time.Time, s Streams, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	s.In, s.Out, s.Err = strings.NewReader(""), &out, &errs
	sess := &session{Streams: s, now: func() time.Time { return now }}
	code := sess.report(t.Context(), sess.execute(t.Context(), args))
	return ran{code, out.String(), errs.String()}
}
