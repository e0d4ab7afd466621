package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/shared/fault"
)

// vault is a keyring of a test.
type vault struct {
	mu   sync.Mutex
	kept map[string]string
	err  error
}

func (v *vault) Get(key string) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kept[key], v.err
}

func (v *vault) Set(key, secret string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.kept[key] = secret
	}
	return v.err
}

func (v *vault) Delete(key string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		delete(v.kept, key)
	}
	return v.err
}

// contextsOf writes a configuration and takes the environment's hub away.
func contextsOf(t *testing.T, text string, mode os.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HAWSER_HUB", "HAWSER_CA_HASH", "HAWSER_TOKEN", "HAWSER_TOKEN_FD", "HAWSER_CONTEXT"} {
		t.Setenv(name, "")
	}
	t.Setenv("HAWSER_CONFIG", path)
	return path
}

func TestContextCommands(t *testing.T) {
	contextsOf(t, contexts, 0o600)
	for _, step := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"context show -o name", 0, "one\n", ""},
		{"context use -", 3, "", "(context_unknown)"},
		{"context use two", 0, "", `context "two" is now current`},
		{"context use -", 0, "", `context "one" is now current`},
		{"context use -", 0, "", `context "two" is now current`},
		{"context use twoo", 3, "", `did you mean "two"?`},
		{"context rename two zwei", 0, "", `called "zwei" now`},
		{"context rename zwei one", 2, "", "(context_exists)"},
		{"context show -o name", 0, "zwei\n", ""},
		{"context add three three.example:8443 --ca-hash sha256:cc", 0, "", `"three" added`},
		{"context add three x", 2, "", "(context_exists)"},
		{"context show three", 0, "Token:    none\nCA hash:  sha256:cc\n", ""},
		{"context delete zwei", 0, "", "is forgotten"},
		{"context show", 3, "", "no context is current"},
		{"context list --columns name,token --no-headers", 0, "one    file\nthree  none\n", ""},
		{"context list --sort-by=-name -o name", 0, "three\none\n", ""},
		{"logout one", 0, "", "logged out of one"},
		{"logout", 4, "", "(not_logged_in)"},
		{"logout nix", 3, "", "(context_unknown)"},
		{"context show one", 0, "Token:    none\n", ""},
	} {
		run(t, "", strings.Fields(step.args)...).check(t, step.code, step.out, step.err)
	}
}

func TestAConfigurationThatOthersCanReadIsRefused(t *testing.T) {
	path := contextsOf(t, contexts, 0o600)
	for mode, code := range map[os.FileMode]int{0o640: 2, 0o604: 2, 0o620: 2, 0o600: 0, 0o400: 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		r := run(t, "", "context", "list")
		if r.code != code || (code != 0) != strings.Contains(r.err, "chmod 600 "+path) {
			t.Errorf("%o: %d %s", mode, r.code, r.err)
		}
	}
}

func TestTokensAreKeptInTheKeyring(t *testing.T) {
	hub := newHubOf(t, everything())
	path := contextsOf(t, "", 0o600)
	v := &vault{kept: map[string]string{}}
	with := func(in string, args ...string) ran {
		return runAs(t.Context(), Streams{In: strings.NewReader(in), Secrets: v}, args...)
	}
	with("hwt_CANARY\n", "login", hub.srv.URL, "--with-token", "--name", "one", "--ca-hash", hub.pin()).check(t, 0, "", "Logged in")
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "CANARY") || len(v.kept) != 1 {
		t.Fatalf("%v, the file says\n%s", err, text)
	}
	with("", "whoami").check(t, 0, "ana", "")
	with("", "context", "rename", "one", "eins").check(t, 0, "", "eins")
	with("", "whoami").check(t, 0, "ana", "")
	run(t, "", "whoami").check(t, 4, "", "(keyring_missing)\n  fix: hawser login "+hub.srv.URL+" --ca-hash "+hub.pin()+" --name eins --with-token")
	v.err = errors.New("locked")
	with("", "whoami").check(t, 4, "", "(keyring_unreadable)\n  cause: locked\n  fix: hawser login")
	v.err = nil
	with("", "logout").check(t, 0, "", "logged out of eins")
	if len(v.kept) != 0 {
		t.Errorf("the keyring keeps %v", v.kept)
	}

	// A keyring that does not take it is no reason not to log in.
	v.err = errors.New("locked")
	with("hwt_x\n", "login", hub.srv.URL, "--with-token", "--name", "two").check(t, 0, "", "warning: the token is in "+path+", which only you can read (the keyring does not take it: locked)")
	with("", "whoami").check(t, 0, "ana", "")
	v.err = nil
	with("", "whoami").check(t, 0, "ana", "")
	if len(v.kept) != 0 {
		t.Error("what was said to be in the file was moved")
	}
}

func TestTokensOfEarlierReleasesMoveSilently(t *testing.T) {
	hub := newHubOf(t, everything())
	path := contextsOf(t, `{current: old, contexts: [{name: old, url: "`+hub.srv.URL+`", caHash: "`+hub.pin()+`", token: hwt_CANARY, user: ana}]}`, 0o600)
	v := &vault{kept: map[string]string{}}
	for range 2 {
		runAs(t.Context(), Streams{In: strings.NewReader(""), Secrets: v}, "whoami").check(t, 0, "ana\n", "")
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "CANARY") || len(v.kept) != 1 || !strings.Contains(string(text), "user: ana") {
		t.Errorf("%v, kept %d, the file says\n%s", err, len(v.kept), text)
	}
}

func TestAnExpiredLoginSaysTheCommand(t *testing.T) {
	hub := newHubOf(t, map[string]answer{"GET /whoami": problemAnswer(401, "unauthorized", "token_expired", "the token expired")})
	x := `{current: old, contexts: [{name: old, url: "` + hub.srv.URL + `", caHash: "` + hub.pin() + `", token: hwt_CANARY, plain: true}]}`
	contextsOf(t, x, 0o600)
	want := "hawser login " + hub.srv.URL + " --ca-hash " + hub.pin() + " --name old --with-token"
	run(t, "", "whoami").check(t, 4, "", "fix: "+want+"\n")
	run(t, "", "whoami", "--progress=json").check(t, 4, "", `"fix":"`+want+`"`)
	t.Setenv("HAWSER_TOKEN", "hwt_x")
	run(t, "", "whoami").check(t, 4, "", "fix: the token is of the environment (HAWSER_TOKEN)")
}

// Who mistypes a password is not told of tokens.
func TestAWrongPasswordIsToBeTypedAgain(t *testing.T) {
	hub := newHubOf(t, map[string]answer{"POST /login": problemAnswer(401, "unauthorized", "login_failed", "the name or the password is wrong")})
	contextsOf(t, `{current: old, contexts: [{name: old, url: "`+hub.srv.URL+`", caHash: "`+hub.pin()+`", plain: true}]}`, 0o600)
	r := run(t, "guess\n", "login", hub.srv.URL, "--username", "ana", "--password-stdin")
	r.check(t, 4, "", "fix: type them again; an administrator gives another password: hawser account set NAME --password")
	if strings.Contains(r.err, "--with-token") {
		t.Errorf("stderr %q", r.err)
	}
}

// A second login to a hub does not trust less than the first.
func TestLoginKeepsThePin(t *testing.T) {
	hub := newHubOf(t, everything())
	contextsOf(t, "", 0o600)
	run(t, "hwt_x\n", "login", hub.srv.URL, "--with-token").check(t, 2, "", "(hub_not_trusted)")
	run(t, "hwt_x\n", "login", hub.srv.URL, "--with-token", "--ca-hash", hub.pin()).check(t, 0, "", "Logged in")
	run(t, "hwt_x\n", "login", hub.srv.URL, "--with-token").check(t, 0, "", "Logged in")
	file, err := config.Load()
	if x, ok := file.Context(""); err != nil || !ok || x.CAHash != hub.pin() {
		t.Errorf("%v %+v", err, file)
	}
	run(t, "", "login", hub.srv.URL).check(t, 2, "", "(login_needs_code)")
	if r := runAs(t.Context(), Streams{In: strings.NewReader("code\n"), Terminal: true}, "login", hub.srv.URL, "--no-input"); r.code != 2 {
		t.Errorf("--no-input asked: %+v", r)
	}
}

func TestTokenOfADescriptor(t *testing.T) {
	contextsOf(t, contexts, 0o600)
	for _, v := range []string{"x", "0", "2", "-1", "99999999"} {
		t.Setenv("HAWSER_TOKEN_FD", v)
		if _, err := (&session{}).hub(); !fault.HasCode(err, "token_fd_invalid") {
			t.Errorf("%s: %v", v, err)
		}
	}
}
