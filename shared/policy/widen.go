package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// maxWidened bounds what is listed, maxProbes what is asked of each cluster.
	maxWidened = 20
	maxProbes  = 40
	// What no rule names.
	anyNamespace = "hawser-any-other-namespace"
	anyRepo      = "https://any-other.invalid/hawser/repository"
)

// Widened are the things that after allows and before does not, one short text
// each: "cluster eu: any namespace". It asks about the clusters, and of
// namespaces, repositories and kinds about those that rules name, about usual
// ones, and about one that nothing names: what it finds is so, and what is
// missing proves nothing. The last text may say how many more there are.
func Widened(before, after Project, clusters []Destination) []string {
	was, is := compile(before), compile(after)
	var out []string
	namespaces := []string{anyNamespace, "kube-system", "default"}
	for _, d := range slices.Concat(before.Spec.Destinations, before.Spec.DestinationBlacklist, after.Spec.Destinations, after.Spec.DestinationBlacklist) {
		namespaces = probe(namespaces, d.Namespace)
	}
	for _, cluster := range clusters {
		var found []string
		for _, ns := range namespaces {
			if is.permits(cluster, ns) == nil && was.permits(cluster, ns) != nil {
				found = append(found, ns)
			}
		}
		switch {
		case slices.Contains(found, anyNamespace):
			out = append(out, fmt.Sprintf("cluster %s: namespaces that no rule names%s", cluster.clusterLabel(), suchAs(found[1:])))
		case len(found) > 0:
			out = append(out, fmt.Sprintf("cluster %s: namespace %s", cluster.clusterLabel(), shortList(found)))
		}
	}
	repos := []string{anyRepo}
	for _, r := range slices.Concat(before.Spec.SourceRepos, before.Spec.SourceRepoBlacklist, after.Spec.SourceRepos, after.Spec.SourceRepoBlacklist) {
		repos = probe(repos, r)
	}
	var found []string
	for _, repo := range repos {
		if is.permitsRepo(repo) && !was.permitsRepo(repo) {
			found = append(found, redactURL(repo))
		}
	}
	switch {
	case slices.Contains(found, anyRepo):
		out = append(out, "repositories that no rule names"+suchAs(found[1:]))
	case len(found) > 0:
		out = append(out, "repository "+shortList(found))
	}
	out = append(out, widenedKinds(before.Spec, after.Spec)...)
	out = append(out, revealed(before.Spec, after.Spec)...)
	if more := len(out) - maxWidened; more > 0 {
		out = append(out[:maxWidened], fmt.Sprintf("and %d more", more))
	}
	return out
}

// revealed are the sensitive fields that are none any more.
func revealed(before, after model.AppProjectSpec) []string {
	var out []string
	for _, was := range before.SensitiveFields {
		var gone []string
		for _, p := range was.JSONPointers {
			if !slices.ContainsFunc(after.SensitiveFields, func(is model.SensitiveFields) bool {
				return is.Group == was.Group && is.Kind == was.Kind && slices.Contains(is.JSONPointers, p)
			}) {
				gone = append(gone, p)
			}
		}
		if len(gone) > 0 {
			out = append(out, fmt.Sprintf("to see %s of %s", shortList(gone), model.GroupKind{Group: was.Group, Kind: was.Kind}))
		}
	}
	return out
}

func suchAs(found []string) string {
	if len(found) == 0 {
		return ""
	}
	return ", such as " + found[0]
}

// probe adds what a pattern is about: itself, or something that it matches.
func probe(probes []string, pattern string) []string {
	text := strings.NewReplacer("**", "x", "*", "x", "?", "x").Replace(strings.TrimPrefix(pattern, "!"))
	if text == "" || strings.ContainsAny(text, `[]{}\`) || strings.Trim(pattern, "!*") == "" || slices.Contains(probes, text) || len(probes) >= maxProbes {
		return probes
	}
	return append(probes, text)
}

func (c compiled) permitsRepo(repo string) bool {
	var d Decision
	c.sources(&d, []string{repo})
	return d.Refused == 0
}

// usualKinds are asked about whatever the rules name.
var usualKinds = slices.Concat(adminKinds, []model.GroupKind{
	{Kind: "Namespace"}, {Kind: "Secret"}, {Kind: "ConfigMap"}, {Group: "apps", Kind: "Deployment"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}, {Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
})

func widenedKinds(before, after model.AppProjectSpec) []string {
	var out []string
	for _, scope := range []struct {
		what       string
		namespaced bool
		rules      []model.KindRule
	}{
		{"cluster-scoped", false, slices.Concat(before.ClusterResourceWhitelist, before.ClusterResourceBlacklist, after.ClusterResourceWhitelist, after.ClusterResourceBlacklist)},
		{"namespaced", true, slices.Concat(before.NamespaceResourceWhitelist, before.NamespaceResourceBlacklist, after.NamespaceResourceWhitelist, after.NamespaceResourceBlacklist)},
	} {
		var keys []model.ObjectKey
		for _, k := range usualKinds {
			keys = append(keys, model.ObjectKey{Group: k.Group, Kind: k.Kind, Name: "x"})
		}
		sample := strings.NewReplacer("*", "x", "?", "x")
		for _, r := range scope.rules[:min(len(scope.rules), maxProbes)] {
			keys = append(keys, model.ObjectKey{Group: sample.Replace(r.Group), Kind: sample.Replace(r.Kind), Name: cmp.Or(sample.Replace(r.Name), "x")})
		}
		var found []string
		for _, k := range keys {
			text := k.GroupKind().String()
			if PermitsKind(after, k, scope.namespaced) && !PermitsKind(before, k, scope.namespaced) && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
		if len(found) > 0 {
			out = append(out, fmt.Sprintf("%s kinds: %s", scope.what, shortList(found)))
		}
	}
	return out
}
