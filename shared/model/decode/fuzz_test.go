package decode

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// No text makes the decoder panic, every error is one that people can be
// shown, and what it accepts it accepts again.
func FuzzDocuments(f *testing.F) {
	files, err := filepath.Glob("testdata/corpus/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := Documents(data)
		if err != nil {
			shown(t, err)
			return
		}
		for _, d := range docs {
			if d.Err != nil {
				shown(t, d.Err)
				continue
			}
			roundTrip(t, d)
		}
	})
}

func shown(t *testing.T, err error) {
	t.Helper()
	var list fault.List
	if !errors.As(err, &list) {
		list = fault.List{fault.As(err)}
	}
	for _, e := range list {
		if e.Kind == fault.Internal {
			t.Errorf("internal error: %v", e)
		}
	}
}
