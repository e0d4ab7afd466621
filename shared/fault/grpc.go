package fault

import (
	"context"
	"errors"
	"regexp"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var codePrefix = regexp.MustCompile(`^([a-z][a-z0-9_]{1,63}): `)

var kindOfCode = map[codes.Code]Kind{
	codes.InvalidArgument:    Invalid,
	codes.NotFound:           NotFound,
	codes.AlreadyExists:      Conflict,
	codes.PermissionDenied:   Denied,
	codes.Unauthenticated:    Unauthorized,
	codes.FailedPrecondition: Precondition,
	codes.ResourceExhausted:  RateLimited,
	codes.Unavailable:        Unavailable,
	codes.DeadlineExceeded:   Unavailable,
	codes.Canceled:           Unavailable,
	codes.Aborted:            Unavailable,
}

// FromGRPC turns an error that GRPC made at the other end back into an Error,
// with the code taken out of the message. An error of gRPC itself, such as a
// lost connection, gets the code "connection_lost" where repeating may help
// and "rpc_failed" where not.
func FromGRPC(err error) error {
	if err == nil {
		return nil
	}
	var already *Error
	if errors.As(err, &already) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Wrap(err, Unavailable, "connection_lost", "the call was given up")
	}
	st, ok := status.FromError(err)
	if !ok {
		return Wrap(err, Unavailable, "connection_lost", "the connection was lost")
	}
	kind, ok := kindOfCode[st.Code()]
	if !ok {
		kind = Internal
	}
	if m := codePrefix.FindStringSubmatch(st.Message()); m != nil {
		return &Error{Kind: kind, Code: m[1], Message: st.Message()[len(m[0]):]}
	}
	code := "rpc_failed"
	if kind == Unavailable {
		code = "connection_lost"
	}
	return &Error{Kind: kind, Code: code, Message: st.Message()}
}
