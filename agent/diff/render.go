package diff

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// MaxValue is the length in bytes at which a shown value is cut.
const MaxValue = 512

// Redact is a copy of in.Desired as it may be shown, with the tags that
// differences have.
func Redact(in Input) map[string]any {
	m := newMask(in.Desired, in.RedactionKey, in.SensitiveAnnotations)
	out := manifest.Redact(in.Desired, m.key)
	if !m.secret || out == nil {
		return out
	}
	for k, v := range in.Desired {
		switch k {
		case "apiVersion", "kind", "metadata", "type", "immutable":
		default:
			out[k] = m.hide(path{{field: k}}, v)
		}
	}
	if meta, ok := out["metadata"].(map[string]any); ok {
		if a, ok := meta["annotations"]; ok {
			meta["annotations"] = m.hide(path{{field: "metadata"}, {field: "annotations"}}, a)
		}
	}
	return out
}

// isSecret reports whether the object holds values that must not be shown.
func isSecret(obj map[string]any) bool {
	return manifest.IsSecret(model.GroupKind{Kind: text(obj["kind"])})
}

// mask renders values for people and hides those of Secrets.
type mask struct {
	secret      bool
	within      bool // the object is none and has data of one
	object      map[string]any
	key         []byte
	annotations []string // of Secrets, whose values are hidden, too
}

// processKey stands in for a key: tags then compare within one process only, and
// nobody can try values against them.
var processKey = func() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return key
}()

func newMask(obj map[string]any, key []byte, annotations []string) *mask {
	if len(key) == 0 {
		key = processKey
	}
	secret := isSecret(obj)
	return &mask{secret: secret, within: !secret && manifest.ContainsSecret(obj), object: obj, key: key, annotations: annotations}
}

// visible is the part of a path that may be shown: in a Secret, keys of elements
// are values, too.
func (m *mask) visible(p path) path {
	if !m.secret || len(p) <= 2 || p[0].field == "metadata" {
		return p
	}
	return p[:2]
}

func (m *mask) render(p path, v any) string {
	b, err := json.Marshal(m.hide(p, v))
	if err != nil {
		return `"unprintable"`
	}
	return cut(string(b), MaxValue)
}

// hide is v as it may be shown.
func (m *mask) hide(p path, v any) any {
	v = m.hideSecret(p, v)
	if m.secret {
		return v
	}
	return manifest.HideKnownIn(m.object, p.String(), v, m.key)
}

func (m *mask) hideSecret(p path, v any) any {
	if v == nil {
		return v
	}
	if m.within || !m.secret && manifest.ContainsSecret(v) {
		if slices.ContainsFunc(p, func(e step) bool { return slices.Contains(manifest.DataFields, e.field) }) {
			return m.tag(p[len(p)-1].field, v)
		}
		return manifest.Redact(map[string]any{"v": []any{v}}, m.key)["v"].([]any)[0]
	}
	if !m.secret || len(p) == 0 {
		return v
	}
	switch p[0].field {
	case "apiVersion", "kind", "type", "immutable":
		return v
	case "metadata":
		return m.hideMetadata(p, v)
	}
	if len(p) == 1 {
		if values, ok := v.(map[string]any); ok {
			out := make(map[string]any, len(values))
			for k, e := range values {
				out[k] = m.tag(k, e)
			}
			return out
		}
		return m.tag(p[0].field, v)
	}
	return m.tag(p[1].field, v)
}

func (m *mask) hideMetadata(p path, v any) any {
	if len(p) < 2 || p[1].field != "annotations" {
		return v
	}
	if len(p) > 2 {
		if m.sensitive(p[2].field) {
			return m.tag(p[2].field, v)
		}
		return v
	}
	values, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(values))
	for k, e := range values {
		if m.sensitive(k) {
			e = m.tag(k, e)
		}
		out[k] = e
	}
	return out
}

func (m *mask) sensitive(annotation string) bool {
	return annotation == lastApplied || slices.Contains(m.annotations, annotation)
}

// tag stands for a value, see manifest.Tag. Data in another base64 spelling is the
// same.
func (m *mask) tag(field string, v any) any {
	if s, ok := v.(string); ok {
		if raw, err := base64.StdEncoding.DecodeString(s); err == nil {
			v = base64.StdEncoding.EncodeToString(raw)
		}
	}
	return manifest.Tag(m.object, field, v, m.key)
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
