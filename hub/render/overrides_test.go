package render

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// overriding is a host with overrides.
type overriding struct {
	workspace.Memory
	texts [2]string
}

func (o *overriding) Overrides(string) ([][]byte, error) {
	return [][]byte{[]byte(o.texts[0]), []byte(o.texts[1])}, nil
}

func TestOverrides(t *testing.T) {
	src := model.Source{Path: "app", Helm: &model.HelmSource{
		ReleaseName: "web", ValueFiles: []string{"a.yaml"}, ValuesObject: json.RawMessage(`{"image":{"tag":"1","name":"web"}}`),
	}}
	for _, tt := range []struct {
		name       string
		all, own   string
		want       string // the source as JSON
		code, text string
	}{
		{name: "none", want: `{"repoURL":"","path":"app","helm":{"valueFiles":["a.yaml"],"releaseName":"web","valuesObject":{"image":{"tag":"1","name":"web"}}}}`},
		{name: "comments only", all: "# nothing\n", want: `{"repoURL":"","path":"app","helm":{"valueFiles":["a.yaml"],"releaseName":"web","valuesObject":{"image":{"tag":"1","name":"web"}}}}`},
		{name: "merge", all: "helm:\n  releaseName: api\n  valuesObject: {image: {tag: \"2\"}}\n", want: `{"repoURL":"","path":"app","helm":{"valueFiles":["a.yaml"],"releaseName":"api","valuesObject":{"image":{"name":"web","tag":"2"}}}}`},
		{name: "lists are replaced", all: "helm: {valueFiles: [b.yaml, c.yaml], valuesObject: null}", want: `{"repoURL":"","path":"app","helm":{"valueFiles":["b.yaml","c.yaml"],"releaseName":"web"}}`},
		{name: "the application's own comes last", all: "helm: {releaseName: one}", own: "helm: {releaseName: two}", want: `{"repoURL":"","path":"app","helm":{"valueFiles":["a.yaml"],"releaseName":"two","valuesObject":{"image":{"name":"web","tag":"1"}}}}`},
		{name: "where the source is stays", all: "repoURL: https://evil.example.com\npath: ../other\ntargetRevision: x\nchart: c\nref: r\nname: nn\ntagPrefix: p\nhelm: {valueFiles: null, valuesObject: null}", want: `{"repoURL":"","path":"app","helm":{"releaseName":"web"}}`},
		{name: "another tool", all: "helm: null\nkustomize: {namePrefix: x-}", want: `{"repoURL":"","path":"app","kustomize":{"namePrefix":"x-"}}`},
		{name: "unknown field", all: "helm: {valuesFiles: [b.yaml]}", code: "unknown_field", text: `app/.argocd-source.yaml: unknown field helm.valuesFiles; did you mean "valueFiles"?`},
		{name: "unknown field of the own file", own: "kustomise: {}", code: "unknown_field", text: `app/.argocd-source-web.yaml: unknown field kustomise; did you mean "kustomize"?`},
		{name: "wrong type", all: "helm: {releaseName: [a]}", code: "type_mismatch", text: "app/.argocd-source.yaml: helm.releaseName must be a string"},
		{name: "no YAML", all: "helm: {", code: "yaml_invalid", text: "app/.argocd-source.yaml: "},
		{name: "no mapping", all: "[a]", code: "type_mismatch", text: "app/.argocd-source.yaml: "},
		{name: "two documents", all: "helm: {}\n---\nhelm: {}", code: "too_many_documents", text: "app/.argocd-source.yaml: "},
		{name: "bomb", all: "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]", code: "*", text: "app/.argocd-source.yaml: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := override(src, &overriding{Memory: workspace.Memory{Values: map[string]string{workspace.AppName: "web"}}, texts: [2]string{tt.all, tt.own}})
			if tt.code != "" {
				if e := fault.As(err); e == nil || tt.code != "*" && e.Code != tt.code || e.Kind != fault.Unprocessable || !strings.HasPrefix(e.Message, tt.text) || len(e.Message) > 300 {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(got)
			if err != nil || string(text) != tt.want {
				t.Errorf("got  %s\nwant %s %v", text, tt.want, err)
			}
		})
	}
}
