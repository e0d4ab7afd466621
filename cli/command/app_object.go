package command

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// liveFlags choose live objects of an application. What is left out matches
// all; the cluster's agent knows which there are.
type liveFlags struct{ group, kind, namespace, name string }

func (l *liveFlags) register(f *pflag.FlagSet) {
	f.StringVar(&l.kind, "kind", "", "kind of the object, as in Deployment, deployments or deploy")
	f.StringVar(&l.group, "group", "", `its API group, as in apps ("" for the core group)`)
	f.StringVarP(&l.namespace, "namespace", "n", "", "its namespace")
	f.StringVar(&l.name, "name", "", "its name")
	f.StringVar(&l.name, "resource-name", "", "its name, as other commands call it")
	_ = f.MarkHidden("resource-name") // it was registered in the line above
}

// query is what the flags say to the hub.
func (l *liveFlags) query(c *cobra.Command) url.Values {
	q := url.Values{}
	if c.Flags().Changed("group") {
		q.Set("group", l.group)
	}
	for name, value := range map[string]string{"kind": l.kind, "namespace": l.namespace, "resourceName": l.name} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// objectWord takes an object apart: KIND/NAME, with a group as kubectl writes it,
// KIND.GROUP/NAME, or as app get prints it, GROUP/KIND/NAME. Kind and name are empty
// when it is none of these.
func objectWord(s string) (group, kind, name string, grouped bool) {
	parts := strings.Split(s, "/")
	switch len(parts) {
	case 2:
		kind, group, grouped = strings.Cut(parts[0], ".")
		return group, kind, parts[1], grouped
	case 3:
		return parts[0], parts[1], parts[2], true
	}
	return "", "", "", false
}

func newAppResource(s *session) *cobra.Command {
	var (
		live          liveFlags
		managedFields bool
	)
	c := &cobra.Command{
		Use:   "resource NAME KIND/NAME",
		Short: "One live object of the application as it is in its cluster, values of Secrets redacted",
		Example: `  hawser app resource shop deployment/web
  hawser app resource shop secret/db -o json
  hawser app resource shop certificates.cert-manager.io/tls -n web`,
		Args: exactArgs("NAME", "KIND/NAME"),
		PreRunE: func(c *cobra.Command, args []string) error {
			group, kind, name, grouped := objectWord(args[1])
			if kind == "" || name == "" {
				return fault.New(fault.Invalid, "usage", "%q is not KIND/NAME", args[1]).WithFix("write it as in deployment/web")
			}
			live.kind, live.name = kind, name
			if grouped {
				return c.Flags().Set("group", group)
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			q := live.query(c.cmd)
			if managedFields {
				q.Set("managedFields", "true")
			}
			var raw json.RawMessage
			if err := c.get(appPath(c.args[0])+"/resource?"+q.Encode(), &raw); err != nil {
				return err
			}
			if c.format == output.Name {
				return c.name(c.args[1])
			}
			var object any
			if err := json.Unmarshal(raw, &object); err != nil {
				return fault.Wrap(err, fault.Internal, "answer_invalid", "the hub answered something that is no object")
			}
			if c.documents() {
				return c.document(object)
			}
			return output.Document(c.Out, output.YAML, object) // an object has no table
		}),
	}
	f := c.Flags()
	f.StringVarP(&live.namespace, "namespace", "n", "", "its namespace, when there are several of the name")
	f.StringVar(&live.group, "group", "", `its API group, when there are several ("" for the core group)`)
	f.BoolVar(&managedFields, "show-managed-fields", false, "who set which field")
	return c
}
