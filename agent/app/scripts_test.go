package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const healthKey = "resource.customizations.health."

func says(status string) string {
	return "return {status = \"" + status + "\", message = \"by script\"}"
}

func TestOneBadScriptDoesNotTakeTheOthers(t *testing.T) {
	var s scripts
	if _, ok := s.health(model.GroupKind{Kind: "ConfigMap"}, nil); ok {
		t.Error("there is a script before any came")
	}
	_, _, problems := s.use(model.Customizations{
		healthKey + "ConfigMap":                                says("Degraded"),
		healthKey + "apps_Deployment":                          "return (",
		"resource.customizations.actions.apps_StatefulSet":     "definitions: no list",
		"resource.customizations.ignoreDifferences.apps_Other": "jsonPointers: [/spec]",
		"resource.compareoptions":                              "ignoreAggregatedRoles: true",
	})
	var fields []string
	for _, err := range problems {
		fields = append(fields, fault.As(err).Field)
	}
	slices.Sort(fields)
	if want := []string{"resource.customizations.actions.apps_StatefulSet", healthKey + "apps_Deployment"}; !slices.Equal(fields, want) {
		t.Errorf("problems with %v, want %v", fields, want)
	}
	f, ok := s.health(model.GroupKind{Kind: "ConfigMap"}, map[string]any{"kind": "ConfigMap"})
	if !ok || f.Status != model.HealthDegraded || f.Message != "by script" {
		t.Errorf("%v %+v", ok, f)
	}
	if _, ok := s.health(model.GroupKind{Group: "apps", Kind: "Deployment"}, nil); ok {
		t.Error("a script that does not compile is in force")
	}
	if got := s.current.Load().Ignore; len(got) != 1 || got[0].Kind != "Other" {
		t.Errorf("rules %+v", got)
	}
}

func TestWhichKindsAreJudgedAgain(t *testing.T) {
	var s scripts
	for i, step := range []struct {
		data  model.Customizations
		kinds string
		all   bool
	}{
		{model.Customizations{healthKey + "ConfigMap": says("Healthy"), healthKey + "*.crossplane.io_*": says("Healthy")}, "*.crossplane.io/* ConfigMap", false},
		{model.Customizations{healthKey + "ConfigMap": says("Healthy"), healthKey + "*.crossplane.io_*": says("Healthy"), "resource.customizations.ignoreDifferences.all": "jsonPointers: [/a]"}, "", false},
		{model.Customizations{healthKey + "ConfigMap": says("Degraded"), healthKey + "*.crossplane.io_*": says("Healthy")}, "ConfigMap", false},
		// A script that no longer compiles is one that went away.
		{model.Customizations{healthKey + "ConfigMap": "return (", healthKey + "*.crossplane.io_*": says("Healthy")}, "ConfigMap", false},
		{model.Customizations{healthKey + "ConfigMap": "return ((", healthKey + "*.crossplane.io_*": says("Healthy")}, "", false},
		{model.Customizations{"resource.customizations": "apps/Deployment:\n  health.lua: " + says("Healthy")}, "*.crossplane.io/*", true},
		{nil, "", true},
		{nil, "", false},
	} {
		kinds, all, _ := s.use(step.data)
		var got []string
		for _, k := range kinds {
			got = append(got, k.String())
		}
		slices.Sort(got)
		if strings.Join(got, " ") != step.kinds || all != step.all {
			t.Errorf("step %d: %v %v, want %q %v", i, got, all, step.kinds, step.all)
		}
	}
}
