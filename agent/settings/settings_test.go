package settings

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const p = "resource.customizations.health."

// secret is a Store in memory.
type secret struct {
	mu    sync.Mutex
	s     model.Settings
	ok    bool
	err   error
	saves int
}

func (s *secret) LoadSettings(context.Context) (model.Settings, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.s, s.ok, s.err
}

func (s *secret) SaveSettings(_ context.Context, v model.Settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.err != nil {
		return s.err
	}
	s.s, s.ok = v, true
	return nil
}

func (s *secret) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *secret) writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saves
}

// user notes what it is told, and refuses texts that begin with "bad".
type user struct {
	mu   sync.Mutex
	told []string
}

func (u *user) use(data model.Customizations) []error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.told = append(u.told, fmt.Sprint(map[string]string(data)))
	var errs []error
	for key, text := range data {
		if strings.HasPrefix(text, "bad") {
			errs = append(errs, fault.New(fault.Invalid, "lua_script_invalid", "%s: it does not compile", key).WithField(key))
		}
	}
	return errs
}

func (u *user) took() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.told
	u.told = nil
	return t
}

type bench struct {
	*Keeper
	store *secret
	user  *user
	news  atomic.Int64
}

// start begins an agent over a store; it must be called in a synctest bubble.
func start(t *testing.T, store *secret, directory model.Customizations) *bench {
	t.Helper()
	b := &bench{store: store, user: &user{}}
	b.Keeper = New(Options{Store: store, Directory: directory, Users: []User{b.user.use}, Changed: func() { b.news.Add(1) }})
	if err := b.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return b
}

// run runs a test in a bubble, ending agents within it.
func run(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, f)
}

func (b *bench) told(t *testing.T, want ...model.Customizations) {
	t.Helper()
	synctest.Wait()
	got := b.user.took()
	if len(got) != len(want) {
		t.Fatalf("told %d times: %v; want %d", len(got), got, len(want))
	}
	for i := range want {
		if w := fmt.Sprint(map[string]string(want[i])); got[i] != w {
			t.Errorf("told %s, want %s", got[i], w)
		}
	}
}

func (b *bench) conditions() string {
	var out []string
	for _, c := range b.Conditions() {
		out = append(out, c.Code+" "+c.Message)
	}
	return strings.Join(out, "\n")
}

func TestTheStrongerSourceWinsKeyByKey(t *testing.T) {
	m := Merge(Sources{
		Hub:       model.Settings{Version: 7, Customizations: model.Customizations{"a": "hub", "b": "hub", "c": "hub", "d": "hub"}},
		Directory: model.Customizations{"b": "dir", "c": "dir", "e": "dir"},
		ConfigMap: model.Customizations{"c": "map", "d": " \n", "e": ""},
	})
	if want := (model.Customizations{"a": "hub", "b": "dir", "c": "map"}); !maps.Equal(m.Data, want) {
		t.Errorf("%v, want %v", m.Data, want)
	}
	for key, want := range map[string]string{"a": "the hub's settings, version 7", "b": "the directory of --overrides", "c": "ConfigMap hawser-customizations", "x": ""} {
		if got := m.Origin(key); got != want {
			t.Errorf("%s is from %q", key, got)
		}
	}
	if m := Merge(Sources{}); m.Data == nil || len(m.Data) != 0 {
		t.Errorf("nothing merged is %v", m.Data)
	}
}

func TestUsersAreToldOfEveryChangeAndNothingElse(t *testing.T) {
	run(t, func(t *testing.T) {
		b := start(t, &secret{}, model.Customizations{p + "D": "dir"})
		b.told(t, model.Customizations{p + "D": "dir"})
		b.Take(model.Settings{Version: 1, Customizations: model.Customizations{p + "A": "1"}})
		b.told(t, model.Customizations{p + "A": "1", p + "D": "dir"})
		b.Take(model.Settings{Version: 2, Customizations: model.Customizations{p + "A": "1"}}) // the same in another version
		b.Set(nil, false)
		b.told(t)
		b.Set(map[string]string{p + "A": "local"}, true)
		b.told(t, model.Customizations{p + "A": "local", p + "D": "dir"})
		b.Set(map[string]string{p + "A": "local", "url": "x"}, true)
		b.told(t)
		b.Set(nil, false)
		b.told(t, model.Customizations{p + "A": "1", p + "D": "dir"})
		b.Take(model.Settings{Version: 3, Customizations: model.Customizations{}})
		b.told(t, model.Customizations{p + "D": "dir"})
	})
}

func TestTheHubsSettingsSurviveARestartWithoutTheHub(t *testing.T) {
	store := &secret{}
	sent := model.Settings{Version: 4, Customizations: model.Customizations{p + "A": "1"}}
	run(t, func(t *testing.T) {
		b := start(t, store, nil)
		b.told(t, model.Customizations{})
		if d := b.Held(); d != "" {
			t.Errorf("held %s", d)
		}
		b.Take(sent)
		synctest.Wait()
		if d := b.Held(); d != sent.Customizations.Digest() {
			t.Errorf("held %s", d)
		}
		if v, d := b.Stored(); v != 4 || d != sent.Customizations.Digest() {
			t.Errorf("stored %d %s", v, d)
		}
		if b.news.Load() == 0 {
			t.Error("the cluster report does not hear of it")
		}
	})
	run(t, func(t *testing.T) {
		b := start(t, store, nil)
		b.told(t, sent.Customizations)
		if v, d := b.Stored(); v != 4 || d != b.Held() || d != sent.Customizations.Digest() {
			t.Errorf("stored %d %s, held %s", v, d, b.Held())
		}
		if n := store.writes(); n != 1 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestWhatCannotBeStoredIsInForceAndSaidSo(t *testing.T) {
	run(t, func(t *testing.T) {
		b := start(t, &secret{}, nil)
		b.user.took()
		b.store.fail(fault.New(fault.Unavailable, "cluster_unreachable", "the API server is away"))
		b.Take(model.Settings{Version: 1, Customizations: model.Customizations{p + "A": "1"}})
		b.told(t, model.Customizations{p + "A": "1"})
		if b.Held() != "" {
			t.Error("it says to hold what it would lose")
		}
		if got := b.conditions(); !strings.HasPrefix(got, "settings_unstored ") {
			t.Errorf("conditions %s", got)
		}
		time.Sleep(30 * time.Minute)
		if n := b.store.writes(); n > 70 || n < 20 {
			t.Errorf("%d tries in half an hour", n)
		}
		b.store.fail(nil)
		time.Sleep(2 * time.Minute)
		if b.Held() == "" || b.conditions() != "" {
			t.Errorf("held %q, conditions %s", b.Held(), b.conditions())
		}
	})
}

func TestDamagedSettingsAreNone(t *testing.T) {
	run(t, func(t *testing.T) {
		store := &secret{err: fault.New(fault.Invalid, "settings_damaged", "it is not JSON")}
		b := start(t, store, nil)
		b.told(t, model.Customizations{})
		if b.Held() != "" || !strings.HasPrefix(b.conditions(), "settings_damaged ") {
			t.Errorf("held %q, conditions %s", b.Held(), b.conditions())
		}
		store.fail(nil)
		b.Take(model.Settings{Version: 1, Customizations: model.Customizations{p + "A": "1"}})
		synctest.Wait()
		if b.Held() == "" || b.conditions() != "" {
			t.Errorf("held %q, conditions %s", b.Held(), b.conditions())
		}
	})
	b := New(Options{Store: &secret{err: fault.New(fault.Unavailable, "cluster_unreachable", "away")}})
	if err := b.Load(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an API server that is away: %v", err)
	}
}

func TestSettingsThatCannotBeTakenLeaveThoseFromBefore(t *testing.T) {
	run(t, func(t *testing.T) {
		b := start(t, &secret{}, nil)
		b.Take(model.Settings{Version: 1, Customizations: model.Customizations{p + "A": "1"}})
		synctest.Wait()
		b.user.took()
		held := b.Held()
		b.Refused(fault.New(fault.Invalid, "wire_invalid", "they are too large"))
		b.told(t)
		if b.Held() != held || !strings.HasPrefix(b.conditions(), "settings_refused ") {
			t.Errorf("held %s, conditions %s", b.Held(), b.conditions())
		}
		b.Take(model.Settings{Version: 3, Customizations: model.Customizations{p + "A": "3"}})
		b.told(t, model.Customizations{p + "A": "3"})
		if got := b.conditions(); got != "" {
			t.Errorf("conditions %s", got)
		}
	})
}

func TestProblemsNameTheirOrigin(t *testing.T) {
	run(t, func(t *testing.T) {
		b := start(t, &secret{}, nil)
		b.Take(model.Settings{Version: 9, Customizations: model.Customizations{p + "A": "bad script", p + "B": "good"}})
		synctest.Wait()
		if got := b.conditions(); got != "lua_script_invalid "+p+"A: it does not compile (the hub's settings, version 9)" {
			t.Errorf("conditions %s", got)
		}
		since := b.Conditions()[0].Since
		time.Sleep(time.Hour)
		b.Set(map[string]string{p + "B": "other"}, true)
		synctest.Wait()
		if c := b.Conditions(); len(c) != 1 || !c[0].Since.Equal(*since) {
			t.Errorf("conditions %+v, since %s", c, since)
		}
		// The cluster repeats the text: the trouble is its own now.
		b.Set(map[string]string{p + "A": "bad script", p + "B": "other"}, true)
		synctest.Wait()
		if got := b.conditions(); !strings.HasSuffix(got, "(ConfigMap hawser-customizations)") {
			t.Errorf("conditions %s", got)
		}
		b.Set(map[string]string{p + "A": "mended"}, true)
		synctest.Wait()
		if got := b.conditions(); got != "" {
			t.Errorf("conditions %s", got)
		}
	})
}

func TestKeysThatAreNotUsedAreTold(t *testing.T) {
	run(t, func(t *testing.T) {
		b := start(t, &secret{}, nil)
		data := map[string]string{"url": "x", "resource.customization.health.A": "x"}
		b.Set(data, true)
		synctest.Wait()
		if got := b.conditions(); strings.Count(got, "\n") != 0 || !strings.Contains(got, "did you mean resource.customizations.health.A?") {
			t.Errorf("conditions %s", got)
		}
		for i := range 50 {
			data[fmt.Sprint("resource.x", i)] = ""
		}
		b.Set(data, true)
		synctest.Wait()
		if c := b.Conditions(); len(c) != maxConditions+1 || !strings.Contains(c[maxConditions].Message, "41 more") {
			t.Errorf("%d conditions, the last: %+v", len(c), c[len(c)-1])
		}
	})
}

func TestAConfigMapThatCannotBeReadLeavesWhatWasRead(t *testing.T) {
	run(t, func(t *testing.T) {
		b := start(t, &secret{}, nil)
		b.Set(map[string]string{p + "A": "local"}, true)
		synctest.Wait()
		b.user.took()
		b.Failed(fault.New(fault.Unavailable, "cluster_unreachable", "away"))
		synctest.Wait()
		if got := b.conditions(); got != "" {
			t.Errorf("conditions %s", got)
		}
		b.Failed(fault.New(fault.Denied, "forbidden", "may not").WithFix("grant it"))
		b.told(t)
		if got := b.conditions(); !strings.HasPrefix(got, "customizations_unreadable ") || !strings.Contains(got, "grant it") {
			t.Errorf("conditions %s", got)
		}
		b.Set(map[string]string{p + "A": "local"}, true)
		b.told(t)
		if got := b.conditions(); got != "" {
			t.Errorf("conditions %s", got)
		}
	})
}
