package codes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// FrozenFile lists the numbers that never change again, below the root of the
// repository.
const FrozenFile = "e2e/codes/testdata/frozen.txt"

// MeaningsFile is what the command line knows of the codes, below the root of the
// repository.
const MeaningsFile = "cli/meaning/meanings.jsonl"

// Freeze is the text of the frozen numbers with those that are registered now. It
// is an error when a frozen number is missing or another: what was frozen once is
// not frozen anew as something else.
func Freeze(frozen, registered []fault.Registered) (string, error) {
	for _, f := range frozen {
		if !slices.Contains(registered, f) {
			return "", fmt.Errorf("%s %s is frozen and not registered so; put it back into shared/fault/codes.txt", f.ID(), f.Code)
		}
	}
	all := slices.Clone(registered)
	slices.SortFunc(all, func(x, y fault.Registered) int { return x.Number - y.Number })
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%s %s\n", r.ID(), r.Code)
	}
	return b.String(), nil
}
