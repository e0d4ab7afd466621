package store

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// Replicas read the policy again when its mark changes, so it has to with whatever
// counts.
func TestTheMarkOfThePolicyChangesWithIt(t *testing.T) {
	b := setup(t)
	last, err := b.PolicyMark(b.ctx())
	must(t, err)
	changed := func(what string) {
		t.Helper()
		mark, err := b.PolicyMark(b.ctx())
		must(t, err)
		if mark == last {
			t.Errorf("%s: the mark is the same", what)
		}
		if again, err := b.PolicyMark(b.ctx()); err != nil || again != mark {
			t.Errorf("%s: the mark changes by itself: %v", what, err)
		}
		last = mark
	}
	_, _, err = b.PutRBAC(b.ctx(), map[string]string{"policy.csv": "g, alice, role:admin"}, "ann", 0)
	must(t, err)
	changed("a policy")
	project := model.AppProject{APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: "shop"}}
	_, err = b.UpsertProject(b.ctx(), project, "ann")
	must(t, err)
	changed("a project")
	project.Spec.Roles = []model.ProjectRole{{Name: "dev", Policies: []string{"p, proj:shop:dev, applications, get, shop/*, allow"}}}
	_, err = b.UpsertProject(b.ctx(), project, "ann")
	must(t, err)
	changed("a role")
	p, err := b.Policy(b.ctx())
	must(t, err)
	if p.Mark != last || p.RBAC.Keys["policy.csv"] == "" || len(p.Projects) < 1 {
		t.Errorf("%+v", p)
	}
	must(t, b.DeleteProject(b.ctx(), "shop", 0))
	changed("a project that is gone")
}
