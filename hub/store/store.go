package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Sealer encrypts values for a place in the database; hub/vault has one.
type Sealer interface {
	Seal(plain []byte, aad string) ([]byte, error)
	Open(sealed []byte, aad string) ([]byte, error)

	// Versions of its key beside those that it began with, see vault.Box.
	Make() (version uint32, wrapped []byte, err error)
	Learn(version uint32, wrapped []byte) error
	Rewrap(version uint32, wrapped []byte) (again []byte, changed bool, err error)
	Use(version uint32) error
	Forget(version uint32)
	Primary() uint32
	Versions() []uint32
	FileVersions() []uint32
}

// Options of Open; the zero value is good.
type Options struct {
	// MaxConns bounds the connection pool; 0: 12.
	MaxConns int32
	// tracer sees each statement (tests).
	tracer pgx.QueryTracer
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	Log *slog.Logger // nil: none
	// Lease is how long after its last sign of life a session still counts as
	// connected; 0: 30 s.
	Lease time.Duration
}

// Store is the database. It is safe for concurrent use.
type Store struct {
	pool  *pgxpool.Pool
	box   Sealer
	clock func() time.Time
	log   *slog.Logger
	lease time.Duration

	// learnt is when the versions of the key were read, as monotonic tells; 0: never.
	learnt  atomic.Int64
	started time.Time

	// begunKey is what commands under way are kept with; nil: not read yet.
	begunKey atomic.Pointer[begunKey]

	// taken is the newest entry of each agent's history that is stored, as this
	// process knows it.
	takenMu sync.Mutex
	taken   map[appOfCluster]taken
}

const (
	// statementTimeout ends a statement that hangs, lockTimeout one that waits
	// for another transaction. Both are far above what is normal.
	statementTimeout = "30s"
	lockTimeout      = "10s"
)

// Open connects to the database. It runs no migrations (migrations.Up does)
// and needs them applied.
func Open(ctx context.Context, dsn string, box Sealer, opts Options) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The cause quotes the DSN with its password in some versions.
		return nil, fault.New(fault.Invalid, "database_url_invalid", "the database URL cannot be understood").
			WithFix("use postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	cfg.MaxConns = 12
	if opts.MaxConns > 0 {
		cfg.MaxConns = opts.MaxConns
	}
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.HealthCheckPeriod = 15 * time.Second
	params := cfg.ConnConfig.RuntimeParams
	for k, v := range map[string]string{
		"application_name": "hawser-hub", "timezone": "UTC", "statement_timeout": statementTimeout,
		"lock_timeout": lockTimeout, "idle_in_transaction_session_timeout": "30s",
	} {
		if _, given := params[k]; !given {
			params[k] = v
		}
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if opts.tracer != nil {
		cfg.ConnConfig.Tracer = opts.tracer
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, wrap(err, "open the database")
	}
	s := &Store{pool: pool, box: box, clock: opts.Now, log: opts.Log, lease: opts.Lease, started: time.Now(), taken: map[appOfCluster]taken{}}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.lease == 0 {
		s.lease = 30 * time.Second
	}
	if err := s.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close waits for running statements and closes the connections.
func (s *Store) Close() { s.pool.Close() }

// Ping asks the database whether it answers.
func (s *Store) Ping(ctx context.Context) error { return wrap(s.pool.Ping(ctx), "ask the database") }

// now is the clock at the database's resolution, so that what is returned
// equals what is stored.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// monotonic is the time since the start, at least 1.
func (s *Store) monotonic() int64 { return int64(time.Since(s.started)) + 1 }

// querier is what a pool and a transaction have in common.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// maxAttempts of a transaction that the database asked to repeat.
const maxAttempts = 4

// errCommitUnknown is in the chain of a tx error when the connection was lost
// while committing: the transaction is wholly there or wholly not.
var errCommitUnknown = errors.New("the connection was lost while committing")

// tx runs fn in a transaction and commits. fn may run several times: after a
// deadlock, or after it met a row that a concurrent transaction removed or
// added. what completes "could not …".
func (s *Store) tx(ctx context.Context, what string, fn func(tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.txOnce(ctx, fn)
		if err == nil {
			return nil
		}
		if attempt < maxAttempts && ctx.Err() == nil && (repeatable(err) || s.sealedLate(err)) {
			continue
		}
		return wrap(err, what)
	}
}

func (s *Store) txOnce(ctx context.Context, fn func(tx pgx.Tx) error) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		// A connection that cannot roll back is closed by the pool.
		rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(rollback)
		return err
	}
	err = tx.Commit(ctx)
	var pgErr *pgconn.PgError
	switch {
	case err == nil, errors.Is(err, pgx.ErrTxCommitRollback), errors.Is(err, pgx.ErrTxClosed):
		return err
	case errors.As(err, &pgErr) && pgErr.Code != codeAdminShutdown && pgErr.Code != codeCrashShutdown:
		return err // the database said no: it is rolled back
	}
	return fmt.Errorf("%w: %w", errCommitUnknown, err)
}

// fence locks the session's row and refuses when it is not the cluster's
// newest session (Kind Conflict, code epoch_stale).
func fence(ctx context.Context, tx pgx.Tx, cluster model.ClusterID, epoch model.Epoch) error {
	var one int
	err := tx.QueryRow(ctx, q("FenceSession"), cluster, epoch.Incarnation, epoch.Number).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return stale(epoch)
	}
	return err
}

func stale(epoch model.Epoch) error {
	return fault.New(fault.Conflict, "epoch_stale", "session %s is no longer the cluster's newest", epoch)
}
