package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hawser-dev/hawser/hub/devdb"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/fault"
)

func (c *Config) databaseDir() string { return filepath.Join(c.Data, "postgres") }

// openDatabase returns the DSN of the configured database, or starts the
// private one, which the caller stops.
func (c *Config) openDatabase(ctx context.Context, log *slog.Logger) (dsn string, private *devdb.DB, err error) {
	if c.DatabaseURL != "" {
		return c.DatabaseURL, nil, nil
	}
	db, err := devdb.Start(ctx, devdb.Options{Dir: c.databaseDir(), Log: log})
	if err != nil {
		return "", nil, err
	}
	return db.DSN(), db, nil
}

// makeDataDir makes the hub's directory. Others may pass through it, because the
// private Postgres runs as another user when the hub is root; what is secret in
// it has its own permissions.
func (c *Config) makeDataDir() error {
	if err := os.MkdirAll(c.Data, 0o711); err != nil {
		return fault.Wrap(err, fault.Invalid, "data_dir_unusable", "the data directory cannot be made").
			WithFix("choose another with --data, or make it writable")
	}
	return nil
}

// Migrate brings the database's schema up to date. With a role it gives that what a
// hub needs that logs in as it, and no right to change audit records.
func Migrate(ctx context.Context, cfg Config, role string) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	if err := cfg.makeDataDir(); err != nil {
		return err
	}
	dsn, private, err := cfg.openDatabase(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	err = migrations.Up(ctx, dsn)
	if err == nil && role != "" {
		err = migrations.Grant(ctx, dsn, role)
	}
	if private != nil {
		err = errors.Join(err, private.Stop())
	}
	return err
}

// StopDevDB stops the private Postgres that a killed hub left running. When none
// runs it does nothing.
func StopDevDB(ctx context.Context, cfg Config) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	_, err := os.Stat(cfg.databaseDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := devdb.Start(ctx, devdb.Options{Dir: cfg.databaseDir()})
	if err != nil {
		return err
	}
	return db.Stop()
}
