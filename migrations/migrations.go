package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed *.sql
var files embed.FS

// lockID is the number of the advisory lock that hubs hold while they migrate:
// any number that nothing else in the database uses.
const lockID int64 = 7_318_442_011_907_513

// Up applies the migrations that dsn's database lacks. Several hubs may call it
// at once; one migrates and the others wait for it. A database that is newer
// than this program is refused.
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
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return fmt.Errorf("migrations: open the database: %w", err)
	}
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
		_, err = p.Up(ctx)
	} else {
		_, err = p.UpTo(ctx, version)
	}
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}
