package command

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

func newAppset(s *session) *cobra.Command {
	c := group("appset", "ApplicationSets: kept, and not expanded yet",
		newAppsetList(s), newAppsetGet(s), newAppsetCreate(s), newAppsetDelete(s))
	c.Long = `ApplicationSets in Argo CD's format. The hub keeps them as they are and checks their
shape; this release does not generate applications from them yet.`
	return c
}

func appsetPath(name string) string {
	return "/applicationsets/" + url.PathEscape(strings.TrimPrefix(name, "appset/"))
}

func newAppsetList(s *session) *cobra.Command {
	sets := listing[model.ApplicationSet]{
		kind:    "ApplicationSetList",
		name:    func(x model.ApplicationSet) string { return "appset/" + x.Metadata.Name },
		columns: []output.Column{{Title: "NAME"}, {Title: "PROJECT"}, {Title: "GENERATORS"}, {Title: "STATUS", Text: true}, {Title: "AGE", Wide: true}},
		row: func(x model.ApplicationSet) []string {
			project, ok := x.Project()
			if !ok {
				project = "(by template)"
			}
			return []string{x.Metadata.Name, project, generatorText(x), setStatus(x), output.Age(s.now(), x.Metadata.CreationTimestamp)}
		},
	}
	return sets.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All application sets", Args: exactArgs()}, "/applicationsets", nil)
}

func generatorText(x model.ApplicationSet) string {
	var kinds []string
	for i := range x.Spec.Generators {
		kinds = append(kinds, x.Spec.Generators[i].Kinds()...)
	}
	return strings.Join(kinds, ",")
}

// setStatus is the message of the first condition.
func setStatus(x model.ApplicationSet) string {
	var status struct {
		Conditions []struct{ Message string }
	}
	if json.Unmarshal(x.Status, &status) != nil || len(status.Conditions) == 0 {
		return ""
	}
	return status.Conditions[0].Message
}

func newAppsetGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "One application set, as YAML", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var x model.ApplicationSet
			if err := c.get(appsetPath(c.args[0]), &x); err != nil {
				return err
			}
			return c.one(x, "appset/"+x.Metadata.Name, func() error { return output.Document(c.Out, output.YAML, x) })
		}),
	}
}

func newAppsetCreate(s *session) *cobra.Command {
	var files []string
	var upsert bool
	var sets []model.ApplicationSet
	c := &cobra.Command{
		Use:   "create -f FILE",
		Short: "Store application sets from files",
		Args:  exactArgs(),
		PreRunE: func(*cobra.Command, []string) error {
			if len(files) == 0 {
				return fault.New(fault.Invalid, "usage", "nothing to create").WithFix("name a file: hawser appset create -f FILE")
			}
			body, err := s.readDocuments(files)
			if err != nil {
				return err
			}
			docs, err := decode.Documents(body)
			if err != nil {
				return err
			}
			for _, d := range docs {
				switch {
				case d.Err != nil:
					return d.Err
				case d.Set == nil:
					return fault.New(fault.Invalid, "kind_unexpected", "line %d: %s %q is no ApplicationSet", d.Line, d.Kind, d.Name).WithFix("hawser apply -f takes all kinds")
				}
				sets = append(sets, *d.Set)
			}
			if len(sets) == 0 {
				return fault.New(fault.Invalid, "body_missing", "the files have no ApplicationSet")
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			for _, set := range sets {
				header := http.Header{}
				if !upsert {
					header.Set("If-None-Match", "*")
				}
				var stored model.ApplicationSet
				if err := c.api.DoWith(c.ctx, http.MethodPut, appsetPath(set.Metadata.Name), header, set, &stored); err != nil {
					return err
				}
				c.note("application set %q %s", set.Metadata.Name, setStatus(stored))
			}
			return nil
		}),
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "file, directory, or - for standard input")
	c.Flags().BoolVar(&upsert, "upsert", false, "replace those that exist")
	return c
}

func newAppsetDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Forget an application set; no application is touched", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodDelete, appsetPath(c.args[0]), nil, "application set %q deleted; no application was touched", c.args[0])
		}),
	}
}
