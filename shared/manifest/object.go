package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Object is one Kubernetes object as somebody wrote it.
type Object struct {
	// Key identifies the object. Namespace is as written: empty when the
	// manifest names none, whatever the scope of the kind.
	Key model.ObjectKey
	// Version is the API version without the group, e.g. "v1".
	Version string
	// Origin says where the object was written: file, "#", number of the
	// document, and its place in a List, e.g. "deploy/a.yaml#2.items[0]". It is
	// empty for objects that come out of a bundle.
	Origin string
	// Body is the whole object.
	Body map[string]any
}

// APIVersion is group and version as manifests write them.
func (o Object) APIVersion() string {
	if o.Key.Group == "" {
		return o.Version
	}
	return o.Key.Group + "/" + o.Version
}

const (
	argoPrefix   = "argocd.argoproj.io/"
	hawserPrefix = "hawser.dev/"
)

// Annotation is the value of the named annotation, or "" when there is none.
// For a name below argocd.argoproj.io/ the alias below hawser.dev/ is read when
// the object has not the name itself.
func (o Object) Annotation(name string) string {
	meta, _ := o.Body["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	if v, ok := annotations[name].(string); ok {
		return v
	}
	if short, ok := strings.CutPrefix(name, argoPrefix); ok {
		v, _ := annotations[hawserPrefix+short].(string)
		return v
	}
	return ""
}

// JSON is the canonical encoding of the object: keys sorted, no white space, no
// escapes that JSON does not require.
func (o Object) JSON() []byte { return AppendJSON(nil, o.Body) }

// Hash is the SHA-256 of the canonical encoding of body.
func Hash(body map[string]any) model.Digest { return digestOf(AppendJSON(nil, body)) }

func digestOf(b []byte) model.Digest {
	sum := sha256.Sum256(b)
	return model.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// DecodeObject reads one object from JSON, such as a line of a bundle or an
// answer of an API server. It checks identity as Parse does.
func DecodeObject(data []byte) (Object, error) {
	v, err := decodeJSON(data, DefaultLimits().MaxDepth)
	if err != nil {
		return Object{}, fault.New(fault.Unprocessable, "manifest_invalid", "not a Kubernetes object: %s", err.msg)
	}
	body, ok := v.(map[string]any)
	if !ok {
		return Object{}, fault.New(fault.Unprocessable, "manifest_invalid", "not a Kubernetes object: %s instead of a mapping", describe(v))
	}
	return identify(body, "object")
}

// identify makes an Object of body and checks what every object must have.
// where begins the messages.
func identify(body map[string]any, where string) (Object, error) {
	apiVersion, err := requiredString(body, "apiVersion", "apiVersion", where)
	if err != nil {
		return Object{}, err
	}
	kind, err := requiredString(body, "kind", "kind", where)
	if err != nil {
		return Object{}, err
	}
	group, version, err := splitAPIVersion(apiVersion, where)
	if err != nil {
		return Object{}, err
	}
	if strings.ContainsAny(kind, "/% \t\r\n") {
		return Object{}, invalid(where, "kind %s is not a name of a kind", quote(kind))
	}
	rawMeta, ok := body["metadata"]
	if !ok || rawMeta == nil {
		return Object{}, incomplete(where, kind, "metadata.name")
	}
	meta, ok := rawMeta.(map[string]any)
	if !ok {
		return Object{}, invalid(where, "metadata must be a mapping, got %s", describe(rawMeta))
	}
	name, err := identifyName(meta, kind, where)
	if err != nil {
		return Object{}, err
	}
	namespace := ""
	switch ns := meta["namespace"].(type) {
	case nil:
	case string:
		namespace = ns
		if ns != "" && !isDNSLabel(ns) {
			return Object{}, invalid(where, "metadata.namespace %s: use 1-63 of a-z, 0-9 and \"-\"", quote(ns))
		}
	default:
		return Object{}, invalid(where, "metadata.namespace must be a string, got %s; quote it", describe(ns))
	}
	for _, field := range []string{"labels", "annotations"} {
		if err := stringMap(meta[field], "metadata."+field, where); err != nil {
			return Object{}, err
		}
	}
	return Object{
		Key:     model.ObjectKey{Group: group, Kind: kind, Namespace: namespace, Name: name},
		Version: version,
		Body:    body,
	}, nil
}

func identifyName(meta map[string]any, kind, where string) (string, error) {
	switch name := meta["name"].(type) {
	case nil:
		prefix, _ := meta["generateName"].(string)
		switch {
		case prefix == "":
			return "", incomplete(where, kind, "metadata.name")
		case !isHook(meta):
			return "", incomplete(where, kind, "metadata.name").WithFix("generateName is for hooks; what is kept in sync needs a name")
		case !isPathSegment(prefix):
			return "", invalid(where, "metadata.generateName %s: at most 253 characters, none of them \"/\", \"%%\" or a control character", quote(prefix))
		}
		return prefix, nil
	case string:
		if name == "" {
			return "", incomplete(where, kind, "metadata.name")
		}
		if !isPathSegment(name) {
			return "", invalid(where, "metadata.name %s: at most 253 characters, none of them \"/\", \"%%\" or a control character", quote(name))
		}
		return name, nil
	default:
		return "", invalid(where, "metadata.name must be a string, got %s; quote it", describe(name))
	}
}

// isHook reports whether an object has an annotation of a hook. As in Argo CD a
// hook, which is made anew for every sync, may have a generateName in place of a
// name; its Key then has the prefix.
func isHook(meta map[string]any) bool {
	annotations, _ := meta["annotations"].(map[string]any)
	for _, name := range []string{model.AnnotationHook, hawserPrefix + "hook", "helm.sh/hook"} {
		if value, _ := annotations[name].(string); value != "" {
			return true
		}
	}
	return false
}

func requiredString(body map[string]any, field, path, where string) (string, error) {
	switch v := body[field].(type) {
	case nil:
		kind, _ := body["kind"].(string)
		return "", incomplete(where, kind, path)
	case string:
		if v == "" {
			return "", incomplete(where, "", path)
		}
		return v, nil
	default:
		return "", invalid(where, "%s must be a string, got %s", path, describe(v))
	}
}

func splitAPIVersion(s, where string) (group, version string, err error) {
	group, version, found := strings.Cut(s, "/")
	if !found {
		group, version = "", s
	}
	if version == "" || (found && group == "") || strings.ContainsAny(version, "/% \t\r\n") || strings.ContainsAny(group, "% \t\r\n") {
		return "", "", invalid(where, "apiVersion %s: write \"v1\" or \"group/version\"", quote(s))
	}
	return group, version, nil
}

// stringMap refuses values that are no strings, which the API server would
// refuse with a message that does not name the place. A null, as templates write
// where they have no value, becomes the empty string, as in the API server.
func stringMap(v any, path, where string) error {
	switch m := v.(type) {
	case nil:
		return nil
	case map[string]any:
		for _, k := range sortedKeys(m) {
			if m[k] == nil {
				m[k] = ""
			}
			if _, ok := m[k].(string); !ok {
				return invalid(where, "%s[%s] must be a string, got %s; quote it", path, quote(k), describe(m[k]))
			}
		}
		return nil
	default:
		return invalid(where, "%s must be a mapping, got %s", path, describe(v))
	}
}

func isPathSegment(s string) bool {
	if s == "." || s == ".." || len(s) > 253 {
		return false
	}
	for _, r := range s {
		if r == '/' || r == '%' || r < 0x20 || r == 0x7f {
			return false
		}
	}
	return true
}

func isDNSLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
