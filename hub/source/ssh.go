package source

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/hawser-dev/hawser/shared/fault"
)

// sshRemote runs git-upload-pack on the server; one session is one
// conversation: what there is, one request, the pack.
type sshRemote struct {
	repo URL
	opts connectOptions
	// host is the server's key as soon as it was accepted, at hostAt.
	host   ssh.PublicKey
	hostAt time.Time
	stop   func() bool
	conn   *ssh.Client
	sess   *ssh.Session
	in     io.WriteCloser
	out    *bufio.Reader
}

func newSSHRemote(u URL, o connectOptions) (remote, error) {
	if o.GetSshKey() == "" && o.GetPassword() == "" {
		return nil, errNoKey(u)
	}
	return &sshRemote{repo: u, opts: o}, nil
}

func errNoKey(u URL) error {
	return fault.New(fault.Upstream, "git_auth_failed", "%s needs a private key or a password and none is registered for it", u).
		WithFix("hawser repo add %s --ssh-key-file FILE --known-hosts-file FILE", u)
}

func (s *sshRemote) advertise(ctx context.Context) (*advertised, error) {
	s.close()
	if err := s.dial(ctx); err != nil {
		return nil, err
	}
	return s.list()
}

// list starts the conversation on a new connection.
func (s *sshRemote) list() (*advertised, error) {
	sess, err := s.conn.NewSession()
	if err != nil {
		return nil, err
	}
	s.sess = sess
	if s.in, err = sess.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := sess.StdoutPipe()
	if err != nil {
		return nil, err
	}
	complaint := &clipped{max: 1000}
	sess.Stderr = complaint
	if err := sess.Start("git-upload-pack " + shellQuote(s.path())); err != nil {
		return nil, err
	}
	conn := s.conn
	s.out = bufio.NewReaderSize(&stallReader{r: out, close: conn.Close, limit: stallLimit}, 64<<10)
	a, err := readAdvertised(s.out, false)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		_ = sess.Wait() // so that stderr is complete; the exit status says less than it
		if text := complaint.String(); text != "" {
			return nil, &errRemote{text}
		}
	}
	return a, err
}

// path is the path on the server: absolute for ssh://, relative to the home
// directory for user@host:path.
func (s *sshRemote) path() string { return s.repo.Path }

// shellQuote makes one word for the server's shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (s *sshRemote) dial(ctx context.Context) error {
	user := s.user()
	conf := &ssh.ClientConfig{User: user, Timeout: 10 * time.Second, ClientVersion: "SSH-2.0-hawser"}
	if s.opts.GetSshKey() != "" {
		signer, err := ssh.ParsePrivateKey([]byte(s.opts.GetSshKey()))
		if err != nil {
			return fault.New(fault.Invalid, "ssh_key_invalid", "the private key registered for %s cannot be read; it must be in PEM format and without passphrase", s.repo)
		}
		conf.Auth = append(conf.Auth, ssh.PublicKeys(signer))
	}
	if s.opts.GetPassword() != "" {
		conf.Auth = append(conf.Auth, ssh.Password(s.opts.GetPassword()))
	}
	address := s.address()
	if err := s.trust(conf, address); err != nil {
		return err
	}
	conn, err := dialSSH(ctx, s.opts, address)
	if err != nil {
		return err
	}
	// The ssh library knows no context.
	s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return errors.Join(err, conn.Close())
	}
	c, chans, reqs, err := ssh.NewClientConn(conn, address, conf)
	if err != nil {
		_ = conn.Close() // the handshake's error is the one that matters
		if strings.Contains(err.Error(), "unable to authenticate") {
			if len(conf.Auth) == 0 {
				return errNoKey(s.repo)
			}
			return fault.New(fault.Upstream, "git_auth_failed", "the Git server %s refused the SSH key of user %q", s.repo.Host, clip(user, 60)).
				WithFix("add the public key to the repository's deploy keys")
		}
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return errors.Join(err, c.Close())
	}
	s.conn = ssh.NewClient(c, chans, reqs)
	return nil
}

func (s *sshRemote) user() string {
	return cmp.Or(s.repo.User, s.opts.GetUsername(), "git")
}

func (s *sshRemote) address() string {
	port := s.repo.Port
	if port == "" {
		port = "22"
	}
	return net.JoinHostPort(s.repo.Host, port)
}

// trust accepts only host keys that the credential's known hosts name, and asks
// the server for a key of a type that is known.
func (s *sshRemote) trust(conf *ssh.ClientConfig, address string) error {
	if s.opts.GetInsecureIgnoreHostKey() {
		conf.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
			s.host, s.hostAt = key, time.Now()
			return nil
		}
		return nil
	}
	known, err := os.CreateTemp(s.opts.temporary, "known-hosts-*")
	if err != nil {
		return err
	}
	defer os.Remove(known.Name())
	_, err = known.WriteString(s.opts.GetKnownHosts())
	if err := errors.Join(err, known.Close()); err != nil {
		return err
	}
	check, err := knownhosts.New(known.Name())
	if err != nil {
		return fault.New(fault.Invalid, "known_hosts_invalid", "the known hosts registered for %s cannot be read; they must be in OpenSSH's format", s.repo)
	}
	conf.HostKeyAlgorithms = knownAlgorithms(check, address)
	if conf.HostKeyAlgorithms != nil && strings.Contains(s.opts.GetKnownHosts(), "@cert-authority") {
		conf.HostKeyAlgorithms = append(slices.Clone(certificateAlgorithms), conf.HostKeyAlgorithms...)
	}
	conf.HostKeyCallback = func(hostname string, remote net.Addr, key ssh.PublicKey) error {
		err := check(hostname, remote, key)
		var mismatch *knownhosts.KeyError
		var revoked *knownhosts.RevokedError
		switch {
		case err == nil:
			s.host, s.hostAt = key, time.Now()
			return nil
		case errors.As(err, &revoked):
			return fault.New(fault.Upstream, "ssh_host_key_revoked", "host %s offers %s %s, which the known hosts mark as revoked; nothing was fetched", s.repo.Host, keyName(key), ssh.FingerprintSHA256(key))
		case errors.As(err, &mismatch) && len(mismatch.Want) == 0:
			return fault.New(fault.Upstream, "ssh_host_key_unknown", "host %s offers %s %s, which is not among the known hosts; nothing was fetched", s.repo.Host, keyName(key), ssh.FingerprintSHA256(key)).
				WithFound(keyName(key)+" "+ssh.FingerprintSHA256(key), "the known hosts of the repository's credential").
				WithFix("compare the fingerprint with the one that the server's owner publishes, then add it to the known hosts: %s", clip(knownhosts.Line([]string{address}, key), 600))
		case errors.As(err, &mismatch):
			return fault.New(fault.Upstream, "ssh_host_key_changed", "host %s offers %s %s, which differs from the stored key %s: possible interception; nothing was fetched", s.repo.Host, keyName(key), ssh.FingerprintSHA256(key), stored(mismatch)).
				WithFound(ssh.FingerprintSHA256(key), stored(mismatch)).
				WithFix("replace the stored key only after its owner has confirmed the change")
		}
		return err
	}
	return nil
}

// stored names the keys that a host should have.
func stored(e *knownhosts.KeyError) string {
	var out []string
	for _, k := range e.Want {
		out = append(out, keyName(k.Key)+" "+ssh.FingerprintSHA256(k.Key))
	}
	return clip(strings.Join(out, ", "), 160)
}

// knownAlgorithms are the key types stored for a host; nil, meaning any, when
// there are none. Without it a server with keys of several types may offer one
// that is not stored, and look changed.
func knownAlgorithms(check ssh.HostKeyCallback, address string) []string {
	var mismatch *knownhosts.KeyError
	if err := check(address, &net.TCPAddr{IP: net.IPv4zero}, noKey{}); !errors.As(err, &mismatch) {
		return nil
	}
	var out []string
	for _, k := range mismatch.Want {
		types := []string{k.Key.Type()}
		if k.Key.Type() == ssh.KeyAlgoRSA {
			types = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, t := range types {
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// certificateAlgorithms are those of host keys that an authority has signed.
var certificateAlgorithms = []string{
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
	ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
}

// noKey is a key that no host has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

func keyName(k ssh.PublicKey) string {
	if c, ok := k.(*ssh.Certificate); ok {
		return keyName(c.Key) + " certificate"
	}
	switch k.Type() {
	case ssh.KeyAlgoED25519:
		return "ED25519"
	case ssh.KeyAlgoRSA:
		return "RSA"
	}
	if strings.HasPrefix(k.Type(), "ecdsa-") {
		return "ECDSA"
	}
	return k.Type()
}

func (s *sshRemote) request(ctx context.Context, body []byte) (io.Reader, error) {
	if s.out == nil {
		// The last conversation ended with a pack.
		if _, err := s.advertise(ctx); err != nil {
			return nil, err
		}
	}
	out := s.out
	s.out = nil
	if _, err := s.in.Write(body); err != nil {
		return nil, fmt.Errorf("sending the request: %w", err)
	}
	return out, nil
}

// maxCommandOutput bounds what a command on the server puts out.
const maxCommandOutput = 64 << 10

// run runs a command on the server and returns what it puts out.
func (s *sshRemote) run(ctx context.Context, command string) ([]byte, error) {
	s.close()
	if err := s.dial(ctx); err != nil {
		return nil, err
	}
	defer s.close()
	sess, err := s.conn.NewSession()
	if err != nil {
		return nil, err
	}
	out, complaint := &clipped{max: maxCommandOutput}, &clipped{max: 1000}
	sess.Stdout, sess.Stderr = out, complaint
	err = sess.Run(command)
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return nil, &errRemote{cmp.Or(complaint.String(), "the command failed")}
	}
	return out.b, err
}

func (s *sshRemote) close() {
	// Errors of closing say nothing that the conversation has not said.
	if s.in != nil {
		if s.out != nil {
			_, _ = io.WriteString(s.in, flushPacket) // "nothing, thank you"
		}
		_ = s.in.Close()
	}
	if s.sess != nil {
		_ = s.sess.Close()
	}
	if s.conn != nil {
		_ = s.conn.Close()
	}
	if s.stop != nil {
		s.stop()
	}
	s.in, s.sess, s.conn, s.out, s.stop = nil, nil, nil, nil, nil
}

// clipped keeps the beginning of what is written to it.
type clipped struct {
	b   []byte
	max int
}

func (c *clipped) Write(p []byte) (int, error) {
	c.b = append(c.b, p[:min(len(p), c.max-len(c.b))]...)
	return len(p), nil
}

func (c *clipped) String() string { return strings.TrimSpace(string(c.b)) }
