package argocd

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// projChange carries out the commands that add to a project's lists and take from
// them.
func projChange(i *invocation) error {
	return i.changeProject(func(p *model.AppProject) error {
		s, args := &p.Spec, i.args[1:]
		switch verb := strings.TrimPrefix(i.cmd.Path, "proj "); verb {
		case "add-source":
			return i.allow(&s.SourceRepos, args[0], "Source repository '%s' already allowed in project\n")
		case "remove-source":
			return i.disallow(&s.SourceRepos, args[0], "Source repository '%s' does not exist in project\n")
		case "add-source-namespace":
			return i.allow(&s.SourceNamespaces, args[0], "Source namespace '%s' already allowed in project\n")
		case "remove-source-namespace":
			return i.disallow(&s.SourceNamespaces, args[0], "Source namespace '%s' does not exist in project or cannot be removed\n")
		case "add-signature-key":
			return add(&s.SignatureKeys, model.SignatureKey{KeyID: args[0]})
		case "remove-signature-key":
			return remove(&s.SignatureKeys, model.SignatureKey{KeyID: args[0]})
		case "add-orphaned-ignore":
			if s.OrphanedResources == nil {
				s.OrphanedResources = &model.OrphanedResources{}
			}
			return add(&s.OrphanedResources.Ignore, model.KindRule{Group: args[0], Kind: args[1], Name: i.str("name")})
		case "remove-orphaned-ignore":
			if s.OrphanedResources == nil {
				s.OrphanedResources = &model.OrphanedResources{}
			}
			return remove(&s.OrphanedResources.Ignore, model.KindRule{Group: args[0], Kind: args[1], Name: i.str("name")})
		case "add-destination-service-account":
			account := args[2]
			if n := i.str("service-account-namespace"); n != "" {
				account = n + ":" + account
			}
			return add(&s.DestinationServiceAccounts, model.DestinationServiceAccount{Server: args[0], Namespace: args[1], DefaultServiceAccount: account})
		case "remove-destination-service-account":
			return remove(&s.DestinationServiceAccounts, model.DestinationServiceAccount{Server: args[0], Namespace: args[1], DefaultServiceAccount: args[2]})
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
		case "windows delete", "windows update", "windows enable-manual-sync", "windows disable-manual-sync":
			return i.changeWindow(p, verb, args[0])
		default:
			return i.changeKinds(s, verb, args)
		}
	})
}

// changeWindow changes or deletes one of the sync windows.
func (i *invocation) changeWindow(p *model.AppProject, verb, id string) error {
	s := &p.Spec
	n, err := strconv.Atoi(id)
	if err != nil || n < 0 || n >= len(s.SyncWindows) {
		return fault.New(fault.NotFound, "window_unknown", "project %q has no sync window %s", p.Metadata.Name, id)
	}
	w := &s.SyncWindows[n]
	switch verb {
	case "windows delete":
		s.SyncWindows = slices.Delete(s.SyncWindows, n, n+1)
		return nil
	case "windows update":
		for flag, to := range map[string]*string{"schedule": &w.Schedule, "duration": &w.Duration, "time-zone": &w.TimeZone, "description": &w.Description} {
			if i.flags.Changed(flag) {
				*to = i.str(flag)
			}
		}
		for flag, to := range map[string]*[]string{"applications": &w.Applications, "namespaces": &w.Namespaces, "clusters": &w.Clusters} {
			if i.flags.Changed(flag) {
				*to = i.all(flag)
			}
		}
		return nil
	}
	w.ManualSync = verb == "windows enable-manual-sync"
	return nil
}

// allow adds to a list of what is allowed. As in Argo CD it is no error that it is
// there already: scripts say so again and again.
func (i *invocation) allow(to *[]string, x, there string) error {
	if slices.Contains(*to, x) {
		fmt.Fprintf(i.Out, there, output.Clean(x))
		return errAsItIs
	}
	*to = append(*to, x)
	return nil
}

// disallow is the opposite of allow.
func (i *invocation) disallow(from *[]string, x, missing string) error {
	n := slices.Index(*from, x)
	if n < 0 {
		fmt.Fprintf(i.Out, missing, output.Clean(x))
		return errAsItIs
	}
	*from = slices.Delete(*from, n, n+1)
	return nil
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
	list = firstOf(map[string]string{"white": "allow", "black": "deny"}[list], list)
	to := map[string]map[bool]*[]model.KindRule{
		"allow": {true: &s.ClusterResourceWhitelist, false: &s.NamespaceResourceWhitelist}, "deny": {true: &s.ClusterResourceBlacklist, false: &s.NamespaceResourceBlacklist},
	}[list]
	if to == nil {
		return fault.New(fault.Invalid, "usage", "--list %q is not known", list).WithFix("use allow or deny")
	}
	lists := map[string]string{"allow": "allowed", "deny": "denied"}[list] + map[bool]string{true: " cluster", false: " namespaced"}[cluster] + " resources"
	say := func(text string) {
		fmt.Fprintf(i.Out, "Group '%s' and kind '%s' "+text+" %s\n", output.Clean(rule.Group), output.Clean(rule.Kind), lists)
	}
	n := slices.Index(*to[cluster], rule)
	switch adds := allow == (list == "allow"); {
	case adds && n >= 0:
		say("already present in")
		return errAsItIs
	case adds:
		*to[cluster] = append(*to[cluster], rule)
		say("is added to")
	case n < 0:
		say("not in")
		return errAsItIs
	default:
		*to[cluster] = slices.Delete(*to[cluster], n, n+1)
		say("is removed from")
	}
	return nil
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
