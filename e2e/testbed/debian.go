package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// errNoPackage is that a package of Debian cannot be fetched here.
var errNoPackage = errors.New("no package of Debian can be fetched")

// unpackPackage unpacks one of Debian's packages into dir, without root and without
// installing it.
func unpackPackage(ctx context.Context, dir, name string, log io.Writer) error {
	fmt.Fprintf(log, "fetching the package %s\n", name)
	into, err := os.MkdirTemp(dir, ".deb-")
	if err != nil {
		return fmt.Errorf("testbed: package: %w", err)
	}
	defer os.RemoveAll(into)
	cmd := exec.CommandContext(ctx, "apt-get", "download", "-q", name)
	cmd.Dir = into
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w (apt-get download %s: %s)", errNoPackage, name, strings.TrimSpace(string(out)))
	}
	files, _ := filepath.Glob(filepath.Join(into, "*.deb"))
	if len(files) != 1 {
		return fmt.Errorf("testbed: package: apt-get download %s left %d packages", name, len(files))
	}
	if out, err := exec.CommandContext(ctx, "dpkg", "-x", files[0], dir).CombinedOutput(); err != nil {
		return fmt.Errorf("testbed: package: dpkg -x %s: %w: %s", name, err, out)
	}
	return nil
}

// missingPackages are those that an installation of some packages would bring to
// this machine, with what they need. Asking takes no root.
func missingPackages(ctx context.Context, names ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"install", "--simulate", "--quiet", "--no-install-recommends"}, names...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n") // the last says what is wrong
		return nil, fmt.Errorf("%w (apt-get install --simulate %s: %s)", errNoPackage, strings.Join(names, " "), lines[len(lines)-1])
	}
	return installed(string(out)), nil
}

// installed are the packages of the lines "Inst NAME (…)" of a simulation. The C
// library is the system's, whatever is newer: it goes with the system's loader.
func installed(out string) (names []string) {
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "Inst" && words[1] != "libc6" {
			names = append(names, words[1])
		}
	}
	return names
}

// librariesIn are the directories of libraries of what was unpacked into dir.
func librariesIn(dir string) []string {
	libraries, _ := filepath.Glob(filepath.Join(dir, "usr", "lib", "*-linux-*"))
	more, _ := filepath.Glob(filepath.Join(dir, "lib", "*-linux-*"))
	libraries = append(libraries, more...)
	// Some keep what only they need in a directory of their own, such as libpulse.
	for _, at := range libraries {
		own, _ := filepath.Glob(filepath.Join(at, "*", "lib*.so*"))
		for _, file := range own {
			if in := filepath.Dir(file); !slices.Contains(libraries, in) {
				libraries = append(libraries, in)
			}
		}
	}
	return libraries
}

// lacks is the first of the programs that is not on PATH, "" when all are.
func lacks(programs ...string) string {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return program
		}
	}
	return ""
}
