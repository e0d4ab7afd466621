package render

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Rows 34 to 39 of the table of bad inputs.
func TestBadManifests(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		laughs += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ",") + "]\n"
	}
	r := newRenderer(t, Options{Workers: 1})
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"34 tab":                    {map[string]string{"deploy/prod/a.yaml": strings.Repeat("#\n", 10) + "a:\n\tb: 1\n"}, "yaml_invalid deploy/prod/a.yaml:12:1: tab used for indentation"},
		"34 bad indentation":        {map[string]string{"deploy/prod/a.yaml": "a: 1\n b: 2\n"}, "yaml_invalid deploy/prod/a.yaml:2:3: "},
		"35 duplicate key":          {map[string]string{"deploy/prod/a.yaml": "image: a\nx: 1\nimage: b\n"}, "yaml_duplicate_key deploy/prod/a.yaml:3:1: \"image\" is already set at line 1"},
		"35 duplicate key, JSON":    {map[string]string{"deploy/prod/a.json": "{\"image\": 1,\n\"image\": 2}"}, "yaml_duplicate_key deploy/prod/a.json:2:1: \"image\" is already set at line 1"},
		"36 billion laughs":         {map[string]string{"deploy/prod/x.yaml": laughs}, "yaml_alias_limit deploy/prod/x.yaml:"},
		"37 no kind":                {map[string]string{"deploy/prod/a.yaml": configMap("x") + "---\n" + configMap("z") + "---\napiVersion: v1\n"}, "manifest_incomplete deploy/prod/a.yaml document 3: \"kind\" is missing"},
		"38 List with null items":   {map[string]string{"deploy/prod/l.yaml": "apiVersion: v1\nkind: List\nitems:\n"}, "manifest_invalid deploy/prod/l.yaml document 1: List.items is null"},
		"38 other List, null items": {map[string]string{"deploy/prod/l.yaml": "apiVersion: v1\nkind: PodList\nitems:\n"}, "manifest_invalid deploy/prod/l.yaml document 1: PodList.items is null"},
		"39 twice": {map[string]string{"deploy/prod/a.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n", "deploy/prod/b.yaml": configMap("x") + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n"},
			"duplicate_object Deployment shop/web is defined twice: deploy/prod/a.yaml#1 and deploy/prod/b.yaml#2"},
	} {
		_, err := r.Render(t.Context(), Request{Source: model.Source{Path: "deploy/prod"}, Snapshot: snapshotOf(tt.files)})
		e := fault.As(err)
		if e == nil || e.Kind != fault.Unprocessable || !strings.HasPrefix(e.Code+" "+e.Message, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Files without an object are a result, which the prune guard looks at.
	res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "deploy/prod"}, Snapshot: snapshotOf(map[string]string{"deploy/prod/a.yaml": "# all gone\n"})})
	if err != nil || !res.Empty {
		t.Errorf("%+v %v", res, err)
	}
	if _, err := manifest.DecodeBundle(res.Encoded, res.Digest); err != nil {
		t.Error(err)
	}
}
