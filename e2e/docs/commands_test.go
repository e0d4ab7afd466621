package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/shared/fault"
)

// called is a program's name with its arguments.
type called []string

// stubs are the programs that a page may call. A stub notes how it was called.
var stubs = []string{"hawser", "hawser-hub", "hawser-agent", "kubectl", "helm", "make", "openssl", "age", "jq", "ln", "grep", "git", "cosign", "sh"}

// stub writes its name and its arguments, each in a line, into a file of its own: those
// of a pipe run at the same time. The files sort in the order of the calls.
const stub = `#!/bin/bash
for a in "${0##*/}" "$@"; do printf '%s\n' "${a//$'\n'/ }"; done > "$CALLS/${EPOCHREALTIME/[.,]/}-$$"
`

// takesFrom are files that a command reads.
var takesFrom = regexp.MustCompile(`<\s*([\w./-]+)`)

// dryRun has bash run a text with nothing but stubs in its reach, and returns what
// they were called with.
func dryRun(t *testing.T, text string) []called {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	work := filepath.Join(dir, "work")
	log := filepath.Join(dir, "calls")
	for _, d := range []string{bin, work, log} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range stubs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(stub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range takesFrom.FindAllStringSubmatch(text, -1) {
		if err := os.WriteFile(filepath.Join(work, m[1]), []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/bin/bash", "-e")
	cmd.Dir = work
	cmd.Env = []string{"PATH=" + bin, "CALLS=" + log, "SECRET=s", "HOME=" + dir}
	// Directories are made; there is no other program.
	cmd.Stdin = strings.NewReader("mkdir() { /bin/mkdir \"$@\"; }\n" + text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bash: %v\n%s\nin\n%s", err, out, text)
	}
	files, err := os.ReadDir(log) // sorted
	if err != nil {
		t.Fatal(err)
	}
	var calls []called
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(log, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"))
	}
	return calls
}

// onlyExports is a block in which readers say what is theirs; what follows needs it.
var onlyExports = regexp.MustCompile(`^(export [A-Z_]+=.*\n)+$`)

func shell(t *testing.T, b block) {
	calls := dryRun(t, b.text)
	if len(calls) == 0 && !onlyExports.MatchString(b.text) {
		t.Error("it calls no program")
	}
	for _, c := range calls {
		if err := parses(t, c); err != nil {
			t.Errorf("%s: %v", strings.Join(c, " "), err)
		}
	}
}

// console is a block of lines that begin with "$ " and what they print.
func console(t *testing.T, b block) {
	b.text = commandsOf(b.text)
	shell(t, b)
}

// commandsOf are the commands of a console block: lines that begin with "$ ", with
// what a backslash continues.
func commandsOf(text string) string {
	var out strings.Builder
	continued := false
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "$ "); ok || continued {
			if ok {
				line = rest
			}
			continued = strings.HasSuffix(strings.TrimSpace(line), "\\")
			if !strings.HasPrefix(line, "echo ") {
				out.WriteString(line)
			}
		}
	}
	return out.String()
}

// parses tells whether a program takes a call.
func parses(t *testing.T, c called) error {
	switch c[0] {
	case "hawser":
		return parsesHawser(c[1:], true)
	case "hawser-hub", "hawser-agent":
		return parsesProgram(t, c)
	case "make":
		return targets(t, c[1:])
	}
	return nil // of others; helm and kubectl are asked by TestCommandsOfOthers
}

// parsesHawser parses by the tree of commands; complete: with all arguments.
func parsesHawser(args []string, complete bool) error {
	c, rest, err := command.Tree().Find(args)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if c.HasSubCommands() && len(c.Flags().Args()) > 0 {
		return fmt.Errorf("%s has no %s", c.CommandPath(), c.Flags().Args()[0])
	}
	if !complete {
		return nil
	}
	return c.ValidateArgs(c.Flags().Args())
}

var (
	parsedMu sync.Mutex
	parsed   = map[string]error{}
)

// parsesProgram asks the program for help after all else: flags that it does not have,
// or that do not take their value, are refused before.
func parsesProgram(t *testing.T, c called) error {
	key := strings.Join(c, "\x00")
	parsedMu.Lock()
	defer parsedMu.Unlock()
	if err, ok := parsed[key]; ok {
		return err
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs(t), c[0]), append(slices.Clone([]string(c[1:])), "--help")...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err == nil {
		err = isWhole(c, string(out))
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	parsed[key] = err
	return err
}

var usage = regexp.MustCompile(`(?m)^Usage:\n {2}(.*)$`)

// isWhole tells from a program's help whether a call names one of its commands to the
// end.
func isWhole(c called, help string) error {
	m := usage.FindStringSubmatch(help)
	if m == nil {
		return fmt.Errorf("it answers no help: %s", help)
	}
	words := strings.Fields(m[1])
	n := 0
	for n < len(words) && n < len(c) && words[n] == c[n] {
		n++
	}
	if strings.Contains(help, "Available Commands:") && n < len(c) && !strings.HasPrefix(c[n], "-") {
		return fmt.Errorf("%s has no command %s", strings.Join(words[:n], " "), c[n])
	}
	return nil
}

var target = regexp.MustCompile(`(?m)^([a-z-]+):`)

func targets(t *testing.T, args []string) error {
	text, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		return err
	}
	for _, a := range args {
		if strings.Contains(a, "=") {
			if name, _, _ := strings.Cut(a, "="); !regexp.MustCompile(`\$\(` + name + `[):]|ifdef ` + name + `\b`).Match(text) {
				return fmt.Errorf("the Makefile knows no %s", name)
			}
			continue
		}
		if !slices.ContainsFunc(target.FindAllSubmatch(text, -1), func(m [][]byte) bool { return string(m[1]) == a }) {
			return fmt.Errorf("there is no target %s", a)
		}
	}
	return nil
}

var inline = regexp.MustCompile("`((?:hawser|hawser-hub|hawser-agent|make) [^`\n]+)`")

// TestCommandsInSentences: what a sentence names as a command is one, as far as it
// goes. Those with "…" or "[" say that they are not whole.
func TestCommandsInSentences(t *testing.T) {
	n := 0
	for page, text := range pages(t) {
		for i, line := range strings.Split(text, "\n") {
			for _, m := range inline.FindAllStringSubmatch(line, -1) {
				if strings.ContainsAny(m[1], "…[|$<") || strings.Contains(m[1], " NOUN ") {
					continue
				}
				n++
				sentence, _, _ := strings.Cut(m[1], "\"")
				sentence, _, _ = strings.Cut(sentence, "'")
				words := strings.Fields(sentence)
				var err error
				switch words[0] {
				case "hawser":
					err = parsesHawser(words[1:], false)
				case "make":
					err = targets(t, words[1:])
				default:
					err = parsesProgram(t, words)
				}
				if err != nil && !strings.Contains(err.Error(), "flag needs an argument") {
					t.Errorf("%s:%d: %s: %v", page, i+1, m[1], err)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d are found", n)
	}
}

// TestWrongCommandsAreFound: the tests above would find a mistake.
func TestWrongCommandsAreFound(t *testing.T) {
	for _, line := range []string{
		"hawser app lst", "hawser app list --fliter x", "hawser app get", "hawser project allow dest",
		"hawser-hub backup --flie x", "hawser-hub bakcup", "hawser-agent explain healht", "make tset", "make image ARCH=amd64",
	} {
		if err := parses(t, strings.Fields(line)); err == nil {
			t.Errorf("%q passes", line)
		}
	}
}

var code = regexp.MustCompile(`\(([a-z]+(?:_[a-z0-9]+)+)\)`)

// output is what programs print, or a picture. Codes in it exist.
func output(t *testing.T, b block) {
	for _, m := range code.FindAllStringSubmatch(b.text, -1) {
		if fault.ID(m[1]) == "" {
			t.Errorf("there is no code %s", m[1])
		}
	}
	for line := range strings.Lines(b.text) {
		for _, name := range []string{"hawser ", "hawser-hub ", "hawser-agent ", "kubectl ", "helm ", "make "} {
			if strings.HasPrefix(line, name) {
				t.Errorf("a command in a block of text: %s", line)
			}
		}
	}
}

var (
	programsOnce   sync.Once
	programsDir    string
	programsErr    error
	removePrograms = func() {}
)

// programs is the directory with the three programs.
func programs(t testing.TB) string {
	t.Helper()
	programsOnce.Do(func() {
		programsDir, removePrograms, programsErr = rig.Build(context.Background())
		if programsErr == nil {
			programsDir, programsErr = filepath.Abs(programsDir)
		}
	})
	if programsErr != nil {
		t.Fatal(programsErr)
	}
	return programsDir
}

func TestMain(m *testing.M) {
	code := m.Run()
	removePrograms()
	os.Exit(code)
}
