package access

import (
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// maxOutput is how much of a command's output travels in one piece.
const maxOutput = 32 << 10

// exec runs a command in a container and answers its exit code.
func (s *Server) exec(a *answer, objects []reached, q model.ExecQuery) (exitCode int, err error) {
	if !s.o.AllowExec {
		return 0, fault.New(fault.Denied, "exec_disabled", "the cluster's agent runs no commands in containers").
			WithFix("start the agent with --allow-exec")
	}
	if s.o.MayExec != nil {
		if err := s.o.MayExec(a.app); err != nil {
			return 0, err
		}
	}
	selector := q.ObjectSelector
	if selector.Kind == "" {
		core := ""
		selector.Kind, selector.Group = "Pod", &core
	}
	r, err := pickOne(objects, selector)
	if err != nil {
		return 0, err
	}
	if !isPod(r) {
		return 0, fault.New(fault.Invalid, "not_a_pod", "%s is no pod; commands run in pods", r.Key).WithFix("name one of its pods")
	}
	if err := s.o.Veto.Allow("exec", r.Key); err != nil {
		return 0, err
	}
	p, err := s.readPod(a.ctx, r)
	if err != nil {
		return 0, err
	}
	container := q.Container
	if container == "" {
		container = p.usual()
	}
	if !slices.Contains(p.names(), container) {
		return 0, containerUnknown(container, p.names())
	}
	executor, err := s.executor(a.ctx, r, container, q)
	if err != nil {
		return 0, err
	}
	if err := a.send(model.AccessAnswer{Started: &model.ExecStarted{Namespace: r.Key.Namespace, Pod: r.Key.Name, Container: container}}); err != nil {
		return 0, err
	}
	guarded, stop := s.guard(a, "exec", []reached{r})
	defer stop()
	return runCommand(guarded, executor, q)
}

// executor speaks to the API server over a WebSocket, or SPDY with those that
// know nothing newer.
func (s *Server) executor(ctx context.Context, r reached, container string, q model.ExecQuery) (remotecommand.Executor, error) {
	query := url.Values{"container": {container}, "command": q.Command, "stdout": {"true"}}
	if q.Stdin {
		query.Set("stdin", "true")
	}
	if q.TTY {
		query.Set("tty", "true")
	} else {
		query.Set("stderr", "true") // a terminal has one output
	}
	u := s.address(pathOf(r.kind, versionOf(r), r.Key, "exec"), query)
	unusable := func(err error) error {
		return fault.Wrap(err, fault.Internal, "access_failed", "the request to the cluster could not be made")
	}
	user, err := userOf(ctx)
	if err != nil {
		return nil, err
	}
	config := s.o.Config
	if user != "" {
		config = rest.CopyConfig(config)
		config.Impersonate = rest.ImpersonationConfig{UserName: user}
	}
	spdy, err := remotecommand.NewSPDYExecutor(config, "POST", u)
	if err != nil {
		return nil, unusable(err)
	}
	socket, err := remotecommand.NewWebSocketExecutor(config, "GET", u.String())
	if err != nil {
		return nil, unusable(err)
	}
	executor, err := remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return nil, unusable(err)
	}
	return executor, nil
}

// runCommand joins a command with the hub until one of them ends.
func runCommand(a *answer, executor remotecommand.Executor, q model.ExecQuery) (exitCode int, err error) {
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	out := &outputs{a: &answer{ctx: ctx, st: a.st, app: a.app}}
	o := remotecommand.StreamOptions{Stdout: outputWriter{out, false}, Tty: q.TTY}
	if !q.TTY {
		o.Stderr = outputWriter{out, true}
	}
	in := &inputs{sizes: make(chan remotecommand.TerminalSize, 1), done: ctx.Done()}
	var stdin *io.PipeReader
	if q.Stdin {
		stdin, in.stdin = io.Pipe()
		o.Stdin = stdin
	}
	if q.TTY {
		o.TerminalSizeQueue = in
		if q.Size != (model.TerminalSize{}) {
			in.resize(q.Size)
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		cancel()
		if stdin != nil {
			stdin.Close() // frees a writer that the command does not listen to
		}
	}()
	wg.Go(func() { in.receive(ctx, a) })
	// client-go says to its log that a connection was closed, which is what ended
	// commands do; the zero logger says nothing.
	err = executor.StreamWithContext(klog.NewContext(ctx, klog.Logger{}), o)
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return exit.Code, nil
	case a.ctx.Err() != nil:
		return 0, context.Cause(a.ctx)
	}
	return 0, fault.Wrap(err, fault.Upstream, "exec_failed", "the command did not run to its end: %s", cut(err.Error(), 200))
}

// inputs are what the hub says to a running command.
type inputs struct {
	stdin *io.PipeWriter // nil when the command has none
	sizes chan remotecommand.TerminalSize
	done  <-chan struct{}
}

// receive hands on what the hub says until it says no more.
func (in *inputs) receive(ctx context.Context, a *answer) {
	if in.stdin != nil {
		defer in.stdin.Close()
	}
	for {
		var p agentv1.AccessInput
		if a.st.Receive(ctx, &p) != nil {
			return
		}
		m := wire.AccessInput(&p)
		switch {
		case m.Size != nil:
			in.resize(*m.Size)
		case in.stdin == nil:
		case m.StdinEnd:
			in.stdin.Close()
		case len(m.Stdin) > 0:
			_, _ = in.stdin.Write(m.Stdin) // a command that has closed its input goes on
		}
	}
}

// resize keeps the newest size for Next.
func (in *inputs) resize(s model.TerminalSize) {
	select {
	case <-in.sizes:
	default:
	}
	in.sizes <- remotecommand.TerminalSize{Width: s.Columns, Height: s.Rows}
}

// Next implements remotecommand.TerminalSizeQueue.
func (in *inputs) Next() *remotecommand.TerminalSize {
	select {
	case size := <-in.sizes:
		return &size
	case <-in.done:
		return nil
	}
}

// outputs sends what a command writes to its two outputs.
type outputs struct {
	mu sync.Mutex
	a  *answer
}

type outputWriter struct {
	to     *outputs
	stderr bool
}

// Write implements io.Writer. It waits until the hub has taken what came before.
func (w outputWriter) Write(b []byte) (int, error) {
	w.to.mu.Lock()
	defer w.to.mu.Unlock()
	for done := 0; done < len(b); {
		piece := b[done:min(done+maxOutput, len(b))]
		m := &model.ExecOutput{Stdout: piece}
		if w.stderr {
			m = &model.ExecOutput{Stderr: piece}
		}
		if err := w.to.a.send(model.AccessAnswer{Output: m}); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return len(b), nil
}
