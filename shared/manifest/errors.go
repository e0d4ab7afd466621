package manifest

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

// maxMessage keeps messages within fault.Error's limit, whatever a file has in
// it.
const maxMessage = 300

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// quote makes text of a file safe to print: control and invisible characters
// are escaped and the length is bounded.
func quote(s string) string { return strconv.QuoteToGraphic(clip(s, 80)) }

func problem(kind fault.Kind, code, where, format string, args ...any) *fault.Error {
	return fault.New(kind, code, "%s", clip(where+": "+fmt.Sprintf(format, args...), maxMessage))
}

func invalid(where, format string, args ...any) *fault.Error {
	return problem(fault.Unprocessable, "manifest_invalid", where, format, args...)
}

func incomplete(where, kind, field string) *fault.Error {
	if kind != "" {
		where += ": " + clip(kind, 80)
	}
	return problem(fault.Unprocessable, "manifest_incomplete", where, "%q is missing", field)
}

func tooLarge(where, format string, args ...any) *fault.Error {
	return problem(fault.Unprocessable, "too_large", where, format, args...)
}

// describe names the type of a value in the words of YAML.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "the string " + quote(v)
	case bool:
		return "the boolean " + strconv.FormatBool(v)
	case int64:
		return "the number " + strconv.FormatInt(v, 10)
	case float64:
		return "the number " + string(appendFloat(nil, v))
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return "something else"
}
