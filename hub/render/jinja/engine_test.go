package jinja

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// files of a test, by path.
type files map[string]string

func testWorkspace(f files) (*workspace.Workspace, *workspace.Memory) {
	host := &workspace.Memory{
		Trees: map[string]map[string]string{"": f},
		Values: map[string]string{
			workspace.AppName: "web", workspace.AppProject: "shop", workspace.AppNamespace: "shop-prod", workspace.AppRevision: "0123456789abcdef",
			workspace.AppRevisionShort: "0123456", workspace.DestinationNamespace: "shop-prod", workspace.AppSourcePath: "app",
		},
	}
	return &workspace.Workspace{Host: host, Dir: "app", Source: model.Source{Path: "app"}, Limits: workspace.DefaultLimits()}, host
}

// execute renders app/t.j2, which f has, with variables in YAML.
func execute(w *workspace.Workspace, values string) (string, error) {
	vars := newDict()
	if err := add(vars, "values", []byte(values), manifest.Limits{}); err != nil {
		return "", err
	}
	m, err := newMachine(w, vars)
	if err != nil {
		return "", err
	}
	u, err := m.unit("app/t.j2")
	if err != nil {
		return "", err
	}
	out, _, err := m.render(u, 1<<20)
	return out, err
}

// run renders a template with the variables that all cases share.
func run(template string, others files) (string, error) {
	f := files{"app/t.j2": template}
	for name, text := range others {
		f["app/"+name] = text
	}
	w, _ := testWorkspace(f)
	return execute(w, caseValues)
}

// refused runs a template that must end in an error of a code.
func refused(t *testing.T, template string, others files, code, message string) *fault.Error {
	t.Helper()
	out, err := run(template, others)
	e := fault.As(err)
	if e == nil {
		t.Errorf("%.300s\nput out %.300q", template, out)
		return &fault.Error{}
	}
	if e.Code != code || e.Kind != fault.Unprocessable || !strings.Contains(e.Message, message) {
		t.Errorf("%.300s\n%s %s: %s\nwant %s: %s", template, e.Kind, e.Code, e.Message, code, message)
	}
	if len(e.Message) > 300 {
		t.Errorf("a message of %d bytes: %s", len(e.Message), e.Message)
	}
	return e
}
