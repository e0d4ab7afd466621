package ca

import (
	"crypto/sha256"
	"encoding/hex"

	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// ClientCertificate is one issued to an agent.
type ClientCertificate struct {
	Cluster   model.ClusterID
	Serial    string // hexadecimal
	NotBefore time.Time
	NotAfter  time.Time
	PEM       []byte
	// Fingerprint is the SHA-256 of the SubjectPublicKeyInfo, in hexadecimal.
	Fingerprint string
}

// Identity is what a verified client certificate says.
type Identity struct {
	Cluster  model.ClusterID
	Serial   string
	NotAfter time.Time
	// Fingerprint is the SHA-256 of the SubjectPublicKeyInfo, in hexadecimal.
	Fingerprint string
}

const maxCSRBytes = 16 << 10

// CheckCSR takes the public key out of a PKCS#10 request. Nothing else of the
// request counts. Allowed are ECDSA P-256, P-384 and P-521, Ed25519, and RSA
// of 2048 to 8192 bits.
func CheckCSR(csrPEM []byte) (any, error) {
	bad := func(cause error, why string) error {
		return fault.Wrap(cause, fault.Invalid, "csr_invalid", "the certificate request %s", why)
	}
	if len(csrPEM) > maxCSRBytes {
		return nil, bad(nil, "is larger than 16 KiB")
	}
	block, rest := pem.Decode(csrPEM)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, bad(nil, "is not one PEM block of a PKCS#10 request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, bad(err, "does not parse")
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, bad(err, "is not signed by its own key")
	}
	switch key := csr.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			return nil, bad(nil, "has a P-224 key; allowed are P-256, P-384 and P-521")
		}
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < 2048 || n > 8192 {
			return nil, bad(nil, "has an RSA key outside 2048 to 8192 bits")
		}
	default:
		return nil, bad(nil, "has a key that is neither ECDSA, Ed25519 nor RSA")
	}
	return csr.PublicKey, nil
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func clusterURI(id model.ClusterID) *url.URL {
	return &url.URL{Scheme: "hawser", Host: "cluster", Path: "/" + string(id)}
}

// IssueClient signs the request's key for a cluster. The subject and every
// extension of the request are ignored.
func (a *Authority) IssueClient(cluster model.ClusterID, csrPEM []byte) (ClientCertificate, error) {
	key, err := CheckCSR(csrPEM)
	if err != nil {
		return ClientCertificate{}, err
	}
	if cluster == "" || strings.ContainsAny(string(cluster), "/?#%") {
		return ClientCertificate{}, fault.New(fault.Internal, "ca_failed", "the cluster has no usable id")
	}
	serial, err := newSerial()
	if err != nil {
		return ClientCertificate{}, err
	}
	now := a.opts.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "hawser agent " + string(cluster)},
		NotBefore:             now.Add(-backdate).UTC().Truncate(time.Second),
		NotAfter:              now.Add(a.opts.ClientLife).UTC().Truncate(time.Second),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{clusterURI(cluster)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		return ClientCertificate{}, internal(err)
	}
	issued, err := x509.ParseCertificate(der)
	if err != nil {
		return ClientCertificate{}, internal(err)
	}
	return ClientCertificate{
		Fingerprint: fingerprint(issued),
		Cluster:     cluster,
		Serial:      serial.Text(16),
		NotBefore:   template.NotBefore,
		NotAfter:    template.NotAfter,
		PEM:         pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}, nil
}

// VerifyClient says whom the certificate that a client presented speaks for.
// Only the leaf counts, and only when this authority itself signed it: whatever
// else the client sent is not looked at. expired is true when it has ended but
// may still renew itself. Revocation is not known here.
func (a *Authority) VerifyClient(presented []*x509.Certificate) (id Identity, expired bool, err error) {
	if len(presented) == 0 {
		return Identity{}, false, fault.New(fault.Unauthorized, "certificate_missing", "the agent presented no client certificate").
			WithFix("enrol the cluster first")
	}
	leaf := presented[0]
	if !bytes.Equal(leaf.RawIssuer, a.cert.RawSubject) || leaf.CheckSignatureFrom(a.cert) != nil {
		return Identity{}, false, fault.New(fault.Unauthorized, "certificate_unknown_ca",
			"the client certificate was issued by %q, not by this hub's CA %s", limit(leaf.Issuer.CommonName), a.Hash()).
			WithFix("enrol the cluster with this hub")
	}
	if leaf.IsCA || len(leaf.URIs) != 1 || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0 ||
		len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		return Identity{}, false, fault.New(fault.Unauthorized, "certificate_not_an_agents", "the client certificate is not an agent's")
	}
	u := leaf.URIs[0]
	cluster := strings.TrimPrefix(u.Path, "/")
	if cluster == "" || u.String() != clusterURI(model.ClusterID(cluster)).String() {
		return Identity{}, false, fault.New(fault.Unauthorized, "certificate_not_an_agents", "the client certificate names no cluster")
	}
	id = Identity{Cluster: model.ClusterID(cluster), Serial: leaf.SerialNumber.Text(16), NotAfter: leaf.NotAfter, Fingerprint: fingerprint(leaf)}
	now := a.opts.Now()
	switch {
	case now.Before(leaf.NotBefore):
		return Identity{}, false, fault.New(fault.Unauthorized, "certificate_not_yet_valid",
			"the client certificate is valid from %s; the hub's clock says %s", leaf.NotBefore.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter.Add(a.opts.RenewGrace)):
		return Identity{}, false, fault.New(fault.Unauthorized, "certificate_expired",
			"the client certificate ended on %s, too long ago to renew it", leaf.NotAfter.Format(time.RFC3339)).
			WithFix("enrol the cluster again under the same name: hawser cluster enroll NAME")
	}
	return id, now.After(leaf.NotAfter), nil
}

func limit(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
