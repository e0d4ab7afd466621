package nearest

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"automatd", "automated", 1}, {"prune", "purne", 1}, {"kitten", "sitting", 3},
		{"relase", "release", 1}, {"größe", "grösse", 2},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := Distance(c.b, c.a); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestDistanceIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	if got := Distance(long, long+"y"); got != 0 {
		t.Errorf("got %d", got)
	}
}

func TestWord(t *testing.T) {
	fields := []string{"automated", "syncOptions", "retry", "managedNamespaceMetadata", "a"}
	for _, c := range []struct{ found, want string }{
		{"automatd", "automated"}, {"Automated", "automated"}, {"syncoptions", "syncOptions"},
		{"sync_options", "syncOptions"}, {"rety", "retry"}, {"zzz", ""}, {"", ""}, {"b", ""},
		{"managedNamespaceMetdata", "managedNamespaceMetadata"},
	} {
		if got := Word(c.found, fields); got != c.want {
			t.Errorf("Word(%q) = %q, want %q", c.found, got, c.want)
		}
	}
}

func TestAny(t *testing.T) {
	if got := Any("x", nil); got != "" {
		t.Errorf("no candidates: got %q", got)
	}
	if got := Any("https://git/a/b", []string{"ssh://other", "https://git/a/*"}); got != "https://git/a/*" {
		t.Errorf("got %q", got)
	}
}
