package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rowsOfIdentity are the rows of the attack list that are about identity,
// permissions, audit, secrets, the tunnel and projects.
func rowsOfIdentity() (rows []string) {
	for _, r := range []struct {
		letter   string
		from, to int
	}{
		{"A", 1, 5}, {"A", 15, 16}, {"A", 19, 25}, {"A", 27, 28}, {"A", 31, 34}, {"A", 36, 36}, {"A", 38, 39}, {"A", 41, 48},
		{"S", 1, 15}, {"P", 10, 15}, {"E", 1, 13}, {"M", 1, 6},
	} {
		for n := r.from; n <= r.to; n++ {
			rows = append(rows, fmt.Sprintf("%s%02d", r.letter, n))
		}
	}
	return rows
}

var (
	replays  = regexp.MustCompile(`go test ((?:\./[a-z0-9/]+ )+)-run ('[^']+'|[A-Za-z0-9_]+)`)
	whole    = regexp.MustCompile("`go test \\./([a-z0-9/]+?)(?:/\\.\\.\\.)?`")
	rowID    = regexp.MustCompile(`\b[ASPEM]\d\d\b`)
	testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	subtests = regexp.MustCompile(`/.*`)
)

// TestAttacksOnTheHubAreReplayed holds docs/security.md to what there is: every
// command in it finds a test in each of its packages or, where several are named, in
// one of them, and every row has a line, of which a command finds a test whose name
// carries the row, or a reason why it has none.
func TestAttacksOnTheHubAreReplayed(t *testing.T) {
	root := filepath.Join("..", "..")
	b, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	tests := map[string][]string{}
	in := func(dir string) []string {
		if names, ok := tests[dir]; ok {
			return names
		}
		tests[dir] = []string{}
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
				tests[dir] = append(tests[dir], m[1])
			}
		}
		return tests[dir]
	}
	commands, packages := replays.FindAllStringSubmatch(page, -1), whole.FindAllStringSubmatch(page, -1)
	if all := strings.Count(page, "`go test "); len(commands)+len(packages) != all || all < 100 {
		t.Errorf("%d commands, of which %d are understood", all, len(commands)+len(packages))
	}
	for _, c := range packages {
		if len(in(c[1])) == 0 {
			t.Errorf("%s: there is no test", c[0])
		}
	}
	for _, c := range commands {
		// Within a table a bar is written with a backslash.
		for _, pattern := range strings.Split(strings.ReplaceAll(strings.Trim(c[2], "'"), `\|`, "|"), "|") {
			re, err := regexp.Compile(subtests.ReplaceAllString(pattern, ""))
			if err != nil {
				t.Errorf("%s: %v", c[0], err)
				continue
			}
			found := false
			for _, dir := range strings.Fields(c[1]) {
				for _, name := range in(strings.TrimPrefix(dir, "./")) {
					found = found || re.MatchString(name)
				}
			}
			if !found {
				t.Errorf("%s: no test is named %s", c[0], pattern)
			}
		}
	}

	have, carried := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "* ") {
			cell, _, _ := strings.Cut(line[2:], "|")
			if strings.HasPrefix(line, "* ") {
				cell, _, _ = strings.Cut(line[2:], ":")
			}
			for _, id := range rowID.FindAllString(cell, -1) {
				have[id] = true
				for _, c := range replays.FindAllStringSubmatch(line, -1) {
					re, err := regexp.Compile(strings.ReplaceAll(strings.Trim(c[2], "'"), `\|`, "|"))
					if err != nil {
						continue // said above
					}
					for _, dir := range strings.Fields(c[1]) {
						for _, name := range in(strings.TrimPrefix(dir, "./")) {
							carried[id] = carried[id] || re.MatchString(name) && strings.Contains(name, id)
						}
					}
				}
				// A row that is not there to be replayed says why.
				carried[id] = carried[id] || strings.HasPrefix(line, "* ")
			}
		}
	}
	for _, id := range rowsOfIdentity() {
		if !have[id] {
			t.Errorf("%s has neither a line nor a reason", id)
		} else if !carried[id] {
			t.Errorf("%s: no command of its lines finds a test of its name", id)
		}
	}
}
