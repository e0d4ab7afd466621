package manifest

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// What comes as a bundle is the one that was asked for, whole, or nothing.
func FuzzBundle(f *testing.F) {
	objs, err := Parse("a.yaml", []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"), Limits{})
	if err != nil {
		f.Fatal(err)
	}
	encoded, digest, err := EncodeBundle(objs)
	if err != nil {
		f.Fatal(err)
	}
	text, err := decoder().DecodeAll(encoded, nil)
	if err != nil {
		f.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded, false)
	f.Add(encoded[:len(encoded)-1], false)
	f.Add(text, true)
	f.Add(append([]byte("{}\n"), text...), true)
	f.Add([]byte(trailerStart+"0"+trailerMiddle+"x"+trailerEnd), true)
	f.Fuzz(func(t *testing.T, b []byte, pack bool) {
		if pack {
			b = enc.EncodeAll(b, nil)
		}
		got, err := DecodeBundle(b, digest)
		if err != nil {
			return
		}
		again, of, err := EncodeBundle(got)
		if err != nil || of != digest || !bytes.Equal(again, encoded) {
			t.Errorf("%q is taken for %s: %v", b, digest, err)
		}
	})
}
