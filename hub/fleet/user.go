package fleet

import (
	"context"
	"time"
)

// LocalProvider is the provider of sessions of users that the hub itself keeps.
const LocalProvider = "local"

// User logs in with a password.
type User struct {
	ID   string
	Name string
	// Password is the hash with its parameters, in PHC string format.
	Password string
	// Enabled: one who is not has no sessions, and the tokens that he issued do
	// not work.
	Enabled bool
	Admin   bool
	// Grants are what the user may do when not Admin.
	Grants            []Grant
	CreatedAt         time.Time
	PasswordChangedAt time.Time
	LastLogin         *time.Time
}

// LoginSession is somebody who is logged in. Its secret is kept as a hash.
type LoginSession struct {
	ID   string
	Hash []byte
	// User is the id of a local user, "" when Provider is another than
	// LocalProvider.
	User string
	// Provider vouches for Subject, which it knows under Name and as a member of
	// Groups.
	Provider, Subject, Name string
	Groups                  []string
	// Browser: the secret is in a cookie.
	Browser bool
	// Address is where the session was last used from, to the minute of SeenAt, and
	// Client the program that it began with, in its own words.
	Address, Client string
	CreatedAt       time.Time
	// AuthenticatedAt is when a password, or what the provider asks for, was last
	// given; SeenAt, to the minute, when the session was last used.
	AuthenticatedAt, SeenAt time.Time
	// ExpiresAt is the end of the session, however much it is used.
	ExpiresAt time.Time
}

// UserChange is what is changed of a user; nil fields stay. Every change ends the
// user's sessions, and but for enabling the user the tokens that the user issued.
type UserChange struct {
	Password *string // the hash
	Enabled  *bool
	Admin    *bool
	Grants   *[]Grant
}

// FirstLogin is the one-time code of the first administrator.
type FirstLogin struct {
	Code      string
	Hash      []byte
	ExpiresAt time.Time
	// OnPurpose: an operator had it made, and it stays although somebody
	// administers the hub.
	OnPurpose bool
}

// Asker is where a request came from, and the program that says it made it.
type Asker struct{ Address, Client string }

type askerKey struct{}

// WithAsker says who makes a request, for the sessions that begin with it.
func WithAsker(ctx context.Context, a Asker) context.Context {
	return context.WithValue(ctx, askerKey{}, a)
}

// AskerOf is empty when nobody has said it.
func AskerOf(ctx context.Context) Asker {
	a, _ := ctx.Value(askerKey{}).(Asker)
	return a
}

// KeptExpired is how long a token is listed after it expired, so that whoever wonders why
// a program is refused finds it. A session that is over is nowhere.
const KeptExpired = 30 * 24 * time.Hour

// Purged is how many of each were removed because they had expired.
type Purged struct{ Sessions, APITokens, RoleTokens, EnrolmentTokens int }

// SessionIdle is after how long without use a session ends.
const SessionIdle = 30 * time.Minute

// Login is somebody who has just logged in.
type Login struct {
	// Secret is shown once.
	Secret string
	Caller APIToken
}

// NewUser is a user to be made; the password is in clear text.
type NewUser struct {
	Name, Password string
	Admin          bool
	Grants         []Grant
}

// NewUserChange is a UserChange with the password in clear text.
type NewUserChange struct {
	Password *string
	Enabled  *bool
	Admin    *bool
	Grants   *[]Grant
}
