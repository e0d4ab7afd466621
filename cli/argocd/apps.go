package argocd

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// named is the name of an application without the namespace that Argo CD puts
// before it.
func named(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

func (i *invocation) app(name string) (v model.AppView, err error) {
	err = i.api.Get(i.ctx, "/applications/"+url.PathEscape(named(name)), &v)
	return v, err
}

// print writes a document with -o json or yaml; it reports whether it did.
func (i *invocation) print(v any) (bool, error) {
	switch i.str("output") {
	case "json":
		return true, output.Document(i.Out, output.JSON, v)
	case "yaml":
		return true, output.Document(i.Out, output.YAML, v)
	case "", "wide", "name", "id", "tree", "tree=detailed", "url", "server":
		return false, nil
	}
	return false, fault.New(fault.Invalid, "output_unknown", "unknown output format: %s", i.str("output"))
}

// table writes aligned columns, as Argo CD does.
func (i *invocation) table(titles []string, rows [][]string) error {
	columns := make([]output.Column, len(titles))
	for n, t := range titles {
		columns[n] = output.Column{Title: t}
	}
	return (&output.Sheet{Columns: columns, Wide: true}).Print(i.Out, rows)
}

func phaseOf(p model.OperationPhase) string {
	switch p {
	case model.PhaseSucceeded, model.PhaseFailed:
		return string(p)
	case model.PhaseTerminated:
		return "Failed"
	case model.PhaseSuperseded, model.PhaseExpired:
		return "Error"
	}
	return "Running"
}

// Application is an application in Argo CD's shape, with its status.
func Application(v model.AppView, images []string) map[string]any {
	out := map[string]any{"apiVersion": model.APIVersionArgo, "kind": model.KindApplication}
	var spec any
	if a := v.Application; a != nil {
		m := a.Metadata
		if m.Namespace == "" {
			m.Namespace = "argocd"
		}
		out["metadata"], spec = m, a.Spec
	} else {
		out["metadata"] = map[string]any{"name": v.Name, "namespace": "argocd", "uid": v.UID}
		spec = map[string]any{"project": v.Project, "source": map[string]any{"repoURL": v.RepoURL, "path": v.Path, "targetRevision": v.Target},
			"destination": map[string]any{"name": v.Cluster, "namespace": v.Namespace}}
	}
	out["spec"] = spec
	syncStatus := map[string]any{"status": syncOf(v), "revision": v.Desired.Commit}
	if len(v.Desired.Sources) > 1 {
		syncStatus["revisions"] = v.Desired.Sources
	}
	status := map[string]any{"sync": syncStatus, "health": map[string]any{"status": firstOf(string(v.Health.Status), string(model.HealthUnknown)), "message": v.Health.Message}}
	resources := []map[string]any{}
	for _, r := range v.Resources {
		x := map[string]any{"version": r.Version, "kind": r.Kind, "name": r.Name}
		for key, value := range map[string]string{"group": r.Group, "namespace": r.Namespace, "status": string(r.Sync.Status)} {
			if value != "" {
				x[key] = value
			}
		}
		if r.Health.Status != "" {
			x["health"] = map[string]any{"status": r.Health.Status, "message": r.Health.Message}
		}
		if r.RequiresPruning {
			x["requiresPruning"] = true
		}
		if r.Hook != "" {
			x["hook"] = true
		}
		if r.Wave != 0 {
			x["syncWave"] = r.Wave
		}
		resources = append(resources, x)
	}
	status["resources"] = resources
	history := []map[string]any{}
	for _, h := range v.History {
		history = append(history, map[string]any{"id": h.ID, "revision": h.Revision, "deployedAt": h.DeployedAt, "deployStartedAt": h.StartedAt,
			"initiatedBy": map[string]any{"username": h.InitiatedBy, "automated": h.InitiatedBy == "automated"}})
	}
	status["history"] = history
	conditions := []map[string]any{}
	for _, c := range v.Conditions {
		x := map[string]any{"type": c.Type, "message": c.Message}
		if c.Since != nil {
			x["lastTransitionTime"] = c.Since
		}
		conditions = append(conditions, x)
	}
	status["conditions"] = conditions
	if images == nil {
		images = []string{}
	}
	status["summary"] = map[string]any{"images": images}
	if v.ObservedAt != nil {
		status["reconciledAt"] = v.ObservedAt
	}
	if op := v.Operation; op != nil {
		state := map[string]any{"phase": phaseOf(op.Phase), "message": op.Message,
			"operation": map[string]any{"sync": map[string]any{"revision": op.Spec.Revision, "prune": op.Spec.Prune, "dryRun": op.Spec.DryRun}, "initiatedBy": map[string]any{"username": op.InitiatedBy}}}
		if op.StartedAt != nil {
			state["startedAt"] = op.StartedAt
		}
		if op.FinishedAt != nil {
			state["finishedAt"] = op.FinishedAt
		}
		if op.Result != nil {
			results := []map[string]any{}
			for _, r := range op.Result.Resources {
				results = append(results, map[string]any{"group": r.Group, "kind": r.Kind, "namespace": r.Namespace, "name": r.Name, "status": resultOf(r.Status), "message": r.Message, "syncPhase": r.Phase, "hookPhase": r.HookPhase})
			}
			state["syncResult"] = map[string]any{"revision": op.Result.Revision, "resources": results}
		}
		status["operationState"] = state
	}
	out["status"] = status
	return out
}

// syncOf is Argo CD's word for whether an application is synced. As there, nothing is
// known of one whose newest revision cannot be rendered; what a rollback went back to is
// wanted.
func syncOf(v model.AppView) string {
	if _, broken := notRendered(v); broken {
		return string(model.SyncUnknown)
	}
	return firstOf(string(v.Sync.Status), string(model.SyncUnknown))
}

// notRendered is why the newest revision of an application cannot be what runs. An
// agent's ComparisonErrors, about live objects, have no time and are none of this.
func notRendered(v model.AppView) (model.Condition, bool) {
	for _, c := range v.Conditions {
		if v.Pin == nil && c.Since != nil && c.OfContent() {
			return c, true
		}
	}
	return model.Condition{}, false
}

// resultOf is what became of an object in Argo CD's words.
func resultOf(status string) string {
	switch status {
	case "Pruned", "PruneSkipped":
		return status
	case "Failed":
		return "SyncFailed"
	}
	return "Synced"
}

// images of an application's pods, sorted.
func (i *invocation) images(name string) []string {
	var tree model.ResourceTree
	if i.api.Get(i.ctx, "/applications/"+url.PathEscape(named(name))+"/tree", &tree) != nil {
		return nil // the rest of the status is worth showing
	}
	var out []string
	for _, n := range tree.Nodes {
		out = append(out, n.Images...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func policyText(v model.AppView) string {
	text := "Manual"
	if a := v.Application; a != nil && a.Spec.SyncPolicy.AutomatedEnabled() {
		text = "Auto"
		if a.Spec.SyncPolicy.Automated.Prune {
			text += "-Prune"
		}
	} else if v.AutoSync {
		text = "Auto"
	}
	return text
}

func conditionsText(v model.AppView) string {
	var names []string
	for _, c := range v.Conditions {
		if !slices.Contains(names, c.Type) {
			names = append(names, c.Type)
		}
	}
	if len(names) == 0 {
		return "<none>"
	}
	return strings.Join(names, ",")
}

// Fields of the rows of a list: what the columns show, and what Argo CD's object
// has besides.
const (
	columnFields   = "uid,name,project,cluster,namespace,repoURL,path,targetRevision,autoSync,sync,health,conditions,application"
	documentFields = columnFields + ",desired,operation,observedAt,resources,history"
)

// pageSize is how many rows of a list are asked for at once.
const pageSize = 500

// list reads the fields of the applications that a query selects.
func (i *invocation) list(q url.Values, fields string) ([]model.AppView, error) {
	q.Set("facets", "none")
	q.Set("fields", fields)
	return everything[model.AppView](i, "/applications", q)
}

func appList(i *invocation) error {
	q := url.Values{}
	for _, name := range []string{"cluster", "selector"} {
		if v := i.str(name); v != "" {
			q.Set(name, v)
		}
	}
	fields := columnFields
	switch i.str("output") {
	case "json", "yaml":
		fields = documentFields
	case "name":
		fields = "name,project,repoURL,path"
	}
	views, err := i.list(q, fields)
	if err != nil {
		return err
	}
	documents, rows := []map[string]any{}, [][]string{}
	for _, v := range views {
		if p := i.all("project"); len(p) > 0 && !slices.Contains(p, v.Project) {
			continue
		}
		if r := i.str("repo"); r != "" && r != v.RepoURL || i.str("path") != "" && i.str("path") != v.Path {
			continue
		}
		if i.str("output") == "name" {
			fmt.Fprintln(i.Out, "argocd/"+output.Clean(v.Name))
			continue
		}
		documents = append(documents, Application(v, nil))
		rows = append(rows, []string{"argocd/" + v.Name, v.Cluster, v.Namespace, v.Project, syncOf(v), firstOf(string(v.Health.Status), "Unknown"),
			policyText(v), conditionsText(v), v.RepoURL, v.Path, v.Target})
	}
	if i.str("output") == "name" {
		return nil
	}
	if done, err := i.print(documents); done || err != nil {
		return err
	}
	return i.table([]string{"NAME", "CLUSTER", "NAMESPACE", "PROJECT", "STATUS", "HEALTH", "SYNCPOLICY", "CONDITIONS", "REPO", "PATH", "TARGET"}, rows)
}

func appGet(i *invocation) error {
	name := named(i.args[0])
	if i.yes("refresh") || i.yes("hard-refresh") {
		path := "/applications/" + url.PathEscape(name) + "/refresh"
		if i.yes("hard-refresh") {
			path += "?hard=true"
		}
		if err := i.api.Do(i.ctx, http.MethodPost, path, nil, nil); err != nil {
			return err
		}
	}
	if o := i.str("output"); o == "tree" || o == "tree=detailed" {
		argv := []string{"app", "tree", name}
		contextName, server := i.hub()
		if contextName != "" {
			argv = append(argv, "--context="+contextName)
		}
		if server != "" {
			argv = append(argv, "--hub="+server)
		}
		return i.hawser(i.Streams, argv...)
	}
	return i.showApp(name)
}

// byNames is how many applications are asked for by their names at once: the names
// are in the URL.
const byNames = 50

// selects reads which applications a selection means, before anything is done to
// them: they may not match it afterwards.
func (i *invocation) selects() error {
	q := url.Values{}
	for _, name := range []string{"selector", "project"} {
		if v := i.str(name); v != "" {
			q.Set(name, v)
		}
	}
	if len(q) == 0 {
		return nil
	}
	all, err := i.list(q, "name")
	if err != nil {
		return err
	}
	i.selected = []string{}
	for _, v := range all {
		if len(i.args) == 0 || slices.ContainsFunc(i.args, func(a string) bool { return named(a) == v.Name }) {
			i.selected = append(i.selected, v.Name)
		}
	}
	return nil
}

// appsAfter shows the applications that a command was about, named or selected.
func appsAfter(i *invocation) error {
	if i.yes("delete") || i.yes("async") {
		return nil
	}
	if i.selected == nil {
		for _, name := range i.args {
			if err := i.showApp(named(name)); err != nil {
				return err
			}
		}
		return nil
	}
	for names := range slices.Chunk(i.selected, byNames) {
		views, err := i.list(url.Values{"name": names}, documentFields)
		if err != nil {
			return err
		}
		for _, v := range views {
			if err := i.show(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i *invocation) showApp(name string) error {
	v, err := i.app(name)
	if err != nil {
		return err
	}
	return i.show(v)
}

func (i *invocation) show(v model.AppView) error {
	var images []string
	if o := i.str("output"); o == "json" || o == "yaml" {
		images = i.images(v.Name)
	}
	if done, err := i.print(Application(v, images)); done || err != nil {
		return err
	}
	line := func(title, value string) { fmt.Fprintf(i.Out, "%-20s%s\n", title+":", output.Clean(value)) }
	line("Name", "argocd/"+v.Name)
	line("Project", v.Project)
	line("Server", v.Cluster)
	line("Namespace", v.Namespace)
	sources := []model.Source{{RepoURL: v.RepoURL, Path: v.Path, TargetRevision: v.Target}}
	if v.Application != nil {
		sources = v.Application.Spec.AllSources()
	}
	fmt.Fprintln(i.Out, map[bool]string{true: "Sources:", false: "Source:"}[len(sources) > 1])
	for _, s := range sources {
		line("- Repo", s.RepoURL)
		line("  Target", s.TargetRevision)
		line("  Path", firstOf(s.Path, s.Chart))
	}
	policy := map[bool]string{true: "Automated", false: "Manual"}[strings.HasPrefix(policyText(v), "Auto")]
	if strings.HasSuffix(policyText(v), "Prune") {
		policy += " (Prune)"
	}
	line("Sync Policy", policy)
	state := syncOf(v)
	if problem, broken := notRendered(v); broken {
		if at := problem.Revision; at != "" {
			state += " to " + firstOf(v.Target, "HEAD") + " (" + at[:min(7, len(at))] + ")"
		}
	} else if v.Desired.Commit != "" {
		state += map[bool]string{true: " to ", false: " from "}[v.Sync.Status == model.SyncSynced] + firstOf(v.Target, "HEAD") + " (" + v.Desired.Commit[:min(7, len(v.Desired.Commit))] + ")"
	}
	line("Sync Status", state)
	line("Health Status", firstOf(string(v.Health.Status), "Unknown"))
	if op := v.Operation; op != nil && i.yes("show-operation") {
		line("Operation", string(op.Kind))
		line("Phase", phaseOf(op.Phase))
		line("Message", op.Message)
	}
	if len(v.Conditions) > 0 {
		fmt.Fprintln(i.Out)
		var rows [][]string
		for _, c := range v.Conditions {
			at := ""
			if c.Since != nil {
				at = c.Since.Format(time.RFC3339)
			}
			rows = append(rows, []string{c.Type, c.Message, at})
		}
		if err := i.table([]string{"CONDITION", "MESSAGE", "LAST TRANSITION"}, rows); err != nil {
			return err
		}
	}
	if len(v.Resources) == 0 {
		return nil
	}
	fmt.Fprintln(i.Out)
	var rows [][]string
	for _, r := range v.Resources {
		rows = append(rows, []string{r.Group, r.Kind, r.Namespace, r.Name, string(r.Sync.Status), string(r.Health.Status), r.Hook, r.Health.Message})
	}
	return i.table([]string{"GROUP", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH", "HOOK", "MESSAGE"}, rows)
}

func appHistory(i *invocation) error {
	v, err := i.app(i.args[0])
	if err != nil {
		return err
	}
	if done, err := i.print(Application(v, nil)["status"].(map[string]any)["history"]); done || err != nil {
		return err
	}
	var rows [][]string
	for _, h := range v.History {
		if i.str("output") == "id" {
			fmt.Fprintln(i.Out, h.ID)
			continue
		}
		rows = append(rows, []string{strconv.FormatInt(h.ID, 10), h.DeployedAt.Format("2006-01-02 15:04:05 -0700 MST"), firstOf(v.Target, "HEAD") + " (" + h.Revision[:min(7, len(h.Revision))] + ")"})
	}
	if i.str("output") == "id" {
		return nil
	}
	return i.table([]string{"ID", "DATE", "REVISION"}, rows)
}
