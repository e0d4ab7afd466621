package command

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/wire"
)

// dangerousHub wants a fresh login for POST /tokens, and takes "right" as password.
func dangerousHub(t *testing.T, provider string) (s *httptest.Server, tokens *[]string) {
	t.Helper()
	tokens = &[]string{}
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body)
		problem := func(status int, code string) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "kind": "denied", "detail": "no: " + code, "fix": "hawser account confirm"})
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch r.Method + " " + r.URL.Path {
		case "GET /api/v1/whoami":
			_, _ = io.WriteString(w, `{"name":"ann","admin":true,"session":{"provider":"`+provider+`","authenticatedAt":"2026-01-02T03:04:05Z","idleMinutes":30}}`)
		case "POST /api/v1/session/confirm":
			if !strings.Contains(string(body), `"right horse"`) {
				problem(401, "login_failed")
				return
			}
			_, _ = io.WriteString(w, `{"token":"hws_NEW","name":"ann","expiresAt":"2099-01-02T03:04:05Z"}`)
		case "POST /api/v1/tokens":
			*tokens = append(*tokens, token)
			if token != "hws_NEW" {
				problem(403, "login_confirmation_needed")
				return
			}
			w.WriteHeader(201)
			_, _ = io.WriteString(w, `{"token":"hwt_ISSUED","id":"t1","name":"ci","admin":true,"createdAt":"2026-01-02T03:04:05Z","expiresAt":"2099-01-02T03:04:05Z"}`)
		default:
			problem(404, "route_unknown")
		}
	}))
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "current: one\ncontexts:\n- {name: one, url: \"" + s.URL + "\", caHash: \"" + wire.CAHash(s.Certificate()) + "\", token: hws_OLD}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HAWSER_CONFIG", path)
	t.Setenv("HAWSER_HUB", "")
	t.Setenv("HAWSER_CA_HASH", "")
	t.Setenv("HAWSER_TOKEN", "")
	return s, tokens
}

func TestDangerousCommandsAskForThePasswordAndGoOn(t *testing.T) {
	for name, c := range map[string]struct {
		terminal   bool
		provider   string
		in         string
		code       int
		out, err   string
		sent, kept string
	}{
		"at a terminal":           {true, "local", "right horse\n", 0, "hwt_ISSUED", "Password of ann", "hws_OLD hws_NEW", "hws_NEW"},
		"after a wrong one":       {true, "local", "wrong\nright horse\n", 0, "hwt_ISSUED", "not the password", "hws_OLD hws_NEW", "hws_NEW"},
		"wrong three times":       {true, "local", "a\nb\nc\nright horse\n", 5, "", "login_failed", "hws_OLD", "hws_OLD"},
		"no answer":               {true, "local", "", 2, "", "there is no password", "hws_OLD", "hws_OLD"},
		"without a terminal":      {false, "local", "right horse\n", 5, "", "hawser account confirm", "hws_OLD", "hws_OLD"},
		"of an identity provider": {true, "dex", "right horse\n", 5, "", "login_confirmation_needed", "hws_OLD", "hws_OLD"},
	} {
		t.Run(name, func(t *testing.T) {
			_, tokens := dangerousHub(t, c.provider)
			r := runAs(t.Context(), Streams{In: strings.NewReader(c.in), Terminal: c.terminal}, "token", "create", "ci", "--admin")
			r.check(t, c.code, c.out, c.err)
			if got := strings.Join(*tokens, " "); got != c.sent {
				t.Errorf("sent with %s, want %s", got, c.sent)
			}
			config, err := os.ReadFile(os.Getenv("HAWSER_CONFIG"))
			if err != nil || !strings.Contains(string(config), c.kept) {
				t.Errorf("kept: %s, %v", config, err)
			}
			if strings.Contains(r.out+r.err, "right horse") || strings.Contains(r.out+r.err, "hws_") {
				t.Errorf("a secret is shown: %s%s", r.out, r.err)
			}
		})
	}
}
