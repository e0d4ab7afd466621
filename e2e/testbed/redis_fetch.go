package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// ErrNoRedis is the reason why this machine has no redis-server: none is
// installed, and none can be fetched.
var ErrNoRedis = errors.New("no redis-server: install redis-server, or apt-get and dpkg to fetch Debian's")

// redisPrograms are a redis-server and what it needs to run.
type redisPrograms struct {
	server string
	env    []string // where its libraries are
}

var foundRedis struct {
	sync.Mutex
	programs *redisPrograms
	err      error
}

// findRedis looks on PATH, and else for the fetched copy, which it fetches when it
// is not there. It does so once for each process.
func findRedis(ctx context.Context, log io.Writer) (redisPrograms, error) {
	foundRedis.Lock()
	defer foundRedis.Unlock()
	if foundRedis.err != nil {
		return redisPrograms{}, foundRedis.err
	}
	if foundRedis.programs == nil {
		p, err := lookForRedis(ctx, log)
		if err != nil {
			if errors.Is(err, ErrNoRedis) {
				foundRedis.err = err
			}
			return redisPrograms{}, err
		}
		foundRedis.programs = &p
	}
	return *foundRedis.programs, nil
}

func lookForRedis(ctx context.Context, log io.Writer) (redisPrograms, error) {
	if path, err := exec.LookPath("redis-server"); err == nil {
		p := redisPrograms{server: path}
		if _, err := p.version(ctx); err == nil {
			return p, nil
		}
	}
	return fetchRedis(ctx, log)
}

// FetchRedis makes sure that there is a redis-server for tests, from the system or
// from Debian's packages in the tools directory, and returns its path. It is
// ErrNoRedis when that is not possible here. Progress goes to log, which may be nil.
func FetchRedis(ctx context.Context, log io.Writer) (string, error) {
	p, err := findRedis(ctx, log)
	return p.server, err
}

// fetchRedis unpacks Debian's packages, without root and without installing them.
func fetchRedis(ctx context.Context, log io.Writer) (redisPrograms, error) {
	if log == nil {
		log = io.Discard
	}
	tools, err := ToolsDir()
	if err != nil {
		return redisPrograms{}, err
	}
	dir := filepath.Join(tools, "redis")
	complete := func(dir string) bool {
		_, err := redisIn(dir).version(ctx)
		return err == nil
	}
	err = BuildOnce(ctx, "redis", dir, log, complete, func(tmp string) error { return unpackRedis(ctx, tmp, log) })
	if err != nil {
		return redisPrograms{}, err
	}
	return redisIn(dir), nil
}

func redisIn(dir string) redisPrograms {
	return redisPrograms{
		server: filepath.Join(dir, "usr", "bin", "redis-server"),
		env:    []string{"LD_LIBRARY_PATH=" + strings.Join(librariesIn(dir), ":")},
	}
}

func (p redisPrograms) version(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, p.server, "--version")
	cmd.Env = append(os.Environ(), p.env...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// redisLibraries are the packages of the libraries that redis-server may miss; of
// several names the one that this release has.
var redisLibraries = map[string][]string{
	"libjemalloc.so.2":   {"libjemalloc2"},
	"liblzf.so.1":        {"liblzf1"},
	"libatomic.so.1":     {"libatomic1"},
	"libssl.so.3":        {"libssl3t64", "libssl3"},
	"libcrypto.so.3":     {"libssl3t64", "libssl3"},
	"libsystemd.so.0":    {"libsystemd0"},
	"libcap.so.2":        {"libcap2"},
	"libgcrypt.so.20":    {"libgcrypt20"},
	"libgpg-error.so.0":  {"libgpg-error0"},
	"liblzma.so.5":       {"liblzma5"},
	"libzstd.so.1":       {"libzstd1"},
	"liblz4.so.1":        {"liblz4-1"},
	"libstdc++.so.6":     {"libstdc++6"},
	"libgcc_s.so.1":      {"libgcc-s1"},
	"libhiredis.so.1":    {"libhiredis1.1.0", "libhiredis1"},
	"libhiredis.so.1.1":  {"libhiredis1.1.0"},
	"liblua5.1.so.0":     {"liblua5.1-0"},
	"libluajit-5.1.so.2": {"libluajit-5.1-2"},
}

var missingLibrary = regexp.MustCompile(`(?m)^\s*(\S+) => not found`)

func unpackRedis(ctx context.Context, dir string, log io.Writer) error {
	if program := lacks("apt-get", "dpkg", "ldd"); program != "" {
		return fmt.Errorf("%w (%s is not there)", ErrNoRedis, program)
	}
	packages := []string{"redis-server", "redis-tools"}
	for len(packages) > 0 {
		for _, p := range packages {
			if err := unpackPackage(ctx, dir, p, log); errors.Is(err, errNoPackage) {
				return fmt.Errorf("%w: %w", ErrNoRedis, err)
			} else if err != nil {
				return err
			}
		}
		p := redisIn(dir)
		cmd := exec.CommandContext(ctx, "ldd", p.server)
		cmd.Env = append(os.Environ(), p.env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("testbed: redis: ldd: %w: %s", err, out)
		}
		before := packages
		packages = nil
		for _, m := range missingLibrary.FindAllStringSubmatch(string(out), -1) {
			name := knownPackage(ctx, redisLibraries[m[1]])
			if name == "" || slices.Contains(before, name) {
				return fmt.Errorf("%w (no package is known that has %s)", ErrNoRedis, m[1])
			}
			if !slices.Contains(packages, name) {
				packages = append(packages, name)
			}
		}
	}
	return nil
}

// knownPackage is the first of the names that apt knows.
func knownPackage(ctx context.Context, names []string) string {
	for _, name := range names {
		if exec.CommandContext(ctx, "apt-cache", "show", "--quiet", name).Run() == nil {
			return name
		}
	}
	return ""
}
