package testbed

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// Kubelet answers an API server in place of the kubelets of a control plane's
// nodes: logs of containers, and commands in them. It runs no containers. What
// a container's log says, the test says (Say, Restart), or who is attached to it;
// commands are those of KubeletCommands, or of KubeletOptions.Exec.
//
// Give it to Options.Kubelet. Requests of the API server come over TLS with the
// real protocols, WebSocket and SPDY included.
type Kubelet struct {
	o      KubeletOptions
	server *http.Server
	ln     net.Listener
	served chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a log changes
	logs    map[containerKey]*containerLog
	reading int
	running int
}

// KubeletOptions may be zero.
type KubeletOptions struct {
	// Exec runs a command; KubeletCommands when nil.
	Exec func(ctx context.Context, e Exec) (exitCode int, err error)
	// Logs, if set, is asked first and writes a log itself; false passes a
	// request on to what was said.
	Logs func(ctx context.Context, r LogRequest, w io.Writer) bool
}

// Exec is a command in a container.
type Exec struct {
	Namespace, Pod, Container string
	Command                   []string
	TTY                       bool
	Stdin                     io.Reader // nil for none
	Stdout, Stderr            io.Writer // Stderr is Stdout with a TTY
	// Size yields "COLUMNSxROWS" for each change of the terminal's size.
	Size <-chan string
}

// LogRequest is a request for a container's log.
type LogRequest struct {
	Namespace, Pod, Container    string
	Follow, Previous, Timestamps bool
	Tail                         int // -1 for all
	Since                        time.Time
}

type containerKey struct{ namespace, pod, container string }

// containerLog is what a container wrote, by its lives; the last one goes on.
type containerLog struct {
	lives  [][]logEntry
	refuse string
}

type logEntry struct {
	at   time.Time
	text string
}

// StartKubelet starts one on a free port; Close ends it.
func StartKubelet(o KubeletOptions) (*Kubelet, error) {
	if o.Exec == nil {
		o.Exec = KubeletCommands
	}
	ca, err := newAuthority("hawser-testbed-kubelet")
	if err != nil {
		return nil, err
	}
	cert, key, err := ca.server()
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &Kubelet{o: o, ln: ln, served: make(chan struct{}), changed: make(chan struct{}), logs: map[containerKey]*containerLog{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLogs)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", k.serveExec)
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", k.serveAttach)
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.servePortForward)
	k.server = &http.Server{Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(k.served)
		_ = k.server.ServeTLS(ln, "", "") // ends with Close
	}()
	return k, nil
}

// Port on 127.0.0.1.
func (k *Kubelet) Port() int { return k.ln.Addr().(*net.TCPAddr).Port }

// Close ends the server and whatever it serves.
func (k *Kubelet) Close() {
	k.server.Close()
	<-k.served
}

// Say adds lines to a container's log, written now.
func (k *Kubelet) Say(namespace, pod, container string, lines ...string) {
	k.SayAt(time.Now(), namespace, pod, container, lines...)
}

// SayAt adds lines to a container's log, written at a time.
func (k *Kubelet) SayAt(at time.Time, namespace, pod, container string, lines ...string) {
	k.change(namespace, pod, container, func(l *containerLog) {
		for _, line := range lines {
			last := &l.lives[len(l.lives)-1]
			*last = append(*last, logEntry{at.UTC(), line})
		}
	})
}

// Restart begins a new life of a container: who follows the last one reaches
// its end.
func (k *Kubelet) Restart(namespace, pod, container string) {
	k.change(namespace, pod, container, func(l *containerLog) { l.lives = append(l.lives, nil) })
}

// Refuse has requests for a container's log answered with 400 and a message;
// "" takes that back.
func (k *Kubelet) Refuse(namespace, pod, container, message string) {
	k.change(namespace, pod, container, func(l *containerLog) { l.refuse = message })
}

// Serving is how many logs are being read and how many commands run.
func (k *Kubelet) Serving() (logs, commands int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reading, k.running
}

func (k *Kubelet) change(namespace, pod, container string, f func(*containerLog)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k.logLocked(containerKey{namespace, pod, container}))
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *Kubelet) logLocked(key containerKey) *containerLog {
	l := k.logs[key]
	if l == nil {
		l = &containerLog{lives: [][]logEntry{nil}}
		k.logs[key] = l
	}
	return l
}

func (k *Kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	req := LogRequest{
		Namespace: r.PathValue("namespace"), Pod: r.PathValue("pod"), Container: r.PathValue("container"),
		Follow: q.Get("follow") == "true", Previous: q.Get("previous") == "true", Timestamps: q.Get("timestamps") == "true", Tail: -1,
	}
	if s := q.Get("tailLines"); s != "" {
		req.Tail, _ = strconv.Atoi(s)
	}
	if s := q.Get("sinceSeconds"); s != "" {
		n, _ := strconv.Atoi(s)
		req.Since = time.Now().Add(-time.Duration(n) * time.Second)
	}
	if s := q.Get("sinceTime"); s != "" {
		req.Since, _ = time.Parse(time.RFC3339, s)
	}
	k.mu.Lock()
	l := k.logLocked(containerKey{req.Namespace, req.Pod, req.Container})
	refuse, life := l.refuse, len(l.lives)-1
	k.reading++
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.reading--
		k.mu.Unlock()
	}()
	if req.Previous {
		life--
	}
	switch {
	case refuse != "":
		http.Error(w, refuse, http.StatusBadRequest)
		return
	case life < 0:
		http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", req.Container, req.Pod), http.StatusBadRequest)
		return
	}
	out := &flusher{w, http.NewResponseController(w)}
	if k.o.Logs != nil && k.o.Logs(r.Context(), req, out) {
		return
	}
	k.writeLog(r.Context(), l, life, req, out)
}

// writeLog writes a life's lines, and with Follow those that come, until the
// life is over or ctx ends.
func (k *Kubelet) writeLog(ctx context.Context, l *containerLog, life int, req LogRequest, w io.Writer) {
	written, first := 0, true
	for {
		k.mu.Lock()
		entries := slices.Clone(l.lives[life])
		over := life < len(l.lives)-1
		changed := k.changed
		k.mu.Unlock()
		if first {
			written = max(0, len(entries)-req.Tail)
			if req.Tail < 0 {
				written = 0
			}
			first = false
		}
		var b strings.Builder
		for _, e := range entries[written:] {
			if e.at.Before(req.Since) {
				continue
			}
			if req.Timestamps {
				b.WriteString(e.at.Format(time.RFC3339Nano) + " ")
			}
			b.WriteString(e.text + "\n")
		}
		written = len(entries)
		if _, err := io.WriteString(w, b.String()); err != nil || !req.Follow || over {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// flusher sends everything at once, as a kubelet does.
type flusher struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (f *flusher) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	return n, errors.Join(err, f.rc.Flush())
}

const (
	execIdle     = time.Hour
	execCreation = 30 * time.Second
)

func (k *Kubelet) serveExec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	k.mu.Lock()
	k.running++
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.running--
		k.mu.Unlock()
	}()
	e := Exec{Namespace: r.PathValue("namespace"), Pod: r.PathValue("pod"), Container: r.PathValue("container"), Command: r.URL.Query()["command"]}
	remotecommand.ServeExec(w, r, executor{k, e}, e.Pod, "", e.Container, e.Command, options, execIdle, execCreation, remotecommand.SupportedStreamingProtocols)
}

// serveAttach shows what a container writes from now on, until its life is over.
// The container repeats each line that it is told.
func (k *Kubelet) serveAttach(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	to := containerKey{r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")}
	remotecommand.ServeAttach(w, r, attacher{k, to}, to.pod, "", to.container, options, execIdle, execCreation, remotecommand.SupportedStreamingProtocols)
}

type attacher struct {
	k  *Kubelet
	to containerKey
}

// AttachContainer implements remotecommand.Attacher.
func (x attacher) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, _ io.WriteCloser, _ bool, resize <-chan remotecommand.TerminalSize) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case _, ok := <-resize:
				if !ok {
					cancel() // the client has gone
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	x.k.mu.Lock()
	l := x.k.logLocked(x.to)
	life := len(l.lives) - 1
	x.k.mu.Unlock()
	if in != nil {
		go func() {
			for lines := bufio.NewScanner(in); lines.Scan(); {
				x.k.Say(x.to.namespace, x.to.pod, x.to.container, lines.Text())
			}
		}()
	}
	x.k.writeLog(ctx, l, life, LogRequest{Follow: true, Tail: 0}, out)
	return nil
}

// servePortForward opens ports of a pod, all of which are Echo.
func (k *Kubelet) servePortForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, Echo{}, r.PathValue("pod"), "", options, execIdle, execCreation, portforward.SupportedProtocols)
}

// Echo is what a pod listens with on each port: it repeats the first line that it
// is told, with the names of the pod and the port before it.
type Echo struct{}

// PortForward implements portforward.PortForwarder.
func (Echo) PortForward(_ context.Context, pod, _ string, port int32, stream io.ReadWriteCloser) error {
	line, err := bufio.NewReader(stream).ReadString('\n')
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stream, "%s:%d %s", pod, port, line)
	return err
}

type executor struct {
	k *Kubelet
	e Exec
}

// ExecInContainer implements remotecommand.Executor.
func (x executor) ExecInContainer(ctx context.Context, _, _, _ string, _ []string, in io.Reader, out, stderr io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	// A connection that is gone ends the command: it reads the end of its input.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := x.e
	e.TTY, e.Stdin, e.Stdout, e.Stderr = tty, in, out, stderr
	if stderr == nil {
		e.Stderr = out
	}
	sizes := make(chan string, 1)
	e.Size = sizes
	go func() {
		for {
			select {
			case s, ok := <-resize:
				if !ok {
					cancel() // the client has gone
					return
				}
				select {
				case <-sizes:
				default:
				}
				sizes <- fmt.Sprintf("%dx%d", s.Width, s.Height)
			case <-ctx.Done():
				return
			}
		}
	}()
	code, err := x.k.o.Exec(ctx, e)
	if err != nil {
		return err
	}
	if code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: code}
	}
	return nil
}

// KubeletCommands are the commands that a Kubelet knows:
//
//	echo WORD…     says the words
//	warn WORD…     says them to standard error
//	cat            repeats its input, to the end
//	exit N         ends with a code
//	size           says each size of the terminal, until its input ends
//	flood N        says N lines
//	sleep          goes on until its input ends
func KubeletCommands(ctx context.Context, e Exec) (int, error) {
	words := e.Command
	switch cmp.Or(words[0], "") {
	case "echo":
		fmt.Fprintln(e.Stdout, strings.Join(words[1:], " "))
	case "warn":
		fmt.Fprintln(e.Stderr, strings.Join(words[1:], " "))
	case "cat":
		if e.Stdin != nil {
			if _, err := io.Copy(e.Stdout, e.Stdin); err != nil {
				return 0, err
			}
		}
	case "exit":
		return strconv.Atoi(words[1])
	case "size":
		ended := inputEnd(e.Stdin)
		for {
			select {
			case s := <-e.Size:
				fmt.Fprintln(e.Stdout, s)
			case <-ended:
				return 0, nil
			case <-ctx.Done():
				return 130, nil
			}
		}
	case "flood":
		n, err := strconv.Atoi(words[1])
		if err != nil {
			return 0, err
		}
		w := bufio.NewWriter(e.Stdout)
		for i := range n {
			if _, err := fmt.Fprintf(w, "line %d of a flood\n", i); err != nil {
				return 0, err
			}
		}
		return 0, w.Flush()
	case "sleep":
		select {
		case <-inputEnd(e.Stdin):
		case <-ctx.Done():
		}
	default:
		return 127, nil
	}
	return 0, nil
}

// inputEnd is closed when an input has ended; never when there is none.
func inputEnd(r io.Reader) <-chan struct{} {
	ended := make(chan struct{})
	if r != nil {
		go func() {
			_, _ = io.Copy(io.Discard, r) // an error is an end
			close(ended)
		}()
	}
	return ended
}
