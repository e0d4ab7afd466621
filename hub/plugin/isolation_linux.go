package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hawser-dev/hawser/shared/fault"
)

// isolation is what of the kernel a host uses to keep runs apart from itself and
// from each other. It is found by trying, the strongest first, because what is
// permitted depends on the kernel, the container and its seccomp filter.
type isolation struct {
	// pidSpace: a run has a PID namespace, whose end the kernel makes the end of
	// all in it.
	pidSpace bool
	// userSpace: a run has a user namespace, which makes that possible without
	// being root, counts its processes apart, and keeps it from looking into
	// processes of the same user.
	userSpace bool
	// user is the first of the users that runs have, one for each slot; 0: they
	// run as the host's own.
	user int
	// files: Landlock keeps runs from writing outside of their copy, from what is
	// hidden, and from other processes.
	files bool
}

func (i isolation) String() string {
	var have []string
	for _, p := range []struct {
		on   bool
		name string
	}{{i.user != 0, "own users"}, {i.userSpace, "user namespaces"}, {i.pidSpace, "process namespaces"}, {i.files, "Landlock"}} {
		if p.on {
			have = append(have, p.name)
		}
	}
	if len(have) == 0 {
		return "none"
	}
	return strings.Join(have, ", ")
}

func (i isolation) userOf(slot int) int {
	if i.user == 0 {
		return 0
	}
	return i.user + slot
}

// firstUser is the first of the users that nobody else has, as far as one can
// tell: above those that systemd and container engines give away. Each socket has
// its own 64.
const firstUser = 0x70000000

// smallFirstUser is for containers that have few users.
const smallFirstUser = 64100

// probeTime is long: a machine that is busy must not pass for one that cannot.
const probeTime = time.Minute

// isolate finds the strongest isolation that works here.
func isolate(opts HostOptions, work string) (isolation, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return isolation{}, fault.Wrap(err, fault.Unavailable, "plugin_unavailable", "the plugin host cannot take care of what commands leave behind")
	}
	candidates := []isolation{{pidSpace: true, userSpace: true}, {}}
	if os.Geteuid() == 0 {
		sum := sha256.Sum256([]byte(opts.Socket))
		user := firstUser + int(binary.BigEndian.Uint16(sum[:2]))*64
		if opts.Parallel > 64 {
			user = firstUser
		}
		candidates = []isolation{
			{pidSpace: true, user: user}, {user: user}, {pidSpace: true, user: smallFirstUser}, {user: smallFirstUser}, {pidSpace: true}, {},
		}
	}
	if landlockVersion() > 0 {
		var with []isolation
		for _, c := range candidates {
			without := c
			c.files = true
			with = append(with, c, without)
		}
		candidates = with
	}
	if opts.only != nil {
		candidates = opts.only
	}
	var failures []error
	for _, c := range candidates {
		err := probe(opts, c, work)
		if err == nil {
			if len(failures) > 0 {
				opts.Log.Info("a stronger isolation of the plugin's commands is not possible here", "error", errors.Join(failures...))
			}
			c.warn(opts)
			return c, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", c, err))
		if errors.Is(err, errProbeTime) {
			break // and not on to a weaker one
		}
	}
	return isolation{}, fault.Wrap(errors.Join(failures...), fault.Unavailable, "plugin_unavailable", "the plugin host cannot run anything")
}

var errProbeTime = errors.New("trying it took too long")

// probe runs a command that does nothing.
func probe(opts HostOptions, mode isolation, work string) error {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	dir, err := os.MkdirTemp(work, "probe-")
	if err != nil {
		return err
	}
	defer func() { _ = removeAll(dir) }() // the work directory goes with it in the end
	if mode.user != 0 {
		if err := errors.Join(os.Chmod(work, 0o711), os.Chown(dir, mode.user, mode.user)); err != nil {
			return err
		}
	}
	opts.Limits.Time = 2 * probeTime // ctx ends before
	h := &hosting{opts: opts, mode: mode, work: work, running: newRunners(), log: opts.Log}
	res, err := h.execute(ctx, task{
		Steps: []step{{Name: "probe", Argv: []string{probeCommand}}}, Dir: dir, Own: dir, User: mode.userOf(0),
	}, smallOutput)
	switch {
	case ctx.Err() != nil:
		return errProbeTime
	case err != nil:
		return err
	case res.stopped != nil:
		return res.stopped
	case res.exit.failed():
		return errors.New(res.exit.Why + " " + res.stderr)
	}
	return nil
}

// warn says what commands could do that they should not.
func (i isolation) warn(opts HostOptions) {
	own := i.user != 0 || i.userSpace
	if !i.files && len(opts.Hide) > 0 && i.user == 0 {
		opts.Log.Warn("the kernel has no Landlock: the plugin's commands can read all files that this user can; run the plugin as a sidecar")
	}
	if !own && !i.files {
		opts.Log.Warn("the plugin's commands run as the host itself and can reach its process; run the plugin as a sidecar with a user that is not root")
	}
}

// realPaths resolves links, as Landlock sees files. What is not there needs not
// be hidden.
func realPaths(paths []string) []string {
	var out []string
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			continue
		}
		if real, err := filepath.EvalSymlinks(abs); err == nil {
			out = append(out, real)
		}
	}
	return out
}
