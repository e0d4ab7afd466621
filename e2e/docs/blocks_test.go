package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// block is a block of code of a page.
type block struct {
	page string // below the root of the repository
	line int    // of its fence
	lang string
	text string // without the indentation of the fence
}

// generated pages are held to what they are generated from by their own tests.
func generated(page string) bool {
	return strings.HasPrefix(page, "docs/cli/") || page == "docs/errors.md" || page == "docs/charts.md"
}

func root(t testing.TB) string {
	t.Helper()
	dir, err := testbed.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// pages are README.md and the pages of docs, with their texts.
func pages(t testing.TB) map[string]string {
	t.Helper()
	dir := root(t)
	found := map[string]string{}
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/decisions/*.md", "charts/*.md"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no pages %s (%v)", pattern, err)
		}
		for _, path := range paths {
			page, err := filepath.Rel(dir, path)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if page = filepath.ToSlash(page); !generated(page) {
				found[page] = string(text)
			}
		}
	}
	return found
}

var fence = regexp.MustCompile("^( *)```(.*)$")

// blocks of a page. complain is told of what is no block as the rules want it.
func blocks(page, text string, complain func(line int, what string)) (found []block) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if m := fence.FindStringSubmatch(lines[i]); m != nil {
			b := block{page: page, line: i + 1, lang: m[2]}
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
				b.text += strings.TrimPrefix(lines[i], m[1]) + "\n"
			}
			found = append(found, b)
			continue
		}
		// Markdown takes it for code, and nothing says of which language.
		if strings.HasPrefix(lines[i], "    ") && strings.TrimSpace(lines[i]) != "" && (i == 0 || strings.TrimSpace(lines[i-1]) == "") {
			complain(i+1, "code by indentation; give it a fence with a language")
		}
	}
	return found
}

// all blocks of all pages, in order.
func all(t testing.TB) (found []block) {
	t.Helper()
	texts := pages(t)
	names := make([]string, 0, len(texts))
	for page := range texts {
		names = append(names, page)
	}
	slices.Sort(names)
	for _, page := range names {
		found = append(found, blocks(page, texts[page], func(line int, what string) { t.Errorf("%s:%d: %s", page, line, what) })...)
	}
	return found
}

// checks by the language of a block; one that is not here cannot be checked.
var checks = map[string]func(*testing.T, block){
	"sh":      shell,
	"console": console,
	"yaml":    yamls,
	"json":    jsonLines,
	"sql":     claimedElsewhere,
	"redis":   claimedElsewhere,
	"text":    output,
}

// elsewhere are blocks that a test of another package reads: a word of the block, and
// the package's file.
var elsewhere = []struct{ page, word, file string }{
	{"docs/cache.md", "ACL SETUSER", "hub/cache/acl_test.go"},
	{"docs/audit.md", "CREATE ROLE", "migrations/grant.go"},
	{"docs/jinja.md", "carol", "hub/render/jinja/docs_test.go"},
}

func claimedElsewhere(t *testing.T, b block) {
	for _, e := range elsewhere {
		if e.page == b.page && strings.Contains(b.text, e.word) {
			if _, err := os.Stat(filepath.Join(root(t), e.file)); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Error("nothing checks this block")
}

// TestEveryBlockIsChecked reads all pages.
func TestEveryBlockIsChecked(t *testing.T) {
	found := all(t)
	if len(found) < 60 {
		t.Fatalf("only %d blocks are found", len(found))
	}
	for _, b := range found {
		t.Run(b.page+":"+strconv.Itoa(b.line), func(t *testing.T) {
			check := checks[b.lang]
			if check == nil {
				t.Fatalf("a block of %q: nothing checks that; take sh, console, yaml, json or text", b.lang)
			}
			check(t, b)
		})
	}
}
