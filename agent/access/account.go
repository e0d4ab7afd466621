package access

import (
	"context"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

type userKey struct{}

// as is a context for requests to the API server as user; empty: as the agent
// itself.
func as(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// userOf is as whom a request is made. A request that does not say it is none: it
// would have the agent's own rights by mistake.
func userOf(ctx context.Context) (string, error) {
	user, ok := ctx.Value(userKey{}).(string)
	if !ok {
		return "", fault.New(fault.Internal, "caller_missing", "a request to the cluster is on nobody's behalf, and is not made")
	}
	return user, nil
}

func (s *Server) account(app model.AppUID) (string, error) {
	if s.o.Account == nil {
		return "", nil
	}
	return s.o.Account(app)
}

// stillAs asks anew as whom the application is acted for: what is shown was read
// with the rights of an account that the project does not name any more.
func (s *Server) stillAs(ctx context.Context, app model.AppUID) error {
	user, err := s.account(app)
	if err != nil {
		return err
	}
	if was, _ := userOf(ctx); was != user {
		return fault.New(fault.Denied, "account_changed", "the project names another service account for the application now").WithFix("ask again")
	}
	return nil
}

// refusedAs says of a refusal whom it met.
func refusedAs(user string, err error) error {
	account, ok := strings.CutPrefix(user, "system:serviceaccount:")
	if !ok || !fault.HasCode(err, "access_forbidden") {
		return err
	}
	e := *fault.As(err)
	if strings.Contains(e.Message, "cannot impersonate resource") {
		e.Code = "impersonation_forbidden"
		return e.WithFix("allow the agent's account the verb impersonate on the service account, as docs/agent-rbac.yaml shows")
	}
	account = strings.Replace(account, ":", "/", 1)
	e.Message = strings.Replace(e.Message, "the agent's account may not do that in its cluster", "the service account "+account+" of the project may not do that", 1)
	return e.WithFix("let the service account %s read it", account)
}
