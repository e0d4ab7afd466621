package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// ExecProtocol is the WebSocket subprotocol of a command. Every message is
// binary; its first byte says what the rest is.
//
//	to the hub:   0 standard input, 4 {"columns":…,"rows":…}, 5 the end of the input
//	to the client: 1 standard output, 2 standard error, 3 the end, and the last:
//	              {"exitCode":…} or a problem document
//
// These are the channels of Kubernetes' own protocol, as far as it has them.
const ExecProtocol = "v1.exec.hawser.dev"

// The channels.
const (
	channelStdin  = 0
	channelStdout = 1
	channelStderr = 2
	channelEnd    = 3
	channelSize   = 4
	channelStdEnd = 5
)

const (
	// maxExecMessage bounds what a client sends at once.
	maxExecMessage = 64 << 10
	// startTimeout is how long a command may take to begin.
	startTimeout = 30 * time.Second
)

// execResource runs a command in a container of a pod of an application. What
// can be refused is refused before the connection becomes a WebSocket.
func (a *api) execResource(c *gin.Context) {
	p := parametersIn(c)
	core := ""
	q := model.ExecQuery{
		ObjectSelector: model.ObjectSelector{Group: &core, Kind: "Pod", Namespace: p.text("namespace"), Name: p.text("pod")},
		Container:      p.text("container"), Command: p.texts("command"), TTY: p.flag("tty", false), Stdin: p.flag("stdin", false),
	}
	if n, ok := p.number("columns", 1, 1<<16-1); ok {
		q.Size.Columns = uint16(n)
	}
	// A page cannot read the answer to a handshake that fails: with late it is told on
	// the WebSocket what only the cluster could refuse.
	late := p.flag("late", false)
	if n, ok := p.number("rows", 1, 1<<16-1); ok {
		q.Size.Rows = uint16(n)
	}
	// The words of a command may be secrets; the first is its program.
	program := ""
	if len(q.Command) > 0 {
		program = cut(q.Command[0])
	}
	log := a.log.With("application", cut(c.Param("name")), "by", identity(c).Name, "from", address(c.Request), "program", program)
	asked := log.With("namespace", cut(q.Namespace), "pod", cut(q.Name), "container", cut(q.Container))
	refuse := func(err error) {
		asked.InfoContext(c.Request.Context(), "a command in a container was refused", "code", fault.As(err).Code, "error", err)
		a.fail(c, err)
	}
	err := p.done()
	if err == nil {
		err = a.mayExec(c, q)
	}
	if err != nil {
		refuse(err)
		return
	}
	// Before anything can run: what is not in the log has not been run.
	asked.InfoContext(c.Request.Context(), "a command in a container is asked for")
	var conn *websocket.Conn
	if late {
		if conn, err = websocket.Accept(c.Writer, c.Request, &websocket.AcceptOptions{Subprotocols: []string{ExecProtocol}}); err != nil { // it has answered
			endedBy(c, fault.New(fault.Unavailable, "client_gone", "the connection to the client was not made"), "")
			return
		}
		defer conn.CloseNow()
		refuse = func(err error) {
			asked.InfoContext(c.Request.Context(), "a command in a container was refused", "code", fault.As(err).Code, "error", err)
			endExec(context.WithoutCancel(c.Request.Context()), conn, 0, err)
			endedBy(c, err, "")
		}
	}
	l, err := a.look(c, model.AccessRequest{Exec: &q})
	if err != nil {
		refuse(err)
		return
	}
	defer l.close()
	started, err := l.started()
	if err != nil {
		refuse(err)
		return
	}
	log = log.With("namespace", started.Namespace, "pod", started.Pod, "container", started.Container)
	log.InfoContext(l.ctx, "a command was started in a container")
	if !late {
		conn, err = websocket.Accept(c.Writer, c.Request, &websocket.AcceptOptions{Subprotocols: []string{ExecProtocol}})
	}
	if err != nil { // it has answered
		endedBy(c, fault.New(fault.Unavailable, "client_gone", "the connection to the client was not made"), "")
		log.InfoContext(context.WithoutCancel(l.ctx), "a command in a container has ended", "error", fault.Wrap(err, fault.Unavailable, "client_gone", "the connection to the client was not made: %v", err))
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxExecMessage + 1)
	code, err := l.runCommand(conn, q)
	endedBy(c, err, "ended by itself with exit code "+strconv.Itoa(code))
	log.InfoContext(context.WithoutCancel(l.ctx), "a command in a container has ended", "exit_code", code, "error", err)
}

// execEnd is the last message of a command that ended.
type execEnd struct {
	ExitCode int `json:"exitCode"`
}

// mayExec refuses what needs no agent to be refused.
func (a *api) mayExec(c *gin.Context, q model.ExecQuery) error {
	switch {
	case !a.opts.AllowExec:
		return fault.New(fault.Denied, "exec_disabled", "this hub runs no commands in containers").WithFix("start the hub without --exec=false")
	case q.Name == "":
		return fault.New(fault.Invalid, "field_missing", "pod is missing; name the pod").WithField("pod")
	case len(q.Command) == 0 || q.Command[0] == "":
		return fault.New(fault.Invalid, "command_missing", "there is no command to run").WithField("command")
	}
	if err := checkHandshake(c.Request); err != nil {
		return err
	}
	for offered := range strings.SplitSeq(c.GetHeader("Sec-WebSocket-Protocol"), ",") {
		if strings.TrimSpace(offered) == ExecProtocol {
			return nil
		}
	}
	return fault.New(fault.Invalid, "websocket_required", "the WebSocket must speak %s", ExecProtocol).
		WithFound(cut(c.GetHeader("Sec-WebSocket-Protocol")), ExecProtocol)
}

// checkHandshake is what websocket.Accept checks, which comes after the command
// was started: the handshake of RFC 6455 (4.2.1), and that the page of a browser
// is the hub's own (10.2).
func checkHandshake(r *http.Request) error {
	has := func(header, token string) bool {
		for _, value := range r.Header.Values(header) {
			for word := range strings.SplitSeq(value, ",") {
				if strings.EqualFold(strings.TrimSpace(word), token) {
					return true
				}
			}
		}
		return false
	}
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Method != http.MethodGet || !has("Connection", "Upgrade") || !has("Upgrade", "websocket") {
		return fault.New(fault.Invalid, "websocket_required", "commands need a WebSocket with the subprotocol %s", ExecProtocol)
	}
	if version := r.Header.Get("Sec-WebSocket-Version"); version != "13" {
		return fault.New(fault.Invalid, "websocket_required", "the WebSocket must have version 13").WithFound(cut(version), "13")
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return fault.New(fault.Invalid, "websocket_required", "the WebSocket needs one Sec-WebSocket-Key, not %d", len(keys))
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err != nil || len(key) != 16 {
		return fault.New(fault.Invalid, "websocket_required", "the WebSocket's Sec-WebSocket-Key is not 16 bytes in base64")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || !strings.EqualFold(u.Host, r.Host) {
			return fault.New(fault.Denied, "origin_denied", "pages of %q may not run commands here", cut(origin))
		}
	}
	return nil
}

// started waits until the command runs.
func (l *look) started() (*model.ExecStarted, error) {
	late := time.AfterFunc(startTimeout, l.stream.Close)
	defer late.Stop()
	m, err := l.receive()
	switch {
	case err != nil && l.ctx.Err() == nil && !late.Stop():
		return nil, fault.New(fault.Unavailable, "access_timeout", "the command did not begin within %s", startTimeout)
	case err != nil:
		return nil, err
	case m.Started == nil:
		return nil, fault.New(fault.Upstream, "access_failed", "the cluster's agent did not say that the command runs")
	}
	return m.Started, nil
}

// terminal is a command with a client at the other end of a WebSocket.
type terminal struct {
	l    *look
	q    model.ExecQuery
	conn *websocket.Conn
	// reading ends with the connection, writing a moment after the permission:
	// a read or write whose context ends takes the connection with it, and the
	// last message with that.
	reading, writing context.Context
	// stalled: the command takes no input, so that nothing is read from the
	// client, whose answers to pings are not seen then.
	stalled atomic.Bool
}

// runCommand passes input and output on until the command, the client or the
// permission ends, and says to the client which.
func (l *look) runCommand(conn *websocket.Conn, q model.ExecQuery) (exitCode int, err error) {
	ctx, cancel := context.WithCancelCause(l.ctx)
	t := &terminal{l: l, q: q, conn: conn}
	var stopReading, stopWriting context.CancelFunc
	t.reading, stopReading = context.WithCancel(context.WithoutCancel(l.ctx))
	t.writing, stopWriting = context.WithCancel(context.WithoutCancel(l.ctx))
	context.AfterFunc(l.ctx, func() { time.AfterFunc(stopGrace, stopWriting) })
	var wg sync.WaitGroup
	gone := func(err error) {
		if err != nil {
			cancel(err)
			stopWriting()
		}
	}
	wg.Go(func() { gone(t.takeInput(ctx)) })
	wg.Go(func() { gone(t.alive(ctx)) })
	exitCode, err = t.passOutput(ctx)
	l.stream.Close()
	endExec(context.WithoutCancel(l.ctx), conn, exitCode, err)
	cancel(nil)
	stopReading()
	stopWriting()
	wg.Wait()
	return exitCode, err
}

// endExec says how the command ended, and closes the connection.
func endExec(ctx context.Context, conn *websocket.Conn, exitCode int, err error) {
	end, status := any(execEnd{exitCode}), websocket.StatusNormalClosure
	if err != nil {
		p := newProblem(err, "")
		end = p
		if status = websocket.StatusInternalError; p.Kind == fault.Unauthorized || p.Kind == fault.Denied {
			status = websocket.StatusPolicyViolation
		}
	}
	body, _ := json.Marshal(end) // plain values always encode
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	if conn.Write(ctx, websocket.MessageBinary, append([]byte{channelEnd}, body...)) == nil {
		late := time.AfterFunc(stopGrace, func() { conn.CloseNow() })
		_ = conn.Close(status, "") // the client may be gone
		late.Stop()
	}
	conn.CloseNow()
}

// passOutput writes to the client until the command has ended.
func (t *terminal) passOutput(ctx context.Context) (exitCode int, err error) {
	for {
		m, err := t.l.receive()
		switch {
		case err != nil && ctx.Err() != nil:
			return 0, t.why(ctx, err)
		case err != nil:
			return 0, err
		case m.End != nil:
			return m.End.ExitCode, nil
		case m.Output == nil:
			continue
		}
		for channel, b := range map[byte][]byte{channelStdout: m.Output.Stdout, channelStderr: m.Output.Stderr} {
			if len(b) == 0 {
				continue
			}
			write, cancel := context.WithTimeout(t.writing, t.l.a.meters.limits.SlowReader)
			err := t.conn.Write(write, websocket.MessageBinary, append([]byte{channel}, b...))
			cancel()
			if err != nil {
				return 0, t.why(ctx, err)
			}
		}
	}
}

// why is the reason that led to an error.
func (t *terminal) why(ctx context.Context, err error) error {
	if t.l.ctx.Err() != nil {
		return t.l.explain(err)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	return fault.Wrap(err, fault.Unavailable, "client_gone", "the client has gone")
}

// readInput is what a message of the client says: input, that there is no more of
// it, or the size of the terminal.
func readInput(kind websocket.MessageType, b []byte) (in model.AccessInput, err error) {
	if kind != websocket.MessageBinary || len(b) == 0 {
		return in, fault.New(fault.Invalid, "message_invalid", "a message of the WebSocket is not binary, or is empty")
	}
	switch b[0] {
	case channelStdin:
		in.Stdin = b[1:]
	case channelStdEnd:
		in.StdinEnd = true
	case channelSize:
		var size model.TerminalSize
		if json.Unmarshal(b[1:], &size) != nil || size.Columns == 0 || size.Rows == 0 {
			return in, fault.New(fault.Invalid, "message_invalid", "the size of the terminal is not {\"columns\":…,\"rows\":…}")
		}
		in.Size = &size
	default:
		return in, fault.New(fault.Invalid, "message_invalid", "there is no channel %d", b[0])
	}
	return in, nil
}

// takeInput passes on what the client says, until ctx ends or the client has
// gone, which is an error. It closes the stream then, which frees passOutput.
func (t *terminal) takeInput(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			t.l.stream.Close()
		}
	}()
	for {
		kind, b, err := t.conn.Read(t.reading)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		in, err := readInput(kind, b)
		if err != nil {
			return err
		}
		if in.Stdin != nil && (len(in.Stdin) == 0 || !t.q.Stdin) {
			continue
		}
		t.stalled.Store(true)
		most := t.l.a.meters.limits.SlowReader
		send, cancel := context.WithTimeout(ctx, most)
		err = t.l.stream.Send(send, in)
		late := send.Err() != nil
		cancel()
		if !late { // else a ping that was not answered meanwhile would count
			t.stalled.Store(false)
		}
		if err != nil {
			if late && ctx.Err() == nil {
				return fault.New(fault.Unavailable, "input_stalled", "the command has taken no input for %s", most)
			}
			// The command has ended, or its answer tells what is wrong: the client
			// is listened to until it is told.
			if ctx.Err() != nil {
				return nil
			}
		}
	}
}

// alive finds out when the client has gone without a word. While the command
// takes no input a ping is not answered, but one that cannot be sent says enough;
// takeInput bounds how long that lasts.
func (t *terminal) alive(ctx context.Context) error {
	every := t.l.a.meters.limits.Ping
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if ctx.Err() != nil {
			return nil
		}
		// A write whose context ends takes the connection along, and the client is to
		// hear how the command ended: the end of ctx ends no ping.
		ping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*every)
		err := t.conn.Ping(ping)
		cancel()
		if err != nil && ctx.Err() == nil && (!t.stalled.Load() || !errors.Is(err, context.DeadlineExceeded)) {
			t.l.stream.Close()
			return err
		}
	}
}
