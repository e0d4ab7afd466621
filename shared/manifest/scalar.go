package manifest

import (
	"encoding/base64"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Plain scalars are read as Kubernetes' own decoder reads them, which is YAML
// 1.1: yes, no, on and off are booleans, 0777 is octal, 1_000 is a number, and
// a date is a string.
var words = map[string]any{
	"": nil, "~": nil, "null": nil, "Null": nil, "NULL": nil,
	"y": true, "Y": true, "yes": true, "Yes": true, "YES": true,
	"true": true, "True": true, "TRUE": true, "on": true, "On": true, "ON": true,
	"n": false, "N": false, "no": false, "No": false, "NO": false,
	"false": false, "False": false, "FALSE": false, "off": false, "Off": false, "OFF": false,
	".nan": math.NaN(), ".NaN": math.NaN(), ".NAN": math.NaN(),
	".inf": math.Inf(1), ".Inf": math.Inf(1), ".INF": math.Inf(1),
	"+.inf": math.Inf(1), "+.Inf": math.Inf(1), "+.INF": math.Inf(1),
	"-.inf": math.Inf(-1), "-.Inf": math.Inf(-1), "-.INF": math.Inf(-1),
}

var floatStyle = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

func (c *converter) scalar(n *yaml.Node) (any, error) {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	tag := ""
	if n.Style&yaml.TaggedStyle != 0 {
		tag = n.ShortTag()
	}
	switch tag {
	case "":
		if n.Style&quoted != 0 {
			return n.Value, nil
		}
	case "!!bool", "!!int", "!!float", "!!null":
	case "!!binary":
		b, err := base64.StdEncoding.DecodeString(strings.Map(dropSpace, n.Value))
		if err != nil || !utf8.Valid(b) {
			return nil, c.fail(n, "manifest_invalid", "!!binary must be base64 of text; Kubernetes objects hold text")
		}
		return string(b), nil
	default:
		return n.Value, nil
	}
	v := plain(n.Value)
	if _, ok := v.(bool); ok && c.ordered && len(n.Value) == 1 {
		return n.Value, nil // y and n are letters to most readers of variables
	}
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, c.fail(n, "manifest_invalid", "%s is not a number that JSON has", quote(n.Value))
	}
	return v, nil
}

func dropSpace(r rune) rune {
	switch r {
	case ' ', '\t', '\r', '\n':
		return -1
	}
	return r
}

// plain resolves an untagged plain scalar.
func plain(s string) any {
	if len(s) <= 5 {
		if v, ok := words[s]; ok {
			return v
		}
	}
	if s == "" {
		return nil
	}
	switch c := s[0]; {
	case c == '.':
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return normalFloat(f)
		}
		return s
	case c >= '0' && c <= '9', c == '-', c == '+':
	default:
		return s
	}
	digits := s
	if strings.IndexByte(s, '_') >= 0 {
		digits = strings.ReplaceAll(s, "_", "")
	}
	if n, err := strconv.ParseInt(digits, 0, 64); err == nil {
		return n
	}
	if u, err := strconv.ParseUint(digits, 0, 64); err == nil {
		return float64(u) // beyond int64: as the Kubernetes decoder does
	}
	if floatStyle.MatchString(digits) {
		if f, err := strconv.ParseFloat(digits, 64); err == nil {
			return normalFloat(f)
		}
	}
	return s
}
