package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/hawser-dev/hawser/proto/gen/hawser/plugin/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// host is the hub's end of one plugin host.
type host struct {
	socket string
	own    *supervisor // nil for hosts that others run
	conn   *grpc.ClientConn
	client pluginv1.PluginHostClient
	stop   context.CancelFunc
	// described is closed when the host has said for the first time which plugin
	// it is.
	described chan struct{}

	mu   sync.Mutex
	last *pluginv1.Description
}

// connect makes the hub's end; a goroutine of p keeps it connected and its
// description current until it is closed.
func (p *Plugins) connect(socket string) (*host, error) {
	conn, err := grpc.NewClient("passthrough:///"+filepath.Base(socket),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a socket of this machine, guarded by its mode
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "plugin_unavailable", "the plugin host at %s cannot be connected to", filepath.Base(socket))
	}
	ctx, stop := context.WithCancel(p.ctx)
	h := &host{socket: socket, conn: conn, client: pluginv1.NewPluginHostClient(conn), stop: stop, described: make(chan struct{})}
	p.work.Go(func() { p.keep(ctx, h) })
	return h, nil
}

// maxMessage bounds one message of a conversation; files and outputs travel in
// pieces that are much smaller.
const maxMessage = 8 << 20

// keep asks the host which plugin it is, each time that it is reached.
func (p *Plugins) keep(ctx context.Context, h *host) {
	for {
		state := h.conn.GetState()
		switch state {
		case connectivity.Idle:
			h.conn.Connect()
		case connectivity.Ready:
			p.describe(ctx, h)
		case connectivity.Shutdown:
			return
		}
		if !h.conn.WaitForStateChange(ctx, state) {
			return
		}
	}
}

func (p *Plugins) describe(ctx context.Context, h *host) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d, err := h.client.Describe(ctx, &pluginv1.DescribeRequest{})
	if err == nil && !pluginName.MatchString(d.GetName()) {
		err = fmt.Errorf("it calls itself %q", clip(d.GetName(), 60))
	}
	if err != nil {
		if ctx.Err() == nil {
			p.log.Warn("a plugin host does not say which plugin it is", "socket", filepath.Base(h.socket), "error", err)
		}
		return
	}
	h.mu.Lock()
	first := h.last == nil
	h.last = d
	h.mu.Unlock()
	if first {
		close(h.described)
		p.log.Info("plugin", "plugin", d.GetName(), "socket", filepath.Base(h.socket))
	}
}

// description is what the host last said, nil when it never did.
func (h *host) description() *pluginv1.Description {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *host) name() string { return clip(h.description().GetName(), 60) }

func (h *host) up() bool { return h.conn.GetState() == connectivity.Ready }

func (h *host) close() {
	h.stop()
	_ = h.conn.Close() // it is over either way
}

// comesBack is how long a run waits for a host that is just not there: long
// enough for one that is started again.
const comesBack = 5 * time.Second

// begin opens a conversation with the host. It waits for one that is just not
// there, and tries again when the host was lost between the look at the
// connection and its use: nothing of a run has been sent by then. Code
// plugin_unavailable.
func begin[S any](ctx context.Context, h *host, open func(context.Context, ...grpc.CallOption) (S, error)) (S, error) {
	within, cancel := context.WithTimeout(ctx, comesBack)
	defer cancel()
	for {
		if err := h.ready(ctx, within); err != nil {
			var none S
			return none, err
		}
		stream, err := open(ctx)
		if err == nil {
			return stream, nil
		}
		if status.Code(err) != codes.Unavailable || within.Err() != nil {
			return stream, h.failed(ctx, err)
		}
	}
}

// ready waits until the host can be talked to, as long as within says, which is
// of ctx. Code plugin_unavailable.
func (h *host) ready(ctx, within context.Context) error {
	for {
		state := h.conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Shutdown:
			return h.unavailable(errors.New("the hub is stopping"))
		case connectivity.Idle:
			h.conn.Connect()
		}
		if !h.conn.WaitForStateChange(within, state) {
			if ctx.Err() != nil {
				return given(ctx)
			}
			return h.unavailable(fmt.Errorf("no connection within %s", comesBack))
		}
	}
}

// callTime is how long the hub waits for a host, with other runs that it waits
// for: one that hangs must not hold a render for ever.
const callTime = 10 * time.Minute

func (h *host) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, callTime,
		fault.New(fault.Upstream, "plugin_unavailable", "the host of plugin %q did not answer within %s", h.name(), callTime))
}

func (h *host) unavailable(cause error) error {
	e := fault.Wrap(cause, fault.Upstream, "plugin_unavailable", "the host of plugin %q does not answer or ended during the run", h.name())
	if h.own != nil {
		return e.WithFix("the hub starts it again; its log says why it ended")
	}
	return e.WithFix("look at the plugin's container and its socket %s", filepath.Base(h.socket))
}

// failed turns what gRPC says into what people are told.
func (h *host) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return given(ctx)
	}
	switch status.Code(err) {
	case codes.ResourceExhausted, codes.InvalidArgument, codes.Unimplemented:
		return fault.Wrap(err, fault.Upstream, "plugin_unavailable", "the host of plugin %q does not understand this hub", h.name()).
			WithFix("use the same version of hawser-hub for both")
	}
	return h.unavailable(err)
}

// problem is an error that the host tells of.
func problem(p *pluginv1.Problem) error {
	kind := fault.Kind(p.GetKind())
	switch kind {
	case fault.Unprocessable, fault.Unavailable, fault.Upstream, fault.TooLarge:
	default: // a host decides nothing else
		kind = fault.Upstream
	}
	code := p.GetCode()
	switch code {
	case "plugin_failed", "plugin_unavailable", "too_large", "symlink_out_of_bounds":
	default:
		code = "plugin_failed"
	}
	e := fault.New(kind, code, "%s", clip(p.GetMessage(), maxProblem))
	e.Fix = clip(p.GetFix(), 300)
	if p.GetCause() != "" {
		e.Cause = errors.New(clip(p.GetCause(), maxProblem))
	}
	return e
}

// maxProblem bounds a message with the end of a command's standard error.
const maxProblem = 4 << 10

// generate has the host run init and generate.
func (h *host) generate(ctx context.Context, limits Limits, run Run) ([]byte, error) {
	ctx, cancel := h.patience(ctx)
	defer cancel() // which ends the run in the host, if it is not over
	stream, err := begin(ctx, h, h.client.Generate)
	if err != nil {
		return nil, err
	}
	if err := h.give(ctx, limits, run, stream.Send); err != nil {
		return nil, err
	}
	// A Send that fails because the host has spoken is told by Recv.
	_ = stream.CloseSend()
	var out bytes.Buffer
	for {
		m, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the output has no end")
			}
			return nil, h.failed(ctx, err)
		}
		switch o := m.GetOutput().(type) {
		case *pluginv1.Output_Manifests:
			if int64(out.Len()+len(o.Manifests)) > limits.OutputBytes {
				return nil, tooMuchOutput(h.name(), limits.OutputBytes)
			}
			out.Write(o.Manifests)
		case *pluginv1.Output_Problem:
			return nil, problem(o.Problem)
		case *pluginv1.Output_End:
			sum := sha256.Sum256(out.Bytes())
			if o.End.GetBytes() != int64(out.Len()) || !bytes.Equal(o.End.GetSha256(), sum[:]) {
				return nil, h.unavailable(errors.New("the output is not what the host says that it sent"))
			}
			return out.Bytes(), nil
		default:
			return nil, h.unavailable(errors.New("an answer of an unknown kind"))
		}
	}
}

func tooMuchOutput(name string, limit int64) *fault.Error {
	return fault.New(fault.Unprocessable, "plugin_failed", "plugin %q put out more than %s and was stopped", name, size(limit))
}

// size writes bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// give sends the input of a run. It returns nil too when the host does not want
// the rest: what it says then is to be read.
func (h *host) give(ctx context.Context, limits Limits, run Run, send func(*pluginv1.Input) error) error {
	env, secret := environment(run)
	err := sendInput(ctx, limits, run, &pluginv1.Header{Dir: run.Dir, Env: env, Secret: secret}, send)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return nil
	case ctx.Err() != nil:
		return given(ctx)
	}
	if _, ok := status.FromError(err); ok {
		return h.failed(ctx, err)
	}
	return err
}

// discover asks the plugin's command.
func (h *host) discover(ctx context.Context, limits Limits, run Run) (bool, error) {
	ctx, cancel := h.patience(ctx)
	defer cancel()
	stream, err := begin(ctx, h, h.client.Discover)
	if err != nil {
		return false, err
	}
	if err := h.give(ctx, limits, run, stream.Send); err != nil {
		return false, err
	}
	res, err := stream.CloseAndRecv()
	if err != nil {
		return false, h.failed(ctx, err)
	}
	if res.GetProblem() != nil {
		return false, problem(res.GetProblem())
	}
	return res.GetFound(), nil
}

func (h *host) parameters(ctx context.Context, limits Limits, run Run) ([]Announcement, error) {
	ctx, cancel := h.patience(ctx)
	defer cancel()
	stream, err := begin(ctx, h, h.client.Parameters)
	if err != nil {
		return nil, err
	}
	if err := h.give(ctx, limits, run, stream.Send); err != nil {
		return nil, err
	}
	res, err := stream.CloseAndRecv()
	if err != nil {
		return nil, h.failed(ctx, err)
	}
	if res.GetProblem() != nil {
		return nil, problem(res.GetProblem())
	}
	list := make([]Announcement, len(res.GetAnnouncements()))
	for i, a := range res.GetAnnouncements() {
		list[i] = Announcement{
			Name: a.GetName(), Title: a.GetTitle(), Tooltip: a.GetTooltip(), Required: a.GetRequired(), ItemType: a.GetItemType(),
			CollectionType: a.GetCollectionType(), String: a.GetStringValue(), Array: a.GetArrayValue(), Map: a.GetMapValue(),
		}
	}
	return list, nil
}

// discovers says whether the plugin has a rule of discovery.
func discovers(d *pluginv1.Description) bool {
	r := d.GetDiscovery()
	return r.GetFileName() != "" || r.GetGlob() != "" || r.GetCommand()
}

// rule describes the rule of discovery.
func rule(d *pluginv1.Description) string {
	r := d.GetDiscovery()
	switch {
	case r.GetFileName() != "":
		return fmt.Sprintf("no file is %q", clip(r.GetFileName(), 80))
	case r.GetGlob() != "":
		return fmt.Sprintf("no file matches %q", clip(r.GetGlob(), 80))
	}
	return "its spec.discover.find.command does not say so"
}

// joinDir is the path of something in the directory of a source.
func joinDir(dir, p string) string { return strings.TrimPrefix(dir+"/"+p, "/") }
