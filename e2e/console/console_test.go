package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	hubconsole "github.com/hawser-dev/hawser/hub/console"
)

const (
	person   = "ada"
	password = "a password for tests"
)

// TestConsole walks through the views of a hub without control planes. CONSOLE_STEPS
// narrows it to the steps whose title has that text; CONSOLE_OUTPUT is a directory, which
// is emptied, for pictures of what failed.
func TestConsole(t *testing.T) {
	r, p := start(t)
	steps(t, r, p, "console", Hands{
		// The link of a person whose name and password are chosen for him.
		"first-login": func(ctx context.Context, _ json.RawMessage) (any, error) {
			page, code, err := r.Hub.FirstLogin(ctx)
			return page + "#" + url.Values{"code": {code}, "username": {"first"}, "password": {password}}.Encode(), err
		},
		"stop-hub":  func(context.Context, json.RawMessage) (any, error) { return nil, r.Hub.Stop() },
		"start-hub": func(ctx context.Context, _ json.RawMessage) (any, error) { return nil, r.Hub.Start(ctx) },
	})
}

// start starts a hub with the console in it, and somebody who can log in.
func start(t *testing.T) (*rig.Rig, *Playwright) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a hub and a browser, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	p, err := Find(ctx, os.Stderr)
	if errors.Is(err, ErrNotHere) {
		t.Skip(err)
	}
	must(t, err)
	r, err := rig.Start(ctx, rig.Options{Bin: programs(t), HubArgs: []string{"--database-url", ""}})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the hub's log:\n%s", testbed.Tail(r.Hub.LogPath(), 30))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	api, err := r.API()
	must(t, err)
	must(t, api.Do(ctx, "POST", "/accounts", map[string]any{"name": person, "password": password, "admin": true}, nil))
	return r, p
}

// programs are those of make, or built here; both need that the console is built.
func programs(t *testing.T) string {
	t.Helper()
	c, err := hubconsole.New()
	must(t, err)
	if !c.Built() {
		t.Skip("the console is not built: make build")
	}
	return rig.Programs(t)
}

// steps runs those of a project of playwright.config.ts in a browser.
func steps(t *testing.T, r *rig.Rig, p *Playwright, project string, hands Hands) {
	t.Helper()
	url, closeHands, err := hands.serve()
	must(t, err)
	defer closeHands()
	s := Steps{Project: project, Hub: r.Hub.URL(), User: person, Password: password, Output: filepath.Join(r.Dir, "playwright"), Env: []string{"HAWSER_HANDS=" + url}}
	if keep := os.Getenv("CONSOLE_OUTPUT"); keep != "" {
		s.Output = keep
	}
	if only := os.Getenv("CONSOLE_STEPS"); only != "" {
		s.Args = []string{"--grep", only}
	}
	var out bytes.Buffer
	if err := p.Run(t.Context(), s, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	t.Logf("%s", out.Bytes())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
