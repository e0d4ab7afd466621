package command

import (
	"encoding/json"
	"net/http"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/appspec"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// writtenApp reads an application as it was written, and its version.
func (c *call) writtenApp(name string) (a model.Application, version string, err error) {
	v, err := getApp(c.ctx, c.api, name)
	if err != nil {
		return a, "", err
	}
	if v.Application == nil {
		return a, "", fault.New(fault.Internal, "answer_invalid", "the hub did not say how %q was written", name)
	}
	a = *v.Application
	version = a.Metadata.ResourceVersion
	m := &a.Metadata
	m.UID, m.ResourceVersion, m.Generation, m.CreationTimestamp, m.DeletionTimestamp = "", "", 0, nil, nil
	a.Status, a.Operation = nil, nil
	return a, version, nil
}

// putApp writes an application over the version that was read.
func (c *call) putApp(name, version string, a any) (out model.Application, err error) {
	header := http.Header{}
	if version != "" {
		header.Set("If-Match", `"`+version+`"`)
	}
	err = c.api.DoWith(c.ctx, http.MethodPut, appPath(name), header, a, &out)
	return out, err
}

// changeApp reads an application, has it changed and writes it. When somebody else
// wrote it meanwhile that is done again: the change says what it is about, and
// nothing else is lost.
func (c *call) changeApp(name string, change func(*model.Application) error) error {
	const tries = 3
	for try := 1; ; try++ {
		a, version, err := c.writtenApp(name)
		if err != nil {
			return err
		}
		before, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if err := change(&a); err != nil {
			return err
		}
		after, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if string(before) == string(after) {
			c.note("application %q is so already", a.Metadata.Name)
			return c.printChanged(a)
		}
		written, err := c.putApp(name, version, a)
		if fault.HasCode(err, "version_conflict") && try < tries {
			continue
		}
		if err != nil {
			return err
		}
		c.note("application %q changed", a.Metadata.Name)
		return c.printChanged(written)
	}
}

func (c *call) printChanged(a model.Application) error {
	if c.documents() {
		return c.document(a)
	}
	if c.format == output.Name {
		return c.name("app/" + a.Metadata.Name)
	}
	return nil
}

// sourceChoice are the flags that say which of several sources is meant.
type sourceChoice struct {
	position int
	name     string
}

func (s *sourceChoice) register(c *cobra.Command, nameFlag string) {
	c.Flags().IntVar(&s.position, "source-position", 0, "which of several sources, from 1")
	c.Flags().StringVar(&s.name, nameFlag, "", "which of several sources, by its name")
	c.MarkFlagsMutuallyExclusive("source-position", nameFlag)
}

func (s *sourceChoice) of(spec model.ApplicationSpec) (int, error) {
	if s.name == "" {
		return s.position, nil
	}
	return appspec.Position(spec, s.name)
}

func newAppSet(s *session) *cobra.Command {
	var flags appspec.Flags
	var which sourceChoice
	var validate bool
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Change parts of an application; what no flag names stays",
		Example: `  hawser app set shop --revision v2
  hawser app set shop -p replicas=3 --kustomize-image web=registry.example.com/web:v2
  hawser app set shop --source-position 2 --values prod.yaml
  hawser app set shop --sync-policy automated --self-heal`,
		Args: exactArgs("NAME"),
		PreRunE: func(*cobra.Command, []string) error {
			if !flags.Given() {
				return fault.New(fault.Invalid, "usage", "nothing to change").WithFix("see hawser app set --help")
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			return c.changeApp(c.args[0], func(a *model.Application) error {
				position, err := which.of(a.Spec)
				if err != nil {
					return err
				}
				return flags.Apply(a, position)
			})
		}),
	}
	flags.Register(c.Flags())
	which.register(c, "which-source")
	c.Flags().BoolVar(&validate, "validate", true, "accepted: the hub validates in any case")
	return c
}

func newAppUnset(s *session) *cobra.Command {
	var flags appspec.Unset
	var which sourceChoice
	c := &cobra.Command{
		Use:   "unset NAME",
		Short: "Take overrides away from an application",
		Example: `  hawser app unset shop -p replicas --values prod.yaml
  hawser app unset shop --kustomize-image web --nameprefix`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			return c.changeApp(c.args[0], func(a *model.Application) error {
				position, err := which.of(a.Spec)
				if err != nil {
					return err
				}
				return flags.Apply(a, position)
			})
		}),
	}
	flags.Register(c.Flags())
	which.register(c, "source-name")
	return c
}

func newAppPatch(s *session) *cobra.Command {
	var patch, kind string
	c := &cobra.Command{
		Use:   "patch NAME --patch PATCH",
		Short: "Change an application by a JSON patch or a merge patch",
		Example: `  hawser app patch shop --type merge --patch '{"spec":{"source":{"targetRevision":"v2"}}}'
  hawser app patch shop --patch '[{"op":"replace","path":"/spec/source/path","value":"prod"}]'`,
		Args: exactArgs("NAME"),
		PreRunE: func(*cobra.Command, []string) error {
			if patch == "" {
				return fault.New(fault.Invalid, "usage", "--patch is missing").WithFix("see hawser app patch --help")
			}
			_, err := patched([]byte(`{}`), nil, kind)
			return err
		},
		RunE: s.run(func(c *call) error {
			return c.changeApp(c.args[0], func(a *model.Application) error {
				before, err := json.Marshal(a)
				if err != nil {
					return err
				}
				after, err := patched(before, []byte(patch), kind)
				if err != nil {
					return err
				}
				changed, err := decode.Application(after)
				if err != nil {
					return err
				}
				if changed.Metadata.Name != a.Metadata.Name {
					return fault.New(fault.Invalid, "name_mismatch", "an application keeps its name").WithField("metadata.name")
				}
				*a = changed
				return nil
			})
		}),
	}
	c.Flags().StringVar(&patch, "patch", "", "the patch, as JSON or YAML")
	c.Flags().StringVar(&kind, "type", "json", "json (RFC 6902) or merge (RFC 7386)")
	return c
}

// patched is a document after a patch; without a patch only the kind is checked.
func patched(doc, patch []byte, kind string) ([]byte, error) {
	switch strings.ToLower(kind) {
	case "json":
		if patch == nil {
			return doc, nil
		}
		p, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			return nil, fault.New(fault.Invalid, "patch_invalid", "the patch is no JSON patch: %s", err).WithFix(`write [{"op":"replace","path":"/spec/...","value":...}], or add --type merge`)
		}
		out, err := p.Apply(doc)
		if err != nil {
			return nil, fault.New(fault.Invalid, "patch_invalid", "the patch does not fit the application: %s", err)
		}
		return out, nil
	case "merge":
		if patch == nil {
			return doc, nil
		}
		out, err := jsonpatch.MergePatch(doc, patch)
		if err != nil {
			return nil, fault.New(fault.Invalid, "patch_invalid", "the patch is no merge patch: %s", err)
		}
		return out, nil
	}
	return nil, fault.New(fault.Invalid, "usage", "--type %q is not known", kind).WithFix("use json or merge")
}
