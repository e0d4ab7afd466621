// Package meaning is what is known of each error of the product without asking a
// hub: what it says, of which kinds it is and what to do about it. The text is
// generated from the source (make gen), like docs/errors.md, so that neither can
// say other things than the program.
//
// The command line explains errors with it.
package meaning

import (
	_ "embed"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/hawser-dev/hawser/shared/fault"
)

//go:embed meanings.jsonl
var text string

// Meaning is what is known of a code.
type Meaning struct {
	// ID is its number, as HW-4103.
	ID   string `json:"id,omitempty"`
	Code string `json:"code"`
	// About is the part of the product that its group of numbers is of.
	About string `json:"about"`
	// Means says in words when it comes; "" where the messages say all.
	Means string `json:"means,omitempty"`
	// Kinds that it is made with; none: a condition or a warning, or it is not used
	// any more.
	Kinds []fault.Kind `json:"kinds,omitempty"`
	// Messages are what is said, with … where something is filled in.
	Messages []string `json:"messages,omitempty"`
	// Fixes are what to do; none: the code is not used any more.
	Fixes []string `json:"fixes,omitempty"`
}

var all = sync.OnceValue(func() []Meaning {
	var out []Meaning
	for line := range strings.Lines(text) {
		var m Meaning
		if json.Unmarshal([]byte(line), &m) == nil {
			m.ID = fault.ID(m.Code)
			out = append(out, m)
		}
	}
	return out
})

// All are the meanings of all codes, in the order of the registry.
func All() []Meaning { return all() }

// Looks reports whether a text can be the number or the code of an error, and of
// nothing else that has a name: names of Kubernetes have no underscore.
func Looks(text string) bool {
	digits, ok := strings.CutPrefix(strings.ToUpper(text), "HW-")
	if _, err := strconv.Atoi(digits); ok && err == nil {
		return true
	}
	return strings.Contains(text, "_") && !strings.ContainsAny(text, "/@.")
}

// Of finds a code by its number or its words.
func Of(text string) (Meaning, bool) {
	for _, m := range all() {
		if strings.EqualFold(m.ID, text) || strings.EqualFold(m.Code, text) {
			return m, true
		}
	}
	return Meaning{}, false
}
