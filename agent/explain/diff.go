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
that is desired no longer. What Argo CD or kubectl apply applied before counts,
too, because the agent takes it over; of kubectl that is client-side apply alone,
and not "kubectl apply --server-side". For that, and to name who changed a field,
the live object needs its managedFields (kubectl get --show-managed-fields);
without them the record that client-side apply keeps in an annotation serves for
what was applied. Objects of several documents are paired by group, kind,
namespace and name; without any live object all are missing. Values of Secrets are
masked.

--ignore has rules: a list of ignoreDifferences entries, an Application with
spec.ignoreDifferences, or the ConfigMap argocd-cm or its data. --openapi says
how custom resources merge: their CustomResourceDefinition, or a document as
"kubectl get --raw /openapi/v3/apis/GROUP/VERSION" gives it. Definitions among
the objects are used as well. Without them, what is filled in is not known: that is
told on standard error. A field that was applied before and is desired no longer
differs all the same, and so do other elements in a list; what else only an API
server can decide counts as equal.

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
	c.Flags().StringArrayVar(&o.desired, "desired", nil, "`FILE` with the objects as they should be; - for standard input; may be repeated")
	c.Flags().StringArrayVar(&o.live, "live", nil, "`FILE` with the objects as they are, if there are any; may be repeated")
	c.Flags().StringArrayVar(&o.ignore, "ignore", nil, "`FILE` with rules to ignore differences; may be repeated")
	c.Flags().StringArrayVar(&o.openAPI, "openapi", nil, "`FILE` with a CustomResourceDefinition or an OpenAPI document; may be repeated")
	c.Flags().StringVar(&o.manager, "manager", model.FieldManager, "`NAME` of the field manager that applies the desired objects")
	out.flag(c)
	return c
}

type diffOptions struct {
	desired, live   []string
	manager         string
	ignore, openAPI []string
}

// compared is the answer about one desired object.
type compared struct {
	objectName
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
	if slices.Contains(o.desired, "-") && slices.Contains(o.live, "-") {
		return nil, fault.New(fault.Invalid, "flag_conflict", "both objects are to be read from standard input").WithField("--live").WithFix("give a file for one of them")
	}
	desired, err := readFiles(c, "desired", o.desired, readObjects)
	if err != nil {
		return nil, err
	}
	present, err := readFiles(c, "live", o.live, readAnyObjects)
	if err != nil {
		return nil, err
	}
	if err := manifest.Duplicates(desired); err != nil {
		return nil, err
	}
	rules, err := readRules(c, o.ignore)
	if err != nil {
		return nil, err
	}
	schema, err := readSchemas(c, o.openAPI)
	if err != nil {
		return nil, err
	}
	schema = append(schema, definitions(desired, present)...)
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

// readSchemas is what the files of --openapi tell.
func readSchemas(c *cobra.Command, paths []string) (diff.Schemas, error) {
	var schemas diff.Schemas
	for _, path := range paths {
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
	return schemas, nil
}

// definitions is what the CustomResourceDefinitions among objects tell.
func definitions(lists ...[]manifest.Object) diff.Schemas {
	var schemas diff.Schemas
	for _, list := range lists {
		for _, obj := range list {
			if obj.Key.Group == "apiextensions.k8s.io" && obj.Key.Kind == "CustomResourceDefinition" {
				if s, err := diff.CRDSchemaOf(obj.Body); err == nil {
					schemas = append(schemas, s)
				}
			}
		}
	}
	return schemas
}

// comparison is what the agent compares a desired body with a live one by. Who
// counts as ourselves is as when the agent applies, see docs/sync.md.
// migrateFrom is one manager more, or "".
func comparison(desired map[string]any, l manifest.Object, migrateFrom string, rules ignoreRules, schema diff.Schema) (in diff.Input, err error) {
	in = rules.input(desired, schema)
	in.Live = manifest.AppendJSON(nil, l.Body)
	if in.Managers, err = diff.Managers(in.Live); err != nil {
		return in, err
	}
	in.TakenOver = sync.NeedsMigration(in.Managers, migrateFrom)
	return in, nil
}

// annotationMigrateFrom names a manager that applying takes over, see docs/sync.md.
const annotationMigrateFrom = "argocd.argoproj.io/client-side-apply-migration-manager"

// ruleFailed is the error about a rule that could not be evaluated for an object.
func ruleFailed(o manifest.Object, res diff.Result) error {
	return fault.New(fault.Unprocessable, "ignore_rule_failed", "%s: %s", describe(o), res.Problems[0]).WithField("--ignore")
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
	item = compared{objectName: objectName(p.desired.Key), Equal: true, Fields: []comparedField{}}
	if p.live == nil {
		item.Equal = false
		shown := diff.Redact(rules.input(p.desired.Body, schema))
		item.Fields = []comparedField{{Path: "", Desired: raw(shown), Live: raw(nil), inDesired: true}}
		return item, []string{describe(p.desired) + " is not live"}, nil
	}
	in, err := comparison(tracked(p.desired.Body, p.live.Body), *p.live, p.desired.Annotation(annotationMigrateFrom), rules, schema)
	if err != nil {
		return item, nil, err
	}
	in.FieldManager = o.manager
	res, err := diff.Compare(in)
	if err != nil {
		return item, nil, err
	}
	if res.OtherVersion {
		return item, nil, fault.New(fault.Unprocessable, "other_version", "%s is desired in version %s and live in %s; only an API server can convert one into the other", describe(p.desired), p.desired.Version, p.live.Version).
			WithField("--live").WithFix("kubectl get the live object in version %s", p.desired.Version)
	}
	if res.RuleFailed {
		return item, nil, ruleFailed(p.desired, res)
	}
	for _, path := range res.Doubts {
		notes = append(notes, fmt.Sprintf("%s: only an API server can tell whether %s would change; it counts as equal (--openapi can help)", describe(p.desired), path))
	}
	if res.Presumed > 0 && res.Presumed == res.Total {
		notes = append(notes, fmt.Sprintf("%s: nothing is known of what is filled in and of how lists merge where it differs; only an API server can tell for sure (--openapi can help)", describe(p.desired)))
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
		name := describe(manifest.Object{Key: model.ObjectKey(item.objectName)})
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
