// Package output prints what commands found: tables for people, documents for
// programs. Data goes to standard output and nothing else does.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Format is a value of the -o flag.
type Format string

// The formats. The empty one is a table.
const (
	Table Format = ""
	Wide  Format = "wide"
	JSON  Format = "json"
	YAML  Format = "yaml"
	Name  Format = "name"
)

// Parse checks a value of the -o flag.
func Parse(s string) (Format, error) {
	switch f := Format(s); f {
	case Table, Wide, JSON, YAML, Name:
		return f, nil
	}
	return "", fault.New(fault.Invalid, "output_unknown", "unknown output format %q", s).WithFix("use json, yaml, wide or name")
}

// Document prints v as JSON or YAML.
func Document(w io.Writer, f Format, v any) error {
	if f == YAML {
		b, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
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
