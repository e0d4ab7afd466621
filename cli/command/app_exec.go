package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// The protocol of the hub's exec route: the first byte of each message says what
// the rest is.
const (
	execProtocol = "v1.exec.hawser.dev"

	execStdin  = 0
	execStdout = 1
	execStderr = 2
	execEnd    = 3
	execSize   = 4
	execStdEnd = 5
)

func newAppExec(s *session) *cobra.Command {
	var (
		pod, container, namespace string
		stdin, tty                bool
	)
	c := &cobra.Command{
		Use:   "exec NAME [--pod POD] -- COMMAND [ARG…]",
		Short: "Run a command in a container of one of the application's pods",
		Long: `Run a command in a container of one of the application's pods. Its exit status
is this command's. It needs an agent that was started with --allow-exec, and a
hub and a cluster that do not forbid it. An application's only pod need not be
named.

With a terminal on both sides the command gets one; --tty=false prevents that.
Standard input is passed on to commands with a terminal, and with -i.`,
		Example: `  hawser app exec shop --pod web-5d4f-x7 -- sh
  hawser app exec shop --pod web-5d4f-x7 -c proxy -- cat /etc/hosts
  hawser app exec shop --pod db-0 -i -- psql < schema.sql`,
		Args: func(c *cobra.Command, args []string) error {
			if at := c.ArgsLenAtDash(); at != 1 || len(args) < 2 {
				return fault.New(fault.Invalid, "usage", "write the application, then --, then the command").WithFix("hawser app exec NAME [--pod POD] -- COMMAND")
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			if pod == "" {
				only, err := c.onlyPod(c.args[0], namespace)
				if err != nil {
					return err
				}
				pod, namespace = only.Name, only.Namespace
			}
			screen, keyboard := terminalOf(c.Out), terminalOf(c.In)
			if !c.cmd.Flags().Changed("tty") {
				tty = screen != nil && keyboard != nil
			}
			q := url.Values{"pod": {pod}, "command": c.args[1:], "tty": {strconv.FormatBool(tty)}, "stdin": {strconv.FormatBool(stdin || tty)}}
			if namespace != "" {
				q.Set("namespace", namespace)
			}
			if container != "" {
				q.Set("container", container)
			}
			x := &execution{in: c.In, out: c.Out, err: c.Err, stdin: stdin || tty}
			if tty && screen != nil {
				x.screen = screen
				if w, h, err := term.GetSize(int(screen.Fd())); err == nil && w > 0 && h > 0 {
					q.Set("columns", strconv.Itoa(w))
					q.Set("rows", strconv.Itoa(h))
				}
			}
			ctx, cancel := c.limit(c.ctx, 0)
			defer cancel()
			conn, err := c.api.Socket(ctx, appPath(c.args[0])+"/exec?"+q.Encode(), execProtocol)
			if err != nil {
				return err
			}
			defer conn.CloseNow()
			if tty && keyboard != nil {
				// Every key is the command's, Ctrl-C too.
				before, err := term.MakeRaw(int(keyboard.Fd()))
				if err != nil {
					return err
				}
				defer term.Restore(int(keyboard.Fd()), before)
			}
			code, err := x.run(ctx, conn)
			if err != nil || code == 0 {
				return err
			}
			return exitWith(code, nil)
		}),
	}
	f := c.Flags()
	f.StringVar(&pod, "pod", "", "name of the pod, when there are several")
	f.StringVarP(&container, "container", "c", "", "container (default: the pod's default one)")
	f.StringVarP(&namespace, "namespace", "n", "", "namespace of the pod, when there are several of the name")
	f.BoolVarP(&stdin, "stdin", "i", false, "pass standard input on")
	f.BoolVarP(&tty, "tty", "t", false, "give the command a terminal (default: when there is one here)")
	return c
}

// onlyPod is the application's pod when there is one.
func (c *call) onlyPod(app, namespace string) (model.ObjectKey, error) {
	var tree model.ResourceTree
	if err := c.get(appPath(app)+"/tree", &tree); err != nil {
		return model.ObjectKey{}, err
	}
	var pods []model.ObjectKey
	var names []string
	for _, n := range tree.Nodes {
		if n.Group == "" && n.Kind == "Pod" && (namespace == "" || n.Namespace == namespace) {
			pods, names = append(pods, n.ObjectKey), append(names, n.Name)
		}
	}
	switch {
	case len(pods) == 0:
		return model.ObjectKey{}, fault.New(fault.NotFound, "object_not_of_application", "application %q has no pod", app).WithFix("see its objects: hawser app tree %s", app)
	case len(pods) > 1:
		if more := len(names) - mostNames; more > 0 {
			names = append(names[:mostNames], fmt.Sprintf("and %d more", more))
		}
		return model.ObjectKey{}, fault.New(fault.Invalid, "usage", "which of %d pods is meant is not said: %s", len(pods), strings.Join(names, ", ")).
			WithFix("add --pod; hawser app tree %s shows them", app)
	}
	c.note("in pod %s", pods[0].Name)
	return pods[0], nil
}

// terminalOf is the terminal behind a stream, nil when there is none.
func terminalOf(stream any) *os.File {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// execution is a command that runs elsewhere.
type execution struct {
	in       io.Reader
	out, err io.Writer
	stdin    bool
	screen   *os.File // nil for none
}

// run passes input and output on until the command ends.
func (x *execution) run(ctx context.Context, conn *websocket.Conn) (code int, err error) {
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	send := make(chan []byte)
	var sizes sync.WaitGroup
	defer sizes.Wait()
	defer cancel()
	if x.stdin {
		go x.read(ctx, send) // a read of a terminal cannot be ended; the program is about to
	}
	if x.screen != nil {
		sizes.Go(func() { x.watchSize(ctx, send) })
	}
	sizes.Go(func() {
		for {
			select {
			case m := <-send:
				if conn.Write(ctx, websocket.MessageBinary, m) != nil {
					return // what is wrong shows where is read
				}
			case <-ctx.Done():
				return
			}
		}
	})
	for {
		_, m, err := conn.Read(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return 0, ctx.Err()
		case err != nil:
			return 0, fault.Wrap(err, fault.Unavailable, "answer_cut", "the connection to the hub was lost; what became of the command is not known")
		case len(m) == 0:
			continue
		}
		switch m[0] {
		case execStdout:
			_, err = x.out.Write(m[1:])
		case execStderr:
			_, err = x.err.Write(m[1:])
		case execEnd:
			return endOf(m[1:])
		}
		if err != nil {
			return 0, err
		}
	}
}

// endOf reads how a command ended: its exit code, or why it was ended.
func endOf(document []byte) (code int, err error) {
	var end struct {
		ExitCode *int `json:"exitCode"`
		Status   int  `json:"status"`
	}
	if err := json.Unmarshal(document, &end); err != nil {
		return 0, fault.Wrap(err, fault.Internal, "answer_invalid", "the hub did not say how the command ended")
	}
	if end.ExitCode != nil {
		return *end.ExitCode, nil
	}
	if end.Status == 0 {
		end.Status = http.StatusServiceUnavailable
	}
	return 0, client.Problem(document, end.Status)
}

func (x *execution) read(ctx context.Context, send chan<- []byte) {
	put := func(m []byte) bool {
		select {
		case send <- m:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for {
		b := make([]byte, 1+16<<10)
		b[0] = execStdin
		n, err := x.in.Read(b[1:])
		if n > 0 && !put(b[:1+n]) {
			return
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				put([]byte{execStdEnd})
			}
			return
		}
	}
}

// watchSize tells each new size of the terminal.
func (x *execution) watchSize(ctx context.Context, send chan<- []byte) {
	changed, stop := sizeChanges()
	defer stop()
	var last [2]int
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		w, h, err := term.GetSize(int(x.screen.Fd()))
		if err != nil || w <= 0 || h <= 0 || last == [2]int{w, h} {
			continue
		}
		last = [2]int{w, h}
		m, _ := json.Marshal(map[string]int{"columns": w, "rows": h}) // numbers always encode
		select {
		case send <- append([]byte{execSize}, m...):
		case <-ctx.Done():
			return
		}
	}
}
