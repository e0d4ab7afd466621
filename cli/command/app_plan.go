package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// plan is what a sync would do to one application.
type plan struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	// Hub, App and UID say which application it is of.
	Hub string       `json:"hub,omitempty"`
	App string       `json:"app"`
	UID model.AppUID `json:"uid,omitempty"`
	// State is the hub's identity of what the plan was made of.
	State    string    `json:"state,omitempty"`
	Revision string    `json:"revision,omitempty"`
	MadeAt   time.Time `json:"madeAt"`
	// Spec is the sync that the plan is of.
	Spec model.OperationSpec `json:"spec"`
	// Rendered: the cluster was not asked; another revision than the desired one
	// was rendered at the hub and compared with it.
	Rendered bool `json:"rendered,omitempty"`
	// Steps are what would become of objects, deletions first; Unchanged counts the
	// others.
	Steps     []model.ResourceResult `json:"steps"`
	Unchanged int                    `json:"unchanged"`
	Message   string                 `json:"message,omitempty"`
}

const (
	kindPlan = "Plan"
	maxPlan  = 16 << 20
)

// counts are how many objects would be created, changed, pruned, and are blocked.
func (p plan) counts() (create, change, prune, blocked int) {
	for _, s := range p.Steps {
		switch s.Status {
		case "Created":
			create++
		case "Configured":
			change++
		case "Pruned", "Deleted":
			prune++
		case "Failed":
			blocked++
		}
	}
	return create, change, prune, blocked
}

func newAppPlan(s *session) *cobra.Command {
	var (
		exit      exitChoice
		revisions revisionFlags
		which     appSelection
		prune     bool
		resources []string
		options   []string
		file      string
		markdown  bool
	)
	c := &cobra.Command{
		Use:   "plan NAME… | -l SELECTOR",
		Short: "What a sync would do: asked of the cluster, nothing written",
		Long: `What a sync would do. The agent carries the sync out as a dry run: each object is sent
to the API server, which decides, validates and calls its webhooks, and writes nothing.

--out FILE saves the plan; "hawser app sync --plan FILE" does exactly that, and refuses
when the revision or an object in the cluster has moved since.

With --revision of something else than what is desired, the hub renders that revision
and compares; the cluster is not asked then, and such a plan cannot be saved.

The exit status is 0 when nothing would change, 1 when something would, 2 or more for
errors; --exit-code=terraform for 0, 2 and 1.`,
		Args: which.args,
		PreRunE: func(*cobra.Command, []string) error {
			markdown = s.take("markdown") != ""
			if file == "" && strings.ContainsAny(s.output, "./\\") && !strings.Contains(s.output, "=") {
				file, s.output = s.output, "" // as terraform's hands write it: -o plan.hwp
			}
			_, err := revisions.query()
			if err == nil {
				err = exit.check()
			}
			return err
		},
		RunE: s.run(func(c *call) error {
			names, err := c.chosen(which)
			if err != nil {
				return exit.of(false, err)
			}
			q, err := revisions.query()
			if err != nil {
				return err
			}
			ctx, cancel := c.limit(c.ctx, waitForOperation)
			defer cancel()
			spec := model.OperationSpec{Prune: prune, Resources: resources, SyncOptions: options}
			plans := make([]plan, 0, len(names))
			for _, name := range names {
				p, err := c.plan(ctx, name, q, spec)
				if err != nil {
					return exit.of(false, err)
				}
				plans = append(plans, p)
			}
			if file != "" {
				if err := savePlans(file, plans); err != nil {
					return exit.of(false, err)
				}
			}
			differs, blocked := false, false
			for _, p := range plans {
				create, change, pruned, stuck := p.counts()
				differs = differs || create+change+pruned+stuck > 0
				blocked = blocked || stuck > 0
			}
			if err := c.printPlans(plans, markdown); err != nil {
				return exit.of(false, err)
			}
			if file != "" {
				c.note("saved %s; carry it out: hawser app sync --plan %s", file, file)
			}
			if blocked {
				return exit.of(false, exitWith(ExitBad, fault.New(fault.Unprocessable, "plan_blocked", "the cluster would refuse a part of it").
					WithFix("see the lines that begin with ✗")))
			}
			return exit.of(differs, nil)
		}),
	}
	exit.register(c)
	revisions.register(c)
	which.register(c)
	f := c.Flags()
	f.BoolVar(&prune, "prune", true, "with the deletions of what is no longer in Git")
	f.StringArrayVar(&resources, "resource", nil, "only this object, as group:kind:name or group:kind:namespace/name; may be repeated")
	f.StringArrayVar(&options, "sync-option", nil, "sync option for this operation; may be repeated")
	f.StringVar(&file, "out", "", "save the plan in this file, also as -o FILE")
	return c
}

// plan asks what a sync would do, or what another revision would.
func (c *call) plan(ctx context.Context, name string, q url.Values, spec model.OperationSpec) (plan, error) {
	v, err := getApp(ctx, c.api, name)
	if err != nil {
		return plan{}, err
	}
	want := q["revision"]
	if len(want) == 0 || len(want) == 1 && len(q["position"]) == 0 && isRevision(v.Desired.Commit, want[0]) {
		return c.dryRun(ctx, v, spec)
	}
	p := plan{App: name, UID: v.UID, Rendered: true, MadeAt: c.now().UTC(), Spec: spec}
	var got comparisonAnswer
	if err := c.api.Do(ctx, http.MethodPost, appPath(name)+"/compare?"+q.Encode(), nil, &got); err != nil {
		return p, err
	}
	p.Revision = got.To.Commit
	for _, x := range got.Items {
		if x.Status == "Pruned" && !spec.Prune {
			x.Status = "PruneSkipped"
		}
		p.Steps = append(p.Steps, model.ResourceResult{ObjectKey: x.ObjectKey, Status: x.Status})
	}
	p.sort()
	return p, nil
}

// dryRun has the agent try a sync. What the plan is made of must not have moved
// between the first look and the last.
func (c *call) dryRun(ctx context.Context, v model.AppView, spec model.OperationSpec) (plan, error) {
	const tries = 3
	for try := 1; ; try++ {
		before, err := c.resources(ctx, v.Name)
		if err != nil {
			return plan{}, err
		}
		ask := spec
		ask.DryRun, ask.Revision = true, before.Revision
		op, err := c.submit(ctx, appPath(v.Name)+"/sync", ask)
		if err != nil {
			return plan{}, err
		}
		if op, err = awaitOperation(ctx, c.api, op); err != nil {
			return plan{}, err
		}
		after, err := c.resources(ctx, v.Name)
		if err != nil {
			return plan{}, err
		}
		if (before.State != after.State || op.Phase == model.PhaseSuperseded) && try < tries {
			continue
		}
		if before.State != after.State {
			return plan{}, fault.New(fault.Precondition, "stale_plan", "%q goes on moving while it is planned", v.Name).WithFix("plan again when it has come to rest")
		}
		if code := exitOfOperation(op); code != ExitOK && (op.Result == nil || len(op.Result.Resources) == 0) && (op.Result == nil || op.Result.WouldPrune == 0) {
			return plan{}, exitWith(code, fault.New(fault.Upstream, "plan_failed", "the plan of %q ended as %s: %s", v.Name, op.Phase, op.Message).
				WithFix("see it: hawser operation get %s", op.ID))
		}
		hub, err := c.hub()
		if err != nil {
			return plan{}, err
		}
		p := plan{Hub: hub.URL, App: v.Name, UID: v.UID, State: after.State, Revision: after.Revision, MadeAt: c.now().UTC(), Spec: spec, Message: op.Message}
		if op.Result != nil {
			p.Steps = op.Result.Resources
		}
		if op.Result != nil && op.Result.WouldPrune > 0 && len(p.Steps) == 0 {
			for _, r := range after.Items { // the prune guard has stopped it before anything was tried
				if r.RequiresPruning {
					p.Steps = append(p.Steps, model.ResourceResult{ObjectKey: r.ObjectKey, Status: "Pruned"})
				}
			}
		}
		p.sort()
		return p, nil
	}
}

func (c *call) resources(ctx context.Context, name string) (out resourcesAnswer, err error) {
	err = c.api.Get(ctx, appPath(name)+"/resources", &out)
	return out, err
}

// sort puts deletions first and leaves out what stays as it is.
func (p *plan) sort() {
	steps := p.Steps
	p.Steps = []model.ResourceResult{}
	p.Unchanged = 0
	for _, deletion := range []bool{true, false} {
		for _, s := range steps {
			if strings.HasPrefix(s.Status, "Prune") != deletion {
				continue
			}
			switch s.Status {
			case "Unchanged", "Skipped", "Succeeded":
				p.Unchanged++
			default:
				p.Steps = append(p.Steps, s)
			}
		}
	}
}

func savePlans(file string, plans []plan) error {
	for i, p := range plans {
		if p.Rendered {
			return fault.New(fault.Precondition, "plan_not_applicable", "the plan of %q is of revision %s, which is not desired, and a sync goes to what is desired only", p.App, short(p.Revision)).
				WithFix("change it first: hawser app set %s --revision REVISION", p.App)
		}
		plans[i].APIVersion, plans[i].Kind = apiVersion, kindPlan
	}
	b, err := json.MarshalIndent(map[string]any{"apiVersion": apiVersion, "kind": "PlanList", "items": plans}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o600); err != nil {
		return fault.New(fault.Invalid, "file_unwritable", "--out: %s", err)
	}
	return nil
}

// loadPlans reads what savePlans wrote, for the hub that is spoken to.
func (c *call) loadPlans(file string) ([]plan, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fault.New(fault.NotFound, "file_not_found", "--plan: %s", err)
	}
	invalid := func(why string) error {
		return fault.New(fault.Invalid, "plan_invalid", "%s is no plan: %s", file, why).WithFix("make one: hawser app plan NAME --out %s", file)
	}
	if info.Size() > maxPlan {
		return nil, invalid("it is too large")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "file_unreadable", "--plan: %s", err)
	}
	var got struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Items      []plan `json:"items"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		return nil, invalid(err.Error())
	}
	if got.APIVersion != apiVersion || got.Kind != "PlanList" || len(got.Items) == 0 {
		return nil, invalid(fmt.Sprintf("it is %s %s", got.APIVersion, got.Kind))
	}
	hub, err := c.hub()
	if err != nil {
		return nil, err
	}
	for _, p := range got.Items {
		switch {
		case p.App == "" || p.State == "" || p.Revision == "":
			return nil, invalid("it does not say of what")
		case p.Hub != hub.URL:
			return nil, fault.New(fault.Precondition, "plan_of_another_hub", "the plan was made at %s, and this is %s", p.Hub, hub.URL).WithFix("choose the hub with --context or --hub")
		}
		if _, _, _, blocked := p.counts(); blocked > 0 {
			return nil, fault.New(fault.Precondition, "plan_blocked", "the cluster would refuse a part of the plan of %q", p.App).WithFix("put that right and plan again")
		}
	}
	return got.Items, nil
}

// spec is the sync that does exactly what the plan says.
func (p plan) sync(reason string) (spec model.OperationSpec, path string) {
	spec = p.Spec
	spec.Revision, spec.Reason = p.Revision, reason
	if _, _, pruned, _ := p.counts(); spec.Prune && pruned > 0 {
		spec.ConfirmPrune = &pruned // that many and no other number
	}
	return spec, appPath(p.App) + "/sync?state=" + url.QueryEscape(p.State)
}

func (c *call) printPlans(plans []plan, markdown bool) error {
	switch {
	case markdown:
		for _, p := range plans {
			fmt.Fprintf(c.Out, "### %s\n\n```diff\n", markdownText(p.App))
			for _, s := range p.Steps {
				sign := symbols[s.Status]
				if sign == "~" {
					sign = "!" // which diff shows in a colour of its own
				}
				fmt.Fprintf(c.Out, "%s %s\n", sign, output.Clean(resultText(s)))
			}
			fmt.Fprintf(c.Out, "```\n\n%s\n", p.summary())
		}
		return nil
	case c.documents():
		for i := range plans {
			plans[i].APIVersion, plans[i].Kind = "", ""
		}
		return listing[plan]{kind: "PlanList"}.print(c, plans, c.now())
	}
	for _, p := range plans {
		if c.format == output.Name {
			for _, s := range p.Steps {
				if err := c.name(s.String()); err != nil {
					return err
				}
			}
			continue
		}
		if len(plans) > 1 {
			fmt.Fprintf(c.Out, "%s\n", output.Clean(p.App))
		}
		c.printPlan(p)
	}
	return nil
}

func (c *call) printPlan(p plan) {
	for _, s := range p.Steps {
		note := ""
		switch s.Status {
		case "Pruned":
			note = "  prune"
		case "PruneSkipped":
			note = "  stays: it is not to be pruned"
		}
		fmt.Fprintf(c.Out, "  %s %s%s\n", symbols[s.Status], output.Clean(resultText(s)), note)
	}
	fmt.Fprintln(c.Out, output.Clean(p.summary()))
}

func (p plan) summary() string {
	create, change, pruned, blocked := p.counts()
	text := fmt.Sprintf("Plan: %d to create, %d to change, %d to prune, %d unchanged (%d blocked)", create, change, pruned, p.Unchanged, blocked)
	if p.Revision != "" {
		text += " at " + short(p.Revision)
	}
	if p.Rendered {
		text += "; rendered and compared, the cluster was not asked"
	}
	return text
}

// labelled are the objects of an application whose labels match, as a sync takes
// them.
func (c *call) labelled(ctx context.Context, name string, labels []string) ([]string, error) {
	var got manifestsAnswer
	if err := c.api.Get(ctx, appPath(name)+"/manifests", &got); err != nil {
		return nil, err
	}
	var out []string
	for _, raw := range got.Items {
		var o struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name, Namespace string
				Labels          map[string]string
			} `json:"metadata"`
		}
		if err := json.Unmarshal(raw, &o); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "answer_invalid", "the hub answered something that is no object")
		}
		matches := !slices.ContainsFunc(labels, func(l string) bool {
			k, v, _ := strings.Cut(l, "=")
			return o.Metadata.Labels[k] != v
		})
		if !matches {
			continue
		}
		group, _, grouped := strings.Cut(o.APIVersion, "/")
		if !grouped {
			group = ""
		}
		full := o.Metadata.Name
		if o.Metadata.Namespace != "" {
			full = o.Metadata.Namespace + "/" + full
		}
		out = append(out, group+":"+o.Kind+":"+full)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NotFound, "selection_empty", "no object of %q has the labels %s", name, strings.Join(labels, ", "))
	}
	return out, nil
}
