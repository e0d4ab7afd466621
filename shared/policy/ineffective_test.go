package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestWhatHasNoEffectIsAWarning(t *testing.T) {
	keys := []model.SignatureKey{{KeyID: "D56C4FCA57A46444"}}
	git := func(policies ...model.GitIntegrityPolicy) *model.SourceIntegrity {
		return &model.SourceIntegrity{Git: &model.GitIntegrity{Policies: policies}}
	}
	for _, c := range []struct {
		name string
		spec model.AppProjectSpec
		want []string // beginnings
	}{
		{"nothing", model.AppProjectSpec{}, nil},
		{"keys alone", model.AppProjectSpec{SignatureKeys: keys}, nil},
		{"policies alone", model.AppProjectSpec{SourceIntegrity: git(model.GitIntegrityPolicy{})}, nil},
		{"keys, and no policy", model.AppProjectSpec{SignatureKeys: keys, SourceIntegrity: git()}, nil},
		{"keys, and nothing about Git", model.AppProjectSpec{SignatureKeys: keys, SourceIntegrity: &model.SourceIntegrity{}}, nil},
		{"both", model.AppProjectSpec{SignatureKeys: keys, SourceIntegrity: git(model.GitIntegrityPolicy{})}, []string{"spec.signatureKeys: "}},
		{"orphans", model.AppProjectSpec{OrphanedResources: &model.OrphanedResources{Ignore: []model.KindRule{{Kind: "Secret"}, {Group: "apps"}}}}, nil},
		{"an ignore rule that says nothing", model.AppProjectSpec{OrphanedResources: &model.OrphanedResources{Ignore: []model.KindRule{{Kind: "Secret"}, {}}}}, []string{"spec.orphanedResources.ignore[1]: "}},
	} {
		got := ineffective(c.spec)
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: got %q", c.name, got)
		}
		if warnings := Warnings(c.spec); len(warnings) != len(got) {
			t.Errorf("%s: the preview says %q", c.name, warnings)
		}
	}
}
