package argocd

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/cli/config"
)

// A password is an API token, or else the hub's one-time code; the context that
// comes of it is the current one, and works without any variable.
func TestLogin(t *testing.T) {
	for _, c := range []struct {
		name, password string
		redeemed       bool
	}{{"token", "hwt_x", false}, {"code", "abcd-efgh", true}} {
		t.Run(c.name, func(t *testing.T) {
			hub := newFake(t)
			for _, name := range []string{"HAWSER_CA_HASH", "ARGOCD_AUTH_TOKEN", "ARGOCD_SERVER"} {
				t.Setenv(name, "")
			}
			code, out, errs := run(t, "login", hub.host, "--username", "admin", "--password", c.password, "--name", "prod", "--ca-hash", hub.pin)
			if code != 0 || !strings.Contains(out+errs, "ana") || strings.Contains(out+errs, c.password) {
				t.Fatalf("%d %s %s", code, out, errs)
			}
			if got := slices.Contains(hub.asked, `POST /login {"code":"`+c.password+`"}`); got != c.redeemed || !slices.Contains(hub.asked, "GET /whoami") {
				t.Errorf("the hub was asked %q", hub.asked)
			}
			file, err := config.Load()
			if err != nil {
				t.Fatal(err)
			}
			x, ok := file.Context("prod")
			if !ok || file.Current != "prod" || x.URL != "https://"+hub.host || x.CAHash != hub.pin || x.User != "ana" {
				t.Errorf("the context is %+v of %+v", x, file)
			}
			if code, out, errs := run(t, "account", "get-user-info"); code != 0 || !strings.Contains(out, "Username: ana") {
				t.Errorf("%d %s %s", code, out, errs)
			}
			if code, out, _ := run(t, "context"); code != 0 || !strings.Contains(out, "*        prod  "+hub.host+"\n") {
				t.Errorf("%d %s", code, out)
			}
		})
	}
}

// A login that fails leaves no context, whatever it fails at.
func TestLoginRefused(t *testing.T) {
	for _, c := range []struct {
		name, password, pin, want string
		refuse                    string
	}{
		{name: "a token that the hub does not take", password: "hwt_wrong", want: "nothing at /whoami"},
		{name: "a code that was used", password: "abcd", refuse: "/api/v1/login", want: "the code was used"},
		{name: "another hub's certificate", password: "hwt_x", pin: "sha256:" + strings.Repeat("0", 64), want: "hub_not_trusted"},
		{name: "no password, and nobody to ask", want: "--password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := newFake(t)
			t.Setenv("ARGOCD_AUTH_TOKEN", "")
			t.Setenv("HAWSER_CA_HASH", "")
			hub.first = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != c.refuse {
					return false
				}
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte(`{"kind":"unauthorized","code":"login_code_invalid","detail":"the code was used"}`))
				return true
			}
			args := []string{"login", hub.host, "--ca-hash", firstOf(c.pin, hub.pin)}
			if c.password != "" {
				args = append(args, "--password", c.password)
			}
			code, out, errs := run(t, args...)
			if code != ExitError || !strings.Contains(errs, c.want) {
				t.Errorf("%d %s %s", code, out, errs)
			}
			if _, err := os.Stat(os.Getenv("HAWSER_CONFIG")); err == nil {
				t.Error("there is a context")
			}
		})
	}
}
