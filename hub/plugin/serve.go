package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pluginv1 "github.com/hawser-dev/hawser/proto/gen/hawser/plugin/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// HostOptions are those of a host.
type HostOptions struct {
	// Config is the plugin's file.
	Config string
	// Socket is where the hub connects.
	Socket string
	// GroupAccess lets the socket's group connect too (mode 0660, else 0600).
	GroupAccess bool
	// Env are variables for the commands: NAME=VALUE, or NAME to pass on the
	// host's own.
	Env []string
	// Hide are directories that the commands must not see, and Writable those
	// outside of their copy that they may write to, where the kernel can do so.
	Hide, Writable []string
	// Work is the directory for the copies; "" is the system's for temporary
	// files.
	Work string
	// Image identifies what is around the plugin's commands; it becomes part of
	// the plugin's identity.
	Image string
	// Parallel is the most runs at a time; others wait. 0 means two per core.
	Parallel int
	Limits   Limits
	// Runner is the command that calls RunnerMain.
	Runner []string
	// Parent, when it is not nil, ends the host when it ends.
	Parent io.Reader
	// Ready receives a line with ReadyNotice once the host can be connected to.
	Ready io.Writer
	Log   *slog.Logger

	// only are the isolations to try, for tests; nil means all.
	only []isolation
}

// hosting is a host at work.
type hosting struct {
	pluginv1.UnimplementedPluginHostServer
	opts       HostOptions
	definition Definition
	about      *pluginv1.Description
	env        []string // for all commands
	secret     []string // values of env that the operator gave
	work       string
	slots      *slots
	mode       isolation
	running    *runners
	log        *slog.Logger
}

// Serve runs a host until ctx ends or its parent goes away. The process must be
// the host's alone: children that Serve did not start are killed, because commands
// left them behind. It ends all commands and removes their copies before it
// returns. Codes of ReadDefinition,
// config_invalid, socket_in_use.
func Serve(ctx context.Context, opts HostOptions) (err error) {
	h, err := newHosting(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeAll(h.work)) }()
	listener, err := listen(h.opts.Socket, h.opts.GroupAccess)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if opts.Parent != nil {
		go func() {
			_, _ = io.Copy(io.Discard, opts.Parent) // how it ended is of no interest
			cancel()
		}()
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.WaitForHandlers(true), grpc.MaxConcurrentStreams(256))
	pluginv1.RegisterPluginHostServer(server, h)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	h.log.Info("plugin host", "plugin", h.about.GetName(), "socket", h.opts.Socket, "isolation", h.mode.String(), "parallel", h.opts.Parallel)
	if opts.Ready != nil {
		if _, err := fmt.Fprintf(opts.Ready, "%s %s at %s\n", ReadyNotice, h.about.GetName(), h.opts.Socket); err != nil {
			h.log.Warn("the ready notice cannot be written", "error", err)
		}
	}
	select {
	case <-ctx.Done():
		server.Stop() // ends the runs and waits for them
		<-served
		return nil
	case err := <-served:
		return fault.Wrap(err, fault.Unavailable, "plugin_unavailable", "the plugin's socket cannot be served")
	}
}

func newHosting(opts HostOptions) (*hosting, error) {
	d, err := ReadDefinition(opts.Config)
	if err != nil {
		return nil, err
	}
	if opts.Socket == "" {
		return nil, fault.New(fault.Invalid, "argument_missing", "--socket says where the hub connects").WithField("--socket")
	}
	opts.Limits = opts.Limits.complete()
	if opts.Parallel <= 0 {
		opts.Parallel = 2 * runtime.NumCPU()
	}
	if opts.Work == "" {
		opts.Work = os.TempDir()
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	h := &hosting{opts: opts, definition: d, log: opts.Log, slots: newSlots(opts.Parallel), running: newRunners()}
	if h.env, h.secret, err = hostVariables(opts.Env); err != nil {
		return nil, err
	}
	id, err := d.identity(opts.Image, programs)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "internal", "the plugin cannot be identified")
	}
	find := d.Spec.Discover
	h.about = &pluginv1.Description{
		Name: d.Name(), Identity: id, PreserveFileMode: d.Spec.PreserveFileMode,
		Parameters: len(d.Spec.Parameters.Static) > 0 || len(d.Spec.Parameters.Dynamic.Command) > 0,
		Discovery:  &pluginv1.Discovery{},
	}
	switch { // the first that is set counts
	case find.FileName != "":
		h.about.Discovery.FileName = find.FileName
	case find.Find.Glob != "":
		h.about.Discovery.Glob = find.Find.Glob
	case len(find.Find.Command) > 0:
		h.about.Discovery.Command = true
	}
	if h.work, err = workDirectory(opts.Work, opts.Socket); err != nil {
		return nil, err
	}
	if h.mode, err = isolate(opts, h.work); err != nil {
		return nil, errors.Join(err, removeAll(h.work))
	}
	if h.mode.user != 0 { // other users must get through to their copies
		if err := os.Chmod(h.work, 0o711); err != nil {
			return nil, errors.Join(err, removeAll(h.work))
		}
	}
	return h, nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// hostVariables are the variables that all commands of a host have, besides those
// that differ from run to run.
func hostVariables(given []string) (env, secret []string, err error) {
	env = []string{"PATH=" + searchPath(), "LANG=C.UTF-8"}
	for _, e := range given {
		name, value, ok := strings.Cut(e, "=")
		if !variableName.MatchString(name) {
			return nil, nil, fault.New(fault.Invalid, "config_invalid", "--env %q is no NAME or NAME=VALUE", clip(name, 60)).WithField("--env")
		}
		if !ok {
			if value, ok = os.LookupEnv(name); !ok {
				return nil, nil, fault.New(fault.Invalid, "config_invalid", "--env %s: the host has no such variable", name).WithField("--env")
			}
		}
		env, secret = append(env, name+"="+value), append(secret, value)
	}
	return env, secret, nil
}

// maxProgram is up to which size a program is identified by its content.
const maxProgram = 32 << 20

// programs identifies the programs and files that a command line names.
func programs(argv []string) string {
	h := sha256.New()
	for i, arg := range argv {
		file := arg
		if i == 0 {
			if found, err := exec.LookPath(arg); err == nil {
				file = found
			}
		}
		if !filepath.IsAbs(file) {
			continue // of the source, or no file
		}
		info, err := os.Stat(file)
		switch {
		case err != nil || !info.Mode().IsRegular():
			fmt.Fprintf(h, "%q\n", file)
		case info.Size() <= maxProgram:
			data, err := os.ReadFile(file)
			sum := sha256.Sum256(data)
			fmt.Fprintf(h, "%q %x %t\n", file, sum, err == nil)
		default:
			fmt.Fprintf(h, "%q %d %d\n", file, info.Size(), info.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// workPrefix begins the names of the directories of a socket's hosts.
func workPrefix(socket string) string {
	sum := sha256.Sum256([]byte(socket))
	return "hawser-plugin-" + hex.EncodeToString(sum[:6]) + "-"
}

// workDirectory makes the directory for copies and removes those that a host of
// this socket left when it was killed.
func workDirectory(parent, socket string) (string, error) {
	abs, err := filepath.Abs(socket)
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "config_invalid", "--socket %q cannot be used", socket)
	}
	prefix := workPrefix(abs)
	if inUse(socket) {
		return "", socketInUse(socket)
	}
	left, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, removeAll(dir))
	}
	if err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "config_invalid", "copies that an earlier host left cannot be removed")
	}
	dir, err := os.MkdirTemp(parent, prefix)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "config_invalid", "no directory for copies can be made in %s", parent)
	}
	return dir, nil
}

// inUse says whether somebody listens.
func inUse(socket string) bool {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close() // it was to see
	return true
}

func socketInUse(socket string) error {
	return fault.New(fault.Conflict, "socket_in_use", "a plugin host serves %s already", socket).WithField("--socket")
}

// listen takes the socket, after removing one that nobody listens at any more.
func listen(socket string, group bool) (net.Listener, error) {
	info, err := os.Lstat(socket)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fault.Wrap(err, fault.Invalid, "config_invalid", "--socket %s cannot be used", socket)
	case info.Mode()&os.ModeSocket == 0:
		return nil, fault.New(fault.Invalid, "config_invalid", "%s is there and is no socket", socket).WithField("--socket")
	case inUse(socket):
		return nil, socketInUse(socket)
	default:
		if err := os.Remove(socket); err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "config_invalid", "the socket that an earlier host left cannot be removed")
		}
	}
	mode := os.FileMode(0o600)
	if group {
		mode = 0o660
	}
	l, err := listenUnix(socket)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "config_invalid", "--socket %s cannot be listened at", socket)
	}
	if err := os.Chmod(socket, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Check asks the host at a socket which plugin it is: whether it is ready.
func Check(ctx context.Context, socket string) (name string, err error) {
	conn, err := grpc.NewClient("passthrough:///plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // nothing is under way
	d, err := pluginv1.NewPluginHostClient(conn).Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "plugin_unavailable", "no plugin host answers at %s", socket)
	}
	return d.GetName(), nil
}
