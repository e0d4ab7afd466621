package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppEvents(s *session) *cobra.Command {
	var (
		live   liveFlags
		follow bool
		limit  int
	)
	events := func(c *call) listing[model.ObjectEvent] {
		return listing[model.ObjectEvent]{
			kind: "EventList",
			columns: []output.Column{{Title: "LAST SEEN"}, {Title: "TYPE"}, {Title: "REASON"}, {Title: "OBJECT"}, {Title: "COUNT"},
				{Title: "SOURCE", Wide: true}, {Title: "FIRST SEEN", Wide: true}, {Title: "MESSAGE", Text: true}},
			row: func(e model.ObjectEvent) []string { return eventRow(c.now(), e) },
		}
	}
	c := &cobra.Command{
		Use: "events NAME", Short: "What the cluster says about the application's objects, newest first",
		Long: "What the cluster says about the application's objects, newest first. With --follow the oldest come first,\nand then what comes.",
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			q := live.query(c.cmd)
			if limit > 0 {
				q.Set("limit", strconv.Itoa(limit))
			}
			if follow {
				return c.followEvents(q)
			}
			var got list[model.ObjectEvent]
			if err := c.get(appPath(c.args[0])+"/events?"+q.Encode(), &got); err != nil {
				return err
			}
			return events(c).print(c, got.Items, got.AsOf)
		}),
	}
	live.register(c.Flags())
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on, and print what comes")
	c.Flags().IntVar(&limit, "limit", 0, "at most so many (0: 500)")
	return c
}

func eventRow(now time.Time, e model.ObjectEvent) []string {
	object := e.Object
	object.Namespace = "" // the application's own, as a rule
	return []string{output.Age(now, &e.LastSeen), e.Type, e.Reason, object.String(), strconv.Itoa(e.Count), e.Source, output.Age(now, &e.FirstSeen), e.Message}
}

// followEvents prints a line for each event, or with -o json a document.
func (c *call) followEvents(q url.Values) error {
	if c.format == output.YAML {
		return fault.New(fault.Invalid, "usage", "events that are followed are printed as text or with -o json")
	}
	q.Set("follow", "true")
	return c.lines(appPath(c.args[0])+"/events?"+q.Encode(), func(line []byte, m streamed) error {
		switch {
		case m.Event == nil:
			return nil
		case c.documents():
			_, err := fmt.Fprintf(c.Out, "%s\n", line)
			return err
		}
		e := m.Event
		_, err := fmt.Fprintln(c.Out, output.Clean(fmt.Sprintf("%s  %s  %s  %s  %s", e.LastSeen.Local().Format(time.DateTime), e.Type, e.Reason, e.Object, e.Message)))
		return err
	})
}

// streamed is one line of an answer that goes on.
type streamed struct {
	Event   *model.ObjectEvent `json:"event"`
	Sources []model.LogSource  `json:"sources"`
	Notice  *model.LogNotice   `json:"notice"`

	Source  int        `json:"source"`
	At      *time.Time `json:"at"`
	Text    *string    `json:"text"`
	Partial bool       `json:"partial"`

	End json.RawMessage `json:"end"`
}

// lines reads an answer that goes on and hands each line to f, until the hub
// says that it ended and why. An answer that ends without is not complete.
func (c *call) lines(path string, f func(line []byte, m streamed) error) error {
	ctx, cancel := c.limit(c.ctx, 0)
	defer cancel()
	ended := false
	err := c.api.Lines(ctx, http.MethodGet, path, nil, func(line []byte) error {
		var m streamed
		if err := json.Unmarshal(line, &m); err != nil {
			return fault.Wrap(err, fault.Internal, "answer_invalid", "the hub answered something that is not a line of an answer")
		}
		if m.End != nil {
			ended = true
			if string(m.End) == "null" {
				return nil
			}
			return client.Problem(m.End, http.StatusServiceUnavailable)
		}
		return f(line, m)
	})
	if err == nil && !ended {
		return fault.New(fault.Unavailable, "answer_cut", "the hub, or something between, cut the answer off").WithFix("try again")
	}
	return err
}
