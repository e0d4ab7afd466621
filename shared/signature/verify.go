package signature

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/hawser-dev/hawser/shared/policy"
)

// maxSignature bounds the armoured signature of one object.
const maxSignature = 64 << 10

// Verifier verifies with a set of public keys, at one time.
type Verifier struct {
	keys openpgp.EntityList
	now  time.Time
}

// NewVerifier takes keys as ParseKeys does, each text on its own. Keys that cannot
// be read are left out: what they signed is of an unknown key then.
func NewVerifier(keys []string, now time.Time) *Verifier {
	v := &Verifier{now: now}
	for _, text := range keys {
		if list, err := entities([]byte(text)); err == nil {
			v.keys = append(v.keys, list...)
		}
	}
	return v
}

// Commit is what is known of a commit.
type Commit struct {
	policy.SignatureFact
	Parents []string
	// Seals: it vouches for its ancestors.
	Seals bool
}

// Commit verifies a commit; content is the object as Git stores it, id its name.
// One that is malformed has no parents to go on with.
func (v *Verifier) Commit(id string, content []byte) Commit {
	o, err := readCommit(content)
	if err != nil {
		return Commit{SignatureFact: policy.SignatureFact{Object: id, State: policy.SignatureMalformed}}
	}
	c := Commit{SignatureFact: v.verify(o), Parents: o.parents, Seals: seals(o.message)}
	c.Object = id
	return c
}

// Tag verifies an annotated tag and says which object it is of.
func (v *Verifier) Tag(id string, content []byte) (f policy.SignatureFact, target string) {
	o, err := readTag(content)
	if err != nil {
		return policy.SignatureFact{Object: id, Tag: true, State: policy.SignatureMalformed}, ""
	}
	f = v.verify(o)
	f.Object, f.Tag = id, true
	return f, o.target
}

func (v *Verifier) verify(o object) policy.SignatureFact {
	f := policy.SignatureFact{Author: o.author}
	switch text := bytes.TrimLeft(o.signature, "\n"); {
	case len(text) == 0 && o.signature == nil:
		f.State = policy.SignatureUnsigned
		return f
	case bytes.HasPrefix(text, []byte("-----BEGIN SSH SIGNATURE-----")):
		f.State, f.Format = policy.SignatureUnsupported, "ssh"
		return f
	case bytes.HasPrefix(text, []byte("-----BEGIN SIGNED MESSAGE-----")):
		f.State, f.Format = policy.SignatureUnsupported, "x509"
		return f
	}
	f.Format, f.State = "gpg", policy.SignatureBad
	raw, sig, err := dearmor(o.signature)
	if err != nil {
		return f
	}
	if sig.IssuerKeyId != nil {
		f.KeyID = keyID(*sig.IssuerKeyId)
	}
	config := &packet.Config{Time: func() time.Time { return v.now }}
	_, signer, err := openpgp.VerifyDetachedSignature(v.keys, bytes.NewReader(o.payload), bytes.NewReader(raw), config)
	if signer != nil {
		f.PrimaryKeyID = keyID(signer.PrimaryKey.KeyId)
		if id := signer.PrimaryIdentity(); id != nil {
			f.Signer = clean(id.Name)
		}
	}
	switch {
	case err == nil && signer != nil:
		f.State = policy.SignatureGood
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		f.State = policy.SignatureUnknownKey
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		f.State = policy.SignatureRevokedKey
	case errors.Is(err, pgperrors.ErrKeyExpired):
		f.State = policy.SignatureExpiredKey
	case errors.Is(err, pgperrors.ErrSignatureExpired):
		f.State = policy.SignatureExpired
	}
	return f
}

var errOneSignature = errors.New("there is not exactly one signature")

// dearmor reads the one signature in an armoured text.
func dearmor(text []byte) (raw []byte, sig *packet.Signature, err error) {
	if len(text) > maxSignature {
		return nil, nil, errOneSignature
	}
	trimmed := bytes.TrimSpace(text)
	if bytes.Count(trimmed, []byte("-----BEGIN ")) != 1 || bytes.Count(trimmed, []byte("-----END ")) != 1 ||
		!bytes.HasPrefix(trimmed, []byte("-----BEGIN PGP SIGNATURE-----")) || !bytes.HasSuffix(trimmed, []byte("-----END PGP SIGNATURE-----")) {
		return nil, nil, errOneSignature
	}
	block, err := armor.Decode(bytes.NewReader(trimmed))
	if err != nil {
		return nil, nil, err
	}
	if block.Type != openpgp.SignatureType {
		return nil, nil, errOneSignature
	}
	if raw, err = io.ReadAll(block.Body); err != nil {
		return nil, nil, err
	}
	packets := packet.NewReader(bytes.NewReader(raw))
	first, err := packets.Next()
	if err != nil {
		return nil, nil, err
	}
	sig, ok := first.(*packet.Signature)
	if !ok || sig.SigType != packet.SigTypeBinary && sig.SigType != packet.SigTypeText {
		return nil, nil, errOneSignature
	}
	if _, err := packets.Next(); err != io.EOF {
		return nil, nil, errOneSignature
	}
	return raw, sig, nil
}
