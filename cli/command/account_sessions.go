package command

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
)

func newAccountSessions(s *session) *cobra.Command {
	return group("sessions", "Who is logged in, and ending that", newSessionsList(s), newSessionsAll(s), newSessionsEnd(s), newSessionsEndAll(s))
}

func (s *session) sessionColumns() listing[api.LoginSession] {
	return listing[api.LoginSession]{
		kind: "LoginSessionList",
		name: func(l api.LoginSession) string { return "session/" + l.ID },
		columns: []output.Column{
			{Title: "NAME"}, {Title: "PROVIDER"}, {Title: "FROM", Path: ".address"}, {Title: "CLIENT"}, {Title: "AGE", Path: ".createdAt"}, {Title: "USED", Path: ".lastUsed"}, {Title: "ID"},
		},
		row: func(l api.LoginSession) []string {
			name := l.Name
			if l.Current {
				name += " (this one)"
			}
			return []string{name, l.Provider, l.Address, l.Client, output.Age(s.now(), &l.CreatedAt), output.Age(s.now(), &l.LastUsed), l.ID}
		},
	}
}

func newSessionsList(s *session) *cobra.Command {
	l := s.sessionColumns()
	return l.command(s, &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "One's own sessions, the last used first", Args: exactArgs(),
	}, "/sessions", nil)
}

func newSessionsAll(s *session) *cobra.Command {
	l := s.sessionColumns()
	return l.command(s, &cobra.Command{
		Use: "list-all", Short: "Sessions of everybody, for administrators", Args: exactArgs(),
	}, "/login-sessions", nil)
}

func newSessionsEnd(s *session) *cobra.Command {
	var others bool
	c := &cobra.Command{
		Use: "end ID", Short: "End a session: it is void at every hub within seconds", Args: exactArgs("ID"),
		Long: `End a session: it is void at every hub within seconds, and so are the streams that it
has open. Without --other-user it must be one's own.`,
		RunE: s.run(func(c *call) error {
			path := "/sessions/"
			if others {
				path = "/login-sessions/"
			}
			id := strings.TrimPrefix(c.args[0], "session/")
			return c.change(http.MethodDelete, path+url.PathEscape(id), nil, "session %s ended", id)
		}),
	}
	c.Flags().BoolVar(&others, "other-user", false, "also when it is somebody else's, for administrators")
	return c
}

func newSessionsEndAll(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "end-all", Short: "Log out everywhere: end all of one's own sessions, this one too", Args: exactArgs(),
		Long: `Log out everywhere: end all of one's own sessions, this one too. API tokens that one
issued stay; hawser account password ends those as well.`,
		RunE: s.run(func(c *call) error {
			var got api.EndedSessions
			if err := c.api.Do(c.ctx, http.MethodPost, "/logout/everywhere", nil, &got); err != nil {
				return err
			}
			return c.one(got, "", func() error {
				c.note("%s ended", output.Count(got.Ended, "session", "sessions"))
				return nil
			})
		}),
	}
}
