// Command hawser is the fleet command line; linked to the name kubectl-hawser it
// is a kubectl plugin, and linked to kubectl_complete-hawser it completes for one.
package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/hawser-dev/hawser/cli/argocd"
	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/cli/keyring"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx := interruptible(signals, func() {
		_, _ = os.Stderr.WriteString("interrupted again; this program ends at once\n")
		os.Exit(command.ExitInterrupted)
	})
	s := streams(os.Args[0])
	run := command.Main
	if s.Program == "argocd" { // linked to that name, or renamed
		run = argocd.Main
	}
	os.Exit(run(ctx, os.Args[1:], s))
}

// interruptible is a context that the first signal ends: the command says what goes
// on without it. The second is for whom that takes too long, whatever the command
// does.
func interruptible(signals <-chan os.Signal, second func()) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-signals
		cancel()
		<-signals
		second()
	}()
	return ctx
}

// streams are this process's, and what this machine has.
func streams(argv0 string) command.Streams {
	s := command.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal:    term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		Program:     strings.TrimSuffix(filepath.Base(argv0), ".exe"),
		Background:  background,
		Browse:      browse,
	}
	if s.OutTerminal {
		s.Width, _, _ = term.GetSize(int(os.Stdout.Fd())) // 0 when it does not tell: nothing is cut
	}
	if k := keyring.Open(); k != nil {
		s.Secrets = k
	}
	return s
}

// background starts this program again, out of reach of the terminal's signals,
// and lets it be.
func background(args ...string) {
	self, err := os.Executable()
	if err != nil {
		return
	}
	cmd := exec.Command(self, args...)
	cmd.SysProcAttr = detached()
	if cmd.Start() == nil {
		_ = cmd.Process.Release() // nothing is to be had from it
	}
}

// browse opens the system's browser, which is no business of the caller's after.
func browse(url string) error {
	program := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		program = []string{"open"}
	case "windows":
		program = []string{"rundll32", "url.dll,FileProtocolHandler"}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			return exec.ErrNotFound
		}
	}
	cmd := exec.Command(program[0], append(program[1:], url)...)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
