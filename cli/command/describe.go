package command

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// mostDescribed is how many operations, events and applications a description
// names.
const mostDescribed = 10

// section prints a heading; what follows is a table.
func (c *call) section(title string) { fmt.Fprintf(c.Out, "\n%s:\n", title) }

// appDescription is the document of app describe.
type appDescription struct {
	Application model.AppView         `json:"application"`
	Operations  []model.OperationInfo `json:"operations"`
	Events      []model.ObjectEvent   `json:"events"`
	// EventsError says why there are no events.
	EventsError string `json:"eventsError,omitempty"`
}

func newAppDescribe(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Short: "All about one application: its state, objects, newest operations and warnings", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			v, err := getApp(c.ctx, c.api, c.args[0])
			if err != nil {
				return err
			}
			d := appDescription{Application: v, Operations: []model.OperationInfo{}, Events: []model.ObjectEvent{}}
			var operations list[model.OperationInfo]
			if err := c.get("/operations?"+url.Values{"app": {v.Name}, "limit": {strconv.Itoa(mostDescribed)}}.Encode(), &operations); err != nil {
				return err
			}
			d.Operations = append(d.Operations, operations.Items[:min(len(operations.Items), mostDescribed)]...)
			var events list[model.ObjectEvent]
			if err := c.get(appPath(v.Name)+"/events?limit="+strconv.Itoa(mostDescribed), &events); err != nil {
				if c.ctx.Err() != nil {
					return err
				}
				d.EventsError = fault.As(err).Message // the cluster may be away; the rest is worth showing
			}
			d.Events = append(d.Events, events.Items...)
			return c.one(d, "app/"+v.Name, func() error { return c.printAppDescription(d) })
		}),
	}
}

func (c *call) printAppDescription(d appDescription) error {
	wide := *c
	wide.format = output.Wide
	if err := wide.describeApp(d.Application); err != nil {
		return err
	}
	c.section("Operations")
	rows := make([][]string, 0, len(d.Operations))
	for _, op := range d.Operations {
		rows = append(rows, []string{string(op.ID), operationKind(op), string(op.Phase), output.Age(c.now(), op.CreatedAt), op.InitiatedBy, op.Message})
	}
	err := c.rows([]output.Column{{Title: "ID"}, {Title: "KIND"}, {Title: "PHASE", Status: true}, {Title: "AGE"}, {Title: "BY"}, {Title: "MESSAGE", Text: true}}, rows)
	if err != nil {
		return err
	}
	if d.EventsError != "" {
		c.note("its events are not known: %s", d.EventsError)
		return nil
	}
	c.section("Events")
	rows = rows[:0]
	for _, e := range d.Events {
		rows = append(rows, []string{e.Type, e.Reason, e.Object.Kind + " " + e.Object.Name, strconv.Itoa(int(e.Count)), e.Message})
	}
	return c.rows([]output.Column{{Title: "TYPE"}, {Title: "REASON"}, {Title: "OBJECT"}, {Title: "COUNT"}, {Title: "MESSAGE", Text: true}}, rows)
}

// clusterDescription is the document of cluster describe.
type clusterDescription struct {
	Cluster      model.Cluster   `json:"cluster"`
	Applications json.RawMessage `json:"applications"`
}

// appLine is what a description says of an application, whatever shape the hub's
// list has.
type appLine struct {
	Name    string            `json:"name"`
	Project string            `json:"project"`
	Sync    model.SyncFacet   `json:"sync"`
	Health  model.HealthFacet `json:"health"`
}

// described fetches the first applications of a project or cluster.
func (c *call) described(key, value string) (raw json.RawMessage, lines []appLine, total int, err error) {
	var page list[json.RawMessage]
	if err := c.get("/applications?"+url.Values{key: {value}, "limit": {strconv.Itoa(pageSize)}}.Encode(), &page); err != nil {
		return nil, nil, 0, err
	}
	if page.Items == nil {
		page.Items = []json.RawMessage{}
	}
	if raw, err = json.Marshal(page.Items); err != nil {
		return nil, nil, 0, err
	}
	for _, x := range page.Items {
		var line appLine
		if json.Unmarshal(x, &line) == nil {
			lines = append(lines, line)
		}
	}
	total = len(page.Items)
	if page.Total != nil {
		total = max(total, *page.Total)
	}
	return raw, lines, total, nil
}

func (c *call) printAppLines(lines []appLine, total int) error {
	c.section("Applications")
	rows := make([][]string, 0, mostDescribed)
	for _, x := range lines[:min(len(lines), mostDescribed)] {
		rows = append(rows, []string{x.Name, x.Project, facetText(x.Sync), string(x.Health.Status)})
	}
	if err := c.rows([]output.Column{{Title: "NAME"}, {Title: "PROJECT"}, {Title: "SYNC", Status: true}, {Title: "HEALTH", Status: true}}, rows); err != nil {
		return err
	}
	if total > len(rows) {
		c.note("%d of %s", len(rows), output.Thousands(total))
	}
	return nil
}

func newClusterDescribe(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Short: "All about one cluster, and which applications are on it", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var x model.Cluster
			if err := c.get(clusterPath(c.args[0]), &x); err != nil {
				return err
			}
			raw, lines, total, err := c.described("cluster", x.Name)
			if err != nil {
				return err
			}
			return c.one(clusterDescription{x, raw}, "cluster/"+x.Name, func() error {
				if err := c.describeCluster(x); err != nil {
					return err
				}
				return c.printAppLines(lines, total)
			})
		}),
	}
}

// projectDescription is the document of project describe.
type projectDescription struct {
	Project      model.AppProject `json:"project"`
	Applications json.RawMessage  `json:"applications"`
}

func newProjectDescribe(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Short: "All about one project, and which applications are in it", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var p model.AppProject
			if err := c.get(projectPath(c.args[0]), &p); err != nil {
				return err
			}
			raw, lines, total, err := c.described("project", p.Metadata.Name)
			if err != nil {
				return err
			}
			return c.one(projectDescription{p, raw}, "project/"+p.Metadata.Name, func() error {
				if err := output.Document(c.Out, output.YAML, p); err != nil {
					return err
				}
				return c.printAppLines(lines, total)
			})
		}),
	}
}
