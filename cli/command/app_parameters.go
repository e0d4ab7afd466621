package command

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

// parameterRow is one parameter with whose it is.
type parameterRow struct {
	Source int    `json:"source"`
	Plugin string `json:"plugin"`
	model.ParameterAnnouncement
}

// value is the default of a parameter, on one line.
func (p parameterRow) value() string {
	switch p.CollectionType {
	case "array":
		return strings.Join(p.Array, ", ")
	case "map":
		return labelText(p.Map)
	}
	return p.String
}

func newAppParameters(s *session) *cobra.Command {
	list := listing[parameterRow]{
		kind: "PluginParameterList",
		name: func(p parameterRow) string { return "parameter/" + p.Name },
		columns: []output.Column{
			{Title: "PARAMETER"}, {Title: "TYPE"}, {Title: "REQUIRED"}, {Title: "DEFAULT"}, {Title: "TITLE"}, {Title: "PLUGIN"},
			{Title: "SOURCE", Wide: true}, {Title: "TOOLTIP", Wide: true},
		},
		row: func(p parameterRow) []string {
			kind := p.CollectionType
			if kind == "" {
				kind = "string"
			}
			return []string{p.Name, kind, strconv.FormatBool(p.Required), p.value(), p.Title, p.Plugin, strconv.Itoa(p.Source), p.Tooltip}
		},
	}
	c := &cobra.Command{
		Use: "parameters NAME", Aliases: []string{"params"}, Short: "What the config management plugins of an application can be told", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var answer struct {
				Items []model.PluginParameters `json:"items"`
			}
			if err := c.get(appPath(c.args[0])+"/plugin-parameters", &answer); err != nil {
				return err
			}
			var rows []parameterRow
			for _, p := range answer.Items {
				for _, a := range p.Parameters {
					rows = append(rows, parameterRow{p.Source, p.Plugin, a})
				}
			}
			return list.print(c, rows, c.now())
		}),
	}
	list.flags(s, c)
	return c
}
