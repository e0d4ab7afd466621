package importer

import (
	"fmt"
	"maps"
	"testing"
)

func TestApplicationsOfAnotherArgoCDAreLeftOut(t *testing.T) {
	object := func(kind, namespace string) string {
		return fmt.Sprintf("{apiVersion: argoproj.io/v1alpha1, kind: %s, metadata: {name: a, namespace: %s}}", kind, namespace)
	}
	all := []string{object("Application", "argocd"), object("Application", "team-a"), object("Application", "argocd-two"), object("ApplicationSet", "team-a"), object("AppProject", "argocd")}
	for name, c := range map[string]struct {
		params map[string]string
		left   map[string]int
	}{
		"only its own":            {nil, map[string]int{"team-a": 2, "argocd-two": 1}},
		"no patterns":             {map[string]string{"application.namespaces": " , "}, map[string]int{"team-a": 2, "argocd-two": 1}},
		"patterns":                {map[string]string{"application.namespaces": "x, team-*"}, map[string]int{"team-a": 1, "argocd-two": 1}},
		"for sets too":            {map[string]string{"application.namespaces": "team-*", "applicationsetcontroller.namespaces": "team-a"}, map[string]int{"argocd-two": 1}},
		"all":                     {map[string]string{"application.namespaces": "*", "applicationsetcontroller.namespaces": "*"}, map[string]int{}},
		"a regular expression":    {map[string]string{"application.namespaces": "/^((?!x).)*$/"}, map[string]int{"team-a": 1}},
		"what is no pattern":      {map[string]string{"application.namespaces": "[a"}, map[string]int{"team-a": 1}},
		"alternatives of pattern": {map[string]string{"application.namespaces": "{a,b}"}, map[string]int{"team-a": 1}},
	} {
		texts := all
		if c.params != nil {
			texts = append([]string{manifestOf(t, "argocd-cmd-params-cm", c.params)}, all...)
		}
		objects := parse(t, texts...)
		managed, left := Managed(objects, "argocd")
		n := 0
		for _, x := range left {
			n += x
		}
		if !maps.Equal(left, c.left) || len(managed)+n != len(objects) {
			t.Errorf("%s: left out %v, %d of %d taken", name, left, len(managed), len(objects))
		}
	}
}
