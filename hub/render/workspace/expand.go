package workspace

import (
	"os"
	"slices"
	"strings"
)

// Expand replaces $NAME and ${NAME} by values of the build environment, as Argo
// CD does: a name that the build environment does not have becomes nothing, and
// "$$" is "$". Only the values that s names are asked for.
func (w *Workspace) Expand(s string) (string, error) {
	if !strings.Contains(s, "$") {
		return s, nil
	}
	var failed error
	out := os.Expand(s, func(name string) string {
		if name == "$" {
			return "$"
		}
		if !slices.Contains(BuildEnvironment, name) {
			return ""
		}
		v, err := w.Fact(name)
		if err != nil && failed == nil {
			failed = err
		}
		return v
	})
	return out, failed
}

// RefPath takes "$name/path" apart when name is one of the Refs; tree is then
// RefTree(name).
func (w *Workspace) RefPath(p string) (tree, path string, ok bool) {
	rest, ok := strings.CutPrefix(p, "$")
	if !ok {
		return "", "", false
	}
	name, path, _ := strings.Cut(rest, "/")
	if !slices.Contains(w.Refs, name) {
		return "", "", false
	}
	return RefTree(name), path, true
}
