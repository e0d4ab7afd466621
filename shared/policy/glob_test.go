package policy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, sep, text string
		want               bool
	}{
		{"*", "/", "a/b/c", true},
		{"*", "", "", true},
		{"", "", "", true},
		{"", "", "x", false},
		{"abc", "", "abc", true},
		{"abc", "", "ABC", false},
		{"a.c", "", "abc", false},
		{"https://git/*", "/", "https://git/a", true},
		{"https://git/*", "/", "https://git/a/b", false},
		{"https://git/**", "/", "https://git/a/b", true},
		{"https://git/*/*", "/", "https://git/a/b", true},
		{"https://git/*", "", "https://git/a/b", true},
		{"team-?", "", "team-a", true},
		{"team-?", "", "team-", false},
		{"team-?", "/", "team-/", false},
		{"[a-c]x", "", "bx", true},
		{"[a-c]x", "", "dx", false},
		{"[!a-c]x", "", "dx", true},
		{"[!a-c]x", "", "ax", false},
		{"[a\\]]x", "", "]x", true},
		{"[.]x", "", "ax", false},
		{"{eu,us}-*", "", "us-1", true},
		{"{eu,us}-*", "", "ap-1", false},
		{"{a,{b,c}}d", "", "cd", true},
		{"a,b", "", "a,b", true},
		{`a\*b`, "", "a*b", true},
		{`a\*b`, "", "axb", false},
		{"a*b*c", "", "aXXbYYc", true},
		{"a\nb*", "", "a\nbc", true},
	} {
		g, err := compileGlob(c.pattern, c.sep)
		if err != nil {
			t.Errorf("compileGlob(%q): %v", c.pattern, err)
			continue
		}
		if got := g.match(c.text); got != c.want {
			t.Errorf("pattern %q (separators %q) on %q: got %v", c.pattern, c.sep, c.text, got)
		}
	}
}

func TestInvalidGlobsMatchNothingAndSayWhy(t *testing.T) {
	for pattern, word := range map[string]string{
		"[a":    `without "]"`,
		"[]x":   "empty set",
		"[z-a]": "set or range",
		"{a,b":  `without "}"`,
		"a}":    `without "{"`,
		`a\`:    "ends with",
	} {
		err := CheckPattern(pattern)
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("CheckPattern(%q) = %v, want it to say %q", pattern, err, word)
		}
		if CheckPattern("!"+pattern) == nil {
			t.Errorf("CheckPattern(%q) accepted", "!"+pattern)
		}
		if newPattern(pattern, "", nil).matches(pattern) {
			t.Errorf("invalid pattern %q matches", pattern)
		}
	}
	if CheckPattern(strings.Repeat("a", 513)) == nil {
		t.Error("a pattern of 513 characters was accepted")
	}
	for _, ok := range []string{"*", "!*", "https://github.com/org/**", "!kube-*", ""} {
		if err := CheckPattern(ok); err != nil {
			t.Errorf("CheckPattern(%q): %v", ok, err)
		}
	}
}

func TestNestedStarsTakeLinearTime(t *testing.T) {
	g, err := compileGlob(strings.Repeat("*a", 40), "")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if g.match(strings.Repeat("a", 5000) + "b") {
		t.Error("matched")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestNormaliseRepo(t *testing.T) {
	same := [][]string{
		{"https://github.com/Org/Repo", "https://github.com/org/repo.git", " https://GitHub.com/org/repo/ "},
		{"git@github.com:org/repo.git", "ssh://git@github.com/org/repo", "ssh://git@GITHUB.com:org/repo"},
		{"ssh://git@host:2222/org/repo", "ssh://git@host:2222/org/repo.git"},
	}
	for _, group := range same {
		for _, u := range group[1:] {
			if NormaliseRepo(u) != NormaliseRepo(group[0]) {
				t.Errorf("%q → %q, %q → %q", group[0], NormaliseRepo(group[0]), u, NormaliseRepo(u))
			}
		}
	}
	different := []string{
		"https://github.com/org/repo", "ssh://git@github.com/org/repo", "https://github.com/org/repo1",
		"ssh://git@host:2222/org/repo", "ssh://git@host/org/repo", "http://github.com/org/repo",
	}
	seen := map[string]string{}
	for _, u := range different {
		n := NormaliseRepo(u)
		if o, ok := seen[n]; ok {
			t.Errorf("%q and %q are both %q", o, u, n)
		}
		seen[n] = u
	}
}

func TestGlobsAreRememberedWithinBounds(t *testing.T) {
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range maxGlobs / 3 {
				pattern := fmt.Sprintf("b%d-%d-*", n, i)
				for range 2 {
					g, err := compileGlob(pattern, "/")
					if err != nil || !g.match(fmt.Sprintf("b%d-%d-x", n, i)) || g.match("b-x") || g.match(pattern+"/x") {
						t.Errorf("%s: %v", pattern, err)
					}
				}
			}
		})
	}
	wg.Wait()
	// What the star may cross is part of the question.
	for separators, want := range map[string]bool{"": true, "/": false} {
		if g, _ := compileGlob("a*c", separators); g.match("a/c") != want {
			t.Errorf("separators %q", separators)
		}
	}
	long := strings.Repeat("x", maxRemembered) + "*"
	if _, err := compileGlob(long, ""); err != nil || globs.get(globKey{long, ""}) != nil {
		t.Errorf("%v", err)
	}
	if n := len(globs.known); n == 0 || n > maxGlobs {
		t.Errorf("%d are remembered", n)
	}
}
