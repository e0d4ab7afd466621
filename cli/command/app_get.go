package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppGet(s *session) *cobra.Command {
	var refresh, hard, operation bool
	c := &cobra.Command{
		Use: "get NAME", Short: "One application, its conditions and objects", Args: exactArgs("NAME"),
		Long: `One application, its conditions and objects. -o tree shows what the objects own, down to
pods; --show-operation what the newest operation did to each object.`,
		PreRunE: func(*cobra.Command, []string) error {
			if s.output == "tree=detailed" {
				s.output = string(output.Tree)
			}
			return nil
		},
		RunE: s.run(func(c *call) error { return c.showApp(refresh, hard, operation) }),
	}
	f := c.Flags()
	f.BoolVar(&refresh, "refresh", false, "look at Git now")
	f.BoolVar(&hard, "hard-refresh", false, "look at Git now and render although nothing changed")
	f.BoolVar(&operation, "show-operation", false, "what the newest operation did")
	return c
}

// showApp prints one application.
func (c *call) showApp(refresh, hard, operation bool) error {
	name := c.args[0]
	if refresh || hard {
		if err := c.refresh(name, hard); err != nil {
			return err
		}
	}
	if c.format == output.Tree {
		return c.showTree(name)
	}
	v, err := getApp(c.ctx, c.api, name)
	if err != nil {
		return err
	}
	return c.one(v, "app/"+v.Name, func() error {
		if err := c.describeApp(v); err != nil || !operation || v.Operation == nil {
			return err
		}
		var op model.OperationInfo
		if err := c.get(operationPath(string(v.Operation.ID)), &op); err != nil {
			if fault.Is(err, fault.NotFound) {
				return nil // it was forgotten; the line above says what is known of it
			}
			return err
		}
		fmt.Fprintf(c.Out, "\n%s\n", output.Clean(operationOrigin(op)))
		return c.printOperation(op)
	})
}

// observedText says when the application was last known to be as shown.
func observedText(now time.Time, v model.AppView) string {
	if v.ObservedAt == nil {
		return string(model.FreshNever)
	}
	return output.Age(now, v.ObservedAt) + " ago, " + string(v.Freshness)
}

func (c *call) describeApp(v model.AppView) error {
	fields := append([][2]string{
		{"Name", v.Name}, {"Project", v.Project}, {"Cluster", v.Cluster}, {"Namespace", v.Namespace},
	}, sourceFields(v)...)
	fields = append(fields, [][2]string{
		{"Desired", short(v.Desired.Commit) + c.sameAs(v) + "  " + v.Desired.Message}, {"Synced to", short(v.Revision)},
		{"Sync", syncText(v)}, {"Health", healthText(v) + "  " + v.Health.Message},
		{"Observed", observedText(c.now(), v)},
	}...)
	if v.Operation != nil {
		fields = append(fields, [2]string{"Operation", c.operationLine(v.Operation)})
	}
	if c.format == output.Wide {
		fields = append(fields, wideFields(v)...)
	}
	if p := v.Pin; p != nil {
		text := revisionText(p.Revision)
		if p.HistoryID != 0 {
			text = fmt.Sprintf("deployment %d, %s", p.HistoryID, text)
		}
		fields = append(fields,
			[2]string{"Pinned", fmt.Sprintf("to %s, by %s %s ago", text, p.InitiatedBy, output.Age(c.now(), &p.At))},
			[2]string{"Because", p.Reason},
			[2]string{"Set aside", revisionText(p.SetAside) + ", until a newer revision comes: hawser app unpin " + v.Name})
	}
	fields = append(fields, [2]string{"Unhealthy", c.causesText(v)})
	for _, x := range v.Conditions {
		fields = append(fields, [2]string{"Condition", conditionText(c.now(), v, x)})
	}
	if err := c.describe(fields); err != nil || len(v.Resources) == 0 {
		return err
	}
	fmt.Fprintln(c.Out)
	rows := make([][]string, 0, len(v.Resources))
	waiting := 0
	for _, r := range v.Resources {
		if r.RequiresDeletionConfirmation {
			waiting++
		}
		rows = append(rows, []string{r.GroupKind().String(), r.Namespace, r.Name, resourceState(r), string(r.Health.Status), r.Health.Message,
			strconv.Itoa(r.Wave), r.Version, r.UID})
	}
	err := c.rows([]output.Column{
		{Title: "KIND"}, {Title: "NAMESPACE"}, {Title: "NAME"}, {Title: "SYNC", Status: true}, {Title: "HEALTH", Status: true}, {Title: "MESSAGE"},
		{Title: "WAVE", Wide: true}, {Title: "VERSION", Wide: true}, {Title: "UID", Wide: true},
	}, rows)
	if waiting > 0 {
		c.note("%d of %d objects wait for an approval before they are deleted: hawser app confirm-deletion %s", waiting, len(v.Resources), v.Name)
	}
	return err
}

// sameAs tells who has just pushed another commit why that is not the one that is
// shown: it changes nothing of this application.
func (c *call) sameAs(v model.AppView) string {
	heads, _ := sourceHeads(c.ctx, c.api, v.Name) // without them the commit stands for itself
	if _, problem := notRendered(v); problem || v.Pin != nil || len(heads) != 1 || !heads[0].passedOver() || heads[0].Rendered != v.Desired.Commit {
		return ""
	}
	return " (" + short(heads[0].Head) + " is the same here)"
}

// operationLine is the newest operation with its age and whose it is.
func (c *call) operationLine(op *model.OperationInfo) string {
	text := operationText(op)
	at := op.CreatedAt
	if op.FinishedAt != nil {
		at = op.FinishedAt
	} else if op.StartedAt != nil {
		at = op.StartedAt
	}
	if at != nil {
		text += " " + output.Age(c.now(), at) + " ago"
	}
	if op.InitiatedBy != "" {
		text += " by " + op.InitiatedBy
	}
	return text + "  " + op.Message
}

// sourceFields are where an application's manifests come from: one source as it
// is, each of several on a line of its own.
func sourceFields(v model.AppView) [][2]string {
	if v.Application == nil || len(v.Application.Spec.Sources) < 2 {
		return [][2]string{{"Repo", v.RepoURL}, {"Path", v.Path}, {"Target", v.Target}}
	}
	var out [][2]string
	part := 0
	for i, s := range v.Application.Spec.Sources {
		what := s.Path
		if s.Chart != "" {
			what = s.Chart
		}
		text := strings.TrimSpace(s.RepoURL + "  " + what)
		if s.TargetRevision != "" {
			text += "  @ " + s.TargetRevision
		}
		if s.Ref != "" {
			text += "  (as $" + s.Ref + ")"
		}
		if s.HasManifests() {
			if part < len(v.Desired.Sources) {
				text += "  → " + short(v.Desired.Sources[part])
			}
			part++
		}
		out = append(out, [2]string{fmt.Sprintf("Source %d", i+1), text})
	}
	return out
}

// wideFields are what few people look for.
func wideFields(v model.AppView) [][2]string {
	automated := "off"
	if v.AutoSync {
		automated = "on"
	}
	fields := [][2]string{{"UID", string(v.UID)}, {"Cluster ID", string(v.ClusterID)}, {"Generation", strconv.FormatInt(int64(v.Generation), 10)},
		{"Automated sync", automated}, {"Sources", strings.Join(v.Desired.Sources, ", ")}}
	if op := v.Operation; op != nil {
		fields = append(fields, [2]string{"Operation ID", string(op.ID)}, [2]string{"Asked by", op.InitiatedBy}, [2]string{"Reason", op.Spec.Reason})
	}
	return fields
}

// resourceState is what there is to say of an object besides its health. A hook
// is not in sync or out of it; it has run, or not.
func resourceState(r model.ResourceStatus) string {
	state := facetText(r.Sync)
	if r.Hook != "" {
		state = strings.TrimSpace(r.Hook + " hook " + r.HookPhase)
	}
	switch {
	case r.RequiresDeletionConfirmation:
		state += ", to confirm"
	case r.RequiresPruning:
		state += ", to prune"
	}
	return state
}

// causesText names the objects that make an application unhealthy, and what below
// them is the reason, as far as the hub tells.
func (c *call) causesText(v model.AppView) string {
	var tree model.ResourceTree
	if len(v.HealthCauses) > 0 {
		_ = c.get(appPath(v.Name)+"/tree", &tree) // without it the objects stand for themselves
	}
	lines := make([]string, 0, len(v.HealthCauses))
	for _, x := range v.HealthCauses {
		line := x.ObjectKey.String() + " is " + string(x.Status)
		if x.Message != "" {
			line += ": " + x.Message
		}
		lines = append(lines, line)
		for _, r := range reasonsOf(x.ObjectKey, tree) {
			lines = append(lines, " └ "+r.String())
		}
	}
	return strings.Join(lines, "\n")
}
