package policy

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// The codes of refusals about signatures.
const (
	CodeSignatureMissing     = "signature_missing"
	CodeSignatureUntrusted   = "signature_untrusted"
	CodeSignatureBad         = "signature_bad"
	CodeSignatureExpired     = "signature_expired"
	CodeSignatureKeyExpired  = "signature_key_expired"
	CodeSignatureKeyRevoked  = "signature_key_revoked"
	CodeSignatureUnsupported = "signature_unsupported"
	CodeSignatureMalformed   = "signature_malformed"
	CodeSignatureHistory     = "signature_history_too_long"
	CodeSignaturePolicy      = "signature_policy_invalid"
	CodeSignatureUnknown     = "signature_not_verified"
)

// SignatureMode says how much of a repository's history has to be signed.
type SignatureMode string

// The modes.
const (
	SignatureNone SignatureMode = "none"
	// SignatureHead: the target's commit, or the annotated tag that it is.
	SignatureHead SignatureMode = "head"
	// SignatureStrict: all of its ancestry as well, on each line back to the
	// newest commit that seals what is before it.
	SignatureStrict SignatureMode = "strict"
)

// SignatureRule is what a project demands of one Git repository.
type SignatureRule struct {
	Mode SignatureMode
	// Keys are the ids of those who are trusted, as written.
	Keys []string
	// Name is the rule as the project's path to it.
	Name string
}

// Demands reports whether anything has to be verified.
func (r SignatureRule) Demands() bool { return r.Mode != SignatureNone && r.Mode != "" }

// SignatureState is what became of verifying one signature.
type SignatureState string

// The states. Everything but good is a refusal.
const (
	SignatureGood        SignatureState = "good"
	SignatureUnsigned    SignatureState = "unsigned"
	SignatureUnknownKey  SignatureState = "unknown_key" // the hub does not have it
	SignatureExpiredKey  SignatureState = "expired_key"
	SignatureRevokedKey  SignatureState = "revoked_key"
	SignatureExpired     SignatureState = "expired"     // the signature, not its key
	SignatureBad         SignatureState = "bad"         // of other content, or none at all
	SignatureUnsupported SignatureState = "unsupported" // of SSH or X.509
	SignatureMalformed   SignatureState = "malformed"   // the object; Git may read it otherwise
)

// SignatureFact is the signature of one commit or annotated tag. Several that are
// equal but for the object are one fact.
type SignatureFact struct {
	Object string         `json:"object"` // the newest
	Tag    bool           `json:"tag,omitempty"`
	State  SignatureState `json:"state"`
	// KeyID is of the key or subkey that signed, as the signature says; 16
	// hexadecimal digits. PrimaryKeyID is of the key that it belongs to, empty
	// when the hub does not have it.
	KeyID        string `json:"keyId,omitempty"`
	PrimaryKeyID string `json:"primaryKeyId,omitempty"`
	// Signer is the key's owner; Author who wrote the object, as it says.
	Signer string `json:"signer,omitempty"`
	Author string `json:"author,omitempty"`
	Format string `json:"format,omitempty"` // gpg, ssh, x509
	// Objects is how many have it, 0 meaning 1.
	Objects int `json:"objects,omitempty"`
}

// SignatureFacts is what was found out about a revision of a repository.
type SignatureFacts struct {
	RepoURL string
	Commit  string
	// Mode in which it was examined.
	Mode       SignatureMode
	Signatures []SignatureFact
	// Examined is how many objects that was.
	Examined int
	// Bound is set when the history is longer than that and was not walked to
	// its end.
	Bound int
}

// SignatureRuleFor finds what a project demands of a Git repository. Repositories
// that no policy matches need no signature, nor do charts and artifacts. Patterns
// are matched as they are written and "*" crosses "/"; a pattern with a leading
// "!" excludes what it matches from its policy, wherever it stands in the list.
//
// Of several policies that match none is chosen, but everything refused, as Argo
// CD does (its documentation says that the first wins). signatureKeys are the
// policy {repos: ["*"], mode: head} where there are no others.
func SignatureRuleFor(project Project, repoURL string) (SignatureRule, *Refusal) {
	name := quote(project.Name)
	var policies []model.GitIntegrityPolicy
	if si := project.Spec.SourceIntegrity; si != nil && si.Git != nil {
		policies = si.Git.Policies
	}
	if len(policies) == 0 {
		keys := project.Spec.SignatureKeys
		if len(keys) == 0 {
			return SignatureRule{Mode: SignatureNone}, nil
		}
		rule := SignatureRule{Mode: SignatureHead, Name: "signatureKeys"}
		for _, k := range keys {
			rule.Keys = append(rule.Keys, k.KeyID)
		}
		return rule, nil
	}
	found := -1
	for i, p := range policies {
		if !integrityMatches(p.Repos, repoURL) {
			continue
		}
		if found >= 0 {
			return SignatureRule{}, &Refusal{Code: CodeSignaturePolicy, Found: redactURL(repoURL),
				Message: fmt.Sprintf("project %s: sourceIntegrity.git.policies #%d and #%d both match %s, and only one may", name, found+1, i+1, redactURL(repoURL)),
				Fix:     `exclude the repository from one of them with a pattern that begins with "!"`}
		}
		found = i
	}
	if found < 0 || policies[found].GPG == nil {
		return SignatureRule{Mode: SignatureNone}, nil
	}
	gpg := policies[found].GPG
	rule := SignatureRule{Mode: SignatureMode(gpg.Mode), Keys: gpg.Keys, Name: fmt.Sprintf("sourceIntegrity.git.policies #%d", found+1)}
	switch rule.Mode {
	case SignatureNone, SignatureHead, SignatureStrict:
		return rule, nil
	}
	return SignatureRule{}, &Refusal{Code: CodeSignaturePolicy, Found: gpg.Mode, Allowed: "none, head, strict",
		Message: fmt.Sprintf("project %s: the gpg mode of %s is %s; it is none, head or strict", name, rule.Name, quote(cut(gpg.Mode))),
		Fix:     "correct the mode"}
}

// integrityMatches is Argo CD's repoURLMatchesPolicyGlobs. The comparison ignores
// what spellings of one repository differ in, so that no spelling evades a policy.
func integrityMatches(globs []model.GitIntegrityRepo, repoURL string) bool {
	spellings := []string{repoURL, NormaliseRepo(repoURL), bareRepo(repoURL)}
	included := false
	for _, g := range globs {
		text, exclude := strings.CutPrefix(g.URL, "!")
		hit := false
		for _, t := range []string{text, NormaliseRepo(text)} {
			p := newPattern(t, "", nil)
			p.deny = false
			hit = hit || p.hits(spellings...)
		}
		switch {
		case hit && exclude:
			return false
		case hit:
			included = true
		}
	}
	return included
}

// bareRepo is NormaliseRepo without the user, the usual port and what a path may
// have too much.
func bareRepo(repoURL string) string {
	u, err := url.Parse(NormaliseRepo(repoURL))
	if err != nil || u.Host == "" {
		return NormaliseRepo(repoURL)
	}
	host := u.Host
	if usual := map[string]string{"https": ":443", "http": ":80", "ssh": ":22"}[u.Scheme]; usual != "" {
		host = strings.TrimSuffix(host, usual)
	}
	return NormaliseRepo(u.Scheme + "://" + host + path.Clean("/"+u.Path))
}

// CheckSignature decides whether a revision is signed as a rule demands. facts
// have to be of that revision and of a mode that is as strict: no facts, or those
// of a weaker mode, are a refusal.
func CheckSignature(project Project, rule SignatureRule, facts SignatureFacts) Decision {
	const check = RuleSignature
	d := project.decision()
	if !rule.Demands() {
		d.Allowed = true
		d.skip(check, "the project demands no signature of "+redactURL(facts.RepoURL))
		return d
	}
	where := fmt.Sprintf("project %s (%s)", quote(project.Name), rule.Name)
	keys := shortList(rule.Keys)
	refuse := func(code, found, message, fix string) {
		d.fail(check, Refusal{Code: code, Found: found, Message: message, Allowed: keys, NearestRule: rule.Name, Fix: fix})
	}
	if len(facts.Signatures) == 0 || facts.Examined == 0 || rule.Mode == SignatureStrict && facts.Mode != SignatureStrict {
		refuse(CodeSignatureUnknown, "", fmt.Sprintf("%s demands a signature of %s, and it was not verified", where, redactURL(facts.RepoURL)), "try again")
		return d
	}
	for _, f := range facts.Signatures {
		if r := checkSignatureFact(rule, where, f); r != nil {
			refuse(r.Code, r.Found, r.Message, r.Fix)
		}
	}
	if d.Refused == 0 && facts.Bound > 0 {
		refuse(CodeSignatureHistory, "", fmt.Sprintf("%s demands that all history is signed, and that of %s goes on after %d commits", where, shortCommitID(facts.Commit), facts.Bound),
			`review it and seal it with a signed commit that has the trailer "Argocd-gpg-seal: REASON"`)
	}
	if d.Refused == 0 {
		d.Allowed = true
		f := facts.Signatures[0]
		d.pass(check, fmt.Sprintf("%s is signed by %s, which %s trusts", objectLabel(f), keyLabel(f), rule.Name))
	}
	return d
}

// SignatureOf is what is known of the signature of one source of Git.
type SignatureOf struct {
	RepoURL string
	// Facts are nil as long as its revision is not known or was not verified.
	Facts *SignatureFacts
}

// CheckSignatures decides about all sources of Git that an application has, as far
// as anything is known of them: nothing that is known is refused, and what is not
// is said to be decided when it is fetched.
func CheckSignatures(project Project, sources []SignatureOf) Decision {
	d := project.decision()
	failed, open, good := d, "", []Check(nil)
	for _, s := range sources {
		rule, refusal := SignatureRuleFor(project, s.RepoURL)
		switch {
		case refusal != nil:
			failed.fail(RuleSignature, *refusal)
		case !rule.Demands():
		case s.Facts == nil:
			open = fmt.Sprintf("%s demands it of %s (%s); decided for each commit, when it is fetched", rule.Name, redactURL(s.RepoURL), rule.Mode)
		default:
			of := CheckSignature(project, rule, *s.Facts)
			if of.Allowed {
				good = append(good, of.Checks...)
			} else {
				failed = Join(failed, of)
			}
		}
	}
	switch {
	case failed.Refused > 0:
		return failed
	case open != "":
		d.skip(RuleSignature, open)
	case len(good) > 0:
		d.Checks = append(d.Checks, good...)
	default:
		d.pass(RuleSignature, "the project demands none")
	}
	d.Allowed = true
	return d
}

// checkSignatureFact returns nil for a good signature by a trusted key.
func checkSignatureFact(rule SignatureRule, where string, f SignatureFact) *Refusal {
	what := objectLabel(f)
	if f.Objects > 1 {
		what = fmt.Sprintf("%s and %d more", what, f.Objects-1)
	}
	r := &Refusal{Found: f.KeyID, Fix: "sign it with a key that is trusted, or add the key to the hub and to the project"}
	switch f.State {
	case SignatureGood:
		if keyListed(rule.Keys, f.KeyID) || keyListed(rule.Keys, f.PrimaryKeyID) {
			return nil
		}
		r.Code = CodeSignatureUntrusted
		r.Message = fmt.Sprintf("%s does not trust %s, which signed %s", where, keyLabel(f), what)
		r.Fix = "sign it with a key that is trusted, or add " + f.KeyID + " to the keys of " + rule.Name
	case SignatureUnsigned:
		r.Code = CodeSignatureMissing
		r.Message = fmt.Sprintf("%s demands a signature, and %s has none", where, what)
		r.Fix = "sign it (git commit -S, git tag -s) with a key that is trusted"
	case SignatureUnknownKey:
		r.Code = CodeSignatureUntrusted
		r.Message = fmt.Sprintf("%s demands a signature, and the hub does not have the key %s that signed %s", where, f.KeyID, what)
		r.Fix = "add the public key with `hawser gpg add` if it is to be trusted"
	case SignatureExpiredKey:
		r.Code = CodeSignatureKeyExpired
		r.Message = fmt.Sprintf("%s demands a signature, and %s that signed %s has expired", where, keyLabel(f), what)
		r.Fix = "add the key anew with its later end, or sign with another"
	case SignatureRevokedKey:
		r.Code = CodeSignatureKeyRevoked
		r.Message = fmt.Sprintf("%s demands a signature, and %s that signed %s was revoked", where, keyLabel(f), what)
		r.Fix = "sign with another key"
	case SignatureExpired:
		r.Code = CodeSignatureExpired
		r.Message = fmt.Sprintf("%s demands a signature, and that of %s has expired", where, what)
	case SignatureUnsupported:
		r.Code = CodeSignatureUnsupported
		r.Message = fmt.Sprintf("%s demands a GnuPG signature, and that of %s is of another kind (%s)", where, what, f.Format)
		r.Fix = "sign with GnuPG (git config gpg.format openpgp)"
	case SignatureMalformed:
		r.Code = CodeSignatureMalformed
		r.Message = fmt.Sprintf("%s demands a signature, and %s is written such that programs read it differently", where, what)
		r.Fix = "make the commit anew with Git"
	default:
		r.Code = CodeSignatureBad
		r.Message = fmt.Sprintf("%s demands a signature, and that of %s is not of its content", where, what)
	}
	return r
}

// keyListed compares by the last 16 digits, as Argo CD does; entries of other
// lengths than 16 and 40 list nothing.
func keyListed(keys []string, id string) bool {
	id = shortKeyID(id)
	if id == "" {
		return false
	}
	for _, k := range keys {
		if shortKeyID(k) == id {
			return true
		}
	}
	return false
}

// shortKeyID is the id of a key in 16 capital digits, from that or from a
// fingerprint; empty for everything else.
func shortKeyID(k string) string {
	k = strings.ToUpper(strings.TrimPrefix(strings.ReplaceAll(k, " ", ""), "0x"))
	if len(k) != 16 && len(k) != 40 || strings.Trim(k, "0123456789ABCDEF") != "" {
		return ""
	}
	return k[len(k)-16:]
}

// ValidKeyID reports whether something names a key: 16 or 40 hexadecimal digits.
func ValidKeyID(id string) bool { return shortKeyID(id) != "" }

func objectLabel(f SignatureFact) string {
	if f.Tag {
		return "tag " + shortCommitID(f.Object)
	}
	return "commit " + shortCommitID(f.Object)
}

func keyLabel(f SignatureFact) string {
	if f.Signer == "" {
		return "key " + f.KeyID
	}
	return fmt.Sprintf("key %s of %s", f.KeyID, cut(f.Signer))
}

func shortCommitID(id string) string { return id[:min(len(id), 12)] }
