package command

import (
	"strings"
	"testing"
)

const ciToken = `{"id":"t-1","name":"ci","admin":false,"grants":[{"project":"team-*","role":"operator"},{"project":"shop","role":"viewer"}],"issuer":{"provider":"corp","subject":"ann-1","name":"corp:ann@example.org"},"createdAt":"2026-01-02T03:04:05Z","expiresAt":"2099-01-02T03:04:05Z"}`

var tokenAnswers = map[string]answer{
	"GET /tokens":        {200, `{"items":[` + ciToken + `,{"id":"t-2","name":"twice","admin":true,"createdAt":"2026-01-02T03:04:05Z","expiresAt":"2026-01-03T03:04:05Z"},{"id":"t-3","name":"twice","admin":true,"createdAt":"2026-01-02T03:04:05Z","expiresAt":"2099-01-02T03:04:05Z"}]` + asOf},
	"POST /tokens":       {201, `{"token":"hwt_NEW",` + ciToken[1:]},
	"DELETE /tokens/t-1": {204, ""},
	"DELETE /tokens/t-3": {204, ""},
}

func init() {
	more = append(more, tokenAnswers)
	commandCases = append(commandCases,
		commandCase{args: "token create ci --grant operator:team-* --grant viewer:shop --ttl 720h", out: "hwt_NEW\n", err: "it is not shown again",
			asked: `POST /tokens {"name":"ci","ttl":"720h0m0s","grants":[{"project":"team-*","role":"operator"},{"project":"shop","role":"viewer"}]}`},
		commandCase{args: "token create root --admin", out: "hwt_NEW\n", err: "it is not shown again", asked: `POST /tokens {"name":"root","admin":true}`},
		commandCase{args: "token create ci", code: 2, err: "--grant ROLE:PROJECT"},
		commandCase{args: "token create ci --admin --grant viewer:x", code: 2, err: "one of both"},
		commandCase{args: "token create ci --grant viewer", code: 2, err: `"viewer" is not ROLE:PROJECT`},
		commandCase{args: "token create ci --grant :x", code: 2, err: "is not ROLE:PROJECT"},
		commandCase{args: "token list", out: "operator:team-*,viewer:shop"},
		commandCase{args: "token list", out: "corp/corp:ann@example.org"},
		commandCase{args: "token list -o name", out: "token/t-1\ntoken/t-2\ntoken/t-3\n"},
		commandCase{args: "token delete ci", err: `token "ci" (t-1) revoked`, asked: "DELETE /tokens/t-1"},
		commandCase{args: "token delete t-3", err: "revoked", asked: "DELETE /tokens/t-3"},
		commandCase{args: "token delete twice", code: 3, err: "2 tokens are called \"twice\": t-2, t-3"},
		commandCase{args: "token delete cj", code: 3, err: `did you mean "ci"?`},
	)
}

// TestATokenStandsAlone: what is captured from standard output is the token and
// nothing else, and a list never has one.
func TestATokenStandsAlone(t *testing.T) {
	newHubOf(t, everything())
	r := run(t, "", "token", "create", "ci", "--grant", "viewer:*")
	if r.out != "hwt_NEW\n" || strings.Contains(r.err, "hwt_") {
		t.Errorf("stdout %q, stderr %q", r.out, r.err)
	}
	r = run(t, "", "token", "create", "ci", "--grant", "viewer:*", "-q")
	if r.out != "hwt_NEW\n" || r.err != "" {
		t.Errorf("stdout %q, stderr %q", r.out, r.err)
	}
	r = run(t, "", "token", "list")
	if strings.Contains(r.out, "hwt_") || !strings.Contains(r.out, "expired") {
		t.Errorf("%s", r.out)
	}
}
