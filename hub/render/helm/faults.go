package helm

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	codeTemplate = "helm_template_error"
	// maxMessage keeps messages within fault.Error's limit.
	maxMessage = 290
)

var (
	// at finds "template: web/templates/a.yaml:14:20: executing "x" at <…>: ",
	// of which an error has one for each template that includes another.
	at = regexp.MustCompile(`template: ([^\s:]+:\d+(?::\d+)?): (?:executing "(?:[^"\\]|\\.)*" )?(?:at <([^\n]*?)>: )?`)
	// said finds what a chart itself says with required or fail.
	said       = regexp.MustCompile(`(?s)^execution error at \(([^)]*)\): (.*)$`)
	inRaw      = regexp.MustCompile(`(?s)HELM_ERR_START(.*?)HELM_ERR_END`)
	unparsed   = regexp.MustCompile(`(?s)^parse error (?:at|in) \(([^)]*)\): (.*)$`)
	noTemplate = regexp.MustCompile(`(?:no template|template) "([^"]*)" (?:associated with template|not defined)`)
	isNil      = regexp.MustCompile(`nil pointer evaluating \S.*\.(\w+)$`)
)

// templateFault says what is wrong with a template, from the library's error.
func templateFault(err error) error {
	text := err.Error()
	problem := func(format string, args ...any) error {
		return fault.Wrap(err, fault.Unprocessable, codeTemplate, "%s", workspace.Clip(fmt.Sprintf(format, args...), maxMessage))
	}
	if m := said.FindStringSubmatch(text); m != nil {
		return problem("chart says: %s (%s)", strconv.QuoteToGraphic(workspace.Clip(strings.TrimSpace(m[2]), 200)), m[1])
	}
	if m := inRaw.FindStringSubmatch(text); m != nil {
		return problem("chart says: %s", strconv.QuoteToGraphic(workspace.Clip(strings.TrimSpace(m[1]), 200)))
	}
	if m := unparsed.FindStringSubmatch(text); m != nil {
		return problem("%s: %s", m[1], tidy(m[2]))
	}
	if strings.Contains(text, "rendering template has a nested reference name") {
		_, name, _ := strings.Cut(text, "nested reference name: ")
		name, _, _ = strings.Cut(name, ":")
		return problem("template %q includes itself without end", clip(name))
	}
	if m := noTemplate.FindStringSubmatch(text); m != nil {
		if places := at.FindAllStringSubmatch(text, -1); len(places) > 0 {
			return problem("%s: there is no template %q", places[len(places)-1][1], clip(m[1]))
		}
		return problem("there is no template %q", clip(m[1]))
	}
	places := at.FindAllStringSubmatchIndex(text, -1)
	if len(places) == 0 {
		return problem("%s", tidy(text))
	}
	// The last is where it happened.
	last := places[len(places)-1]
	where := text[last[2]:last[3]]
	what := text[last[1]:]
	expression := ""
	if last[4] >= 0 {
		expression = text[last[4]:last[5]]
	}
	if m := isNil.FindStringSubmatch(what); m != nil {
		parent := strings.TrimSuffix(expression, "."+m[1])
		if parent == expression || parent == "" {
			return problem("%s: .%s of something that is nil", where, m[1])
		}
		return problem("%s: %s is nil, because nothing is set at %s", where, expression, parent)
	}
	if expression != "" {
		return problem("%s: %s: %s", where, clip(expression), tidy(what))
	}
	return problem("%s: %s", where, tidy(what))
}

// valuesFault is for values that do not go together with a chart.
func valuesFault(err error) error {
	return fault.Wrap(err, fault.Unprocessable, codeValues, "%s", workspace.Clip("the values do not fit the chart: "+tidy(err.Error()), maxMessage))
}

var (
	inSubchart = regexp.MustCompile(`^error unpacking (?:subchart )?(?:tar in )?(\S+) in (\S+): `)
	cannotLoad = regexp.MustCompile(`^cannot load (\S+): `)
	validation = regexp.MustCompile(`validation: chart\.metadata(?:\.(\w+))? (.*)$`)
)

// chartFault says what is wrong with a chart that cannot be read.
func chartFault(dir string, err error) error {
	text := err.Error()
	where := dir
	for {
		m := inSubchart.FindStringSubmatch(text)
		if m == nil {
			break
		}
		where = path.Join(where, "charts", m[1])
		text = text[len(m[0]):]
	}
	file := "Chart.yaml"
	if m := cannotLoad.FindStringSubmatch(text); m != nil {
		file = m[1]
		text = text[len(m[0]):]
	}
	text = strings.TrimPrefix(text, "validation: ")
	if m := validation.FindStringSubmatch(err.Error()); m != nil {
		text = strings.TrimSpace(m[1] + " " + m[2])
	}
	if text == "Chart.yaml file is missing" {
		return fault.Wrap(err, fault.Unprocessable, codeChart, "%s has no Chart.yaml, so it is no Helm chart", workspace.Clip(where, 200))
	}
	return fault.Wrap(err, fault.Unprocessable, codeChart, "%s", workspace.Clip(fmt.Sprintf("%s: %s", path.Join(where, file), tidy(text)), maxMessage))
}

var (
	unmarshal  = regexp.MustCompile(`json: cannot unmarshal (\w+) into Go (?:struct field (?:\w+\.)?([\w.\-]+)|value) of type (?:\[\]interface \{\}|map\[string\]interface \{\}|interface \{\}|\S+)`)
	yamlPrefix = regexp.MustCompile(`error (?:converting YAML to JSON|unmarshaling JSON|converting JSON to YAML): (?:while decoding JSON: )?`)
	goTypes    = strings.NewReplacer(
		"map[string]interface {}", "a mapping", "map[string]any", "a mapping", "[]interface {}", "a list", "[]any", "a list",
		"chartutil.Values", "a mapping", "map[string]string", "a mapping", "interface {}", "a value", "chart.Metadata", "the chart",
		"*errors.errorString", "an error", "engine.files", "the files", "float64", "number", "int64", "number",
		"reflect.Value", "a value", "<nil>", "null", "yaml: ", "",
	)
)

// tidy makes an error of a library one line without names of Go types, and
// without characters that a terminal would obey.
func tidy(text string) string {
	text = yamlPrefix.ReplaceAllString(text, "")
	text = unmarshal.ReplaceAllStringFunc(text, func(s string) string {
		m := unmarshal.FindStringSubmatch(s)
		if m[2] == "" {
			return "a mapping is needed, this is " + article(m[1])
		}
		return m[2] + " cannot be " + article(m[1])
	})
	text = goTypes.Replace(text)
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, text)
	return workspace.Clip(strings.Join(strings.Fields(text), " "), 220)
}

func article(word string) string {
	switch word {
	case "array":
		return "a list"
	case "object":
		return "a mapping"
	case "bool":
		return "a boolean"
	}
	return "a " + word
}
