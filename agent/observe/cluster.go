package observe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Conditions are the problems of observing, for people: one sentence per kind
// that cannot be watched, and per group whose discovery fails. A kind that is
// merely being listed, or that the cluster does not serve, is none.
func (o *Observer) Conditions() []string {
	var out []string
	o.disc.mu.RLock()
	switch {
	case o.disc.cat == nil && o.disc.err != nil:
		out = append(out, "What the cluster serves is not known: "+fault.As(o.disc.err).Message+".")
	case o.disc.cat != nil:
		for group, why := range o.disc.cat.failed {
			out = append(out, fmt.Sprintf("The kinds of API group %s are not known: %s.", cmp.Or(group, "core"), why))
		}
	}
	o.disc.mu.RUnlock()
	out = append(out, o.store.conditions()...)
	slices.Sort(out)
	return out
}

func (s *store) conditions() (out []string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for gk, k := range s.kinds {
		if k.state != stateLive && k.state != stateGone && k.reason != "" {
			out = append(out, fmt.Sprintf("Kind %s is not observed: %s.", gk, k.reason))
		}
	}
	return out
}

// ObservedAt is the time at which what is known still held: now while the API
// server is watched at all, otherwise the moment when the watches began to
// break. A single kind whose watch is broken does not count here: its objects
// answer for themselves, see Synced and Get.
func (o *Observer) ObservedAt() time.Time {
	at := o.now()
	o.store.mu.RLock()
	defer o.store.mu.RUnlock()
	for _, k := range o.store.kinds {
		if k.state == stateLive {
			return o.now()
		}
		if k.state == stateBroken && k.since.Before(at) {
			at = k.since
		}
	}
	return at
}

// Nodes asks the cluster how many nodes it has; one request for a single node's
// metadata.
func (o *Observer) Nodes(ctx context.Context) (int, error) {
	body, _, err := o.get(ctx, "/api/v1/nodes", url.Values{"limit": {"1"}}, acceptMetaList)
	if err != nil {
		return 0, fault.Wrap(err, fault.Upstream, "cluster_unreadable", "the cluster's nodes could not be counted")
	}
	var l struct {
		Metadata struct {
			Remaining int `json:"remainingItemCount"`
		} `json:"metadata"`
		Items []struct{} `json:"items"`
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return 0, fault.Wrap(err, fault.Upstream, "cluster_unreadable", "the cluster's list of nodes could not be read")
	}
	return len(l.Items) + max(l.Metadata.Remaining, 0), nil
}

// UID asks for the uid of the namespace kube-system, which stands for the cluster.
func (o *Observer) UID(ctx context.Context) (string, error) {
	body, _, err := o.get(ctx, "/api/v1/namespaces/kube-system", nil, acceptFull)
	if err != nil {
		return "", fault.Wrap(err, fault.Upstream, "cluster_unreadable", "the namespace kube-system could not be read")
	}
	var v struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return "", fault.Wrap(err, fault.Upstream, "cluster_unreadable", "the namespace kube-system could not be read")
	}
	return v.Metadata.UID, nil
}

// KubeVersion asks the cluster for its version, as "v1.37.2", and platform, as
// "linux/amd64".
func (o *Observer) KubeVersion(ctx context.Context) (version, platform string, err error) {
	body, _, err := o.get(ctx, "/version", nil, acceptFull)
	if err != nil {
		return "", "", fault.Wrap(err, fault.Upstream, "cluster_unreadable", "the cluster's version could not be asked for")
	}
	var v struct {
		GitVersion string `json:"gitVersion"`
		Platform   string `json:"platform"`
	}
	if err := json.Unmarshal(body, &v); err != nil || v.GitVersion == "" {
		return "", "", fault.Wrap(err, fault.Upstream, "cluster_unreadable", "the cluster's version could not be read")
	}
	return v.GitVersion, v.Platform, nil
}

// Cluster reports on the cluster. Kinds are named as model.GroupKind prints
// them, so those of the core group have no group: "v1/Pod", "Pod". What could not be asked for is missing and
// named in Conditions; the error is that of the version, without which the
// report says nothing.
func (o *Observer) Cluster(ctx context.Context) (model.ClusterReport, error) {
	version, platform, err := o.KubeVersion(ctx)
	if err != nil {
		return model.ClusterReport{}, err
	}
	r := model.ClusterReport{KubeVersion: version, Platform: platform, Namespaces: o.Namespaces(), ObservedAt: o.now()}
	r.Conditions = o.Conditions()
	if len(o.opts.Namespaces) == 0 { // nodes are the cluster's
		if r.Nodes, err = o.Nodes(ctx); err != nil {
			r.Conditions = append(r.Conditions, "The cluster's nodes could not be counted.")
		}
	}
	for _, k := range o.Kinds() {
		for _, v := range k.Versions {
			if k.Group != "" {
				v = k.Group + "/" + v
			}
			r.APIResources = append(r.APIResources, v+"/"+k.Kind)
		}
		if k.Namespaced {
			r.NamespacedKinds = append(r.NamespacedKinds, k.GroupKind.String())
		}
	}
	return r, nil
}

// Size is how much is observed.
type Size struct {
	// Kinds by what is known of them: "live", "listing" (not known yet), "broken" (its
	// watch is lost) or "gone" (not served).
	Kinds map[string]int
	// Objects in memory.
	Objects int
	// News is how many changes of objects were told, since the start.
	News int64
}

// Size answers how much is observed now.
func (o *Observer) Size() Size {
	out := o.store.size()
	out.News = o.queue.news.Load()
	return out
}

func (s *store) size() Size {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := Size{Kinds: map[string]int{"live": 0, "listing": 0, "broken": 0, "gone": 0}}
	for _, k := range s.kinds {
		out.Objects += k.objects.n
		out.Kinds[[...]string{stateUnsynced: "listing", stateLive: "live", stateBroken: "broken", stateGone: "gone"}[k.state]]++
	}
	return out
}
