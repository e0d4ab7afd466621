package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
)

func TestTokensOfRoles(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.roles = map[string]bool{"shop/ci": true}
	_, _, err := w.IssueForRole(ctx, fleet.NewRoleToken{Project: "shop", Role: "other", CreatedBy: "ann"})
	wantCode(t, err, "role_unknown")
	for _, bad := range []time.Duration{-time.Hour, time.Second, MaxLifetime + time.Second} {
		_, _, err := w.IssueForRole(ctx, fleet.NewRoleToken{Project: "shop", Role: "ci", Lifetime: bad})
		wantCode(t, err, "lifetime_invalid")
	}
	token, info, err := w.IssueForRole(ctx, fleet.NewRoleToken{Project: "shop", Role: "ci", Label: "build", CreatedBy: "ann"})
	if err != nil || !strings.HasPrefix(token, "hwr_") || !wellFormed(rolePrefix, token) || info.ExpiresAt.Sub(w.time) != DefaultLifetime {
		t.Fatalf("%q, %+v, %v", token, info, err)
	}
	who, err := w.Authenticate(ctx, "a", token)
	if err != nil || who.Name != "proj:shop:ci" || who.Project != "shop" || who.Role != "ci" || who.Admin || who.Grants != nil || who.Session != nil || who.User != "" {
		t.Fatalf("%+v, %v", who, err)
	}
	if h, err := w.Holder(ctx, info.ID); err != nil || h.ID != info.ID {
		t.Errorf("%+v, %v", h, err)
	}
	// A secret is looked up as what its prefix says: the same digits are nobody's
	// API token.
	_, err = w.Authenticate(ctx, "a", tokenPrefix+strings.TrimPrefix(token, rolePrefix))
	wantCode(t, err, "token_invalid")
	listed, err := w.TokensOfRole(ctx, "shop", "ci")
	if err != nil || len(listed) != 1 || listed[0].Hash != nil || listed[0].CreatedBy != "ann" || listed[0].Label != "build" {
		t.Errorf("%+v, %v", listed, err)
	}
	wantCode(t, w.RevokeOfRole(ctx, "shop", "other", info.ID), "role_token_unknown")
	wantCode(t, w.RevokeOfRole(ctx, "bank", "ci", info.ID), "role_token_unknown")
	wantCode(t, w.Revoke(ctx, info.ID), "api_token_unknown")
	if _, err := w.Authenticate(ctx, "a", token); err != nil {
		t.Error(err)
	}
	w.time = w.time.Add(DefaultLifetime)
	_, err = w.Authenticate(ctx, "a", token)
	wantCode(t, err, "token_expired")
	_, err = w.Holder(ctx, info.ID)
	wantCode(t, err, "api_token_unknown")
}

// Whoever has a token may give that one up.
func TestTokensOfRolesCanEndThemselves(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.roles = map[string]bool{"shop/ci": true}
	token, _, _ := w.IssueForRole(ctx, fleet.NewRoleToken{Project: "shop", Role: "ci"})
	who, _ := w.Authenticate(ctx, "a", token)
	if err := w.End(ctx, who); err != nil {
		t.Fatal(err)
	}
	_, err := w.Recheck(ctx, token)
	wantCode(t, err, "token_invalid")
}

func TestA03_TokensOfRolesEndWhenTheyAreRevokedOrTheirRoleIsGone(t *testing.T) {
	for what, end := range map[string]func(w *world, id string){
		"revoked here": func(w *world, id string) { w.RevokeOfRole(t.Context(), "shop", "ci", id) },
		"revoked by another hub": func(w *world, id string) {
			w.store.DeleteRoleToken(t.Context(), "shop", "ci", id)
			w.time = w.time.Add(remembered)
		},
		"role gone here": func(w *world, _ string) { w.roles = nil; w.RolesChanged("shop") },
		"role gone at another hub": func(w *world, _ string) {
			w.roles = nil
			w.time = w.time.Add(remembered)
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, ctx := newWorld(), t.Context()
			w.roles = map[string]bool{"shop/ci": true}
			token, info, err := w.IssueForRole(ctx, fleet.NewRoleToken{Project: "shop", Role: "ci"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Authenticate(ctx, "a", token); err != nil {
				t.Fatal(err)
			}
			end(w, info.ID)
			_, err = w.Recheck(ctx, token)
			wantCode(t, err, "token_invalid")
			_, err = w.Holder(ctx, info.ID)
			wantCode(t, err, "api_token_unknown")
		})
	}
	// A change of another project's roles costs nobody a look-up.
	w, ctx := newWorld(), t.Context()
	w.roles = map[string]bool{"shop/ci": true}
	token, _, _ := w.IssueForRole(ctx, fleet.NewRoleToken{Project: "shop", Role: "ci"})
	w.Authenticate(ctx, "a", token)
	w.RolesChanged("bank")
	if len(w.known) != 1 {
		t.Error("it was forgotten")
	}
}
