package backup

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// format of the archive. A program reads those up to its own.
const format = 1

const (
	manifestName = "manifest.json"
	sealName     = "seal"
	// sealPlace is what the seal is bound to.
	sealPlace = "backup/manifest"
	// maxManifest bounds what is read before anything is known to be genuine, in bytes.
	maxManifest = 4 << 20
)

// Manifest says what a backup holds.
type Manifest struct {
	Format int `json:"format"`
	// Program is the version of the software that wrote it, Schema the database's.
	Program string `json:"program"`
	Schema  int64  `json:"schema"`
	// Taken is when the snapshot was.
	Taken time.Time `json:"taken"`
	// Hub is the hub's id, Incarnation its number then.
	Hub         string `json:"hub"`
	Incarnation int64  `json:"incarnation"`
	// Tables in the order of their names.
	Tables    []Table    `json:"tables"`
	Sequences []Sequence `json:"sequences"`
	// AuditMonths are those that there are audit records of, as 2026-11-01.
	AuditMonths []string `json:"auditMonths"`
}

// Rows of all tables.
func (m Manifest) Rows() (n int64) {
	for _, t := range m.Tables {
		n += t.Rows
	}
	return n
}

// Table is one table's rows.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
	Bytes   int64    `json:"bytes"`
	SHA256  string   `json:"sha256"`
}

// file of the table in the archive.
func (t Table) file() string { return "tables/" + t.Name }

// Sequence is the state of one.
type Sequence struct {
	Name   string `json:"name"`
	Last   int64  `json:"last"`
	Called bool   `json:"called"`
}

// Sealer seals for a place, and opens only what was sealed for that place, with a key
// that is not in the database; hub/vault's Box is one as long as it has learnt nothing.
type Sealer interface {
	Seal(plain []byte, place string) ([]byte, error)
	Open(sealed []byte, place string) ([]byte, error)
}

func writeManifest(archive *zip.Writer, m Manifest, key Sealer) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	sealed, err := key.Seal(sum[:], sealPlace)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{manifestName: raw, sealName: sealed} {
		w, err := archive.Create(name)
		if err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return nil
}

// readManifest reads what a backup says of itself, and holds it to the seal.
func readManifest(archive *zip.Reader, key Sealer) (m Manifest, err error) {
	raw, err := readSmall(archive, manifestName)
	if err != nil {
		return m, err
	}
	sealed, err := readSmall(archive, sealName)
	if err != nil {
		return m, err
	}
	hash, err := key.Open(sealed, sealPlace)
	if err != nil {
		return m, fault.Wrap(err, fault.Invalid, "backup_key_wrong", "the backup was made under another vault key").
			WithFix("give the vault key of the hub that was backed up, with HAWSER_VAULT_KEY_FILE, HAWSER_VAULT_KEY or as vault.key in the data directory")
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(hash) != hex.EncodeToString(sum[:]) {
		return m, damaged("its manifest was changed")
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, damaged("its manifest is no JSON: " + err.Error())
	}
	if m.Format > format {
		return m, fault.New(fault.Invalid, "backup_too_new", "the backup has format %d, this program reads formats up to %d", m.Format, format).
			WithFix("restore it with hawser-hub %s or newer", m.Program)
	}
	return m, nil
}

func readSmall(archive *zip.Reader, name string) ([]byte, error) {
	f, err := archive.Open(name)
	if err != nil {
		return nil, damaged("it has no " + name)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	switch {
	case err != nil:
		return nil, damaged(fmt.Sprintf("%s cannot be read: %v", name, err))
	case len(raw) > maxManifest:
		return nil, damaged(fmt.Sprintf("%s is larger than %d bytes", name, maxManifest))
	}
	return raw, nil
}

func damaged(how string) error {
	return fault.New(fault.Invalid, "backup_damaged", "the file is no whole backup: %s", how).
		WithFix("take another backup; nothing was restored")
}
