// Package output prints what commands found: tables for people, documents for
// programs. Data goes to standard output and nothing else does.
package output

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Format is the part of the -o flag before "=".
type Format string

// The formats. The empty one is a table.
const (
	Table Format = ""
	Wide  Format = "wide"
	JSON  Format = "json"
	YAML  Format = "yaml"
	Name  Format = "name"
	// NDJSON is one JSON object on each line, as -w -o json prints too.
	NDJSON Format = "ndjson"
	// Tree draws hierarchies; commands that have none refuse it.
	Tree Format = "tree"
	// Those of kubectl that take a value.
	JSONPath          Format = "jsonpath"
	JSONPathFile      Format = "jsonpath-file"
	JSONPathAsJSON    Format = "jsonpath-as-json"
	GoTemplate        Format = "go-template"
	GoTemplateFile    Format = "go-template-file"
	CustomColumns     Format = "custom-columns"
	CustomColumnsFile Format = "custom-columns-file"
)

// Formats are all that -o takes, in the order in which they are shown; a final
// "=" says that a value follows.
var Formats = []string{
	"table", "wide", "name", "json", "yaml", "ndjson", "tree", "jsonpath=", "jsonpath-file=", "jsonpath-as-json=",
	"go-template=", "go-template-file=", "custom-columns=", "custom-columns-file=",
}

// Parse checks a value of the -o flag, without what follows "=".
func Parse(s string) (Format, error) {
	if s == "" || s == "table" || s == "text" {
		return Table, nil
	}
	var names []string
	for _, f := range Formats {
		name := strings.TrimSuffix(f, "=")
		if s == name {
			return Format(name), nil
		}
		names = append(names, name)
	}
	return "", fault.New(fault.Invalid, "output_unknown", "unknown output format %q", s).WithFix("use one of %s", strings.Join(names, ", "))
}

// Age is how long ago t was, as people say it.
func Age(now time.Time, t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	d := now.Sub(*t)
	switch {
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// Count says how many of a thing there are: "1 key", "2 keys".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %s", Thousands(n), many)
}

// Thousands writes a number as people read it: 10,412.
func Thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Clean replaces what could move a terminal's cursor or reorder its text;
// names and messages come from elsewhere.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
