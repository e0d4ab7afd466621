package plugin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	pluginv1 "github.com/hawser-dev/hawser/proto/gen/hawser/plugin/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// What a host does when the hub asks.

// smallOutput bounds what discovery and announcements put out.
const smallOutput = 1 << 20

func (h *hosting) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.Description, error) {
	return h.about, nil
}

func (h *hosting) Discover(stream grpc.ClientStreamingServer[pluginv1.Input, pluginv1.DiscoverResult]) error {
	find := h.definition.Spec.Discover.Find
	argv := Command{find.Command, find.Args}.argv()
	if !h.about.GetDiscovery().GetCommand() {
		return stream.SendAndClose(&pluginv1.DiscoverResult{Problem: problemOf(
			fault.New(fault.Upstream, "plugin_failed", "plugin %q has no command of discovery", h.about.GetName()))})
	}
	out, err := h.run(stream.Context(), stream.Recv, smallOutput, step{Name: "discover.find", Argv: argv})
	var exited *exitError
	switch {
	case errors.As(err, &exited) && exited.Started && exited.Signal == 0:
		// An exit that is not 0 says that the source is not the plugin's.
		return stream.SendAndClose(&pluginv1.DiscoverResult{})
	case err != nil:
		return stream.SendAndClose(&pluginv1.DiscoverResult{Problem: problemOf(err)})
	}
	return stream.SendAndClose(&pluginv1.DiscoverResult{Found: len(strings.TrimSpace(string(out))) > 0})
}

func (h *hosting) Generate(stream grpc.BidiStreamingServer[pluginv1.Input, pluginv1.Output]) error {
	var steps []step
	if argv := h.definition.Spec.Init.argv(); argv != nil {
		steps = append(steps, step{Name: "init", Argv: argv})
	}
	steps = append(steps, step{Name: "generate", Argv: h.definition.Spec.Generate.argv()})
	out, err := h.run(stream.Context(), stream.Recv, h.opts.Limits.OutputBytes, steps...)
	if err != nil {
		return stream.Send(&pluginv1.Output{Output: &pluginv1.Output_Problem{Problem: problemOf(err)}})
	}
	for piece := range slices.Chunk(out, pieceBytes) {
		if err := stream.Send(&pluginv1.Output{Output: &pluginv1.Output_Manifests{Manifests: piece}}); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(out)
	return stream.Send(&pluginv1.Output{Output: &pluginv1.Output_End{End: &pluginv1.OutputEnd{Bytes: int64(len(out)), Sha256: sum[:]}}})
}

func (h *hosting) Parameters(stream grpc.ClientStreamingServer[pluginv1.Input, pluginv1.ParametersResult]) error {
	list := h.definition.Spec.Parameters.Static
	if argv := h.definition.Spec.Parameters.Dynamic.argv(); argv != nil {
		out, err := h.run(stream.Context(), stream.Recv, smallOutput, step{Name: "parameters.dynamic", Argv: argv})
		var more []Announcement
		if err == nil {
			if more, err = parseAnnouncements(out); err != nil {
				err = fault.Wrap(err, fault.Unprocessable, "plugin_failed",
					"plugin %q: what parameters.dynamic put out is no JSON list of parameters: %s", h.about.GetName(), clip(err.Error(), 150))
			}
		}
		if err != nil {
			return stream.SendAndClose(&pluginv1.ParametersResult{Problem: problemOf(err)})
		}
		list = append(slices.Clone(list), more...)
	} else if err := drain(stream.Recv); err != nil {
		return err
	}
	res := &pluginv1.ParametersResult{}
	for _, a := range list {
		res.Announcements = append(res.Announcements, &pluginv1.Announcement{
			Name: a.Name, Title: a.Title, Tooltip: a.Tooltip, Required: a.Required, ItemType: a.ItemType,
			CollectionType: a.CollectionType, StringValue: a.String, ArrayValue: a.Array, MapValue: a.Map,
		})
	}
	return stream.SendAndClose(res)
}

func drain(recv func() (*pluginv1.Input, error)) error {
	for {
		if _, err := recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// problemOf is an error on its way to the hub.
func problemOf(err error) *pluginv1.Problem {
	var exited *exitError
	if errors.As(err, &exited) {
		return &pluginv1.Problem{Kind: string(fault.Unprocessable), Code: "plugin_failed", Message: exited.message}
	}
	e := fault.As(err)
	if e.Kind == fault.Internal {
		e = fault.Wrap(err, fault.Upstream, "plugin_unavailable", "the plugin's host cannot run it")
	}
	p := &pluginv1.Problem{Kind: string(e.Kind), Code: e.Code, Message: e.Message, Fix: e.Fix}
	if e.Cause != nil {
		p.Cause = e.Cause.Error()
	}
	return p
}

// step is one command of a run.
type step struct {
	Name string
	Argv []string
}

// run receives the input of a run, runs the steps on a copy of it, and returns
// what the last of them put out. An exitError says how a command failed.
func (h *hosting) run(ctx context.Context, recv func() (*pluginv1.Input, error), outputLimit int64, steps ...step) (out []byte, err error) {
	slot, err := h.slots.take(ctx)
	if err != nil {
		return nil, err
	}
	defer h.slots.giveBack(slot)

	// Runs that do not meet have the same paths, for the sake of tools that write
	// them into what they put out.
	dir := filepath.Join(h.work, fmt.Sprintf("run-%d", slot))
	if err := errors.Join(removeAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return nil, noCopy(err)
	}
	defer func() {
		if e := removeAll(dir); e != nil {
			h.log.Warn("the copy of a run cannot be removed", "error", e)
		}
	}()
	src := filepath.Join(dir, "src")
	for _, d := range []string{src, filepath.Join(dir, "home"), filepath.Join(dir, "tmp")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, noCopy(err)
		}
	}
	in := &input{recv: recv}
	header, err := in.header()
	if err != nil {
		return nil, err
	}
	env, secret, err := h.environment(header, dir)
	if err != nil {
		return nil, err
	}
	if err := extract(in, src, h.opts.Limits, h.definition.Spec.PreserveFileMode); err != nil {
		return nil, err
	}
	if err := in.finish(); err != nil {
		return nil, err
	}
	at := filepath.Join(src, filepath.FromSlash(header.GetDir()))
	if info, err := os.Stat(at); err != nil || !info.IsDir() {
		return nil, fault.New(fault.Unprocessable, "plugin_failed", "plugin %q: %s has no files", h.about.GetName(), place(header.GetDir()))
	}
	user := h.mode.userOf(slot)
	if user != 0 {
		if err := giveTo(dir, user); err != nil {
			return nil, noCopy(err)
		}
	}
	began := time.Now()
	res, err := h.execute(ctx, task{Steps: steps, Env: env, Dir: at, Own: dir, User: user}, outputLimit)
	if err != nil {
		return nil, err
	}
	stderr := redact(clipLines(res.stderr, maxProblem-512), secret)
	h.log.Debug("run", "steps", len(steps), "took", time.Since(began), "output", len(res.out), "exit", res.exit.Exit, "stopped", res.stopped)
	if res.stopped != nil {
		return nil, withStderr(res.stopped, stderr)
	}
	if res.exit.failed() {
		e := res.exit
		e.message = h.explain(e, stderr)
		return nil, &e
	}
	return res.out, nil
}

func noCopy(err error) error {
	return fault.Wrap(err, fault.Upstream, "plugin_unavailable", "the plugin's host cannot make a copy of the source")
}

// fromHub are the variables that the hub may set.
var fromHub = []string{"ARGOCD_", "PARAM_", "KUBE_"}

// environment is all that the commands of one run have in theirs, and the values
// that stay out of messages.
func (h *hosting) environment(header *pluginv1.Header, dir string) (env, secret []string, err error) {
	env = append(slices.Clone(h.env), "HOME="+filepath.Join(dir, "home"), "TMPDIR="+filepath.Join(dir, "tmp"))
	for name, value := range header.GetEnv() {
		allowed := slices.ContainsFunc(fromHub, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if !allowed || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return nil, nil, fault.New(fault.Unprocessable, "plugin_failed", "plugin %q: the environment variable %q cannot be set", h.about.GetName(), clip(name, 60))
		}
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	secret = slices.Clone(h.secret)
	for _, name := range header.GetSecret() {
		secret = append(secret, header.GetEnv()[name])
	}
	return env, secret, nil
}

// exitError is how a command ended when it did not end well.
type exitError struct {
	Step    string
	Started bool
	Why     string // when it did not start
	Exit    int
	Signal  int
	After   time.Duration
	message string
}

func (e *exitError) Error() string { return e.message }

func (e *exitError) failed() bool { return !e.Started || e.Exit != 0 || e.Signal != 0 }

// explain tells how a command failed.
func (h *hosting) explain(e exitError, stderr string) string {
	where := ""
	if e.Step != "generate" {
		where = " in " + e.Step
	}
	what := fmt.Sprintf("exited %d", e.Exit)
	switch {
	case !e.Started:
		return fmt.Sprintf("plugin %q cannot run its command%s: %s", h.about.GetName(), where, clip(e.Why, 300))
	case e.Signal != 0:
		what = signalled(e.Signal, h.opts.Limits)
	}
	what = fmt.Sprintf("plugin %q %s after %s%s", h.about.GetName(), what, seconds(e.After), where)
	if stderr == "" {
		return what + " and wrote nothing to its standard error"
	}
	return what + ": " + stderr
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// withStderr adds what a command that was stopped had written.
func withStderr(e *fault.Error, stderr string) error {
	if stderr == "" {
		return e
	}
	c := *e
	c.Message += ": " + stderr
	return &c
}

// task is what a runner is to run.
type task struct {
	Steps []step
	Env   []string
	Dir   string // of the commands
	Own   string // the run's own directory, the only one that they may write to
	User  int    // to run as; 0 is that of the host
}

// result of a task. stopped is set when the host ended it.
type result struct {
	out     []byte
	stderr  string
	exit    exitError
	stopped *fault.Error
}

// removeAll removes a directory, also where its directories forbid it.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if e != nil && e.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return nil
	})
	return errors.Join(os.RemoveAll(dir), ignoreMissing(err))
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// giveTo makes a user own a directory and all in it. No command runs in it yet.
func giveTo(dir string, user int) error {
	return filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, user, user)
	})
}
