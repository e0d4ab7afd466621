package vault

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// EnvKey holds the key or keys themselves.
const EnvKey = "HAWSER_VAULT_KEY"

const generatedName = "vault.key"

// Source says where the key came from, for the log.
type Source string

// The sources, in the order in which they are asked.
const (
	FromFile      Source = "file"
	FromEnv       Source = "environment"
	FromDirectory Source = "data directory"
	Generated     Source = "generated" // at this start, in the data directory
)

// KeyOptions of Load.
type KeyOptions struct {
	// File holds the keys, if set. It must exist.
	File string
	// Value holds the keys, if set (EnvKey).
	Value string
	// Dir is where a key is kept, and generated at first start, when neither
	// File nor Value is set.
	Dir string
	// Existing is for what makes no sense with a new key: none is generated then.
	Existing bool
}

// Load makes the Box from a file, a value, or the data directory. Keys are
// base64 (as from `openssl rand -base64 32`), one a line; the first seals, all
// open. Lines that begin with # do not count.
func Load(o KeyOptions) (*Box, Source, error) {
	switch {
	case o.File != "":
		b, err := os.ReadFile(o.File)
		if err != nil {
			return nil, "", fault.Wrap(err, fault.Invalid, "vault_key_unreadable", "the vault key file cannot be read")
		}
		box, err := parse(b)
		return box, FromFile, err
	case o.Value != "":
		box, err := parse([]byte(o.Value))
		return box, FromEnv, err
	case o.Dir != "":
		return fromDirectory(o.Dir, o.Existing)
	}
	return nil, "", fault.New(fault.Invalid, "vault_key_missing", "the vault needs a key").
		WithFix("set %s, or a key file, or a data directory", EnvKey)
}

func parse(b []byte) (*Box, error) {
	var keys [][]byte
	for line := range strings.FieldsFuncSeq(string(b), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' }) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			raw, err = base64.RawURLEncoding.DecodeString(line)
		}
		if err != nil {
			// The cause would quote part of the key.
			return nil, fault.New(fault.Invalid, "vault_key_invalid", "vault key %d is not base64", len(keys)+1).
				WithFix("make one with: openssl rand -base64 %d", KeySize)
		}
		keys = append(keys, raw)
	}
	return New(keys...)
}

func fromDirectory(dir string, existing bool) (*Box, Source, error) {
	path := filepath.Join(dir, generatedName)
	b, err := os.ReadFile(path)
	source := FromDirectory
	if errors.Is(err, os.ErrNotExist) && existing {
		return nil, "", fault.New(fault.Precondition, "vault_key_missing", "there is no vault key in the data directory").
			WithFix("put the hub's %s there, or name it with HAWSER_VAULT_KEY_FILE", generatedName)
	}
	if errors.Is(err, os.ErrNotExist) {
		source = Generated
		if b, err = generate(path); errors.Is(err, os.ErrExist) {
			// Another hub was quicker; its key is everybody's.
			source = FromDirectory
			b, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, "", fault.Wrap(err, fault.Invalid, "vault_key_unreadable", "the vault key in the data directory cannot be read or made")
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, "", fault.Wrap(err, fault.Invalid, "vault_key_unreadable", "the vault key in the data directory cannot be read")
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, "", fault.New(fault.Invalid, "vault_key_exposed", "the vault key in the data directory has mode %04o, others can read it", st.Mode().Perm()).
			WithFix("chmod 600 %s", generatedName)
	}
	box, err := parse(b)
	return box, source, err
}

// generate writes a new key so that the file appears whole and durable, or
// fails with ErrExist when there is one.
func generate(path string) ([]byte, error) {
	raw := make([]byte, KeySize)
	rand.Read(raw)
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Opens the secrets in the hub's database. Keep a copy; it cannot be made again.\n%s\n", base64.StdEncoding.EncodeToString(raw))

	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+generatedName+"-") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text.Bytes())
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return nil, err
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		err = d.Sync()
		if err := errors.Join(err, d.Close()); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
