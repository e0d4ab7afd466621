package sync

import (
	"context"
	"net/http"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Caller says on whose behalf something is asked of the API server. Every request
// of an Applier has one, by way of its context: Kube refuses those without, so
// that nothing can be done with the agent's own rights by forgetting to say so.
type Caller struct {
	// User is impersonated, such as "system:serviceaccount:shop:deployer". Empty:
	// the agent asks as itself.
	User string
	// Refused, if set, is the answer to everything but reads by the agent itself:
	// as whom to act is not known.
	Refused error
	// ReadOnly is asked before each request: while it says so, everything but
	// reads is refused, dry runs too, which need the same rights as writes. nil:
	// never.
	ReadOnly func() bool
}

// Own is the agent itself, for what concerns no application in particular.
var Own = Caller{}

type callerKey struct{}

// As is a context for requests on behalf of a caller.
func As(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is who a context is for; false when it is for nobody.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// CodeObserveOnly is the code of refusals of a caller that is ReadOnly.
const CodeObserveOnly = "observe_only"

// ObserveOnly is why nothing is changed on behalf of an application that is only
// observed.
func ObserveOnly(what string) *fault.Error {
	return fault.New(fault.Precondition, CodeObserveOnly, "%s is only observed: nothing is written to its cluster", what).
		WithFix("set the annotation hawser.dev/mode: manage on the application, or on its project, to hand it over")
}

// may says why the caller may not make a request; nil: it may.
func (c Caller) may(r request) error {
	switch {
	case c.Refused != nil:
		return c.Refused
	case r.method != http.MethodGet && c.ReadOnly != nil && c.ReadOnly():
		return ObserveOnly(r.key.String())
	}
	return nil
}

func errNobody(r request) error {
	return fault.New(fault.Internal, "caller_missing", "%s: the request is on nobody's behalf, and is not made", r.key)
}
