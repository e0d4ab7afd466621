package testbed

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Binaries are the paths of the programs of a control plane.
type Binaries struct {
	// Dir holds all of them.
	Dir string
	// KubernetesVersion is what the API server reports, such as "v1.37.2".
	KubernetesVersion string

	Etcd, APIServer, ControllerManager, Scheduler, Kwok string
	// KwokStages is a file with the node and pod stages that kwok ships.
	KwokStages string
}

const versionPackage = "k8s.io/component-base/version"

// buildPackages are built with one go command, so that shared packages compile
// once and the linkers run side by side.
var buildPackages = []string{
	"k8s.io/kubernetes/cmd/kube-apiserver",
	"k8s.io/kubernetes/cmd/kube-controller-manager",
	"k8s.io/kubernetes/cmd/kube-scheduler",
	"sigs.k8s.io/kwok/cmd/kwok",
	"./cmd/etcd",
}

// kwokStageFiles are read from the kwok module: nodes become Ready and keep a
// lease, pods become Running and Ready at once, pods of Jobs complete, and
// deleted pods go away.
var kwokStageFiles = []string{
	"kustomize/stage/node/fast/node-initialize.yaml",
	"kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
	"kustomize/stage/pod/fast/pod-ready.yaml",
	"kustomize/stage/pod/fast/pod-complete.yaml",
	"kustomize/stage/pod/fast/pod-delete.yaml",
}

// Build makes sure that the programs of a control plane exist and returns where
// they are. The first call compiles them from their public Go modules, which
// takes minutes on two cores with an empty build cache; later calls, also of
// other processes, find them in the tools directory. Progress goes to log, which
// may be nil.
func Build(ctx context.Context, log io.Writer) (Binaries, error) {
	if log == nil {
		log = io.Discard
	}
	root, err := RepoRoot()
	if err != nil {
		return Binaries{}, err
	}
	tools, err := ToolsDir()
	if err != nil {
		return Binaries{}, err
	}
	module := filepath.Join(root, "e2e", "testbed", "controlplane")
	version, key, err := buildKey(module)
	if err != nil {
		return Binaries{}, err
	}
	bins := binariesIn(filepath.Join(tools, "controlplane-"+key), version)
	complete := func(dir string) bool { return binariesIn(dir, version).complete() }
	return bins, BuildOnce(ctx, "controlplane", bins.Dir, log, complete, func(tmp string) error {
		started := time.Now()
		fmt.Fprintf(log, "testbed: building Kubernetes %s, etcd and kwok (once; several minutes when the Go build cache is empty)\n", version)
		if err := compile(ctx, module, version, tmp, log); err != nil {
			return err
		}
		if err := writeStages(ctx, module, binariesIn(tmp, version).KwokStages); err != nil {
			return err
		}
		fmt.Fprintf(log, "testbed: control plane programs ready after %s\n", time.Since(started).Round(time.Second))
		return nil
	})
}

func binariesIn(dir, version string) Binaries {
	in := func(name string) string { return filepath.Join(dir, name) }
	return Binaries{
		Dir: dir, KubernetesVersion: version,
		Etcd:              in("etcd"),
		APIServer:         in("kube-apiserver"),
		ControllerManager: in("kube-controller-manager"),
		Scheduler:         in("kube-scheduler"),
		Kwok:              in("kwok"),
		KwokStages:        in("kwok-stages.yaml"),
	}
}

func (b Binaries) complete() bool {
	for _, path := range []string{b.Etcd, b.APIServer, b.ControllerManager, b.Scheduler, b.Kwok, b.KwokStages} {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
			return false
		}
	}
	return true
}

var kubernetesRequirement = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+\S*)`)

// buildKey names the outcome of a build: the module's pins, the etcd command,
// the linker flags and the platform.
func buildKey(module string) (version, key string, err error) {
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "cmd/etcd/main.go"} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", "", fmt.Errorf("testbed: build: %w", err)
		}
		if name == "go.mod" {
			m := kubernetesRequirement.FindSubmatch(data)
			if m == nil {
				return "", "", errors.New("testbed: build: e2e/testbed/controlplane/go.mod does not require k8s.io/kubernetes")
			}
			version = string(m[1])
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(data))
		sum.Write(data)
	}
	fmt.Fprintf(sum, "%s %s/%s %v", ldflags(version), runtime.GOOS, runtime.GOARCH, kwokStageFiles)
	return version, hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// ldflags give the server its version; without them it calls itself
// v0.0.0-master and version checks of charts misread it.
func ldflags(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return "-s -w" +
		" -X " + versionPackage + ".gitVersion=" + version +
		" -X " + versionPackage + ".gitMajor=" + major +
		" -X " + versionPackage + ".gitMinor=" + minor +
		" -X " + versionPackage + ".gitTreeState=clean" +
		" -X " + versionPackage + ".gitCommit=unknown"
}

// GoCommand runs the go tool in a module of tools, with an environment that a
// caller's workspace or flags cannot change.
func GoCommand(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GO111MODULE=on")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func compile(ctx context.Context, module, version, out string, log io.Writer) error {
	args := append([]string{"build", "-v", "-ldflags", ldflags(version), "-o", out + string(filepath.Separator)}, buildPackages...)
	cmd := GoCommand(ctx, module, args...)
	progress := &buildProgress{started: time.Now()}
	cmd.Stdout, cmd.Stderr = progress, progress
	stop := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				fmt.Fprintln(log, progress.line())
			}
		}
	})
	err := cmd.Run()
	close(stop)
	told.Wait()
	if err != nil {
		return fmt.Errorf("testbed: build of the control plane failed: %w\n%s", err, progress.tail())
	}
	return nil
}

// buildProgress reads what `go build -v` prints: one line per downloaded module
// and per compiled package, else complaints.
type buildProgress struct {
	started time.Time

	mu                  sync.Mutex
	partial             []byte
	last                []string
	compiled, downloads int
}

func (p *buildProgress) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.partial = append(p.partial, data...)
	for {
		i := bytes.IndexByte(p.partial, '\n')
		if i < 0 {
			return len(data), nil
		}
		line := string(p.partial[:i])
		p.partial = p.partial[i+1:]
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			p.downloads++
		case line != "" && !strings.ContainsAny(line, " \t:#"):
			p.compiled++
		}
		p.last = append(p.last, line)
		if len(p.last) > 30 {
			p.last = p.last[1:]
		}
	}
}

func (p *buildProgress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := fmt.Sprintf("testbed: building, %s: %d modules fetched, %d packages compiled", time.Since(p.started).Round(time.Second), p.downloads, p.compiled)
	if n := len(p.last); n > 0 {
		s += ", last " + p.last[n-1]
	}
	return s
}

func (p *buildProgress) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(append(p.last, string(p.partial)), "\n")
}

// writeStages joins the stage files of the kwok module into one.
func writeStages(ctx context.Context, module, out string) error {
	var stderr bytes.Buffer
	cmd := GoCommand(ctx, module, "list", "-m", "-json", "sigs.k8s.io/kwok")
	cmd.Stderr = &stderr
	listed, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("testbed: finding the kwok module: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	var info struct{ Dir string }
	if err := json.Unmarshal(listed, &info); err != nil || info.Dir == "" {
		return fmt.Errorf("testbed: finding the kwok module: no directory in the answer of go list (%v)", err)
	}
	var all bytes.Buffer
	w := bufio.NewWriter(&all)
	for _, name := range kwokStageFiles {
		data, err := os.ReadFile(filepath.Join(info.Dir, filepath.FromSlash(name)))
		if err != nil {
			return fmt.Errorf("testbed: kwok stages: %w", err)
		}
		fmt.Fprintf(w, "---\n%s\n", bytes.TrimSpace(data))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return os.WriteFile(out, all.Bytes(), 0o644)
}
