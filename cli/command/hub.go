package command

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
)

func newHub(s *session) *cobra.Command {
	status := &cobra.Command{
		Use: "status", Short: "Identity and state of the hub", Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var got map[string]any
			if err := api.Get(c.Context(), "/hub", &got); err != nil {
				return err
			}
			if f != output.JSON {
				f = output.YAML
			}
			return output.Document(s.Out, f, got)
		},
	}
	ack := &cobra.Command{
		Use:   "acknowledge-restore",
		Short: "Allow pruning again after the hub's database was restored from an older copy",
		Long: `After the hub finds that its database is an older copy than its agents remember, it
starts a new incarnation and holds all pruning. Look at the applications that it
shows as out of sync or unknown; when they are as you want them, acknowledge.`,
		Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			return api.Do(c.Context(), http.MethodPost, "/hub/acknowledge-restore", nil, nil)
		},
	}
	return group("hub", "The hub itself", status, ack)
}
