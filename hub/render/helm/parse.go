package helm

import (
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// documents are the objects of documents that this process has parsed. Between
// two renders of a chart most documents are the same, and parsing YAML costs as
// much as running the templates. The bodies are shared: nobody changes the
// objects of a render.
var documents = newCache[[]manifest.Object](48 << 20)

func documentKey(d document, limits manifest.Limits) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %d %d %s\n", limits.MaxBytes, limits.MaxObjects, limits.MaxDepth, limits.MaxAliasExpansion, path.Ext(d.source))
	io.WriteString(h, d.text)
	return [sha256.Size]byte(h.Sum(nil))
}

// parse reads one document. Helm and kubectl take a repeated key for the last
// one, and labels without a value for empty ones; charts rely on it, so this is
// told and not refused.
func (r *renderer) parse(d document) ([]manifest.Object, error) {
	key := documentKey(d, r.w.Limits.Manifest)
	if objects, ok := documents.get(key); ok {
		return place(slices.Clone(objects), d), nil
	}
	objects, err := manifest.Parse(d.source, []byte(d.text), r.w.Limits.Manifest)
	if err == nil {
		documents.put(key, slices.Clone(objects), 4*len(d.text)+512)
		return place(objects, d), nil
	}
	rendered := d.source
	if !d.crd {
		rendered += " as rendered"
	}
	// Lines are those of the template's whole output.
	_, err = manifest.Parse(rendered, []byte(strings.Repeat("\n", d.line-1)+d.text), r.w.Limits.Manifest)
	if err == nil {
		err = fault.New(fault.Internal, "internal", "%s cannot be read", d.source)
	}
	if !fault.HasCode(err, "yaml_duplicate_key") && !fault.HasCode(err, "manifest_invalid") {
		return nil, err
	}
	var body map[string]any
	if yaml.Unmarshal([]byte(d.text), &body) != nil || body == nil {
		return nil, err
	}
	fillEmpty(body)
	text, merr := yaml.Marshal(body)
	if merr != nil {
		return nil, err
	}
	objects, again := manifest.Parse(d.source, text, r.w.Limits.Manifest)
	if again != nil {
		return nil, err
	}
	if fault.HasCode(err, "yaml_duplicate_key") {
		r.w.Warn("helm_duplicate_key", "%s; the last one counts, as in Helm", strings.TrimSuffix(fault.As(err).Message, "."))
	}
	return place(objects, d), nil
}

func place(objects []manifest.Object, d document) []manifest.Object {
	for i := range objects {
		if _, item, ok := strings.Cut(objects[i].Origin, ".items["); ok {
			objects[i].Origin = fmt.Sprintf("%s.items[%s", d.source, item)
			continue
		}
		objects[i].Origin = d.source
	}
	return objects
}

// fillEmpty makes labels and annotations that are null empty, as API servers do.
func fillEmpty(body map[string]any) {
	meta, _ := body["metadata"].(map[string]any)
	for _, field := range []string{"labels", "annotations"} {
		m, _ := meta[field].(map[string]any)
		for k, v := range m {
			if v == nil {
				m[k] = ""
			}
		}
	}
	if items, ok := body["items"].([]any); ok {
		for _, item := range items {
			if m, ok := item.(map[string]any); ok {
				fillEmpty(m)
			}
		}
	}
}

func clip(s string) string { return workspace.Clip(s, 100) }
