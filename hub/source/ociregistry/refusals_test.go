package ociregistry

import (
	"net/url"
	"testing"
)

func TestTokenServersOfTheSameSite(t *testing.T) {
	for _, c := range []struct {
		registry, realm string
		pass, plain     bool
		sent            bool
	}{
		{"registry-1.docker.io", "https://auth.docker.io/token", false, false, true},
		{"registry.gitlab.com", "https://gitlab.com/jwt/auth", false, false, true},
		{"ghcr.io", "https://ghcr.io/token", false, false, true},
		{"registry.example.com:5000", "https://registry.example.com:5000/token", false, false, true},
		{"registry.example.com:5000", "https://auth.example.com:5001/token", false, false, true},
		{"registry.example.com", "https://registry.example.com.evil.test/token", false, false, false},
		{"registry.example.com", "https://evil.test/token", false, false, false},
		{"registry.example.com", "https://evil.test/token", true, false, true},
		{"registry.example.com", "http://evil.test/token", true, false, false},
		{"registry.example.com", "http://registry.example.com/token", false, false, false},
		{"shop.github.io", "https://evil.github.io/token", false, false, false},
		{"a.co.uk", "https://b.co.uk/token", false, false, false},
		{"10.0.0.1:5000", "https://10.0.0.1:5000/token", false, false, true},
		{"10.0.0.1:5000", "https://10.0.0.1:5001/token", false, false, false},
		{"localhost:5000", "https://localhost:5001/token", false, false, false},
		{"registry", "https://auth/token", false, false, false},
		{"localhost:5000", "http://localhost:5000/token", false, true, true},
		{"registry.example.com", "http://auth.example.com/token", false, true, false},
	} {
		u, err := url.Parse(c.realm)
		if err != nil {
			t.Fatal(err)
		}
		s := &sameSite{name: "oci://x", registry: c.registry, pass: c.pass, plain: c.plain}
		if err := s.check(u); (err == nil) != c.sent {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
