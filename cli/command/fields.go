package command

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/cli/output"
)

// listFields prints the names that --json takes for v, one on a line.
func (c *call) listFields(v any) error { return c.printFields(reflect.TypeOf(v)) }

func (c *call) printFields(t reflect.Type) error {
	names := fieldsOf(t)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if _, err := fmt.Fprintln(c.Out, output.Clean(name)); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		c.note("its fields are not known beforehand; see them with -o json")
	}
	return nil
}

// fieldsOf are the names of a struct's members in JSON.
func fieldsOf(t reflect.Type) []string {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous:
			out = append(out, fieldsOf(f.Type)...)
		case name == "" && f.IsExported():
			out = append(out, f.Name)
		case name != "":
			out = append(out, name)
		}
	}
	return out
}
