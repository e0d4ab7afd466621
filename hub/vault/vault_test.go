package vault

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func key(t *testing.T) []byte {
	t.Helper()
	k := make([]byte, KeySize)
	rand.Read(k)
	return k
}

func box(t *testing.T, keys ...[]byte) *Box {
	t.Helper()
	b, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealedValuesOpenOnlyWhereTheyBelong(t *testing.T) {
	b := box(t, key(t))
	plain := []byte("CANARY-password")
	sealed, err := b.Seal(plain, "repositories/credential/1")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, plain) {
		t.Fatal("the sealed value holds the plain one")
	}
	again, err := b.Seal(plain, "repositories/credential/1")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(sealed, again) {
		t.Error("sealing twice gives the same bytes")
	}
	got, err := b.Open(sealed, "repositories/credential/1")
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("%q %v", got, err)
	}

	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	moved := bytes.Clone(sealed)
	moved[prefixSize] ^= 0x80
	version := bytes.Clone(sealed)
	version[1] ^= 0xff
	kind := bytes.Clone(sealed)
	kind[0] = 0
	tests := map[string]struct {
		sealed []byte
		aad    string
		code   string
	}{
		"other row":      {sealed, "repositories/credential/2", "vault_value_damaged"},
		"other column":   {sealed, "repositories/other/1", "vault_value_damaged"},
		"no place":       {sealed, "", "vault_value_damaged"},
		"changed tag":    {changed, "repositories/credential/1", "vault_value_damaged"},
		"changed nonce":  {moved, "repositories/credential/1", "vault_value_damaged"},
		"other version":  {version, "repositories/credential/1", "vault_key_unknown"},
		"other kind":     {kind, "repositories/credential/1", "vault_value_damaged"},
		"cut at the end": {sealed[:len(sealed)-1], "repositories/credential/1", "vault_value_damaged"},
		"only prefix":    {sealed[:prefixSize], "repositories/credential/1", "vault_value_damaged"},
		"cut in prefix":  {sealed[:3], "repositories/credential/1", "vault_value_damaged"},
		"empty":          {nil, "repositories/credential/1", "vault_value_damaged"},
		"clear text":     {[]byte("a password"), "repositories/credential/1", "vault_key_unknown"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := b.Open(test.sealed, test.aad)
			if err == nil {
				t.Fatalf("opened as %q", got)
			}
			if !fault.HasCode(err, test.code) {
				t.Errorf("code of %v is not %s", err, test.code)
			}
			if strings.Contains(err.Error(), "CANARY") {
				t.Error("the error holds the value")
			}
		})
	}
}

func TestKeysAreRotated(t *testing.T) {
	old, next := key(t), key(t)
	before := box(t, old)
	sealed, err := before.Seal([]byte("v"), "a")
	if err != nil {
		t.Fatal(err)
	}

	both := box(t, next, old)
	if got, err := both.Open(sealed, "a"); err != nil || string(got) != "v" {
		t.Fatalf("old value under both keys: %q %v", got, err)
	}
	renewed, err := both.Seal([]byte("v"), "a")
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := Version(renewed); v != both.Primary() || v == before.Primary() {
		t.Errorf("sealed with %08x, primary is %08x", v, both.Primary())
	}
	if _, err := before.Open(renewed, "a"); !fault.HasCode(err, "vault_key_unknown") {
		t.Errorf("a vault without the new key: %v", err)
	}
	if _, err := box(t, next).Open(sealed, "a"); !fault.HasCode(err, "vault_key_unknown") {
		t.Errorf("a vault without the old key: %v", err)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(key(t))
	for name, value := range map[string]string{
		"not base64": "CANARY!!!",
		"short":      base64.StdEncoding.EncodeToString([]byte("CANARY")),
		"long":       base64.StdEncoding.EncodeToString(make([]byte, 33)),
		"twice":      good + "\n" + good,
		"comment":    "# nothing else",
		"blank":      " \n ",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(KeyOptions{Value: value})
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), good) {
				t.Error("the error quotes the key")
			}
		})
	}
	if _, _, err := Load(KeyOptions{}); !fault.HasCode(err, "vault_key_missing") {
		t.Errorf("no source: %v", err)
	}
	if _, _, err := Load(KeyOptions{File: filepath.Join(t.TempDir(), "none")}); !fault.HasCode(err, "vault_key_unreadable") {
		t.Errorf("missing file: %v", err)
	}
}

func TestFileWinsOverEnvironmentOverDirectory(t *testing.T) {
	inFile, inEnv := key(t), key(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "mounted")
	if err := os.WriteFile(file, []byte("# first seals\n"+base64.StdEncoding.EncodeToString(inFile)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	value := base64.RawURLEncoding.EncodeToString(inEnv)
	for _, test := range []struct {
		opts    KeyOptions
		source  Source
		primary uint32
	}{
		{KeyOptions{File: file, Value: value, Dir: dir}, FromFile, keyVersion(inFile)},
		{KeyOptions{Value: value, Dir: dir}, FromEnv, keyVersion(inEnv)},
	} {
		b, source, err := Load(test.opts)
		if err != nil {
			t.Fatal(err)
		}
		if source != test.source || b.Primary() != test.primary {
			t.Errorf("key %08x from %s, want %08x from %s", b.Primary(), source, test.primary, test.source)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, generatedName)); !os.IsNotExist(err) {
		t.Error("a key was generated although one was given")
	}
}

func TestKeyIsGeneratedOnceAndPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var (
		wg      sync.WaitGroup
		boxes   [8]*Box
		sources [8]Source
		errs    [8]error
	)
	for i := range boxes {
		wg.Go(func() { boxes[i], sources[i], errs[i] = Load(KeyOptions{Dir: dir}) })
	}
	wg.Wait()
	generated := 0
	for i := range boxes {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if boxes[i].Primary() != boxes[0].Primary() {
			t.Error("two starts at once have different keys")
		}
		if sources[i] == Generated {
			generated++
		}
	}
	if generated != 1 {
		t.Errorf("%d keys were generated", generated)
	}
	path := filepath.Join(dir, generatedName)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o", st.Mode().Perm())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left in the directory: %v %v", left, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(KeyOptions{Dir: dir}); !fault.HasCode(err, "vault_key_exposed") {
		t.Errorf("an exposed key file: %v", err)
	}
}
