package command

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppActions(s *session) *cobra.Command {
	c := group("actions", "What can be done with single objects: restart, scale, …", newActionsList(s), newActionsRun(s))
	c.Aliases = []string{"action"}
	return c
}

// objectFlags choose objects of an application.
type objectFlags struct{ group, kind, namespace, name string }

func (o *objectFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.kind, "kind", "", "kind of the object, as in Deployment")
	f.StringVar(&o.group, "group", "", "its API group, as in apps")
	f.StringVar(&o.namespace, "namespace", "", "its namespace")
	f.StringVar(&o.name, "resource-name", "", "its name")
}

func (o *objectFlags) matches(k model.ObjectKey, anyGroup bool) bool {
	return (o.kind == "" || strings.EqualFold(o.kind, k.Kind)) && (anyGroup || o.group == k.Group) &&
		(o.namespace == "" || o.namespace == k.Namespace) && (o.name == "" || o.name == k.Name)
}

// choose finds the application's objects that the flags mean: among the managed
// ones, else among those below them.
func (o *objectFlags) choose(c *call, app string) ([]model.ObjectKey, error) {
	v, err := getApp(c.ctx, c.api, app)
	if err != nil {
		return nil, err
	}
	anyGroup := !c.cmd.Flags().Changed("group")
	var found []model.ObjectKey
	for _, r := range v.Resources {
		if r.Hook == "" && r.Health.Status != model.HealthMissing && o.matches(r.ObjectKey, anyGroup) {
			found = append(found, r.ObjectKey)
		}
	}
	if len(found) == 0 && o.kind != "" {
		var tree model.ResourceTree
		if err := c.get(appPath(app)+"/tree", &tree); err != nil {
			return nil, err
		}
		for _, n := range tree.Nodes {
			if o.matches(n.ObjectKey, anyGroup) {
				found = append(found, n.ObjectKey)
			}
		}
	}
	if len(found) == 0 {
		return nil, fault.New(fault.NotFound, "object_not_of_application", "application %q has no such object", v.Name).WithFix("see its objects: hawser app tree %s", v.Name)
	}
	return found, nil
}

// offered is an action of one object.
type offered struct {
	Object model.ObjectKey `json:"object"`
	model.ResourceAction
}

// mostAsked is how many objects are asked about at once.
const mostAsked = 100

func newActionsList(s *session) *cobra.Command {
	var object objectFlags
	actions := listing[offered]{
		kind:    "ActionList",
		columns: []output.Column{{Title: "KIND"}, {Title: "NAMESPACE"}, {Title: "NAME"}, {Title: "ACTION"}, {Title: "AVAILABLE"}, {Title: "PARAMS"}, {Title: "TITLE", Wide: true}},
		row: func(a offered) []string {
			available := "yes"
			if a.Disabled {
				available = "no"
			}
			k := a.Object
			return []string{k.GroupKind().String(), k.Namespace, k.Name, a.Name, available, strings.Join(a.Params, ", "), a.DisplayName}
		},
	}
	c := &cobra.Command{
		Use: "list NAME", Aliases: []string{"ls"}, Short: "What can be done with the application's objects now", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			keys, err := object.choose(c, c.args[0])
			if err != nil {
				return err
			}
			if len(keys) > mostAsked {
				return fault.New(fault.Invalid, "usage", "%d objects are meant; at most %d are asked about at once", len(keys), mostAsked).WithFix("choose with --kind and --resource-name")
			}
			var items []offered
			asOf := c.now()
			for _, k := range keys {
				query := url.Values{"group": {k.Group}, "kind": {k.Kind}, "namespace": {k.Namespace}, "resourceName": {k.Name}}
				var got list[model.ResourceAction]
				if err := c.get(appPath(c.args[0])+"/resource-actions?"+query.Encode(), &got); err != nil {
					return err
				}
				for _, a := range got.Items {
					items = append(items, offered{k, a})
				}
				asOf = got.AsOf
			}
			return actions.print(c, items, asOf)
		}),
	}
	actions.flags(s, c)
	object.register(c.Flags())
	return c
}

func newActionsRun(s *session) *cobra.Command {
	var (
		object  objectFlags
		wait    waitFlags
		given   []string
		request struct {
			Resource model.ObjectKey   `json:"resource"`
			Action   string            `json:"action"`
			Params   map[string]string `json:"params,omitempty"`
			Reason   string            `json:"reason,omitempty"`
		}
	)
	c := &cobra.Command{
		Use:   "run NAME ACTION --kind KIND",
		Short: "Run an action on one object, and wait for the result",
		Args:  exactArgs("NAME", "ACTION"),
		PreRunE: func(*cobra.Command, []string) error {
			if object.kind == "" {
				return fault.New(fault.Invalid, "usage", "which object is meant is not said").WithFix("add --kind, and --resource-name when there are several")
			}
			for _, p := range given {
				name, value, ok := strings.Cut(p, "=")
				if !ok || name == "" {
					return fault.New(fault.Invalid, "usage", "--param %q is not NAME=VALUE", p)
				}
				if request.Params == nil {
					request.Params = map[string]string{}
				}
				request.Params[name] = value
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			keys, err := object.choose(c, c.args[0])
			if err != nil {
				return err
			}
			if len(keys) > 1 {
				names := make([]string, 0, 3)
				for _, k := range keys[:min(len(keys), 3)] {
					names = append(names, k.String())
				}
				return exitWith(ExitNotFound, fault.New(fault.Invalid, "object_ambiguous", "%d objects are meant: %s, …", len(keys), strings.Join(names, ", ")).
					WithFix("choose with --group, --namespace and --resource-name"))
			}
			request.Resource, request.Action = keys[0], c.args[1]
			return c.carryOut(appPath(c.args[0])+"/actions", request, wait.waits(), "action %q on %s", request.Action, request.Resource)
		}),
	}
	object.register(c.Flags())
	c.Flags().StringArrayVar(&given, "param", nil, "parameter of the action, NAME=VALUE; may be repeated")
	c.Flags().StringVar(&request.Reason, "reason", "", "why")
	wait.register(c)
	return c
}
