package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/hawser-dev/hawser/shared/signature"
)

// keyOfAnn is a key that was just made: its secret and its public part in ASCII
// armour.
func keyOfAnn(t *testing.T) (secret, public string, key signature.Key) {
	t.Helper()
	e, err := openpgp.NewEntity("Ann", "", "ann@example.test", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	armored := func(kind string, write func(b *bytes.Buffer) error) string {
		var raw, out bytes.Buffer
		err := write(&raw)
		w, err2 := armor.Encode(&out, kind, nil)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if _, err := w.Write(raw.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String() + "\n"
	}
	secret = armored(openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return e.SerializePrivate(b, nil) })
	public = armored(openpgp.PublicKeyType, func(b *bytes.Buffer) error { return e.Serialize(b) })
	keys, err := signature.ParseKeys([]byte(public))
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	return secret, public, keys[0]
}

func TestGPG(t *testing.T) {
	secret, public, key := keyOfAnn(t)
	shown := func(armored string, change func(*gpgKey)) string {
		k := gpgKey{Key: key, AddedBy: "ana", AddedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
		k.Armored = armored
		if change != nil {
			change(&k)
		}
		b, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	past := time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)
	list := `{"items":[` + strings.Join([]string{shown("", nil),
		shown("", func(k *gpgKey) { k.Owner, k.ExpiresAt = "Old\x1b[2J", &past }),
		shown("", func(k *gpgKey) { k.Owner, k.Revoked = "Gone", true })}, ",") + `]` + asOf
	hub := newHubOf(t, map[string]answer{
		"POST /gpg-keys":                 {200, `{"items":[` + shown("", nil) + `]` + asOf},
		"GET /gpg-keys":                  {200, list},
		"GET /gpg-keys/" + key.ID:        {200, shown(public, nil)},
		"DELETE /gpg-keys/" + key.ID:     {204, ""},
		"GET /gpg-keys/0123456789ABCDEF": problemAnswer(404, "not_found", "gpg_key_unknown", "there is no key"),
	})
	file := filepath.Join(t.TempDir(), "ann.asc")
	if err := os.WriteFile(file, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"-", file} {
		run(t, public, "gpg", "add", "--from", from).check(t, 0, "", "key "+key.ID+" of Ann <ann@example.test> added")
	}
	var sent struct {
		KeyData string `json:"keyData"`
	}
	_, body, _ := strings.Cut(strings.SplitN(hub.requests(), "\n", 2)[0], "POST /gpg-keys ")
	if err := json.Unmarshal([]byte(body), &sent); err != nil || !strings.Contains(sent.KeyData, "BEGIN PGP PUBLIC KEY") {
		t.Errorf("%v: %s", err, body)
	}
	before := hub.requests()
	run(t, secret, "gpg", "add", "--from", "-").check(t, 2, "", "secret")
	run(t, "no key", "gpg", "add", "--from", "-").check(t, 2, "", "error: ")
	run(t, "", "gpg", "add").check(t, 2, "", "(flag_missing)")
	run(t, "", "gpg", "add", "--from", "/nix/nix").check(t, 3, "", "(file_not_found)")
	if hub.requests() != before {
		t.Errorf("what is no public key was sent: %s", strings.TrimPrefix(hub.requests(), before))
	}

	r := run(t, "", "gpg", "list")
	r.check(t, 0, "KEY ID            TYPE", "")
	for _, want := range []string{key.ID, "never", "valid", "2020-01-02", "expired", "revoked", "Old\uFFFD[2J"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in %s", want, r.out)
		}
	}
	if strings.Contains(r.out, key.Fingerprint) {
		t.Errorf("the wide column is shown: %s", r.out)
	}
	run(t, "", "gpg", "list", "-o", "wide").check(t, 0, key.Fingerprint, "")
	run(t, "", "gpg", "list", "-o", "name").check(t, 0, "gpg/"+key.ID+"\n", "")

	r = run(t, "", "gpg", "get", key.ID)
	r.check(t, 0, public, "fingerprint "+key.Fingerprint)
	if again, err := signature.ParseKeys([]byte(r.out)); err != nil || len(again) != 1 || again[0].Fingerprint != key.Fingerprint {
		t.Errorf("what is printed cannot be added again: %v", err)
	}
	run(t, "", "gpg", "get", key.ID, "-o", "json").check(t, 0, `"fingerprint"`, "")
	run(t, "", "gpg", "get", "0123456789ABCDEF").check(t, 3, "", "(gpg_key_unknown)")
	run(t, "", "gpg", "remove", key.ID).check(t, 0, "", "key "+key.ID+" removed")
}

func TestWhatProjectsWarnOfIsOnStderr(t *testing.T) {
	answers := everything()
	answers["POST /apply"] = answer{200, `{"items":[{"kind":"AppProject","name":"risky","result":"created","warnings":["spec.sourceRepos: any \u001b[2J"]}]}`}
	hub := newHubOf(t, answers)
	hub.warnings = []string{`299 - "spec.destinations: everywhere \u00e9"`, `110 cache "stale"`}
	r := run(t, "", "project", "create", "shop", "-s", "*", "-d", "eu*,n")
	r.check(t, 0, "", "warning: spec.destinations: everywhere é\n")
	if r.out != "" || strings.Contains(r.err, "stale") {
		t.Errorf("%+v", r)
	}
	run(t, "kind: AppProject", "apply", "-f", "-").check(t, 0, "project/risky created\n", "warning: project/risky: spec.sourceRepos: any \uFFFD[2J\n")
	r = run(t, "kind: AppProject", "apply", "-f", "-", "-o", "json")
	r.check(t, 0, `"warnings"`, "warning: ")
}
