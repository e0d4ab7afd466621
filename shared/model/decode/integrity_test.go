package decode

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/policy"
)

// What the custom resource of Argo CD accepts of sourceIntegrity, and what its
// first versions wrote.
func TestSourceIntegrityAsArgoCDTakesIt(t *testing.T) {
	for name, c := range map[string]struct {
		policies string // in
		stored   string // out
		warns    string
	}{
		"texts":       {`[{repos: ['https://git/*', '!https://git/open'], gpg: {mode: head, keys: [D56C4FCA57A46444]}}]`, `[{"repos":[{"url":"https://git/*"},{"url":"!https://git/open"}],"gpg":{"mode":"head","keys":["D56C4FCA57A46444"]}}]`, ""},
		"objects":     {`[{repos: [{url: 'https://git/*'}], gpg: {mode: strict, keys: [D56C4FCA57A46444]}}]`, `[{"repos":[{"url":"https://git/*"}],"gpg":{"mode":"strict","keys":["D56C4FCA57A46444"]}}]`, ""},
		"both":        {`[{repos: ['a', {url: b}], gpg: {mode: none, keys: []}}]`, `[{"repos":[{"url":"a"},{"url":"b"}],"gpg":{"mode":"none","keys":[]}}]`, ""},
		"no key":      {`[{repos: [{url: '*'}], gpg: {mode: head, keys: []}}]`, `[{"repos":[{"url":"*"}],"gpg":{"mode":"head","keys":[]}}]`, "nobody is trusted"},
		"no repo":     {`[{repos: [], gpg: {mode: head, keys: [D56C4FCA57A46444]}}]`, `[{"repos":[],"gpg":{"mode":"head","keys":["D56C4FCA57A46444"]}}]`, "it is about no repository"},
		"none, alone": {`[{repos: ['*'], gpg: {mode: none}}]`, `[{"repos":[{"url":"*"}],"gpg":{"mode":"none"}}]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Project([]byte("apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: p}\nspec: {sourceIntegrity: {git: {policies: " + c.policies + "}}}\n"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(p.Spec.SourceIntegrity.Git.Policies)
			if err != nil || string(got) != c.stored {
				t.Errorf("%s, %v", got, err)
			}
			warns := policy.Warnings(p.Spec)
			if c.warns == "" && len(warns) > 0 || c.warns != "" && !slices.ContainsFunc(warns, func(w string) bool { return strings.Contains(w, c.warns) }) {
				t.Errorf("%q", warns)
			}
		})
	}
	for _, policies := range []string{`[{repos: [7], gpg: {mode: none}}]`, `[{repos: '*', gpg: {mode: none}}]`, `[{repos: [''], gpg: {mode: none}}]`, `[{repos: ['*']}]`, `[{repos: ['*'], gpg: {mode: head}}]`} {
		if _, err := Project([]byte("apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: p}\nspec: {sourceIntegrity: {git: {policies: " + policies + "}}}\n")); err == nil {
			t.Errorf("%s is accepted", policies)
		}
	}
}
