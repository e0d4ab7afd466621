package devdb

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	user     = "hawser"
	database = "hawser"

	// startTimeout bounds the wait for a started server; crash recovery of a
	// large write-ahead log is the slowest reason.
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
	// leaveTimeout bounds the wait for the processes of a killed server.
	leaveTimeout = 20 * time.Second

	// maxSocketPath is the shortest limit of the systems we run on (macOS 104).
	maxSocketPath = 100
)

// Options of Start.
type Options struct {
	// Dir holds the data, the socket, the password and the log. Empty is
	// allowed with Ephemeral: a directory of its own, removed by Stop.
	Dir string
	// Ephemeral is for tests: nothing is forced to disk, and the server dies
	// with this process (on Linux).
	Ephemeral bool
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
	// Bin is the directory with initdb and postgres; empty: they are looked for.
	Bin string
	// Log receives a few lines about what was found and started; nil: none.
	Log *slog.Logger
}

// DB is a running server.
type DB struct {
	dir       string
	ownDir    bool
	ephemeral bool
	server    *server
	users     *dirLock
	port      int
	dsn       string
	tcpDSN    string
	bin       Programs
	log       *slog.Logger
}

// Start finds the programs, makes the data directory if there is none, starts
// the server and waits until it answers. A server that already runs on the
// directory is adopted. Two processes may start on one directory; they share
// the server, and the last to stop ends it.
func Start(ctx context.Context, opts Options) (*DB, error) {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	as, err := serverUser()
	if err != nil {
		return nil, err
	}
	dir, own, err := prepareDir(opts, as)
	if err != nil {
		return nil, err
	}
	db := &DB{dir: dir, ownDir: own, ephemeral: opts.Ephemeral, log: log}
	if err := db.start(ctx, opts, as); err != nil {
		db.release()
		return nil, err
	}
	return db, nil
}

// DSN of the hub's database on this server, with its password: through the
// socket where the path is short enough, else through 127.0.0.1.
func (d *DB) DSN() string { return d.dsn }

// TCPDSN is the same through 127.0.0.1.
func (d *DB) TCPDSN() string { return d.tcpDSN }

// Port of the server on 127.0.0.1.
func (d *DB) Port() int { return d.port }

// Version of the server's programs, such as "15.14".
func (d *DB) Version() string { return d.bin.Version }

// Adopted reports whether the server was already running.
func (d *DB) Adopted() bool { return d.server.adopted }

// Done is closed when the server has ended, whoever ended it.
func (d *DB) Done() <-chan struct{} { return d.server.done }

// Stop ends the server, unless another process uses it too. It may be called
// again.
func (d *DB) Stop() error {
	if d.users == nil {
		return nil
	}
	var err error
	if d.users.alone() {
		err = d.server.stop(d.ephemeral)
	} else {
		d.log.Info("database stays up: another process uses it")
	}
	d.release()
	return err
}

// Kill ends the server at once, as a crash would (tests use it).
func (d *DB) Kill() error {
	if err := d.server.kill(); err != nil {
		return err
	}
	<-d.server.done
	return nil
}

func (d *DB) release() {
	if d.users != nil {
		d.users.release()
		d.users = nil
	}
	if d.ownDir {
		os.RemoveAll(d.dir)
	}
}

func (d *DB) start(ctx context.Context, opts Options, as *account) error {
	// Starting is serialised between processes; using is shared.
	starting, err := lockDir(ctx, filepath.Join(d.dir, "start.lock"), true)
	if err != nil {
		return err
	}
	defer starting.release()
	if d.users, err = lockDir(ctx, filepath.Join(d.dir, "users.lock"), false); err != nil {
		return err
	}

	password, err := loadPassword(filepath.Join(d.dir, "password"))
	if err != nil {
		return err
	}
	data := filepath.Join(d.dir, "data")
	if d.adopt(ctx, data, password) {
		d.log.Info("adopted the running private database", "pid", d.server.pid)
		return nil
	}

	major, err := dataVersion(data)
	if err != nil {
		return err
	}
	if d.bin, err = Find(ctx, opts.Bin, major, as); err != nil {
		return err
	}
	if major == 0 {
		d.log.Info("making a private database", "version", d.bin.Version)
		if err := initialise(ctx, d.bin, as, d.dir, data, password); err != nil {
			return err
		}
	}

	leaving := time.Now().Add(leaveTimeout)
	for attempt := 1; ; attempt++ {
		port := opts.Port
		if port == 0 {
			if port, err = freePort(); err != nil {
				return err
			}
		}
		err = d.launch(ctx, as, data, password, port)
		if err == nil {
			break
		}
		// The processes of a server that was killed end by themselves, each when it
		// notices; until the last has, Postgres refuses the directory.
		if errors.Is(err, errStillInUse) && time.Now().Before(leaving) {
			select {
			case <-ctx.Done():
				return err
			case <-time.After(100 * time.Millisecond):
			}
			attempt--
			continue
		}
		// Somebody may have taken the port between asking and listening.
		if opts.Port != 0 || attempt == 3 || ctx.Err() != nil || !errors.Is(err, errPortTaken) {
			return err
		}
	}
	d.log.Info("private database is up", "version", d.bin.Version, "pid", d.server.pid)
	return nil
}

// adopt takes over a server that already runs on data: its process id file
// names the port, and a login proves that it answers and is ours.
func (d *DB) adopt(ctx context.Context, data, password string) bool {
	pf, ok := readPidFile(data)
	if !ok || !processAlive(pf.pid) {
		return false
	}
	d.setDSN(pf.port, password)
	// It may still be starting or recovering; a process that does not answer
	// in that time is not a server of ours (the number was reused).
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := waitAnswer(wait, d.dsn, func() error {
		if !processAlive(pf.pid) {
			return errors.New("gone")
		}
		return nil
	}); err != nil {
		return false
	}
	var version, running string
	err := query(ctx, d.dsn, `select current_setting('server_version'), current_setting('data_directory')`, &version, &running)
	if err != nil || !sameDir(running, data) {
		return false
	}
	d.bin.Version = strings.Fields(version)[0]
	d.server = adoptServer(pf.pid)
	return true
}

func (d *DB) launch(ctx context.Context, as *account, data, password string, port int) error {
	d.setDSN(port, password)
	srv, err := startServer(d.bin, as, serverOptions{
		dir: d.dir, data: data, port: port, socketDir: d.socketDir(port), ephemeral: d.ephemeral,
	})
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = waitAnswer(wait, d.dsn, func() error {
		select {
		case <-srv.done:
			return errors.New("the server ended")
		default:
			return nil
		}
	})
	if err != nil {
		srv.kill()
		<-srv.done
		tail := lastLines(filepath.Join(d.dir, "postgres.log"), 12)
		if strings.Contains(tail, "Address already in use") || strings.Contains(tail, "could not bind") {
			return fmt.Errorf("devdb: start postgres on port %d: %w", port, errPortTaken)
		}
		if strings.Contains(tail, "pre-existing shared memory block") {
			err = errStillInUse
		}
		return fmt.Errorf("devdb: postgres did not start: %w; its last words:\n%s", err, tail)
	}
	d.server = srv
	return nil
}

var (
	errPortTaken = errors.New("port is taken")
	// errStillInUse: processes of a server before this one have not all ended.
	errStillInUse = errors.New("the data directory is still in use")
)

func (d *DB) socketDir(port int) string {
	run := filepath.Join(d.dir, "run")
	if len(filepath.Join(run, ".s.PGSQL."+strconv.Itoa(port))) > maxSocketPath {
		return ""
	}
	return run
}

func (d *DB) setDSN(port int, password string) {
	d.port = port
	make := func(host string) string {
		q := url.Values{"host": {host}, "port": {strconv.Itoa(port)}, "sslmode": {"disable"}}
		u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + database, RawQuery: q.Encode()}
		return u.String()
	}
	d.tcpDSN = make("127.0.0.1")
	d.dsn = d.tcpDSN
	if s := d.socketDir(port); s != "" {
		d.dsn = make(s)
	}
}

// initialise makes a data directory beside its final name, so that one that was
// interrupted is never taken for a good one.
func initialise(ctx context.Context, bin Programs, as *account, dir, data, password string) error {
	tmp := data + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("devdb: remove an unfinished data directory: %w", err)
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return fmt.Errorf("devdb: data directory: %w", err)
	}
	pw := filepath.Join(dir, "initial-password")
	if err := os.WriteFile(pw, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("devdb: %w", err)
	}
	defer os.Remove(pw)
	if err := as.own(tmp, pw); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin.Dir, "initdb"), "-D", tmp, "-U", user,
		"--encoding=UTF8", "--no-locale", "--auth=scram-sha-256", "--pwfile="+pw, "--no-instructions", "--no-sync")
	as.apply(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		os.RemoveAll(tmp)
		return fmt.Errorf("devdb: initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	// The hub's own database is made in single-user mode, before anybody can
	// connect, so that "data" always has it.
	single := exec.CommandContext(ctx, filepath.Join(bin.Dir, "postgres"), "--single", "-D", tmp, "-j", "postgres")
	as.apply(single)
	single.Stdin = strings.NewReader("CREATE DATABASE " + database + " OWNER " + user + ";\n\n")
	if out, err := single.CombinedOutput(); err != nil {
		os.RemoveAll(tmp)
		return fmt.Errorf("devdb: create database: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(tmp, data); err != nil {
		return fmt.Errorf("devdb: %w", err)
	}
	return nil
}

// loadPassword reads the password of the directory's server, or makes one.
func loadPassword(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(bytes.TrimSpace(b)) > 0 {
		return string(bytes.TrimSpace(b)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("devdb: read the database password: %w", err)
	}
	raw := make([]byte, 16)
	rand.Read(raw)
	password := hex.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("devdb: write the database password: %w", err)
	}
	return password, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("devdb: find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// waitAnswer logs in until it works. alive says why waiting is pointless.
func waitAnswer(ctx context.Context, dsn string, alive func() error) error {
	for {
		var one int
		err := query(ctx, dsn, "select 1", &one)
		if err == nil {
			return nil
		}
		if gone := alive(); gone != nil {
			return gone
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %v)", context.Cause(ctx), err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

func query(ctx context.Context, dsn, sql string, dest ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return conn.QueryRow(ctx, sql).Scan(dest...)
}
