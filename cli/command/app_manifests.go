package command

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// revisionFlags name other revisions of an application's sources.
type revisionFlags struct {
	revision  string
	revisions []string
	positions []int
}

func (r *revisionFlags) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.revision, "revision", "", "render this branch, tag, commit or version instead of what is desired")
	f.StringArrayVar(&r.revisions, "revisions", nil, "of several sources: a revision for each of --source-positions; may be repeated")
	f.IntSliceVar(&r.positions, "source-positions", nil, "of several sources: which ones --revisions are of, from 1")
	c.MarkFlagsMutuallyExclusive("revision", "revisions")
}

// query is nil when no revision is given.
func (r *revisionFlags) query() (url.Values, error) {
	if len(r.revisions) != len(r.positions) {
		return nil, fault.New(fault.Invalid, "usage", "%d --revisions and %d --source-positions do not go together", len(r.revisions), len(r.positions))
	}
	q := url.Values{}
	if r.revision != "" {
		q.Set("revision", r.revision)
	}
	for i, revision := range r.revisions {
		q.Add("revision", revision)
		q.Add("position", strconv.Itoa(r.positions[i]))
	}
	return q, nil
}

// manifestsAnswer is what the hub answers.
type manifestsAnswer struct {
	Source   string            `json:"source"`
	Revision *model.Revision   `json:"revision,omitempty"`
	Items    []json.RawMessage `json:"items"`
	Missing  []struct {
		model.ObjectKey
		Code   string `json:"code"`
		Reason string `json:"reason"`
	} `json:"missing,omitempty"`
	Warnings []model.Condition `json:"warnings,omitempty"`
}

func newAppManifests(s *session) *cobra.Command {
	var revisions revisionFlags
	var source string
	c := &cobra.Command{
		Use:   "manifests NAME",
		Short: "The manifests of an application, as desired, of another revision, or live",
		Long: `The manifests of an application as YAML, in the order in which they are applied: what is
desired now, with --revision what that revision would make, with --source live what
the cluster has. Values of Secrets are redacted always.`,
		Args: exactArgs("NAME"),
		PreRunE: func(*cobra.Command, []string) error {
			if source != "git" && source != "live" {
				return fault.New(fault.Invalid, "usage", "--source %q is not known", source).WithFix("use git or live")
			}
			_, err := revisions.query()
			return err
		},
		RunE: s.run(func(c *call) error {
			q, err := revisions.query()
			if err != nil {
				return err
			}
			q.Set("source", source)
			var got manifestsAnswer
			if err := c.get(appPath(c.args[0])+"/manifests?"+q.Encode(), &got); err != nil {
				return err
			}
			return c.printManifests(got)
		}),
	}
	revisions.register(c)
	c.Flags().StringVar(&source, "source", "git", "git or live")
	return c
}

func (c *call) printManifests(got manifestsAnswer) error {
	for _, w := range got.Warnings {
		c.note("warning: %s (%s)", w.Message, w.Code)
	}
	for _, m := range got.Missing {
		c.note("not there: %s: %s", m.ObjectKey, m.Reason)
	}
	objects := make([]map[string]any, 0, len(got.Items))
	for _, raw := range got.Items {
		var o map[string]any
		if err := json.Unmarshal(raw, &o); err != nil {
			return fault.Wrap(err, fault.Internal, "answer_invalid", "the hub answered something that is no object")
		}
		objects = append(objects, o)
	}
	if c.documents() {
		return listing[map[string]any]{kind: "ManifestList"}.print(c, objects, c.now())
	}
	for i, o := range objects {
		if c.format == output.Name {
			if err := c.name(objectName(o)); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(c.Out, "---")
		}
		if err := output.Document(c.Out, output.YAML, o); err != nil {
			return err
		}
	}
	return nil
}

// objectName is kind/name as kubectl writes it.
func objectName(o map[string]any) string {
	kind, _ := o["kind"].(string)
	version, _ := o["apiVersion"].(string)
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	group, _, grouped := strings.Cut(version, "/")
	if grouped {
		kind += "." + group
	}
	return strings.ToLower(kind) + "/" + name
}

// resourcesAnswer is what the hub answers.
type resourcesAnswer struct {
	Items      []model.ResourceStatus `json:"items"`
	Orphaned   []model.ResourceStatus `json:"orphaned,omitempty"`
	OrphanedOf int                    `json:"orphanedTotal,omitempty"`
	Revision   string                 `json:"revision,omitempty"`
	Generation model.Generation       `json:"generation"`
	State      string                 `json:"state"`
	Freshness  model.Freshness        `json:"freshness"`
}

func newAppResources(s *session) *cobra.Command {
	var orphaned, both, tree bool
	rows := listing[model.ResourceStatus]{
		kind: "ResourceList",
		name: func(r model.ResourceStatus) string {
			kind := r.Kind
			if r.Group != "" {
				kind += "." + r.Group
			}
			return strings.ToLower(kind) + "/" + r.Name
		},
		columns: []output.Column{
			{Title: "GROUP"}, {Title: "KIND"}, {Title: "NAMESPACE"}, {Title: "NAME"}, {Title: "ORPHANED"}, {Title: "SYNC"}, {Title: "HEALTH"},
			{Title: "WAVE", Wide: true}, {Title: "VERSION", Wide: true}, {Title: "MESSAGE", Wide: true},
		},
	}
	c := &cobra.Command{
		Use:   "resources NAME",
		Short: "The objects of an application, and those of its namespace that no application owns",
		Args:  exactArgs("NAME"),
		PreRunE: func(*cobra.Command, []string) error {
			tree = s.take("tree", "tree=detailed") != "" || tree
			return nil
		},
		RunE: s.run(func(c *call) error {
			if tree {
				return c.showTree(c.args[0])
			}
			var got resourcesAnswer
			path := appPath(c.args[0]) + "/resources"
			if orphaned || both {
				path += "?orphaned=true"
			}
			if err := c.get(path, &got); err != nil {
				return err
			}
			items := slices.Concat(got.Items, got.Orphaned)
			if orphaned {
				items = got.Orphaned
			}
			c.noteOrphans(len(got.Orphaned), got.OrphanedOf)
			owned := map[model.ObjectKey]bool{}
			for _, r := range got.Items {
				owned[r.ObjectKey] = true
			}
			rows.row = func(r model.ResourceStatus) []string {
				orphan, state := "No", resourceState(r)
				if !owned[r.ObjectKey] {
					orphan, state = "Yes", "" // nobody desires it
				}
				return []string{r.Group, r.Kind, r.Namespace, r.Name, orphan, state, string(r.Health.Status), strconv.Itoa(r.Wave), r.Version, r.Health.Message}
			}
			return rows.print(c, items, c.now())
		}),
	}
	rows.flags(s, c)
	c.Flags().BoolVar(&orphaned, "orphaned", false, "only objects of its namespace that no application owns, where the project looks for them")
	c.Flags().BoolVar(&both, "with-orphaned", false, "also objects of its namespace that no application owns")
	c.Flags().BoolVar(&tree, "tree", false, "with what they own, down to pods")
	return c
}
