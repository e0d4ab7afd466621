package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// CLIError is a command that did not exit with 0.
type CLIError struct {
	Args   []string
	Code   int
	Stdout string
	Stderr string
}

func (e *CLIError) Error() string {
	return fmt.Sprintf("hawser %s: exit status %d\n%s", strings.Join(e.Args, " "), e.Code, strings.TrimSpace(e.Stderr+e.Stdout))
}

// CLI runs the command line and returns its standard output. An exit status
// other than 0 is a *CLIError.
func (r *Rig) CLI(ctx context.Context, args ...string) ([]byte, error) {
	return r.CLIInput(ctx, nil, args...)
}

// CLIInput is CLI with standard input.
func (r *Rig) CLIInput(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(r.Bin, "hawser"), args...)
	cmd.Env = r.CLIEnv()
	cmd.Dir = r.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return stdout.Bytes(), &CLIError{Args: args, Code: exit.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
	}
	return stdout.Bytes(), err
}

// CLIEnv is the environment of the command line: its own configuration, so
// that the user's is neither read nor changed.
func (r *Rig) CLIEnv() []string {
	return append(os.Environ(), "HAWSER_CONFIG="+r.ConfigPath(), "HAWSER_KEYRING=off", "HAWSER_CACHE="+filepath.Join(r.Dir, "hawser-cache"), "NO_COLOR=1")
}

// ConfigPath is the command line's configuration file.
func (r *Rig) ConfigPath() string { return filepath.Join(r.Dir, "hawser-config.yaml") }

// login redeems the one-time code that the hub wrote at its first start.
func (r *Rig) login(ctx context.Context) error {
	if _, err := os.Stat(r.ConfigPath()); err == nil {
		return nil
	}
	code, err := os.ReadFile(r.Hub.loginCodeFile())
	if err != nil {
		return err
	}
	_, err = r.CLIInput(ctx, code, "login", r.Hub.Addr, "--ca-hash", r.Hub.CAHash, "--code-stdin")
	return err
}
