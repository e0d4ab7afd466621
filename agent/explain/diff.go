package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func diffCommand() *cobra.Command {
	var (
		o   diffOptions
		out output
	)
	c := &cobra.Command{
		Use: "diff --desired FILE --live FILE", Short: "Say where live objects are not as desired",
		Long: `Say where applying desired objects would change live ones, as the agent does
when it decides whether an application is in sync.

Only what the desired object sets counts, and what --manager applied before and
that is desired no longer (what kubectl apply or Argo CD applied, too: the agent
takes it over). For that, and to name who changed a field, the live object needs
its managedFields (kubectl get --show-managed-fields); without them the record that
kubectl keeps in an annotation serves for what was applied. Objects of several documents are paired by group, kind, namespace and name. Values of
Secrets are masked.

--ignore has rules: a list of ignoreDifferences entries, an Application with
spec.ignoreDifferences, or the ConfigMap argocd-cm or its data. --openapi says
how custom resources merge: their CustomResourceDefinition, or a document as
"kubectl get --raw /openapi/v3/apis/GROUP/VERSION" gives it. Definitions among
the objects are used as well. Without them, what only an API server can decide
is told on standard error, and counts as equal.

With -o json one pair is answered by {"equal", "fields": [{"path", "desired",
"live", "manager"}]}, several by {"equal", "items": [{"group", "kind",
"namespace", "name", "equal", "fields"}]}.

Exit status: 0 when all are equal; 1 when something differs, or a desired object
is not live; 2 for errors, among them rules that cannot be evaluated and objects
of two API versions.`,
		Example: `  kubectl get deploy web -o yaml --show-managed-fields > live.yaml
  hawser-agent explain diff --desired web.yaml --live live.yaml --ignore app.yaml
  hawser-agent explain diff --desired cert.yaml --live live.yaml --openapi crd.yaml -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			items, err := o.compare(c)
			if err != nil {
				return err
			}
			return printDiff(c, items, out)
		},
	}
	c.Flags().StringVar(&o.desired, "desired", "", "`FILE` with the objects as they should be; - for standard input")
	c.Flags().StringVar(&o.live, "live", "", "`FILE` with the objects as they are")
	c.Flags().StringArrayVar(&o.ignore, "ignore", nil, "`FILE` with rules to ignore differences; may be repeated")
	c.Flags().StringArrayVar(&o.openAPI, "openapi", nil, "`FILE` with a CustomResourceDefinition or an OpenAPI document; may be repeated")
	c.Flags().StringVar(&o.manager, "manager", model.FieldManager, "`NAME` of the field manager that applies the desired objects")
	out.flag(c)
	return c
}

type diffOptions struct {
	desired, live, manager string
	ignore, openAPI        []string
}

// compared is the answer about one desired object.
type compared struct {
	model.ObjectKey
	Equal  bool            `json:"equal"`
	Fields []comparedField `json:"fields"`
}

// comparedField is a difference. A value is null where there is none.
type comparedField struct {
	Path    string          `json:"path"`
	Desired json.RawMessage `json:"desired"`
	Live    json.RawMessage `json:"live"`
	Manager string          `json:"manager"`

	inDesired, inLive bool
	changedAt         *time.Time
}

// compare reads the files and compares each desired object with its live one.
// What people should know beside the answer goes to standard error.
func (o diffOptions) compare(c *cobra.Command) ([]compared, error) {
	if o.desired == "-" && o.live == "-" {
		return nil, fault.New(fault.Invalid, "flag_conflict", "both objects are to be read from standard input").WithField("--live").WithFix("give a file for one of them")
	}
	desired, err := readObjects(c, "desired", o.desired)
	if err != nil {
		return nil, err
	}
	present, err := readObjects(c, "live", o.live)
	if err != nil {
		return nil, err
	}
	if err := manifest.Duplicates(desired); err != nil {
		return nil, err
	}
	var rules ignoreRules
	for _, path := range o.ignore {
		if err := rules.read(c, path); err != nil {
			return nil, err
		}
	}
	schema, err := o.schema(c, desired, present)
	if err != nil {
		return nil, err
	}
	pairs, extra := pairObjects(desired, present)
	for _, l := range extra {
		c.PrintErrf("warning: %s is live and not desired; it is not compared\n", describe(l))
	}
	items := make([]compared, 0, len(pairs))
	warned := map[string]bool{}
	for _, p := range pairs {
		item, notes, err := o.pair(p, rules, schema)
		if err != nil {
			return nil, err
		}
		for _, n := range notes {
			if !warned[n] {
				warned[n] = true
				c.PrintErrln("warning:", n)
			}
		}
		items = append(items, item)
	}
	return items, nil
}

// schema is what --openapi and the definitions among the objects tell.
func (o diffOptions) schema(c *cobra.Command, lists ...[]manifest.Object) (diff.Schema, error) {
	var schemas diff.Schemas
	for _, path := range o.openAPI {
		name, data, err := readInput(c, "openapi", path)
		if err != nil {
			return nil, err
		}
		s, err := diff.OpenAPISchema(data)
		if err != nil {
			return nil, fault.New(fault.Invalid, "openapi_invalid", "%s: %s", name, fault.As(err).Message).WithField("--openapi")
		}
		schemas = append(schemas, s)
	}
	for _, list := range lists {
		for _, obj := range list {
			if obj.Key.Group == "apiextensions.k8s.io" && obj.Key.Kind == "CustomResourceDefinition" {
				if s, err := diff.CRDSchemaOf(obj.Body); err == nil {
					schemas = append(schemas, s)
				}
			}
		}
	}
	return schemas, nil
}

// objectPair is a desired object and its live one, if there is one.
type objectPair struct {
	desired manifest.Object
	live    *manifest.Object
}

// pairObjects finds the live object of each desired one: the same key; else, for
// a desired object without a namespace, the only one of its name; else, when there
// is one object on each side, that. extra is what is left over.
func pairObjects(desired, present []manifest.Object) (pairs []objectPair, extra []manifest.Object) {
	used := make([]bool, len(present))
	take := func(match func(manifest.Object) bool) *manifest.Object {
		found := -1
		for i, l := range present {
			if !used[i] && match(l) {
				if found >= 0 {
					return nil
				}
				found = i
			}
		}
		if found < 0 {
			return nil
		}
		used[found] = true
		return &present[found]
	}
	pairs = make([]objectPair, len(desired))
	for i, d := range desired {
		pairs[i] = objectPair{desired: d, live: take(func(l manifest.Object) bool { return l.Key == d.Key })}
	}
	for i, d := range desired {
		if pairs[i].live == nil && d.Key.Namespace == "" {
			pairs[i].live = take(func(l manifest.Object) bool {
				k := l.Key
				k.Namespace = ""
				return k == d.Key
			})
		}
	}
	if len(desired) == 1 && len(present) == 1 && pairs[0].live == nil && desired[0].Key.GroupKind() == present[0].Key.GroupKind() {
		pairs[0].live, used[0] = &present[0], true
	}
	for i, l := range present {
		if !used[i] {
			extra = append(extra, l)
		}
	}
	return pairs, extra
}

// pair compares one pair. notes are for people.
func (o diffOptions) pair(p objectPair, rules ignoreRules, schema diff.Schema) (item compared, notes []string, err error) {
	item = compared{ObjectKey: p.desired.Key, Equal: true, Fields: []comparedField{}}
	in := diff.Input{Desired: p.desired.Body, Schema: schema, Ignore: rules.own, SystemRules: rules.system,
		SensitiveAnnotations: rules.system.SensitiveAnnotations(), FieldManager: o.manager}
	if p.live == nil {
		item.Equal = false
		shown := diff.Redact(in)
		item.Fields = []comparedField{{Path: "", Desired: raw(shown), Live: raw(nil), inDesired: true}}
		return item, []string{describe(p.desired) + " is not live"}, nil
	}
	in.Live = manifest.AppendJSON(nil, p.live.Body)
	if in.Managers, err = diff.Managers(in.Live); err != nil {
		return item, nil, err
	}
	// As when the agent applies, see docs/sync.md.
	in.TakenOver = sync.NeedsMigration(in.Managers, "")
	in.Desired = tracked(p.desired.Body, p.live.Body)
	res, err := diff.Compare(in)
	if err != nil {
		return item, nil, err
	}
	if res.OtherVersion {
		return item, nil, fault.New(fault.Unprocessable, "other_version", "%s is desired in version %s and live in %s; only an API server can convert one into the other", describe(p.desired), p.desired.Version, p.live.Version).
			WithField("--live").WithFix("kubectl get the live object in version %s", p.desired.Version)
	}
	if res.RuleFailed {
		return item, nil, fault.New(fault.Unprocessable, "ignore_rule_failed", "%s: %s", describe(p.desired), res.Problems[0]).WithField("--ignore")
	}
	for _, path := range res.Doubts {
		notes = append(notes, fmt.Sprintf("%s: only an API server can tell whether %s would change; it counts as equal (--openapi can help)", describe(p.desired), path))
	}
	item.Equal = res.Same()
	for _, f := range res.Fields() {
		item.Fields = append(item.Fields, comparedField{Path: f.Path, Desired: raw(f.Desired), Live: raw(f.Live), Manager: f.Manager,
			inDesired: f.InDesired, inLive: f.InLive, changedAt: f.ChangedAt})
	}
	if more := res.Total - len(item.Fields); more > 0 {
		notes = append(notes, fmt.Sprintf("%s: %d more fields differ", describe(p.desired), more))
	}
	return item, notes, nil
}

// tracked is the desired object with the tracking annotation of the live one,
// which the agent puts on whatever it applies. The arguments are not modified.
func tracked(desired, present map[string]any) map[string]any {
	annotations := func(o map[string]any) (meta, a map[string]any) {
		meta, _ = o["metadata"].(map[string]any)
		a, _ = meta["annotations"].(map[string]any)
		return meta, a
	}
	_, la := annotations(present)
	meta, da := annotations(desired)
	id, ok := la[model.AnnotationTrackingID]
	if !ok || da[model.AnnotationTrackingID] != nil {
		return desired
	}
	desired, meta, da = maps.Clone(desired), maps.Clone(meta), maps.Clone(da)
	if meta == nil {
		meta = map[string]any{}
	}
	if da == nil {
		da = map[string]any{}
	}
	da[model.AnnotationTrackingID] = id
	meta["annotations"], desired["metadata"] = da, meta
	return desired
}

func raw(v any) json.RawMessage { return manifest.AppendJSON(nil, v) }

func printDiff(c *cobra.Command, items []compared, out output) error {
	equal := !slices.ContainsFunc(items, func(i compared) bool { return !i.Equal })
	w := c.OutOrStdout()
	var err error
	switch {
	case out.json() && len(items) == 1:
		err = printJSON(w, struct {
			Equal  bool            `json:"equal"`
			Fields []comparedField `json:"fields"`
		}{items[0].Equal, items[0].Fields})
	case out.json():
		err = printJSON(w, struct {
			Equal bool       `json:"equal"`
			Items []compared `json:"items"`
		}{equal, items})
	default:
		err = writeDiff(w, items)
	}
	if err == nil && !equal {
		return ErrNo
	}
	return err
}

func writeDiff(w io.Writer, items []compared) error {
	for _, item := range items {
		name := describe(manifest.Object{Key: item.ObjectKey})
		if item.Equal {
			if _, err := fmt.Fprintf(w, "%s: equal\n", name); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%s: differs\n", name)
		for _, f := range item.Fields {
			path := f.Path
			if path == "" {
				path = "(the whole object)"
			}
			fmt.Fprintf(w, "  %s\n    desired: %s\n    live:    %s", path, shownValue(f.Desired, f.inDesired), shownValue(f.Live, f.inLive))
			if f.Manager != "" {
				fmt.Fprintf(w, "   (set by %s", f.Manager)
				if f.changedAt != nil {
					fmt.Fprintf(w, " at %s", f.changedAt.UTC().Format(time.RFC3339))
				}
				fmt.Fprint(w, ")")
			}
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxShownValue is the length at which values are cut in text.
const maxShownValue = 400

func shownValue(v json.RawMessage, there bool) string {
	if !there {
		return "-"
	}
	if len(v) <= maxShownValue {
		return string(v)
	}
	return strings.ToValidUTF8(string(v[:maxShownValue]), "") + "…"
}
