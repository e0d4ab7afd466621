package argocd

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

func (i *invocation) roleTokens() string {
	return "/projects/" + url.PathEscape(i.args[0]) + "/roles/" + url.PathEscape(i.args[1]) + "/tokens"
}

// roleCreateToken issues a token. There are none without an end here: where Argo CD
// would make one, the hub's own time counts, and that is said.
func roleCreateToken(i *invocation) error {
	in := api.NewRoleTokenRequest{Name: i.str("id")}
	d, err := expiresIn(i.str("expires-in"))
	if err != nil {
		return err
	}
	if d > 0 {
		in.TTL = d.String()
	}
	var got api.IssuedRoleToken
	if err := i.api.Do(i.ctx, http.MethodPost, i.roleTokens(), in, &got); err != nil {
		return err
	}
	if d == 0 {
		fmt.Fprintf(i.Err, "WARN[0000] every token has an end here: this one's is %s; --expires-in says another, of at most 365d\n", got.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if i.yes("token-only") {
		fmt.Fprintln(i.Out, got.Token)
		return nil
	}
	fmt.Fprintf(i.Out, "Create token succeeded for %s.\n  ID: %s\n  Issued At: %s\n  Expires At: %s\n  Token: %s\n", output.Clean(got.Subject), output.Clean(tokenID(got.RoleToken)),
		got.CreatedAt.UTC().Format(time.RFC3339), got.ExpiresAt.UTC().Format(time.RFC3339), got.Token)
	return nil
}

// expiresIn reads a duration as Argo CD does, which has days too.
func expiresIn(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); err != nil && isDays {
		var n int
		if n, err = strconv.Atoi(days); err == nil {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d < 0 {
		return 0, fault.New(fault.Invalid, "usage", "--expires-in %q is no duration such as 12h or 7d", text)
	}
	return d, nil
}

// tokenID is what Argo CD would show as the id: the one that was given, or the
// hub's.
func tokenID(t api.RoleToken) string { return firstOf(t.Name, t.ID) }

func roleListTokens(i *invocation) error {
	var got api.RoleTokenList
	if err := i.api.Get(i.ctx, i.roleTokens(), &got); err != nil {
		return err
	}
	if len(got.Items) == 0 {
		fmt.Fprintf(i.Out, "No tokens for %s.%s\n", output.Clean(i.args[0]), output.Clean(i.args[1]))
		return nil
	}
	at := func(t time.Time) string {
		if i.yes("unixtime") {
			return strconv.FormatInt(t.Unix(), 10)
		}
		return t.UTC().Format(time.RFC3339)
	}
	var rows [][]string
	for _, t := range got.Items {
		rows = append(rows, []string{tokenID(t), at(t.CreatedAt), at(t.ExpiresAt)})
	}
	return i.table([]string{"ID", "ISSUED AT", "EXPIRES AT"}, rows)
}

// roleDeleteToken revokes a token by the second in which it was issued, as Argo CD
// does, or by its id. Of several of one second none is chosen.
func roleDeleteToken(i *invocation) error {
	var got api.RoleTokenList
	if err := i.api.Get(i.ctx, i.roleTokens(), &got); err != nil {
		return err
	}
	var found []api.RoleToken
	for _, t := range got.Items {
		if t.ID == i.args[2] || strconv.FormatInt(t.CreatedAt.Unix(), 10) == i.args[2] {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return fault.New(fault.NotFound, "role_token_unknown", "role %q of project %q has no token that was issued at %q", i.args[1], i.args[0], i.args[2]).
			WithFix("see argocd proj role list-tokens --unixtime %s %s", i.args[0], i.args[1])
	case 1:
		return i.api.Do(i.ctx, http.MethodDelete, i.roleTokens()+"/"+url.PathEscape(found[0].ID), nil, nil)
	}
	return fault.New(fault.Precondition, "token_ambiguous", "%d tokens were issued in that second", len(found)).WithFix("hawser project role delete-token PROJECT ROLE ID")
}
