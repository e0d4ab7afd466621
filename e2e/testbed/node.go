package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// ErrNoNode is the reason why the console cannot be built here: there is no
// Node.js that is new enough, and none can be fetched.
var ErrNoNode = errors.New("no Node.js: install node 20 or newer, with npm")

const (
	leastNode = 20
	// fetchedNode is the pinned version of the npm packages that carry the program.
	fetchedNode = "20.19.5"
)

// Node makes sure that there is a Node.js with npm, and returns its directory, to
// go first in PATH. Where the system's is too old its npm fetches another into the
// tools directory. It is ErrNoNode when that is not possible. Progress goes to log,
// which may be nil.
func Node(ctx context.Context, log io.Writer) (string, error) {
	if log == nil {
		log = io.Discard
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("%w (npm is not there)", ErrNoNode)
	}
	if node, err := exec.LookPath("node"); err == nil && newEnough(ctx, node) {
		return filepath.Dir(node), nil
	}
	platform := map[string]string{"linux/amd64": "linux-x64", "linux/arm64": "linux-arm64", "darwin/arm64": "darwin-arm64", "darwin/amd64": "darwin-x64"}[runtime.GOOS+"/"+runtime.GOARCH]
	if platform == "" {
		return "", fmt.Errorf("%w (npm has none for %s/%s)", ErrNoNode, runtime.GOOS, runtime.GOARCH)
	}
	tools, err := ToolsDir()
	if err != nil {
		return "", err
	}
	name := "node-" + platform
	dir := filepath.Join(tools, "node-"+fetchedNode)
	bin := func(dir string) string { return filepath.Join(dir, "node_modules", name, "bin") }
	complete := func(dir string) bool { return newEnough(ctx, filepath.Join(bin(dir), "node")) }
	err = BuildOnce(ctx, "node", dir, log, complete, func(tmp string) error {
		fmt.Fprintf(log, "fetching %s@%s\n", name, fetchedNode)
		cmd := exec.CommandContext(ctx, npm, "install", "--prefix", tmp, "--no-save", "--no-package-lock", "--ignore-scripts",
			"--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", name+"@"+fetchedNode)
		cmd.Dir = tmp
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w (npm install %s@%s: %s)", ErrNoNode, name, fetchedNode, strings.TrimSpace(string(out)))
		}
		if !complete(tmp) {
			return fmt.Errorf("%w (what was fetched does not run)", ErrNoNode)
		}
		return nil
	})
	return bin(dir), err
}

// newEnough asks a node for its version, "v20.19.5".
func newEnough(ctx context.Context, node string) bool {
	out, err := exec.CommandContext(ctx, node, "--version").Output()
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), ".")
	n, wrong := strconv.Atoi(major)
	return err == nil && wrong == nil && n >= leastNode
}

// NodeEnv is the environment in which the Node.js of a directory is found first.
func NodeEnv(dir string) []string {
	return append(os.Environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}
