package signature

import (
	"bytes"
	"crypto"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(t time.Time) *packet.Config {
	return &packet.Config{Time: func() time.Time { return t }, Algorithm: packet.PubKeyAlgoEdDSA, DefaultHash: crypto.SHA256}
}

func newKey(t *testing.T, name string, lifetime time.Duration) *openpgp.Entity {
	t.Helper()
	c := at(noon.Add(-24 * time.Hour))
	c.KeyLifetimeSecs = uint32(lifetime / time.Second)
	e, err := openpgp.NewEntity(name, "", name+"@example.com", c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func public(t *testing.T, e *openpgp.Entity) string {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}

func sign(t *testing.T, e *openpgp.Entity, payload string, c *packet.Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&b, e, strings.NewReader(payload), c); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n") + "\n"
}

const tree = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"

func payload(message string) string {
	return tree + "parent 1111111111111111111111111111111111111111\nauthor Ann <ann@example.com> 1772366400 +0000\ncommitter Ann <ann@example.com> 1772366400 +0000\n\n" + message
}

// signed puts a signature into a commit as Git does.
func signed(payload, signature string) string {
	header, message, _ := strings.Cut(payload, "\n\n")
	lines := strings.Split(strings.TrimSuffix(signature, "\n"), "\n")
	return header + "\ngpgsig " + strings.Join(lines, "\n ") + "\n\n" + message
}

func TestStatesOfCommits(t *testing.T) {
	ann, bob, short, gone := newKey(t, "Ann", 0), newKey(t, "Bob", 0), newKey(t, "Short", 24*time.Hour+30*time.Minute), newKey(t, "Gone", 0)
	p := payload("A change\n")
	byGone := sign(t, gone, p, at(noon.Add(-2*time.Hour)))
	if err := gone.RevokeKey(packet.KeyCompromised, "lost", at(noon.Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	v := NewVerifier([]string{public(t, ann), public(t, short), public(t, gone), "no key"}, noon.Add(time.Hour))
	expiring := at(noon)
	expiring.SigLifetimeSecs = 60
	good := sign(t, ann, p, at(noon))
	for name, c := range map[string]struct {
		content string
		state   policy.SignatureState
	}{
		"good":                        {signed(p, good), policy.SignatureGood},
		"good, with an encoding":      {encoded(t, ann), policy.SignatureGood},
		"unsigned":                    {p, policy.SignatureUnsigned},
		"a key that is not here":      {signed(p, sign(t, bob, p, at(noon))), policy.SignatureUnknownKey},
		"an expired key":              {signed(p, sign(t, short, p, at(noon.Add(-time.Hour)))), policy.SignatureExpiredKey},
		"a revoked key":               {signed(p, byGone), policy.SignatureRevokedKey},
		"an expired signature":        {signed(p, sign(t, ann, p, expiring)), policy.SignatureExpired},
		"a signature of the future":   {signed(p, sign(t, ann, p, at(noon.Add(72*time.Hour)))), policy.SignatureExpired},
		"of another message":          {signed(payload("Another\n"), good), policy.SignatureBad},
		"of another parent":           {strings.Replace(signed(p, good), "parent 1", "parent 2", 1), policy.SignatureBad},
		"a broken armour":             {signed(p, strings.Replace(good, "\n\n", "\n\n!!!", 1)), policy.SignatureBad},
		"an empty signature":          {strings.Replace(signed(p, "x\n"), "gpgsig x", "gpgsig ", 1), policy.SignatureBad},
		"two signatures in one":       {signed(p, good+good), policy.SignatureBad},
		"words behind the signature":  {signed(p, good+"hello\n"), policy.SignatureBad},
		"of SSH":                      {signed(p, "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"), policy.SignatureUnsupported},
		"of X.509":                    {signed(p, "-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----\n"), policy.SignatureUnsupported},
		"two headers with signatures": {strings.Replace(signed(p, good), "\n\nA", "\ngpgsig x\n\nA", 1), policy.SignatureMalformed},
		"a signature of SHA-256":      {strings.Replace(signed(p, good), "\n\nA", "\ngpgsig-sha256 x\n\nA", 1), policy.SignatureMalformed},
		"two trees":                   {tree + signed(p, good), policy.SignatureMalformed},
		"a tree behind the others":    {strings.Replace(signed(p, good), "\n\nA", "\n"+tree+"\nA", 1), policy.SignatureMalformed},
		"a second committer":          {strings.Replace(signed(p, good), "\n\nA", "\ncommitter Eve <e@x> 1 +0000\n\nA", 1), policy.SignatureMalformed},
		"an author behind":            {strings.Replace(p, "author Ann", "x Ann", 1), policy.SignatureMalformed},
		"a zero byte":                 {strings.Replace(signed(p, good), "A change", "A\x00change", 1), policy.SignatureMalformed},
		"a line that goes on nothing": {strings.Replace(p, "author", " author", 1), policy.SignatureMalformed},
		"nothing at all":              {"", policy.SignatureMalformed},
		"not a commit":                {"hello\n\nworld", policy.SignatureMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			got := v.Commit("c", []byte(c.content))
			if got.State != c.state {
				t.Errorf("%s, want %s: %+v", got.State, c.state, got.SignatureFact)
			}
			if c.state == policy.SignatureGood && (got.Signer != "Ann <Ann@example.com>" || got.KeyID == "" || got.PrimaryKeyID != keyID(ann.PrimaryKey.KeyId) || len(got.Parents) != 1) {
				t.Errorf("%+v", got)
			}
			if c.state == policy.SignatureMalformed && got.Parents != nil {
				t.Error("a malformed commit leads on")
			}
		})
	}
}

func encoded(t *testing.T, e *openpgp.Entity) string {
	p := strings.Replace(payload("\xc4nderung\n"), "\n\n", "\nencoding ISO-8859-1\n\n", 1)
	return signed(p, sign(t, e, p, at(noon)))
}

func TestStatesOfTags(t *testing.T) {
	ann := newKey(t, "Ann", 0)
	v := NewVerifier([]string{public(t, ann)}, noon.Add(time.Hour))
	p := "object 1111111111111111111111111111111111111111\ntype commit\ntag v1\ntagger Ann <ann@example.com> 1 +0000\n\nRelease\n"
	good := sign(t, ann, p, at(noon))
	for name, c := range map[string]struct {
		content string
		state   policy.SignatureState
	}{
		"good":           {p + good, policy.SignatureGood},
		"unsigned":       {p, policy.SignatureUnsigned},
		"another object": {strings.Replace(p+good, "object 1", "object 2", 1), policy.SignatureBad},
		"words behind":   {p + good + "more\n", policy.SignatureBad},
		"two signatures": {p + good + good, policy.SignatureMalformed},
		"other headers":  {"type commit\n" + p + good, policy.SignatureMalformed},
		"too many":       {strings.Replace(p, "\n\n", "\nx y\n\n", 1), policy.SignatureMalformed},
	} {
		f, target := v.Tag("t", []byte(c.content))
		if f.State != c.state || !f.Tag {
			t.Errorf("%s: %s, want %s", name, f.State, c.state)
		}
		if f.State == policy.SignatureGood && target != strings.Repeat("1", 40) {
			t.Errorf("%s: of %q", name, target)
		}
	}
}

func TestSeals(t *testing.T) {
	for message, want := range map[string]bool{
		"Seal\n\nArgocd-gpg-seal: reviewed\n":                           true,
		"Seal\n\nSigned-off-by: Ann <a@x>\nargocd-GPG-seal: reviewed\n": true,
		"Seal\n\nArgocd-gpg-seal: it is long\n and goes on\nX: y":       true,
		"Argocd-gpg-seal: the subject is no trailer\n":                  false,
		"Seal\n\nArgocd-gpg-seal: not at the end\n\nmore words\n":       false,
		"Seal\n\nsome words and\nArgocd-gpg-seal: within a paragraph\n": false,
		"Seal\n\nArgocd-gpg-seal:\n":                                    false,
		"Seal\n\nArgocd-gpg-sealed: x\n":                                false,
		"":                                                              false,
	} {
		if got := seals([]byte(message)); got != want {
			t.Errorf("%q: %t", message, got)
		}
	}
}

func TestParseKeys(t *testing.T) {
	ann, bob := newKey(t, "Ann\u202e", 48*time.Hour), newKey(t, "Bob", 0)
	keys, err := ParseKeys([]byte(public(t, ann) + public(t, bob)))
	if err != nil || len(keys) != 2 {
		t.Fatal(len(keys), err)
	}
	k := keys[0]
	if len(k.ID) != 16 || !strings.HasSuffix(k.Fingerprint, k.ID) || strings.Contains(k.Owner, "\u202e") || k.ExpiresAt == nil || k.SubType != "ed25519" {
		t.Errorf("%+v", k)
	}
	again, err := ParseKeys([]byte(k.Armored))
	if err != nil || again[0].Fingerprint != k.Fingerprint {
		t.Error(err)
	}
	var secret bytes.Buffer
	if err := ann.SerializePrivate(&secret, at(noon)); err != nil {
		t.Fatal(err)
	}
	var armored bytes.Buffer
	w, _ := armor.Encode(&armored, openpgp.PrivateKeyType, nil)
	_, _ = w.Write(secret.Bytes())
	_ = w.Close()
	for name, c := range map[string]struct{ text, code string }{
		"empty":           {"", "gpg_key_invalid"},
		"words":           {"hello", "gpg_key_invalid"},
		"a broken block":  {"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n", "gpg_key_invalid"},
		"a signature":     {sign(t, bob, "x", at(noon)), "gpg_key_invalid"},
		"a secret key":    {secret.String(), "gpg_key_secret"},
		"an armoured one": {armored.String(), "gpg_key_secret"},
		"too large":       {strings.Repeat("x", MaxKeyBytes+1), "gpg_key_too_large"},
		"too many":        {strings.Repeat(public(t, bob), 60), "gpg_key_too_large"},
	} {
		if keys, err := ParseKeys([]byte(c.text)); !fault.HasCode(err, c.code) || keys != nil {
			t.Errorf("%s: %v (%s)", name, err, fault.As(err).Code)
		}
	}
}

func FuzzObjects(f *testing.F) {
	f.Add([]byte(payload("x")))
	f.Add([]byte(signed(payload("x"), "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n")))
	v := NewVerifier(nil, noon)
	f.Fuzz(func(t *testing.T, content []byte) {
		if c := v.Commit("c", content); c.State == policy.SignatureGood {
			t.Error(fmt.Sprint(c))
		}
		if s, _ := v.Tag("t", content); s.State == policy.SignatureGood {
			t.Error(fmt.Sprint(s))
		}
	})
}
