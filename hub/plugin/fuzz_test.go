package plugin

import (
	"encoding/json"
	"slices"
	"testing"
)

// What a command of a plugin announces is read whole or not at all, and means the
// same when it is written again.
func FuzzAnnouncements(f *testing.F) {
	for _, s := range []string{
		`[{"name":"values","collectionType":"array","array":["a"],"required":true}]`, `[{"name":"m","collectionType":"map","map":{"a":"b"}},{"name":""}]`,
		`[{"name":"x","collectionType":"set"}]`, `[null]`, `null`, `{}`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		list, err := parseAnnouncements(said)
		if err != nil {
			if list != nil {
				t.Fatalf("%q is refused, and is %+v", said, list)
			}
			return
		}
		for _, a := range list {
			if a.Name == "" || !slices.Contains([]string{"", "string", "array", "map"}, a.CollectionType) {
				t.Fatalf("%q is taken as %+v", said, a)
			}
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseAnnouncements(text)
		if second, _ := json.Marshal(again); err != nil || string(second) != string(text) {
			t.Fatalf("%q is %s, and that %s: %v", said, text, second, err)
		}
	})
}
