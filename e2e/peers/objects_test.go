package peers_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	kyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// objectsOf reads what a command printed with the decoder of the Kubernetes
// client, which is what would be applied: Lists are taken apart, and of an object
// that is there twice the last counts. Each object is its canonical JSON.
func objectsOf(t *testing.T, text []byte) []string {
	t.Helper()
	var objects []manifest.Object
	dec := kyaml.NewYAMLOrJSONDecoder(strings.NewReader(string(text)), 4096)
	for {
		var body map[string]any
		err := dec.Decode(&body)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the output of the command: %v", err)
		}
		if len(body) > 0 {
			objects = append(objects, flatten(t, body)...)
		}
	}
	last := map[model.ObjectKey]string{}
	for _, o := range objects {
		last[o.Key] = string(o.JSON())
	}
	return slices.Collect(maps.Values(last))
}

func flatten(t *testing.T, body map[string]any) []manifest.Object {
	kind, _ := body["kind"].(string)
	items, ok := body["items"].([]any)
	if !ok || !strings.HasSuffix(kind, "List") {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		o, err := manifest.DecodeObject(text)
		if err != nil {
			t.Fatalf("the output of the command: %v\n%s", err, text)
		}
		return []manifest.Object{o}
	}
	var out []manifest.Object
	for _, item := range items {
		m := item.(map[string]any)
		if single := strings.TrimSuffix(kind, "List"); single != "" && m["kind"] == nil {
			m["kind"], m["apiVersion"] = single, body["apiVersion"]
		}
		out = append(out, flatten(t, m)...)
	}
	return out
}

// compare reports objects that only one side has.
func compare(t *testing.T, got []manifest.Object, want []string) {
	t.Helper()
	var ours []string
	for _, o := range got {
		ours = append(ours, string(o.JSON()))
	}
	sort.Strings(ours)
	sort.Strings(want)
	if slices.Equal(ours, want) {
		return
	}
	only := func(a, b []string) string {
		var out strings.Builder
		for _, s := range a {
			if !slices.Contains(b, s) {
				fmt.Fprintf(&out, "  %s\n", s)
			}
		}
		return out.String()
	}
	t.Errorf("%d objects here, %d there\nonly here:\n%sonly there:\n%s", len(ours), len(want), only(ours, want), only(want, ours))
}
