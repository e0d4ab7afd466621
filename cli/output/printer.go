package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/itchyny/gojq"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Options are what a person asked for on the command line about the shape of
// the answer.
type Options struct {
	// Output is the value of -o.
	Output string
	// Fields are of --json; nil when it was not given, empty when it was given
	// without any.
	Fields []string
	// JQ is the filter of --jq, Template that of --template.
	JQ, Template string
	// NoHeaders leaves out the first line of custom columns.
	NoHeaders bool
}

// Printer prints documents in one format. It is made before the hub is asked,
// so that a mistake in a template costs no request.
type Printer struct {
	Format Format
	fields []string
	jq     *gojq.Code
	tmpl   *template.Template
	path   *jsonpath.JSONPath
	custom []customColumn
	// noHeaders leaves out the first line of custom columns.
	noHeaders bool
}

// valued are the formats that take a value: -o NAME=VALUE.
var valued = []Format{JSONPath, JSONPathFile, JSONPathAsJSON, GoTemplate, GoTemplateFile, CustomColumns, CustomColumnsFile}

// NewPrinter checks and compiles what was asked for.
func NewPrinter(o Options) (*Printer, error) {
	name, value, hasValue := strings.Cut(o.Output, "=")
	format, err := Parse(name)
	if err != nil {
		return nil, err
	}
	p := &Printer{Format: format, noHeaders: o.NoHeaders}
	needs := slices.Contains(valued, format)
	if format == GoTemplate && !hasValue && o.Template != "" {
		value, hasValue = o.Template, true
		o.Template = ""
	}
	switch {
	case needs && value == "":
		return nil, fault.New(fault.Invalid, "output_invalid", "-o %s needs a value", name).WithFix("write it as in -o %s=%s", name, examples[format])
	case hasValue && !needs && (format != Tree || value != "detailed"):
		return nil, fault.New(fault.Invalid, "output_invalid", "-o %s takes no value", name)
	}
	if o.Fields != nil || o.JQ != "" || o.Template != "" {
		if format != Table && format != JSON && format != NDJSON {
			return nil, fault.New(fault.Invalid, "output_invalid", "--json, --jq and --template print JSON; they do not go with -o %s", name)
		}
		if o.JQ != "" && o.Template != "" {
			return nil, fault.New(fault.Invalid, "output_invalid", "--jq and --template exclude each other")
		}
		if format == Table {
			p.Format = JSON
		}
	}
	if o.Fields != nil {
		p.fields = o.Fields
	}
	if o.JQ != "" {
		p.jq, err = compileJQ(o.JQ)
	}
	if o.Template != "" && err == nil {
		p.Format = GoTemplate
		p.tmpl, err = parseTemplate(o.Template)
	}
	if err != nil || !needs {
		return p, err
	}
	return p, p.compile(name, value)
}

// examples of what formats that take a value are given.
var examples = map[Format]string{
	JSONPath: "'{.items[*].name}'", JSONPathAsJSON: "'{.items[*]}'", JSONPathFile: "FILE",
	GoTemplate: "'{{range .items}}{{.name}}{{end}}'", GoTemplateFile: "FILE",
	CustomColumns: "NAME:.name,PROJECT:.project", CustomColumnsFile: "FILE",
}

// compile reads the value of -o NAME=VALUE. The formats that read a file become
// those that do not.
func (p *Printer) compile(name, value string) (err error) {
	inline := map[Format]Format{JSONPathFile: JSONPath, GoTemplateFile: GoTemplate, CustomColumnsFile: CustomColumns}
	if to, ok := inline[p.Format]; ok {
		b, err := os.ReadFile(value)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "file_unreadable", "-o %s: the file cannot be read", name)
		}
		value = strings.TrimRight(string(b), "\n")
		if p.Format == CustomColumnsFile {
			if value, err = columnsOfFile(value); err != nil {
				return err
			}
		}
		p.Format = to
	}
	switch p.Format {
	case JSONPath, JSONPathAsJSON:
		p.path, err = parseJSONPath(value)
		if err == nil && p.Format == JSONPathAsJSON {
			p.path.EnableJSONOutput(true)
		}
	case GoTemplate:
		p.tmpl, err = parseTemplate(value)
	case CustomColumns:
		p.custom, err = parseCustomColumns(value)
	}
	return err
}

func parseJSONPath(text string) (*jsonpath.JSONPath, error) {
	j := jsonpath.New("out").AllowMissingKeys(true)
	if err := j.Parse(RelaxedPath(text)); err != nil {
		return nil, fault.New(fault.Invalid, "output_invalid", "the JSONPath %q is not valid: %s", text, err)
	}
	return j, nil
}

// RelaxedPath lets people leave out the braces and the first dot, as kubectl
// does: name, .name and {.name} are one.
func RelaxedPath(text string) string {
	if strings.Contains(text, "{") {
		return text
	}
	if !strings.HasPrefix(text, ".") && !strings.HasPrefix(text, "[") && text != "" {
		text = "." + text
	}
	return "{" + text + "}"
}

func parseTemplate(text string) (*template.Template, error) {
	t, err := template.New("output").Funcs(templateFunctions).Parse(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "output_invalid", "the template is not valid: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	return t, nil
}

var templateFunctions = template.FuncMap{
	"join": func(sep string, in []any) string {
		parts := make([]string, len(in))
		for i, x := range in {
			parts[i] = fmt.Sprint(x)
		}
		return strings.Join(parts, sep)
	},
	"json": func(v any) (string, error) {
		b, err := json.Marshal(v)
		return string(b), err
	},
}

func compileJQ(text string) (*gojq.Code, error) {
	q, err := gojq.Parse(text)
	if err == nil {
		var code *gojq.Code
		if code, err = gojq.Compile(q); err == nil { // no environment, no files: the default
			return code, nil
		}
	}
	return nil, fault.New(fault.Invalid, "output_invalid", "the jq expression %q is not valid: %s", text, err)
}

// Documents reports whether the answer is a document of some format, not a table
// or names.
func (p *Printer) Documents() bool {
	switch p.Format {
	case Table, Wide, Name, Tree:
		return false
	}
	return true
}

// Streams reports whether parts of a list can be printed as they come.
func (p *Printer) Streams() bool { return p.Format == NDJSON }

// ListsFields reports whether --json was given without fields: the person wants
// to know which there are.
func (p *Printer) ListsFields() bool { return p.fields != nil && len(p.fields) == 0 }

// Fields are those that --json names.
func (p *Printer) Fields() []string { return p.fields }

// Print prints v, anything that encodes as JSON. Lists have a member "items".
func (p *Printer) Print(w io.Writer, v any) error {
	if p.fields == nil && p.jq == nil {
		switch p.Format {
		case JSON, YAML:
			return Document(w, p.Format, v)
		}
	}
	data, err := generic(v)
	if err != nil {
		return err
	}
	if len(p.fields) > 0 {
		if data, err = chosen(data, p.fields); err != nil {
			return err
		}
	}
	switch {
	case p.jq != nil:
		return p.filter(w, data)
	case p.Format == NDJSON:
		return lines(w, data)
	case p.path != nil:
		return p.printPath(w, data)
	case p.tmpl != nil:
		return p.execute(w, data)
	case p.custom != nil:
		return p.printCustom(w, data)
	}
	return Document(w, JSON, data)
}

// generic is v as decoded JSON: objects are map[string]any, whole numbers int.
func generic(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	return numbers(out), nil
}

func numbers(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = numbers(x[k])
		}
	case []any:
		for i := range x {
			x[i] = numbers(x[i])
		}
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return int(n)
		}
		f, _ := x.Float64() // JSON has no number that is none
		return f
	}
	return v
}

// itemsOf are the objects of a list, or the one object; list tells which.
func itemsOf(data any) (items []any, list bool) {
	if m, ok := data.(map[string]any); ok {
		if items, ok := m["items"].([]any); ok {
			return items, true
		}
	}
	if items, ok := data.([]any); ok {
		return items, true
	}
	return []any{data}, false
}

// chosen keeps the fields of each object, as gh does: a list of objects for a
// list, an object for one.
func chosen(data any, fields []string) (any, error) {
	items, list := itemsOf(data)
	out := make([]any, 0, len(items))
	for _, x := range items {
		m, ok := x.(map[string]any)
		if !ok {
			return nil, fault.New(fault.Invalid, "output_invalid", "--json needs objects; this answer has none")
		}
		kept := make(map[string]any, len(fields))
		for _, f := range fields {
			kept[f] = m[f] // null when it is not there
		}
		out = append(out, kept)
	}
	if list {
		return out, nil
	}
	return out[0], nil
}

// filter prints what jq makes of data: strings bare, the rest as JSON.
func (p *Printer) filter(w io.Writer, data any) error {
	results := p.jq.Run(data)
	for {
		v, ok := results.Next()
		if !ok {
			return nil
		}
		if err, bad := v.(error); bad {
			return fault.New(fault.Invalid, "output_failed", "the jq expression failed: %s", err)
		}
		if s, ok := v.(string); ok {
			if _, err := fmt.Fprintln(w, s); err != nil {
				return err
			}
			continue
		}
		if err := oneLine(w, v); err != nil {
			return err
		}
	}
}

func oneLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func lines(w io.Writer, data any) error {
	items, _ := itemsOf(data)
	for _, x := range items {
		if err := oneLine(w, x); err != nil {
			return err
		}
	}
	return nil
}

func (p *Printer) printPath(w io.Writer, data any) error {
	var b bytes.Buffer
	if err := p.path.Execute(&b, data); err != nil {
		return fault.New(fault.Invalid, "output_failed", "the JSONPath does not fit the answer: %s", err)
	}
	if p.Format == JSONPathAsJSON && !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteByte('\n')
	}
	_, err := w.Write(b.Bytes())
	return err
}

// execute buffers the output: a template that fails half way prints nothing.
func (p *Printer) execute(w io.Writer, data any) error {
	var b bytes.Buffer
	if err := p.tmpl.Execute(&b, data); err != nil {
		return fault.New(fault.Invalid, "output_failed", "the template does not fit the answer: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	_, err := w.Write(b.Bytes())
	return err
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
