package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAttacksAreTested fails for a test that docs/attacks.md names and that is
// not in the directory it says.
func TestAttacksAreTested(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "attacks.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+) ((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 50 {
		t.Errorf("%d tests are named", len(named))
	}
	texts := map[string]string{}
	for _, n := range named {
		dir, name := n[1], n[2]
		if _, ok := texts[dir]; !ok {
			files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				texts[dir] += string(b)
			}
		}
		if !strings.Contains(texts[dir], "func "+name+"(") {
			t.Errorf("%s has no %s", dir, name)
		}
	}
}
