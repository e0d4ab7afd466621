package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/importer"
	"github.com/hawser-dev/hawser/cli/kube"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newImport(s *session) *cobra.Command {
	return group("import", "Move from another tool",
		newImportArgoCD(s),
		newImportStatus(s), newImportHandover(s, &importSource{}), newImportRollback(s, &importSource{}), newImportFinish(s))
}

// importSource says where the objects of an Argo CD are read.
type importSource struct {
	files                         []string
	context, kubeconfig, argoCDNS string
	plugins                       map[string]string
}

func newImportArgoCD(s *session) *cobra.Command {
	src := &importSource{argoCDNS: "argocd"} // its flags are this command's
	plan := newImportPlan(s, src)
	c := group("argocd", "Move from Argo CD",
		plan, newImportApply(s, src), newImportStatus(s), newImportHandover(s, src), newImportRollback(s, src), newImportFinish(s))
	c.Long = `Move from Argo CD, step by step, and back:

  hawser import argocd plan --from-context old-hub     what becomes of each field
  hawser import argocd apply --from-context old-hub    store it; nothing is written to a cluster
  hawser import argocd status                          would anything change?
  hawser import argocd handover team-pay --from-context old-hub
  hawser import argocd rollback team-pay --from-context old-hub

Read are Applications, AppProjects, ApplicationSets, the Secrets of repositories and
clusters, and the ConfigMaps of settings, RBAC and trust: from files (-f, also what
kubectl get -o yaml printed) or from a cluster (--from-context). Credentials of
clusters never leave there. Without a verb the plan is printed.`
	// Without a verb: the plan.
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 || len(src.files) == 0 && src.context == "" {
			return groupRun(cmd, args)
		}
		return plan.RunE(cmd, args)
	}
	f := c.PersistentFlags()
	f.StringArrayVarP(&src.files, "filename", "f", nil, "file, directory, or - for standard input; may be repeated")
	f.StringToStringVar(&src.plugins, "plugin", nil, "config management plugin and its name here, OLD=NEW; may be repeated")
	src.register(c)
	return c
}

func (src *importSource) register(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&src.context, "from-context", "", "context of a kubeconfig where Argo CD runs")
	f.StringVar(&src.kubeconfig, "kubeconfig", "", "the kubeconfig (default: the usual one)")
	f.StringVarP(&src.argoCDNS, "namespace", "n", "argocd", "namespace where Argo CD runs")
}

// What is read of a cluster.
var (
	argoApplications = kube.Resource{Group: "argoproj.io", Version: "v1alpha1", Plural: "applications"}
	argoProjects     = kube.Resource{Group: "argoproj.io", Version: "v1alpha1", Plural: "appprojects"}
	argoSets         = kube.Resource{Group: "argoproj.io", Version: "v1alpha1", Plural: "applicationsets"}
	secrets          = kube.Resource{Version: "v1", Plural: "secrets"}
	configMaps       = kube.Resource{Version: "v1", Plural: "configmaps"}
)

// read reads all objects of the source.
func (src *importSource) read(ctx context.Context, s *session) (importer.Found, error) {
	var found importer.Found
	switch {
	case len(src.files) == 0 && src.context == "":
		return found, fault.New(fault.Invalid, "usage", "nothing to import").WithFix("name files (-f DIR), or the context where Argo CD runs (--from-context NAME)")
	case len(src.files) > 0 && src.context != "":
		return found, fault.New(fault.Invalid, "usage", "--filename and --from-context exclude each other")
	case src.context != "":
		objects, err := src.readCluster(ctx, s)
		return importer.Found{Objects: objects}, err
	}
	for _, name := range src.files {
		paths := []string{name}
		if name != "-" {
			info, err := os.Stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				return found, fault.New(fault.NotFound, "file_not_found", "%s does not exist", name)
			}
			if err == nil && info.IsDir() {
				paths, err = manifestsBelow(name)
			}
			if err != nil {
				return found, fault.As(err)
			}
		}
		for _, p := range paths {
			var b []byte
			var err error
			if p == "-" {
				b, err = io.ReadAll(io.LimitReader(s.In, importer.MaxText+1))
			} else {
				b, err = os.ReadFile(p)
			}
			if err != nil {
				found.Unread(p, err)
				continue
			}
			found.Read(p, b)
		}
	}
	if len(found.Objects) == 0 {
		e := fault.New(fault.NotFound, "file_not_found", "there is no object of Argo CD in %s", strings.Join(src.files, ", "))
		if len(found.Unreadable) > 0 {
			u := found.Unreadable[0]
			e = fault.New(fault.Invalid, "file_unreadable", "%s cannot be read: %s", u.Where, u.Why)
		}
		return found, e
	}
	return found, nil
}

// printSkipped says what was left out of the files.
func (c *call) printSkipped(p importer.Plan) {
	for _, x := range p.NotOfArgoCD {
		text := "not of Argo CD: " + x.Where
		if x.What != "" {
			text += ": " + x.What
		}
		fmt.Fprintln(c.Out, output.Clean(text))
	}
	for _, x := range p.Unreadable {
		fmt.Fprintln(c.Out, output.Clean("cannot be read: "+x.Where+": "+x.Why))
	}
}

// manifestsBelow lists the manifests of a directory and those below it, in order.
func manifestsBelow(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			out = append(out, path)
		}
		return err
	})
	if err == nil && len(out) == 0 {
		err = fault.New(fault.NotFound, "file_not_found", "%s has no .yaml, .yml or .json file", dir)
	}
	return out, err
}

// readCluster reads an installation. Applications of other namespaces are read
// where Argo CD manages those, and the account may list them.
func (src *importSource) readCluster(ctx context.Context, s *session) ([]importer.Object, error) {
	cluster, err := kube.Open(src.kubeconfig, src.context)
	if err != nil {
		return nil, err
	}
	out, err := src.readApplications(ctx, cluster)
	if err != nil {
		return nil, err
	}
	for _, what := range []struct {
		resource kube.Resource
		selector string
	}{
		{argoProjects, ""}, {secrets, "argocd.argoproj.io/secret-type"}, {configMaps, "app.kubernetes.io/part-of=argocd"},
	} {
		if out, err = listInto(ctx, cluster, what.resource, src.argoCDNS, what.selector, out); err != nil {
			return nil, err
		}
	}
	// By their names as well: who installed Argo CD may have left the labels out.
	read := map[[2]string]bool{}
	for _, o := range out {
		read[[2]string{o.Kind, o.Name}] = true
	}
	for _, what := range []struct {
		resource kube.Resource
		kind     string
		names    []string
	}{{secrets, "Secret", importer.SecretNames}, {configMaps, "ConfigMap", importer.ConfigMapNames}} {
		for _, name := range what.names {
			if read[[2]string{what.kind, name}] {
				continue
			}
			b, err := cluster.Get(ctx, what.resource, src.argoCDNS, name)
			if fault.HasCode(err, "object_not_found") {
				continue
			}
			if err != nil {
				return nil, err
			}
			objects, err := importer.FromJSON("context "+cluster.Context, b)
			if err != nil {
				return nil, err
			}
			out = append(out, objects...)
		}
	}
	out, left := importer.Managed(out, src.argoCDNS)
	for _, ns := range slices.Sorted(maps.Keys(left)) {
		fmt.Fprintf(s.Err, "warning: %d Applications and ApplicationSets of namespace %s are left out: this Argo CD does not manage it (application.namespaces)\n", left[ns], output.Clean(ns))
	}
	return out, nil
}

// readApplications reads Applications and ApplicationSets alone.
func (src *importSource) readApplications(ctx context.Context, cluster *kube.Cluster) (out []importer.Object, err error) {
	for _, r := range []kube.Resource{argoApplications, argoSets} {
		got, err := listInto(ctx, cluster, r, "", "", nil)
		if fault.HasCode(err, "cluster_forbidden") {
			got, err = listInto(ctx, cluster, r, src.argoCDNS, "", nil)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	return out, nil
}

func listInto(ctx context.Context, cluster *kube.Cluster, r kube.Resource, namespace, selector string, out []importer.Object) ([]importer.Object, error) {
	there, err := cluster.List(ctx, r, namespace, selector, func(page []byte) error {
		objects, err := importer.FromJSON("context "+cluster.Context, page)
		out = append(out, objects...)
		return err
	})
	if err == nil && !there && r == argoApplications {
		return nil, fault.New(fault.NotFound, "argocd_missing", "there is no Argo CD in context %q: it has no Applications", cluster.Context).WithFound(cluster.Context, "a cluster where Argo CD runs")
	}
	return out, err
}

// hubOptions is what the plan needs to know of the hub.
func (c *call) hubOptions(src *importSource, mode string, objects []importer.Object) (importer.Options, error) {
	o := importer.Options{Mode: mode, ControlNamespace: src.argoCDNS, Plugins: src.plugins, Applications: map[string]importer.Existing{}}
	var clusters list[model.Cluster]
	if err := c.get("/clusters?limit=500", &clusters); err != nil {
		return o, err
	}
	for _, x := range clusters.Items {
		o.Clusters = append(o.Clusters, importer.Cluster{Name: x.Name, Aliases: x.Aliases, Labels: x.Labels})
	}
	var projects list[model.AppProject]
	if err := c.get("/projects?limit=500", &projects); err != nil {
		return o, err
	}
	for _, p := range projects.Items {
		o.Projects = append(o.Projects, p.Metadata.Name)
	}
	var settings customizations
	if err := c.get(customizationsPath, &settings); err != nil && !fault.Is(err, fault.NotFound) {
		return o, err
	}
	o.Customizations = settings.Customizations
	var kept rbacDocument
	if err := c.get(rbacPath, &kept); err != nil && !fault.Is(err, fault.NotFound) {
		return o, err
	}
	o.RBAC = kept.RBAC
	var names []string
	for _, obj := range objects {
		if obj.Kind == model.KindApplication {
			names = append(names, obj.Name)
		}
	}
	views, err := c.views(names)
	if err != nil {
		return o, err
	}
	for _, v := range views {
		if v.Application == nil {
			continue
		}
		a := v.Application.Metadata.Annotations
		o.Applications[v.Name] = importer.Existing{ImportedFrom: a[importer.AnnotationImportedFrom], Mode: a[model.AnnotationMode]}
	}
	return o, nil
}

// viewers read applications side by side.
const viewers = 8

// views reads the applications that there are of some names, in their order.
func (c *call) views(names []string) ([]model.AppView, error) {
	found := make([]*model.AppView, len(names))
	errs := make([]error, len(names))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(viewers, len(names)) {
		wg.Go(func() {
			for i := range next {
				v, err := getApp(c.ctx, c.api, names[i])
				switch {
				case err == nil:
					found[i] = &v
				case !fault.HasCode(err, "application_not_found"):
					errs[i] = err
				}
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	var out []model.AppView
	for i, v := range found {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if v != nil {
			out = append(out, *v)
		}
	}
	return out, nil
}

func newImportPlan(s *session, src *importSource) *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use: "plan", Short: "What becomes of every object and field; changes nothing", Args: exactArgs(),
		Long: `What becomes of every object and field: taken, translated, ignored with the reason, or
needing attention with what to do. Nothing is changed. The whole report is printed with
-o json or yaml. The exit status is 1 when something needs attention, or cannot be
read. Files and documents that are not of Argo CD are named, and left out.`,
		RunE: s.offline(func(c *call) error {
			found, err := src.read(c.ctx, s)
			if err != nil {
				return err
			}
			o := importer.Options{ControlNamespace: src.argoCDNS, Plugins: src.plugins}
			switch c.api, err = s.client(); {
			case fault.HasCode(err, "not_logged_in"):
				c.warn("no hub is configured: its clusters and projects are not known")
			case err != nil:
				return err
			default:
				if o, err = c.hubOptions(src, importer.Observe, found.Objects); err != nil {
					return err
				}
			}
			plan := found.Plan(o)
			if err := c.one(plan, "", func() error { c.printImportPlan(plan, verbose); return nil }); err != nil {
				return err
			}
			if plan.Counts.Attention > 0 || len(plan.Unreadable) > 0 {
				return exitWith(ExitNegative, nil)
			}
			return nil
		}),
	}
	c.Flags().BoolVar(&verbose, "fields", false, "every field of every object")
	return c
}

// printImportPlan prints the summary for people.
func (c *call) printImportPlan(p importer.Plan, every bool) {
	n := p.Counts
	fmt.Fprintf(c.Out, "%d apps, %d projects, %d appsets, %d repos, %d clusters → %d ready, %d need attention\n",
		n.Applications, n.Projects, n.ApplicationSets, n.Repositories, n.Clusters, n.Ready, n.Attention)
	fmt.Fprintf(c.Out, "fields: %d taken, %d translated, %d ignored, %d need attention\n",
		n.Fields[importer.Taken], n.Fields[importer.Translated], n.Fields[importer.Ignored], n.Fields[importer.Attention])
	for _, i := range p.Items {
		for _, f := range i.Problems() {
			mark := "!"
			if i.Blocked {
				mark = "✕"
			}
			fmt.Fprintf(c.Out, "%s %s  %s: %s\n    → %s\n", mark, output.Clean(i.Ref()), output.Clean(f.Path), output.Clean(f.Why), output.Clean(f.Fix))
		}
	}
	if len(p.Enrol) > 0 {
		fmt.Fprintln(c.Out, "clusters to enrol:")
		for _, e := range p.Enrol {
			fmt.Fprintf(c.Out, "  %s   # %d applications\n", output.Clean(e.Command), e.Applications)
		}
	}
	c.printSkipped(p)
	if !every {
		return
	}
	for _, i := range p.Items {
		becomes := i.Becomes
		if becomes == "" {
			becomes = "nothing"
		}
		fmt.Fprintf(c.Out, "\n%s → %s\n", output.Clean(i.Ref()), output.Clean(becomes))
		for _, f := range i.Fields {
			line := fmt.Sprintf("  %-10s %s", f.Outcome, f.Path)
			if f.To != "" {
				line += " → " + f.To
			}
			if f.Why != "" {
				line += "  (" + f.Why + ")"
			}
			fmt.Fprintln(c.Out, output.Clean(line))
		}
	}
}

// imported is what became of one thing that was to be written.
type imported struct {
	What    string          `json:"what"` // application/web
	Result  string          `json:"result"`
	Message string          `json:"message,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

func newImportApply(s *session, src *importSource) *cobra.Command {
	mode := importer.Observe
	c := &cobra.Command{
		Use: "apply", Short: "Store what was read; in observe mode nothing is written to a cluster", Args: exactArgs(),
		Long: `Store what was read: settings, projects, repositories, application sets, applications. In
observe mode, which is the default, applications are rendered and compared, and nothing
is written to their clusters until they are handed over. What cannot be written is
reported and left out. Applying again changes only what changed; applications that were
handed over stay so.`,
		PreRunE: func(*cobra.Command, []string) error {
			if mode != importer.Observe && mode != importer.Manage {
				return fault.New(fault.Invalid, "usage", "--mode %q is neither observe nor manage", mode)
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			found, err := src.read(c.ctx, s)
			if err != nil {
				return err
			}
			o, err := c.hubOptions(src, mode, found.Objects)
			if err != nil {
				return err
			}
			plan := found.Plan(o)
			results, err := c.carryOutPlan(plan)
			if err != nil {
				return err
			}
			return c.printImported(plan, results)
		}),
	}
	c.Flags().StringVar(&mode, "mode", mode, "observe, or manage: reconcile at once")
	return c
}

// printImported prints the results and chooses the exit status.
func (c *call) printImported(plan importer.Plan, results []imported) error {
	counts := map[string]int{}
	failed := 0
	for _, r := range results {
		counts[r.Result]++
		if r.Result == "failed" {
			failed++
		}
	}
	left := 0
	for i := range plan.Items {
		if plan.Items[i].Blocked {
			left++
		}
	}
	document := struct {
		importer.Plan
		Results []imported `json:"results"`
	}{plan, results}
	err := c.one(document, "", func() error {
		for _, r := range results {
			if r.Result == "failed" {
				fmt.Fprintf(c.Err, "%s failed\n", output.Clean(r.What))
				printError(c.Err, client.Problem(r.Error, http.StatusInternalServerError))
				continue
			}
			line := r.What + " " + r.Result
			if r.Message != "" {
				line += " (" + r.Message + ")"
			}
			fmt.Fprintln(c.Out, output.Clean(line))
		}
		fmt.Fprintf(c.Out, "%d created, %d configured, %d unchanged, %d failed, %d left out\n", counts["created"], counts["configured"], counts["unchanged"], failed, left)
		c.printSkipped(plan)
		return nil
	})
	switch {
	case err != nil:
		return err
	case failed > 0:
		return exitWith(ExitPartial, nil)
	case plan.Counts.Attention > 0:
		c.note("%d objects need attention: hawser import argocd plan", plan.Counts.Attention)
		return exitWith(ExitNegative, nil)
	case len(plan.Unreadable) > 0:
		return exitWith(ExitNegative, nil)
	}
	return nil
}

// carryOutPlan writes what a plan says, in the order in which things need each
// other. What fails is in the results, and does not stop the rest; an error is
// one of the connection.
func (c *call) carryOutPlan(p importer.Plan) (out []imported, err error) {
	out = []imported{}
	add := func(what, result string, err error) error {
		switch {
		case err == nil:
			out = append(out, imported{What: what, Result: result})
		case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Unauthorized), c.ctx.Err() != nil:
			return err
		default:
			e := fault.As(err)
			b, _ := json.Marshal(map[string]any{"kind": e.Kind, "code": e.Code, "detail": e.Message, "field": e.Field, "fix": e.Fix, "allowed": e.Allowed}) // strings
			out = append(out, imported{What: what, Result: "failed", Error: b})
		}
		return nil
	}
	if len(p.Customizations) > 0 {
		result, err := c.addCustomizations(p.Customizations)
		if err := add("settings/customizations", result, err); err != nil {
			return out, err
		}
	}
	if len(p.RBAC) > 0 {
		result, err := c.addRBAC(p.RBAC)
		if err := add("settings/rbac", result, err); err != nil {
			return out, err
		}
	}
	for _, k := range p.GPGKeys { // before the projects that name them
		if err := add("gpg/"+k.ID, "stored", c.api.Do(c.ctx, http.MethodPost, "/gpg-keys", map[string]string{"keyData": k.Armored}, nil)); err != nil {
			return out, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.ClusterLabels)) {
		if err := add("cluster/"+name, "configured", c.addLabels(name, p.ClusterLabels[name])); err != nil {
			return out, err
		}
	}
	var documents []any
	for i := range p.Projects {
		documents = append(documents, p.Projects[i])
	}
	if out, err = c.applyDocuments(documents, out); err != nil {
		return out, err
	}
	for _, r := range p.Templates {
		if err := add("template/"+r.String(), "stored", c.api.Do(c.ctx, http.MethodPost, "/repository-templates", r, nil)); err != nil {
			return out, err
		}
	}
	for _, r := range p.Repositories {
		if err := add("repo/"+r.String(), "stored", c.api.Do(c.ctx, http.MethodPost, "/repositories", r, nil)); err != nil {
			return out, err
		}
	}
	documents = nil
	for i := range p.ApplicationSets {
		documents = append(documents, p.ApplicationSets[i])
	}
	for i := range p.Applications {
		documents = append(documents, p.Applications[i])
	}
	return c.applyDocuments(documents, out)
}

// maxApply is how much is sent in one request, below what the hub takes.
const maxApply = 3 << 20

// applyDocuments sends objects in requests of a size that the hub takes.
func (c *call) applyDocuments(documents []any, out []imported) ([]imported, error) {
	var body []byte
	send := func() error {
		if len(body) == 0 {
			return nil
		}
		var got struct {
			Items []applied `json:"items"`
		}
		if err := c.api.Do(c.ctx, http.MethodPost, "/apply", body, &got); err != nil {
			return err
		}
		for _, x := range got.Items {
			out = append(out, imported{What: strings.ToLower(x.Kind) + "/" + x.Name, Result: x.Result, Message: x.Message, Error: x.Error})
		}
		body = nil
		return nil
	}
	for _, d := range documents {
		b, err := json.Marshal(d)
		if err != nil {
			return out, err
		}
		if len(body)+len(b) > maxApply {
			if err := send(); err != nil {
				return out, err
			}
		}
		body = append(append(append(body, "---\n"...), b...), '\n')
	}
	return out, send()
}

// addCustomizations adds keys to those of the hub.
func (c *call) addCustomizations(add model.Customizations) (result string, err error) {
	var now customizations
	if err := c.get(customizationsPath, &now); err != nil {
		return "", err
	}
	merged := model.Customizations{}
	maps.Copy(merged, now.Customizations)
	for k, v := range add {
		if _, there := merged[k]; !there {
			merged[k] = v
		}
	}
	header := http.Header{}
	if now.Version > 0 {
		header.Set("If-Match", fmt.Sprintf(`"%d"`, now.Version))
	}
	var got changedCustomizations
	err = c.api.DoWith(c.ctx, http.MethodPut, customizationsPath, header, map[string]any{"customizations": merged}, &got)
	return got.Result, err
}

// addRBAC adds keys to the RBAC policy that the hub keeps.
func (c *call) addRBAC(add map[string]string) (result string, err error) {
	var now rbacDocument
	if err := c.get(rbacPath, &now); err != nil {
		return "", err
	}
	merged := maps.Clone(add)
	maps.Copy(merged, now.RBAC) // the hub's stay
	header := http.Header{}
	if now.Version > 0 {
		header.Set("If-Match", fmt.Sprintf(`"%d"`, now.Version))
	}
	var got changedRBAC
	err = c.api.DoWith(c.ctx, http.MethodPut, rbacPath, header, map[string]any{"rbac": merged}, &got)
	return got.Result, err
}

// addLabels adds labels to a cluster and leaves its own.
func (c *call) addLabels(name string, add map[string]string) error {
	return c.changeCluster(name, "labels", func(x model.Cluster) (any, error) {
		labels := maps.Clone(add)
		maps.Copy(labels, x.Labels)
		return labels, nil
	}, nil)
}

// importedApps reads the applications that were imported, of some projects or
// all, by name.
func (c *call) importedApps(projects, apps []string) ([]model.AppView, error) {
	var names []string
	if len(apps) > 0 {
		names = apps
	} else {
		q := url.Values{"selector": {importer.LabelImported + "=argocd"}, "limit": {fmt.Sprint(pageSize)}}
		for {
			var page list[struct {
				Name    string `json:"name"`
				Project string `json:"project"`
			}]
			if err := c.get("/applications?"+q.Encode(), &page); err != nil {
				return nil, err
			}
			for _, x := range page.Items {
				if len(projects) == 0 || slices.Contains(projects, x.Project) {
					names = append(names, x.Name)
				}
			}
			if page.NextCursor == "" || page.NextCursor == q.Get("cursor") {
				break
			}
			q.Set("cursor", page.NextCursor)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	views, err := c.views(names)
	if err != nil {
		return nil, err
	}
	if len(apps) > len(views) {
		for _, n := range apps {
			if !slices.ContainsFunc(views, func(v model.AppView) bool { return v.Name == n }) {
				return nil, fault.New(fault.NotFound, "application_not_found", "there is no application %q", n)
			}
		}
	}
	for _, v := range views {
		if _, ok := sourceOf(v); !ok && len(apps) > 0 {
			return nil, fault.New(fault.Precondition, "application_not_imported", "application %q was not imported, or its move is finished", v.Name)
		}
	}
	return slices.DeleteFunc(views, func(v model.AppView) bool { _, ok := sourceOf(v); return !ok }), nil
}

// sourceOf is the Application of Argo CD that an application was.
func sourceOf(v model.AppView) (importer.Source, bool) {
	if v.Application == nil {
		return importer.Source{}, false
	}
	return importer.ParseSource(v.Application.Metadata.Annotations[importer.AnnotationImportedFrom])
}
