package command

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
)

func newClusterEnrolment(s *session) *cobra.Command {
	return group("enrolment", "Tokens that were minted for clusters, and what became of them", newEnrolmentList(s), newEnrolmentDelete(s))
}

// pending reports whether a token can still be redeemed.
func pending(now time.Time, t api.EnrolmentToken) bool {
	return t.UsedAt == nil && t.ExpiresAt.After(now)
}

func newEnrolmentList(s *session) *cobra.Command {
	var all bool
	enrolments := listing[api.EnrolmentToken]{
		kind: "EnrolmentList",
		name: func(t api.EnrolmentToken) string { return "enrolment/" + t.ID },
		columns: []output.Column{
			{Title: "CLUSTER"}, {Title: "STATE", Status: true}, {Title: "EXPIRES", Path: ".expiresAt"}, {Title: "AGE", Path: ".createdAt"}, {Title: "BY"},
			{Title: "PROJECT", Spare: true}, {Title: "ID"}, {Title: "LABELS", Wide: true}, {Title: "FROM", Wide: true},
		},
		row: func(t api.EnrolmentToken) []string {
			now := s.now()
			state, expires := "Pending", "in "+output.Age(t.ExpiresAt, &now)
			switch {
			case t.UsedAt != nil:
				state, expires = "Used", ""
			case !pending(now, t):
				state, expires = "Expired", ""
			}
			return []string{t.Cluster, state, expires, output.Age(now, &t.CreatedAt), t.CreatedBy, t.Project, t.ID, labelText(t.Labels), t.UsedFrom}
		},
	}
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "Tokens that no agent has redeemed yet; for administrators", Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			var got list[api.EnrolmentToken]
			if err := c.get("/enrolment-tokens", &got); err != nil {
				return err
			}
			if !all {
				got.Items = slices.DeleteFunc(got.Items, func(t api.EnrolmentToken) bool { return !pending(c.now(), t) })
			}
			return enrolments.print(c, got.Items, got.AsOf)
		}),
	}
	enrolments.flags(s, c)
	c.Flags().BoolVar(&all, "all", false, "also those that were redeemed or have expired, as long as the hub keeps them")
	return c
}

func newEnrolmentDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Aliases: []string{"rm", "revoke"}, Short: "Take back a token that no agent has redeemed yet", Args: exactArgs("ID"),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodDelete, "/enrolment-tokens/"+url.PathEscape(c.args[0]), nil, "nobody can enrol with this token any more")
		}),
	}
}

// notePending closes a list of clusters for people: what is not a cluster yet. Who
// may not see tokens is told nothing.
func (c *call) notePending() {
	if c.seen != nil || c.quiet {
		return
	}
	var got list[api.EnrolmentToken]
	if c.get("/enrolment-tokens", &got) != nil {
		return
	}
	n := 0
	for _, t := range got.Items {
		if pending(c.now(), t) {
			n++
		}
	}
	if n > 0 {
		c.note("%s not redeemed yet: hawser cluster enrolment list", output.Count(n, "enrolment is", "enrolments are"))
	}
}
