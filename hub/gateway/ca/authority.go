package ca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// SecretName is the name under which the authority keeps its key and
// certificate in the Secrets store.
const SecretName = "agent-ca"

// Secrets keeps small values sealed. PutSecretOnce returns the value that was
// there first, so that replicas which start at the same time agree on one.
// Secret answers fault.NotFound when there is none.
type Secrets interface {
	Secret(ctx context.Context, name string) ([]byte, error)
	PutSecretOnce(ctx context.Context, name string, value []byte) ([]byte, error)
}

// Options of an authority. Zero values have defaults.
type Options struct {
	Now func() time.Time
	// ClientLife of an agent's certificate; default 30 days.
	ClientLife time.Duration
	// ServerLife of the hub's own certificates; default 90 days. They are made
	// anew in memory at two thirds of it.
	ServerLife time.Duration
	// RenewGrace is how long after its end a certificate may still renew
	// itself; default 90 days.
	RenewGrace time.Duration
}

const (
	caLife = 20 * 365 * 24 * time.Hour
	// backdate keeps certificates valid for machines whose clock is behind.
	backdate = time.Hour
)

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ClientLife <= 0 {
		o.ClientLife = 30 * 24 * time.Hour
	}
	if o.ServerLife <= 0 {
		o.ServerLife = 90 * 24 * time.Hour
	}
	if o.RenewGrace <= 0 {
		o.RenewGrace = 90 * 24 * time.Hour
	}
	return o
}

// Authority signs. It is safe for concurrent use.
type Authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
	opts Options
}

// Load returns the authority that the store holds, and makes one when the
// store says that there is none. Any other answer of the store is an error:
// a second authority would cut off every agent.
func Load(ctx context.Context, secrets Secrets, opts Options) (*Authority, error) {
	opts = opts.withDefaults()
	stored, err := secrets.Secret(ctx, SecretName)
	if err != nil {
		if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		made, err := generate(opts.Now())
		if err != nil {
			return nil, err
		}
		if stored, err = secrets.PutSecretOnce(ctx, SecretName, made); err != nil {
			return nil, err
		}
	}
	return parse(stored, opts)
}

func generate(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, internal(err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Hawser hub CA"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, internal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, internal(err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}

func parse(stored []byte, opts Options) (*Authority, error) {
	a := &Authority{opts: opts}
	for block, rest := pem.Decode(stored); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, damaged(err)
			}
			ec, ok := key.(*ecdsa.PrivateKey)
			if !ok {
				return nil, damaged(nil)
			}
			a.key = ec
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, damaged(err)
			}
			a.cert, a.pem = cert, pem.EncodeToMemory(block)
		}
	}
	if a.key == nil || a.cert == nil || !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return nil, damaged(nil)
	}
	return a, nil
}

func damaged(cause error) error {
	return fault.Wrap(cause, fault.Internal, "ca_damaged", "the stored hub CA does not decode; restore the database, a new CA would cut off every agent")
}

func internal(cause error) error {
	return fault.Wrap(cause, fault.Internal, "ca_failed", "the hub CA could not sign")
}

func newSerial() (*big.Int, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, internal(err)
	}
	b[0] &= 0x7f // positive, and
	b[0] |= 0x40 // always of one length
	return new(big.Int).SetBytes(b[:]), nil
}

// Hash is what agents pin; see wire.CAHash.
func (a *Authority) Hash() string { return wire.CAHash(a.cert) }

// Certificate of the authority.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte { return bytes.Clone(a.pem) }

// SignRequest vouches for whose a request to a cluster's API server is; agents
// check it with kubecall.Verify.
func (a *Authority) SignRequest(s kubecall.Statement) (model.KubeIdentity, error) {
	return s.Sign(func(sum []byte) ([]byte, error) {
		sig, err := ecdsa.SignASN1(rand.Reader, a.key, sum)
		if err != nil {
			return nil, internal(err)
		}
		return sig, nil
	})
}

// credentialText keeps a signature over a credential from being one over something
// else that the authority signs.
func credentialText(text []byte) []byte {
	sum := sha256.Sum256(append([]byte("hawser-cluster-token-v1\n"), text...))
	return sum[:]
}

// Sign signs what a hub of this database says to itself: a token for one cluster.
func (a *Authority) Sign(text []byte) ([]byte, error) {
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, credentialText(text))
	if err != nil {
		return nil, internal(err)
	}
	return sig, nil
}

// Signed reports whether Sign has signed the text.
func (a *Authority) Signed(text, signature []byte) bool {
	return ecdsa.VerifyASN1(&a.key.PublicKey, credentialText(text), signature)
}

// SignIncarnation vouches for an incarnation of the hub; agents check it with
// wire.VerifyIncarnation.
func (a *Authority) SignIncarnation(hubID string, incarnation int64) ([]byte, error) {
	sum := sha256.Sum256(wire.IncarnationText(hubID, incarnation))
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
	if err != nil {
		return nil, internal(err)
	}
	return sig, nil
}
