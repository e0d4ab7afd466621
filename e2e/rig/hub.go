package rig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// Hub is one hawser-hub process and its data. It keeps its address over
// restarts.
type Hub struct {
	rig  *Rig
	Addr string // host:port of everything: API, agents, enrolment
	Data string
	proc *testbed.Process
	port *testbed.ReservedPort
	// CAHash pins the hub for agents and the command line; known once it runs.
	CAHash string
	starts int
}

func newHub(r *Rig) (*Hub, error) {
	port, err := testbed.ReservePort()
	if err != nil {
		return nil, err
	}
	return &Hub{rig: r, Addr: port.Addr(), port: port, Data: filepath.Join(r.Dir, "hub")}, nil
}

// Start starts the hub and returns when it is ready to serve.
func (h *Hub) Start(ctx context.Context) error {
	if h.proc != nil && h.proc.Running() {
		return errors.New("the hub runs already")
	}
	if err := os.MkdirAll(h.Data, 0o755); err != nil {
		return err
	}
	h.starts++
	args := append([]string{
		"serve", "--data", h.Data, "--listen", h.Addr,
		"--login-code-file", h.loginCodeFile(), "--ca-hash-file", h.caHashFile(),
		"--allow-http-credentials",
	}, h.rig.HubArgs...)
	proc, err := testbed.StartProcess("hawser-hub", h.LogPath(), h.rig.Dir, os.Environ(), filepath.Join(h.rig.Bin, "hawser-hub"), args...)
	if err != nil {
		return err
	}
	h.proc = proc
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	hash, err := os.ReadFile(h.caHashFile())
	if err != nil {
		return err
	}
	h.CAHash = strings.TrimSpace(string(hash))
	return nil
}

// FirstLogin makes a new code with which a browser logs in once, as an operator of
// the hub does, and returns the address of the page that takes it, without the code.
func (h *Hub) FirstLogin(ctx context.Context) (page, code string, err error) {
	file := filepath.Join(h.Data, "browser-code")
	defer os.Remove(file)
	args := append([]string{"first-login", "--data", h.Data, "--listen", h.Addr, "--login-code-file", file}, h.rig.HubArgs...)
	cmd := exec.CommandContext(ctx, filepath.Join(h.rig.Bin, "hawser-hub"), args...)
	cmd.Dir = h.rig.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("hawser-hub first-login: %w\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	return h.URL() + "/first-login", strings.TrimSpace(string(b)), err
}

// LogPath is the file with the hub's output.
func (h *Hub) LogPath() string { return filepath.Join(h.rig.Dir, "hub.log") }

// PID of the running process.
func (h *Hub) PID() int { return h.proc.PID() }

// URL of the API.
func (h *Hub) URL() string { return "https://" + h.Addr }

func (h *Hub) loginCodeFile() string { return filepath.Join(h.Data, "login-code") }
func (h *Hub) caHashFile() string    { return filepath.Join(h.Data, "ca-hash") }

// awaitReady asks /readyz until it answers 200. Readiness of another process
// has no signal but its answer.
func (h *Hub) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	client := &http.Client{
		Timeout: 2 * time.Second,
		// Only readiness is asked here, and nothing secret is sent; the command
		// line checks the hub's identity by its CA hash.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	var last error
	for {
		if !h.proc.Running() {
			return h.proc.Failure()
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL()+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("/readyz answers %s", resp.Status)
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("the hub is not ready: %w\n%s", last, testbed.Tail(h.LogPath(), 20))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Running reports whether the hub's process is alive.
func (h *Hub) Running() bool { return h.proc != nil && h.proc.Running() }

// Kill ends the hub with SIGKILL; its private Postgres goes on, as after a
// crash.
func (h *Hub) Kill() { h.proc.Kill() }

// Stop ends the hub and its private Postgres with SIGTERM.
func (h *Hub) Stop() error {
	if h.proc == nil {
		return nil
	}
	h.proc.Stop(15 * time.Second)
	return nil
}

// stopDatabase ends the private Postgres that a killed hub left running.
func (h *Hub) stopDatabase() {
	if _, err := os.Stat(h.Data); err != nil {
		return
	}
	cmd := exec.Command(filepath.Join(h.rig.Bin, "hawser-hub"), "devdb-stop", "--data", h.Data)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.rig.logf("stopping the private Postgres: %v: %s", err, out)
	}
}
