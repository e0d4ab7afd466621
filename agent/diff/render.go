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
	m := newMask(&in)
	out := manifest.RedactFields(in.Desired, m.key, m.fields)
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

// hides reports whether the object has values that must not be shown.
func (in *Input) hides(obj map[string]any) bool {
	return isSecret(obj) || len(manifest.FieldsIn(in.SensitiveFields, obj)) > 0
}

// mask renders values for people and hides those of Secrets and sensitive fields.
type mask struct {
	secret      bool
	within      bool // the object is none and has data of one
	object      map[string]any
	key         []byte
	annotations []string        // of Secrets, whose values are hidden, too
	fields      manifest.Fields // whose values are hidden, too
}

// processKey stands in for a key: tags then compare within one process only, and
// nobody can try values against them.
var processKey = func() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return key
}()

func newMask(in *Input) *mask {
	obj, key := in.Desired, in.RedactionKey
	if len(key) == 0 {
		key = processKey
	}
	secret := isSecret(obj)
	return &mask{secret: secret, within: !secret && manifest.ContainsSecret(obj), object: obj, key: key, annotations: in.SensitiveAnnotations,
		fields: manifest.FieldsIn(in.SensitiveFields, obj).OfAnyElement()}
}

// shown is the part of a path that may be shown.
func (m *mask) shown(p path) path {
	p, _ = m.visible(p)
	return p
}

// visible is the part of a path that may be shown: in a Secret, and at sensitive
// fields, keys of elements are values, too. covered: it ends before
// what differs, and what is at the path is hidden as a whole.
func (m *mask) visible(p path) (shown path, covered bool) {
	if m.secret && len(p) > 2 && p[0].field != "metadata" {
		p = p[:2]
	}
	fields := m.fields
	for i, s := range p {
		if len(fields) == 0 {
			break
		}
		below := fields.Below(s.segment())
		told := s.inSet && below.Whole() || s.keys != nil && (below.Whole() || slices.ContainsFunc(s.keys, func(k string) bool { return below.Below(k).Whole() }))
		if fields.Whole() || told {
			return p[:i], true
		}
		fields = below
	}
	return p, false
}

// segment is a step as one of a pointer. Which element of a list it is is not known.
func (s step) segment() string {
	if s.isIndex || s.inSet || s.keys != nil {
		return "*"
	}
	return s.field
}

func (m *mask) render(f finding, v any) string {
	b, err := json.Marshal(m.hideAt(f, v))
	if err != nil {
		return `"unprintable"`
	}
	return cut(string(b), MaxValue)
}

// hideAt is v, a side of a finding, as it may be shown.
func (m *mask) hideAt(f finding, v any) any {
	if f.covered {
		return manifest.Tag(m.object, f.difference.Path, v, m.key)
	}
	return m.hide(f.path, v)
}

// hide is v as it may be shown.
func (m *mask) hide(p path, v any) any {
	v = m.hideFields(p, m.hideSecret(p, v))
	if m.secret {
		return v
	}
	return manifest.HideKnownIn(m.object, p.String(), v, m.key)
}

func (m *mask) hideFields(p path, v any) any {
	fields := m.fields
	for _, s := range p {
		if len(fields) == 0 || fields.Whole() {
			break
		}
		fields = fields.Below(s.segment())
	}
	return fields.HideIn(m.object, p.String(), v, m.key)
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
