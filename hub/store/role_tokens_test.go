package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func (b *bench) withRoles(project string, roles ...string) {
	b.t.Helper()
	p := model.AppProject{Metadata: model.ObjectMeta{Name: project}}
	for _, r := range roles {
		p.Spec.Roles = append(p.Spec.Roles, model.ProjectRole{Name: r})
	}
	must(b.t, second(b.UpsertProject(b.ctx(), p, "ann")))
}

func (b *bench) roleTokenOf(id, project, role string) fleet.APIToken {
	return fleet.APIToken{ID: id, Name: fleet.RoleSubject(project, role), Hash: []byte("hash " + id), Project: project, Role: role, Label: "l " + id, CreatedBy: "ann",
		CreatedAt: b.now(), ExpiresAt: b.now().Add(24 * time.Hour)}
}

func TestRoleTokens(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	one := b.roleTokenOf("1", "shop", "ci")
	wantCode(t, b.CreateRoleToken(ctx, one), fault.NotFound, "project_unknown")
	b.withRoles("shop", "dev")
	wantCode(t, b.CreateRoleToken(ctx, one), fault.NotFound, "role_unknown")
	b.withRoles("shop", "dev", "ci")
	must(t, b.CreateRoleToken(ctx, one))
	same := b.roleTokenOf("2", "shop", "ci")
	same.Label = one.Label
	wantCode(t, b.CreateRoleToken(ctx, same), fault.Conflict, "role_token_exists")
	same.Role = "dev"
	must(t, b.CreateRoleToken(ctx, same))
	b.clock.advance(time.Hour)
	got, err := b.RoleTokenByHash(ctx, one.Hash)
	must(t, err)
	if got.Name != "proj:shop:ci" || got.Project != "shop" || got.Role != "ci" || got.Label != one.Label || got.CreatedBy != "ann" || got.Admin || got.Grants != nil ||
		!got.ExpiresAt.Equal(one.ExpiresAt) || got.LastUsed != nil {
		t.Errorf("%+v", got)
	}
	listed, err := b.RoleTokens(ctx, "shop", "ci")
	must(t, err)
	if len(listed) != 1 || listed[0].LastUsed == nil || !listed[0].LastUsed.Equal(b.now()) {
		t.Errorf("%+v", listed)
	}
	if got, err := b.RoleTokenByID(ctx, "1"); err != nil || got.ID != "1" {
		t.Errorf("%+v, %v", got, err)
	}
	wantCode(t, second(b.RoleTokenByHash(ctx, []byte("x"))), fault.NotFound, "api_token_unknown")
	wantCode(t, second(b.APITokenByHash(ctx, one.Hash)), fault.NotFound, "api_token_unknown")
	if all, err := b.APITokens(ctx); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	wantCode(t, b.DeleteRoleToken(ctx, "shop", "dev", "1"), fault.NotFound, "role_token_unknown")
	must(t, b.DeleteRoleToken(ctx, "shop", "ci", "1"))
	wantCode(t, second(b.RoleTokenByID(ctx, "1")), fault.NotFound, "api_token_unknown")
}

func TestS03_TokensDoNotOutliveTheirRoleUnderItsName(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	b.withRoles("shop", "ci", "dev")
	must(t, b.CreateRoleToken(ctx, b.roleTokenOf("1", "shop", "ci")))
	must(t, b.CreateRoleToken(ctx, b.roleTokenOf("2", "shop", "dev")))
	// Another change of the project leaves them.
	must(t, second(b.UpsertProject(ctx, model.AppProject{Metadata: model.ObjectMeta{Name: "shop"},
		Spec: model.AppProjectSpec{Description: "new", Roles: []model.ProjectRole{{Name: "dev"}, {Name: "ci", Policies: []string{"x"}}}}}, "ann")))
	must(t, second(b.RoleTokenByID(ctx, "1")))
	b.withRoles("shop", "dev")
	b.withRoles("shop", "dev", "ci")
	wantCode(t, second(b.RoleTokenByID(ctx, "1")), fault.NotFound, "api_token_unknown")
	must(t, second(b.RoleTokenByID(ctx, "2")))
	must(t, b.DeleteProject(ctx, "shop", 0))
	b.withRoles("shop", "dev", "ci")
	wantCode(t, second(b.RoleTokenByID(ctx, "2")), fault.NotFound, "api_token_unknown")
}

// While a role is removed and made again, tokens are issued for it: none of those
// that were is left over, whichever came first.
func TestS03_NoTokenIsIssuedForARoleThatIsBeingRemoved(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	for round := range 10 {
		b.withRoles("shop", "ci")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := b.CreateRoleToken(ctx, b.roleTokenOf(fmt.Sprint(round, "-", i), "shop", "ci")); err != nil && !fault.HasCode(err, "role_unknown") {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			must(t, second(b.UpsertProject(ctx, model.AppProject{Metadata: model.ObjectMeta{Name: "shop"}}, "ann")))
		})
		wg.Wait()
		if n := b.count(`SELECT count(*) FROM role_tokens`); n != 0 {
			t.Fatalf("%d tokens of a role that is gone", n)
		}
	}
}

func TestRolesHaveSoManyTokens(t *testing.T) {
	b := setup(t)
	ctx := b.ctx()
	b.withRoles("shop", "ci")
	for i := range MaxRoleTokens {
		must(t, b.CreateRoleToken(ctx, b.roleTokenOf(fmt.Sprint(i), "shop", "ci")))
	}
	wantCode(t, b.CreateRoleToken(ctx, b.roleTokenOf("more", "shop", "ci")), fault.Precondition, "role_tokens_full")
	b.clock.advance(25 * time.Hour)
	must(t, b.CreateRoleToken(ctx, b.roleTokenOf("more", "shop", "ci")))
}
