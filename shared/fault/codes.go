package fault

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// codesText is the registry: a line for each code of the product, with its
// number. Lines are added and never changed or removed, because people search for
// numbers, and runbooks name them.
//
//go:embed codes.txt
var codesText string

// Registered is a code and its number.
type Registered struct {
	Number int
	Code   string
}

// ID is the number as people see it.
func (r Registered) ID() string { return fmt.Sprintf("HW-%04d", r.Number) }

var registry = sync.OnceValues(func() ([]Registered, map[string]string) {
	all := ReadRegistry(codesText)
	ids := make(map[string]string, len(all))
	for _, r := range all {
		ids[r.Code] = r.ID()
	}
	return all, ids
})

// ReadRegistry reads the text of a registry.
func ReadRegistry(text string) []Registered {
	var all []Registered
	for line := range strings.Lines(text) {
		id, code, ok := strings.Cut(strings.TrimSpace(line), " ")
		digits, numbered := strings.CutPrefix(id, "HW-")
		if number, err := strconv.Atoi(digits); ok && numbered && err == nil {
			all = append(all, Registered{number, strings.TrimSpace(code)})
		}
	}
	return all
}

// Registry lists the codes by number. The caller must not change it.
func Registry() []Registered { all, _ := registry(); return all }

// ID is the stable number of a code, such as "HW-4103"; "" for a code that is
// not registered, as one of a newer hub.
func ID(code string) string { _, ids := registry(); return ids[code] }

// ID is the stable number of the error's code.
func (e *Error) ID() string { return ID(e.Code) }
