package peers

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// RunHelm runs helm with arguments in a directory and an environment that nothing
// outside can change: home, caches and configuration are in scratch, which should
// be a temporary directory of the test. It returns the standard output; the error
// has what helm wrote to its standard error.
func (b Binaries) RunHelm(ctx context.Context, dir, scratch string, args ...string) ([]byte, error) {
	env := []string{"HOME=" + scratch, "HELM_CACHE_HOME=" + scratch + "/cache", "HELM_CONFIG_HOME=" + scratch + "/config", "HELM_DATA_HOME=" + scratch + "/data"}
	return run(ctx, dir, env, b.Helm, args...)
}

// Template runs `helm template` as RunHelm does.
func (b Binaries) Template(ctx context.Context, dir, scratch string, args ...string) ([]byte, error) {
	return b.RunHelm(ctx, dir, scratch, append([]string{"template"}, args...)...)
}

// Build runs `kustomize build` with arguments in a directory.
func (b Binaries) Build(ctx context.Context, dir, scratch string, args ...string) ([]byte, error) {
	return run(ctx, dir, []string{"HOME=" + scratch, "PATH=" + b.Dir}, b.Kustomize, append([]string{"build"}, args...)...)
}

func run(ctx context.Context, dir string, env []string, program string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
