package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/cache"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// identity is what one hub has of tokens: a connection to the database that all
// hubs use, and one to their Redis.
type identity struct {
	*auth.Service
	store  *store.Store
	shared *cache.Redis
}

func newIdentity(t testing.TB, dsn, redisAddr string) identity {
	t.Helper()
	box, err := vault.New(bytes.Repeat([]byte{1}, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), dsn, box, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	r, err := cache.NewRedis(cache.RedisOptions{Address: cache.Address{Host: redisAddr}, Secret: bytes.Repeat([]byte{2}, 32), Tenant: "hub", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	a := auth.New(s, nil, slog.New(slog.DiscardHandler))
	a.Share(newSharedSessions(r, s.CacheEpoch))
	return identity{a, s, r}
}

// TestA38_ARevokedSessionThatIsReplayedIsRefused: somebody writes every value that
// Redis ever had back, all the time; what was revoked at one hub is refused at
// once there, and within five seconds at the other.
func TestA38_ARevokedSessionThatIsReplayedIsRefused(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	dsn := dbtest.Postgres(t)
	one, two := newIdentity(t, dsn, server.Addr()), newIdentity(t, dsn, server.Addr())
	token, info, err := one.Issue(t.Context(), fleet.NewAPIToken{Name: "ann", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	thief := newThief(t, server)
	for _, hub := range []identity{one, two} {
		if got, err := hub.Authenticate(t.Context(), "10.0.0.1", token); err != nil || !got.Admin {
			t.Fatalf("%+v %v", got, err)
		}
		thief.replay()
	}
	if len(thief.stolen) == 0 {
		t.Fatal("nothing was in the Redis")
	}
	revoked := time.Now()
	if err := one.Revoke(t.Context(), info.ID); err != nil {
		t.Fatal(err)
	}
	thief.replay()
	if _, err := one.Authenticate(t.Context(), "10.0.0.1", token); !fault.HasCode(err, "token_invalid") {
		t.Errorf("where it was revoked: %v", err)
	}
	for {
		thief.replay()
		_, err := two.Authenticate(t.Context(), "10.0.0.1", token)
		if fault.HasCode(err, "token_invalid") {
			break
		}
		if time.Since(revoked) > 5*time.Second {
			t.Fatalf("it works after %v: %v", time.Since(revoked), err)
		}
		time.Sleep(50 * time.Millisecond) // an attacker who tries all the time
	}
	t.Logf("refused elsewhere after %v", time.Since(revoked))
	for range 20 { // nor later
		thief.replay()
		for _, hub := range []identity{one, two} {
			if _, err := hub.Recheck(t.Context(), token); !fault.HasCode(err, "token_invalid") {
				t.Errorf("%v", err)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// askedStore counts reads of tokens.
type askedStore struct {
	*store.Store
	asked int
}

func (s *askedStore) APITokenByHash(ctx context.Context, hash []byte) (fleet.APIToken, error) {
	s.asked++
	return s.Store.APITokenByHash(ctx, hash)
}

func TestASessionThatOneHubHasReadIsNotReadByOthers(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	dsn := dbtest.Postgres(t)
	one, two := newIdentity(t, dsn, server.Addr()), newIdentity(t, dsn, server.Addr())
	token, _, err := one.Issue(t.Context(), fleet.NewAPIToken{Name: "ann", Grants: []fleet.Grant{{Project: "p*", Role: fleet.RoleViewer}}})
	if err != nil {
		t.Fatal(err)
	}
	asked := &askedStore{Store: two.store}
	second := auth.New(asked, nil, slog.New(slog.DiscardHandler))
	second.Share(newSharedSessions(two.shared, two.store.CacheEpoch))
	first, err := one.Authenticate(t.Context(), "", token)
	if err != nil {
		t.Fatal(err)
	}
	// The epoch may change between the two; it does not do so all the time.
	for try := 0; ; try++ {
		asked.asked = 0
		got, err := second.Authenticate(t.Context(), "", token)
		if err != nil || got.ID != first.ID || got.Name != "ann" || !reflect.DeepEqual(got.Grants, first.Grants) || !got.ExpiresAt.Equal(first.ExpiresAt) {
			t.Fatalf("%+v %v", got, err)
		}
		if asked.asked == 0 {
			break
		}
		if try == 20 {
			t.Fatal("it is always read again")
		}
		time.Sleep(300 * time.Millisecond) // until neither remembers
		if _, err := one.Authenticate(t.Context(), "", token); err != nil {
			t.Fatal(err)
		}
	}
	// Without the Redis, or with one that hangs, everybody still gets in.
	server.Hang()
	if _, err := newIdentity(t, dsn, server.Addr()).Authenticate(t.Context(), "", token); err != nil {
		t.Error(err)
	}
	server.Wake()
	server.Kill()
	if _, err := newIdentity(t, dsn, server.Addr()).Authenticate(t.Context(), "", token); err != nil {
		t.Error(err)
	}
}

// fill sets every field of a value to something.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1_700_000_000, 5000).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("no example of a %s: nothing says that it survives the cache", v.Type())
	}
}

func TestNothingOfATokenIsLostInTheCache(t *testing.T) {
	var full fleet.APIToken
	fill(t, reflect.ValueOf(&full).Elem())
	s := newSharedSessions(cache.NewMemory(1<<20, nil), func(context.Context, bool) (string, error) { return "epoch", nil })
	for _, token := range []fleet.APIToken{full, {}} {
		_, _, stamp := s.Recall(t.Context(), []byte("hash"))
		s.Remember(t.Context(), []byte("hash"), token, stamp)
		if got, ok, _ := s.Recall(t.Context(), []byte("hash")); !ok || !reflect.DeepEqual(got, token) {
			t.Errorf("%v %+v\nwant %+v", ok, got, token)
		}
	}
	if _, ok, _ := s.Recall(t.Context(), []byte("another")); ok {
		t.Error("another's")
	}
}

func TestShapesOfValuesAreTold(t *testing.T) {
	type a struct{ X, Y int }
	type inner struct{ Z string }
	type b struct{ I []inner }
	shapes := map[string]reflect.Type{}
	for _, v := range []any{a{}, struct{ X int }{}, struct{ Y, X int }{}, struct{ X, Y string }{}, b{}, struct{ I []*inner }{}, fleet.APIToken{}} {
		s := shapeOf(reflect.TypeOf(v))
		if other, ok := shapes[s]; ok {
			t.Errorf("%v and %T", other, v)
		}
		shapes[s] = reflect.TypeOf(v)
	}
}

func TestAPasswordForRedisIsNotAnArgument(t *testing.T) {
	t.Setenv("REDIS_URL", "redis://:s3cr@h")
	for url, want := range map[string]string{"": "redis://:s3cr@h", "redis://ann@h": "redis://ann@h"} {
		if got, err := (&Config{RedisURL: url}).redisURL(); err != nil || got != want {
			t.Errorf("%q: %q %v", url, got, err)
		}
	}
	if _, err := (&Config{RedisURL: "redis://:s3cr@h"}).redisURL(); !fault.HasCode(err, "config_invalid") {
		t.Errorf("%v", err)
	}
}

// TestTheSecretOfTheCacheOutlivesARotationOfTheKey: what names and seals values in
// the Redis is sealed anew with the rest by hawser-hub keys rotate, stays the same,
// and a hub that starts after it finds what one had put there before.
func TestTheSecretOfTheCacheOutlivesARotationOfTheKey(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	dsn := dbtest.Postgres(t)
	t.Setenv("HAWSER_VAULT_KEY_FILE", "")
	t.Setenv(vault.EnvKey, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, vault.KeySize)))
	keys := Keys{Output: "json"}
	flags := pflag.NewFlagSet("keys", pflag.ContinueOnError)
	keys.Flags(flags)
	keys.RotateFlags(flags)
	if err := flags.Parse([]string{"--data", t.TempDir(), "--database-url", dsn, "--output", "json"}); err != nil {
		t.Fatal(err)
	}
	// starts is how a hub comes by its cache.
	starts := func() (*cache.Redis, []byte) {
		t.Helper()
		box, _, err := keys.Config.openVault()
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(t.Context(), dsn, box, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.LearnKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		if secret, err = s.PutSecretOnce(t.Context(), cacheSecret, secret); err != nil {
			t.Fatal(err)
		}
		r, err := cache.NewRedis(cache.RedisOptions{Address: cache.Address{Host: server.Addr()}, Secret: secret, Tenant: "hub", Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r, secret
	}
	sealed := func() (out []byte) {
		t.Helper()
		db, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close(t.Context())
		if err := db.QueryRow(t.Context(), "SELECT sealed FROM secrets WHERE name = $1", cacheSecret).Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	space := cache.Space{Name: "s", Schema: "1", TTL: time.Minute}
	before, secret := starts()
	before.Put(t.Context(), space, "k", []byte("value"))
	row := sealed()
	if err := keys.Rotate(t.Context(), io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(sealed(), row) {
		t.Error("the row is not sealed anew")
	}
	if err := keys.Retire(t.Context(), io.Discard, io.Discard); err != nil {
		t.Fatalf("something is still sealed with the old version: %v", err)
	}
	after, same := starts()
	if !bytes.Equal(same, secret) {
		t.Error("another secret: hubs do not find each other's values")
	}
	if v, ok := after.Get(t.Context(), space, "k"); !ok || string(v) != "value" {
		t.Errorf("%q %v", v, ok)
	}
}

// TestAnswersOfAnotherBuildAreNotTaken: nor those of one kind for another's.
func TestAnswersOfAnotherBuildAreNotTaken(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	shared, err := cache.NewRedis(cache.RedisOptions{Address: cache.Address{Host: server.Addr()}, Secret: bytes.Repeat([]byte{2}, 32), Tenant: "hub", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	version := telemetry.Version
	defer func() { telemetry.Version = version }()
	hub := func(build string) (trees cache.Part, pages pages, results cache.Part) {
		telemetry.Version = build
		c := caches{memory: cache.NewMemory(1<<20, nil), answers: cache.NewMemory(1<<20, nil), shared: shared}
		return c.trees(), c.pages(), c.results()
	}
	found := func(build string) string {
		trees, pages, results := hub(build)
		_, tree := trees.Get(t.Context(), "name")
		_, own := pages.Get(t.Context(), "name", false)
		_, page := pages.Get(t.Context(), "name", true)
		_, result := results.Get(t.Context(), "name")
		return fmt.Sprint(tree, own, page, result)
	}
	trees, pages, _ := hub("one")
	trees.Put(t.Context(), "name", []byte("tree"))
	pages.Put(t.Context(), "name", []byte("page"), false)
	if got := found("one"); got != "true false false false" {
		t.Errorf("what a hub keeps for itself is with others, or of another kind: %s", got)
	}
	pages.Put(t.Context(), "name", []byte("page"), true)
	if got := found("one"); got != "true false true false" {
		t.Errorf("of the same build: %s", got)
	}
	if got := found("two"); got != "false false false false" {
		t.Errorf("of another build: %s", got)
	}
}
