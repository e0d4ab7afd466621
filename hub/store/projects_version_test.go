package store

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestAProjectIsStoredOverTheVersionThatIsMeant(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	p := model.AppProject{APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: "team"}}
	first, err := b.UpsertProject(ctx, p, "ann")
	must(t, err)
	p.Spec.Description = "two"
	second, err := b.UpsertProjectOver(ctx, p, "ann", first.Metadata.Generation)
	must(t, err)
	if second.Metadata.ResourceVersion == first.Metadata.ResourceVersion {
		t.Error("a change has the old version")
	}
	p.Spec.Description = "three"
	_, err = b.UpsertProjectOver(ctx, p, "ann", first.Metadata.Generation)
	wantCode(t, err, fault.Conflict, "version_conflict")
	p.Metadata.Name = "none"
	_, err = b.UpsertProjectOver(ctx, p, "ann", 1)
	wantCode(t, err, fault.Conflict, "version_conflict")
}
