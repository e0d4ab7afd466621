package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// IssueServer makes a server certificate for the given host names and IP
// addresses. The chain holds the authority's certificate too, because an agent
// that enrols knows only its hash.
func (a *Authority) IssueServer(names ...string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, internal(err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := a.opts.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Hawser hub"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(a.opts.ServerLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, internal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, internal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// ServerCertificate is a certificate that is made anew before it ends. It is
// safe for concurrent use.
type ServerCertificate struct {
	authority *Authority
	names     []string

	mu      sync.Mutex
	current *tls.Certificate
	renewAt time.Time
}

// Server returns a self-renewing certificate for the hub's own host names and
// IP addresses, as people reach it.
func (a *Authority) Server(names ...string) *ServerCertificate {
	return &ServerCertificate{authority: a, names: names}
}

// AgentServer returns the self-renewing certificate for the fixed names that
// agents dial.
func (a *Authority) AgentServer() *ServerCertificate {
	return a.Server(model.AgentServerName, model.EnrolServerName)
}

// Get has the shape of tls.Config.GetCertificate.
func (s *ServerCertificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.authority.opts.Now()
	if s.current == nil || !now.Before(s.renewAt) {
		cert, err := s.authority.IssueServer(s.names...)
		if err != nil {
			return nil, err
		}
		s.current, s.renewAt = cert, now.Add(s.authority.opts.ServerLife*2/3)
	}
	return s.current, nil
}
