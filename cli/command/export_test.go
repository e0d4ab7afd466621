package command

import (
	"strings"
	"testing"
)

func TestAnExportForArgoCDSaysWhatIsLost(t *testing.T) {
	all := everything()
	all["GET /projects"] = answer{200, `{"items":[{"apiVersion":"hawser.dev/v1alpha1","kind":"AppProject","metadata":{"name":"tight"},
"spec":{"sourceRepos":["https://git/*"],"sourceRepoBlacklist":["https://git/secret"],"limits":{"maxApplications":5}}}]` + asOf}
	newHubOf(t, all)
	const lost = "warning: AppProject tight: spec.sourceRepoBlacklist: what it denies Argo CD allows; "
	for args, says := range map[string]bool{"export --kind projects": false, "export --kind projects --format argocd": true, "export --kind projects --format argocd -o json": true} {
		r := run(t, "", strings.Fields(args)...)
		if r.code != 0 || strings.Contains(r.err, lost) != says || strings.Contains(r.err, "spec.limits") != says || strings.Contains(r.out, "warning") || strings.Contains(r.out, "sourceRepoBlacklist") == says {
			t.Errorf("%s: exit status %d\n%s%s", args, r.code, r.out, r.err)
		}
	}
}

// What an import takes of the settings an export writes.
func TestAnExportHasEverySetting(t *testing.T) {
	newHubOf(t, everything())
	r := run(t, "", "export", "--kind", "settings")
	for _, want := range []string{"name: argocd-cm\n", "name: argocd-rbac-cm\n", "policy.default: role:readonly", "name: argocd-gpg-keys-cm\n", "B5690EEEBB952194: "} {
		if r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("%q is missing (exit status %d): %s%s", want, r.code, r.out, r.err)
		}
	}
}
