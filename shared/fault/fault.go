package fault

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Kind is a class of errors that callers treat alike.
type Kind string

// The kinds.
const (
	Invalid       Kind = "invalid"       // the request is wrong; do not repeat it
	NotFound      Kind = "not_found"     // no such thing, or not visible
	Conflict      Kind = "conflict"      // it exists, changed, or is owned by another
	Denied        Kind = "denied"        // a project or permission forbids it
	Unauthorized  Kind = "unauthorized"  // who are you
	Precondition  Kind = "precondition"  // not now: guard, window, other operation
	Unprocessable Kind = "unprocessable" // the content at the source is wrong
	Upstream      Kind = "upstream"      // Git, registry or cluster refused or broke
	Unavailable   Kind = "unavailable"   // try again later; nothing was lost
	TooLarge      Kind = "too_large"
	RateLimited   Kind = "rate_limited"
	Internal      Kind = "internal" // a bug of ours
)

// Error is a failure that people or programs outside can act on.
type Error struct {
	Kind    Kind
	Code    string // stable, e.g. "revision_not_found"
	Message string // at most 300 characters
	Field   string // e.g. "spec.source.repoURL"
	Found   string
	Allowed string
	Fix     string
	Explain any // a policy explanation, where there is one
	// RetryAfter is when it is worth to try again, 0 when that is not known.
	RetryAfter time.Duration
	Cause      error // not shown to users
}

func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes an error.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an error that keeps its cause.
func Wrap(cause error, kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// WithField returns a copy that names the field at fault.
func (e *Error) WithField(field string) *Error { c := *e; c.Field = field; return &c }

// WithFix returns a copy that says what to do.
func (e *Error) WithFix(format string, args ...any) *Error {
	c := *e
	c.Fix = fmt.Sprintf(format, args...)
	return &c
}

// WithFound returns a copy that says what was found and what is allowed.
func (e *Error) WithFound(found, allowed string) *Error {
	c := *e
	c.Found, c.Allowed = found, allowed
	return &c
}

// WithRetryAfter returns a copy that says when to try again.
func (e *Error) WithRetryAfter(d time.Duration) *Error { c := *e; c.RetryAfter = d; return &c }

// List is several errors found at once, at most 20 of which are shown.
type List []*Error

func (l List) Error() string {
	switch len(l) {
	case 0:
		return "no error"
	case 1:
		return l[0].Error()
	}
	return fmt.Sprintf("%s (and %d more)", l[0].Error(), len(l)-1)
}

// Unwrap lets errors.As find the first.
func (l List) Unwrap() []error {
	out := make([]error, len(l))
	for i, e := range l {
		out[i] = e
	}
	return out
}

// As returns the Error in err's chain, or an Internal one that wraps err.
func As(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Code: "internal", Message: "internal error", Cause: err}
}

// Is reports whether err's chain has an Error of the kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// HasCode reports whether err's chain has an Error with the code.
func HasCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

type mapping struct {
	http  int
	grpc  codes.Code
	exit  int
	retry bool
}

// The exit codes are those of the command line's table (hawser help exit-codes).
var mappings = map[Kind]mapping{
	Invalid:       {http.StatusBadRequest, codes.InvalidArgument, 2, false},
	NotFound:      {http.StatusNotFound, codes.NotFound, 3, false},
	Conflict:      {http.StatusConflict, codes.AlreadyExists, 2, false},
	Denied:        {http.StatusForbidden, codes.PermissionDenied, 5, false},
	Unauthorized:  {http.StatusUnauthorized, codes.Unauthenticated, 4, false},
	Precondition:  {http.StatusConflict, codes.FailedPrecondition, 6, false},
	Unprocessable: {http.StatusUnprocessableEntity, codes.FailedPrecondition, 2, false},
	Upstream:      {http.StatusFailedDependency, codes.Unavailable, 2, true},
	Unavailable:   {http.StatusServiceUnavailable, codes.Unavailable, 8, true},
	TooLarge:      {http.StatusRequestEntityTooLarge, codes.ResourceExhausted, 2, false},
	RateLimited:   {http.StatusTooManyRequests, codes.ResourceExhausted, 8, true},
	Internal:      {http.StatusInternalServerError, codes.Internal, 2, true},
}

// HTTPStatus of the kind.
func (k Kind) HTTPStatus() int { return mappings[k].http }

// statusByCode are the codes whose HTTP status is more exact than their kind's.
var statusByCode = map[string]int{
	"method_not_allowed":     http.StatusMethodNotAllowed,
	"unsupported_media_type": http.StatusUnsupportedMediaType,
	"version_conflict":       http.StatusPreconditionFailed,
}

// StatusOf is the HTTP status of an error of a kind with a code; 500 for a kind
// that is not known.
func StatusOf(k Kind, code string) int {
	if s, ok := statusByCode[code]; ok {
		return s
	}
	if s := k.HTTPStatus(); s != 0 {
		return s
	}
	return http.StatusInternalServerError
}

// ExitCode of the command line for the kind.
func (k Kind) ExitCode() int { return mappings[k].exit }

// Retryable reports whether the same request may succeed later.
func (k Kind) Retryable() bool { return mappings[k].retry }

// GRPC turns err into a gRPC status error; the code is in the message as
// "code: message", which FromGRPC takes apart again. What to do about it is
// the end of the message, because a status has no other place for it.
func GRPC(err error) error {
	if err == nil {
		return nil
	}
	e := As(err)
	message := e.Code + ": " + e.Message
	if e.Fix != "" {
		message += "; " + e.Fix
	}
	return status.Error(mappings[e.Kind].grpc, message)
}
