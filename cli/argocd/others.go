package argocd

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

type items[T any] struct {
	Items []T `json:"items"`
}

func (i *invocation) project(name string) (p model.AppProject, err error) {
	err = i.api.Get(i.ctx, "/projects/"+url.PathEscape(name), &p)
	return p, err
}

func (i *invocation) putProject(p model.AppProject, header http.Header) error {
	p.Status, p.Metadata.ResourceVersion, p.Metadata.UID, p.Metadata.Generation, p.Metadata.CreationTimestamp = nil, "", "", 0, nil
	answer, err := i.api.Call(i.ctx, http.MethodPut, "/projects/"+url.PathEscape(p.Metadata.Name), header, p, nil)
	i.warn(answer)
	return err
}

// warn prints what the hub warns of: that applications become invalid, for one.
func (i *invocation) warn(answer http.Header) {
	for _, text := range client.Warnings(answer) {
		fmt.Fprintln(i.Err, output.Clean("warning: "+text))
	}
}

func countOr(n int, none, many string) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf("%d%s", n, many)
}

func projList(i *invocation) error {
	var got items[model.AppProject]
	if err := i.api.Get(i.ctx, "/projects?limit=500", &got); err != nil {
		return err
	}
	if done, err := i.print(got.Items); done || err != nil {
		return err
	}
	var rows [][]string
	for _, p := range got.Items {
		if i.str("output") == "name" {
			fmt.Fprintln(i.Out, output.Clean(p.Metadata.Name))
			continue
		}
		s := p.Spec
		destinations, sources := countOr(len(s.Destinations), "<none>", " destinations"), countOr(len(s.SourceRepos), "<none>", " repos")
		if len(s.Destinations) == 1 {
			destinations = firstOf(s.Destinations[0].Server, s.Destinations[0].Name) + "," + s.Destinations[0].Namespace
		}
		if len(s.SourceRepos) == 1 {
			sources = s.SourceRepos[0]
		}
		rows = append(rows, []string{p.Metadata.Name, s.Description, destinations, sources, countOr(len(s.ClusterResourceWhitelist), "<none>", " resources"),
			countOr(len(s.NamespaceResourceBlacklist), "<none>", " resources"), countOr(len(s.SignatureKeys), "<none>", " key(s)"), map[bool]string{true: "enabled", false: "disabled"}[s.OrphanedResources != nil]})
	}
	if i.str("output") == "name" {
		return nil
	}
	return i.table([]string{"NAME", "DESCRIPTION", "DESTINATIONS", "SOURCES", "CLUSTER-RESOURCE-WHITELIST", "NAMESPACE-RESOURCE-BLACKLIST", "SIGNATURE-KEYS", "ORPHANED-RESOURCES"}, rows)
}

func projGet(i *invocation) error {
	p, err := i.project(i.args[0])
	if err != nil {
		return err
	}
	if done, err := i.print(p); done || err != nil {
		return err
	}
	return output.Document(i.Out, output.YAML, p)
}

func kinds(texts []string) (out []model.KindRule, err error) {
	for _, t := range texts {
		group, kind, ok := strings.Cut(t, "/")
		if !ok {
			group, kind = "", t
		}
		if kind == "" {
			return nil, fault.New(fault.Invalid, "usage", "%q is not GROUP/KIND", t)
		}
		out = append(out, model.KindRule{Group: group, Kind: kind})
	}
	return out, nil
}

// applyProject changes what flags say.
func (i *invocation) applyProject(p *model.AppProject) error {
	s := &p.Spec
	if i.flags.Changed("description") {
		s.Description = i.str("description")
	}
	if i.flags.Changed("src") {
		s.SourceRepos = i.all("src")
	}
	if i.flags.Changed("source-namespaces") {
		s.SourceNamespaces = i.all("source-namespaces")
	}
	if i.flags.Changed("dest") {
		s.Destinations = nil
		for _, d := range i.all("dest") {
			cluster, namespace, ok := strings.Cut(d, ",")
			if !ok {
				return fault.New(fault.Invalid, "usage", "--dest %q is not SERVER,NAMESPACE", d)
			}
			s.Destinations = append(s.Destinations, destination(cluster, namespace))
		}
	}
	for flag, to := range map[string]*[]model.KindRule{
		"allow-cluster-resource": &s.ClusterResourceWhitelist, "deny-cluster-resource": &s.ClusterResourceBlacklist,
		"allow-namespaced-resource": &s.NamespaceResourceWhitelist, "deny-namespaced-resource": &s.NamespaceResourceBlacklist,
	} {
		if !i.flags.Changed(flag) {
			continue
		}
		rules, err := kinds(i.all(flag))
		if err != nil {
			return err
		}
		*to = rules
	}
	if i.flags.Changed("signature-keys") {
		s.SignatureKeys = nil
		for _, k := range i.all("signature-keys") {
			s.SignatureKeys = append(s.SignatureKeys, model.SignatureKey{KeyID: k})
		}
	}
	if i.flags.Changed("orphaned-resources") && !i.yes("orphaned-resources") {
		s.OrphanedResources = nil
	} else if i.yes("orphaned-resources") || i.flags.Changed("orphaned-resources-warn") {
		warn := i.yes("orphaned-resources-warn")
		s.OrphanedResources = &model.OrphanedResources{Warn: &warn}
	}
	return nil
}

func destination(cluster, namespace string) model.ProjectDestination {
	if strings.Contains(cluster, "://") || cluster == "*" {
		return model.ProjectDestination{Server: cluster, Namespace: namespace}
	}
	return model.ProjectDestination{Name: cluster, Namespace: namespace}
}

func projCreate(i *invocation) error {
	p := model.AppProject{APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: i.args[0]}}
	if err := i.applyProject(&p); err != nil {
		return err
	}
	header := http.Header{}
	if !i.yes("upsert") {
		header.Set("If-None-Match", "*")
	}
	return i.putProject(p, header)
}

func projSet(i *invocation) error {
	return i.changeProject(i.applyProject)
}

// changeProject reads a project, has it changed and writes it, again when somebody
// else wrote it meanwhile: the change says what it is about, and nothing else is
// lost.
func (i *invocation) changeProject(change func(*model.AppProject) error) error {
	const tries = 5
	for try := 1; ; try++ {
		var p model.AppProject
		read, err := i.api.Call(i.ctx, http.MethodGet, "/projects/"+url.PathEscape(i.args[0]), nil, nil, &p)
		if err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		header := http.Header{}
		if tag := read.Get("ETag"); tag != "" {
			header.Set("If-Match", tag)
		}
		err = i.putProject(p, header)
		if fault.HasCode(err, "version_conflict") && try < tries {
			continue
		}
		return err
	}
}

// projChange carries out the commands that add to a project's lists and take from
// them.
func projChange(i *invocation) error {
	return i.changeProject(func(p *model.AppProject) error {
		s, args := &p.Spec, i.args[1:]
		switch verb := strings.TrimPrefix(i.cmd.Path, "proj "); verb {
		case "add-source":
			return add(&s.SourceRepos, args[0])
		case "remove-source":
			return remove(&s.SourceRepos, args[0])
		case "add-destination":
			d := destination(args[0], args[1])
			if i.yes("name") {
				d = model.ProjectDestination{Name: args[0], Namespace: args[1]}
			}
			return add(&s.Destinations, d)
		case "remove-destination":
			if remove(&s.Destinations, model.ProjectDestination{Name: args[0], Namespace: args[1]}) == nil {
				return nil
			}
			return remove(&s.Destinations, model.ProjectDestination{Server: args[0], Namespace: args[1]})
		case "windows add":
			w := model.SyncWindow{Kind: i.str("kind"), Schedule: i.str("schedule"), Duration: i.str("duration"), TimeZone: i.str("time-zone"), Description: i.str("description"),
				Applications: i.all("applications"), Namespaces: i.all("namespaces"), Clusters: i.all("clusters"),
				ManualSync: i.yes("manual-sync"), AndOperator: i.yes("use-and-operator"), SyncOverrun: i.yes("sync-overrun")}
			return add(&s.SyncWindows, w)
		case "windows delete":
			n, err := strconv.Atoi(args[0])
			if err != nil || n < 0 || n >= len(s.SyncWindows) {
				return fault.New(fault.NotFound, "window_unknown", "project %q has no sync window %s", p.Metadata.Name, args[0])
			}
			s.SyncWindows = slices.Delete(s.SyncWindows, n, n+1)
			return nil
		default:
			return i.changeKinds(s, verb, args)
		}
	})
}

// changeKinds allows or denies a kind. As in Argo CD, allowing adds to the list of
// what is allowed for kinds of the cluster, and takes from that of what is denied for
// namespaced ones; --list chooses the other.
func (i *invocation) changeKinds(s *model.AppProjectSpec, verb string, args []string) error {
	rule := model.KindRule{Group: args[0], Kind: args[1]}
	if len(args) > 2 {
		rule.Name = args[2]
	}
	allow, cluster := strings.HasPrefix(verb, "allow-"), strings.Contains(verb, "cluster")
	list := firstOf(i.str("list"), map[bool]string{true: "allow", false: "deny"}[cluster])
	to := map[string]map[bool]*[]model.KindRule{
		"allow": {true: &s.ClusterResourceWhitelist, false: &s.NamespaceResourceWhitelist}, "deny": {true: &s.ClusterResourceBlacklist, false: &s.NamespaceResourceBlacklist},
	}[list]
	if to == nil {
		return fault.New(fault.Invalid, "usage", "--list %q is not known", list).WithFix("use allow or deny")
	}
	if allow == (list == "allow") {
		return add(to[cluster], rule)
	}
	return remove(to[cluster], rule)
}

func add[T any](to *[]T, x T) error {
	if slices.ContainsFunc(*to, func(y T) bool { return reflect.DeepEqual(x, y) }) {
		return fault.New(fault.Conflict, "already_exists", "the project has that already")
	}
	*to = append(*to, x)
	return nil
}

func remove[T any](from *[]T, x T) error {
	i := slices.IndexFunc(*from, func(y T) bool { return reflect.DeepEqual(x, y) })
	if i < 0 {
		return fault.New(fault.NotFound, "entry_unknown", "the project does not have that")
	}
	*from = slices.Delete(*from, i, i+1)
	return nil
}

func windowsList(i *invocation) error {
	p, err := i.project(i.args[0])
	if err != nil {
		return err
	}
	if done, err := i.print(p.Spec.SyncWindows); done || err != nil {
		return err
	}
	var rows [][]string
	for n, w := range p.Spec.SyncWindows {
		join := func(x []string) string { return firstOf(strings.Join(x, ","), "-") }
		rows = append(rows, []string{strconv.Itoa(n), w.Kind, w.Schedule, w.Duration, join(w.Applications), join(w.Namespaces), join(w.Clusters), map[bool]string{true: "Enabled", false: "Disabled"}[w.ManualSync], firstOf(w.TimeZone, "UTC")})
	}
	return i.table([]string{"ID", "KIND", "SCHEDULE", "DURATION", "APPLICATIONS", "NAMESPACES", "CLUSTERS", "MANUALSYNC", "TIMEZONE"}, rows)
}

func roleList(i *invocation) error {
	p, err := i.project(i.args[0])
	if err != nil {
		return err
	}
	if done, err := i.print(p.Spec.Roles); done || err != nil {
		return err
	}
	var rows [][]string
	for _, r := range p.Spec.Roles {
		rows = append(rows, []string{r.Name, r.Description})
	}
	return i.table([]string{"ROLE-NAME", "DESCRIPTION"}, rows)
}

func repoList(i *invocation) error {
	var got items[model.Repository]
	if err := i.api.Get(i.ctx, "/repositories?limit=500", &got); err != nil {
		return err
	}
	if done, err := i.print(got.Items); done || err != nil {
		return err
	}
	var rows [][]string
	for _, r := range got.Items {
		if i.str("output") == "url" {
			fmt.Fprintln(i.Out, output.Clean(r.URL))
			continue
		}
		creds := strconv.FormatBool(len(r.Holds.Kinds) > 0)
		if r.InheritedFrom != "" {
			creds = "inherited"
		}
		state := map[string]string{"ok": "Successful", "error": "Failed"}[r.State]
		rows = append(rows, []string{r.Type, r.Name, r.URL, strconv.FormatBool(len(r.Holds.Insecure) > 0), strconv.FormatBool(r.Type == model.RepositoryOCI),
			strconv.FormatBool(slices.Contains(r.Holds.Options, "enableLFS")), creds, firstOf(state, "Unknown"), r.Error, r.Project})
	}
	if i.str("output") == "url" {
		return nil
	}
	return i.table([]string{"TYPE", "NAME", "REPO", "INSECURE", "OCI", "LFS", "CREDS", "STATUS", "MESSAGE", "PROJECT"}, rows)
}

func (i *invocation) clusters() ([]model.Cluster, error) {
	var got items[model.Cluster]
	err := i.api.Get(i.ctx, "/clusters?limit=500", &got)
	return got.Items, err
}

// cluster finds one by its name or by one of its servers.
func (i *invocation) cluster(what string) (model.Cluster, error) {
	all, err := i.clusters()
	if err != nil {
		return model.Cluster{}, err
	}
	for _, c := range all {
		if c.Name == what || slices.Contains(c.Aliases, what) {
			return c, nil
		}
	}
	return model.Cluster{}, fault.New(fault.NotFound, "cluster_unknown", "there is no cluster %q", what)
}

func serverOf(c model.Cluster) string {
	if len(c.Aliases) > 0 {
		return c.Aliases[0]
	}
	return c.Name
}

func clusterList(i *invocation) error {
	all, err := i.clusters()
	if err != nil {
		return err
	}
	if done, err := i.print(all); done || err != nil {
		return err
	}
	var rows [][]string
	for _, c := range all {
		if i.str("output") == "server" {
			fmt.Fprintln(i.Out, output.Clean(serverOf(c)))
			continue
		}
		rows = append(rows, []string{serverOf(c), c.Name, c.KubeVersion, map[bool]string{true: "Successful", false: "Unknown"}[c.Connected], strings.Join(c.Conditions, "; "), c.Project})
	}
	if i.str("output") == "server" {
		return nil
	}
	return i.table([]string{"SERVER", "NAME", "VERSION", "STATUS", "MESSAGE", "PROJECT"}, rows)
}

func clusterGet(i *invocation) error {
	c, err := i.cluster(i.args[0])
	if err != nil {
		return err
	}
	if done, err := i.print(c); done || err != nil {
		return err
	}
	return output.Document(i.Out, output.YAML, c)
}

func clusterRemove(i *invocation) error {
	c, err := i.cluster(i.args[0])
	if err != nil {
		return err
	}
	if err := i.api.Do(i.ctx, http.MethodDelete, "/clusters/"+url.PathEscape(c.Name), nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(i.Out, "Cluster '%s' removed\n", output.Clean(i.args[0]))
	return nil
}

func clusterSet(i *invocation) error {
	c, err := i.cluster(i.args[0])
	if err != nil {
		return err
	}
	labels := map[string]string{}
	for k, v := range c.Labels {
		labels[k] = v
	}
	for _, l := range i.all("label") {
		k, v, ok := strings.Cut(l, "=")
		if !ok {
			return fault.New(fault.Invalid, "usage", "--label %q is not KEY=VALUE", l)
		}
		labels[k] = v
	}
	path, body := "/clusters/"+url.PathEscape(c.Name)+"/labels", map[string]any{"labels": labels}
	answer, err := i.api.Call(i.ctx, http.MethodPut, path, nil, body, nil)
	i.warn(answer)
	return err
}

// login takes an API token, or the hub's one-time code, as the password.
func login(i *invocation) error {
	argv := []string{"login", i.args[0]}
	for _, f := range []string{"name", "ca-hash"} {
		if v := i.str(f); v != "" {
			argv = append(argv, "--"+f+"="+v)
		}
	}
	s := i.Streams
	if p := i.str("password"); p != "" {
		s.In = strings.NewReader(p + "\n")
		argv = append(argv, map[bool]string{true: "--with-token", false: "--code-stdin"}[strings.HasPrefix(p, "hwt_")])
	} else if !s.Terminal {
		return fault.New(fault.Invalid, "login_needs_code", "there is no terminal to ask for the login code").WithFix("add --password with an API token, or with the hub's one-time code")
	}
	return i.hawser(s, argv...)
}

func contexts(i *invocation) error {
	if len(i.args) == 1 {
		return i.hawser(i.Streams, "context", "use", i.args[0])
	}
	file, err := config.Load()
	if err != nil {
		return fault.New(fault.Invalid, "config_invalid", "%s", err)
	}
	var rows [][]string
	for _, c := range file.Contexts {
		rows = append(rows, []string{map[bool]string{true: "*"}[c.Name == file.Current], c.Name, strings.TrimPrefix(c.URL, "https://")})
	}
	return i.table([]string{"CURRENT", "NAME", "SERVER"}, rows)
}

// canI asks the hub about one verb; yes and no are answers, not errors.
func canI(i *invocation) error {
	verb, resource, object := i.args[0], i.args[1], i.args[2]
	in := map[string]any{"verb": verb}
	switch project, name, ok := strings.Cut(object, "/"); {
	case resource != "applications":
		return fault.New(fault.Unprocessable, "resource_unsupported", "can-i is about applications here").WithFix("what is no application's is for administrators: argocd account get-user-info")
	case ok && name == "*":
		in["project"] = project
	case ok:
		in["name"] = name
	case object != "*":
		in["name"] = object
	default:
		return i.canAll(verb)
	}
	var got struct {
		Allowed bool `json:"allowed"`
	}
	if err := i.api.Do(i.ctx, http.MethodPost, "/explain", in, &got); err != nil {
		return err
	}
	fmt.Fprintln(i.Out, map[bool]string{true: "yes", false: "no"}[got.Allowed])
	return nil
}

// canAll answers about every application: yes when each project that is seen allows it.
func (i *invocation) canAll(verb string) error {
	yes, cursor := true, ""
	for first := true; yes && (first || cursor != ""); first = false {
		var page struct {
			Items      []model.AppProject `json:"items"`
			NextCursor string             `json:"nextCursor"`
		}
		if err := i.api.Get(i.ctx, "/projects?"+url.Values{"limit": {"500"}, "cursor": {cursor}}.Encode(), &page); err != nil {
			return err
		}
		yes = !first || len(page.Items) > 0
		for _, p := range page.Items {
			var got struct {
				Allowed bool `json:"allowed"`
			}
			if err := i.api.Do(i.ctx, http.MethodPost, "/explain", map[string]any{"verb": verb, "project": p.Metadata.Name}, &got); err != nil {
				return err
			}
			if yes = yes && got.Allowed; !yes {
				break
			}
		}
		if page.NextCursor == cursor {
			break // the hub does not go on
		}
		cursor = page.NextCursor
	}
	fmt.Fprintln(i.Out, map[bool]string{true: "yes", false: "no"}[yes])
	return nil
}

func userInfo(i *invocation) error {
	who, err := i.get("/whoami")
	if err != nil {
		return err
	}
	if done, err := i.print(who); done || err != nil {
		return err
	}
	name, _ := who.(map[string]any)["name"].(string)
	fmt.Fprintf(i.Out, "Logged In: true\nUsername: %s\nIssuer: hawser\nGroups: \n", output.Clean(name))
	return nil
}

func version(i *invocation) error {
	server := ""
	if !i.yes("client") {
		api, err := i.connect()
		var got struct {
			Version string `json:"version"`
		}
		if err == nil {
			err = api.Get(i.ctx, "/version", &got)
		}
		if err != nil {
			return err
		}
		server = got.Version
	}
	if done, err := i.print(map[string]any{"client": map[string]any{"Version": telemetry.Version}, "server": map[string]any{"Version": server}}); done || err != nil {
		return err
	}
	fmt.Fprintf(i.Out, "argocd: %s (hawser)\n", telemetry.Version)
	if server != "" {
		fmt.Fprintf(i.Out, "argocd-server: %s\n", output.Clean(server))
	}
	return nil
}
