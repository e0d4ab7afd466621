package keyring

import (
	"errors"
	"testing"
	"time"

	"github.com/zalando/go-keyring"
)

func TestKeyring(t *testing.T) {
	keyring.MockInit() // never the user's own
	k := &Keyring{limit: Limit}
	if got, err := k.Get("a"); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := k.Set("a", "hwt_x"); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Get("a"); got != "hwt_x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for range 2 { // what is not there is deleted already
		if err := k.Delete("a"); err != nil {
			t.Error(err)
		}
	}
	keyring.MockInitWithError(errors.New("locked"))
	if _, err := k.Get("a"); err == nil {
		t.Error("an error was swallowed")
	}
}

func TestAKeyringThatHangsHangsNothing(t *testing.T) {
	held := make(chan struct{})
	defer close(held)
	start := time.Now()
	_, err := within(20*time.Millisecond, func() (string, error) { <-held; return "late", nil })
	if !errors.Is(err, ErrTimeout) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
	if _, err := within(time.Minute, func() (string, error) { panic("library") }); err == nil {
		t.Error("a panic was swallowed")
	}
}

func TestWhereThereIsAKeyring(t *testing.T) {
	for _, c := range []struct {
		name, system string
		env          map[string]string
		bus          bool
		want         bool
	}{
		{"macOS", "darwin", nil, false, true},
		{"Windows", "windows", nil, false, true},
		{"a desktop", "linux", map[string]string{"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}, false, true},
		{"systemd's bus", "linux", map[string]string{"XDG_RUNTIME_DIR": "/run/user/1"}, true, true},
		{"a runtime directory without a bus", "linux", map[string]string{"XDG_RUNTIME_DIR": "/run/user/1"}, false, false},
		{"a container", "linux", nil, false, false},
		{"another system", "plan9", nil, true, false},
	} {
		got := present(c.system, func(k string) string { return c.env[k] }, func(path string) bool { return c.bus && path == "/run/user/1/bus" })
		if got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	t.Setenv("HAWSER_KEYRING", "off")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x")
	if Open() != nil {
		t.Error("it is used though it must not be")
	}
}
