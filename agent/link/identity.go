package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Identity is what enrolment yields: who this cluster is at the hub, and the
// key that proves it. It never leaves the cluster.
type Identity struct {
	Cluster        model.ClusterID `json:"cluster"`
	ClusterName    string          `json:"clusterName"`
	KeyPEM         []byte          `json:"key"`
	CertificatePEM []byte          `json:"certificate"`
	// CAPEM is the hub's CA, the only one that is trusted.
	CAPEM []byte `json:"ca"`
}

// IdentityStore keeps the identity. Load answers fault.NotFound only when it is
// known that there is none; every other error means "do not know", and nothing
// is enrolled anew because of it. Save is durable when it returns.
type IdentityStore interface {
	Load(ctx context.Context) (Identity, error)
	Save(ctx context.Context, id Identity) error
}

// proven is an identity, parsed.
type proven struct {
	Identity
	pair tls.Certificate
	leaf *x509.Certificate
	ca   *x509.Certificate
}

func (p proven) caHash() string { return wire.CAHash(p.ca) }

// renewAt is two thirds into the certificate's life.
func (p proven) renewAt() time.Time {
	return p.leaf.NotBefore.Add(p.leaf.NotAfter.Sub(p.leaf.NotBefore) * 2 / 3)
}

func parseIdentity(id Identity) (proven, error) {
	bad := func(cause error) error {
		return fault.Wrap(cause, fault.Invalid, "identity_damaged", "the stored identity does not decode").
			WithFix("restore it, or delete it and enrol the cluster again under the same name")
	}
	pair, err := tls.X509KeyPair(id.CertificatePEM, id.KeyPEM)
	if err != nil {
		return proven{}, bad(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return proven{}, bad(err)
	}
	block, _ := pem.Decode(id.CAPEM)
	if block == nil || id.Cluster == "" {
		return proven{}, bad(nil)
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return proven{}, bad(err)
	}
	pair.Leaf = leaf
	return proven{Identity: id, pair: pair, leaf: leaf, ca: ca}, nil
}

// newKey makes a key and a request for its certificate. The hub takes the key
// alone, so the subject is empty.
func newKey() (keyPEM, csrPEM []byte, err error) {
	failed := func(err error) ([]byte, []byte, error) {
		return nil, nil, fault.Wrap(err, fault.Internal, "key_failed", "a key could not be made")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return failed(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return failed(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{}}, key)
	if err != nil {
		return failed(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}), nil
}

// FileIdentity keeps the identity in one file of mode 0600, for agents that
// run outside their cluster.
type FileIdentity struct{ Path string }

func errNoIdentity() error {
	return fault.New(fault.NotFound, "identity_not_found", "this agent has not enrolled yet")
}

// Load implements IdentityStore.
func (f FileIdentity) Load(context.Context) (Identity, error) {
	b, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, errNoIdentity()
	}
	if err != nil {
		return Identity{}, fault.Wrap(err, fault.Unavailable, "identity_unreadable", "the identity file could not be read")
	}
	var id Identity
	if err := json.Unmarshal(b, &id); err != nil {
		return Identity{}, fault.Wrap(err, fault.Invalid, "identity_damaged", "the identity file does not decode")
	}
	return id, nil
}

// Save implements IdentityStore: the file is replaced as a whole.
func (f FileIdentity) Save(_ context.Context, id Identity) (err error) {
	defer func() {
		if err != nil {
			err = fault.Wrap(err, fault.Unavailable, "identity_unwritable", "the identity file could not be written")
		}
	}()
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	dir := filepath.Dir(f.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".identity-*") // created with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(b); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Sync(); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), f.Path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
