package argocd

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

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
	all, err := everything[model.AppProject](i, "/projects", nil)
	if err != nil {
		return err
	}
	if done, err := i.print(listOf(all)); done || err != nil {
		return err
	}
	var rows [][]string
	for _, p := range all {
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
		resources := countOr(len(s.ClusterResourceWhitelist), "<none>", " resources")
		if len(s.ClusterResourceWhitelist) == 1 {
			resources = kindText(s.ClusterResourceWhitelist[0])
		}
		rows = append(rows, []string{p.Metadata.Name, s.Description, destinations, sources, resources,
			countOr(len(s.NamespaceResourceBlacklist), "<none>", " resources"), countOr(len(s.SignatureKeys), "<none>", " key(s)"), orphanedText(s.OrphanedResources)})
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
	lines := func(title string, values []string) {
		if len(values) == 0 {
			values = []string{"<none>"}
		}
		for n, v := range values {
			if n > 0 {
				title = ""
			}
			fmt.Fprintf(i.Out, "%-29s%s\n", title, output.Clean(v))
		}
	}
	s := p.Spec
	lines("Name:", []string{p.Metadata.Name})
	lines("Description:", []string{s.Description})
	lines("Destinations:", texts(s.Destinations, func(d model.ProjectDestination) string { return firstOf(d.Server, d.Name) + "," + d.Namespace }))
	lines("Repositories:", s.SourceRepos)
	lines("Source Namespaces:", s.SourceNamespaces)
	lines("Allowed Cluster Resources:", texts(s.ClusterResourceWhitelist, kindText))
	lines("Denied Namespaced Resources:", texts(s.NamespaceResourceBlacklist, kindText))
	lines("Signature keys:", []string{firstOf(strings.Join(texts(s.SignatureKeys, func(k model.SignatureKey) string { return k.KeyID }), ", "), "<none>")})
	lines("Orphaned Resources:", []string{orphanedText(s.OrphanedResources)})
	return nil
}

func texts[T any](list []T, text func(T) string) (out []string) {
	for _, x := range list {
		out = append(out, text(x))
	}
	return out
}

func kindText(k model.KindRule) string { return k.Group + "/" + k.Kind }

func orphanedText(o *model.OrphanedResources) string {
	if o == nil {
		return "disabled"
	}
	text := fmt.Sprintf("warn=%v", o.Warn == nil || *o.Warn)
	if len(o.Ignore) > 0 {
		text += fmt.Sprintf(", ignored %d", len(o.Ignore))
	}
	return "enabled (" + text + ")"
}

// listOf is a list that is [] and not null when it is empty.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
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
	if i.flags.Changed("dest-service-accounts") {
		s.DestinationServiceAccounts = nil
		for _, d := range i.all("dest-service-accounts") {
			parts := strings.Split(d, ",")
			if len(parts) != 3 {
				return fault.New(fault.Invalid, "usage", "--dest-service-accounts %q is not SERVER,NAMESPACE,SERVICE-ACCOUNT", d)
			}
			s.DestinationServiceAccounts = append(s.DestinationServiceAccounts, model.DestinationServiceAccount{Server: parts[0], Namespace: parts[1], DefaultServiceAccount: parts[2]})
		}
	}
	if i.flags.Changed("orphaned-resources") && !i.yes("orphaned-resources") {
		s.OrphanedResources = nil
	} else if i.yes("orphaned-resources") || i.flags.Changed("orphaned-resources-warn") {
		if s.OrphanedResources == nil {
			s.OrphanedResources = &model.OrphanedResources{}
		}
		if i.flags.Changed("orphaned-resources-warn") {
			warn := i.yes("orphaned-resources-warn")
			s.OrphanedResources.Warn = &warn
		}
	}
	return nil
}

func destination(cluster, namespace string) model.ProjectDestination {
	if strings.Contains(cluster, "://") || cluster == "*" {
		return model.ProjectDestination{Server: cluster, Namespace: namespace}
	}
	return model.ProjectDestination{Name: cluster, Namespace: namespace}
}

// read reads a file, or the standard input for "-".
func (i *invocation) read(file string) ([]byte, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(io.LimitReader(i.In, maxManifest))
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "file_unreadable", "%s", err)
	}
	return text, nil
}

// maxManifest bounds what is read of the standard input.
const maxManifest = 4 << 20

func projCreate(i *invocation) error {
	p := model.AppProject{APIVersion: model.APIVersionArgo, Kind: model.KindAppProject}
	if file := i.str("file"); file != "" {
		text, err := i.read(file)
		if err == nil {
			p, err = decode.Project(text)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case len(i.args) == 1 && p.Metadata.Name == "":
		p.Metadata.Name = i.args[0]
	case len(i.args) == 1 && p.Metadata.Name != i.args[0]:
		return fault.New(fault.Invalid, "usage", "project name '%s' does not match project spec metadata.name '%s'", i.args[0], p.Metadata.Name)
	case p.Metadata.Name == "":
		return fault.New(fault.Invalid, "usage", "name the project")
	}
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
	if i.flags.NFlag() == 0 {
		return fault.New(fault.Invalid, "usage", "please set at least one option to update")
	}
	return i.changeProject(i.applyProject)
}

// errAsItIs says that there is nothing to change, which has been said and is no error.
var errAsItIs = errors.New("nothing to change")

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
		switch err := change(&p); {
		case errors.Is(err, errAsItIs):
			return nil
		case err != nil:
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
