package helm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"helm.sh/helm/v3/pkg/chart"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	codeSchema = "helm_values_schema"
	schemaFile = "values.schema.json"
	schemaURL  = "file:///values.schema.json"
	// maxViolations are told at a time.
	maxViolations = 5
)

// checkSchemas holds values against the schemas of a chart and its subcharts.
// Helm's own check would open the files and fetch the URLs that a schema refers
// to.
func (r *renderer) checkSchemas(c *chart.Chart, values map[string]any, path []string) error {
	if c.Schema != nil {
		if err := r.checkSchema(c, values, path); err != nil {
			return err
		}
	}
	for _, sub := range c.Dependencies() {
		raw, there := values[sub.Name()]
		if !there || raw == nil {
			continue
		}
		below, ok := asMap(raw)
		at := append(slices.Clone(path), sub.Name())
		if !ok {
			return fault.New(fault.Unprocessable, codeSchema, "values of the subchart %q must be a mapping", workspace.Clip(strings.Join(at, "."), 150))
		}
		if err := r.checkSchemas(sub, below, at); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) checkSchema(c *chart.Chart, values map[string]any, path []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = brokenSchema(c, "it cannot be used")
		}
	}()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema))
	if err != nil {
		return brokenSchema(c, tidy(err.Error()))
	}
	refs := &references{}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(refs)
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		return brokenSchema(c, tidy(err.Error()))
	}
	compiled, err := compiler.Compile(schemaURL)
	if refs.file != "" {
		return brokenSchema(c, fmt.Sprintf("it refers to the file %q, and a schema may only refer to itself", clip(strings.TrimPrefix(refs.file, "file:///"))))
	}
	if err != nil {
		return brokenSchema(c, tidy(strings.ReplaceAll(err.Error(), schemaURL, schemaFile)))
	}
	for _, url := range refs.remote {
		r.w.Warn("helm_schema_remote", "chart %q: %s refers to %s, which is not fetched: what it says about values is not checked", clip(c.Name()), schemaFile, workspace.Clip(url, 150))
	}
	err = compiled.Validate(plainValue(values))
	var violation *jsonschema.ValidationError
	if err == nil || !errors.As(err, &violation) {
		return err
	}
	said := violations(violation, path, nil)
	sort.Strings(said)
	said = slices.Compact(said)
	more := ""
	if n := len(said) - maxViolations; n > 0 {
		said, more = said[:maxViolations], fmt.Sprintf("; and %d more", n)
	}
	of := ""
	if len(path) > 0 {
		of = fmt.Sprintf(" of the subchart %q", clip(c.Name()))
	}
	return fault.New(fault.Unprocessable, codeSchema, "%s", workspace.Clip(fmt.Sprintf("values do not match %s%s: %s%s", schemaFile, of, strings.Join(said, "; "), more), maxMessage)).
		WithFix("correct the values, or set skipSchemaValidation")
}

func brokenSchema(c *chart.Chart, why string) error {
	return fault.New(fault.Unprocessable, codeSchema, "%s", workspace.Clip(fmt.Sprintf("%s of chart %q: %s", schemaFile, clip(c.Name()), why), maxMessage))
}

// references stands for the world outside of a schema: nothing of it is read. A
// URL allows everything, so that a chart whose schema uses one still renders.
type references struct {
	remote []string
	file   string
}

// Load implements jsonschema.URLLoader.
func (l *references) Load(url string) (any, error) {
	if strings.HasPrefix(url, "file:") {
		l.file = url
		return nil, errors.New("the file is not read")
	}
	l.remote = append(l.remote, url)
	return true, nil
}

// plainValue turns the library's types of values into plain ones.
func plainValue(v any) any {
	if m, ok := asMap(v); ok {
		out := make(map[string]any, len(m))
		for k, item := range m {
			out[k] = plainValue(item)
		}
		return out
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plainValue(item)
		}
		return out
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = item
		}
		return out
	}
	return v
}

// violations are the leaves of an error, as "a.b: want integer, got string".
// Values are not repeated: they may be secret.
func violations(e *jsonschema.ValidationError, path, out []string) []string {
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			out = violations(c, path, out)
		}
		return out
	}
	where := strings.Join(append(slices.Clone(path), e.InstanceLocation...), ".")
	if where == "" {
		where = "the values"
	}
	return append(out, workspace.Clip(where, 120)+": "+violation(e.ErrorKind))
}

func violation(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("want %s, got %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Pattern:
		return "does not match the pattern " + workspace.Clip(k.Want, 80)
	case *kind.Format:
		return "is no valid " + workspace.Clip(k.Want, 40)
	case *kind.Required:
		return "missing " + workspace.Clip(strings.Join(k.Missing, ", "), 100)
	case *kind.AdditionalProperties:
		return "not allowed: " + workspace.Clip(strings.Join(k.Properties, ", "), 100)
	case *kind.FalseSchema:
		return "not allowed"
	case *kind.InvalidJsonValue:
		return "no value that JSON has"
	}
	switch k := k.(type) {
	case *kind.Enum:
		return "want one of " + allowedText(k.Want)
	case *kind.Const:
		return "want " + allowedText([]any{k.Want})
	case *kind.Minimum:
		return "want at least " + number(k.Want)
	case *kind.Maximum:
		return "want at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "want more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "want less than " + number(k.Want)
	case *kind.MultipleOf:
		return "want a multiple of " + number(k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("want at least %d characters, got %d", k.Want, k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("want at most %d characters, got %d", k.Want, k.Got)
	case *kind.MinItems:
		return fmt.Sprintf("want at least %d items, got %d", k.Want, k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("want at most %d items, got %d", k.Want, k.Got)
	case *kind.MinProperties:
		return fmt.Sprintf("want at least %d keys, got %d", k.Want, k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("want at most %d keys, got %d", k.Want, k.Got)
	case *kind.UniqueItems:
		return fmt.Sprintf("items %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.Dependency:
		return fmt.Sprintf("%s needs %s", clip(k.Prop), clip(strings.Join(k.Missing, ", ")))
	case *kind.DependentRequired:
		return fmt.Sprintf("%s needs %s", clip(k.Prop), clip(strings.Join(k.Missing, ", ")))
	}
	if p := k.KeywordPath(); len(p) > 0 {
		return "violates " + clip(strings.Join(p, "."))
	}
	return "not as the schema says"
}

// allowedText writes values of a schema; those are no secrets.
func allowedText(values []any) string {
	var words []string
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			continue
		}
		words = append(words, string(text))
	}
	return workspace.Clip(strings.Join(words, ", "), 120)
}

func number(r *big.Rat) string {
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}
