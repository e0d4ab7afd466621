package devdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const maxLog = 8 << 20

// server is a postmaster: our child, or one that we adopted.
type server struct {
	pid     int
	adopted bool
	done    chan struct{} // closed when it has ended
}

type serverOptions struct {
	dir, data string
	port      int
	socketDir string // empty: none
	ephemeral bool
}

func (o serverOptions) args() []string {
	args := []string{"-D", o.data, "-p", strconv.Itoa(o.port), "-k", o.socketDir}
	settings := []string{
		"listen_addresses=127.0.0.1",
		"max_connections=150",
		"jit=off", // our statements are short; compiling them costs more than they do
		"timezone=UTC", "log_timezone=UTC", "lc_messages=C",
		"password_encryption=scram-sha-256",
		"unix_socket_permissions=0700",
		"logging_collector=off", "log_destination=stderr",
		"idle_in_transaction_session_timeout=60s",
		"restart_after_crash=on",
	}
	if o.ephemeral {
		settings = append(settings, "fsync=off", "full_page_writes=off", "shared_buffers=48MB", "max_wal_size=256MB",
			"autovacuum_naptime=10s")
	} else {
		settings = append(settings, "fsync=on", "shared_buffers=128MB", "wal_compression=on")
	}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// startServer starts the postmaster in a process group of its own, so that the
// interrupt typed at a hub does not reach it first. Unless it is ephemeral it
// outlives a killed hub; the next one adopts it.
func startServer(bin Programs, as *account, o serverOptions) (*server, error) {
	logPath := filepath.Join(o.dir, "postgres.log")
	if st, err := os.Stat(logPath); err == nil && st.Size() > maxLog {
		if err := os.Rename(logPath, logPath+".old"); err != nil {
			return nil, fmt.Errorf("devdb: %w", err)
		}
	}
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("devdb: %w", err)
	}
	defer out.Close()

	cmd := exec.Command(filepath.Join(bin.Dir, "postgres"), o.args()...)
	as.apply(cmd)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr.Setpgid = true
	if o.ephemeral {
		dieWithParent(cmd.SysProcAttr)
	}
	s := &server{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ties "dies with its parent" to the thread that forked, so
		// that thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		s.pid = cmd.Process.Pid
		started <- nil
		// How it ended is in its log.
		_ = cmd.Wait()
		close(s.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("devdb: start postgres: %w", err)
	}
	return s, nil
}

// adoptServer watches a postmaster that is not our child.
func adoptServer(pid int) *server {
	s := &server{pid: pid, adopted: true, done: make(chan struct{})}
	go func() {
		for processAlive(pid) {
			time.Sleep(200 * time.Millisecond)
		}
		close(s.done)
	}()
	return s
}

// stop asks for a fast shutdown (sessions are cut, data is written out), for an
// ephemeral server an immediate one, and insists after a while.
func (s *server) stop(ephemeral bool) error {
	first := syscall.SIGINT
	if ephemeral {
		first = syscall.SIGQUIT
	}
	for _, sig := range []syscall.Signal{first, syscall.SIGQUIT, syscall.SIGKILL} {
		select {
		case <-s.done:
			return nil
		default:
		}
		if err := syscall.Kill(s.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("devdb: stop postgres: %w", err)
		}
		select {
		case <-s.done:
			return nil
		case <-time.After(stopTimeout):
		}
	}
	return fmt.Errorf("devdb: postgres (pid %d) does not end", s.pid)
}

func (s *server) kill() error {
	err := syscall.Kill(s.pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// pidFile is what a postmaster writes into its data directory.
type pidFile struct {
	pid, port int
}

func readPidFile(data string) (pidFile, bool) {
	f, err := os.Open(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return pidFile{}, false
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, strings.TrimSpace(s.Text()))
	}
	if len(lines) < 4 {
		return pidFile{}, false
	}
	pid, err1 := strconv.Atoi(lines[0])
	port, err2 := strconv.Atoi(lines[3])
	if err1 != nil || err2 != nil || pid <= 1 {
		return pidFile{}, false
	}
	return pidFile{pid: pid, port: port}, true
}

func processAlive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func sameDir(a, b string) bool {
	sa, err1 := os.Stat(a)
	sb, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(sa, sb)
}

// lastLines of a log, for error messages.
func lastLines(path string, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > 16<<10 {
		if _, err := f.Seek(-16<<10, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

const ephemeralPrefix = "hawser-pg-"

// removeAbandoned removes the directories of ephemeral servers whose owner was
// killed: nobody holds their lock and no server runs on them.
func removeAbandoned() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), ephemeralPrefix+"*"))
	for _, dir := range dirs {
		st, err := os.Stat(filepath.Join(dir, "users.lock"))
		if err != nil || time.Since(st.ModTime()) < time.Minute {
			continue
		}
		l, err := tryLockDir(filepath.Join(dir, "users.lock"), true)
		if err != nil {
			continue
		}
		if pf, ok := readPidFile(filepath.Join(dir, "data")); !ok || !processAlive(pf.pid) {
			os.RemoveAll(dir)
		}
		l.release()
	}
}

// dirLock is a lock on a file; it ends with its holder.
type dirLock struct{ f *os.File }

func lockDir(ctx context.Context, path string, exclusive bool) (*dirLock, error) {
	for {
		l, err := tryLockDir(path, exclusive)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("devdb: another process is starting this database: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func tryLockDir(path string, exclusive bool) (*dirLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("devdb: lock: %w", err)
	}
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return &dirLock{f: f}, nil
}

// alone makes the lock exclusive if nobody else holds it.
func (l *dirLock) alone() bool {
	return syscall.Flock(int(l.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

func (l *dirLock) release() { l.f.Close() }
