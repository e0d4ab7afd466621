package store

import (
	"fmt"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	gpg "github.com/hawser-dev/hawser/shared/signature"
)

func TestGPGKeys(t *testing.T) {
	s := setup(t)
	key := func(n int) gpg.Key {
		return gpg.Key{ID: fmt.Sprintf("%016X", n), Fingerprint: fmt.Sprintf("%040X", n), Owner: "Ann", Armored: "x"}
	}
	if err := s.PutGPGKeys(t.Context(), []gpg.Key{key(1), key(2)}, "ann"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutGPGKeys(t.Context(), []gpg.Key{key(1)}, "bob"); err != nil {
		t.Fatal(err)
	}
	list, err := s.GPGKeys(t.Context())
	if err != nil || len(list) != 2 || list[0].AddedBy != "bob" || list[0].Armored != "x" {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, id := range []string{"0x0000000000000002", fmt.Sprintf("%040x", 2)} {
		if k, err := s.GPGKey(t.Context(), id); err != nil || k.ID != key(2).ID {
			t.Errorf("%s: %+v, %v", id, k, err)
		}
	}
	if err := s.DeleteGPGKey(t.Context(), key(2).ID); err != nil {
		t.Error(err)
	}
	if err := s.DeleteGPGKey(t.Context(), key(2).ID); !fault.HasCode(err, "gpg_key_unknown") {
		t.Error(err)
	}
	if _, err := s.GPGKey(t.Context(), key(2).ID); !fault.HasCode(err, "gpg_key_unknown") {
		t.Error(err)
	}
	var many []gpg.Key
	for i := range fleet.MaxGPGKeys {
		many = append(many, key(i+10))
	}
	if err := s.PutGPGKeys(t.Context(), many, "ann"); !fault.HasCode(err, "gpg_key_limit") {
		t.Error(err)
	}
	if list, err := s.GPGKeys(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%d keys, %v", len(list), err)
	}
}
