package observe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// catalogue is what discovery knows of the kinds that a cluster serves.
type catalogue struct {
	kinds map[model.GroupKind]live.Kind
	// resources are "plural.group" of everything that is served, as
	// CustomResourceDefinitions are named.
	resources map[string]bool
	// failed are groups whose content could not be learnt, with the reason:
	// what the catalogue says of them is what was known before.
	failed map[string]string
	// versions are "group/version" or "version", as served.
	versions []string
}

// groupVersion is one served version of a group, in the server's order of
// preference.
type groupVersion struct {
	group, version string
	failed         string // why its kinds are not known, "" when they are
	resources      []resource
}

// served reports whether requests for it can be made: the core group has no name.
func (gv groupVersion) served() bool {
	return segment(gv.version) && (gv.group == "" || segment(gv.group))
}

type resource struct {
	kind       model.GroupKind
	name       string // plural
	namespaced bool
	watchable  bool
}

// segment reports whether a word that a server says is one part of a path: requests are
// made of it, and what it says is about itself only.
func segment(word string) bool {
	return word != "" && word != "." && word != ".." && !strings.Contains(word, "/")
}

// build makes a catalogue of served versions. What before knew of a group that
// failed now is kept: that discovery of a group fails does not make its kinds
// absent.
func build(gvs []groupVersion, before *catalogue) *catalogue {
	c := &catalogue{kinds: map[model.GroupKind]live.Kind{}, resources: map[string]bool{}, failed: map[string]string{}}
	for _, gv := range gvs {
		version := gv.version
		if gv.group != "" {
			version = gv.group + "/" + gv.version
		}
		c.versions = append(c.versions, version)
		if gv.failed != "" {
			c.failed[gv.group] = gv.failed
		}
		for _, r := range gv.resources {
			c.add(gv, r)
		}
	}
	if before != nil {
		for gk, k := range before.kinds {
			if _, known := c.kinds[gk]; !known && c.failed[gk.Group] != "" {
				c.kinds[gk] = k
				c.resources[k.Resource+"."+k.Group] = true
			}
		}
	}
	return c
}

func (c *catalogue) add(gv groupVersion, r resource) {
	c.resources[r.name+"."+gv.group] = true
	known, ok := c.kinds[r.kind]
	if !ok {
		c.kinds[r.kind] = live.Kind{
			GroupKind: r.kind, Version: gv.version, Resource: r.name, Namespaced: r.namespaced,
			Watchable: r.watchable, Versions: []string{gv.version},
		}
		return
	}
	if !slices.Contains(known.Versions, gv.version) {
		known.Versions = append(known.Versions, gv.version)
	}
	if !known.Watchable && r.watchable { // prefer what can be observed
		known.Version, known.Resource, known.Namespaced, known.Watchable = gv.version, r.name, r.namespaced, true
	}
	c.kinds[r.kind] = known
}

// sorted lists the kinds in a stable order.
func (c *catalogue) sorted() []live.Kind {
	out := make([]live.Kind, 0, len(c.kinds))
	for _, k := range c.kinds {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b live.Kind) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

// equal reports whether two catalogues serve the same kinds in the same way.
func (c *catalogue) equal(o *catalogue) bool {
	if o == nil || len(c.kinds) != len(o.kinds) || len(c.failed) != len(o.failed) {
		return false
	}
	for gk, k := range c.kinds {
		x, ok := o.kinds[gk]
		if !ok || k.Version != x.Version || k.Resource != x.Resource || k.Namespaced != x.Namespaced ||
			k.Watchable != x.Watchable || !slices.Equal(k.Versions, x.Versions) {
			return false
		}
	}
	for g := range c.failed {
		if _, ok := o.failed[g]; !ok {
			return false
		}
	}
	return true
}

// aggregatedList is the part that we need of an APIGroupDiscoveryList
// (apidiscovery.k8s.io, v2 and v2beta1).
type aggregatedList struct {
	Kind  string `json:"kind"`
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Versions []struct {
			Version   string `json:"version"`
			Freshness string `json:"freshness"`
			Resources []struct {
				Resource     string `json:"resource"`
				Scope        string `json:"scope"`
				ResponseKind *struct {
					Group   string `json:"group"`
					Version string `json:"version"`
					Kind    string `json:"kind"`
				} `json:"responseKind"`
				Verbs []string `json:"verbs"`
			} `json:"resources"`
		} `json:"versions"`
	} `json:"items"`
}

// parseAggregated reads aggregated discovery. ok is false when the document is
// something else, as from servers that do not know it.
func parseAggregated(body []byte) (gvs []groupVersion, ok bool, err error) {
	var l aggregatedList
	if err := json.Unmarshal(body, &l); err != nil {
		return nil, false, err
	}
	if l.Kind != "APIGroupDiscoveryList" {
		return nil, false, nil
	}
	for _, g := range l.Items {
		for _, v := range g.Versions {
			gv := groupVersion{group: g.Metadata.Name, version: v.Version}
			if !gv.served() {
				continue
			}
			if v.Freshness == "Stale" {
				gv.failed = fmt.Sprintf("the server behind %s/%s does not answer", g.Metadata.Name, v.Version)
			}
			for _, r := range v.Resources {
				if r.ResponseKind == nil || r.ResponseKind.Kind == "" || !segment(r.Resource) {
					continue
				}
				kind := model.GroupKind{Group: r.ResponseKind.Group, Kind: r.ResponseKind.Kind}
				if r.ResponseKind.Group == "" && r.ResponseKind.Version == "" {
					kind.Group = g.Metadata.Name
				}
				gv.resources = append(gv.resources, resource{
					kind: kind, name: r.Resource, namespaced: r.Scope == "Namespaced", watchable: watchable(r.Verbs),
				})
			}
			gvs = append(gvs, gv)
		}
	}
	return gvs, true, nil
}

// parseResourceList reads an APIResourceList of one group and version.
func parseResourceList(group, version string, body []byte) (groupVersion, error) {
	gv := groupVersion{group: group, version: version}
	var l struct {
		Kind      string `json:"kind"`
		Resources []struct {
			Name       string   `json:"name"`
			Namespaced bool     `json:"namespaced"`
			Group      string   `json:"group"`
			Kind       string   `json:"kind"`
			Verbs      []string `json:"verbs"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return gv, err
	}
	if l.Kind != "APIResourceList" {
		return gv, fmt.Errorf("the answer is not a list of resources")
	}
	for _, r := range l.Resources {
		if r.Kind == "" || !segment(r.Name) {
			continue
		}
		kind := model.GroupKind{Group: cmp.Or(r.Group, group), Kind: r.Kind}
		gv.resources = append(gv.resources, resource{kind: kind, name: r.Name, namespaced: r.Namespaced, watchable: watchable(r.Verbs)})
	}
	return gv, nil
}

// parseGroups reads the group list of servers without aggregated discovery:
// group and version, preferred versions first.
func parseGroups(body []byte) ([]groupVersion, error) {
	var l struct {
		Kind   string `json:"kind"`
		Groups []struct {
			Name     string `json:"name"`
			Versions []struct {
				Version string `json:"version"`
			} `json:"versions"`
			PreferredVersion struct {
				Version string `json:"version"`
			} `json:"preferredVersion"`
		} `json:"groups"`
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return nil, err
	}
	if l.Kind != "APIGroupList" {
		return nil, fmt.Errorf("the answer is not a list of API groups")
	}
	var out []groupVersion
	for _, g := range l.Groups {
		if gv := (groupVersion{group: g.Name, version: g.PreferredVersion.Version}); gv.served() {
			out = append(out, gv)
		}
		for _, v := range g.Versions {
			if gv := (groupVersion{group: g.Name, version: v.Version}); v.Version != g.PreferredVersion.Version && gv.served() {
				out = append(out, gv)
			}
		}
	}
	return out, nil
}

func watchable(verbs []string) bool {
	return slices.Contains(verbs, "list") && slices.Contains(verbs, "watch")
}
