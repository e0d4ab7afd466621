package delivery

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

func TestFilesWithoutASignatureAreRefusedWhereSignaturesAreDemanded(t *testing.T) {
	for name, c := range map[string]struct {
		spec model.AppProjectSpec
		code string
	}{
		"none demanded":    {},
		"keys":             {model.AppProjectSpec{SignatureKeys: []model.SignatureKey{{KeyID: "AA"}}}, "signature_required"},
		"integrity of git": {model.AppProjectSpec{SourceIntegrity: &model.SourceIntegrity{Git: &model.GitIntegrity{Policies: []model.GitIntegrityPolicy{{Repos: []model.GitIntegrityRepo{{URL: "*"}}, GPG: &model.GitIntegrityGPG{Mode: "strict"}}}}}}, "signature_required"},
		"no integrity":     {spec: model.AppProjectSpec{SourceIntegrity: &model.SourceIntegrity{}}},
	} {
		err := permitUnsigned(policy.Project{Spec: c.spec}, "https://git/x")
		if c.code == "" && err != nil || c.code != "" && !fault.HasCode(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
