package inventory

import (
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Clusters are seen by those whose project may deploy there, also where it has
// that from a global project that they do not see.
func TestClustersAreSeenThroughWhatAProjectInherits(t *testing.T) {
	s := newStore()
	s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu"}, {ID: "c-us", Name: "us"}}
	s.projects = []model.AppProject{
		{Metadata: model.ObjectMeta{Name: "base"}, Spec: model.AppProjectSpec{
			InheritedBy:  &model.LabelSelector{MatchLabels: map[string]string{"team": "shop"}},
			Destinations: []model.ProjectDestination{{Name: "us", Namespace: "*"}},
		}},
		{Metadata: model.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "shop"}}},
	}
	x := newIndex(t, s)
	sight := fleet.Sight{Sees: func(p string) bool { return p == "shop" }}
	_, got, _ := x.ClustersSeen(t.Context(), sight, sight.Sees, func(projects []policy.Project, c *model.Cluster) bool {
		if len(projects) != 1 {
			t.Fatalf("asked about %d projects", len(projects))
		}
		return policy.Reaches(projects[0], policy.Destination{Name: c.Name})
	}, func(*model.Cluster) bool { return false })
	if !got["c-us"] || len(got) != 1 {
		t.Errorf("sees %v", got)
	}
}
