package peers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
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
	if err != nil {
		return bins, err
	}
	complete := func(dir string) bool { return in(dir, bins).complete() }
	return bins, testbed.BuildOnce(ctx, "peers", bins.Dir, log, complete, func(tmp string) error {
		started := time.Now()
		fmt.Fprintf(log, "peers: building helm %s and kustomize %s (once; minutes when the Go build cache is empty)\n", bins.HelmVersion, bins.KustomizeVersion)
		cmd := testbed.GoCommand(ctx, module, "build", "-trimpath", "-ldflags", flags, "-o", tmp+string(filepath.Separator), helmPackage, kustomizePackage)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("peers: the build failed: %w\n%s", err, out)
		}
		fmt.Fprintf(log, "peers: helm and kustomize are ready after %s\n", time.Since(started).Round(time.Second))
		return nil
	})
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
