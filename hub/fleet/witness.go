package fleet

import "context"

// LoginSubject is who a login is about, as far as that is known.
type LoginSubject struct {
	// Provider that vouches, LocalProvider for the hub's own users; Subject is who it
	// is there, of local users the user's id.
	Provider, Subject string
	// Name and Session of one that is about to begin.
	Name, Session string
}

// LoginWitness keeps the record of one login.
type LoginWitness interface {
	// Knows notes who a login is about, whatever comes of it.
	Knows(s LoginSubject)
	// Begins blocks until it is stored that somebody is about to be logged in. With
	// an error nobody may be.
	Begins(ctx context.Context, s LoginSubject) error
}

type witnessKey struct{}

// WithLoginWitness has a login that is made with the context recorded.
func WithLoginWitness(ctx context.Context, w LoginWitness) context.Context {
	return context.WithValue(ctx, witnessKey{}, w)
}

// LoginKnown tells the context's witness, if it has one, who a login is about.
func LoginKnown(ctx context.Context, s LoginSubject) {
	if w, ok := ctx.Value(witnessKey{}).(LoginWitness); ok {
		w.Knows(s)
	}
}

// LoginBegins has the context's witness, if it has one, store that somebody is about
// to be logged in. Whoever makes a session calls it before the session works.
func LoginBegins(ctx context.Context, s LoginSubject) error {
	if w, ok := ctx.Value(witnessKey{}).(LoginWitness); ok {
		return w.Begins(ctx, s)
	}
	return nil
}
