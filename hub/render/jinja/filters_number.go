package jinja

import (
	"math"
	"strconv"
	"strings"
)

// pythonInt reads what int() reads of a string.
func pythonInt(s string, base int) (int64, bool, error) {
	s = strings.TrimSpace(s)
	sign := ""
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		sign, s = s[:1], s[1:]
	}
	digits := s
	if len(s) > 2 && s[0] == '0' {
		switch c := s[1] | 0x20; {
		case c == 'x' && (base == 16 || base == 0), c == 'o' && (base == 8 || base == 0), c == 'b' && (base == 2 || base == 0):
			digits = strings.TrimPrefix(s[2:], "_")
			if base == 0 {
				base = map[byte]int{'x': 16, 'o': 8, 'b': 2}[c]
			}
		}
	}
	if base == 0 {
		base = 10
	}
	if strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") || strings.ContainsAny(digits, "+-") {
		return 0, false, nil
	}
	if sign == "+" {
		sign = ""
	}
	i, err := strconv.ParseInt(sign+strings.ReplaceAll(digits, "_", ""), base, 64)
	if err != nil && strings.Contains(err.Error(), "out of range") {
		return 0, false, err
	}
	return i, err == nil, nil
}

func pythonFloat(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "xXpP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

func toInt(m *machine, v any, p []any) (any, error) {
	var otherwise any = int64(0)
	if _, none := p[0].(absent); !none {
		otherwise = p[0]
	}
	base, err := m.intArg(p[1], 10)
	if err != nil {
		return nil, err
	}
	if base != 0 && (base < 2 || base > 36) {
		return nil, m.fail("int needs a base between 2 and 36")
	}
	f := 0.0
	switch v := v.(type) {
	case string:
		i, ok, err := pythonInt(v, int(base))
		if err != nil {
			return nil, m.overflow()
		}
		if ok {
			return i, nil
		}
		if f, ok = pythonFloat(v); !ok {
			return otherwise, nil
		}
	default:
		i, x, isInt, ok := number(v)
		if !ok {
			return otherwise, nil
		}
		if isInt {
			return i, nil
		}
		f = x
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return otherwise, nil
	}
	if math.Abs(f) >= 1<<63 {
		return nil, m.overflow()
	}
	return int64(f), nil
}

func toFloat(_ *machine, v any, p []any) (any, error) {
	if s, ok := v.(string); ok {
		if f, ok := pythonFloat(s); ok {
			return f, nil
		}
	} else if _, f, _, ok := number(v); ok {
		return f, nil
	}
	if _, none := p[0].(absent); !none {
		return p[0], nil
	}
	return 0.0, nil
}

func toBool(m *machine, v any, _ []any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case nil:
		return false, nil
	case int64:
		if v == 0 || v == 1 {
			return v == 1, nil
		}
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "on", "1", "y", "t":
			return true, nil
		case "false", "no", "off", "0", "n", "f", "":
			return false, nil
		}
	}
	return nil, m.fail("bool needs true or false, yes or no, on or off, 1 or 0")
}

func round(m *machine, v any, p []any) (any, error) {
	n, err := m.intArg(p[0], 0)
	if err != nil {
		return nil, err
	}
	method, err := m.textArg(p[1], "common")
	if err != nil {
		return nil, err
	}
	i, f, isInt, ok := number(v)
	if !ok {
		return nil, m.fail("round needs a number, not %s", typeName(v))
	}
	if n < -300 || n > 300 {
		return nil, m.fail("round needs a precision between -300 and 300")
	}
	scale := math.Pow(10, float64(n))
	switch method {
	case "common":
		if isInt && n >= 0 {
			return i, nil
		}
		if isInt {
			return int64(math.RoundToEven(f/math.Pow(10, float64(-n))) * math.Pow(10, float64(-n))), nil
		}
		if n >= 0 {
			// Exact in decimal, half to even, as Python's round().
			out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(n), 64), 64)
			return out, nil
		}
		return math.RoundToEven(f*scale) / scale, nil
	case "ceil":
		return math.Ceil(f*scale) / scale, nil
	case "floor":
		return math.Floor(f*scale) / scale, nil
	}
	return nil, m.fail("round knows the methods common, ceil and floor")
}
