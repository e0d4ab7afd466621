package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/hub/gateway/ca"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/store/backup"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// Backup is hawser-hub backup.
type Backup struct {
	Config Config
	// File to write, - for the standard output.
	File string
}

// Flags registers the options.
func (b *Backup) Flags(f *pflag.FlagSet) {
	b.Config.Flags(f)
	f.StringVarP(&b.File, "file", "f", "", "file to write, which must not exist; - for the standard output")
}

// Run writes the backup, and says what is in it to progress.
func (b *Backup) Run(ctx context.Context, stdout, progress io.Writer) error {
	if b.File == "" {
		return fault.New(fault.Invalid, "flag_invalid", "where is the backup to be written?").
			WithField("--file").WithFix("name a file that does not exist, or - for the standard output")
	}
	key, err := b.Config.existingVault()
	if err != nil {
		return err
	}
	return b.Config.withDatabase(ctx, func(dsn string, s *store.Store) error {
		return attended(ctx, s, "hubBackup", "settings", func() error {
			began := time.Now()
			var m backup.Manifest
			err := writeWhole(b.File, stdout, func(out io.Writer) (err error) {
				m, err = backup.Write(ctx, dsn, key, telemetry.Version, out)
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(progress, "backed up hub %s, incarnation %d: %d rows of %d tables as of %s, in %s\nThe file opens with the vault key alone, which is not in it: keep a copy of it elsewhere.\n",
				m.Hub, m.Incarnation, m.Rows(), len(m.Tables), m.Taken.Format(time.RFC3339), time.Since(began).Round(time.Millisecond))
			return err
		})
	})
}

// existingVault is the Box with the keys that are outside of the database, and with
// no other: what it seals can be opened before there is a database.
func (c *Config) existingVault() (*vault.Box, error) {
	box, _, err := vault.Load(vault.KeyOptions{File: os.Getenv("HAWSER_VAULT_KEY_FILE"), Value: os.Getenv(vault.EnvKey), Dir: c.Data, Existing: true})
	return box, err
}

// writeWhole makes a file that is whole once it has its name, and replaces none.
func writeWhole(file string, stdout io.Writer, write func(io.Writer) error) (err error) {
	if file == "-" {
		return write(stdout)
	}
	unwritable := func(err error) error {
		return fault.Wrap(err, fault.Invalid, "backup_not_written", "%s cannot be written", file).WithField("--file")
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-") // mode 0600
	if err != nil {
		return unwritable(err)
	}
	defer os.Remove(tmp.Name())
	err = write(tmp)
	if err == nil {
		if err = tmp.Sync(); err != nil {
			err = unwritable(err)
		}
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	switch err := os.Link(tmp.Name(), file); {
	case errors.Is(err, os.ErrExist):
		return fault.New(fault.Conflict, "file_exists", "%s exists, and no backup is replaced", file).
			WithField("--file").WithFix("choose another name")
	case err != nil:
		return unwritable(err)
	}
	return nil
}

// Restore is hawser-hub restore.
type Restore struct {
	Config Config
	// Check reads the backup and restores nothing.
	Check bool
	// GrantTo is the role that the hub logs in as, as in Migrate.
	GrantTo string
}

// Flags registers the options.
func (r *Restore) Flags(f *pflag.FlagSet) {
	r.Config.Flags(f)
	f.BoolVar(&r.Check, "check", false, "only say whether the backup is whole and what it holds; it needs the vault key and no database")
	f.StringVar(&r.GrantTo, "grant-to", "", "role of the database that the hub logs in as, as in hawser-hub migrate")
}

// Run restores a backup, and says what comes next.
func (r *Restore) Run(ctx context.Context, file string, out io.Writer) (err error) {
	if err := r.Config.complete(); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "backup_unreadable", "the backup cannot be read")
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "backup_unreadable", "the backup cannot be read from its end").WithFix("give a file, not a pipe")
	}
	key, err := r.Config.existingVault()
	if err != nil {
		return err
	}
	if r.Check {
		m, err := backup.Inspect(f, size, key)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "the backup is whole: hub %s, incarnation %d, %d rows of %d tables as of %s, schema %d, written by %s\n",
			m.Hub, m.Incarnation, m.Rows(), len(m.Tables), m.Taken.Format(time.RFC3339), m.Schema, m.Program)
		return err
	}
	if err := r.Config.makeDataDir(); err != nil {
		return err
	}
	unlock, err := lockDataDir(ctx, r.Config.Data)
	if err != nil {
		return err
	}
	defer unlock()
	dsn, private, err := r.Config.openDatabase(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if private != nil {
		defer func() { err = errors.Join(err, private.Stop()) }()
	}
	m, err := backup.Read(ctx, dsn, key, f, size)
	if err != nil {
		return err
	}
	if err := migrations.Up(ctx, dsn); err != nil {
		return err
	}
	if r.GrantTo != "" {
		if err := migrations.Grant(ctx, dsn, r.GrantTo); err != nil {
			return err
		}
	}
	return r.begin(ctx, dsn, m, out)
}

// begin makes the restored database a new incarnation of the hub. Should it not come
// to that, deletions are held already, and the first agent that knows a newer session
// than the database raises it.
func (r *Restore) begin(ctx context.Context, dsn string, m backup.Manifest, out io.Writer) error {
	box, err := r.Config.existingVault()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, dsn, box, store.Options{MaxConns: 4})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.LearnKeys(ctx); err != nil {
		return err
	}
	authority, err := ca.Load(ctx, s, ca.Options{})
	if err != nil {
		return err
	}
	return attended(ctx, s, "hubRestore", "settings", func() error {
		state, err := s.RaiseIncarnation(ctx, authority.SignIncarnation)
		if err != nil {
			return err
		}
		tokens, err := s.APITokens(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, `restored hub %s as of %s: %d rows of %d tables; it is incarnation %d now
Next:
  1. start the hub on this database
  2. look at hawser app list: what changed after the backup is out of sync or unknown until Git says it again
  3. hawser token list: %d API tokens are as they were then; revoke those that were revoked since
  4. hawser hub acknowledge-restore: until then nothing is pruned or deleted
`, m.Hub, m.Taken.Format(time.RFC3339), m.Rows(), len(m.Tables), state.Incarnation, len(tokens))
		return err
	})
}
