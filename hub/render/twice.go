package render

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// maxDifferences is how many objects a warning names.
const maxDifferences = 3

// warnVaries says that rendering the same twice gave two results.
func warnVaries(w *workspace.Workspace, found []string) {
	if len(found) == 0 {
		return
	}
	text := strings.Join(found[:min(len(found), maxDifferences)], "; ")
	if more := len(found) - maxDifferences; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	w.Warn("render_not_deterministic", "rendering the same twice gave two results: %s", text)
}

// differences compares two renders of the same inputs, object by object.
func differences(first, second []manifest.Object) []string {
	again := make(map[model.ObjectKey]manifest.Object, len(second))
	for _, o := range second {
		again[o.Key] = o
	}
	var out []string
	for _, o := range first {
		other, ok := again[o.Key]
		delete(again, o.Key)
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("%s was there only the first time", o.Key))
		case !bytes.Equal(o.JSON(), other.JSON()):
			out = append(out, fmt.Sprintf("%s differs at %s", o.Key, firstDifference("", o.Body, other.Body)))
		}
	}
	var added []string
	for key := range again {
		added = append(added, fmt.Sprintf("%s was there only the second time", key))
	}
	slices.Sort(added)
	return append(out, added...)
}

// firstDifference is the path of the first field, by name, in which two values
// of JSON differ; "" when they do not.
func firstDifference(at string, a, b any) string {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		var names []string
		for k := range x {
			names = append(names, k)
		}
		for k := range y {
			if _, ok := x[k]; !ok {
				names = append(names, k)
			}
		}
		slices.Sort(names)
		for _, k := range names {
			v, inX := x[k]
			u, inY := y[k]
			field := strings.TrimPrefix(at+"."+k, ".")
			if inX != inY {
				return field
			}
			if d := firstDifference(field, v, u); d != "" {
				return d
			}
		}
		return ""
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		for i := range x {
			if d := firstDifference(at+"["+strconv.Itoa(i)+"]", x[i], y[i]); d != "" {
				return d
			}
		}
		return ""
	}
	if bytes.Equal(manifest.AppendJSON(nil, a), manifest.AppendJSON(nil, b)) {
		return ""
	}
	if at == "" {
		return "its root"
	}
	return at
}
