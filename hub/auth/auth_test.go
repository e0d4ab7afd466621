package auth

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/auth/authtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// memoryStore is a Store in memory.
type memoryStore struct {
	authtest.Identity
	mu     sync.Mutex
	tokens []fleet.APIToken
	asked  int
	err    error
}

func (m *memoryStore) CreateAPIToken(_ context.Context, t fleet.APIToken) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.tokens = append(m.tokens, t)
	return nil
}

func (m *memoryStore) APITokenByHash(_ context.Context, hash []byte) (fleet.APIToken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.err != nil {
		return fleet.APIToken{}, m.err
	}
	for _, t := range m.tokens {
		if bytes.Equal(t.Hash, hash) {
			return t, nil
		}
	}
	return fleet.APIToken{}, fault.New(fault.NotFound, "api_token_unknown", "no such token")
}

func (m *memoryStore) APITokenByID(_ context.Context, id string) (fleet.APIToken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tokens {
		if t.ID == id {
			return t, nil
		}
	}
	return fleet.APIToken{}, fault.New(fault.NotFound, "api_token_unknown", "no such token")
}

func (m *memoryStore) APITokens(context.Context) ([]fleet.APIToken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]fleet.APIToken(nil), m.tokens...), m.err
}

func (m *memoryStore) DeleteAPIToken(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, t := range m.tokens {
		if t.ID == id {
			m.tokens = append(m.tokens[:i], m.tokens[i+1:]...)
			return nil
		}
	}
	return fault.New(fault.NotFound, "api_token_unknown", "no such token")
}

type world struct {
	*Service
	store *memoryStore
	time  time.Time
	log   *bytes.Buffer
	roles map[string]bool // project/role
}

func newWorld() *world {
	w := &world{store: &memoryStore{}, time: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), log: &bytes.Buffer{}}
	w.store.Now, w.store.Token = func() time.Time { return w.time }, w.store.CreateAPIToken
	w.store.Role = func(project, role string) error {
		if !w.roles[project+"/"+role] {
			return fleet.RoleUnknown(project, role)
		}
		return nil
	}
	w.Service = New(w.store, w.store.Now, slog.New(slog.NewTextHandler(w.log, nil)))
	w.hasher = newHasher(cost{memory: 8, time: 1, threads: 1}) // tests need not be slow to guess
	return w
}

func newCode(t *testing.T, w *world) string {
	t.Helper()
	code, err := w.NewLoginCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if !fault.HasCode(err, code) {
		t.Fatalf("got %v, want code %s", err, code)
	}
}

func TestFirstLogin(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	code, err := w.Bootstrap(ctx)
	if err != nil || !strings.HasPrefix(code, "hwl_") {
		t.Fatalf("code %q, %v", code, err)
	}
	token, info, err := w.Login(ctx, "a", " "+code+"\n")
	if err != nil || !strings.HasPrefix(token, "hwt_") || !info.Admin || info.Name != "admin" {
		t.Fatalf("token %q, %+v, %v", token, info, err)
	}
	if got := info.ExpiresAt.Sub(w.time); got != DefaultLifetime {
		t.Errorf("lives %v", got)
	}
	if who, err := w.Authenticate(ctx, "a", token); err != nil || who.ID != info.ID {
		t.Errorf("got %+v, %v", who, err)
	}
	_, _, err = w.Login(ctx, "a", code)
	wantCode(t, err, "login_code_invalid")
	if code, err := w.Bootstrap(ctx); code != "" || err != nil {
		t.Errorf("a hub with a valid token made the code %q, %v", code, err)
	}
	for _, secret := range []string{code, token, strings.TrimPrefix(token, "hwt_")} {
		if strings.Contains(w.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
	for _, tok := range w.store.tokens {
		if strings.Contains(fmt.Sprintf("%+v %s", tok, tok.Hash), token) {
			t.Error("the token itself is stored")
		}
	}
}

func TestCodesExpire(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	code := newCode(t, w)
	w.time = w.time.Add(CodeLifetime)
	_, _, err := w.Login(ctx, "a", code)
	wantCode(t, err, "login_code_expired")
	_, _, err = w.Login(ctx, "a", code)
	wantCode(t, err, "login_code_invalid")
}

func TestANewCodeVoidsTheOld(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	old, code := newCode(t, w), newCode(t, w)
	_, _, err := w.Login(ctx, "a", old)
	wantCode(t, err, "login_code_invalid")
	if _, _, err := w.Login(ctx, "a", code); err != nil {
		t.Error(err)
	}
}

func TestNoCodeNoLogin(t *testing.T) {
	w := newWorld()
	for _, code := range []string{"", "hwl_", strings.Repeat("\x00", 32)} {
		_, _, err := w.Login(t.Context(), code, code)
		wantCode(t, err, "login_code_invalid")
	}
}

func TestACodeIsRedeemedOnce(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	code := newCode(t, w)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 20 {
		wg.Go(func() {
			if _, _, err := w.Login(ctx, fmt.Sprint(i), code); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("redeemed %d times", won)
	}
}

func TestACodeSurvivesADatabaseThatIsAway(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	code := newCode(t, w)
	w.store.err = fault.New(fault.Unavailable, "db_unavailable", "away")
	_, _, err := w.Login(ctx, "a", code)
	wantCode(t, err, "db_unavailable")
	w.store.err = nil
	if _, _, err := w.Login(ctx, "a", code); err != nil {
		t.Error(err)
	}
}

func TestAnExpiredTokenMeansANewCode(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	if _, _, err := w.Issue(ctx, fleet.NewAPIToken{Name: "ci", Lifetime: time.Hour, Admin: true}); err != nil {
		t.Fatal(err)
	}
	w.time = w.time.Add(time.Hour)
	if code, err := w.Bootstrap(ctx); code == "" || err != nil {
		t.Errorf("got %q, %v", code, err)
	}
}

func TestRefusedTokens(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	token, _, err := w.Issue(ctx, fleet.NewAPIToken{Name: "ci", Lifetime: 0, Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newSecret(tokenPrefix)
	code, _ := newSecret(codePrefix)
	from := 0
	for name, c := range map[string]struct{ token, code string }{
		"none":         {"", "token_missing"},
		"unknown":      {other, "token_invalid"},
		"a code":       {code, "token_invalid"},
		"cut":          {token[:len(token)-1], "token_invalid"},
		"one changed":  {token[:10] + "!" + token[11:], "token_invalid"},
		"with a space": {token + " ", "token_invalid"},
		"huge":         {strings.Repeat("x", 1<<20), "token_invalid"},
	} {
		from++
		_, err := w.Authenticate(ctx, fmt.Sprintf("192.0.2.%d", from), c.token)
		if !fault.HasCode(err, c.code) || !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	asked := w.store.asked
	w.Authenticate(ctx, "x", token[:len(token)-1]+"x")
	if w.store.asked != asked {
		t.Error("a malformed token was looked up")
	}
	w.time = w.time.Add(DefaultLifetime)
	_, err = w.Authenticate(ctx, "a", token)
	wantCode(t, err, "token_expired")
}

func TestADatabaseThatIsAwayIsNoFailedAttempt(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	token, _, _ := w.Issue(ctx, fleet.NewAPIToken{Name: "ci", Lifetime: 0, Admin: true})
	w.store.err = fault.New(fault.Unavailable, "db_unavailable", "away")
	for range 3 * maxFailures {
		_, err := w.Authenticate(ctx, "a", token)
		wantCode(t, err, "db_unavailable")
	}
	w.store.err = nil
	if _, err := w.Authenticate(ctx, "a", token); err != nil {
		t.Error(err)
	}
}

// Guesses at tokens and codes are counted in the database: a restart, and asking
// another hub, forgets none.
func TestA04_GuessesAtTokensAndCodesAreCountedForEveryHub(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	code := newCode(t, w)
	token, _, _ := w.Issue(ctx, fleet.NewAPIToken{Name: "ci", Lifetime: 0, Admin: true})
	for range maxFailures {
		_, _, err := w.Login(ctx, "192.0.2.1", "hwl_wrong")
		wantCode(t, err, "login_code_invalid")
	}
	restarted := New(w.store, w.store.Now, w.log2())
	for name, hub := range map[string]*Service{"the same": w.Service, "another, or after a restart": restarted} {
		_, _, err := hub.Login(ctx, "192.0.2.1", code)
		wantCode(t, err, "too_many_attempts")
		_, err = hub.Authenticate(ctx, "192.0.2.1", "hwt_wrong")
		wantCode(t, err, "too_many_attempts")
		if wait := fault.As(err).RetryAfter; wait <= 0 || wait > attemptWindow {
			t.Errorf("%s: to be tried again after %s", name, wait)
		}
		if _, err := hub.Authenticate(ctx, "192.0.2.1", token); err != nil {
			t.Errorf("%s: a valid token was refused for what others tried: %v", name, err)
		}
	}
	// What is blocked is not written any more.
	count, _, _ := w.store.CountAttempt(ctx, "secret 192.0.2.1", attemptWindow)
	for range 50 {
		_, err := w.Authenticate(ctx, "192.0.2.1", "hwt_wrong")
		wantCode(t, err, "too_many_attempts")
	}
	if now, _, _ := w.store.CountAttempt(ctx, "secret 192.0.2.1", attemptWindow); now != count+1 {
		t.Errorf("%d writes for 50 tokens of a blocked address", now-count-1)
	}
	if _, _, err := w.Login(ctx, "192.0.2.2", code); err != nil {
		t.Errorf("another address was refused: %v", err)
	}
	w.time = w.time.Add(attemptWindow)
	_, _, err := w.Login(ctx, "192.0.2.1", "hwl_wrong")
	wantCode(t, err, "login_code_invalid")
}

func TestWhoIsBlockedIsRememberedUpToABound(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	for i := range maxBlocked + 100 {
		from := fmt.Sprintf("10.%d.%d.1", i>>8, i&255)
		for range maxFailures + 1 {
			w.Authenticate(ctx, from, "hwt_wrong")
		}
		if i%1000 == 0 || i > maxBlocked {
			_, err := w.Authenticate(ctx, from, "hwt_wrong")
			wantCode(t, err, "too_many_attempts")
		}
	}
	if n := len(w.blocked.by); n != maxBlocked {
		t.Errorf("%d networks are kept", n)
	}
	w.time = w.time.Add(attemptWindow)
	for range maxFailures + 1 {
		w.Authenticate(ctx, "192.0.2.7", "hwt_wrong")
	}
	if n := len(w.blocked.by); n != 1 {
		t.Errorf("%d networks are kept after their time", n)
	}
}

func TestRevokedTokens(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	token, info, _ := w.Issue(ctx, fleet.NewAPIToken{Name: "ci", Lifetime: 0, Admin: true})
	if _, err := w.Authenticate(ctx, "a", token); err != nil {
		t.Fatal(err)
	}
	if err := w.Revoke(ctx, info.ID); err != nil {
		t.Fatal(err)
	}
	_, err := w.Authenticate(ctx, "a", token)
	wantCode(t, err, "token_invalid")
	wantCode(t, w.Revoke(ctx, info.ID), "api_token_unknown")

	// Revoked at another replica: noticed when the memory ends.
	token, info, _ = w.Issue(ctx, fleet.NewAPIToken{Name: "ci", Lifetime: 0, Admin: true})
	w.Authenticate(ctx, "a", token)
	if err := w.store.DeleteAPIToken(ctx, info.ID); err != nil {
		t.Fatal(err)
	}
	w.time = w.time.Add(remembered)
	_, err = w.Authenticate(ctx, "a", token)
	wantCode(t, err, "token_invalid")
}

func TestLifetimes(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	for _, bad := range []time.Duration{-time.Hour, time.Second, MaxLifetime + time.Second} {
		_, _, err := w.Issue(ctx, fleet.NewAPIToken{Name: "x", Lifetime: bad, Admin: true})
		wantCode(t, err, "lifetime_invalid")
	}
	if _, info, err := w.Issue(ctx, fleet.NewAPIToken{Name: "x", Lifetime: MaxLifetime, Admin: true}); err != nil || info.ExpiresAt.Sub(w.time) != MaxLifetime {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestListedTokensHaveNoHash(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.Issue(ctx, fleet.NewAPIToken{Name: "x", Lifetime: 0, Admin: true})
	tokens, err := w.Tokens(ctx)
	if err != nil || len(tokens) != 1 || tokens[0].Hash != nil {
		t.Errorf("%+v, %v", tokens, err)
	}
	if w.store.tokens[0].Hash == nil {
		t.Error("the stored hash was cleared")
	}
}

func TestSecretsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s, _ := newSecret(tokenPrefix)
		if seen[s] || !wellFormed(tokenPrefix, s) || wellFormed(codePrefix, s) {
			t.Fatalf("secret %q", s)
		}
		seen[s] = true
	}
}

// A stream that asks again about its own token guesses nothing.
func TestRecheckIsNoAttempt(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	token, info, _ := w.Issue(ctx, fleet.NewAPIToken{Name: "ci", Lifetime: 0, Admin: true})
	if who, err := w.Recheck(ctx, token); err != nil || who.ID != info.ID {
		t.Fatalf("%+v, %v", who, err)
	}
	if err := w.Revoke(ctx, info.ID); err != nil {
		t.Fatal(err)
	}
	for range 2 * maxFailures {
		_, err := w.Recheck(ctx, token)
		wantCode(t, err, "token_invalid")
	}
	_, err := w.Authenticate(ctx, "a", token)
	wantCode(t, err, "token_invalid")
}

func (w *world) log2() *slog.Logger { return slog.New(slog.NewTextHandler(w.log, nil)) }

// stored is the hash of the only user's password.
func (w *world) stored(t *testing.T) string {
	t.Helper()
	users, err := w.store.Users(t.Context())
	if err != nil || len(users) != 1 {
		t.Fatalf("%d users, %v", len(users), err)
	}
	return users[0].Password
}
