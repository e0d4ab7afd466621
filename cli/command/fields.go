package command

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// listFields prints the names that --json takes for v, one on a line.
func (c *call) listFields(v any) error { return c.printFields(fieldsOf(reflect.TypeOf(v))) }

func (c *call) printFields(names []string) error {
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

// checkFields refuses fields that rows or objects do not have. What has no
// fields that are known beforehand is not judged.
func (c *call) checkFields(known []string) error {
	if len(known) == 0 {
		return nil
	}
	for _, name := range c.printer.Fields() {
		if slices.Contains(known, name) {
			continue
		}
		e := fault.New(fault.Invalid, "output_invalid", "--json: there is no field %q", name).WithFound(name, strings.Join(slices.Sorted(slices.Values(known)), ", "))
		if near := nearest(name, known); near != "" {
			return e.WithFix("did you mean %q?", near)
		}
		return e.WithFix("--json without fields says which there are")
	}
	return nil
}

// readers are the names of commands that only read.
var readers = []string{"list", "get", "status", "tree", "resources", "describe"}

// checkFieldsOf is checkFields for one object. What a command has changed is told
// whatever the fields are.
func (c *call) checkFieldsOf(v any) error {
	t := reflect.TypeOf(v)
	if known := fieldsOf(t); slices.Contains(readers, c.cmd.Name()) && !slices.Contains(known, "items") {
		return c.checkFields(known)
	}
	return nil
}

// marshaler is of what writes its JSON itself.
var marshaler = reflect.TypeFor[json.Marshaler]()

// fieldsOf are the names of a struct's members in JSON.
func fieldsOf(t reflect.Type) []string {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler) {
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
