package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newApp(s *session) *cobra.Command {
	return group("app", "Applications",
		newAppList(s), newAppGet(s), newAppCreate(s), newAppSync(s), newAppWait(s), newAppDiff(s),
		newAppHistory(s), newAppDelete(s), newAppTree(s), newAppRefresh(s))
}

func appPath(name string) string {
	return "/applications/" + url.PathEscape(strings.TrimPrefix(name, "app/"))
}

func getApp(ctx context.Context, api *client.Client, name string) (model.AppView, error) {
	var v model.AppView
	err := api.Get(ctx, appPath(name), &v)
	return v, err
}

func newAppList(s *session) *cobra.Command {
	var project, cluster, selector string
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All applications", Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			query := url.Values{}
			for k, v := range map[string]string{"project": project, "cluster": cluster, "selector": selector} {
				if v != "" {
					query.Set(k, v)
				}
			}
			items, asOf, err := listApps(c.Context(), api, query)
			if err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, listDocument("AppList", items, asOf))
			case output.Name:
				for _, v := range items {
					fmt.Fprintln(s.Out, "app/"+output.Clean(v.Name))
				}
				return nil
			}
			now := s.now()
			stale := 0
			rows := make([][]string, 0, len(items))
			for _, v := range items {
				if v.Freshness == model.FreshStale || v.Freshness == model.FreshNever {
					stale++
				}
				rows = append(rows, []string{
					v.Name, v.Project, v.Cluster, syncText(v), healthText(v), output.Age(now, v.ObservedAt), operationText(v.Operation),
					short(v.Revision), v.Namespace, v.RepoURL, v.Path, v.Target,
				})
			}
			err = output.Rows(s.Out, f, []output.Column{
				{Title: "NAME"}, {Title: "PROJECT"}, {Title: "CLUSTER"}, {Title: "SYNC"}, {Title: "HEALTH"}, {Title: "OBSERVED"}, {Title: "OPERATION"},
				{Title: "REVISION", Wide: true}, {Title: "NAMESPACE", Wide: true}, {Title: "REPO", Wide: true}, {Title: "PATH", Wide: true}, {Title: "TARGET", Wide: true},
			}, rows)
			if err == nil && stale > 0 {
				s.note("%d of %d not reported lately (stale)", stale, len(items))
			}
			return err
		},
	}
	c.Flags().StringVarP(&project, "project", "p", "", "only this project")
	c.Flags().StringVarP(&cluster, "cluster", "c", "", "only this cluster")
	c.Flags().StringVarP(&selector, "selector", "l", "", "only applications with these labels, key=value,…")
	return c
}

func listApps(ctx context.Context, api *client.Client, query url.Values) (items []model.AppView, asOf time.Time, err error) {
	query.Set("limit", "500")
	for {
		var page struct {
			Items      []model.AppView `json:"items"`
			NextCursor string          `json:"nextCursor"`
			AsOf       time.Time       `json:"asOf"`
		}
		if err := api.Get(ctx, "/applications?"+query.Encode(), &page); err != nil {
			return nil, asOf, err
		}
		items, asOf = append(items, page.Items...), page.AsOf
		if page.NextCursor == "" {
			return items, asOf, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

func syncText(v model.AppView) string {
	if v.Deleting {
		return "Deleting"
	}
	return facetText(v.Sync)
}

func facetText(f model.SyncFacet) string {
	if f.Status == "" {
		return string(model.SyncUnknown)
	}
	if f.Reason != "" {
		return string(f.Status) + " (" + string(f.Reason) + ")"
	}
	return string(f.Status)
}

// healthText marks what is not known to be true now.
func healthText(v model.AppView) string {
	h := string(v.Health.Status)
	if h == "" {
		h = string(model.HealthUnknown)
	}
	if v.Freshness == model.FreshStale || v.Freshness == model.FreshNever {
		h += " (" + string(v.Freshness) + ")"
	}
	return h
}

func operationText(op *model.OperationInfo) string {
	if op == nil {
		return ""
	}
	return string(op.Kind) + " " + string(op.Phase)
}

func newAppGet(s *session) *cobra.Command {
	var refresh bool
	c := &cobra.Command{
		Use: "get NAME", Short: "One application, its conditions and objects", Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			if refresh {
				if err := api.Do(c.Context(), http.MethodPost, appPath(args[0])+"/refresh", nil, nil); err != nil {
					return err
				}
			}
			v, err := getApp(c.Context(), api, args[0])
			if err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, v)
			case output.Name:
				fmt.Fprintln(s.Out, "app/"+output.Clean(v.Name))
				return nil
			}
			return s.describeApp(f, v)
		},
	}
	c.Flags().BoolVar(&refresh, "refresh", false, "look at Git now")
	return c
}

// observedText says when the application was last known to be as shown.
func observedText(now time.Time, v model.AppView) string {
	if v.ObservedAt == nil {
		return string(model.FreshNever)
	}
	return output.Age(now, v.ObservedAt) + " ago, " + string(v.Freshness)
}

func (s *session) describeApp(f output.Format, v model.AppView) error {
	now := s.now()
	fields := [][2]string{
		{"Name", v.Name}, {"Project", v.Project}, {"Cluster", v.Cluster}, {"Namespace", v.Namespace},
		{"Repo", v.RepoURL}, {"Path", v.Path}, {"Target", v.Target},
		{"Desired", strings.TrimSpace(short(v.Desired.Commit) + "  " + v.Desired.Message)}, {"Synced to", short(v.Revision)},
		{"Sync", syncText(v)}, {"Health", strings.TrimSpace(healthText(v) + "  " + v.Health.Message)},
		{"Observed", observedText(now, v)},
	}
	if v.Operation != nil {
		fields = append(fields, [2]string{"Operation", strings.TrimSpace(operationText(v.Operation) + "  " + v.Operation.Message)})
	}
	for _, c := range v.Conditions {
		fields = append(fields, [2]string{"Condition", strings.TrimSpace(c.Type + " " + c.Code + ": " + c.Message)})
	}
	if err := s.describe(fields); err != nil || len(v.Resources) == 0 {
		return err
	}
	fmt.Fprintln(s.Out)
	rows := make([][]string, 0, len(v.Resources))
	for _, r := range v.Resources {
		state := facetText(r.Sync)
		if r.RequiresPruning {
			state += ", to prune"
		}
		rows = append(rows, []string{r.GroupKind().String(), r.Namespace, r.Name, state, string(r.Health.Status), r.Health.Message, r.UID})
	}
	return output.Rows(s.Out, f, []output.Column{{Title: "KIND"}, {Title: "NAMESPACE"}, {Title: "NAME"}, {Title: "SYNC"}, {Title: "HEALTH"}, {Title: "MESSAGE"}, {Title: "UID", Wide: true}}, rows)
}

func newAppCreate(s *session) *cobra.Command {
	var (
		a                         model.Application
		source                    model.Source
		dir                       model.DirectoryOption
		server, cluster, policy   string
		prune, selfHeal, finalize bool
		syncOptions               []string
	)
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create an application from flags; for everything else: hawser apply -f",
		Args:  exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			a.APIVersion, a.Kind, a.Metadata.Name = model.APIVersionHawser, model.KindApplication, args[0]
			a.Spec.Destination.Server, a.Spec.Destination.Name = server, cluster
			if dir != (model.DirectoryOption{}) {
				source.Directory = &dir
			}
			a.Spec.Source = &source
			switch policy {
			case "none", "":
				if prune || selfHeal {
					return fault.New(fault.Invalid, "usage", "--auto-prune and --self-heal need --sync-policy automated")
				}
			case "automated", "auto":
				a.Spec.SyncPolicy = &model.SyncPolicy{Automated: &model.AutomatedSync{Prune: prune, SelfHeal: selfHeal}}
			default:
				return fault.New(fault.Invalid, "usage", "--sync-policy %q is not known", policy).WithFix("use automated or none")
			}
			if len(syncOptions) > 0 {
				if a.Spec.SyncPolicy == nil {
					a.Spec.SyncPolicy = &model.SyncPolicy{}
				}
				a.Spec.SyncPolicy.SyncOptions = syncOptions
			}
			if finalize {
				a.Metadata.Finalizers = []string{model.FinalizerCascade}
			}
			api, err := s.client()
			if err != nil {
				return err
			}
			header := http.Header{"If-None-Match": {"*"}}
			if err := api.DoWith(c.Context(), http.MethodPut, appPath(args[0]), header, a, nil); err != nil {
				return err
			}
			s.note("application %q created", args[0])
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&source.RepoURL, "repo", "", "repository URL")
	f.StringVar(&source.Path, "path", "", "directory in the repository")
	f.StringVar(&source.TargetRevision, "revision", "", "branch, tag or commit (default: HEAD)")
	f.StringVar(&server, "dest-server", "", "server URL of the destination, an alias of a cluster")
	f.StringVar(&cluster, "dest-name", "", "name of the destination cluster")
	f.StringVar(&a.Spec.Destination.Namespace, "dest-namespace", "", "namespace of objects that name none")
	f.StringVar(&a.Spec.Project, "project", model.DefaultProject, "project")
	f.StringVar(&policy, "sync-policy", "none", "automated or none")
	f.BoolVar(&prune, "auto-prune", false, "delete objects that leave Git, with automated sync")
	f.BoolVar(&selfHeal, "self-heal", false, "revert changes made in the cluster, with automated sync")
	f.BoolVar(&finalize, "set-finalizer", false, "delete the objects together with the application")
	f.StringArrayVar(&syncOptions, "sync-option", nil, "sync option such as CreateNamespace=true; may be repeated")
	f.BoolVar(&dir.Recurse, "directory-recurse", false, "read directories below the path")
	f.StringVar(&dir.Include, "directory-include", "", "glob of files to read")
	f.StringVar(&dir.Exclude, "directory-exclude", "", "glob of files to leave out")
	return c
}

func newAppDelete(s *session) *cobra.Command {
	var cascade, yes, wait bool
	var propagation string
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete an application, with or without its objects",
		Long: `Delete an application. --cascade deletes its objects too; --cascade=false leaves
them running and takes the tracking mark from them. Without the flag a person is
asked; where there is nobody to ask the flag is needed.`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			v, err := getApp(c.Context(), api, args[0])
			if err != nil {
				return err
			}
			if err := s.confirmDelete(c, v, &cascade, yes); err != nil {
				return err
			}
			query := url.Values{"cascade": {fmt.Sprint(cascade)}}
			if propagation != "" {
				query.Set("propagation", propagation)
			}
			var op model.OperationInfo
			if err := api.Do(c.Context(), http.MethodDelete, appPath(args[0])+"?"+query.Encode(), nil, &op); err != nil {
				return err
			}
			if !wait {
				s.note("deletion of %q accepted as operation %s", v.Name, op.ID)
				return s.printOperation(f, op)
			}
			ctx, cancel := s.limit(c.Context(), 5*time.Minute)
			defer cancel()
			op, err = s.awaitOperation(ctx, api, op)
			if err != nil {
				return err
			}
			return s.concludeOperation(f, op)
		},
	}
	c.Flags().BoolVar(&cascade, "cascade", false, "delete the application's objects too")
	c.Flags().StringVar(&propagation, "propagation-policy", "", "foreground or background (default: as the finalizer says, else foreground)")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&wait, "wait", true, "wait until it is done")
	return c
}

// confirmDelete asks a person what is to become of the objects.
func (s *session) confirmDelete(c *cobra.Command, v model.AppView, cascade *bool, yes bool) error {
	chosen := c.Flags().Changed("cascade")
	if yes && chosen {
		return nil
	}
	if !s.Terminal {
		if chosen {
			return nil
		}
		return fault.New(fault.Invalid, "delete_needs_choice", "nobody is there to ask what becomes of the %d objects of %q", len(v.Resources), v.Name).
			WithFix("add --cascade to delete them, or --cascade=false to leave them running")
	}
	fmt.Fprintf(s.Err, "%q has %d objects on %s:\n", output.Clean(v.Name), len(v.Resources), output.Clean(v.Cluster))
	for i, r := range v.Resources {
		if i == 20 {
			fmt.Fprintf(s.Err, "  … and %d more\n", len(v.Resources)-i)
			break
		}
		fmt.Fprintf(s.Err, "  %s\n", output.Clean(r.String()))
	}
	var answer string
	if !chosen {
		fmt.Fprint(s.Err, "Delete them too? [yes, no, cancel] ")
		fmt.Fscanln(s.In, &answer)
		switch strings.ToLower(answer) {
		case "yes":
			*cascade = true
		case "no":
			*cascade = false
		default:
			return exitWith(ExitError, fault.New(fault.Precondition, "cancelled", "nothing was deleted"))
		}
		return nil
	}
	what := "leave them running and forget the application"
	if *cascade {
		what = "delete the application and all of them"
	}
	fmt.Fprintf(s.Err, "This will %s. Continue? [yes, no] ", what)
	fmt.Fscanln(s.In, &answer)
	if strings.ToLower(answer) != "yes" {
		return exitWith(ExitError, fault.New(fault.Precondition, "cancelled", "nothing was deleted"))
	}
	return nil
}

func newAppRefresh(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "refresh NAME", Short: "Look at Git now", Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			return api.Do(c.Context(), http.MethodPost, appPath(args[0])+"/refresh", nil, nil)
		},
	}
}

func newAppHistory(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "history NAME", Short: "What was deployed, newest last", Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			v, err := getApp(c.Context(), api, args[0])
			if err != nil {
				return err
			}
			if f == output.JSON || f == output.YAML {
				return output.Document(s.Out, f, listDocument("AppHistory", v.History, s.now()))
			}
			rows := make([][]string, 0, len(v.History))
			for _, h := range v.History {
				rows = append(rows, []string{fmt.Sprint(h.ID), h.DeployedAt.Format(time.RFC3339), short(h.Revision), h.InitiatedBy, fmt.Sprint(h.Generation)})
			}
			return output.Rows(s.Out, f, []output.Column{{Title: "ID"}, {Title: "DEPLOYED"}, {Title: "REVISION"}, {Title: "BY"}, {Title: "GENERATION", Wide: true}}, rows)
		},
	}
}

func newAppDiff(s *session) *cobra.Command {
	var exitStatus bool
	var diffExit int
	c := &cobra.Command{
		Use:   "diff NAME",
		Short: "Fields that differ between Git and the cluster, and who set them",
		Long: `Fields that differ between Git and the cluster, and who set them. The exit status is
0 when nothing differs and 1 when something does. Values of Secrets are redacted in
their cluster.`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			v, err := getApp(c.Context(), api, args[0])
			if err != nil {
				return err
			}
			if v.ObservedAt == nil {
				return fault.New(fault.Unavailable, "never_observed", "no agent has reported %q yet", v.Name)
			}
			if err := s.printDiff(f, v); err != nil {
				return err
			}
			if v.Freshness == model.FreshStale {
				s.note("warning: observed %s ago; the agent is offline", output.Age(s.now(), v.ObservedAt))
			}
			if exitStatus && v.Sync.Status == model.SyncOutOfSync {
				return exitWith(diffExit, nil)
			}
			if v.Sync.Status != model.SyncSynced && v.Sync.Status != model.SyncOutOfSync {
				return exitWith(ExitUnreachable, fault.New(fault.Unavailable, "sync_unknown", "it is not known whether %q differs", v.Name).
					WithFix("see the conditions: hawser app get %s", v.Name))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&exitStatus, "exit-code", true, "exit with 1 when something differs")
	c.Flags().IntVar(&diffExit, "diff-exit-code", ExitNegative, "exit status when something differs")
	return c
}

func (s *session) printDiff(f output.Format, v model.AppView) error {
	var differing []model.ResourceStatus
	for _, r := range v.Resources {
		if r.Sync.Status != model.SyncSynced {
			differing = append(differing, r)
		}
	}
	if f == output.JSON || f == output.YAML {
		if differing == nil {
			differing = []model.ResourceStatus{}
		}
		return output.Document(s.Out, f, listDocument("AppDiff", differing, s.now()))
	}
	for _, r := range differing {
		switch {
		case r.RequiresPruning:
			fmt.Fprintf(s.Out, "- %s  (not in Git any more)\n", output.Clean(r.String()))
			continue
		case r.Health.Status == model.HealthMissing:
			fmt.Fprintf(s.Out, "+ %s  (not in the cluster)\n", output.Clean(r.String()))
			continue
		}
		fmt.Fprintf(s.Out, "~ %s\n", output.Clean(r.String()))
		for _, d := range r.Differences {
			fmt.Fprintf(s.Out, "    %s\n", output.Clean(d.Path))
			fmt.Fprintf(s.Out, "      live:    %s%s\n", valueText(d.Live), output.Clean(whoText(d, s.now())))
			fmt.Fprintf(s.Out, "      desired: %s\n", valueText(d.Desired))
		}
	}
	return nil
}

func valueText(v string) string {
	if v == "" {
		return "(not set)"
	}
	return output.Clean(v)
}

func whoText(d model.FieldDifference, now time.Time) string {
	if d.Manager == "" {
		return ""
	}
	if d.ChangedAt == nil {
		return "   set by " + d.Manager
	}
	return "   set by " + d.Manager + " " + output.Age(now, d.ChangedAt) + " ago"
}

func newAppTree(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "tree NAME", Short: "The application's objects and what they own, down to pods", Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := api.Get(c.Context(), appPath(args[0])+"/tree", &raw); err != nil {
				return err
			}
			if f == output.JSON || f == output.YAML {
				var v any
				if err := json.Unmarshal(raw, &v); err != nil {
					return err
				}
				return output.Document(s.Out, f, v)
			}
			var tree model.ResourceTree
			if err := json.Unmarshal(raw, &tree); err != nil {
				return err
			}
			s.printTree(tree)
			return nil
		},
	}
}

// printTree draws the nodes below their owners. A node that an error in the
// cluster made its own ancestor is drawn once.
func (s *session) printTree(tree model.ResourceTree) {
	children := map[string][]model.TreeNode{}
	present := map[string]bool{}
	for _, n := range tree.Nodes {
		present[n.UID] = true
	}
	var roots []model.TreeNode
	for _, n := range tree.Nodes {
		owned := false
		for _, p := range n.ParentUIDs {
			if present[p] {
				children[p] = append(children[p], n)
				owned = true
				break
			}
		}
		if !owned {
			roots = append(roots, n)
		}
	}
	drawn := map[string]bool{}
	var draw func(n model.TreeNode, prefix string, last, root bool)
	draw = func(n model.TreeNode, prefix string, last, root bool) {
		if n.UID != "" && drawn[n.UID] {
			return
		}
		drawn[n.UID] = true
		branch, below := "├─ ", "│  "
		if last {
			branch, below = "└─ ", "   "
		}
		if root {
			branch, below = "", ""
		}
		line := n.ObjectKey.String()
		if n.Health.Status != "" {
			line += "  " + string(n.Health.Status)
		}
		for _, i := range n.Info {
			line += "  " + i.Value
		}
		fmt.Fprintln(s.Out, prefix+branch+output.Clean(line))
		for i, child := range children[n.UID] {
			draw(child, prefix+below, i == len(children[n.UID])-1, false)
		}
	}
	for _, n := range roots {
		draw(n, "", false, true)
	}
	if tree.Truncated {
		s.note("the tree has more nodes than are shown")
	}
}
