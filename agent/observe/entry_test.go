package observe

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// TestEntriesGiveBackWhatTheyTook: however an object is kept, readers see the same.
func TestEntriesGiveBackWhatTheyTook(t *testing.T) {
	const uid = "0f0e0d0c-0b0a-0908-0706-0504030201ff"
	at := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	base := live.Record{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: "a"}, Version: "v1", UID: uid, ResourceVersion: "12345", CreatedAt: at}
	for name, c := range map[string]struct {
		change func(*live.Record)
		slim   bool
	}{
		"plain":                       {func(*live.Record) {}, true},
		"without a time":              {func(r *live.Record) { r.CreatedAt = time.Time{} }, true},
		"before 1970":                 {func(r *live.Record) { r.CreatedAt = time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC) }, false},
		"after 2106":                  {func(r *live.Record) { r.CreatedAt = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }, false},
		"deleting and ignored":        {func(r *live.Record) { r.Deleting, r.HealthIgnored, r.Generation = true, true, 7 }, true},
		"another version of the API":  {func(r *live.Record) { r.Version = "v2" }, true},
		"the largest version":         {func(r *live.Record) { r.ResourceVersion = "18446744073709551615" }, true},
		"a version that is too large": {func(r *live.Record) { r.ResourceVersion = "18446744073709551616" }, false},
		"a version that is no number": {func(r *live.Record) { r.ResourceVersion = "abc" }, false},
		"a version with a zero":       {func(r *live.Record) { r.ResourceVersion = "012" }, false},
		"no UID":                      {func(r *live.Record) { r.UID = "" }, false},
		"a UID of another form":       {func(r *live.Record) { r.UID = "0F0e0d0c-0b0a-0908-0706-0504030201ff" }, false},
		"a UID with a letter":         {func(r *live.Record) { r.UID = "0g0e0d0c-0b0a-0908-0706-0504030201ff" }, false},
		"a UID with another line":     {func(r *live.Record) { r.UID = "0f0e0d0c-0b0a-0908-07060-504030201ff" }, false},
		"fractions of a second":       {func(r *live.Record) { r.CreatedAt = at.Add(time.Millisecond) }, false},
		"tracked":                     {func(r *live.Record) { r.TrackingID = "x" }, false},
		"owned":                       {func(r *live.Record) { r.Owners = []live.Owner{{UID: "u"}} }, true},
		"owned and judged": {func(r *live.Record) {
			r.Owners, r.Health = []live.Owner{{UID: "u"}}, model.HealthFacet{Status: "Healthy", Since: &at}
			r.Images, r.Info = []string{"a"}, []model.Info{{Name: "b"}}
		}, true},
		"a run":  {func(r *live.Record) { r.Run = "r" }, false},
		"a body": {func(r *live.Record) { r.Body = []byte("{}") }, false},
		"health": {func(r *live.Record) { r.Health.Status = "Healthy" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			want := base
			c.change(&want)
			k := &kindStore{gk: model.GroupKind{Kind: "ConfigMap"}}
			e := k.entry()
			e.nsName = nsName{"shop", "a"}
			e.set(want)
			if got := e.record(); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if slim := e.rich == nil; slim != c.slim {
				t.Errorf("slim: %v", slim)
			}
			if !slices.Equal(e.owners(), want.Owners) || e.judged() != (want.Health.Status != "") || e.uid() != want.UID {
				t.Errorf("owners %v, judged %v, uid %s", e.owners(), e.judged(), e.uid())
			}
			if !e.is(want) || e.resourceVersion() != want.ResourceVersion || e.key() != want.Key {
				t.Errorf("is not what it took: %+v", e)
			}
			other := want
			other.UID = "ffffffff-0b0a-0908-0706-0504030201ff"
			newer := want
			newer.ResourceVersion = "777"
			if e.is(other) || e.is(newer) {
				t.Error("another object is taken for this one")
			}
			e.set(base) // and back
			if got := e.record(); !reflect.DeepEqual(got, base) {
				t.Errorf("got %+v", got)
			}
		})
	}
	k := &kindStore{}
	for i := range 300 {
		k.versionIndex(string(rune(i + 1000)))
	}
	if _, ok := k.versionIndex("another"); ok || len(k.versions) != 256 {
		t.Errorf("%d versions", len(k.versions))
	}
}

func TestTablesAreBounded(t *testing.T) {
	var tab table[string]
	for i := range 3 * internLimit {
		key := []byte{byte(i), byte(i >> 8), byte(i >> 16)}
		if got := tab.get(key, func(s string) string { return s }); got != string(key) {
			t.Fatalf("%q for %q", got, key)
		}
	}
	if len(tab.m) > internLimit {
		t.Errorf("%d values", len(tab.m))
	}
}

func TestPodsOfASetShareWhatIsEqual(t *testing.T) {
	gk := gkPod
	a, err := plain.record(gk, "v1", foreignPod(3), true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := plain.record(gk, "v1", foreignPod(4), true)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Owners) != 1 || len(a.Info) == 0 || &a.Owners[0] != &b.Owners[0] || &a.Info[0] != &b.Info[0] {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// TestEntriesAreUsedAgain: objects come and go, and what is kept for them does not
// grow.
func TestEntriesAreUsedAgain(t *testing.T) {
	s := liveStore("ConfigMap")
	k := s.kinds[gkConfigMap]
	for i := range 10 * entriesAtOnce {
		r := rec(fmt.Sprint("c", i), formatUID([16]byte{byte(i), byte(i >> 8)}), fmt.Sprint(10+2*i), ownedBy("o"))
		s.put(r, true, false)
		if i%3 == 0 {
			s.saw(rec(r.Key.Name, r.UID, fmt.Sprint(1000000+i)), true)
		}
		if i >= 20 { // 20 are there at a time
			gone := rec(fmt.Sprint("c", i-20), "", "9000000")
			if _, ok := s.remove(gone); !ok {
				t.Fatalf("%s was not there", gone.Key)
			}
		}
	}
	if k.objects.n != 20 || len(k.free) != entriesAtOnce-20 || len(s.byUID)+len(s.children["o"]) > 40 || len(s.saws) > 20 {
		t.Errorf("%d objects, %d free, %d by UID, %d ours", k.objects.n, len(k.free), len(s.byUID), len(s.saws))
	}
	for _, r := range s.list(gkConfigMap) {
		if got, p := s.get(r.Key); p != live.Present || got.UID != r.UID {
			t.Errorf("%s is %v %+v", r.Key, p, got)
		}
		s.remove(rec(r.Key.Name, r.UID, "9000001"))
	}
	if k.objects.n != 0 || k.free != nil || len(s.byUID) != 0 || len(s.children) != 0 || len(s.saws) != 0 {
		t.Errorf("something is left: %+v %+v", k, s)
	}
}

func TestEqualFieldSetsAreShared(t *testing.T) {
	s := sharedBytes{seed: maphash.MakeSeed()}
	a, b := s.get([]byte(`{"f:a":{}}`)), s.get([]byte(`{"f:a":{}}`))
	if &a[0] != &b[0] || string(a) != `{"f:a":{}}` {
		t.Error("not shared")
	}
	for i := range 5000 {
		want := fmt.Sprintf("%01000d", i)
		if got := s.get([]byte(want)); string(got) != want {
			t.Fatalf("%.20s for %.20s", got, want)
		}
	}
	large := bytes.Repeat([]byte("x"), sharedLimit)
	if got := s.get(large); !bytes.Equal(got, large) || s.bytes > sharedLimit {
		t.Errorf("%d bytes are kept", s.bytes)
	}
}
