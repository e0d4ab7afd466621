package oidc

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	defaultUserClaim   = "email"
	defaultGroupsClaim = "groups"
	// NoPrefix as UserPrefix leaves names as the provider has them.
	NoPrefix = "-"
	maxText  = 255
	maxList  = 100
	maxCA    = 64 << 10
)

// defaultScopes beside openid, when none are set.
var defaultScopes = []string{"profile", "email", "groups"}

var (
	goodName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	goodDomain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	goodScope  = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]{1,255}$`) // RFC 6749 §3.3
)

// Check reports everything that is wrong with the settings of a provider.
func Check(p fleet.IdentityProvider) fault.List {
	var out fault.List
	wrong := func(field, format string, args ...any) {
		out = append(out, fault.New(fault.Invalid, "oidc_settings_invalid", format, args...).WithField(field))
	}
	if !goodName.MatchString(p.Name) || p.Name == fleet.LocalProvider {
		wrong("name", "a provider's name has 1 to 40 lower-case letters, digits, and - between them, and is not %q", fleet.LocalProvider)
	}
	if why := badURL(p.Issuer, true); why != "" {
		wrong("issuer", "the issuer %s", why)
	}
	if !printable(p.ClientID) {
		wrong("clientID", "the client id has 1 to %d printable characters", maxText)
	}
	if len(p.Secret) > 4096 || strings.ContainsFunc(p.Secret, unicode.IsControl) {
		wrong("clientSecret", "the client secret has at most 4096 characters, and no control characters")
	}
	for _, one := range []struct{ field, text string }{{"userClaim", p.UserClaim}, {"userPrefix", p.UserPrefix}, {"groupsClaim", p.GroupsClaim}, {"groupsPrefix", p.GroupsPrefix}} {
		if one.text != "" && !printable(one.text) {
			wrong(one.field, "%s has at most %d printable characters", one.field, maxText)
		}
	}
	for i, s := range p.Scopes {
		if !goodScope.MatchString(s) {
			wrong(fmt.Sprintf("scopes[%d]", i), "a scope has no spaces and no quotes")
		}
	}
	for i, g := range p.AllowedGroups {
		if !printable(g) {
			wrong(fmt.Sprintf("allowedGroups[%d]", i), "a group has 1 to %d printable characters", maxText)
		}
	}
	for i, d := range p.AllowedDomains {
		if !goodDomain.MatchString(d) {
			wrong(fmt.Sprintf("allowedDomains[%d]", i), "a domain is written in lower case, such as example.org")
		}
	}
	for field, n := range map[string]int{"scopes": len(p.Scopes), "allowedGroups": len(p.AllowedGroups), "allowedDomains": len(p.AllowedDomains)} {
		if n > maxList {
			wrong(field, "%d are given; at most %d are possible", n, maxList)
		}
	}
	if p.CA != "" {
		if _, err := certificates(p.CA); err != nil {
			wrong("ca", "%s", err)
		}
	}
	slices.SortStableFunc(out, func(a, b *fault.Error) int { return strings.Compare(a.Field, b.Field) })
	return out
}

// printable reports whether a text is not empty, not too long, and has nothing that
// hides or breaks a line.
func printable(s string) bool {
	return s != "" && len(s) <= maxText && visible(s)
}

func visible(s string) bool {
	return utf8.ValidString(s) && s == strings.TrimSpace(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// badURL says what is wrong with a URL of a provider, "" for nothing. An issuer has
// no query either.
func badURL(s string, issuer bool) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > 2048 || !visible(s):
		return "is not a URL"
	case u.Scheme != "https":
		return "is not an https:// URL; providers are reached over TLS only"
	case u.Hostname() == "" || u.Opaque != "":
		return "has no host"
	case u.User != nil || u.Fragment != "" || issuer && (u.RawQuery != "" || u.ForceQuery):
		return "has a user, a query or a fragment"
	}
	return ""
}

func certificates(text string) ([]*x509.Certificate, error) {
	if len(text) > maxCA {
		return nil, fmt.Errorf("the CA bundle is larger than %d bytes", maxCA)
	}
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("the CA bundle has a %s; it has certificates only", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a certificate of the CA bundle cannot be read")
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the CA bundle has no certificate in PEM")
	}
	return out, nil
}

func userClaim(p fleet.IdentityProvider) string {
	if p.UserClaim == "" {
		return defaultUserClaim
	}
	return p.UserClaim
}

func groupsClaim(p fleet.IdentityProvider) string {
	if p.GroupsClaim == "" {
		return defaultGroupsClaim
	}
	return p.GroupsClaim
}

// userPrefix keeps the names of providers apart from each other's and from local
// users'. Addresses are left alone: whose they are the provider has verified.
func userPrefix(p fleet.IdentityProvider) string {
	switch {
	case p.UserPrefix == NoPrefix, p.UserPrefix == "" && userClaim(p) == defaultUserClaim:
		return ""
	case p.UserPrefix == "":
		return p.Name + ":"
	}
	return p.UserPrefix
}

func scopes(p fleet.IdentityProvider) []string {
	wanted := p.Scopes
	if len(wanted) == 0 {
		wanted = defaultScopes
	}
	out := []string{"openid"}
	for _, s := range wanted {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Check is the function of that name, for those who have a Service.
func (s *Service) Check(p fleet.IdentityProvider) fault.List { return Check(p) }
