package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoChromium is the reason why this machine has no browser for tests: none is
// installed, and none can be fetched.
var ErrNoChromium = errors.New("no Chromium: install chromium, or apt-get and dpkg to fetch Debian's")

var chromiumNames = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Chromium makes sure that there is a browser that programs can drive, from the
// system or from Debian's packages in the tools directory, and returns its path. It
// is ErrNoChromium when that is not possible here. Progress goes to log, which may
// be nil.
func Chromium(ctx context.Context, log io.Writer) (string, error) {
	if log == nil {
		log = io.Discard
	}
	for _, name := range chromiumNames {
		if path, err := exec.LookPath(name); err == nil && runs(ctx, path) {
			return path, nil
		}
	}
	tools, err := ToolsDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(tools, "chromium")
	complete := func(dir string) bool { return runs(ctx, chromiumIn(dir)) }
	if err := BuildOnce(ctx, "chromium", dir, log, complete, func(tmp string) error { return unpackChromium(ctx, tmp, log) }); err != nil {
		return "", err
	}
	return chromiumIn(dir), nil
}

func chromiumIn(dir string) string { return filepath.Join(dir, "run") }

func runs(ctx context.Context, program string) bool {
	return exec.CommandContext(ctx, program, "--version").Run() == nil
}

// chromiumScript starts the browser with the libraries, and where the system has no
// font with those, that lie beside it. Debian's own script looks in the root.
const chromiumScript = `#!/bin/sh
dir=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH=%s
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_SYSROOT="$dir"
exec "$dir/usr/lib/chromium/chromium" "$@"
`

func unpackChromium(ctx context.Context, dir string, log io.Writer) error {
	if program := lacks("apt-get", "dpkg"); program != "" {
		return fmt.Errorf("%w (%s is not there)", ErrNoChromium, program)
	}
	packages, err := missingPackages(ctx, "chromium", "fonts-dejavu-core")
	for _, name := range packages {
		if err == nil {
			err = unpackPackage(ctx, dir, name, log)
		}
	}
	if errors.Is(err, errNoPackage) {
		return fmt.Errorf("%w: %w", ErrNoChromium, err)
	}
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return fmt.Errorf("%w (Debian's is installed, and does not run)", ErrNoChromium)
	}
	var libraries []string
	for _, at := range librariesIn(dir) {
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return fmt.Errorf("testbed: chromium: %w", err)
		}
		libraries = append(libraries, `"$dir"/`+rel)
	}
	script := fmt.Sprintf(chromiumScript, strings.Join(libraries, ":"))
	if err := os.WriteFile(chromiumIn(dir), []byte(script), 0o755); err != nil {
		return fmt.Errorf("testbed: chromium: %w", err)
	}
	if out, err := exec.CommandContext(ctx, chromiumIn(dir), "--version").CombinedOutput(); err != nil {
		return fmt.Errorf("%w (what was fetched does not run: %s)", ErrNoChromium, strings.TrimSpace(string(out)))
	}
	return nil
}
