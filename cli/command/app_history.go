package command

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppHistory(s *session) *cobra.Command {
	history := listing[model.HistoryEntry]{
		kind:    "AppHistory",
		columns: []output.Column{{Title: "ID"}, {Title: "DEPLOYED"}, {Title: "REVISION"}, {Title: "BY"}, {Title: "GENERATION", Wide: true}},
		row: func(h model.HistoryEntry) []string {
			return []string{strconv.FormatInt(int64(h.ID), 10), h.DeployedAt.Format(time.RFC3339), short(h.Revision), h.InitiatedBy, strconv.FormatInt(int64(h.Generation), 10)}
		},
	}
	return &cobra.Command{
		Use: "history NAME", Short: "What was deployed, newest last", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			v, err := getApp(c.ctx, c.api, c.args[0])
			if err != nil {
				return err
			}
			return history.print(c, v.History, c.now())
		}),
	}
}
