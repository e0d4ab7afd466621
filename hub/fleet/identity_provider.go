package fleet

import "time"

// IdentityProvider is an OpenID Connect provider that people log in with. There is
// no way to leave its certificate unverified: CA is what a private one needs.
type IdentityProvider struct {
	// Name is the hub's, and part of the redirect URI.
	Name string
	// Issuer is the URL that its tokens name, with https.
	Issuer, ClientID string
	// Secret of the client in clear text, "" for a public client; HasSecret says
	// whether there is one where Secret is not read.
	Secret    string
	HasSecret bool
	// Scopes beside openid.
	Scopes []string
	// UserClaim has the name, "email" when empty. UserPrefix is put before it.
	UserClaim, UserPrefix string
	// GroupsClaim has the groups, "groups" when empty. GroupsPrefix is put before
	// each.
	GroupsClaim, GroupsPrefix string
	// AllowedGroups, without the prefix: members of one of them may log in.
	// AllowedDomains: people with a verified address of one of them. Empty allows
	// all.
	AllowedGroups, AllowedDomains []string
	// CA are certificates in PEM that vouch for the provider beside the system's.
	CA        string
	Version   int64
	ChangedBy string
	ChangedAt time.Time
}

// ExternalLogin is a login that has begun and not ended: at a provider, or with a
// code that the command line redeems. It is found once, by the hash of a secret.
type ExternalLogin struct {
	Hash []byte
	// Kind keeps a secret of one step from being used in another.
	Kind      string
	Provider  string
	ExpiresAt time.Time
	// Sealed is kept sealed.
	Sealed []byte
}

// LoginStart is what somebody who wants to log in with a provider asks for.
type LoginStart struct {
	// Provider may be "" when there is one.
	Provider string
	// Return is a path of this hub.
	Return string
	// Binding is the secret of the browser, "" for none yet.
	Binding string
	// Port, Challenge and State are of a command line that listens on the loopback
	// address of the person's machine; 0 and "" for a browser alone.
	Port             int
	Challenge, State string
	// Again: the person is logged in, and does so once more. Then, and for a command
	// line, the provider is to ask who it is, whomever it remembers.
	Again bool
	// Test: nobody is logged in; what the provider says is kept for whoever asked. Owner
	// is the session of the browser that asks, "" for a command line.
	Test  bool
	Owner string
}

// LoginEnd is where a browser goes after a login at a provider.
type LoginEnd struct {
	// Location is a path of this hub, or the command line's loopback address.
	Location string
	// Login is nil when the command line has it.
	Login *Login
	// Name of who has logged in.
	Name string
	// Test: it was one, and nobody is logged in.
	Test bool
}

// SignInTest is what became of a login that was only a test: nobody was logged in.
type SignInTest struct {
	Provider string
	At       time.Time
	// Steps up to the first that failed.
	Steps []ProviderStep
	// Claims of a token that is about this login, by name; none before that is known.
	// What binds a token to its login is left out.
	Claims []SignInClaim
	// Person is nil when the settings make nobody of the claims, or do not let him in.
	Person *SignInPerson
}

// SignInClaim is one claim of an ID token.
type SignInClaim struct {
	Name string `json:"name"`
	// Value is JSON, cut when it is long.
	Value string `json:"value"`
}

// SignInPerson is who would have been logged in, as the hub knows people.
type SignInPerson struct {
	Subject string   `json:"subject"`
	Name    string   `json:"name"`
	Groups  []string `json:"groups,omitempty"`
}

// DeviceLogin is a login that is confirmed in a browser anywhere.
type DeviceLogin struct {
	// Handle is the secret to ask with whether it is confirmed.
	Handle string
	// UserCode is typed in at URI; URIComplete, which may be "", has it already.
	UserCode, URI, URIComplete string
	ExpiresAt                  time.Time
	Interval                   time.Duration
}

// ProviderStep is one step of reaching an identity provider.
type ProviderStep struct {
	Name, Detail string
	Took         time.Duration
	Err          error
}
