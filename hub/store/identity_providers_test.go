package store

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestIdentityProvidersKeepTheirSecretSealed(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	p := fleet.IdentityProvider{Name: "corp", Issuer: "https://idp.example.org", ClientID: "hawser", Secret: "c4n4ry", Scopes: []string{"email"}, UserClaim: "sub", UserPrefix: "-",
		GroupsClaim: "roles", GroupsPrefix: "corp:", AllowedGroups: []string{"ops"}, AllowedDomains: []string{"example.org"}, CA: "pem", ChangedBy: "ann"}
	first, err := b.PutIdentityProvider(ctx, p, false)
	must(t, err)
	got, err := b.IdentityProvider(ctx, "corp")
	must(t, err)
	if got.Secret != "c4n4ry" || !got.HasSecret || got.UserClaim != "sub" || got.GroupsPrefix != "corp:" || got.AllowedDomains[0] != "example.org" || got.CA != "pem" || got.ChangedBy != "ann" {
		t.Errorf("%+v", got)
	}
	var sealed []byte
	must(t, b.pool.QueryRow(ctx, `SELECT sealed FROM identity_providers`).Scan(&sealed))
	if bytes.Contains(sealed, []byte("c4n4ry")) {
		t.Error("the secret lies in the clear")
	}
	all, err := b.IdentityProviders(ctx)
	must(t, err)
	if len(all) != 1 || all[0].Secret != "" || !all[0].HasSecret {
		t.Errorf("%+v", all)
	}
	// A sealed secret that was copied to another row does not open.
	other := p
	other.Name = "other"
	_, err = b.PutIdentityProvider(ctx, other, false)
	must(t, err)
	_, err = b.pool.Exec(ctx, `UPDATE identity_providers SET sealed = $1 WHERE name = 'other'`, sealed)
	must(t, err)
	if _, err := b.IdentityProvider(ctx, "other"); err == nil {
		t.Error("the secret of another row opens")
	}

	p.Secret, p.Version = "", first.Version
	second, err := b.PutIdentityProvider(ctx, p, true)
	must(t, err)
	if second.Version <= first.Version || !second.HasSecret {
		t.Errorf("%+v", second)
	}
	_, err = b.PutIdentityProvider(ctx, p, true) // over what is gone
	wantCode(t, err, fault.Conflict, "version_conflict")
	p.Version = 0
	third, err := b.PutIdentityProvider(ctx, p, false)
	must(t, err)
	if third.HasSecret {
		t.Error("the secret is still there")
	}
	wantCode(t, b.DeleteIdentityProvider(ctx, "corp", second.Version), fault.Conflict, "version_conflict")
	must(t, b.DeleteIdentityProvider(ctx, "corp", third.Version))
	wantCode(t, b.DeleteIdentityProvider(ctx, "corp", 0), fault.NotFound, "oidc_provider_unknown")
	_, err = b.IdentityProvider(ctx, "corp")
	wantCode(t, err, fault.NotFound, "oidc_provider_unknown")
	_, err = b.IdentityProvider(ctx, "\x00")
	wantCode(t, err, fault.NotFound, "oidc_provider_unknown")
}

func TestSessionsOfAProviderEndWithIt(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	p := fleet.IdentityProvider{Name: "corp", Issuer: "https://idp.example.org", ClientID: "hawser", ChangedBy: "ann"}
	put := func() {
		t.Helper()
		_, err := b.PutIdentityProvider(ctx, p, true)
		must(t, err)
	}
	begin := func(id string) {
		t.Helper()
		l := b.sessionOf(id, fleet.User{})
		l.Provider, l.Subject, l.Name, l.Groups = "corp", "s", "ann", []string{"g"}
		must(t, b.CreateLoginSession(ctx, l, ""))
	}
	there := func(id string) bool {
		t.Helper()
		_, err := b.LoginByID(ctx, id)
		if err != nil {
			wantCode(t, err, fault.NotFound, "session_unknown")
		}
		return err == nil
	}
	put()
	begin("1")
	p.AllowedGroups = []string{"g"}
	put()
	if !there("1") {
		t.Error("the session ended with a setting that is about logins")
	}
	p.Issuer = "https://other.example.org"
	put()
	if there("1") {
		t.Error("the session outlived the issuer")
	}
	begin("2")
	must(t, b.DeleteIdentityProvider(ctx, "corp", 0))
	if there("2") {
		t.Error("the session outlived the provider")
	}
	l := b.sessionOf("3", fleet.User{})
	l.Provider, l.Subject, l.Name = "corp", "s", "ann" // a login that was under way
	wantCode(t, b.CreateLoginSession(ctx, l, ""), fault.Unauthorized, "oidc_provider_changed")
}

// Who may not log in by the new settings, or would be somebody else, is not logged in
// any more either.
func TestA03_SessionsEndWhenTheirProviderWouldNotLetThemIn(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	before := fleet.IdentityProvider{Name: "corp", Issuer: "https://idp.example.org", ClientID: "hawser", GroupsPrefix: "corp:", AllowedDomains: []string{"a.example", "b.example"}, ChangedBy: "ann"}
	for name, c := range map[string]struct {
		change func(p *fleet.IdentityProvider)
		stay   string
	}{
		"nothing":              {func(*fleet.IdentityProvider) {}, "in none out"},
		"a CA and scopes":      {func(p *fleet.IdentityProvider) { p.CA, p.Scopes = "x", []string{"y"} }, "in none out"},
		"groups":               {func(p *fleet.IdentityProvider) { p.AllowedGroups = []string{"in", "more"} }, "in"},
		"more domains":         {func(p *fleet.IdentityProvider) { p.AllowedDomains = append(p.AllowedDomains, "c.example") }, "in none out"},
		"all domains":          {func(p *fleet.IdentityProvider) { p.AllowedDomains = nil }, "in none out"},
		"fewer domains":        {func(p *fleet.IdentityProvider) { p.AllowedDomains = p.AllowedDomains[:1] }, ""},
		"the claim of names":   {func(p *fleet.IdentityProvider) { p.UserClaim = "sub" }, ""},
		"the prefix of names":  {func(p *fleet.IdentityProvider) { p.UserPrefix = "x:" }, ""},
		"the claim of groups":  {func(p *fleet.IdentityProvider) { p.GroupsClaim = "roles" }, ""},
		"the prefix of groups": {func(p *fleet.IdentityProvider) { p.GroupsPrefix = "" }, ""},
	} {
		_, err := b.PutIdentityProvider(ctx, before, true)
		must(t, err)
		for id, groups := range map[string][]string{"in": {"corp:x", "corp:in"}, "none": nil, "out": {"in"}} {
			must(t, b.DeleteLoginSession(ctx, id))
			l := b.sessionOf(id, fleet.User{})
			l.Provider, l.Subject, l.Name, l.Groups = "corp", id, id, groups
			must(t, b.CreateLoginSession(ctx, l, ""))
			b.issue(id, fleet.IssuedBy(fleet.APIToken{ID: id, Session: &l}))
		}
		after := before
		after.AllowedDomains = slices.Clone(before.AllowedDomains)
		c.change(&after)
		_, err = b.PutIdentityProvider(ctx, after, true)
		must(t, err)
		var stay []string
		for _, id := range []string{"in", "none", "out"} {
			if _, err := b.LoginByID(ctx, id); err == nil {
				stay = append(stay, id)
			}
		}
		if got := strings.Join(stay, " "); got != c.stay {
			t.Errorf("%s: %q stay, not %q", name, got, c.stay)
		}
		if got := b.issued("in", "none", "out"); got != c.stay {
			t.Errorf("%s: of the tokens %q stay, not %q", name, got, c.stay)
		}
		for _, id := range []string{"in", "none", "out"} {
			_ = b.DeleteAPIToken(ctx, "by-"+id)
		}
	}
}

func (b *bench) issue(id string, by *fleet.Issuer) {
	b.t.Helper()
	must(b.t, b.CreateAPIToken(b.t.Context(), b.tokenOf(id, by)))
}

func (b *bench) tokenOf(id string, by *fleet.Issuer) fleet.APIToken {
	return fleet.APIToken{ID: "by-" + id, Name: "ci", Hash: []byte("by-" + id), Admin: true, Issuer: by, CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour)}
}

// issued are those that somebody may still use whose tokens issue made.
func (b *bench) issued(ids ...string) string {
	var stay []string
	for _, id := range ids {
		_, err := b.APITokenByHash(b.t.Context(), []byte("by-"+id))
		if _, again := b.APITokenByID(b.t.Context(), "by-"+id); (err == nil) != (again == nil) {
			b.t.Errorf("%s by its hash: %v, by its id: %v", id, err, again)
		}
		if err == nil {
			stay = append(stay, id)
		}
	}
	return strings.Join(stay, " ")
}

// A token of somebody of an identity provider ends with the provider, outlives the
// session that it was issued in, and is one of the person as the provider last said.
func TestA03_TokensOfAProvidersPeopleEndWithIt(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	corp := fleet.IdentityProvider{Name: "corp", Issuer: "https://idp.example.org", ClientID: "hawser", ChangedBy: "ann"}
	_, err := b.PutIdentityProvider(ctx, corp, true)
	must(t, err)
	login := func(id, subject, name string, groups ...string) fleet.LoginSession {
		t.Helper()
		l := b.sessionOf(id, fleet.User{})
		l.Provider, l.Subject, l.Name, l.Groups = "corp", subject, name, groups
		must(t, b.CreateLoginSession(ctx, l, ""))
		return l
	}
	by := fleet.IssuedBy(fleet.APIToken{ID: "s1", Session: new(login("s1", "ann-1", "ann", "dev"))})
	b.issue("ann", by)
	first, err := b.APITokenByID(ctx, "by-ann")
	must(t, err)
	if i := first.Issuer; i == nil || i.Provider != "corp" || i.Subject != "ann-1" || i.Name != "ann" || first.User != "" {
		t.Fatalf("%+v", i)
	}
	b.issue("token", fleet.IssuedBy(first)) // a token's token is its issuer's
	must(t, b.DeleteLoginSession(ctx, "s1"))
	if got := b.issued("ann", "token"); got != "ann token" {
		t.Errorf("after the session %q stay", got)
	}
	// What asks has ended meanwhile, or is somebody else's.
	wantCode(t, b.CreateAPIToken(ctx, b.tokenOf("late", by)), fault.Unauthorized, "oidc_provider_changed")
	login("s2", "bob-1", "bob", "dev")
	wantCode(t, b.CreateAPIToken(ctx, b.tokenOf("other", &fleet.Issuer{Provider: "corp", Subject: "ann-1", By: "s2"})), fault.Unauthorized, "oidc_provider_changed")
	b.issue("bob", &fleet.Issuer{Provider: "corp", Subject: "bob-1", By: "s2"})
	must(t, b.CreateAPIToken(ctx, fleet.APIToken{ID: "by-nobody", Name: "ci", Hash: []byte("by-nobody"), Admin: true, CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour)}))

	// The groups of the newest login count, and its name is shown.
	login("s3", "ann-1", "ann.new", "ops")
	corp.AllowedGroups = []string{"ops"}
	_, err = b.PutIdentityProvider(ctx, corp, true)
	must(t, err)
	if got := b.issued("ann", "token", "bob", "nobody"); got != "ann token nobody" {
		t.Errorf("with other groups %q stay", got)
	}
	all, err := b.APITokens(ctx)
	must(t, err)
	for _, tok := range all {
		if (tok.ID == "by-nobody") != (tok.Issuer == nil) || tok.Issuer != nil && (tok.Issuer.Name != "ann.new" || !slices.Equal(tok.Issuer.Groups, []string{"ops"}) || tok.Issuer.Admin) {
			t.Errorf("%s is listed with %+v", tok.ID, tok.Issuer)
		}
	}
	must(t, b.DeleteIdentityProvider(ctx, "corp", 0))
	corp.AllowedGroups = nil
	_, err = b.PutIdentityProvider(ctx, corp, true) // brings none back
	must(t, err)
	if got := b.issued("ann", "token", "nobody"); got != "nobody" {
		t.Errorf("after the provider %q stay", got)
	}
}

// A token that is asked for while the provider's settings change waits for them, and
// does not outlive what they end.
func TestA03_NoTokenOutrunsAChangeOfItsProvider(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	_, err := b.PutIdentityProvider(ctx, fleet.IdentityProvider{Name: "corp", Issuer: "https://idp.example.org", ClientID: "hawser", ChangedBy: "ann"}, true)
	must(t, err)
	l := b.sessionOf("s", fleet.User{})
	l.Provider, l.Subject, l.Name = "corp", "ann-1", "ann"
	must(t, b.CreateLoginSession(ctx, l, ""))
	b.issue("old", &fleet.Issuer{Provider: "corp", Subject: "ann-1", By: "s"})
	// A change as it is made, up to its end.
	tx, err := b.pool.Begin(ctx)
	must(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(ctx, "UPDATE identity_providers SET version = nextval('identity_provider_versions') WHERE name = 'corp'")
	must(t, err)
	for _, end := range []string{"EndSessionsOfProvider", "EndTokensOfProvider"} {
		_, err = tx.Exec(ctx, q(end), "corp")
		must(t, err)
	}
	results := make(chan error, 2)
	for _, by := range []string{"s", "by-old"} {
		go func() {
			results <- b.CreateAPIToken(ctx, b.tokenOf("new-"+by, &fleet.Issuer{Provider: "corp", Subject: "ann-1", By: by}))
		}()
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		var waiting int
		must(t, b.pool.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting))
		if waiting == 2 || len(results) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait", waiting)
		}
	}
	must(t, tx.Commit(ctx))
	for range 2 {
		wantCode(t, <-results, fault.Unauthorized, "oidc_provider_changed")
	}
	if got := b.issued("old", "new-s", "new-by-old"); got != "" {
		t.Errorf("%q stay", got)
	}
}

func TestS05_ALoginAtAProviderIsTakenOnce(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	_, err := b.PutIdentityProvider(ctx, fleet.IdentityProvider{Name: "corp", Issuer: "https://idp", ClientID: "c", ChangedBy: "ann"}, false)
	must(t, err)
	begin := func(kind, hash string) {
		t.Helper()
		must(t, b.BeginExternalLogin(ctx, fleet.ExternalLogin{Hash: []byte(hash), Kind: kind, Provider: "corp", ExpiresAt: b.now().Add(time.Minute), Sealed: []byte("verifier c4n4ry")}))
	}
	begin("browser", "h")
	var sealed []byte
	must(t, b.pool.QueryRow(ctx, `SELECT sealed FROM external_logins`).Scan(&sealed))
	if bytes.Contains(sealed, []byte("c4n4ry")) {
		t.Error("it lies in the clear")
	}
	_, err = b.TakeExternalLogin(ctx, "code", []byte("h"))
	wantCode(t, err, fault.NotFound, "external_login_unknown")
	var took atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if l, err := b.TakeExternalLogin(ctx, "browser", []byte("h")); err == nil && string(l.Sealed) == "verifier c4n4ry" && l.Provider == "corp" {
				took.Add(1)
			}
		})
	}
	wg.Wait()
	if took.Load() != 1 {
		t.Errorf("%d took it", took.Load())
	}

	begin("device", "d")
	next := b.now().Add(5 * time.Second)
	for i, want := range []bool{true, false} {
		l, due, err := b.DueExternalLogin(ctx, "device", []byte("d"), next)
		must(t, err)
		if due != want || string(l.Sealed) != "verifier c4n4ry" {
			t.Errorf("%d: due %v", i, due)
		}
	}
	b.clock.advance(5 * time.Second)
	if _, due, err := b.DueExternalLogin(ctx, "device", []byte("d"), next); err != nil || !due {
		t.Error(due, err)
	}
	_, _, err = b.DueExternalLogin(ctx, "device", []byte("x"), next)
	wantCode(t, err, fault.NotFound, "external_login_unknown")

	begin("browser", "old")
	must(t, b.ForgetLogins(ctx, b.now().Add(time.Hour)))
	_, err = b.TakeExternalLogin(ctx, "browser", []byte("old"))
	wantCode(t, err, fault.NotFound, "external_login_unknown")
	wantCode(t, b.BeginExternalLogin(ctx, fleet.ExternalLogin{Hash: []byte("x"), Kind: "browser", Provider: "nobody", ExpiresAt: b.now()}), fault.NotFound, "oidc_provider_unknown")

	begin("browser", "void")
	_, err = b.PutIdentityProvider(ctx, fleet.IdentityProvider{Name: "corp", Issuer: "https://idp", ClientID: "c", ChangedBy: "ann"}, false)
	must(t, err)
	_, err = b.TakeExternalLogin(ctx, "browser", []byte("void"))
	wantCode(t, err, fault.NotFound, "external_login_unknown")
}
