package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/agent/veto"
	"github.com/hawser-dev/hawser/hub/plugin"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// documents divides a text at its lines "---".
var documents = regexp.MustCompile(`(?m)^---\n`)

// templated is what only a template engine can read.
var templated = regexp.MustCompile(`\{\{`)

// chartFile is the beginning of a document that is a file of a chart, as its first
// line says.
var chartFile = regexp.MustCompile(`^# \S+/(Chart\.yaml|values\.yaml|templates/\S+)\n`)

func yamls(t *testing.T, b block) {
	for _, text := range documents.Split(b.text, -1) {
		if err := readYAML(t, b.page, text); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
}

// readYAML reads a document as what it is, strictly.
func readYAML(t *testing.T, page, text string) error {
	if name, ok := strings.CutPrefix(text, "# values of charts/"); ok {
		name, values, _ := strings.Cut(name, "\n")
		return chartValues(t, name, values)
	}
	if m := chartFile.FindStringSubmatch(text); m != nil {
		if strings.HasPrefix(m[1], "templates/") {
			return nil // rendered: TestOfflineRenders
		}
		return yaml.Unmarshal([]byte(text), &map[string]any{})
	}
	if templated.MatchString(text) {
		return fmt.Errorf("a template that is not said to be a file of a chart")
	}
	var head struct {
		APIVersion, Kind string
		Spec             map[string]any
		Source           map[string]any
		Sources          []any
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		return err
	}
	switch {
	case page == "docs/veto.md" && head.Kind == "":
		_, err := veto.Parse([]byte(text))
		return err
	case page == "docs/jinja.md" && head.Spec == nil:
		return nil // the variables that hub/render/jinja writes there
	case head.Kind == model.KindApplication:
		_, err := decode.Application([]byte(text))
		return err
	case head.Kind == model.KindAppProject:
		_, err := decode.Project([]byte(text))
		return err
	case head.Kind == "ConfigManagementPlugin":
		_, err := plugin.ParseDefinition([]byte(text))
		return err
	case head.Kind == "ConfigMap":
		var c corev1.ConfigMap
		if err := yaml.UnmarshalStrict([]byte(text), &c); err != nil {
			return err
		}
		if policy, ok := c.Data["policy.yaml"]; ok {
			_, err := veto.Parse([]byte(policy))
			return err
		}
		return nil
	case head.Kind != "":
		return fmt.Errorf("nothing checks a %s", head.Kind)
	case head.Spec["containers"] != nil:
		return yaml.UnmarshalStrict([]byte(text), &corev1.PodTemplateSpec{})
	case head.Spec != nil:
		// Part of an Application or of a project; one of them takes it.
		asApp := yaml.UnmarshalStrict([]byte(text), &struct{ Spec model.ApplicationSpec }{})
		if asApp == nil {
			return nil
		}
		asProject := yaml.UnmarshalStrict([]byte(text), &struct{ Spec model.AppProjectSpec }{})
		if asProject == nil {
			return nil
		}
		return fmt.Errorf("neither an Application's (%w) nor a project's (%w)", asApp, asProject)
	case head.Source != nil, head.Sources != nil:
		return yaml.UnmarshalStrict([]byte(text), &model.ApplicationSpec{})
	}
	return fmt.Errorf("nothing tells of which type this is")
}

// chartValues are checked by the chart's schema. e2e/charts renders them.
func chartValues(t *testing.T, name, text string) error {
	chart, err := loader.Load(filepath.Join(root(t), "charts", name))
	if err != nil {
		return err
	}
	values, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		return err
	}
	all, err := chartutil.CoalesceValues(chart, values)
	if err != nil {
		return err
	}
	return chartutil.ValidateAgainstSchema(chart, all)
}

func jsonLines(t *testing.T, b block) {
	for line := range strings.Lines(b.text) {
		if line := bytes.TrimSpace([]byte(line)); len(line) > 0 && !json.Valid(line) {
			t.Errorf("no JSON: %s", line)
		}
	}
}
