package command

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppHistory(s *session) *cobra.Command {
	history := listing[model.HistoryEntry]{
		kind: "AppHistory",
		name: func(h model.HistoryEntry) string { return "history/" + strconv.FormatInt(h.ID, 10) },
		columns: []output.Column{{Title: "ID"}, {Title: "DEPLOYED", Path: ".deployedAt"}, {Title: "REVISION"}, {Title: "BY"},
			{Title: "GENERATION", Wide: true}, {Title: "OPERATION", Wide: true}, {Title: "HELD", Wide: true}, {Title: "SOURCES", Wide: true}, {Title: "SET ASIDE", Wide: true}, {Title: "NOTE", Text: true}},
		row: func(h model.HistoryEntry) []string {
			sources := make([]string, len(h.Sources))
			for i, revision := range h.Sources {
				sources[i] = short(revision)
			}
			aside := ""
			if h.Rollback != nil {
				aside = short(h.Rollback.SetAside)
			}
			return []string{strconv.FormatInt(h.ID, 10), h.DeployedAt.Format(time.RFC3339), short(h.Revision), h.InitiatedBy,
				strconv.FormatInt(int64(h.Generation), 10), string(h.Operation), strconv.FormatBool(h.Held), strings.Join(sources, ","), aside, historyNote(h)}
		},
	}
	c := &cobra.Command{
		Use: "history NAME", Short: "What was deployed, newest last", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			v, err := getApp(c.ctx, c.api, c.args[0])
			if err != nil {
				return err
			}
			return history.print(c, v.History, c.now())
		}),
	}
	history.flags(s, c)
	return c
}

// historyNote says why something was deployed: the rollback, the words of who
// asked, else the commit's.
func historyNote(h model.HistoryEntry) string {
	if h.Rollback == nil {
		return cmp.Or(h.Reason, h.Message)
	}
	note := fmt.Sprintf("rollback to %d", h.Rollback.HistoryID)
	if h.Reason != "" {
		note += ": " + h.Reason
	}
	return note
}
