package peers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	"syscall"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// Binaries are the paths of the commands.
type Binaries struct {
	Dir             string // holds both
	Helm, Kustomize string
	// HelmVersion and KustomizeVersion are those of the modules, "v3.22.0".
	HelmVersion, KustomizeVersion string
}

const (
	helmPackage      = "helm.sh/helm/v3/cmd/helm"
	kustomizePackage = "sigs.k8s.io/kustomize/kustomize/v5"
	buildingPrefix   = "peers-building-"
)

// KubeVersion is the Kubernetes version that helm assumes when nobody tells it
// one. A released helm has that of its client library built in; a plain go build
// has v1.20.0.
const KubeVersion = "v1.37.0"

var requirement = map[string]*regexp.Regexp{
	helmPackage:      regexp.MustCompile(`(?m)^\s*(?:require )?helm\.sh/helm/v3 (v\S+)`),
	kustomizePackage: regexp.MustCompile(`(?m)^\s*(?:require )?sigs\.k8s\.io/kustomize/kustomize/v5 (v\S+)`),
}

var built struct {
	sync.Mutex
	bins Binaries
}

// Get returns the commands for a test or benchmark and builds them when they are
// not there yet, which takes minutes once.
func Get(tb testing.TB) Binaries {
	tb.Helper()
	built.Lock()
	defer built.Unlock()
	if built.bins.complete() {
		return built.bins
	}
	bins, err := Build(tb.Context(), os.Stderr)
	if err != nil {
		tb.Fatal(err)
	}
	built.bins = bins
	return bins
}

// Build makes sure that the commands exist and returns where they are. The first
// call compiles them; later calls, also of other processes, find them in the
// tools directory. Progress goes to log, which may be nil.
func Build(ctx context.Context, log io.Writer) (Binaries, error) {
	if log == nil {
		log = io.Discard
	}
	root, err := testbed.RepoRoot()
	if err != nil {
		return Binaries{}, err
	}
	tools, err := testbed.ToolsDir()
	if err != nil {
		return Binaries{}, err
	}
	module := filepath.Join(root, "e2e", "peers", "tools")
	bins, flags, err := plan(module, tools)
	if err != nil || bins.complete() {
		return bins, err
	}
	release, err := lock(ctx, filepath.Join(tools, "peers.lock"), log)
	if err != nil {
		return Binaries{}, err
	}
	defer release()
	if bins.complete() {
		return bins, nil
	}
	// Under the lock nobody else builds: what lies there is of a killed builder.
	if left, err := filepath.Glob(filepath.Join(tools, buildingPrefix+"*")); err == nil {
		for _, dir := range left {
			os.RemoveAll(dir)
		}
	}
	tmp, err := os.MkdirTemp(tools, buildingPrefix)
	if err != nil {
		return Binaries{}, fmt.Errorf("peers: %w", err)
	}
	defer os.RemoveAll(tmp)
	started := time.Now()
	fmt.Fprintf(log, "peers: building helm %s and kustomize %s (once; minutes when the Go build cache is empty)\n", bins.HelmVersion, bins.KustomizeVersion)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", flags, "-o", tmp+string(filepath.Separator), helmPackage, kustomizePackage)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GO111MODULE=on")
	if out, err := cmd.CombinedOutput(); err != nil {
		return Binaries{}, fmt.Errorf("peers: the build failed: %w\n%s", err, out)
	}
	if !in(tmp, bins).complete() {
		return Binaries{}, errors.New("peers: the go command succeeded but left an incomplete set of programs")
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return Binaries{}, fmt.Errorf("peers: %w", err)
	}
	if err := os.RemoveAll(bins.Dir); err != nil {
		return Binaries{}, fmt.Errorf("peers: %w", err)
	}
	if err := os.Rename(tmp, bins.Dir); err != nil {
		return Binaries{}, fmt.Errorf("peers: %w", err)
	}
	fmt.Fprintf(log, "peers: helm and kustomize are ready after %s\n", time.Since(started).Round(time.Second))
	return bins, nil
}

// plan reads what is to be built and where it goes: the directory is named by
// the pins, the linker's flags and the platform.
func plan(module, tools string) (bins Binaries, flags string, err error) {
	sum := sha256.New()
	versions := map[string]string{}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return bins, "", fmt.Errorf("peers: %w", err)
		}
		if name == "go.mod" {
			for p, re := range requirement {
				m := re.FindSubmatch(data)
				if m == nil {
					return bins, "", fmt.Errorf("peers: e2e/peers/tools/go.mod does not require %s", p)
				}
				versions[p] = string(m[1])
			}
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(data))
		sum.Write(data)
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(KubeVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	flags = "-s -w" +
		" -X helm.sh/helm/v3/internal/version.version=" + versions[helmPackage] +
		" -X helm.sh/helm/v3/internal/version.metadata=" +
		" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=" + major +
		" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=" + minor +
		" -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=" + major +
		" -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=" + minor
	fmt.Fprintf(sum, "%s %s/%s", flags, runtime.GOOS, runtime.GOARCH)
	bins.HelmVersion, bins.KustomizeVersion = versions[helmPackage], versions[kustomizePackage]
	name := fmt.Sprintf("peers-helm-%s-kustomize-%s-%s", bins.HelmVersion, bins.KustomizeVersion, hex.EncodeToString(sum.Sum(nil))[:12])
	return in(filepath.Join(tools, name), bins), flags, nil
}

func in(dir string, b Binaries) Binaries {
	b.Dir, b.Helm, b.Kustomize = dir, filepath.Join(dir, "helm"), filepath.Join(dir, "kustomize")
	return b
}

func (b Binaries) complete() bool {
	for _, path := range []string{b.Helm, b.Kustomize} {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
			return false
		}
	}
	return true
}

// lock takes an exclusive lock on path, which it creates, and waits for it until
// ctx ends. It ends with release or with the process.
func lock(ctx context.Context, path string, log io.Writer) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("peers: lock: %w", err)
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("peers: lock: %w", err)
		}
		if !told {
			fmt.Fprintln(log, "peers: waiting for another process that builds them")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("peers: waiting for another build: %w", context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
