package oidc

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// leeway between the clocks of a provider and the hub.
	leeway = 60 * time.Second
	// maxGroups of one person.
	maxGroups = 200
)

// claims of an ID token whose signature is good. Their names are what they are:
// a struct would find those in other letter cases too.
type claims map[string]json.RawMessage

// expected is the login that claims have to be about.
type expected struct {
	issuer, clientID string
	// nonce is "" for the device flow, which has none: its token came from the
	// provider itself.
	nonce string
	now   time.Time
}

func readClaims(payload []byte) (claims, error) {
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil || c == nil {
		return nil, fault.New(fault.Unauthorized, "oidc_token_malformed", "the provider's ID token cannot be read: its claims are not a JSON object")
	}
	return c, nil
}

func (c claims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// texts is a list of texts, or one text. ok is false for anything else.
func (c claims) texts(name string) (out []string, ok bool) {
	raw, there := c[name]
	if !there || string(raw) == "null" {
		return nil, true
	}
	if json.Unmarshal(raw, &out) == nil {
		return out, true
	}
	var one string
	if json.Unmarshal(raw, &one) != nil {
		return nil, false
	}
	return []string{one}, true
}

// at is a time in seconds. ok is false when there is none that could be one.
func (c claims) at(name string) (t time.Time, ok bool) {
	var seconds float64
	if json.Unmarshal(c[name], &seconds) != nil || !(seconds > 0 && seconds < 1e11) {
		return t, false
	}
	return time.Unix(int64(seconds), 0), true
}

// about judges whether claims are about the login that is expected. All errors are
// Unauthorized; their codes say what is not so.
func (c claims) about(e expected) error {
	if c.text("iss") != e.issuer {
		return fault.New(fault.Unauthorized, "oidc_issuer_mismatch", "the ID token is of another issuer")
	}
	audience, ok := c.texts("aud")
	if !ok || !slices.Contains(audience, e.clientID) {
		return fault.New(fault.Unauthorized, "oidc_audience_mismatch", "the ID token was issued for another client")
	}
	if _, there := c["azp"]; (there || len(audience) > 1) && c.text("azp") != e.clientID {
		return fault.New(fault.Unauthorized, "oidc_authorized_party_mismatch", "the ID token was issued to another client")
	}
	expires, ok := c.at("exp")
	if !ok || !e.now.Before(expires.Add(leeway)) {
		return fault.New(fault.Unauthorized, "oidc_token_expired", "the ID token has expired").WithFix("log in again; if it goes on, compare the clocks of the hub and the provider")
	}
	issued, ok := c.at("iat")
	early := !ok || issued.After(e.now.Add(leeway))
	if _, there := c["nbf"]; there && !early {
		from, ok := c.at("nbf")
		early = !ok || from.After(e.now.Add(leeway))
	}
	if early {
		return fault.New(fault.Unauthorized, "oidc_token_not_yet_valid", "the ID token is of the future, or does not say when it was issued").
			WithFix("compare the clocks of the hub and the provider")
	}
	if e.nonce != "" && c.text("nonce") != e.nonce {
		return fault.New(fault.Unauthorized, "oidc_nonce_mismatch", "the ID token belongs to another login")
	}
	if !printable(c.text("sub")) {
		return fault.New(fault.Unauthorized, "oidc_subject_missing", "the ID token does not say who it is about")
	}
	return nil
}

// person is who claims are about, as the hub knows people.
type person struct {
	Subject string   `json:"subject"`
	Name    string   `json:"name"`
	Groups  []string `json:"groups,omitempty"`
	// At is when the provider last saw that it is the person, zero when it does not
	// say so.
	At time.Time `json:"at,omitzero"`
}

// who reads a person out of claims that are about the login, and judges whether the
// settings let him in. All errors are Unauthorized.
func (c claims) who(p fleet.IdentityProvider) (person, error) {
	return c.examined(p, func(string, error) {})
}

// examined is who; each is told how the steps name, domain, groups and members went.
func (c claims) examined(p fleet.IdentityProvider, each func(step string, err error)) (person, error) {
	name, err := c.named(p)
	if each("name", err); err != nil {
		return person{}, err
	}
	err = c.inDomain(p)
	if each("domain", err); err != nil {
		return person{}, err
	}
	groups, err := c.groups(groupsClaim(p))
	if each("groups", err); err != nil {
		return person{}, err
	}
	if len(p.AllowedGroups) > 0 && !slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(p.AllowedGroups, g) }) {
		err = notAllowed("the person is in none of the groups that may log in")
	}
	if each("members", err); err != nil {
		return person{}, err
	}
	for i := range groups {
		groups[i] = p.GroupsPrefix + groups[i]
	}
	// The policy knows people by the subject: it is kept apart as the name is.
	at, _ := c.at("auth_time")
	return person{Subject: userPrefix(p) + c.text("sub"), Name: userPrefix(p) + name, Groups: groups, At: at}, nil
}

// named is the name of the person at the provider, in the claim of the settings.
func (c claims) named(p fleet.IdentityProvider) (string, error) {
	claim := userClaim(p)
	name := c.text(claim)
	if !printable(name) {
		return "", fault.New(fault.Unauthorized, "oidc_name_missing", "the ID token has no name of the person in the claim %q", short(claim)).
			WithFix("have an administrator add a scope, or choose another claim for the name")
	}
	if claim == "email" || len(p.AllowedDomains) > 0 {
		// Some providers write it as a text.
		if v := string(c["email_verified"]); v != "true" && v != `"true"` {
			return "", fault.New(fault.Unauthorized, "oidc_email_unverified", "the provider has not verified the person's address")
		}
	}
	return name, nil
}

// inDomain judges the address of the person, where only some domains may log in.
func (c claims) inDomain(p fleet.IdentityProvider) error {
	if len(p.AllowedDomains) == 0 {
		return nil
	}
	address := c.text("email")
	at := strings.LastIndexByte(address, '@')
	if at < 1 || !slices.Contains(p.AllowedDomains, strings.ToLower(address[at+1:])) {
		return notAllowed("the person's address is of none of the domains that may log in")
	}
	return nil
}

func notAllowed(why string) error {
	return fault.New(fault.Unauthorized, "oidc_not_allowed", "%s", why).WithFix("ask an administrator of this hub")
}

// groups of a person, each once. More than there may be is an error: a part of them
// could be the part without those that a rule denies something.
func (c claims) groups(claim string) ([]string, error) {
	overage := fault.New(fault.Unauthorized, "oidc_groups_overage", "the person is in more groups than the %d that are possible", maxGroups).
		WithFix("have the provider send only the groups that this client needs")
	// Microsoft Entra names a place to ask in their stead.
	var elsewhere map[string]json.RawMessage
	_ = json.Unmarshal(c["_claim_names"], &elsewhere) // not an object: there is none
	if _, ok := elsewhere[claim]; ok || string(c["hasgroups"]) == "true" {
		return nil, overage
	}
	all, ok := c.texts(claim)
	if !ok {
		return nil, fault.New(fault.Unauthorized, "oidc_groups_invalid", "the claim %q is not a list of groups", short(claim))
	}
	if len(all) > maxGroups {
		return nil, overage
	}
	var out []string
	for _, g := range all {
		if !printable(g) {
			return nil, fault.New(fault.Unauthorized, "oidc_groups_invalid", "a group's name is empty, too long, or not printable")
		}
		if !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out, nil
}
