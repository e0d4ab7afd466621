package command

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
)

func newHub(s *session) *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Identity and state of the hub", Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			var got map[string]any
			if err := c.get("/hub", &got); err != nil {
				return err
			}
			return c.one(got, "", func() error { return output.Document(c.Out, output.YAML, got) })
		}),
	}
	ack := &cobra.Command{
		Use:   "acknowledge-restore",
		Short: "Allow pruning again after the hub's database was restored from an older copy",
		Long: `After the hub finds that its database is an older copy than its agents remember, it
starts a new incarnation and holds all pruning. Look at the applications that it
shows as out of sync or unknown; when they are as you want them, acknowledge.`,
		Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodPost, "/hub/acknowledge-restore", nil, "the restore is acknowledged; pruning and deletions go on")
		}),
	}
	return group("hub", "The hub itself", status, ack)
}
