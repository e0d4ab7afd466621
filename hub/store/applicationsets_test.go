package store

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func aSet(name, project string) model.ApplicationSet {
	set := model.ApplicationSet{APIVersion: model.APIVersionArgo, Kind: model.KindApplicationSet, Metadata: model.ObjectMeta{Name: name, Labels: map[string]string{"a": "b"}}}
	set.Spec.Generators = []model.SetGenerator{{List: json.RawMessage(`{"elements":[{"b":1,"a":[true,null]}]}`)}}
	set.Spec.Template.Metadata.Name = "{{name}}"
	set.Spec.Template.Spec.Project = project
	return set
}

func TestApplicationSetsAreKeptAsWritten(t *testing.T) {
	b := setup(t)
	must(t, second(b.UpsertProject(b.ctx(), model.AppProject{Metadata: model.ObjectMeta{Name: "shop"}}, "ann")))
	written := aSet("web", "shop")
	stored, created, err := b.UpsertApplicationSet(b.ctx(), written, 0)
	must(t, err)
	if !created || stored.Metadata.Generation != 1 || stored.Metadata.ResourceVersion != "1" || stored.Metadata.CreationTimestamp == nil {
		t.Errorf("%v %+v", created, stored.Metadata)
	}
	if !reflect.DeepEqual(stored.Spec, written.Spec) || string(stored.Spec.Generators[0].List) != string(written.Spec.Generators[0].List) {
		t.Errorf("got %+v", stored.Spec)
	}
	again, created, err := b.UpsertApplicationSet(b.ctx(), stored, 1)
	must(t, err)
	if created || again.Metadata.Generation != 1 {
		t.Errorf("the same again: %v %+v", created, again.Metadata)
	}
	written.Spec.GoTemplate = true
	again, _, err = b.UpsertApplicationSet(b.ctx(), written, 1)
	must(t, err)
	if again.Metadata.Generation != 2 {
		t.Errorf("got %+v", again.Metadata)
	}
	_, _, err = b.UpsertApplicationSet(b.ctx(), written, 1)
	wantCode(t, err, fault.Conflict, "version_conflict")
	_, _, err = b.UpsertApplicationSet(b.ctx(), aSet("new", "shop"), 1)
	wantCode(t, err, fault.Conflict, "version_conflict")
	_, _, err = b.UpsertApplicationSet(b.ctx(), aSet("lost", "nowhere"), 0)
	wantCode(t, err, fault.Invalid, "project_unknown")
	_, created, err = b.UpsertApplicationSet(b.ctx(), aSet("all", "{{project}}"), 0)
	must(t, err)
	sets, err := b.ApplicationSets(b.ctx())
	must(t, err)
	if !created || len(sets) != 2 || sets[0].Metadata.Name != "all" {
		t.Errorf("got %+v", sets)
	}
	wantCode(t, b.DeleteProject(b.ctx(), "shop", 0), fault.Precondition, "project_in_use")
	wantCode(t, b.DeleteApplicationSet(b.ctx(), "web", 1), fault.Conflict, "version_conflict")
	must(t, b.DeleteApplicationSet(b.ctx(), "web", 2))
	wantCode(t, b.DeleteApplicationSet(b.ctx(), "web", 0), fault.NotFound, "applicationset_not_found")
	_, err = b.ApplicationSet(b.ctx(), "web")
	wantCode(t, err, fault.NotFound, "applicationset_not_found")
	must(t, b.DeleteProject(b.ctx(), "shop", 0))
}

func second[T any](_ T, err error) error { return err }
