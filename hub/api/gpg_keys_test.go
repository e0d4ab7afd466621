package api

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/signature"
)

// fakeGPGKeys are keys in memory.
type fakeGPGKeys struct {
	mu   sync.Mutex
	keys []fleet.GPGKey
}

func (f *fakeGPGKeys) GPGKeys(context.Context) ([]fleet.GPGKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys, nil
}

func (f *fakeGPGKeys) GPGKey(_ context.Context, id string) (fleet.GPGKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.keys {
		if k.ID == id {
			return k, nil
		}
	}
	return fleet.GPGKey{}, fault.New(fault.NotFound, "gpg_key_unknown", "no key")
}

func (f *fakeGPGKeys) PutGPGKeys(_ context.Context, keys []signature.Key, by string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range keys {
		f.keys = append(f.keys, fleet.GPGKey{Key: k, AddedBy: by, AddedAt: start})
	}
	return nil
}

func (f *fakeGPGKeys) DeleteGPGKey(ctx context.Context, id string) error {
	if _, err := f.GPGKey(ctx, id); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = nil
	return nil
}

func TestGPGKeysOfTheHub(t *testing.T) {
	changes := 0
	w := newWorld(t, func(o *Options) { o.GPGKeys, o.GPGKeysChanged = &fakeGPGKeys{}, func() { changes++ } })
	e, err := openpgp.NewEntity("Ann", "", "ann@example.test", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	text := func(typ string, write func(*bytes.Buffer) error) string {
		var raw, b bytes.Buffer
		if err := write(&raw); err != nil {
			t.Fatal(err)
		}
		a, err := armor.Encode(&b, typ, nil)
		if err == nil {
			_, err = a.Write(raw.Bytes())
		}
		if err == nil {
			err = a.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := json.Marshal(map[string]string{"keyData": b.String()})
		return string(body)
	}
	public := text(openpgp.PublicKeyType, func(b *bytes.Buffer) error { return e.Serialize(b) })
	secret := text(openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return e.SerializePrivate(b, nil) })
	const path = "/api/v1/gpg-keys"
	var added list[gpgKey]
	w.call("POST", path, public).ok(200).into(&added)
	if len(added.Items) != 1 || added.Items[0].Armored != "" || added.Items[0].AddedBy != "ana" || changes != 1 {
		t.Fatalf("%+v after %d changes", added, changes)
	}
	id := added.Items[0].ID
	if a := w.call("GET", path, "").ok(200); strings.Contains(a.body, "BEGIN PGP") || !strings.Contains(a.body, id) {
		t.Errorf("the list is %s", a.body)
	}
	if a := w.call("GET", path+"/"+id, "").ok(200); !strings.Contains(a.body, "BEGIN PGP PUBLIC") {
		t.Errorf("the key is %s", a.body)
	}
	w.call("GET", path+"/zz", "").problem(400, "gpg_key_id_invalid")
	w.call("GET", path+"/0123456789ABCDEF", "").problem(404, "gpg_key_unknown")
	w.call("POST", path, secret).problem(400, "gpg_key_secret")
	w.call("POST", path, `{"keyData":"hello"}`).problem(400, "gpg_key_invalid")
	w.call("DELETE", path+"/"+id, "").ok(204)
	w.call("DELETE", path+"/"+id, "").problem(404, "gpg_key_unknown")
	if changes != 2 {
		t.Errorf("%d changes", changes)
	}
}
