package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// replica is a store of its own on a database, as another hub has it.
func replica(t testing.TB, dsn string, key []byte, opts Options) *Store {
	t.Helper()
	box, err := vault.New(key)
	must(t, err)
	s, err := Open(t.Context(), dsn, box, opts)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func vaultKeyBytes() []byte {
	key := make([]byte, vault.KeySize)
	_, _ = rand.Read(key)
	return key
}

// sealSome stores a value in every sealed column.
func sealSome(t testing.TB, s *Store, n int) {
	t.Helper()
	ctx := t.Context()
	for i := range n {
		_, err := s.PutSecretOnce(ctx, fmt.Sprintf("key-%d", i), fmt.Appendf(nil, "CANARY-secret-%d", i))
		must(t, err)
		_, err = s.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{URL: fmt.Sprintf("https://git.example/%d", i)}, Credential: &fleet.Credential{Username: "u", Password: fmt.Sprintf("CANARY-repository-%d", i)}})
		must(t, err)
		_, err = s.UpsertRepositoryTemplate(ctx, fleet.RepositoryTemplate{RepositoryTemplate: model.RepositoryTemplate{URL: fmt.Sprintf("https://git.example/t%d", i)}, Credential: &fleet.Credential{Username: "u", Password: fmt.Sprintf("CANARY-template-%d", i)}})
		must(t, err)
		must(t, s.PutBundles(ctx, []fleet.Bundle{{Digest: model.Digest(fmt.Sprintf("d-%d", i)), Encoded: fmt.Appendf(nil, "CANARY-bundle-%d", i), Objects: 1}}))
	}
	_, err := s.OfferFirstLogin(ctx, fleet.FirstLogin{Code: "CANARY-code", Hash: []byte("h"), ExpiresAt: s.now().Add(time.Hour)}, false)
	must(t, err)
}

// checkAll reads what sealSome stored.
func checkAll(t testing.TB, s *Store, n int) {
	t.Helper()
	ctx := t.Context()
	for i := range n {
		if got, err := s.Secret(ctx, fmt.Sprintf("key-%d", i)); err != nil || string(got) != fmt.Sprintf("CANARY-secret-%d", i) {
			t.Fatalf("secret %d: %q %v", i, got, err)
		}
		for url, want := range map[string]string{"": "repository", "t": "template"} {
			c, err := s.CredentialFor(ctx, fmt.Sprintf("https://git.example/%s%d", url, i))
			if err != nil || c == nil || c.Password != fmt.Sprintf("CANARY-%s-%d", want, i) {
				t.Fatalf("%s %d: %v %v", want, i, c, err)
			}
		}
		if got, err := s.Bundle(ctx, model.Digest(fmt.Sprintf("d-%d", i))); err != nil || string(got) != fmt.Sprintf("CANARY-bundle-%d", i) {
			t.Fatalf("bundle %d: %q %v", i, got, err)
		}
	}
	f, err := s.OfferFirstLogin(ctx, fleet.FirstLogin{Code: "another", Hash: []byte("x"), ExpiresAt: s.now().Add(time.Hour)}, false)
	if err != nil || f.Code != "CANARY-code" {
		t.Fatalf("login code: %v", err)
	}
}

// onlyUnder fails unless the version that seals has sealed everything.
func onlyUnder(t testing.TB, s *Store) {
	t.Helper()
	status, err := s.KeyStatus(t.Context())
	must(t, err)
	for _, k := range status.Keys {
		if k.State != fleet.KeySealing && k.Count() > 0 {
			t.Errorf("version %s (%s) has sealed %v", k.Version, k.State, k.Values)
		}
		if k.State == fleet.KeySealing && k.Count() == 0 {
			t.Error("nothing is sealed with the version that seals")
		}
	}
}

func resealAll(ctx context.Context, s *Store) (damaged []string, err error) {
	for {
		r, err := s.Reseal(ctx)
		if err != nil || !r.More && !r.Busy {
			return r.Damaged, err
		}
		if r.Busy { // the connection of one that died ends in a moment
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// A column of bytes is sealed, or is said here to hold no secret; and every sealed
// one has what rotation needs.
func TestEveryColumnOfBytesIsSealedOrNoSecret(t *testing.T) {
	open := map[string]string{
		"hub.incarnation_signature": "a signature, which agents are shown",
		"api_tokens.hash":           "SHA-256 of 190 random bits",
		"enrolment_tokens.hash":     "SHA-256 of random bits",
		"role_tokens.hash":          "SHA-256 of 190 random bits",
		"login_sessions.hash":       "SHA-256 of random bits",
		"first_login.hash":          "SHA-256 of random bits",
		"external_logins.hash":      "SHA-256 of 256 random bits",
		"requests.digest":           "SHA-256 of a command, its kinds are those of the next line",
		"requests.answer":           "answers of commands to applications; see TestNoKeyedAnswerHoldsASecret",
		"jobs.digest":               "SHA-256 of a command",
		"audit.hash":                "what holds the chain together",
		"audit.signature":           "a signature",
		"audit_exports.hash":        "of the last record of the chain that a receiver has",
		"vault_keys.version":        "the name of a key",
		"vault_keys.wrapped":        "sealed with the key file's key, see vault.Box.Learn",
		"vault_readers.versions":    "names of keys",
	}
	b := setup(t)
	rows, err := b.pool.Query(t.Context(), `SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND (c.udt_name IN ('bytea', '_bytea')) AND c.table_name !~ '^audit_[0-9]'`)
	must(t, err)
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	for _, c := range columns {
		sealed := slices.ContainsFunc(sealedColumns, func(s sealedColumn) bool { return s.name == c })
		if _, known := open[c]; known == sealed {
			t.Errorf("the column %s: sealed %v, known as open %v", c, sealed, known)
		}
	}
	for _, c := range sealedColumns {
		if !slices.Contains(columns, c.name) {
			t.Errorf("there is no column %s", c.name)
		}
		q("SealedOtherwise " + c.name)
		q("Reseal " + c.name)
		if !strings.Contains(q("SealedCounts"), "'"+c.name+"'") {
			t.Errorf("%s is not counted", c.name)
		}
		table, column, _ := strings.Cut(c.name, ".")
		if n := b.count(`SELECT count(*) FROM pg_trigger WHERE tgrelid = '` + table + `'::regclass AND tgfoid = 'vault_check_` + column + `'::regproc AND tgenabled = 'O'`); n != 1 {
			t.Errorf("%s has %d triggers that refuse retired versions", c.name, n)
		}
	}
}

// Nothing lies in any table in the clear, in whatever column.
func TestNoSealedValueLiesInTheClear(t *testing.T) {
	b := setup(t)
	sealSome(t, b.Store, 2)
	rows, err := b.pool.Query(t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'`)
	must(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	for _, name := range tables {
		table := pgx.Identifier{name}.Sanitize()
		for _, word := range []string{"CANARY", "Q0FOQVJZ", fmt.Sprintf("%x", "CANARY")} {
			if n := b.count(`SELECT count(*) FROM ` + table + ` AS r WHERE position('` + word + `' IN r::text) > 0`); n > 0 {
				t.Errorf("%s has %d rows with %s", name, n, word)
			}
		}
	}
}

// A value that was put into another row or column does not open, and takes nothing
// else down.
func TestSwappedValuesFailAlone(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		t.Run(fmt.Sprint("rotated ", rotated), func(t *testing.T) {
			b := setup(t)
			ctx := t.Context()
			sealSome(t, b.Store, 4)
			if rotated {
				_, err := b.AnnounceKey(ctx)
				must(t, err)
				if done, _, err := b.UseAnnouncedKey(ctx); err != nil || !done {
					t.Fatal(done, err)
				}
				if damaged, err := resealAll(ctx, b.Store); err != nil || len(damaged) > 0 {
					t.Fatal(damaged, err)
				}
			}
			swap := func(sql string) {
				t.Helper()
				tag, err := b.pool.Exec(ctx, sql)
				must(t, err)
				if tag.RowsAffected() == 0 {
					t.Fatalf("nothing was swapped by %s", sql)
				}
			}
			swap(`UPDATE secrets s SET sealed = o.sealed FROM secrets o WHERE s.name = 'key-0' AND o.name = 'key-1'`)
			swap(`UPDATE bundles s SET sealed = o.sealed FROM bundles o WHERE s.digest = 'd-0' AND o.digest = 'd-1'`)
			swap(`UPDATE repositories s SET credential = o.credential FROM repositories o WHERE s.url LIKE '%/0' AND o.url LIKE '%/1'`)
			swap(`UPDATE repository_templates s SET credential = o.credential FROM repositories o WHERE s.url LIKE '%/t0' AND o.url LIKE '%/1'`)
			swap(`UPDATE first_login SET sealed = o.sealed FROM secrets o WHERE o.name = 'key-1'`)
			_, err := b.Secret(ctx, "key-0")
			wantCode(t, err, fault.Internal, "vault_value_damaged")
			_, err = b.Bundle(ctx, "d-0")
			wantCode(t, err, fault.Internal, "vault_value_damaged")
			_, err = b.CredentialFor(ctx, "https://git.example/0")
			wantCode(t, err, fault.Internal, "vault_value_damaged")
			_, err = b.CredentialFor(ctx, "https://git.example/t0")
			wantCode(t, err, fault.Internal, "vault_value_damaged")
			// Lists and all else are as they were.
			if list, err := b.Repositories(ctx); err != nil || len(list) != 4 {
				t.Errorf("%d repositories, %v", len(list), err)
			}
			for i := 1; i < 4; i++ {
				if _, err := b.CredentialFor(ctx, fmt.Sprintf("https://git.example/%d", i)); err != nil {
					t.Error(err)
				}
				if _, err := b.Bundle(ctx, model.Digest(fmt.Sprintf("d-%d", i))); err != nil {
					t.Error(err)
				}
			}
			// A rotation seals the others anew and names those.
			_, err = b.AnnounceKey(ctx)
			must(t, err)
			_, _, err = b.UseAnnouncedKey(ctx)
			must(t, err)
			damaged, err := resealAll(ctx, b.Store)
			must(t, err)
			if len(damaged) != 5 {
				t.Errorf("damaged: %v", damaged)
			}
			_, held, err := b.RetireKeys(ctx)
			must(t, err)
			if len(held) != 1 {
				t.Errorf("held: %v", held)
			}
		})
	}
}

// Everything is sealed anew while two hubs read and write, and a third one that
// slept through all of it is not believed.
func TestKeysRotateUnderLoad(t *testing.T) {
	dsn, key := dbtest.Postgres(t), vaultKeyBytes()
	a, b, asleep := replica(t, dsn, key, Options{}), replica(t, dsn, key, Options{}), replica(t, dsn, key, Options{})
	ctx := t.Context()
	sealSome(t, a, 60)
	must(t, asleep.LearnKeys(ctx))
	must(t, a.ReadKeys(ctx, "a"))
	must(t, b.ReadKeys(ctx, "b"))

	stop := make(chan struct{})
	var hammering sync.WaitGroup
	var reads, writes atomic.Int64
	for n, s := range []*Store{a, b} {
		hammering.Go(func() { // writes new values and over old ones
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				url := fmt.Sprintf("https://git.example/w%d/%d", n, i%20)
				_, err := s.UpsertRepository(ctx, fleet.Repository{Repository: model.Repository{URL: url}, Credential: &fleet.Credential{Password: fmt.Sprint(i)}})
				if err != nil {
					t.Errorf("write: %v", err)
					return
				}
				c, err := s.CredentialFor(ctx, url)
				if err != nil || c == nil || c.Password != fmt.Sprint(i) {
					t.Errorf("what was written is not read: %v %v", c, err)
					return
				}
				if err := s.PutBundles(ctx, []fleet.Bundle{{Digest: model.Digest(fmt.Sprintf("w-%d-%d", n, i)), Encoded: []byte("b"), Objects: 1}}); err != nil {
					t.Errorf("write a bundle: %v", err)
					return
				}
				writes.Add(1)
			}
		})
		hammering.Go(func() {
			for i := 0; ; i = (i + 1) % 60 {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := s.Bundle(ctx, model.Digest(fmt.Sprintf("d-%d", i))); err != nil || string(got) != fmt.Sprintf("CANARY-bundle-%d", i) {
					t.Errorf("read: %q %v", got, err)
					return
				}
				reads.Add(1)
			}
		})
	}
	for round := range 3 {
		before := a.box.Primary()
		version, err := a.AnnounceKey(ctx)
		must(t, err)
		if again, err := b.AnnounceKey(ctx); err != nil || again != version {
			t.Fatalf("announced twice: %s and %s, %v", version, again, err)
		}
		must(t, a.ReadKeys(ctx, "a"))
		must(t, replicaSays(t, b, "b", before))
		if done, waiting, err := a.UseAnnouncedKey(ctx); err != nil || done || !slices.Equal(waiting, []string{"b"}) {
			t.Fatalf("round %d: sealed with it before b has it: %v %v %v", round, done, waiting, err)
		}
		must(t, b.ReadKeys(ctx, "b"))
		if done, waiting, err := a.UseAnnouncedKey(ctx); err != nil || !done {
			t.Fatalf("round %d: %v %v", round, waiting, err)
		}
		// b learns it when it reads the versions next; until then what it seals is
		// under the old one.
		if _, err := resealAll(ctx, a); err != nil {
			t.Fatal(err)
		}
		must(t, b.ReadKeys(ctx, "b"))
		for { // b may have sealed something until now
			_, err := resealAll(ctx, b)
			must(t, err)
			retired, held, err := a.RetireKeys(ctx)
			must(t, err)
			if len(held) == 0 {
				if len(retired) != 1 {
					t.Fatalf("retired %v", retired)
				}
				break
			}
		}
		onlyUnder(t, a)
	}
	close(stop)
	hammering.Wait()
	if reads.Load() == 0 || writes.Load() == 0 {
		t.Errorf("%d reads, %d writes", reads.Load(), writes.Load())
	}
	onlyUnder(t, b)
	checkAll(t, a, 60)
	checkAll(t, replica(t, dsn, key, Options{}), 60) // one that starts now

	// What the sleeper seals with what it knows is refused by the database, and sealed
	// again with what it learns then.
	if asleep.box.Primary() == a.box.Primary() {
		t.Fatal("it did not sleep")
	}
	stale, err := asleep.box.Seal([]byte("v"), secretPlace("late"))
	must(t, err)
	_, err = a.pool.Exec(ctx, q("PutSecretOnce"), "late", stale, a.now())
	if sqlState(err) != codeKeyRetired {
		t.Fatalf("a value under a retired version was taken: %v", err)
	}
	if got, err := asleep.PutSecretOnce(ctx, "late", []byte("v")); err != nil || string(got) != "v" {
		t.Fatal(err)
	}
	checkAll(t, asleep, 60)
	onlyUnder(t, a)
	// The keys that are gone are gone, and the file's alone opens none of what there is.
	var kept int
	must(t, a.pool.QueryRow(ctx, `SELECT count(*) FROM vault_keys WHERE wrapped IS NOT NULL`).Scan(&kept))
	if kept != 1 {
		t.Errorf("%d keys are kept", kept)
	}
}

// replicaSays makes a hub look as if it had not learnt anything since a version.
func replicaSays(t testing.TB, s *Store, instance string, version uint32) error {
	t.Helper()
	_, err := s.pool.Exec(t.Context(), q("ReadKeys"), instance, [][]byte{versionBytes(version)})
	return err
}

// The key file's own key is exchanged: the new one is added, made the first, and the
// old one removed.
func TestTheKeyFileIsExchanged(t *testing.T) {
	dsn, before, after := dbtest.Postgres(t), vaultKeyBytes(), vaultKeyBytes()
	ctx := t.Context()
	with := func(keys ...[]byte) *Store {
		box, err := vault.New(keys...)
		must(t, err)
		s, err := Open(ctx, dsn, box, Options{})
		must(t, err)
		t.Cleanup(s.Close)
		return s
	}
	rotate := func(s *Store) {
		t.Helper()
		must(t, s.LearnKeys(ctx))
		_, err := s.AnnounceKey(ctx)
		must(t, err)
		_, _, err = s.UseAnnouncedKey(ctx)
		must(t, err)
		_, err = resealAll(ctx, s)
		must(t, err)
		_, held, err := s.RetireKeys(ctx)
		if err != nil || len(held) > 0 {
			t.Fatal(held, err)
		}
	}
	first := with(before)
	sealSome(t, first, 3)
	rotate(first)
	rotate(with(after, before))
	last := with(after)
	must(t, last.LearnKeys(ctx))
	checkAll(t, last, 3)
	onlyUnder(t, last)
	wantCode(t, with(before).LearnKeys(ctx), fault.Internal, "vault_key_unknown")
}

// killer ends its process before or after one of its statements.
type killer struct {
	at    int64
	after bool
	n     atomic.Int64
}

func (k *killer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if k.n.Add(1) == k.at && !k.after {
		k.kill()
	}
	return ctx
}

func (k *killer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {
	if k.n.Load() == k.at && k.after {
		k.kill()
	}
}

func (k *killer) kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

const rotating = "HAWSER_TEST_ROTATE" // database, key, statement, "after" or "before"

// rotateInChild is the process that the next test kills; TestMain starts it.
func rotateInChild(order []string) error {
	if len(order) != 4 {
		return fmt.Errorf("%q is no order", order)
	}
	key, err := base64.StdEncoding.DecodeString(order[1])
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(order[2], 10, 64)
	if err != nil {
		return err
	}
	box, err := vault.New(key)
	if err != nil {
		return err
	}
	ctx := context.Background()
	s, err := Open(ctx, order[0], box, Options{tracer: &killer{at: at, after: order[3] == "after"}})
	if err != nil {
		return err
	}
	defer s.Close()
	return rotateAll(ctx, s)
}

func rotateAll(ctx context.Context, s *Store) error {
	if _, err := s.AnnounceKey(ctx); err != nil {
		return err
	}
	if _, _, err := s.UseAnnouncedKey(ctx); err != nil {
		return err
	}
	if _, err := resealAll(ctx, s); err != nil {
		return err
	}
	_, _, err := s.RetireKeys(ctx)
	return err
}

// The process that rotates is killed before and after its every statement; after
// each death everything is readable, by one that runs and by one that starts. In the
// end one rotation leaves nothing under an old key.
func TestKeysRotateUnderKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process for each statement")
	}
	dsn, key := dbtest.Postgres(t), vaultKeyBytes()
	running := replica(t, dsn, key, Options{})
	const n = 1
	sealSome(t, running, n)
	killed, whole := 0, 0
	for at := 1; whole < 2; at += 1 + at/20 {
		for _, when := range []string{"before", "after"} {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %s", rotating, dsn, base64.StdEncoding.EncodeToString(key), at, when))
			out, err := cmd.CombinedOutput()
			state := cmd.ProcessState.Sys().(syscall.WaitStatus)
			switch {
			case err == nil:
				whole++
			case state.Signaled() && state.Signal() == syscall.SIGKILL:
				killed++
			default:
				t.Fatalf("statement %d, %s: %v\n%s", at, when, err, out)
			}
			checkAll(t, running, n)
		}
		starting := replica(t, dsn, key, Options{})
		checkAll(t, starting, n)
		starting.Close()
		if at > 500 {
			t.Fatal("it does not end")
		}
	}
	if killed < 20 {
		t.Errorf("%d deaths only", killed)
	}
	t.Logf("%d deaths, %d rotations", killed, whole)
	must(t, rotateAll(t.Context(), running))
	onlyUnder(t, running)
	checkAll(t, replica(t, dsn, key, Options{}), n)
}
