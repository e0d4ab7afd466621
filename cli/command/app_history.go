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
			if err := history.print(c, v.History, c.now()); err != nil || c.documents() {
				return err
			}
			c.noteLeftOut(v)
			return nil
		}),
	}
	history.flags(s, c)
	return c
}

// noteLeftOut says why numbers are missing between deployments: rollbacks, and the
// ends of them, are deployments too, and a full history leaves out what the next one
// repeated.
func (c *call) noteLeftOut(v model.AppView) {
	var left []string
	for i := 1; i < len(v.History); i++ {
		for id := v.History[i-1].ID + 1; id < v.History[i].ID; id++ {
			left = append(left, strconv.FormatInt(id, 10))
		}
	}
	if len(left) == 0 {
		return
	}
	if more := len(left) - mostNames; more > 0 {
		left = append(left[:mostNames], fmt.Sprintf("%d more", more))
	}
	c.note("%s is not kept any more: a history that is full (revisionHistoryLimit) leaves out first what the next deployment repeated", strings.Join(left, ", "))
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
