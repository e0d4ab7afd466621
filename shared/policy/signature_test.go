package policy

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func integrity(policies ...model.GitIntegrityPolicy) model.AppProjectSpec {
	return model.AppProjectSpec{SourceIntegrity: &model.SourceIntegrity{Git: &model.GitIntegrity{Policies: policies}}}
}

func demand(mode string, repos ...string) model.GitIntegrityPolicy {
	p := model.GitIntegrityPolicy{GPG: &model.GitIntegrityGPG{Mode: mode, Keys: []string{"4AEE18F83AFDEB23"}}}
	for _, r := range repos {
		p.Repos = append(p.Repos, model.GitIntegrityRepo{URL: r})
	}
	return p
}

func TestSignatureRuleOfARepository(t *testing.T) {
	const repo = "https://git.example.com/team/app.git"
	legacy := model.AppProjectSpec{SignatureKeys: []model.SignatureKey{{KeyID: "4AEE18F83AFDEB23"}}}
	empty := legacy
	empty.SourceIntegrity = &model.SourceIntegrity{Git: &model.GitIntegrity{}}
	both := legacy
	both.SourceIntegrity = integrity(demand("strict", "*")).SourceIntegrity
	nothing := model.GitIntegrityPolicy{Repos: []model.GitIntegrityRepo{{URL: "*"}}}
	for name, c := range map[string]struct {
		spec model.AppProjectSpec
		repo string
		mode SignatureMode
		code string
	}{
		"no rules":                            {model.AppProjectSpec{}, repo, SignatureNone, ""},
		"legacy keys mean head":               {legacy, repo, SignatureHead, ""},
		"empty policies do not undo the keys": {empty, repo, SignatureHead, ""},
		"policies replace the keys":           {both, repo, SignatureStrict, ""},
		"star crosses slashes":                {integrity(demand("head", "https://git.example.com/*")), repo, SignatureHead, ""},
		"no match":                            {integrity(demand("head", "https://other/*")), repo, SignatureNone, ""},
		"excluded":                            {integrity(demand("head", "*", "!*/team/*")), repo, SignatureNone, ""},
		"excluded wherever it stands":         {integrity(demand("head", "!*/team/*", "*")), repo, SignatureNone, ""},
		"an exclusion alone includes nothing": {integrity(demand("head", "!*/other/*")), repo, SignatureNone, ""},
		"mode none":                           {integrity(demand("none", "*")), repo, SignatureNone, ""},
		"a policy without gpg":                {integrity(nothing), repo, SignatureNone, ""},
		"unknown mode":                        {integrity(demand("full", "*")), repo, "", CodeSignaturePolicy},
		"empty mode":                          {integrity(demand("", "*")), repo, "", CodeSignaturePolicy},
		"two policies":                        {integrity(demand("head", "*"), demand("none", "*/team/*")), repo, "", CodeSignaturePolicy},
		"two apart by an exclusion":           {integrity(demand("head", "*", "!*/team/*"), demand("strict", "*/team/*")), repo, SignatureStrict, ""},
		"another spelling: without .git":      {integrity(demand("head", "https://git.example.com/team/app.git")), "https://git.example.com/team/app", SignatureHead, ""},
		"another spelling: capitals":          {integrity(demand("head", "https://git.example.com/*")), "https://GIT.example.com/Team/App", SignatureHead, ""},
		"another spelling: a user":            {integrity(demand("head", "https://git.example.com/team/*")), "https://me@git.example.com/team/app", SignatureHead, ""},
		"another spelling: the usual port":    {integrity(demand("head", "https://git.example.com/team/*")), "https://git.example.com:443/team/app", SignatureHead, ""},
		"another spelling: slashes and dots":  {integrity(demand("head", "https://git.example.com/team/*")), "https://git.example.com//x/../team/./app/", SignatureHead, ""},
		"another spelling: scp":               {integrity(demand("head", "ssh://git@git.example.com/team/*")), "git@git.example.com:team/app.git", SignatureHead, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rule, refusal := SignatureRuleFor(Project{Name: "p", Spec: c.spec}, c.repo)
			switch {
			case c.code == "" && refusal != nil:
				t.Errorf("refused: %+v", refusal)
			case c.code != "" && (refusal == nil || refusal.Code != c.code):
				t.Errorf("want %s, got %+v", c.code, refusal)
			case rule.Mode != c.mode:
				t.Errorf("mode %q, want %q", rule.Mode, c.mode)
			}
		})
	}
}

func TestM06_CheckSignature(t *testing.T) {
	good := SignatureFact{Object: strings.Repeat("a", 40), State: SignatureGood, KeyID: "1111111111111111", PrimaryKeyID: "4AEE18F83AFDEB23", Signer: "Ann"}
	of := func(mode SignatureMode, facts ...SignatureFact) SignatureFacts {
		return SignatureFacts{RepoURL: "https://r", Commit: strings.Repeat("a", 40), Mode: mode, Signatures: facts, Examined: len(facts)}
	}
	state := func(s SignatureState) SignatureFact {
		f := good
		f.State = s
		return f
	}
	stranger := good
	stranger.PrimaryKeyID = "2222222222222222"
	long := of(SignatureStrict, good)
	long.Bound = 10
	trusted := []string{"4aee18f83afdeb23"}
	for name, c := range map[string]struct {
		mode  SignatureMode
		keys  []string
		facts SignatureFacts
		code  string
	}{
		"nothing demanded":            {SignatureNone, nil, SignatureFacts{}, ""},
		"good, by the primary key":    {SignatureHead, trusted, of(SignatureHead, good), ""},
		"good, by the subkey":         {SignatureHead, []string{"1111111111111111"}, of(SignatureHead, good), ""},
		"good, by a fingerprint":      {SignatureHead, []string{"000000000000000000000000" + "4AEE18F83AFDEB23"}, of(SignatureHead, good), ""},
		"short ids list nothing":      {SignatureHead, []string{"3AFDEB23"}, of(SignatureHead, good), CodeSignatureUntrusted},
		"no keys trust nobody":        {SignatureHead, nil, of(SignatureHead, good), CodeSignatureUntrusted},
		"another key":                 {SignatureHead, trusted, of(SignatureHead, stranger), CodeSignatureUntrusted},
		"unsigned":                    {SignatureHead, trusted, of(SignatureHead, state(SignatureUnsigned)), CodeSignatureMissing},
		"unknown key":                 {SignatureHead, trusted, of(SignatureHead, state(SignatureUnknownKey)), CodeSignatureUntrusted},
		"expired key":                 {SignatureHead, trusted, of(SignatureHead, state(SignatureExpiredKey)), CodeSignatureKeyExpired},
		"revoked key":                 {SignatureHead, trusted, of(SignatureHead, state(SignatureRevokedKey)), CodeSignatureKeyRevoked},
		"expired signature":           {SignatureHead, trusted, of(SignatureHead, state(SignatureExpired)), CodeSignatureExpired},
		"bad":                         {SignatureHead, trusted, of(SignatureHead, state(SignatureBad)), CodeSignatureBad},
		"of SSH":                      {SignatureHead, trusted, of(SignatureHead, state(SignatureUnsupported)), CodeSignatureUnsupported},
		"malformed":                   {SignatureHead, trusted, of(SignatureHead, state(SignatureMalformed)), CodeSignatureMalformed},
		"a state that is not known":   {SignatureHead, trusted, of(SignatureHead, state("")), CodeSignatureBad},
		"no facts":                    {SignatureHead, trusted, SignatureFacts{}, CodeSignatureUnknown},
		"strict needs strict facts":   {SignatureStrict, trusted, of(SignatureHead, good), CodeSignatureUnknown},
		"strict":                      {SignatureStrict, trusted, of(SignatureStrict, good), ""},
		"strict facts do for head":    {SignatureHead, trusted, of(SignatureStrict, good), ""},
		"one of many is unsigned":     {SignatureStrict, trusted, of(SignatureStrict, good, state(SignatureUnsigned)), CodeSignatureMissing},
		"history beyond the bound":    {SignatureStrict, trusted, long, CodeSignatureHistory},
		"empty key ids match nothing": {SignatureHead, []string{""}, of(SignatureHead, SignatureFact{Object: "a", State: SignatureGood}), CodeSignatureUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			d := CheckSignature(Project{Name: "p"}, SignatureRule{Mode: c.mode, Keys: c.keys, Name: "r"}, c.facts)
			switch {
			case c.code == "" && (!d.Allowed || d.Refused > 0):
				t.Errorf("refused: %+v", d)
			case c.code != "" && (d.Allowed || len(d.Refusals) == 0 || d.Refusals[0].Code != c.code || d.Refusals[0].Fix == ""):
				t.Errorf("want %s: %+v", c.code, d)
			}
		})
	}
}
