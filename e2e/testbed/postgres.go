package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hawser-dev/hawser/hub/devdb"
)

// PostgresOptions say what database server to start. The zero value is a good
// one.
type PostgresOptions struct {
	// Dir keeps data. Empty means a temporary directory that Stop removes.
	Dir string
	// Embedded uses the fetched copy also where a PostgreSQL is installed.
	Embedded bool
	// Log receives progress lines; nil discards them.
	Log io.Writer
}

// Postgres is a private database server. It is fast instead of safe: it survives
// the loss of its process, not of the machine.
type Postgres struct {
	opts    devdb.Options
	release func()

	mu      sync.Mutex
	db      *devdb.DB
	stopped bool
}

// StartPostgres starts a server with an empty database. Programs are looked for
// as hub/devdb does; when there are none they are fetched once with npm. ctx
// bounds the start only.
func StartPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	dir, removeDir := opts.Dir, func() {}
	if dir == "" {
		var err error
		if dir, removeDir, err = runDir("postgres"); err != nil {
			return nil, err
		}
		// Root lends the server another user, who has to pass through.
		if err := os.Chmod(dir, 0o711); err != nil {
			removeDir()
			return nil, fmt.Errorf("testbed: postgres: %w", err)
		}
	}
	reserved, err := reservePort()
	if err != nil {
		removeDir()
		return nil, err
	}
	p := &Postgres{
		opts: devdb.Options{Dir: filepath.Join(dir, "pg"), Ephemeral: true, Port: reserved.number},
		release: func() {
			removeDir()
			reserved.release()
		},
	}
	if err := p.startFirst(ctx, opts); err != nil {
		p.release()
		return nil, fmt.Errorf("testbed: postgres: %w", err)
	}
	return p, nil
}

func (p *Postgres) startFirst(ctx context.Context, opts PostgresOptions) (err error) {
	var installed error
	if !opts.Embedded {
		if p.db, installed = devdb.Start(ctx, p.opts); installed == nil {
			return nil
		}
	}
	// A copy whose version does not fit or that does not run is as good as none.
	if p.opts.Bin, err = FetchPostgres(ctx, opts.Log); err != nil {
		return errors.Join(installed, err)
	}
	if p.db, err = devdb.Start(ctx, p.opts); err != nil {
		return errors.Join(installed, err)
	}
	return nil
}

// FetchPostgres makes sure that a copy of PostgreSQL's programs is in the tools
// directory, with npm when it is not, and returns where. Progress goes to log,
// which may be nil.
func FetchPostgres(ctx context.Context, log io.Writer) (bin string, err error) {
	if log == nil {
		log = io.Discard
	}
	tools, err := ToolsDir()
	if err != nil {
		return "", err
	}
	return devdb.FetchEmbedded(ctx, tools, log)
}

// DSN is the connection string of the database; it stays the same over restarts.
func (p *Postgres) DSN() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db.DSN()
}

// Version of the server, such as "18.4".
func (p *Postgres) Version() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db.Version()
}

// Crash ends the server at once: open transactions are lost, connections break,
// committed data stays. Resume brings it back.
func (p *Postgres) Crash() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db.Stop() // an immediate shutdown, as devdb.Options.Ephemeral is set
}

// Resume starts a crashed server on the same data and port.
func (p *Postgres) Resume(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errors.New("testbed: postgres: stopped for good")
	}
	select {
	case <-p.db.Done():
	default:
		return errors.New("testbed: postgres: running already")
	}
	db, err := devdb.Start(ctx, p.opts)
	if err != nil {
		return fmt.Errorf("testbed: postgres: %w", err)
	}
	p.db = db
	return nil
}

// Stop ends the server and removes a temporary directory. It may be called more
// than once.
func (p *Postgres) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	p.stopped = true
	err := p.db.Stop()
	p.release()
	return err
}
