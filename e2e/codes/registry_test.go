package codes

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

const root = "../.."

func scan(t *testing.T) []Code {
	t.Helper()
	found, err := Scan(root)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryCodeHasANumber(t *testing.T) {
	found := scan(t)
	// That the search finds codes in each of the ways that they are written.
	for _, known := range []string{"destination_not_permitted", "path_not_found", "jinja_undefined", "repeated_resource", "name_invalid", "session_superseded", "usage"} {
		if !slices.ContainsFunc(found, func(c Code) bool { return c.Name == known }) {
			t.Errorf("%s is not found in the source: the search is broken", known)
		}
	}
	for _, c := range Unregistered(fault.Registry(), found) {
		t.Errorf("%s: the code %s has no number in shared/fault/codes.txt: run go run ./e2e/codes/cmd/write-errors -assign", c.Where[0], c.Name)
	}
}

func TestNumbersAreUniqueAndInTheirGroup(t *testing.T) {
	numbers, names := map[int]string{}, map[string]bool{}
	for _, r := range fault.Registry() {
		if was := numbers[r.Number]; was != "" {
			t.Errorf("%s is of %s and of %s", r.ID(), was, r.Code)
		}
		if names[r.Code] {
			t.Errorf("%s has two numbers", r.Code)
		}
		if r.Number < 1000 || r.Number > 9999 || !codeText.MatchString(r.Code) {
			t.Errorf("%s %s is not a number and a code", r.ID(), r.Code)
		}
		numbers[r.Number], names[r.Code] = r.Code, true
	}
	if n := len(fault.Registry()); n < 500 {
		t.Errorf("only %d codes are registered", n)
	}
	lines := 0
	text, err := os.ReadFile(root + "/shared/fault/codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "#") {
			lines++
		}
	}
	if lines != len(fault.Registry()) {
		t.Errorf("%d lines of the registry are read, and %d are written", len(fault.Registry()), lines)
	}
}

// People have written these numbers down: in runbooks, tickets and alerts. New ones
// are frozen before a release: go run ./e2e/codes/cmd/write-errors -freeze. A line
// of the frozen list is never edited.
func TestNumbersNeverChange(t *testing.T) {
	text, err := os.ReadFile(root + "/" + FrozenFile)
	if err != nil {
		t.Fatal(err)
	}
	frozen := fault.ReadRegistry(string(text))
	if len(frozen) < 600 {
		t.Fatalf("only %d numbers are frozen", len(frozen))
	}
	if _, err := Freeze(frozen, fault.Registry()); err != nil {
		t.Error(err)
	}
	for _, r := range frozen {
		if got := fault.ID(r.Code); got != r.ID() {
			t.Errorf("%s was %s and is now %q", r.Code, r.ID(), got)
		}
	}
	if got := fault.ID("destination_not_permitted"); got != "HW-4103" {
		t.Errorf("destination_not_permitted is %s", got)
	}
}

func TestWhatIsFrozenIsNotFrozenAsSomethingElse(t *testing.T) {
	old := fault.ReadRegistry("HW-1001 a_one\n")
	if got, err := Freeze(old, fault.ReadRegistry("HW-5001 e_one\nHW-1001 a_one\nHW-1002 a_two\n")); err != nil || got != "HW-1001 a_one\nHW-1002 a_two\nHW-5001 e_one\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, registered := range []string{"HW-1002 a_one\n", "HW-1001 a_two\n", ""} {
		if _, err := Freeze(old, fault.ReadRegistry(registered)); err == nil {
			t.Errorf("%q takes the place of what is frozen", registered)
		}
	}
}

func TestThePageIsUpToDate(t *testing.T) {
	got, err := os.ReadFile(root + "/docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, Page(fault.Registry(), scan(t))) {
		t.Error("docs/errors.md is not what the registry and the source say: run make gen")
	}
	want, err := Meanings(fault.Registry(), scan(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err = os.ReadFile(root + "/" + MeaningsFile); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the registry and the source say: run make gen", MeaningsFile)
	}
}

func TestWordsAreOfCodesThatThereAre(t *testing.T) {
	found := scan(t)
	for name, x := range words {
		if !slices.ContainsFunc(found, func(c Code) bool { return c.Name == name }) {
			t.Errorf("%s is explained and never made", name)
		}
		if x.means == "" || x.fix == "" {
			t.Errorf("%s is explained by half", name)
		}
	}
}

func TestAssignAddsAtTheEndOfAGroup(t *testing.T) {
	text := "# head\n\nHW-1001 a_one\nHW-1002 a_two\n\nHW-5001 e_one\n"
	missing := []Code{
		{Name: "new_request", Dirs: []string{"hub/api"}, Kinds: []fault.Kind{fault.Invalid}},
		{Name: "newer_request", Dirs: []string{"hub/api"}},
		{Name: "new_denial", Dirs: []string{"hub/api"}, Kinds: []fault.Kind{fault.Denied}},
		{Name: "new_sync", Dirs: []string{"agent/sync"}},
	}
	got := Assign(text, fault.ReadRegistry(text), missing)
	want := "# head\n\nHW-1001 a_one\nHW-1002 a_two\nHW-1003 new_request\nHW-1004 newer_request\n\nHW-5001 e_one\nHW-5002 new_sync\nHW-4001 new_denial\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
