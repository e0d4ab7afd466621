package audit

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var testKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func chain(t testing.TB, from, n int64, prev string, change func(*Record)) []Signed {
	t.Helper()
	at := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	var out []Signed
	for seq := from; seq < from+n; seq++ {
		r := Record{Seq: seq, Prev: prev, At: at.Add(time.Duration(seq) * time.Second), Kind: Command, Actor: "ann", Action: "syncApplication", Name: fmt.Sprint("app-", seq), Outcome: Done}
		if change != nil {
			change(&r)
		}
		s, err := Seal(testKey, r)
		if err != nil {
			t.Fatal(err)
		}
		out, prev = append(out, s), s.Hash.String()
	}
	return out
}

// verify follows an export that is made of the records.
func verify(t testing.TB, v *Verifier, begin Begin, records []Signed) (Summary, error) {
	t.Helper()
	if begin.Key == nil {
		begin.Key = Hex(testKey.Public().(ed25519.PublicKey))
	}
	lines := []Line{{Begin: &begin}}
	for _, s := range records {
		lines = append(lines, Line{Signed: &s})
	}
	lines = append(lines, Line{End: &End{Records: int64(len(records))}})
	for _, l := range lines {
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Line(b); err != nil {
			return v.sum, err
		}
	}
	return v.Done()
}

func TestAWholeChainIsGood(t *testing.T) {
	records := chain(t, 1, 5, "", func(r *Record) {
		r.Reason = "<&>\u2028\x00\xff" + strings.Repeat("x", 1000)
		if r.Seq == 3 {
			r.At = r.At.Add(-time.Hour)
		}
	})
	sum, err := verify(t, &Verifier{Heads: []Head{{2, records[1].Hash}, {5, records[4].Hash}}}, Begin{}, records)
	if err != nil || sum.Records != 5 || sum.Head.Seq != 5 || sum.ClockBack != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if _, err := verify(t, &Verifier{}, Begin{}, nil); err != nil {
		t.Errorf("an empty chain: %v", err)
	}
}

// TestS13_TheFirstBadRecordIsNamed changes a chain in every way that somebody who
// can write the database could.
func TestS13_TheFirstBadRecordIsNamed(t *testing.T) {
	good := chain(t, 1, 5, "", nil)
	other := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", ed25519.SeedSize)))
	for name, c := range map[string]struct {
		change func([]Signed) []Signed
		heads  []Head
		key    ed25519.PublicKey
		want   string
	}{
		"a record is changed": {change: func(s []Signed) []Signed {
			s[2].Record = json.RawMessage(strings.Replace(string(s[2].Record), "ann", "bob", 1))
			return s
		}, want: "record 3: it was changed"},
		"a record and its hash are changed": {change: func(s []Signed) []Signed {
			s[2].Record = json.RawMessage(strings.Replace(string(s[2].Record), "ann", "bob", 1))
			s[2].Hash = HashOf(s[2].Record)
			return s
		}, want: "record 3: its signature"},
		"the rest of the chain is made anew with another key": {change: func(s []Signed) []Signed {
			prev := s[1].Hash.String()
			for i := 2; i < 5; i++ {
				var r Record
				if err := json.Unmarshal(s[i].Record, &r); err != nil {
					t.Fatal(err)
				}
				r.Prev = prev
				s[i], _ = Seal(other, r)
				prev = s[i].Hash.String()
			}
			return s
		}, want: "record 3: its signature"},
		"a record is removed":                 {change: func(s []Signed) []Signed { return slices.Delete(s, 2, 3) }, want: "record 3: it is missing"},
		"two records change places":           {change: func(s []Signed) []Signed { s[2], s[3] = s[3], s[2]; return s }, want: "record 3: it is missing"},
		"a record comes twice":                {change: func(s []Signed) []Signed { return slices.Insert(s, 3, s[2]) }, want: "record 3: it comes again"},
		"a record of another chain is put in": {change: func(s []Signed) []Signed { s[2] = chain(t, 3, 1, good[0].Hash.String(), nil)[0]; return s }, want: "record 3: record 2 before it"},
		"the oldest are removed":              {change: func(s []Signed) []Signed { return s[2:] }, want: "record 2: it is missing, with all before it"},
		"the newest are removed":              {change: func(s []Signed) []Signed { return s[:3] }, heads: []Head{{5, good[4].Hash}}, want: "record 4: it is missing, with all after it"},
		"the head is another":                 {change: func(s []Signed) []Signed { return s }, heads: []Head{{4, good[2].Hash}}, want: "record 4: it is another"},
		"the whole chain is of another key":   {change: func(s []Signed) []Signed { return s }, key: other.Public().(ed25519.PublicKey), want: "no record is of the key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify(t, &Verifier{Heads: c.heads, Key: c.key}, Begin{}, c.change(slices.Clone(good)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestRetiredRecordsAreNotMissed(t *testing.T) {
	old := chain(t, 1, 3, "", nil)
	rest := chain(t, 4, 3, old[2].Hash.String(), func(r *Record) {
		if r.Seq == 5 {
			r.Kind, r.Through, r.ThroughHash = Retired, 3, old[2].Hash.String()
		}
	})
	if _, err := verify(t, &Verifier{}, Begin{}, rest); err != nil {
		t.Error(err)
	}
	if _, err := verify(t, &Verifier{}, Begin{}, rest[1:]); err == nil {
		t.Error("a record after the retired ones was removed")
	}
}

func TestAFilteredExportHasGapsAndGoodSignatures(t *testing.T) {
	s := chain(t, 1, 5, "", nil)
	some := []Signed{s[1], s[4]}
	if _, err := verify(t, &Verifier{}, Begin{Filtered: true}, some); err != nil {
		t.Error(err)
	}
	some[1].Signature = some[0].Signature
	if _, err := verify(t, &Verifier{}, Begin{Filtered: true}, some); err == nil {
		t.Error("a bad signature passed")
	}
}

func TestACutExportIsRefused(t *testing.T) {
	v := &Verifier{}
	b, _ := json.Marshal(Line{Begin: &Begin{Key: Hex(testKey.Public().(ed25519.PublicKey))}})
	if err := v.Line(b); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Done(); err == nil {
		t.Error("nobody missed the end")
	}
}

func TestHeads(t *testing.T) {
	h := Head{7, HashOf(nil)}
	if got, err := ParseHead(h.String()); err != nil || got.String() != h.String() {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "7", "7:", "0:" + h.Hash.String(), "7:zz", "7:abcd", "x:" + h.Hash.String()} {
		if _, err := ParseHead(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzVerifier: whatever an export holds, it is refused or verified.
func FuzzVerifier(f *testing.F) {
	s := chain(f, 1, 1, "", nil)[0]
	for _, l := range []Line{{Begin: &Begin{Key: Hex(testKey.Public().(ed25519.PublicKey))}}, {Signed: &s}, {End: &End{Records: 1}}, {}} {
		b, _ := json.Marshal(l)
		f.Add(b)
	}
	f.Add([]byte(`{"record":null,"hash":"","signature":""}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		v := &Verifier{}
		begin, _ := json.Marshal(Line{Begin: &Begin{Key: Hex(testKey.Public().(ed25519.PublicKey))}})
		_ = v.Line(begin)
		if v.Line(line) == nil {
			_, _ = v.Done()
		}
	})
}

// handedOver is a chain whose key hands over to another after its third record: five
// records and the two of the handover.
func handedOver(t testing.TB, next ed25519.PrivateKey) []Signed {
	t.Helper()
	public := func(k ed25519.PrivateKey) string { return Hex(k.Public().(ed25519.PublicKey)).String() }
	out := chain(t, 1, 4, "", func(r *Record) {
		if r.Seq == 4 {
			r.Kind, r.Key, r.NextKey = Handover, public(testKey), public(next)
		}
	})
	for _, r := range []Record{{Kind: Handover, Key: public(next)}, {Kind: Command, Name: "six"}, {Kind: Command, Name: "seven"}} {
		last := out[len(out)-1]
		r.Seq, r.Prev, r.Outcome = int64(len(out)+1), last.Hash.String(), Done
		s, err := Seal(next, r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// TestS13_AKeyHandsOverToTheNext: the records of both are verified, and none of the
// old key counts after its last.
func TestS13_AKeyHandsOverToTheNext(t *testing.T) {
	next := ed25519.NewKeyFromSeed([]byte(strings.Repeat("n", ed25519.SeedSize)))
	other := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", ed25519.SeedSize)))
	public := func(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }
	again := func(s []Signed, from int, key ed25519.PrivateKey, change func(*Record)) []Signed {
		for i := from; i < len(s); i++ {
			var r Record
			if err := json.Unmarshal(s[i].Record, &r); err != nil {
				t.Fatal(err)
			}
			if i == from && change != nil {
				change(&r)
			}
			if i > 0 {
				r.Prev = s[i-1].Hash.String()
			}
			s[i], _ = Seal(key, r)
		}
		return s
	}
	same := func(s []Signed) []Signed { return s }
	for name, c := range map[string]struct {
		change   func([]Signed) []Signed
		begin    Begin
		key      ed25519.PublicKey
		want     string // "" for good
		handover int
	}{
		"as it was signed":  {change: same, handover: 1},
		"who knows the old": {change: same, key: public(testKey), handover: 1},
		"who knows the new": {change: same, key: public(next), handover: 1},
		"who knows another": {change: same, key: public(other), want: "no record is of the key"},
		"the oldest are gone": {change: func(s []Signed) []Signed {
			return again(s[4:], 0, next, func(r *Record) { r.Seq, r.Prev = 5, s[3].Hash.String() })
		}, begin: Begin{Key: Hex(public(next))}, want: "record 4: it is missing"},
		"the old one goes on": {change: func(s []Signed) []Signed { return again(s, 5, testKey, nil) }, want: "record 6: its signature"},
		"to another":          {change: func(s []Signed) []Signed { return again(s, 3, other, nil) }, want: "record 4: its signature"},
		"to nothing readable": {change: func(s []Signed) []Signed { return again(s[:4], 3, testKey, func(r *Record) { r.NextKey = "00" }) }, want: "record 4: the key that it hands over to"},
		"the old one to its own, made anew": {
			change: func(s []Signed) []Signed {
				s = again(s[:4], 2, testKey, func(r *Record) { r.Actor = "bob" })
				return again(again(s, 3, testKey, func(r *Record) { r.NextKey = Hex(public(other)).String() }), 4, other, nil)
			},
			key: public(next), want: "no record is of the key",
		},
		"what is old made anew, up to the new key": {
			change: func(s []Signed) []Signed { return again(s[:4], 1, testKey, func(r *Record) { r.Actor = "bob" }) },
			key:    public(next), want: "no record is of the key",
		},
		"what is old made anew, under what the new key signed": {
			change: func(s []Signed) []Signed {
				return append(again(slices.Clone(s[:4]), 1, testKey, func(r *Record) { r.Actor = "bob" }), s[4:]...)
			},
			key: public(next), want: "record 5: record 4 before it",
		},
		"filtered":                       {change: func(s []Signed) []Signed { return []Signed{s[1], s[3], s[6]} }, begin: Begin{Filtered: true}, handover: 1},
		"filtered, without the handover": {change: func(s []Signed) []Signed { return []Signed{s[1], s[6]} }, begin: Begin{Filtered: true}, want: "record 7: its signature"},
		"filtered, who knows the new":    {change: func(s []Signed) []Signed { return []Signed{s[1], s[3], s[6]} }, begin: Begin{Filtered: true}, key: public(next), want: "begins with the key"},
	} {
		t.Run(name, func(t *testing.T) {
			sum, err := verify(t, &Verifier{Key: c.key}, c.begin, c.change(handedOver(t, next)))
			if c.want == "" && (err != nil || len(sum.Handovers) != c.handover || sum.Key.String() != Hex(public(next)).String()) {
				t.Errorf("%+v, %v", sum, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
