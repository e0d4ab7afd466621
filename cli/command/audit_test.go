package command

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/audit"
)

func init() {
	more = append(more, map[string]answer{
		"GET /audit":                 {200, `{"items":[` + auditRecord + `]` + asOf},
		"GET /audit/export":          {200, exported(3, nil)},
		"GET /audit/export?name=web": {200, strings.Replace(exported(1, nil), `"key"`, `"filtered":true,"key"`, 1)},
	})
	commandCases = append(commandCases,
		commandCase{args: "audit list --outcome denied --in-project shop", asked: "GET /audit?limit=500&outcome=denied&project=shop", out: "permission_denied"},
		commandCase{args: "audit list --since 1h30m -o name", asked: "since=", out: "audit/7"},
		commandCase{args: "audit list --since yesterday", code: 2, err: "neither a time nor how long ago"},
		commandCase{args: "audit verify", asked: "GET /audit/export", out: "3 records"},
		commandCase{args: "audit verify --head 7", code: 2, err: "is not NUMBER:HASH"},
		commandCase{args: "audit verify --key 7", code: 2, err: "is not 32 bytes"},
		commandCase{args: "audit export --name web -o yaml", code: 2, err: "as JSON lines"},
		commandCase{args: "audit export --name web -o ndjson", asked: "GET /audit/export?name=web", out: `"seq":1`},
	)
}

func TestAnExportSaysWhatItsHeadIs(t *testing.T) {
	newHubOf(t, everything())
	run(t, "", "audit", "export", "--name", "web").check(t, 0, `"seq":1`, "1 records; head 1:")
}

const auditRecord = `{"seq":7,"prev":"ab","at":"2026-01-02T03:04:05Z","kind":"refusal","actor":"eve\u001b[2J","action":"deleteProject","name":"shop","project":"shop","outcome":"denied","status":403,"code":"permission_denied"}`

// exported is an export of n records; change may spoil them.
func exported(n int, change func(i int, s *audit.Signed)) string {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	var b strings.Builder
	out := json.NewEncoder(&b)
	_ = out.Encode(audit.Line{Begin: &audit.Begin{HubID: "h1", Key: audit.Hex(key.Public().(ed25519.PublicKey))}})
	prev := ""
	for i := range n {
		s, err := audit.Seal(key, audit.Record{Seq: int64(i + 1), Prev: prev, At: time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC), Kind: audit.Command, Actor: "ana", Action: "syncApplication", Name: "web", Outcome: audit.Done})
		if err != nil {
			panic(err)
		}
		prev = s.Hash.String()
		if change != nil {
			change(i, &s)
		}
		_ = out.Encode(audit.Line{Signed: &s})
	}
	_ = out.Encode(audit.Line{End: &audit.End{Records: int64(n)}})
	return b.String()
}

// TestS13_VerifyNamesTheFirstBadRecord: of a hub that serves a chain which somebody
// changed, and of files.
func TestS13_VerifyNamesTheFirstBadRecord(t *testing.T) {
	spoiled := func(i int, s *audit.Signed) {
		if i == 1 {
			s.Record = json.RawMessage(strings.Replace(string(s.Record), "ana", "bob", 1))
		}
	}
	answers := everything()
	answers["GET /audit/export"] = answer{200, exported(3, spoiled)}
	newHubOf(t, answers)
	run(t, "", "audit", "verify").check(t, 10, "", "record 2: it was changed")
	run(t, "", "audit", "export").check(t, 10, `"seq":3`, "record 2: it was changed")

	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := exported(3, nil)
	run(t, "", "audit", "verify", file("good", good)).check(t, 0, "none is missing", "")
	run(t, "", "audit", "verify", file("bad", exported(3, spoiled))).check(t, 10, "", "record 2: it was changed")
	run(t, "", "audit", "verify", file("cut", good[:strings.LastIndex(good, `{"end"`)])).check(t, 10, "", "its last line is missing")
	run(t, "", "audit", "verify", filepath.Join(dir, "none")).check(t, 2, "", "cannot be read")
	run(t, "", "audit", "verify", filepath.Join(dir, "good"), "--head", fmt.Sprintf("9:%064d", 0)).check(t, 10, "", "record 4: it is missing")
	run(t, "", "audit", "verify", filepath.Join(dir, "good"), "--key", strings.Repeat("ab", 32)).check(t, 10, "", "no record is of the key")
	out := filepath.Join(dir, "out")
	newHubOf(t, everything())
	run(t, "", "audit", "export", "--file", out).check(t, 0, "", "head 3:")
	if b, err := os.ReadFile(out); err != nil || string(b) != good {
		t.Errorf("%s, %v", b, err)
	}
	run(t, "", "audit", "export", "--file", out).check(t, 2, "", "cannot be made")
}
