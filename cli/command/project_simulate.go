package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/policy"
)

// question is what is asked of the hub; see explainRequest there.
type question struct {
	Verb        string             `json:"verb,omitempty"`
	Subject     string             `json:"subject,omitempty"`
	Application json.RawMessage    `json:"application,omitempty"`
	Name        string             `json:"name,omitempty"`
	Project     string             `json:"project,omitempty"`
	Sources     []string           `json:"sources,omitempty"`
	Destination *model.Destination `json:"destination,omitempty"`
	Kinds       []questionKind     `json:"kinds,omitempty"`
}

type questionKind struct {
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
}

func newProjectSimulate(s *session) *cobra.Command {
	var files, kinds []string
	var q question
	var app, dest, namespace string
	c := &cobra.Command{
		Use:   "simulate [NAME]",
		Short: "Ask whether a project allows something, and why",
		Long: `Ask whether something is allowed, and show every check in order: an application as it
would be applied (-f FILE), one that exists (--app NAME), or a project with any of --source,
--dest, --namespace and --kind. Nothing is changed. The exit status is 1 when it is not allowed.`,
		Args: cobra.MaximumNArgs(1),
		PreRunE: func(*cobra.Command, []string) error {
			if len(files) == 0 && app == "" && len(q.Sources) == 0 && dest == "" && namespace == "" && len(kinds) == 0 {
				return fault.New(fault.Invalid, "usage", "nothing is asked").WithFix("add --source, --dest, --namespace or --kind, or name applications: -f FILE or --app NAME")
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			if len(c.args) == 1 {
				q.Project = c.args[0]
			}
			q.Name = app
			for _, k := range kinds {
				kind, err := parseKind(k)
				if err != nil {
					return err
				}
				q.Kinds = append(q.Kinds, questionKind(kind))
			}
			if dest != "" || namespace != "" {
				q.Destination = &model.Destination{Name: dest, Namespace: namespace}
				if strings.Contains(dest, "://") {
					q.Destination.Name, q.Destination.Server = "", dest
				}
			}
			questions, err := s.questions(q, files)
			if err != nil {
				return err
			}
			var decisions []policy.Decision
			allowed := true
			for _, ask := range questions {
				var d policy.Decision
				if err := c.api.Do(c.ctx, http.MethodPost, "/explain", ask, &d); err != nil {
					return err
				}
				decisions, allowed = append(decisions, d), allowed && d.Allowed
			}
			if err := c.printDecisions(decisions); err != nil {
				return err
			}
			if !allowed {
				return exitWith(ExitNegative, nil)
			}
			return nil
		}),
	}
	f := c.Flags()
	f.StringArrayVarP(&files, "filename", "f", nil, "applications as they would be applied: file, directory, or - for standard input")
	f.StringVar(&app, "app", "", "an application that exists, with its present objects")
	f.StringSliceVar(&q.Sources, "source", nil, "repository URL")
	f.StringVar(&dest, "dest", "", "cluster, by name or server")
	f.StringVar(&namespace, "namespace", "", "namespace of the destination")
	f.StringSliceVar(&kinds, "kind", nil, "[GROUP/]KIND[:OBJECT]; may be repeated")
	f.StringVar(&q.Verb, "verb", "", "what is to be done: deploy (default), sync, get, logs, exec, delete and so on")
	f.StringVar(&q.Subject, "as", "", "name or id of the API token that would do it; for administrators")
	return c
}

// questions are one for each application in the files, or the one that the flags
// ask.
func (s *session) questions(q question, files []string) ([]question, error) {
	if len(files) == 0 {
		return []question{q}, nil
	}
	body, err := s.readDocuments(files)
	if err != nil {
		return nil, err
	}
	docs, err := decode.Documents(body)
	if err != nil {
		return nil, err
	}
	var out []question
	for _, d := range docs {
		switch {
		case d.Err != nil:
			return nil, d.Err
		case d.Application == nil:
			return nil, fault.New(fault.Invalid, "kind_unexpected", "line %d: %s is no application", d.Line, d.Kind)
		}
		raw, err := json.Marshal(d.Application)
		if err != nil {
			return nil, err
		}
		ask := q
		ask.Application = raw
		out = append(out, ask)
	}
	return out, nil
}

func (c *call) printDecisions(all []policy.Decision) error {
	if c.documents() {
		if len(all) == 1 {
			return c.document(all[0])
		}
		return c.document(all)
	}
	for i, d := range all {
		if i > 0 {
			fmt.Fprintln(c.Out)
		}
		for line := range strings.Lines(d.Text(c.now())) {
			fmt.Fprintln(c.Out, output.Clean(strings.TrimSuffix(line, "\n")))
		}
	}
	return nil
}

// projectUsage is the hub's answer about what a project's applications have.
type projectUsage struct {
	Project      string               `json:"project"`
	Applications int                  `json:"applications"`
	Objects      int                  `json:"objects"`
	Limits       *model.ProjectLimits `json:"limits,omitempty"`
	Clusters     []struct {
		Cluster      string `json:"cluster"`
		Applications int    `json:"applications"`
		Objects      int    `json:"objects"`
	} `json:"clusters"`
	Largest        string   `json:"largest,omitempty"`
	LargestObjects int      `json:"largestObjects,omitempty"`
	Inherits       []string `json:"inherits,omitempty"`
}

func newProjectUsage(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "usage NAME", Short: "Applications, clusters and objects of a project, beside its limits", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var u projectUsage
			if err := c.get(projectPath(c.args[0])+"/usage", &u); err != nil {
				return err
			}
			return c.one(u, "project/"+u.Project, func() error {
				var l model.ProjectLimits
				if u.Limits != nil {
					l = *u.Limits
				}
				largest := ""
				if u.Largest != "" {
					largest = ofMost(u.LargestObjects, l.MaxObjectsPerApplication) + " (" + u.Largest + ")"
				}
				err := s.describe([][2]string{
					{"Project", u.Project}, {"Applications", ofMost(u.Applications, l.MaxApplications)}, {"Objects", ofMost(u.Objects, l.MaxObjects)},
					{"Largest", largest}, {"Inherits from", strings.Join(u.Inherits, ", ")},
				})
				if err != nil || len(u.Clusters) == 0 {
					return err
				}
				fmt.Fprintln(c.Out)
				var rows [][]string
				for _, x := range u.Clusters {
					rows = append(rows, []string{x.Cluster, strconv.Itoa(x.Applications), strconv.Itoa(x.Objects)})
				}
				return c.rows([]output.Column{{Title: "CLUSTER"}, {Title: "APPLICATIONS"}, {Title: "OBJECTS"}}, rows)
			})
		}),
	}
}

func ofMost(n int, most *int64) string {
	if most == nil {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d of %d", n, *most)
}
