package command

import (
	"strings"
	"testing"
)

const annAccount = `{"id":"u-1","name":"ann","enabled":true,"admin":false,"grants":[{"project":"shop","role":"viewer"}],"createdAt":"2026-01-02T03:04:05Z","passwordChangedAt":"2026-01-02T03:04:05Z"}`

const annSession = `{"id":"s1","name":"ann","provider":"local","current":true,"browser":false,"client":"hawser/1.2\u001b[2J","address":"192.0.2.7","createdAt":"2026-01-02T03:04:05Z","authenticatedAt":"2026-01-02T03:04:05Z","lastUsed":"2026-01-02T03:04:05Z","expiresAt":"2099-01-02T03:04:05Z"}`

func init() {
	more = append(more, map[string]answer{
		"GET /accounts":             {200, `{"items":[` + annAccount + `]` + asOf},
		"GET /accounts/ann":         {200, annAccount},
		"POST /accounts":            {201, annAccount},
		"PATCH /accounts/ann":       {200, annAccount},
		"DELETE /accounts/ann":      {204, ""},
		"POST /session/confirm":     {200, `{"token":"hws_NEW","name":"ann","expiresAt":"2099-01-02T03:04:05Z"}`},
		"POST /session/password":    {200, `{"token":"hws_NEW","name":"ann","expiresAt":"2099-01-02T03:04:05Z"}`},
		"GET /sessions":             {200, `{"items":[` + annSession + `]` + asOf},
		"GET /login-sessions":       {200, `{"items":[` + annSession + `]` + asOf},
		"DELETE /sessions/s1":       {204, ""},
		"DELETE /login-sessions/s1": {204, ""},
		"POST /logout/everywhere":   {200, `{"ended":3}`},
	})
	commandCases = append(commandCases,
		commandCase{args: "account list", out: "viewer:shop"},
		commandCase{args: "account list -o name", out: "account/ann\n"},
		commandCase{args: "account get account/ann", out: "ann"},
		commandCase{args: "account disable ann", err: `account "ann" disabled`, asked: `PATCH /accounts/ann {"enabled":false}`},
		commandCase{args: "account enable ann", err: `account "ann" enabled`, asked: `PATCH /accounts/ann {"enabled":true}`},
		commandCase{args: "account set ann --no-admin --grant viewer:shop", err: "sessions and tokens have ended", asked: `PATCH /accounts/ann {"admin":false,"grants":[{"project":"shop","role":"viewer"}]}`},
		commandCase{args: "account set ann", code: 2, err: "nothing is to change"},
		commandCase{args: "account set ann --grant viewer", code: 2, err: "is not ROLE:PROJECT"},
		commandCase{args: "account delete ann", err: `account "ann" deleted`, asked: "DELETE /accounts/ann"},
		commandCase{args: "account create ann --password-stdin -o name", in: "long password", out: "account/ann\n", asked: `"password":"long password"`},
		commandCase{args: "account password --password-stdin", in: "old one\nlong password\n", out: "hws_NEW\n", err: "password changed", asked: "POST /session/password"},
		commandCase{args: "account confirm --password-stdin", in: "long password", out: "hws_NEW\n", err: "confirmed", asked: "POST /session/confirm"},
		commandCase{args: "account sessions list", out: "ann (this one)"},
		commandCase{args: "account sessions list -o name", out: "session/s1\n"},
		commandCase{args: "account sessions list-all", out: "192.0.2.7"},
		commandCase{args: "account sessions end session/s1", err: "session s1 ended", asked: "DELETE /sessions/s1"},
		commandCase{args: "account sessions end s1 --other-user", err: "session s1 ended", asked: "DELETE /login-sessions/s1"},
		commandCase{args: "account sessions end-all", err: "3 sessions ended", asked: "POST /logout/everywhere"},
		commandCase{args: "account create ann --no-input", code: 2, err: "pipe it with --password-stdin"},
	)
}

func TestPasswordsComeFromInputAndAreNotShown(t *testing.T) {
	for name, c := range map[string]struct{ in, args, asked string }{
		"create":  {"long password\n", "account create ann --grant viewer:shop --password-stdin", `POST /accounts {"name":"ann","password":"long password","grants":[{"project":"shop","role":"viewer"}]}`},
		"reset":   {"long password", "account set ann --password-stdin", `PATCH /accounts/ann {"password":"long password"}`},
		"own":     {"old one\nlong password\n", "account password --password-stdin", `POST /session/password {"current":"old one","new":"long password"}`},
		"confirm": {"long password\r\n", "account confirm --password-stdin", `POST /session/confirm {"password":"long password"}`},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newHubOf(t, everything())
			r := run(t, c.in, strings.Fields(c.args)...)
			if r.code != 0 || strings.Contains(r.out+r.err, "long password") || strings.Contains(r.err, "hws_") {
				t.Errorf("a secret is shown: %s%s", r.out, r.err)
			}
			if !strings.Contains(hub.requests(), c.asked) {
				t.Errorf("asked %q, want %s", hub.requests(), c.asked)
			}
		})
	}
}

func TestLoginWithAName(t *testing.T) {
	answers := everything()
	answers["POST /login"] = answer{200, `{"token":"hws_NEW","name":"ann","expiresAt":"2099-01-02T03:04:05Z"}`}
	hub := newHubOf(t, answers)
	r := run(t, "long password\n", "login", hub.srv.URL, "--ca-hash", hub.pin(), "--username", "ann", "--password-stdin")
	r.check(t, 0, "", "Logged in to")
	if !strings.Contains(hub.requests(), `POST /login {"password":"long password","username":"ann"}`) {
		t.Errorf("asked %q", hub.requests())
	}
	run(t, "", "login", hub.srv.URL, "--username", "ann", "--with-token").check(t, 2, "", "username")

	// The new secret of a session takes the place of the old one.
	t.Setenv("HAWSER_TOKEN", "")
	t.Setenv("HAWSER_HUB", "")
	r = run(t, "long password", "account", "confirm", "--password-stdin")
	r.check(t, 0, "", "confirmed; the session ends at 2099")
	if r.out != "" {
		t.Errorf("stdout %q", r.out)
	}
}
