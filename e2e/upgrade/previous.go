package upgrade

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

//go:embed PREVIOUS
var pinned string

// errNoHistory: the repository does not hold the commit of the previous release.
var errNoHistory = errors.New("this copy of the repository does not have it: a shallow clone, or none (git fetch --unshallow)")

// previousVersion is what the programs of the previous release call themselves.
func previousVersion() string { return "previous-" + commit()[:12] }

func commit() string { return strings.TrimSpace(pinned) }

// programs of the previous release.
var programs = []string{"hawser-hub", "hawser-agent"}

// previous builds hub and agent of the previous release, once for all tests that
// share a tools directory, and returns the directory with them.
func previous(ctx context.Context, log io.Writer) (string, error) {
	root, err := testbed.RepoRoot()
	if err != nil {
		return "", err
	}
	if err := exec.CommandContext(ctx, "git", "-C", root, "cat-file", "-e", commit()+"^{commit}").Run(); err != nil {
		return "", errNoHistory
	}
	tools, err := testbed.ToolsDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(tools, previousVersion())
	complete := func(dir string) bool {
		for _, name := range programs {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
				return false
			}
		}
		return true
	}
	return dir, testbed.BuildOnce(ctx, "previous", dir, log, complete, func(tmp string) error { return build(ctx, root, tmp) })
}

func build(ctx context.Context, root, out string) error {
	source, err := os.MkdirTemp("", "hawser-previous-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	if err := unpack(ctx, root, source); err != nil {
		return fmt.Errorf("the source of %s: %w", previousVersion(), err)
	}
	// Paths are trimmed as in the Makefile: packages that did not change since are
	// in the build cache.
	ldflags := "-s -w -X github.com/hawser-dev/hawser/shared/telemetry.Version=" + previousVersion()
	for _, args := range [][]string{
		{"./hub/cmd/hawser-hub"},
		{"-tags", "grpcnotrace", "./agent/cmd/hawser-agent"},
	} {
		cmd := testbed.GoCommand(ctx, source, append([]string{"build", "-trimpath", "-ldflags", ldflags, "-o", out + string(filepath.Separator)}, args...)...)
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", previousVersion(), err, said)
		}
	}
	return nil
}

// unpack writes the files of the commit into a directory.
func unpack(ctx context.Context, root, dir string) (err error) {
	into, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", "-C", root, "archive", "--format=tar", commit())
	cmd.Stderr = &complaints
	archive, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	unpacked := extract(archive, into)
	_, drained := io.Copy(io.Discard, archive)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("git archive: %w: %s", err, complaints.Bytes())
	}
	return errors.Join(unpacked, drained)
}

func extract(archive io.Reader, into *os.Root) error {
	for files := tar.NewReader(archive); ; {
		h, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg { // programs need neither links nor empty directories
			continue
		}
		if err := into.MkdirAll(filepath.Dir(filepath.FromSlash(h.Name)), 0o755); err != nil {
			return err
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		if err := into.WriteFile(filepath.FromSlash(h.Name), content, 0o644); err != nil {
			return err
		}
	}
}
