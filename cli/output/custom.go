package output

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/hawser-dev/hawser/shared/fault"
)

// customColumn is one of -o custom-columns=TITLE:PATH,….
type customColumn struct {
	title string
	path  *jsonpath.JSONPath
}

func parseCustomColumns(spec string) ([]customColumn, error) {
	var out []customColumn
	for part := range strings.SplitSeq(spec, ",") {
		title, path, ok := strings.Cut(part, ":")
		if !ok || title == "" || path == "" {
			return nil, fault.New(fault.Invalid, "output_invalid", "custom-columns: %q is not TITLE:PATH", part).WithFix("write it as in NAME:.name,PROJECT:.project")
		}
		j, err := parseJSONPath(path)
		if err != nil {
			return nil, err
		}
		out = append(out, customColumn{title, j})
	}
	return out, nil
}

// columnsOfFile turns the file of custom-columns-file, titles on the first line
// and paths on the second, into what custom-columns takes.
func columnsOfFile(text string) (string, error) {
	titles, paths, ok := strings.Cut(text, "\n")
	t, p := strings.Fields(titles), strings.Fields(paths)
	if !ok || len(t) == 0 || len(t) != len(p) {
		return "", fault.New(fault.Invalid, "output_invalid", "custom-columns-file: the file needs a line of titles and a line of as many paths")
	}
	parts := make([]string, len(t))
	for i := range t {
		parts[i] = t[i] + ":" + p[i]
	}
	return strings.Join(parts, ","), nil
}

func (p *Printer) printCustom(w io.Writer, data any) error {
	items, _ := itemsOf(data)
	columns := make([]Column, len(p.custom))
	for i, c := range p.custom {
		columns[i] = Column{Title: c.title}
	}
	rows := make([][]string, 0, len(items))
	for _, x := range items {
		row := make([]string, len(p.custom))
		for i, c := range p.custom {
			value, err := evaluate(c.path, x)
			if err != nil {
				return err
			}
			if value == "" {
				value = "<none>"
			}
			row[i] = value
		}
		rows = append(rows, row)
	}
	return (&Sheet{Columns: columns, Wide: true, NoHeaders: p.noHeaders}).Print(w, rows)
}

// evaluate is what a path finds in one object, several values with commas.
func evaluate(path *jsonpath.JSONPath, in any) (string, error) {
	found, err := path.FindResults(in)
	if err != nil {
		return "", fault.New(fault.Invalid, "output_failed", "the path does not fit the answer: %s", err)
	}
	var parts []string
	for _, set := range found {
		for _, v := range set {
			var b bytes.Buffer
			fmt.Fprintf(&b, "%v", v.Interface())
			parts = append(parts, b.String())
		}
	}
	return strings.Join(parts, ","), nil
}

// SortKey finds the value that --sort-by PATH means in an object.
type SortKey struct{ path *jsonpath.JSONPath }

// NewSortKey compiles a path as kubectl's --sort-by takes it.
func NewSortKey(text string) (SortKey, error) {
	p, err := parseJSONPath(text)
	return SortKey{p}, err
}

// Sort orders items by the key; those without the value come first.
func Sort[T any](items []T, key SortKey, descending bool) error {
	type keyed struct {
		item  T
		value any
	}
	all := make([]keyed, len(items))
	found := false
	for i, x := range items {
		g, err := generic(x)
		if err != nil {
			return err
		}
		all[i].item = x
		sets, err := key.path.FindResults(g)
		if err != nil {
			return fault.New(fault.Invalid, "output_failed", "--sort-by does not fit the answer: %s", err)
		}
		if len(sets) > 0 && len(sets[0]) > 0 {
			all[i].value, found = sets[0][0].Interface(), true
		}
	}
	if !found && len(items) > 0 {
		return fault.New(fault.Invalid, "sort_unknown", "nothing in the answer is called as --sort-by says").WithFix("see the names with -o json")
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		n := CompareValues(a.value, b.value)
		if descending {
			return -n
		}
		return n
	})
	for i := range all {
		items[i] = all[i].item
	}
	return nil
}

// CompareValues orders values of JSON: nothing, then numbers, then texts.
func CompareValues(a, b any) int {
	rank := func(v any) int {
		switch v.(type) {
		case nil:
			return 0
		case int, float64:
			return 1
		}
		return 2
	}
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra - rb
	}
	if rank(a) == 1 {
		switch x, y := number(a), number(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return Natural(fmt.Sprint(a), fmt.Sprint(b))
}

func number(v any) float64 {
	if n, ok := v.(int); ok {
		return float64(n)
	}
	f, _ := v.(float64)
	return f
}
