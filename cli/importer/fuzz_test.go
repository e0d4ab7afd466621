package importer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Files and clusters of somebody's Argo CD, whatever is in them: what cannot be read is
// said by name and place, everything else is accounted for, and what would be written
// can be.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/exports/*")
	if err != nil || len(files) < 10 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && len(b) < 64<<10 {
			f.Add(b)
		}
	}
	cm := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata:\n  "
	for _, s := range []string{
		cm + "globalProjects: |\n    - projectName: p\n      labelSelector: {matchExpressions: [{key: a, operator: In, values: [b]}]}\n", cm + "globalProjects: '- 1'\n",
		"kind: List\nitems: [{kind: Secret, metadata: {name: argocd-secret}, data: {a: '!!'}}]", "kind: ApplicationList\nitems: [null, {}]", "a: &a [*a]", "a: &a {b: *a}\n<<: *a",
		"kind: X\n<<: [&b {kind: Y}, *b]", "kind: Application\nkind: Application", "? [a]\n: b", `{"kind":"List","items":[{"items":[]}]}`, "{", "\ufeff---\n---\n", "kind: 1\nmetadata: []",
		"kind: Secret\nmetadata: {name: s, labels: {argocd.argoproj.io/secret-type: cluster}}\nstringData: {server: 'https://x', config: '{'}",
		"kind: Secret\nmetadata: {name: s, labels: {argocd.argoproj.io/secret-type: repository}}\nstringData: {url: 'https://u:p@x/\\u001b', type: oci}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := Parse("a.yaml", data)
		if err != nil {
			if e := fault.As(err); e.Code == "" || e.Code == "internal" || !strings.HasPrefix(e.Message, "a.yaml") || utf8.Valid(data) && !utf8.ValidString(e.Message) {
				t.Fatalf("%q is refused with %v", data, err)
			}
		}
		if found, err := FromJSON("the cluster", data); err == nil {
			for _, o := range found {
				if o.Kind == "" {
					t.Fatalf("%q has an object of no kind", data)
				}
			}
		}
		var found Found
		found.Read("a.yaml", data)
		if err == nil && len(found.Objects)+len(found.Foreign) != len(objects) {
			t.Fatalf("%q: %d objects, and %d with %d others", data, len(objects), len(found.Objects), len(found.Foreign))
		}
		p := found.Plan(hub)
		if len(p.Items) != len(found.Objects) {
			t.Fatalf("%q: %d items of %d objects", data, len(p.Items), len(found.Objects))
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
	})
}
