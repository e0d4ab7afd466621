package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// ErrNotHere is why no browser can be driven on this machine.
var ErrNotHere = errors.New("no browser can be driven here")

// Playwright drives a Chromium.
type Playwright struct{ dir, node, chromium string }

// Find looks for what is needed; it is ErrNotHere when something is not there.
// Progress goes to log, which may be nil.
func Find(ctx context.Context, log io.Writer) (*Playwright, error) {
	root, err := testbed.RepoRoot()
	if err != nil {
		return nil, err
	}
	p := &Playwright{dir: filepath.Join(root, "hub", "console")}
	if p.node, err = testbed.Node(ctx, log); errors.Is(err, testbed.ErrNoNode) {
		return nil, fmt.Errorf("%w: %w", ErrNotHere, err)
	} else if err != nil {
		return nil, err
	}
	if _, err := os.Stat(p.program()); err != nil {
		return nil, fmt.Errorf("%w: the console's modules are not installed: make build", ErrNotHere)
	}
	if p.chromium, err = testbed.Chromium(ctx, log); errors.Is(err, testbed.ErrNoChromium) {
		return nil, fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	return p, err
}

func (p *Playwright) program() string {
	return filepath.Join(p.dir, "node_modules", "@playwright", "test", "cli.js")
}

// Steps is one run of Playwright.
type Steps struct {
	// Project of playwright.config.ts.
	Project string
	// Hub is the address of the hub; User and Password log in to it.
	Hub, User, Password string
	// Output is a directory for what is left to look at, such as pictures of what
	// failed. It is emptied.
	Output string
	// Env has more for the steps, "NAME=value".
	Env []string
	// Args follow "playwright test".
	Args []string
}

// Run runs steps and returns when they ended; what they say goes to out.
func (p *Playwright) Run(ctx context.Context, s Steps, out io.Writer) error {
	args := append([]string{p.program(), "test", "--project", s.Project}, s.Args...)
	cmd := exec.CommandContext(ctx, filepath.Join(p.node, "node"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	cmd.Env = append(testbed.NodeEnv(p.node), "HAWSER_HUB="+s.Hub, "HAWSER_USER="+s.User, "HAWSER_PASSWORD="+s.Password,
		"HAWSER_CHROMIUM="+p.chromium, "HAWSER_OUTPUT="+s.Output, "FORCE_COLOR=0")
	cmd.Env = append(cmd.Env, s.Env...)
	// It ends its browser when it is interrupted.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("playwright test --project %s: %w", s.Project, err)
	}
	return nil
}
