package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// RedisOptions say what Redis to start. The zero value is one without a password.
type RedisOptions struct {
	// Password that clients need. It is in a file of the server, not in arguments.
	Password string
	// TLSCert and TLSKey are files; with them the server speaks TLS only.
	TLSCert, TLSKey string
	Log             io.Writer
}

// Redis is a private redis-server that keeps nothing on disk.
type Redis struct {
	programs redisPrograms
	opts     RedisOptions
	dir      string
	port     *port
	release  func()
	proc     *Process
}

// StartRedis starts an empty server: that of the system, else Debian's, which is
// fetched once. ErrNoRedis when there is none. ctx bounds the start only.
func StartRedis(ctx context.Context, opts RedisOptions) (*Redis, error) {
	programs, err := findRedis(ctx, opts.Log)
	if err != nil {
		return nil, err
	}
	dir, removeDir, err := runDir("redis")
	if err != nil {
		return nil, err
	}
	reserved, err := reservePort()
	if err != nil {
		removeDir()
		return nil, err
	}
	r := &Redis{programs: programs, opts: opts, dir: dir, port: reserved, release: func() {
		removeDir()
		reserved.release()
	}}
	if err := r.Start(ctx); err != nil {
		r.release()
		return nil, err
	}
	return r, nil
}

// Start starts a server that was killed again, empty and on the same port.
func (r *Redis) Start(ctx context.Context) error {
	if r.proc != nil && r.proc.Running() {
		return errors.New("testbed: redis: it runs already")
	}
	config := []string{"bind 127.0.0.1", "save \"\"", "appendonly no", "daemonize no", "dir " + r.dir, "maxmemory 256mb", "maxmemory-policy allkeys-lru"}
	number := fmt.Sprint(r.port.number)
	if r.opts.TLSCert != "" {
		config = append(config, "port 0", "tls-port "+number, "tls-auth-clients no", "tls-cert-file "+r.opts.TLSCert, "tls-key-file "+r.opts.TLSKey)
	} else {
		config = append(config, "port "+number)
	}
	if r.opts.Password != "" {
		config = append(config, "requirepass "+r.opts.Password)
	}
	file := filepath.Join(r.dir, "redis.conf")
	if err := os.WriteFile(file, []byte(strings.Join(config, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("testbed: redis: %w", err)
	}
	proc, err := StartProcess("redis-server", r.LogPath(), r.dir, append(os.Environ(), r.programs.env...), r.programs.server, file)
	if err != nil {
		return err
	}
	r.proc = proc
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	// Another process has no signal but its answer.
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-proc.Exited():
			return proc.Failure()
		case <-ctx.Done():
			r.Kill()
			return fmt.Errorf("testbed: redis: %w\n%s", err, Tail(r.LogPath(), 20))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Addr is host:port; it stays the same over restarts.
func (r *Redis) Addr() string { return r.port.address() }

// LogPath is the file with the server's output.
func (r *Redis) LogPath() string { return filepath.Join(r.dir, "redis.log") }

// Kill ends the server at once; Start brings an empty one back.
func (r *Redis) Kill() { r.proc.Kill() }

// Hang stops the server without ending it: connections stay open, and nothing is
// answered. Wake ends that.
func (r *Redis) Hang() { r.proc.Signal(syscall.SIGSTOP) }

// Wake lets a server that hangs go on.
func (r *Redis) Wake() { r.proc.Signal(syscall.SIGCONT) }

// Stop ends the server and removes its directory.
func (r *Redis) Stop() {
	r.proc.Kill()
	r.release()
}
