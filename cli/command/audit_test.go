package command

import (
	"context"
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

// What comes while records are followed is printed once and in order, over pages and
// while the hub is away; a signal ends it well, and a hub that lets nobody read any more
// ends it with its refusal.
func TestRecordsAreFollowed(t *testing.T) {
	page := func(cursor string, seqs ...int) answer {
		var items []string
		for _, n := range seqs {
			items = append(items, fmt.Sprintf(`{"seq":%d,"at":"2026-01-02T03:04:05Z","kind":"command","actor":"ana\\u001b[2J","action":"syncApplication","name":"web","outcome":"done"}`, n))
		}
		return answer{200, `{"items":[` + strings.Join(items, ",") + `],"nextCursor":"` + cursor + `"` + asOf}
	}
	refusal := problemAnswer(403, "denied", "permission_denied", "you may not")
	for name, c := range map[string]struct {
		args []string
		last *answer // nil: a signal
		code int
		out  []string
	}{
		"until a signal, as text":   {[]string{"audit", "list", "--follow", "--actor", "ana"}, nil, 0, []string{"6  ", "7  ", "8  ", "9  ", "10  "}},
		"until refused, as JSON":    {[]string{"audit", "list", "-f", "-o", "json"}, &refusal, ExitDenied, []string{`{"seq":6,`, `{"seq":7,`, `{"seq":8,`, `{"seq":9,`, `{"seq":10,`}},
		"in a format that has none": {[]string{"audit", "list", "-f", "-o", "yaml"}, nil, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, signal := context.WithCancel(t.Context())
			defer signal()
			h := newHubOf(t, everything())
			away := problemAnswer(503, "unavailable", "database_unavailable", "away")
			answers := []answer{page("", 7, 6), away, page("9", 10, 9), page("", 8, 7), page("", 10, 9, 8)}
			h.vary = func(path string) (answer, bool) {
				switch {
				case path != "/audit":
					return answer{}, false
				case len(answers) > 0:
					a := answers[0]
					answers = answers[1:]
					return a, true
				case c.last != nil:
					return *c.last, true
				}
				signal()
				return page(""), true
			}
			got := runAs(ctx, Streams{In: strings.NewReader("")}, c.args...)
			lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
			if got.out == "" {
				lines = nil
			}
			if got.code != c.code || len(lines) != len(c.out) || strings.Contains(got.out, "\x1b") {
				t.Fatalf("status %d: %s%s", got.code, got.out, got.err)
			}
			for i, l := range lines {
				if !strings.HasPrefix(l, c.out[i]) || !strings.Contains(l, "syncApplication") {
					t.Errorf("line %d is %q", i, l)
				}
			}
			if c.code == 0 && (strings.Count(got.err, "asked again") != 1 || !strings.Contains(h.requests(), "actor=ana&cursor=9&limit=500")) {
				t.Errorf("%s; asked: %s", got.err, h.requests())
			}
		})
	}
}

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
