package testbed

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// SSHGitOptions say what an SSH Git server serves and to whom.
type SSHGitOptions struct {
	// Repos are the repositories to serve; required, for instance those of a
	// GitServer.
	Repos *Repos
	// User is the login name, "git" when empty.
	User string
	// AuthorizedKey is the public key that may log in, in authorized_keys format.
	// When empty the server makes a key pair; see ClientKey.
	AuthorizedKey []byte
	// AllowPush accepts git push as well.
	AllowPush bool
}

// SSHGitServer serves repositories over SSH, answered by the git command itself.
type SSHGitServer struct {
	opts      SSHGitOptions
	port      *port
	hostKey   ssh.Signer
	clientKey []byte
	config    *ssh.ServerConfig
	allowed   ssh.PublicKey

	mu       sync.Mutex
	listener net.Listener // nil while down
	conns    map[net.Conn]bool
	closed   bool
	served   int
	refused  int
	running  sync.WaitGroup
}

// StartSSHGitServer starts a server on a port of 127.0.0.1.
func StartSSHGitServer(ctx context.Context, opts SSHGitOptions) (*SSHGitServer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opts.Repos == nil {
		return nil, errors.New("testbed: SSHGitOptions.Repos is required")
	}
	if opts.User == "" {
		opts.User = "git"
	}
	s := &SSHGitServer{opts: opts, conns: map[net.Conn]bool{}}
	var err error
	if s.hostKey, _, err = newSSHKey(); err != nil {
		return nil, err
	}
	if len(opts.AuthorizedKey) > 0 {
		if s.allowed, _, _, _, err = ssh.ParseAuthorizedKey(opts.AuthorizedKey); err != nil {
			return nil, fmt.Errorf("testbed: SSHGitOptions.AuthorizedKey: %w", err)
		}
	} else {
		var signer ssh.Signer
		if signer, s.clientKey, err = newSSHKey(); err != nil {
			return nil, err
		}
		s.allowed = signer.PublicKey()
	}
	s.config = &ssh.ServerConfig{PublicKeyCallback: s.authorize}
	s.config.AddHostKey(s.hostKey)
	if s.port, err = reservePort(); err != nil {
		return nil, err
	}
	if err := s.Up(); err != nil {
		s.port.release()
		return nil, err
	}
	return s, nil
}

func newSSHKey() (ssh.Signer, []byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "hawser-testbed")
	if err != nil {
		return nil, nil, fmt.Errorf("testbed: ssh key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("testbed: ssh key: %w", err)
	}
	return signer, pem.EncodeToMemory(block), nil
}

func (s *SSHGitServer) authorize(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if meta.User() == s.opts.User && bytes.Equal(key.Marshal(), s.allowed.Marshal()) {
		return &ssh.Permissions{}, nil
	}
	s.mu.Lock()
	s.refused++
	s.mu.Unlock()
	return nil, errors.New("key not authorized")
}

// ClientKey is the private key that may log in, in OpenSSH's PEM format; nil when
// the caller named an AuthorizedKey.
func (s *SSHGitServer) ClientKey() []byte { return s.clientKey }

// KnownHosts is the server's line for a known_hosts file.
func (s *SSHGitServer) KnownHosts() string {
	return fmt.Sprintf("[127.0.0.1]:%d %s", s.port.number, ssh.MarshalAuthorizedKey(s.hostKey.PublicKey()))
}

// HostKey is the server's public host key.
func (s *SSHGitServer) HostKey() ssh.PublicKey { return s.hostKey.PublicKey() }

// URL is the address of a repository, existing or not.
func (s *SSHGitServer) URL(repo string) string {
	return "ssh://" + s.opts.User + "@" + s.port.address() + "/" + repo + ".git"
}

// Served is how many git commands have run. An ls-remote is one command, and so
// is a fetch.
func (s *SSHGitServer) Served() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served
}

// Refused is how many keys were turned away.
func (s *SSHGitServer) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Down closes the port and every connection.
func (s *SSHGitServer) Down() {
	s.mu.Lock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Up opens the port again; it does nothing when it is open.
func (s *SSHGitServer) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil || s.closed {
		return nil
	}
	ln, err := s.port.listen()
	if err != nil {
		return fmt.Errorf("testbed: ssh git server: %w", err)
	}
	s.listener = ln
	s.running.Go(func() { s.accept(ln) })
	return nil
}

// Close ends the server; the repositories stay.
func (s *SSHGitServer) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	s.mu.Unlock()
	s.Down()
	s.port.release()
}

func (s *SSHGitServer) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return // closed by Down
		}
		s.mu.Lock()
		if s.listener != ln {
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.conns[conn] = true
		s.running.Go(func() {
			s.serve(conn)
			conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
		s.mu.Unlock()
	}
}

func (s *SSHGitServer) serve(conn net.Conn) {
	client, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return // not authorized, or no SSH at all
	}
	// Ends the git commands of a client that is gone.
	ctx, cancel := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	sessions.Go(func() { ssh.DiscardRequests(requests) })
	for ch := range channels {
		if ch.ChannelType() != "session" {
			ch.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, requests, err := ch.Accept()
		if err != nil {
			continue
		}
		sessions.Go(func() { s.session(ctx, channel, requests) })
	}
	cancel()
	client.Close()
	sessions.Wait()
}

// session runs the one command of a session.
func (s *SSHGitServer) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	env := gitEnv()
	for req := range requests {
		switch req.Type {
		case "env":
			var kv struct{ Name, Value string }
			if ssh.Unmarshal(req.Payload, &kv) == nil && kv.Name == "GIT_PROTOCOL" {
				env = append(env, kv.Name+"="+kv.Value)
				req.Reply(true, nil)
				continue
			}
			req.Reply(false, nil)
		case "exec":
			var cmd struct{ Line string }
			if ssh.Unmarshal(req.Payload, &cmd) != nil {
				req.Reply(false, nil)
				return
			}
			req.Reply(true, nil)
			go ssh.DiscardRequests(requests)
			status := struct{ Status uint32 }{s.run(ctx, cmd.Line, env, channel)}
			channel.SendRequest("exit-status", false, ssh.Marshal(status))
			return
		default:
			req.Reply(false, nil)
		}
	}
}

// run runs git-upload-pack or git-receive-pack on one of the repositories and
// returns its exit status.
func (s *SSHGitServer) run(ctx context.Context, line string, env []string, channel ssh.Channel) uint32 {
	service, name := splitSSHCommand(line)
	if service != "git-upload-pack" && !(service == "git-receive-pack" && s.opts.AllowPush) {
		fmt.Fprintf(channel.Stderr(), "command not allowed\n")
		return 128
	}
	repo := s.opts.Repos.Repo(name)
	if repo == nil {
		fmt.Fprintf(channel.Stderr(), "repository not found\n")
		return 128
	}
	s.mu.Lock()
	s.served++
	s.mu.Unlock()
	cmd := exec.CommandContext(ctx, "git", strings.TrimPrefix(service, "git-"), repo.dir)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	// A pipe of our own: Wait must not wait for the client to close its side.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 128
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(channel.Stderr(), "git does not start\n")
		return 128
	}
	go func() {
		io.Copy(stdin, channel)
		stdin.Close()
	}()
	if err := cmd.Wait(); err != nil {
		if code := cmd.ProcessState.ExitCode(); code > 0 {
			return uint32(code)
		}
		return 128
	}
	return 0
}

// splitSSHCommand reads git-upload-pack '/NAME.git', the only form that git
// clients send.
func splitSSHCommand(line string) (service, repo string) {
	service, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.Trim(strings.TrimSpace(rest), `'"`)
	return service, strings.TrimSuffix(strings.TrimPrefix(rest, "/"), ".git")
}
