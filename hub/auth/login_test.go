package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const goodPassword = "correct horse battery"

func (w *world) user(t *testing.T, name string, admin bool) fleet.User {
	t.Helper()
	u, err := w.CreateUser(t.Context(), fleet.NewUser{Name: name, Password: goodPassword, Admin: admin})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (w *world) in(t *testing.T, name string) fleet.Login {
	t.Helper()
	s, err := w.PasswordLogin(t.Context(), "10.0.0.1", name, goodPassword, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPasswordLogin(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	s := w.in(t, "ann")
	if !strings.HasPrefix(s.Secret, "hws_") || !s.Caller.Admin || s.Caller.Session == nil {
		t.Fatalf("%+v", s)
	}
	who, err := w.Authenticate(ctx, "a", s.Secret)
	if err != nil || who.Name != "ann" || !who.Admin || who.Session.Provider != "local" {
		t.Fatalf("%+v, %v", who, err)
	}
	if u, err := w.User(ctx, "ann"); err != nil || u.LastLogin == nil || u.Password != "" {
		t.Errorf("%+v, %v", u, err)
	}
	for _, secret := range []string{s.Secret, goodPassword, "$argon2id$"} {
		if strings.Contains(w.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
	if err := w.End(ctx, who); err != nil {
		t.Fatal(err)
	}
	_, err = w.Authenticate(ctx, "a", s.Secret)
	wantCode(t, err, "session_expired")
}

// Wrong passwords, unknown and odd names and disabled users are all answered
// alike, after a password was judged.
func TestA02_EveryWrongLoginIsAnsweredAlike(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	w.user(t, "off", false)
	no := false
	if _, err := w.ChangeUser(ctx, "off", fleet.NewUserChange{Enabled: &no}); err != nil {
		t.Fatal(err)
	}
	answers := map[string]bool{}
	for i, c := range [][2]string{{"ann", "wrong"}, {"ann", ""}, {"nobody", "wrong"}, {"off", goodPassword}, {"", "x"}, {"a\x00b", "x"}, {"\xff", "x"},
		{strings.Repeat("a", 1<<16), "x"}, {"ann", strings.Repeat("x", maxPassword+1)}, {"Ann", goodPassword}} {
		_, err := w.PasswordLogin(ctx, fmt.Sprintf("10.0.1.%d", i), c[0], c[1], false)
		answers[fmt.Sprintf("%#v", fault.As(err))] = true
		wantCode(t, err, "login_failed")
	}
	if len(answers) != 1 {
		t.Errorf("there are %d answers: %v", len(answers), answers)
	}
}

// An unknown name costs what a known one does: medians over real hashes.
func TestA02_UnknownNamesTakeAsLong(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.hasher = newHasher(usual)
	w.user(t, "ann", true)
	var known, unknown []time.Duration
	for i := range 41 {
		for name, into := range map[string]*[]time.Duration{"ann": &known, fmt.Sprint("nobody", i): &unknown} {
			w.time = w.time.Add(attemptWindow)
			begin := time.Now()
			_, err := w.PasswordLogin(ctx, "10.0.0.1", name, "wrong", false)
			*into = append(*into, time.Since(begin))
			wantCode(t, err, "login_failed")
		}
	}
	slices.Sort(known)
	slices.Sort(unknown)
	// Against the quickest a busy machine lets through, and both must have hashed:
	// without that an unknown name takes microseconds.
	if d := known[0] - unknown[0]; d.Abs() > max(5*time.Millisecond, known[0]/2) {
		t.Errorf("known names take %s, unknown ones %s", known[0], unknown[0])
	}
}

func TestA03_SessionsEndWithWhatTheyRestOn(t *testing.T) {
	no, other := false, "another good password"
	for name, end := range map[string]func(w *world, s fleet.Login) error{
		"the password is changed": func(w *world, s fleet.Login) error {
			_, err := w.ChangeUser(t.Context(), "ann", fleet.NewUserChange{Password: &other})
			return err
		},
		"the user is disabled": func(w *world, s fleet.Login) error {
			_, err := w.ChangeUser(t.Context(), "ann", fleet.NewUserChange{Enabled: &no})
			return err
		},
		"the user is no administrator any more": func(w *world, s fleet.Login) error {
			_, err := w.ChangeUser(t.Context(), "ann", fleet.NewUserChange{Admin: &no})
			return err
		},
		"the user is deleted": func(w *world, _ fleet.Login) error { return w.DeleteUser(t.Context(), "ann") },
		"logout":              func(w *world, s fleet.Login) error { return w.End(t.Context(), s.Caller) },
	} {
		t.Run(name, func(t *testing.T) {
			w, ctx := newWorld(), t.Context()
			w.user(t, "ann", true)
			// Another hub on the same database, which remembers the session.
			second := New(w.store, w.store.Now, w.log2())
			s := w.in(t, "ann")
			for _, hub := range []*Service{w.Service, second} {
				if _, err := hub.Authenticate(ctx, "a", s.Secret); err != nil {
					t.Fatal(err)
				}
			}
			if err := end(w, s); err != nil {
				t.Fatal(err)
			}
			_, err := w.Authenticate(ctx, "a", s.Secret)
			wantCode(t, err, "session_expired")
			w.time = w.time.Add(remembered)
			_, err = second.Recheck(ctx, s.Secret)
			wantCode(t, err, "session_expired")
		})
	}
}

func TestA04_OneUserIsLimitedAndAnotherIsNot(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	w.user(t, "bob", false)
	limited := 0
	for range 100 {
		_, err := w.PasswordLogin(ctx, "10.0.0.1", "ann", "wrong", false)
		if fault.Is(err, fault.RateLimited) {
			limited++
		}
	}
	if limited != 100-accountAttempts {
		t.Errorf("%d of 100 were limited", limited)
	}
	_, err := w.PasswordLogin(ctx, "10.0.0.2", "ann", goodPassword, false)
	wantCode(t, err, "too_many_logins")
	w.in(t, "bob") // behind the same address
	w.time = w.time.Add(attemptWindow)
	w.in(t, "ann")
}

// Who tries passwords on a user elsewhere does not keep him out: not from where he
// has logged in before, and not from what he is about.
func TestA04_StrangersLockNobodyOut(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	w.in(t, "ann")
	w.time = w.time.Add(20 * 24 * time.Hour)
	for i := range 3 * accountAttempts {
		_, _ = w.PasswordLogin(ctx, fmt.Sprint("203.0.113.", i), "ann", "wrong", false)
	}
	_, err := w.PasswordLogin(ctx, "10.0.0.2", "ann", goodPassword, false)
	wantCode(t, err, "too_many_logins") // a place that nobody knows
	s := w.in(t, "ann")

	// Where she is known as many are judged as elsewhere.
	for range accountAttempts {
		_, err := w.PasswordLogin(ctx, "10.0.0.1", "ann", "wrong", false)
		wantCode(t, err, "login_failed")
	}
	_, err = w.PasswordLogin(ctx, "10.0.0.1", "ann", goodPassword, false)
	wantCode(t, err, "too_many_logins")

	// With her session she goes on all the same.
	s, err = w.Confirm(ctx, "10.0.0.1", s.Caller, goodPassword)
	if err != nil {
		t.Fatal("confirming:", err)
	}
	for range accountAttempts {
		_, err := w.Confirm(ctx, "10.0.0.1", s.Caller, "wrong")
		wantCode(t, err, "login_failed")
	}
	_, err = w.Confirm(ctx, "10.0.0.1", s.Caller, goodPassword)
	wantCode(t, err, "too_many_logins")
	w.time = w.time.Add(attemptWindow)
	for range 2 * accountAttempts {
		_, _ = w.PasswordLogin(ctx, "10.0.0.1", "ann", "wrong", false)
	}
	s, err = w.ChangePassword(ctx, "10.0.0.1", s.Caller, goodPassword, "a new password")
	if err != nil {
		t.Fatal("changing the password:", err)
	}
	if _, err := w.Authenticate(ctx, "a", s.Secret); err != nil {
		t.Error(err)
	}

	w.time = w.time.Add(knownFor)
	for range accountAttempts {
		_, _ = w.PasswordLogin(ctx, "203.0.113.9", "ann", "wrong", false)
	}
	_, err = w.PasswordLogin(ctx, "10.0.0.1", "ann", "a new password", false)
	wantCode(t, err, "too_many_logins") // too long ago
}

func TestA04_OneAddressIsLimited(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "bob", false)
	for i := range addressAttempts {
		_, err := w.PasswordLogin(ctx, "2001:db8::"+fmt.Sprint(i+1), fmt.Sprint("n", i), "wrong", false)
		wantCode(t, err, "login_failed")
	}
	_, err := w.PasswordLogin(ctx, "2001:db8::ffff", "bob", goodPassword, false)
	wantCode(t, err, "too_many_logins")
	if _, err := w.PasswordLogin(ctx, "2001:db8:0:1::1", "bob", goodPassword, false); err != nil {
		t.Errorf("another network is refused: %v", err)
	}
}

// However many names are tried, the count of a user stays, and the table has a
// bound.
func TestA33_AFloodOfNamesForgetsNobody(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	for range accountAttempts {
		_, err := w.PasswordLogin(ctx, "10.0.0.1", "ann", "wrong", false)
		wantCode(t, err, "login_failed")
	}
	var addresses = map[netip.Addr]bool{}
	for i := range unknownBuckets + 1<<12 {
		a := netip.AddrFrom4([4]byte{11, 0, byte(i >> 5), byte(i)})
		addresses[a] = true
		w.PasswordLogin(ctx, a.String(), fmt.Sprint("flood", i), "", false)
	}
	_, err := w.PasswordLogin(ctx, "10.0.0.9", "ann", goodPassword, false)
	wantCode(t, err, "too_many_logins")
	if n, most := w.store.Counts(), unknownBuckets+len(addresses)+3; n > most {
		t.Errorf("%d counts are kept, more than %d", n, most)
	}
}

func TestS06_SessionsEndByTheirTimes(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	s := w.in(t, "ann")
	// Used every 29 minutes it lives 12 hours.
	began := w.time
	for w.time.Before(began.Add(SessionTime - fleet.SessionIdle)) {
		if _, err := w.Authenticate(ctx, "a", s.Secret); err != nil {
			t.Fatalf("after %s: %v", w.time.Sub(began), err)
		}
		w.time = w.time.Add(29 * time.Minute)
	}
	w.Authenticate(ctx, "a", s.Secret)
	w.time = began.Add(SessionTime)
	_, err := w.Authenticate(ctx, "a", s.Secret)
	wantCode(t, err, "session_expired")

	s = w.in(t, "ann")
	for range 10 { // an open stream asks, and is no use
		w.time = w.time.Add(3 * time.Minute)
		_, err = w.Recheck(ctx, s.Secret)
	}
	wantCode(t, err, "session_expired")
}

func TestS06_ConfirmingGivesTheSessionANewSecret(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	s := w.in(t, "ann")
	w.time = w.time.Add(ConfirmTime)
	who, err := w.Authenticate(ctx, "a", s.Secret)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, w.Fresh(who), "login_confirmation_needed")
	_, err = w.Confirm(ctx, "a", who, "wrong")
	wantCode(t, err, "login_failed")
	next, err := w.Confirm(ctx, "a", who, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Authenticate(ctx, "a", s.Secret)
	wantCode(t, err, "session_expired")
	who, err = w.Authenticate(ctx, "a", next.Secret)
	if err != nil || who.ID != s.Caller.ID || w.Fresh(who) != nil || !who.ExpiresAt.Equal(s.Caller.ExpiresAt) {
		t.Errorf("%+v, %v", who, err)
	}
	_, token, _ := w.Issue(ctx, fleet.NewAPIToken{Name: "ci", Admin: true})
	if err := w.Fresh(token); err != nil {
		t.Errorf("a token is asked for a password: %v", err)
	}
	_, err = w.Confirm(ctx, "a", token, goodPassword)
	wantCode(t, err, "session_needed")
}

func TestS06_ALoginAtAProviderIsAsFreshAsThatSays(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	for _, c := range []struct {
		at    time.Time
		fresh bool
	}{{time.Time{}, true}, {w.time.Add(-time.Minute), true}, {w.time.Add(-ConfirmTime), false}, {w.time.Add(time.Hour), true}} {
		s, err := w.ProviderLogin(ctx, "corp", "s", "ann", nil, true, c.at)
		if err != nil {
			t.Fatal(err)
		}
		who, err := w.Authenticate(ctx, "a", s.Secret)
		if err != nil || (w.Fresh(who) == nil) != c.fresh || who.Session.AuthenticatedAt.After(w.time) {
			t.Errorf("%s: %+v, %v", c.at, who.Session, err)
		}
	}
}

func TestA05_TheFirstCodeIsTheOnlyWayInAndWorksOnce(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	code, err := w.Bootstrap(ctx)
	if err != nil || len(code) != len(codePrefix)+randomDigits+sumDigits { // 190 bits
		t.Fatalf("%q, %v", code, err)
	}
	users, _ := w.Users(ctx)
	tokens, _ := w.Tokens(ctx)
	if len(users)+len(tokens) != 0 {
		t.Fatal("a new hub has credentials")
	}
	for _, name := range []string{"admin", "root", "hawser"} {
		for _, password := range []string{"", "admin", "password", "hawser"} {
			if _, err := w.PasswordLogin(ctx, "10.1.0.1", name, password, false); err == nil {
				t.Errorf("%s got in with %q", name, password)
			}
		}
	}
	if again, err := New(w.store, w.store.Now, w.log2()).Bootstrap(ctx); again != code || err != nil {
		t.Errorf("after a restart the code is %q, %v", again, err)
	}
	_, err = w.FirstUser(ctx, "a", code, "root", "short", false)
	wantCode(t, err, "password_invalid")
	s, err := w.FirstUser(ctx, "a", code, "root", goodPassword, false)
	if err != nil || !s.Caller.Admin || s.Caller.Name != "root" {
		t.Fatalf("%+v, %v", s, err)
	}
	if who, err := w.Authenticate(ctx, "a", s.Secret); err != nil || !who.Admin {
		t.Errorf("%+v, %v", who, err)
	}
	_, err = w.FirstUser(ctx, "a", code, "other", goodPassword, false)
	wantCode(t, err, "login_code_invalid")
	_, _, err = w.Login(ctx, "a", code)
	wantCode(t, err, "login_code_invalid")
	if code, err := w.Bootstrap(ctx); code != "" || err != nil {
		t.Errorf("a hub with an administrator shows %q, %v", code, err)
	}
}

func TestPasswordsAreHashedWithTheirParameters(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	old := w.stored(t)
	if !strings.HasPrefix(old, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatalf("hash %q", old)
	}
	w.hasher = newHasher(cost{memory: 16, time: 1, threads: 1})
	w.in(t, "ann")
	if now := w.stored(t); !strings.HasPrefix(now, "$argon2id$v=19$m=16,t=1,p=1$") {
		t.Errorf("after a login the hash is %q", now)
	}
	w.in(t, "ann")
	for _, hash := range []string{"", "x", "$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=1,p=0$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA", "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=1,p=1$$", "$argon2id$v=19$m=8,t=1,p=1 $AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA"} {
		if matches(hash, "") || matches(hash, goodPassword) {
			t.Errorf("%q matches", hash)
		}
	}
	for name, c := range map[[2]string]string{{"ann2", "short"}: "password_invalid", {"Ann", goodPassword}: "user_name_invalid", {"", goodPassword}: "user_name_invalid",
		{"a-name-of-12", "A-NAME-OF-12"}: "password_invalid", {"ann", goodPassword}: "user_exists", {"x", strings.Repeat("x", maxPassword+1)}: "password_invalid"} {
		_, err := w.CreateUser(ctx, fleet.NewUser{Name: name[0], Password: name[1]})
		wantCode(t, err, c)
	}
}

func TestChangePassword(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	w.user(t, "ann", true)
	s, other := w.in(t, "ann"), w.in(t, "ann")
	_, err := w.ChangePassword(ctx, "a", s.Caller, "wrong", "a new password")
	wantCode(t, err, "login_failed")
	_, err = w.ChangePassword(ctx, "a", s.Caller, goodPassword, goodPassword)
	wantCode(t, err, "password_invalid")
	next, err := w.ChangePassword(ctx, "a", s.Caller, goodPassword, "a new password")
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{s.Secret, other.Secret} {
		_, err := w.Authenticate(ctx, "a", old)
		wantCode(t, err, "session_expired")
	}
	if _, err := w.Authenticate(ctx, "a", next.Secret); err != nil {
		t.Error(err)
	}
	_, err = w.PasswordLogin(ctx, "a", "ann", goodPassword, false)
	wantCode(t, err, "login_failed")
}

// As the row says: 1,000 logins of names that exist and that do not, one after the
// other in turn, over real hashes. Status and body are those of the error, which is
// one and the same; medians of both differ by less than 5 ms.
func TestA02_AThousandLoginsTellNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as 1,000 passwords")
	}
	w, ctx := newWorld(), t.Context()
	w.hasher = newHasher(usual)
	w.user(t, "ann", true)
	took := map[bool][]time.Duration{}
	answers := map[string]bool{}
	for i := range 1000 {
		exists := i%2 == 0
		name := "ann"
		if !exists {
			name = fmt.Sprint("nobody", i)
		}
		w.time = w.time.Add(attemptWindow) // limits are another row's
		begin := time.Now()
		_, err := w.PasswordLogin(ctx, "10.0.0.1", name, "wrong", false)
		took[exists] = append(took[exists], time.Since(begin))
		answers[fmt.Sprintf("%#v", fault.As(err))] = true
	}
	if len(answers) != 1 {
		t.Errorf("there are %d answers", len(answers))
	}
	for _, all := range took {
		slices.Sort(all)
	}
	// The medians, and where a busy machine moves those the quicker quarter: what it
	// adds to both is nothing that a name decides.
	differ := func(at int) time.Duration { return (took[true][at] - took[false][at]).Abs() }
	if most := 5 * time.Millisecond; differ(250) >= most && differ(125) >= most {
		t.Errorf("medians %s and %s, quarters %s and %s", took[true][250], took[false][250], took[true][125], took[false][125])
	}
	// Both have hashed a password: without that a login takes microseconds.
	if took[false][0] < took[true][0]/2 {
		t.Errorf("the quickest login of nobody takes %s, of somebody %s", took[false][0], took[true][0])
	}
}

// A million names that nobody has: the keys that they are counted by, which are all
// that reaches the database, are as many as there are buckets, and none is a user's.
func TestA33_AMillionNamesHaveAFixedNumberOfCounts(t *testing.T) {
	w, ctx := newWorld(), t.Context()
	ann := w.user(t, "ann", true)
	for range accountAttempts {
		_, err := w.PasswordLogin(ctx, "10.0.0.1", "ann", "wrong", false)
		wantCode(t, err, "login_failed")
	}
	keys := map[string]bool{}
	for i := range 1_000_000 {
		keys[accountKey("", fmt.Sprintf("%x-%d", i*7919, i))] = true
	}
	if len(keys) > unknownBuckets || len(keys) < unknownBuckets*9/10 || keys[accountKey(ann.ID, "ann")] {
		t.Errorf("%d keys", len(keys))
	}
	for key := range keys {
		if _, _, err := w.store.CountAttempt(ctx, key, attemptWindow); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.PasswordLogin(ctx, "10.0.0.9", "ann", goodPassword, false)
	wantCode(t, err, "too_many_logins")
	if n := w.store.Counts(); n > unknownBuckets+3 {
		t.Errorf("%d counts are kept", n)
	}
}
