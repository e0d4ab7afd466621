package helm

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// parse reads one document. Helm and kubectl take a repeated key for the last
// one, and labels without a value for empty ones; charts rely on it, so this is
// told and not refused.
func (r *renderer) parse(d document) ([]manifest.Object, error) {
	objects, err := manifest.Parse(d.source, []byte(d.text), r.w.Limits.Manifest)
	if err == nil {
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
