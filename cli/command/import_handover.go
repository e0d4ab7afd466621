package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/importer"
	"github.com/hawser-dev/hawser/cli/kube"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newImportStatus(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "status [PROJECT...]",
		Short: "Of each imported application: would Hawser change anything?",
		Long: `Of each imported application: would Hawser change anything? The exit status is 1 when
it would, or when that is not known. hawser app diff NAME shows the fields.`,
	}
	rows := listing[importer.Parity]{
		kind:    "ImportStatus",
		name:    func(p importer.Parity) string { return "app/" + p.Application },
		columns: []output.Column{{Title: "NAME"}, {Title: "PROJECT"}, {Title: "MODE"}, {Title: "SYNC"}, {Title: "SAME"}, {Title: "CLUSTER", Wide: true}, {Title: "WHY", Text: true}},
		row: func(p importer.Parity) []string {
			same := "no"
			if p.Same {
				same = "yes"
			}
			return []string{p.Application, p.Project, p.Mode, string(p.Sync), same, p.Cluster, p.Why}
		},
	}
	c.RunE = s.run(func(c *call) error {
		views, err := c.importedApps(c.args, nil)
		if err != nil {
			return err
		}
		items := make([]importer.Parity, 0, len(views))
		same := 0
		for _, v := range views {
			p := importer.ParityOf(v)
			items = append(items, p)
			if p.Same {
				same++
			}
		}
		if err := rows.print(c, items, c.now()); err != nil {
			return err
		}
		c.note("parity: %d/%d identical desired state", same, len(items))
		if same < len(items) {
			return exitWith(ExitNegative, nil)
		}
		return nil
	})
	return c
}

// handover are the flags of a handover.
type handover struct {
	apps            []string
	acceptChanges   bool
	acceptAppOfApps bool
	argoCDIsPaused  bool
}

func newImportHandover(s *session, src *importSource) *cobra.Command {
	var h handover
	c := &cobra.Command{
		Use:   "handover PROJECT... | --app NAME",
		Short: "Let Hawser reconcile imported applications from now on; can be rolled back",
		Long: `Let Hawser reconcile the imported applications of projects from now on. Refused where it
would change something, unless --accept-changes says that it may.

Refused is what applies Applications of Argo CD itself, an app of apps: handed over,
Hawser would write Argo CD's Applications, and set back there what a handover pauses.
Its applications are imported by themselves. Refused is also what an agent is too old
to have observed.

Two tools must not write the same objects. With --from-context Argo CD is paused first:
its automated sync is taken from the Applications, and so is the finalizer with which
deleting an Application would delete its objects. What was taken is remembered in an
annotation there, and given back by a rollback. Without --from-context the commands for
that are printed, and --argocd-is-paused says that they were run. Argo CD's objects are
never deleted.`,
		Args: projectsOrApps(&h),
		RunE: s.run(func(c *call) error { return c.handOver(src, h) }),
	}
	h.register(c)
	c.Flags().BoolVar(&h.acceptChanges, "accept-changes", false, "also where objects would change")
	c.Flags().BoolVar(&h.acceptAppOfApps, "accept-app-of-apps", false, "also what applies Applications of Argo CD")
	c.Flags().BoolVar(&h.argoCDIsPaused, "argocd-is-paused", false, "Argo CD does not sync these applications any more, and they have no finalizer that deletes objects")
	registerOnce(c, src)
	return s.asks(c)
}

func (h *handover) register(c *cobra.Command) {
	c.Flags().StringSliceVar(&h.apps, "app", nil, "single applications instead of projects")
}

// registerOnce adds the flags of a source where the parent command has none.
func registerOnce(c *cobra.Command, src *importSource) {
	if src.argoCDNS == "" {
		src.register(c)
	}
}

func projectsOrApps(h *handover) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if (len(args) == 0) == (len(h.apps) == 0) {
			return fault.New(fault.Invalid, "usage", "name projects, or applications with --app").WithFix("see %s --help", c.CommandPath())
		}
		return nil
	}
}

// sources of applications, in order.
func sourcesOf(views []model.AppView) []importer.Source {
	var out []importer.Source
	for _, v := range views {
		if src, ok := sourceOf(v); ok {
			out = append(out, src)
		}
	}
	return out
}

func (c *call) handOver(src *importSource, h handover) error {
	views, err := c.importedApps(c.args, h.apps)
	if err != nil {
		return err
	}
	if len(views) == 0 {
		return fault.New(fault.NotFound, "application_not_found", "no application of %s was imported", strings.Join(c.args, ", ")).WithFix("see hawser import argocd status")
	}
	differing := 0
	var old, apps []string
	for _, v := range views {
		p := importer.ParityOf(v)
		if p.AppOfApps {
			apps = append(apps, p.Application)
		}
		if p.Mode == importer.Observe && p.AgentTooOld {
			old = append(old, p.Application)
		}
		if p.Mode == importer.Observe && !p.Same {
			differing++
			c.warn("%s: %s", p.Application, p.Why)
		}
	}
	switch {
	case len(old) > 0:
		return fault.New(fault.Precondition, "agent_too_old", "the agents of %s are too old to only observe them: nobody knows what would change", strings.Join(old, ", ")).
			WithFix("update the agents, then look at hawser import argocd status")
	case len(apps) > 0 && !h.acceptAppOfApps:
		return appOfApps(apps)
	case differing > 0 && !h.acceptChanges:
		return fault.New(fault.Precondition, "import_not_same", "%d of %d applications are not known to be the same here as in Argo CD", differing, len(views)).
			WithFix("look with hawser app diff NAME; --accept-changes hands them over all the same")
	}
	if src.context == "" {
		if !h.argoCDIsPaused {
			c.printPauses(views)
			return fault.New(fault.Precondition, "argocd_not_paused", "Argo CD must not write what Hawser writes").
				WithFix("give --from-context, and it is paused; or run the commands above and add --argocd-is-paused")
		}
	} else if err := c.pauseArgoCD(src, views, h); err != nil {
		return err
	}
	return c.setModes(views, false, "handed over")
}

// printPauses prints what to pause by hand, from what is known at the hub.
func (c *call) printPauses(views []model.AppView) {
	fmt.Fprintln(c.Err, "in the cluster of Argo CD:")
	for _, v := range views {
		src, _ := sourceOf(v)
		fmt.Fprintf(c.Err, "  kubectl patch application %s -n %s --type merge -p '{\"metadata\":{\"finalizers\":null},\"spec\":{\"syncPolicy\":{\"automated\":null}}}'\n",
			output.Clean(src.Name), output.Clean(src.Namespace))
	}
	fmt.Fprintln(c.Err, "applications that an ApplicationSet or another application makes: that must not set it back")
}

// appOfApps refuses to hand over what applies Applications of Argo CD.
func appOfApps(names []string) error {
	return fault.New(fault.Precondition, "import_app_of_apps", "%s: it applies Applications of Argo CD. Handed over, Hawser would write those, and give Argo CD back the automated sync that a handover takes from them",
		strings.Join(names, ", ")).
		WithFix("leave it to Argo CD: hand over the applications that it makes, with --app; --accept-app-of-apps hands it over all the same")
}

func (c *call) pauseArgoCD(src *importSource, views []model.AppView, h handover) error {
	cluster, err := kube.Open(src.kubeconfig, src.context)
	if err != nil {
		return err
	}
	objects, err := src.readApplications(c.ctx, cluster)
	if err != nil {
		return err
	}
	if found := importer.AppsOfApps(sourcesOf(views), objects); len(found) > 0 && !h.acceptAppOfApps {
		names := make([]string, len(found))
		for i, ref := range found {
			names[i] = ref.String()
		}
		return appOfApps(names)
	}
	steps, err := importer.Pause(sourcesOf(views), objects)
	if err != nil {
		return err
	}
	return c.patchArgoCD(cluster, steps, "pause Argo CD")
}

// patchArgoCD prints steps, has them confirmed and takes them in order.
func (c *call) patchArgoCD(cluster *kube.Cluster, steps []importer.Step, purpose string) error {
	if len(steps) == 0 {
		return nil
	}
	fmt.Fprintf(c.Err, "to %s in context %s:\n", purpose, output.Clean(cluster.Context))
	for _, s := range steps {
		fmt.Fprintf(c.Err, "  %s %s/%s: %s\n", s.Kind, output.Clean(s.Namespace), output.Clean(s.Name), output.Clean(strings.Join(s.What, "; ")))
	}
	if err := c.agreed("Change these " + fmt.Sprint(len(steps)) + " objects of Argo CD?"); err != nil {
		return err
	}
	for _, s := range steps {
		if err := patchStep(c.ctx, cluster, s); err != nil {
			return err
		}
	}
	return nil
}

func patchStep(ctx context.Context, cluster *kube.Cluster, s importer.Step) error {
	r := argoApplications
	if s.Kind == model.KindApplicationSet {
		r = argoSets
	}
	_, err := cluster.Patch(ctx, r, s.Namespace, s.Name, s.Patch)
	if fault.HasCode(err, "object_changed") {
		return fault.As(err).WithFix("somebody changed it meanwhile; repeat the command, what is done already stays done")
	}
	return err
}

// agreed asks a person; --yes is the answer where nobody is there.
func (c *call) agreed(text string) error {
	return c.ask(consent{
		text: text, cancelled: "nothing was changed",
		alone: fault.New(fault.Precondition, "not_confirmed", "%s Nobody is there to ask", text),
	})
}

// setModes puts applications into observe mode or takes them out of it.
func (c *call) setModes(views []model.AppView, observe bool, done string) error {
	type result struct {
		Application string `json:"application"`
		Result      string `json:"result"`
	}
	var results []result
	var failed error
	for _, v := range views {
		changed, err := c.annotate(v.Name, func(a *model.Application) {
			if observe {
				a.Metadata.Annotations[model.AnnotationMode] = model.ModeObserve
			} else {
				a.Metadata.Annotations[model.AnnotationMode] = model.ModeManage
			}
		})
		switch {
		case err != nil:
			failed = err
			results = append(results, result{v.Name, "failed"})
			printError(c.Err, err)
		case changed:
			results = append(results, result{v.Name, done})
		default:
			results = append(results, result{v.Name, "unchanged"})
		}
	}
	err := c.one(map[string]any{"items": results}, "", func() error {
		for _, r := range results {
			fmt.Fprintf(c.Out, "app/%s %s\n", output.Clean(r.Application), r.Result)
		}
		return nil
	})
	if err == nil && failed != nil {
		return exitWith(ExitPartial, nil)
	}
	return err
}

// annotate changes an application of the hub, again when somebody else wrote it
// meanwhile.
func (c *call) annotate(name string, change func(*model.Application)) (changed bool, err error) {
	const tries = 3
	for try := 1; ; try++ {
		a, version, err := c.writtenApp(name)
		if err != nil {
			return false, err
		}
		if a.Metadata.Annotations == nil {
			a.Metadata.Annotations = map[string]string{}
		}
		before := fmt.Sprint(a.Metadata.Annotations, a.Metadata.Labels)
		if change(&a); fmt.Sprint(a.Metadata.Annotations, a.Metadata.Labels) == before {
			return false, nil
		}
		if _, err = c.putApp(name, version, a); fault.HasCode(err, "version_conflict") && try < tries {
			continue
		}
		return err == nil, err
	}
}

func newImportRollback(s *session, src *importSource) *cobra.Command {
	var h handover
	c := &cobra.Command{
		Use:   "rollback PROJECT... | --app NAME",
		Short: "Give applications back to Argo CD: Hawser only observes them again",
		Long: `Give applications back to Argo CD. Hawser only observes them again; after that, with
--from-context, Argo CD gets back what a handover took from it.`,
		Args: projectsOrApps(&h),
		RunE: s.run(func(c *call) error {
			views, err := c.importedApps(c.args, h.apps)
			if err != nil {
				return err
			}
			if len(views) == 0 {
				return fault.New(fault.NotFound, "application_not_found", "no application of %s was imported, or the move is finished", strings.Join(c.args, ", "))
			}
			// First the one stops, then the other begins.
			if err := c.setModes(views, true, "observed"); err != nil {
				return err
			}
			if err := c.awaitObserving(views); err != nil {
				return err
			}
			if src.context == "" {
				c.note("Argo CD is not changed without --from-context; what a handover took from it stays in the annotation %s", importer.AnnotationPaused)
				return nil
			}
			cluster, err := kube.Open(src.kubeconfig, src.context)
			if err != nil {
				return err
			}
			objects, err := src.readApplications(c.ctx, cluster)
			if err != nil {
				return err
			}
			return c.patchArgoCD(cluster, importer.Resume(sourcesOf(views), objects), "give back what was paused")
		}),
	}
	h.register(c)
	registerOnce(c, src)
	return s.asks(c)
}

// observeOnly is the code of the condition by which an agent says that it writes
// nothing for an application.
const observeOnly = "observe_only"

// awaitObserving waits until the agents say that they only observe: before that
// they may still write what they were told.
func (c *call) awaitObserving(views []model.AppView) error {
	ctx, cancel := c.limit(c.ctx, waitForOperation)
	defer cancel()
	var names, waiting []string
	for _, v := range views {
		names = append(names, v.Name)
	}
	waiting = names
	err := client.Follow(ctx, c.api, func() (bool, error) {
		now, err := c.views(waiting)
		if err != nil {
			return false, err
		}
		waiting = nil
		for _, v := range now {
			if importer.ParityOf(v).AgentTooOld {
				return false, fault.New(fault.Precondition, "agent_too_old", "the agent of %s is too old to only observe it, and goes on with what it has; Argo CD was not changed", v.Name).
					WithFix("update the agent, then repeat the command")
			}
			if !slices.ContainsFunc(v.Conditions, func(x model.Condition) bool { return x.Code == observeOnly }) {
				waiting = append(waiting, v.Name)
			}
		}
		return len(waiting) == 0, nil
	}, func(e client.Event) bool { return e.Type == "application" })
	if errors.Is(err, context.DeadlineExceeded) {
		return exitWith(ExitTimeout, fault.New(fault.Unavailable, "wait_timeout", "the agents of %s have not said that they only observe; Argo CD was not changed", strings.Join(waiting, ", ")).
			WithFix("look at the clusters: hawser cluster list; then repeat the command"))
	}
	return err
}

func newImportFinish(s *session) *cobra.Command {
	var h handover
	c := &cobra.Command{
		Use:   "finish PROJECT... | --app NAME",
		Short: "End the move: forget where applications came from; there is no rollback after it",
		Long: `End the move of applications that were handed over. The hub forgets where they came from.
Argo CD is not touched: its Applications may be deleted there after that, because a
handover took the finalizer that would delete their objects.`,
		Args: projectsOrApps(&h),
		RunE: s.run(func(c *call) error {
			views, err := c.importedApps(c.args, h.apps)
			if err != nil {
				return err
			}
			for _, v := range views {
				if importer.ParityOf(v).Mode == importer.Observe {
					return fault.New(fault.Precondition, "import_not_handed_over", "application %q is only observed", v.Name).WithFix("hand it over first, or delete it: hawser app delete %s --cascade=false", v.Name)
				}
			}
			if len(views) == 0 {
				c.note("nothing to finish")
				return nil
			}
			if err := c.agreed(fmt.Sprintf("Forget where %d applications came from? There is no rollback after it.", len(views))); err != nil {
				return err
			}
			for _, v := range views {
				if _, err := c.annotate(v.Name, func(a *model.Application) {
					delete(a.Metadata.Annotations, importer.AnnotationImportedFrom)
					delete(a.Metadata.Labels, importer.LabelImported)
				}); err != nil {
					return err
				}
				fmt.Fprintf(c.Out, "app/%s finished\n", output.Clean(v.Name))
			}
			return nil
		}),
	}
	h.register(c)
	return s.asks(c)
}
