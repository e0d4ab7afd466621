package journal

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// What is found in the place of the agent's journal, whole or damaged, by whoever may
// write Secrets there: it is read or set aside by name, is never overwritten when it is
// set aside, and what was read comes back the same after it was written again.
func FuzzRecords(f *testing.F) {
	code, err := NewCodec()
	if err != nil {
		f.Fatal(err)
	}
	framed := func(plain []byte) []byte {
		out := append([]byte(mark), 0, 0, 0, 0)
		out = code.enc.EncodeAll(plain, out)
		binary.BigEndian.PutUint32(out[len(mark):], crc32.Checksum(out[len(mark)+4:], castagnoli))
		return out
	}
	const pack = packPrefix + "one"
	for _, s := range []string{
		`{"seq":3,"records":[{"app":"u1","name":"web","desired":{"app":"u1","generation":4,"bundle":"sha256:a"},"inventory":[{"key":{"group":"apps","kind":"Deployment","name":"web"},"uid":"x","confirmed":true}]}],"bundles":{"sha256:a":[{"p":"` + pack + `","o":0,"n":4},{"p":"` + pack + `","o":4,"n":4}]}}`,
		`{"seq":-1,"records":[{"app":"u1","desired":{"bundle":"sha256:a"}},{"app":"u1"}],"bundles":{"sha256:a":[{"p":"` + pack + `","o":-9223372036854775808,"n":9223372036854775807}]}}`,
		`{"records":[{"app":""}]}`, `{"records":[null]}`, `{"records":[{"app":"u","op":{},"withdraw":{},"gone":{},"ended":[{}],"run":{}}]}`, `{"bundles":null}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, state []byte, whole bool) {
		data := state
		if whole {
			data = framed(state)
		}
		space := newFakeSecrets()
		for _, s := range []Secret{
			{Name: shardName(1), Data: map[string][]byte{dataKey: data}, ResourceVersion: "7"},
			{Name: pack, Data: map[string][]byte{packKey: []byte("manifest")}, Immutable: true},
		} {
			space.m[s.Name] = s
		}
		s, err := OpenStore(t.Context(), StoreOptions{Secrets: space, Instance: "a", Codec: code})
		if err != nil {
			t.Fatalf("the agent does not start: %v", err)
		}
		if s.shards[1].quarantined {
			if len(s.book.Apps) > 0 || len(s.Conditions()) == 0 {
				t.Fatalf("%q is set aside, with %d applications and the conditions %v", state, len(s.book.Apps), s.Conditions())
			}
			return
		}
		for uid, r := range s.book.Apps {
			if uid == "" || r.App != uid {
				t.Fatalf("%q has a record %q of %q", state, r.App, uid)
			}
			if r.Desired != nil && !s.Lost(uid) && len(s.bundles[r.Desired.Bundle].encoded) == 0 {
				t.Fatalf("%q has a bundle of nothing", state)
			}
			once, err := json.Marshal(r)
			if err != nil {
				t.Fatalf("%q cannot be written again: %v", state, err)
			}
			var back Record
			if err := json.Unmarshal(once, &back); err != nil {
				t.Fatalf("%q cannot be read again: %v", once, err)
			}
		}
	})
}

// The head of the journal, without which an old hub cannot be told from the present
// one: what cannot be read is no start, by name.
func FuzzHead(f *testing.F) {
	code, err := NewCodec()
	if err != nil {
		f.Fatal(err)
	}
	good, err := code.encode(headDoc{Seq: 4})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range [][]byte{good, good[:len(good)-1], []byte(mark), nil} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		space := newFakeSecrets()
		space.m[headName] = Secret{Name: headName, Data: map[string][]byte{dataKey: data}}
		if _, err := OpenStore(t.Context(), StoreOptions{Secrets: space, Instance: "a", Codec: code}); err != nil && !fault.HasCode(err, "journal_corrupt") {
			t.Fatal(err)
		}
	})
}

// What the cluster's API server refuses is an error of a known code in few words.
func FuzzRefusal(f *testing.F) {
	f.Add(403, []byte(`{"kind":"Status","message":"secrets is forbidden"}`))
	f.Add(500, []byte(`{"message":{}}`))
	f.Add(409, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		err := refusal(status, body, "hawser")
		if e := fault.As(err); e.Code == "" || e.Code == "internal" || len(e.Message) > 400 {
			t.Fatalf("%d %q: %v", status, body, err)
		}
	})
}
