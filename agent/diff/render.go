package diff

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/manifest"
)

// MaxValue is the length in bytes at which a shown value is cut.
const MaxValue = 512

// mask renders values for people and hides those of Secrets.
type mask struct {
	secret bool
	key    []byte
}

func newMask(obj map[string]any, key []byte) *mask {
	return &mask{secret: text(obj["kind"]) == "Secret" && text(obj["apiVersion"]) == "v1", key: key}
}

func (m *mask) render(p path, v any) string {
	if m.secret && len(p) > 0 {
		switch p[0].field {
		case "apiVersion", "kind", "type", "immutable":
		case "metadata":
			if p[len(p)-1].field == lastApplied {
				return `"redacted"`
			}
			if a, ok := v.(map[string]any); ok {
				if _, has := a[lastApplied]; has {
					v = m.redactedSecret("metadata", map[string]any{"annotations": a})
				}
			}
		default:
			v = m.hide(p, v)
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return `"unprintable"`
	}
	return cut(string(b), MaxValue)
}

// hide replaces the values below data. A single value is hidden under its own
// name, so that equal values of one agent look equal.
func (m *mask) hide(p path, v any) any {
	if v == nil {
		return nil
	}
	if len(p) == 1 {
		values, ok := v.(map[string]any)
		if !ok {
			return "redacted"
		}
		return m.redactedSecret("data", values)
	}
	if _, ok := v.(string); !ok {
		return "redacted"
	}
	name := p[1].field
	masked, ok := m.redactedSecret("data", map[string]any{name: v}).(map[string]any)
	if !ok {
		return "redacted"
	}
	return masked[name]
}

func (m *mask) redactedSecret(field string, v any) any {
	return manifest.Redact(map[string]any{"apiVersion": "v1", "kind": "Secret", field: v}, m.key)[field]
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const ellipsis = "…"
	end := n - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}
