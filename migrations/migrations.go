package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// lockID is the number of the advisory lock that hubs hold while they migrate:
// any number that nothing else in the database uses.
const lockID int64 = 7_318_442_011_907_513

const (
	// lockTimeout is how long a migration waits for a table that others use. Whoever
	// comes after it has to wait as well, so it is below the lock timeout of hubs:
	// none of their writes fails for a migration.
	lockTimeout = 2 * time.Second
	// lockPatience is how long it is tried again: longer than a backup takes.
	lockPatience = 10 * time.Minute
	// lockPause lets those pass who waited behind it.
	lockPause = 500 * time.Millisecond
)

// Up applies the migrations that dsn's database lacks. Several hubs may call it
// at once; one migrates and the others wait for it. Hubs of the release before may
// work meanwhile. A database that is newer than this program is refused.
func Up(ctx context.Context, dsn string) error { return to(ctx, dsn, 0) }

// UpTo applies the migrations that dsn's database lacks of those up to a version, so
// that a backup with that schema can be restored into it.
func UpTo(ctx context.Context, dsn string, version int64) error { return to(ctx, dsn, version) }

// Newest is the version of the schema that Up makes.
func Newest() int64 { return newest }

// newest is read from the names of the files once, as goose reads them.
var newest = func() (n int64) {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the files are part of the program
	}
	for _, e := range entries {
		v, err := goose.NumericComponent(e.Name())
		if err != nil {
			panic(err)
		}
		n = max(n, v)
	}
	return n
}()

// to applies migrations up to a version; 0 means all.
func to(ctx context.Context, dsn string, version int64) (err error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("migrations: open the database: %w", err)
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, fmt.Sprintf("SET lock_timeout = %d", lockTimeout.Milliseconds()))
		return err
	}))
	defer func() { err = errors.Join(err, db.Close()) }()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID), lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	current, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("migrations: read the schema version: %w", err)
	}
	if current > newest {
		return fmt.Errorf("migrations: the database has schema version %d, this program knows only %d; run the newer hub, or restore the backup that was made before it", current, newest)
	}
	if version == 0 {
		version = newest
	}
	for deadline := time.Now().Add(lockPatience); ; {
		_, err := p.UpTo(ctx, version)
		switch {
		case err == nil:
			return nil
		case !waitedInVain(err):
			return fmt.Errorf("migrations: %w", err)
		case time.Now().After(deadline):
			return fmt.Errorf("migrations: a table was in use for %s; end what holds it (pg_stat_activity names it: a long transaction, a dump), then start again: %w", lockPatience, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("migrations: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(lockPause):
		}
	}
}

// waitedInVain tells whether a migration did not get a table, or was the one of a
// deadlock that had to give in. It has changed nothing then.
func waitedInVain(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "55P03" || pg.Code == "40P01") // lock_not_available, deadlock_detected
}
