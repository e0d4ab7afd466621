package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// TestWhatCanGoWrongIsTested holds the table of docs/install.md to what there is: a
// code is registered, and named in the source of its test, and the test exists in its
// package.
func TestWhatCanGoWrongIsTested(t *testing.T) {
	root := filepath.Join("..", "..")
	b, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(b), "\n### What can go wrong\n")
	section, _, _ = strings.Cut(section, "\n## ")
	quoted := regexp.MustCompile("^`([^`]+)`$")
	rows := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 6 || strings.Contains(line, "---") || strings.Contains(line, "what is wrong") {
			continue
		}
		rows++
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		what, code, fix := cells[0], cells[2], cells[3]
		dir, test := quoted.FindStringSubmatch(cells[4]), quoted.FindStringSubmatch(cells[5])
		if what == "" || fix == "" || dir == nil || test == nil {
			t.Errorf("%q does not say what to do, or which test shows it", what)
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir[1]), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		source, there := "", false
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "\nfunc "+test[1]+"(") {
				source, there = string(text), true
			}
		}
		if !there {
			t.Errorf("%q: there is no %s in %s", what, test[1], dir[1])
		}
		if c := quoted.FindStringSubmatch(code); c != nil {
			if fault.ID(c[1]) == "" {
				t.Errorf("%q: %s is no code", what, c[1])
			}
			if !strings.Contains(source, c[1]) {
				t.Errorf("%q: the file of %s does not speak of %s", what, test[1], c[1])
			}
		} else if !strings.HasPrefix(code, "none") {
			t.Errorf("%q has no code", what)
		}
	}
	if !found || rows < 20 {
		t.Errorf("%d rows are understood", rows)
	}
}
