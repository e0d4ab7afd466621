package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/wire"
)

// codeNotTrusted: something answers, but it has not shown that it is the hub.
const codeNotTrusted = "hub_not_trusted"

// verifyPinned checks that the chain leads to the CA with the hash want and that
// the leaf is for the host that was called. The connection's own ServerName does
// not serve: it is empty when the host is an IP address.
func verifyPinned(cs tls.ConnectionState, hub *url.URL, want string) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	var got []string
	found := false
	for i, cert := range cs.PeerCertificates {
		hash := wire.CAHash(cert)
		if cert.IsCA {
			got = append(got, hash)
		}
		if hash == want && cert.IsCA {
			roots.AddCert(cert)
			found = true
		} else if i > 0 {
			intermediates.AddCert(cert)
		}
	}
	if !found {
		shown := strings.Join(got, ", ")
		if shown == "" {
			shown = "none"
		}
		return fault.New(fault.Invalid, codeNotTrusted, "%s shows another CA than the pinned one: expected %s, got %s", hub, want, shown).
			WithFound(shown, "").
			WithFix("do not go on if you do not know why; if the hub was set up anew, compare with the hash that it prints and log in again: hawser login %s --ca-hash sha256:…", hub)
	}
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, DNSName: hub.Hostname(),
	})
	return err
}

// distrust is the error when the TLS handshake failed because of the hub's
// certificate; nil when it is about something else.
func distrust(err error, hub Hub) error {
	var (
		known    *fault.Error
		name     x509.HostnameError
		unknown  x509.UnknownAuthorityError
		invalid  x509.CertificateInvalidError
		verified *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &known) && known.Code == codeNotTrusted:
		return known
	case errors.As(err, &name):
		allowed := strings.Join(append(append([]string(nil), name.Certificate.DNSNames...), addresses(name.Certificate)...), ", ")
		return fault.New(fault.Invalid, codeNotTrusted, "the certificate of %s is for another host: expected %s, got %s", hub.URL, name.Host, allowed).
			WithFound(name.Host, "").WithFix("use one of the names of the certificate, or let the hub be started with this one")
	case errors.As(err, &unknown) && hub.CAHash == "":
		return fault.New(fault.Invalid, codeNotTrusted, "the certificate of %s is of an authority that this machine does not trust", hub.URL).
			WithFix("pin the hub's own CA with the hash that it prints: hawser login %s --ca-hash sha256:…", hub.URL)
	case errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &verified):
		return fault.Wrap(err, fault.Invalid, codeNotTrusted, "the certificate of %s is not valid", hub.URL).
			WithFix("compare the clocks of both machines, and look at the hub's certificate")
	}
	return nil
}

func addresses(c *x509.Certificate) []string {
	var out []string
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}
