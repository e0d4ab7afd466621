// Package keyring keeps tokens in the operating system's keyring: the Secret
// Service on Linux, the Keychain on macOS, the Credential Manager on Windows.
//
// It is not a store of its own: where there is no keyring, Open says so and the
// caller keeps tokens in its file. Every call ends within Limit, because a
// keyring that is locked or a bus that hangs must not hang a command.
package keyring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/zalando/go-keyring"
)

// Limit is the longest that a call takes.
const Limit = 3 * time.Second

// service is the name that a person sees in the keyring's own program.
const service = "hawser"

// ErrTimeout: the keyring did not answer in time. It may be locked.
var ErrTimeout = errors.New("the keyring did not answer in time")

// Keyring is the user's keyring. It is safe for concurrent use.
type Keyring struct{ limit time.Duration }

// Open returns nil when this machine has no keyring, or when HAWSER_KEYRING=off
// says that it is not to be used. It asks the keyring nothing.
func Open() *Keyring {
	if strings.EqualFold(os.Getenv("HAWSER_KEYRING"), "off") || !present(runtime.GOOS, os.Getenv, exists) {
		return nil
	}
	return &Keyring{limit: Limit}
}

// present reports whether there may be a keyring. On Linux that takes a session
// bus; without one the library would start a bus that nobody ends.
func present(system string, env func(string) string, exists func(string) bool) bool {
	switch system {
	case "darwin", "windows":
		return true
	case "linux", "freebsd", "openbsd", "netbsd":
		if env("DBUS_SESSION_BUS_ADDRESS") != "" {
			return true
		}
		dir := env("XDG_RUNTIME_DIR")
		return dir != "" && exists(dir+"/bus")
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Get returns the secret of a key, "" when there is none.
func (k *Keyring) Get(key string) (string, error) {
	secret, err := within(k.limit, func() (string, error) { return keyring.Get(service, key) })
	if errors.Is(err, keyring.ErrNotFound) {
		return "", nil
	}
	return secret, err
}

// Set stores the secret of a key.
func (k *Keyring) Set(key, secret string) error {
	_, err := within(k.limit, func() (string, error) { return "", keyring.Set(service, key, secret) })
	return err
}

// Delete takes the secret of a key away, if there is one.
func (k *Keyring) Delete(key string) error {
	_, err := within(k.limit, func() (string, error) { return "", keyring.Delete(service, key) })
	if errors.Is(err, keyring.ErrNotFound) {
		return nil
	}
	return err
}

// within gives up on f after d. f goes on in the background and its result is
// dropped: the libraries below cannot be interrupted.
func within(d time.Duration, f func() (string, error)) (string, error) {
	type result struct {
		secret string
		err    error
	}
	done := make(chan result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- result{err: fmt.Errorf("the keyring: %v", p)}
			}
		}()
		secret, err := f()
		done <- result{secret, err}
	}()
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case r := <-done:
		return r.secret, r.err
	case <-limit.C:
		return "", ErrTimeout
	}
}
