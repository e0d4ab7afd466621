package main

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// machine says where the numbers come from; they mean little elsewhere.
type machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memoryBytes"`
	Kernel      string `json:"kernel"`
	OS          string `json:"os"`
	Arch        string `json:"arch"`
}

type versions struct {
	Hawser     string `json:"hawser"`
	Kubernetes string `json:"kubernetes"`
	Go         string `json:"go"`
	Git        string `json:"git"`
	Postgres   string `json:"postgres,omitempty"`
}

func thisMachine() machine {
	m := machine{CPU: "unknown CPU", Cores: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	m.CPU = procField("/proc/cpuinfo", "model name", m.CPU)
	if kib, err := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal", ""), " kB"), 10, 64); err == nil {
		m.MemoryBytes = kib << 10
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	return m
}

// procField is the first value of a key in a "key : value" file.
func procField(path, key, def string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return def
	}
	for line := range strings.Lines(string(b)) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return def
}

func (v *versions) of(ctx context.Context, cp *testbed.ControlPlane, r *rig.Rig) {
	v.Go = runtime.Version()
	v.Kubernetes = cp.KubernetesVersion()
	if out, err := exec.CommandContext(ctx, "git", "--version").Output(); err == nil {
		v.Git = strings.TrimPrefix(strings.TrimSpace(string(out)), "git version ")
	}
	if r == nil {
		return
	}
	v.ofProgram(ctx, r)
	if pid, err := r.Hub.PostgresPID(); err == nil {
		if exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err == nil {
			if out, err := exec.CommandContext(ctx, exe, "--version").Output(); err == nil {
				v.Postgres = strings.TrimPrefix(strings.TrimSpace(string(out)), "postgres (PostgreSQL) ")
			}
		}
	}
}

// ofHub are those of a hub without clusters, and of its Postgres.
func (v *versions) ofHub(ctx context.Context, r *rig.Rig, postgres string) {
	v.Go, v.Postgres = runtime.Version(), postgres
	v.ofProgram(ctx, r)
}

func (v *versions) ofProgram(ctx context.Context, r *rig.Rig) {
	if out, err := r.CLI(ctx, "version"); err == nil {
		first, _, _ := bytes.Cut(out, []byte("\n"))
		v.Hawser = strings.TrimPrefix(string(first), "hawser ")
	}
}

func mapsKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
