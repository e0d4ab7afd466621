package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// serveCommand has the test binary be a hub.
const serveCommand = "serve-for-tests"

func serveForTests() error {
	var cfg Config
	flags := pflag.NewFlagSet(serveCommand, pflag.ContinueOnError)
	cfg.Flags(flags)
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	return Serve(context.Background(), cfg, io.Discard, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// killable is a hub in a process of its own.
type killable struct {
	t         *testing.T
	addr, dir string
	dsn       string
	args, env []string // further ones
	cmd       *exec.Cmd
	said      bytes.Buffer
	client    http.Client
}

func (k *killable) start() {
	k.t.Helper()
	self, err := os.Executable()
	if err != nil {
		k.t.Fatal(err)
	}
	k.said.Reset()
	k.cmd = exec.Command(self, append([]string{serveCommand, "--data", filepath.Join(k.dir, "data"), "--listen", k.addr, "--database-url", k.dsn,
		"--login-code-file", k.codeFile(), "--render-workers", "1"}, k.args...)...)
	k.cmd.Env = append(os.Environ(), k.env...)
	k.cmd.Stderr = &k.said
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; {
		// That another process is ready has no signal but its answer.
		if resp, err := k.client.Get("https://" + k.addr + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			k.kill()
			k.t.Fatalf("the hub is not ready: %s", k.said.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (k *killable) codeFile() string { return filepath.Join(k.dir, "code") }

// kill is kill -9.
func (k *killable) kill() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

func (k *killable) login(in map[string]string) (status int, header http.Header) {
	k.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		k.t.Fatal(err)
	}
	resp, err := k.client.Post("https://"+k.addr+"/api/v1/login", "application/json", bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

// Who is limited stays so when the hub is killed, and the code of the first login is
// the same until it is used, and of no use then.
func TestA33_AKilledHubForgetsNobody(t *testing.T) {
	port, err := testbed.ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	k := &killable{t: t, addr: port.Addr(), dir: t.TempDir(), dsn: dbtest.Postgres(t)}
	k.client = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	t.Cleanup(func() { k.kill() })
	code := func() string {
		b, err := os.ReadFile(k.codeFile())
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	k.start()
	first := code()
	k.kill()
	k.start()
	if code() != first {
		t.Error("another code after a kill")
	}
	const password = "correct horse battery"
	enter := map[string]string{"code": first, "username": "root", "password": password}
	if status, _ := k.login(enter); status != http.StatusOK {
		t.Fatalf("the first login is answered %d", status)
	}
	if status, _ := k.login(enter); status != http.StatusUnauthorized {
		t.Errorf("the second login with the code is answered %d", status)
	}
	status := 0
	for range 11 {
		status, _ = k.login(map[string]string{"username": "root", "password": "wrong"})
	}
	if status != http.StatusTooManyRequests {
		t.Fatalf("the 11th wrong password is answered %d", status)
	}
	k.kill()
	k.start()
	status, header := k.login(map[string]string{"username": "root", "password": password})
	if wait, err := strconv.Atoi(header.Get("Retry-After")); status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 300 {
		t.Errorf("after a kill the right password is answered %d, to be tried again after %q", status, header.Get("Retry-After"))
	}
}
