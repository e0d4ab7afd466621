package health

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestAggregate(t *testing.T) {
	item := func(name string, h model.Health) Item {
		return Item{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: name}, Health: model.HealthFacet{Status: h}}
	}
	child := func(name string, h model.Health) Item {
		return Item{Key: model.ObjectKey{Group: "argoproj.io", Kind: "Application", Namespace: "argocd", Name: name}, Health: model.HealthFacet{Status: h}}
	}
	ignored := func(it Item) Item { it.Ignored = true; return it }
	for name, c := range map[string]struct {
		items   []Item
		want    model.Health
		message string
		causes  string
	}{
		"nothing":                         {nil, "Healthy", "", ""},
		"all well":                        {[]Item{item("a", "Healthy"), item("b", "Healthy")}, "Healthy", "", ""},
		"worst is named":                  {[]Item{item("a", "Healthy"), item("b", "Degraded"), item("c", "Progressing")}, "Degraded", "ConfigMap shop/b", "b"},
		"how many more":                   {[]Item{item("a", "Degraded"), item("b", "Degraded"), item("c", "Degraded")}, "Degraded", "ConfigMap shop/a (and 2 more)", "a b c"},
		"suspended":                       {[]Item{item("a", "Healthy"), item("b", "Suspended")}, "Suspended", "ConfigMap shop/b", "b"},
		"progressing beats it":            {[]Item{item("a", "Suspended"), item("b", "Progressing")}, "Progressing", "ConfigMap shop/b", "b"},
		"one missing":                     {[]Item{item("a", "Missing"), item("b", "Healthy")}, "Healthy", "", ""},
		"missing beside degraded":         {[]Item{item("a", "Missing"), item("b", "Degraded")}, "Degraded", "ConfigMap shop/b", "b"},
		"all missing":                     {[]Item{item("a", "Missing"), item("b", "Missing")}, "Missing", "none of the objects exists in the cluster", "a b"},
		"an ignored object exists":        {[]Item{item("a", "Missing"), ignored(item("b", "Healthy")), item("c", "Missing")}, "Healthy", "", ""},
		"an object without health exists": {[]Item{item("a", "Missing"), item("c", "")}, "Healthy", "", ""},
		"unknown is worst":                {[]Item{item("a", "Degraded"), item("b", "Unknown")}, "Unknown", "ConfigMap shop/b", "b"},
		"ignored":                         {[]Item{ignored(item("a", "Degraded")), item("b", "Healthy")}, "Healthy", "", ""},
		"only ignored":                    {[]Item{ignored(item("a", "Degraded"))}, "Healthy", "", ""},
		"without health":                  {[]Item{item("a", ""), item("b", "Progressing")}, "Progressing", "ConfigMap shop/b", "b"},
		"children that are unknown":       {[]Item{child("x", "Unknown"), child("y", "Missing"), item("b", "Healthy")}, "Healthy", "", ""},
		"children that are not well":      {[]Item{child("x", "Degraded"), child("y", "Unknown"), item("b", "Healthy")}, "Degraded", "argoproj.io/Application argocd/x", "x"},
		"no child exists":                 {[]Item{child("x", "Missing"), child("y", "Missing")}, "Missing", "none of the objects exists in the cluster", "x y"},
	} {
		t.Run(name, func(t *testing.T) {
			got, causes := Aggregate(c.items)
			var names []string
			for _, cause := range causes {
				names = append(names, cause.Name)
				if cause.Status != got.Status {
					t.Errorf("cause %s is %s", cause.Name, cause.Status)
				}
			}
			if got.Status != c.want || got.Message != c.message || strings.Join(names, " ") != c.causes {
				t.Errorf("got %s %q because of %v, want %s %q because of %s", got.Status, got.Message, names, c.want, c.message, c.causes)
			}
		})
	}
}

func TestCausesAreFew(t *testing.T) {
	since := time.Unix(1000, 0)
	var items []Item
	for i := range 25 {
		items = append(items, Item{
			Key:    model.ObjectKey{Kind: "Pod", Namespace: "shop", Name: fmt.Sprintf("p%02d", i)},
			Health: model.HealthFacet{Status: "Degraded", Message: "container a: ErrImagePull", Since: &since},
		})
	}
	got, causes := Aggregate(items)
	if len(causes) != maxCauses || causes[9].Name != "p09" || causes[0].Message != "container a: ErrImagePull" {
		t.Errorf("%d causes: %+v", len(causes), causes)
	}
	if got.Message != "Pod shop/p00: container a: ErrImagePull (and 24 more)" || got.Since == nil || !got.Since.Equal(since) {
		t.Errorf("%+v", got)
	}
}

func TestIsSelf(t *testing.T) {
	for key, want := range map[model.ObjectKey]bool{
		{Group: "argoproj.io", Kind: "Application", Namespace: "argocd", Name: "shop"}: true,
		{Group: "argoproj.io", Kind: "Application", Namespace: "argocd", Name: "blog"}: false,
		{Group: "argoproj.io", Kind: "AppProject", Namespace: "argocd", Name: "shop"}:  false,
		{Group: "app.k8s.io", Kind: "Application", Namespace: "shop", Name: "shop"}:    false,
	} {
		if IsSelf("shop", key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
}

func TestEvaluator(t *testing.T) {
	widget := model.GroupKind{Group: "example.com", Kind: "Widget"}
	obj := func() map[string]any {
		return map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "w"}}
	}
	answer := func(h model.Health, ok bool) Override {
		return func(model.GroupKind, map[string]any) (model.HealthFacet, bool) {
			at := time.Now()
			return model.HealthFacet{Status: h, Message: "script", Since: &at}, ok
		}
	}
	gone := obj()
	gone["metadata"].(map[string]any)["deletionTimestamp"] = "2026-11-23T00:00:00Z"
	for name, c := range map[string]struct {
		override Override
		obj      map[string]any
		want     model.Health
		message  string
	}{
		"none":                            {nil, obj(), "Healthy", ""},
		"it wins":                         {answer("Suspended", true), obj(), "Suspended", "script"},
		"it has nothing to say":           {answer("Degraded", false), obj(), "Healthy", ""},
		"no health":                       {answer("Splendid", true), obj(), "Unknown", `answers status "Splendid"`},
		"empty":                           {answer("", true), obj(), "Unknown", `answers status ""`},
		"being deleted":                   {answer("Healthy", true), gone, "Progressing", "pending deletion"},
		"being deleted, and it knows why": {answer("Degraded", true), gone, "Degraded", "script"},
		"panic":                           {func(model.GroupKind, map[string]any) (model.HealthFacet, bool) { panic("boom") }, obj(), "Unknown", "the health script of example.com/Widget failed: boom"},
		"a long story": {func(model.GroupKind, map[string]any) (model.HealthFacet, bool) {
			return model.HealthFacet{Status: "Degraded", Message: strings.Repeat("x", 10*maxMessage)}, true
		}, obj(), "Degraded", "xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Evaluator{Override: c.override}.Of(widget, c.obj)
			if got.Status != c.want || !strings.Contains(got.Message, c.message) || got.Since != nil || len(got.Message) > maxMessage+8 {
				t.Errorf("got %+v, want %s %q", got, c.want, c.message)
			}
		})
	}
}

func TestOverridesOfKinds(t *testing.T) {
	only := func(gk model.GroupKind, obj map[string]any) (model.HealthFacet, bool) {
		return model.HealthFacet{Status: "Healthy", Message: obj["kind"].(string)}, gk.Kind == "Widget"
	}
	for _, c := range []struct {
		e    Evaluator
		kind string
		want bool
	}{
		{Evaluator{}, "Widget", false},
		{Evaluator{Override: judgeNothing}, "Widget", false},
		{Evaluator{Override: only}, "Widget", true}, // it panics, and so it is asked about each object
	} {
		if got := c.e.Overrides(model.GroupKind{Kind: c.kind}); got != c.want {
			t.Errorf("%s: %v", c.kind, got)
		}
	}
}

func judgeNothing(model.GroupKind, map[string]any) (model.HealthFacet, bool) {
	return model.HealthFacet{}, false
}
