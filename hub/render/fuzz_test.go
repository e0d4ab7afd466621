package render

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/hawser-dev/hawser/shared/manifest"
)

// one keeps one value, whatever it is asked for.
type one struct {
	value   []byte
	dropped bool
}

func (o *one) Get(context.Context, string) ([]byte, bool) { return o.value, true }
func (o *one) Put(context.Context, string, []byte)        {}
func (o *one) Drop(context.Context, string)               { o.dropped = true }

// Whatever lies in a cache for a key: it is the result of that key, whole and with its
// digest, or it is dropped and rendered again.
func FuzzKeptResult(f *testing.F) {
	bundle := func(name string) *rendered {
		objects, err := manifest.Parse(name+".yaml", []byte(configMap(name)), manifest.Limits{})
		if err != nil {
			f.Fatal(err)
		}
		encoded, digest, err := manifest.EncodeBundle(objects)
		if err != nil {
			f.Fatal(err)
		}
		return &rendered{key: "key", encoded: encoded, digest: digest, origins: []string{name + ".yaml"}}
	}
	mine, theirs := bundle("a"), bundle("b")
	good, err := mine.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	mixed := *mine
	mixed.encoded = theirs.encoded
	swapped, _ := mixed.encode()
	f.Add(swapped)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, '{'})
	f.Add([]byte("\x02{}"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, kept []byte) {
		cache := &one{value: kept}
		r, objects, ok := (&results{slog.New(slog.DiscardHandler), cache}).get(t.Context(), "key")
		if ok == cache.dropped || ok && r.key != "key" {
			t.Fatalf("%q: %t, dropped %t", kept, ok, cache.dropped)
		}
		if !ok {
			return
		}
		again, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeRendered(again)
		if err != nil || back.digest != r.digest || !bytes.Equal(back.encoded, r.encoded) {
			t.Fatalf("%q is %+v, and written again %+v: %v", kept, r, back, err)
		}
		if _, digest, err := manifest.EncodeBundle(objects); err != nil || digest != r.digest {
			t.Fatalf("%q has objects of the digest %s and says %s: %v", kept, digest, r.digest, err)
		}
	})
}

// What is told of a render by another hub is whole, and counts at least what it holds.
func FuzzTrace(f *testing.F) {
	id := make([]byte, 32)
	for _, in := range []toldTrace{{Key: "k", Paths: id, Roots: map[string]string{"a": "b"}, Questions: []toldQuestion{{Raw: []byte("q"), ID: id, Content: true}}}, {Key: "k", Paths: id[:3]}, {}} {
		text, err := json.Marshal(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"key":"k","questions":[null,1]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := decodeTrace(text)
		if err != nil {
			return
		}
		held := int64(0)
		for _, q := range got.questions {
			held += int64(len(q.raw) + len(q.id))
		}
		for tree := range got.roots {
			held += int64(len(tree))
		}
		if got.key == "" || got.roots == nil || got.size < held {
			t.Fatalf("%q is taken as %+v, which holds %d", text, got, held)
		}
	})
}
