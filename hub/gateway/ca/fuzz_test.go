package ca

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// A request is refused with a name, or has a key that is signed for.
func FuzzCSR(f *testing.F) {
	key := ec(f, elliptic.P256())
	der, err := x509.CreateCertificateRequest(zero{}, &x509.CertificateRequest{}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der, "CERTIFICATE REQUEST")
	f.Add(der[:len(der)/2], "CERTIFICATE REQUEST")
	f.Add(der, "CERTIFICATE")
	f.Fuzz(func(t *testing.T, der []byte, kind string) {
		got, err := CheckCSR(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		if (err == nil) == (got == nil) || err != nil && !fault.HasCode(err, "csr_invalid") {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// zero is not random.
type zero struct{}

func (zero) Read(b []byte) (int, error) { clear(b); return len(b), nil }
