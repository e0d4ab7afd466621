package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/hub/plugin"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// PluginHostCommand is the command with which the hub starts hosts of plugins.
const PluginHostCommand = "plugin-host"

// pluginOptions are those of the plugins that the configuration names. self is
// the hub's binary.
func (c Config) pluginOptions(self string, log *slog.Logger) plugin.Options {
	return plugin.Options{
		Sockets: c.PluginSockets, Files: c.Plugins,
		Command: []string{self, PluginHostCommand},
		Dir:     filepath.Join(c.Data, "plugins"), Hide: []string{c.Data},
		Log: log,
	}
}

// PluginHost is the command plugin-host.
type PluginHost struct {
	Config, Socket, Work, Image string
	Env, Hide, Writable         []string
	Group                       bool
	Parallel                    int
	Time                        time.Duration
	MemoryMiB, OutputMiB        int64
	Processes                   int
	// Check asks a running host, and Install copies the program; then no host is
	// run.
	Check   bool
	Install string
	// WithParent ends the host with its standard input.
	WithParent bool
	// Runner makes the process one that a host starts.
	Runner              bool
	LogFormat, LogLevel string
}

// Flags registers the options.
func (o *PluginHost) Flags(f *pflag.FlagSet) {
	f.StringVar(&o.Config, "config", "plugin.yaml", "file of the ConfigManagementPlugin")
	f.StringVar(&o.Socket, "socket", "", "Unix socket that the hub connects to, NAME.sock in the directory of its --plugin-sockets")
	f.BoolVar(&o.Group, "socket-group", false, "let the socket's group connect too (mode 0660 and not 0600)")
	f.StringArrayVar(&o.Env, "env", nil, "variable for the plugin's commands, NAME=VALUE or NAME to pass on this process's own; may be repeated")
	f.StringVar(&o.Work, "work", "", "directory for the copies that commands work on (default: TMPDIR)")
	f.StringArrayVar(&o.Writable, "writable", nil, "directory outside of its copy that a command may write to, such as /tmp; may be repeated")
	f.StringArrayVar(&o.Hide, "hide", nil, "directory that commands must not read, where the kernel can hide it; may be repeated")
	f.StringVar(&o.Image, "image", env("HAWSER_PLUGIN_IMAGE", ""), "image that this runs in, which makes its tools part of a render's identity")
	f.IntVar(&o.Parallel, "parallel", 0, "runs at a time (default: two per core)")
	f.DurationVar(&o.Time, "time", 90*time.Second, "how long one run may take")
	f.Int64Var(&o.MemoryMiB, "memory-mib", 1024, "memory of one run, in MiB")
	f.Int64Var(&o.OutputMiB, "output-mib", 32, "manifests that one run may put out, in MiB; the hub takes 32 at most")
	f.IntVar(&o.Processes, "processes", 512, "processes and threads of one run")
	f.BoolVar(&o.Check, "check", false, "ask the host at --socket whether it is ready, and exit")
	f.StringVar(&o.Install, "install", "", "copy this program to a file, for the container of a plugin, and exit")
	f.StringVar(&o.LogFormat, "log-format", env("HAWSER_LOG_FORMAT", "text"), "text or json")
	f.StringVar(&o.LogLevel, "log-level", env("HAWSER_LOG_LEVEL", "info"), "debug, info, warn or error")
	f.BoolVar(&o.WithParent, "with-parent", false, "end with standard input")
	f.BoolVar(&o.Runner, "runner", false, "run the commands of one run")
	for _, name := range []string{"with-parent", "runner"} {
		f.Lookup(name).Hidden = true
	}
}

// Run runs the host until ctx ends.
func (o *PluginHost) Run(ctx context.Context, args []string, in io.Reader, out, diagnostics io.Writer) error {
	if o.Runner {
		return plugin.RunnerMain(args)
	}
	if len(args) > 0 {
		return fault.New(fault.Invalid, "argument_unknown", "plugin-host has no argument %q", args[0])
	}
	if o.Install != "" {
		return install(o.Install)
	}
	if o.Check {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		name, err := plugin.Check(ctx, o.Socket)
		if err == nil {
			_, err = fmt.Fprintln(out, name)
		}
		return err
	}
	log, err := telemetry.NewLogger(diagnostics, telemetry.Options{Format: o.LogFormat, Level: o.LogLevel})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		self = "/proc/self/exe" // which is the same program after an update, too
	}
	options := plugin.HostOptions{
		Config: o.Config, Socket: o.Socket, GroupAccess: o.Group, Env: o.Env, Hide: o.Hide, Writable: o.Writable,
		Work: o.Work, Image: o.Image, Parallel: o.Parallel,
		Limits: plugin.Limits{Time: o.Time, Memory: o.MemoryMiB << 20, OutputBytes: o.OutputMiB << 20, Processes: o.Processes},
		Runner: []string{self, PluginHostCommand, "--runner"}, Ready: out, Log: log,
	}
	if o.WithParent {
		options.Parent = in
	}
	return plugin.Serve(ctx, options)
}

// install copies the running program to a file, in one step for whoever starts
// it there.
func install(target string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read
	to, err := os.CreateTemp(filepath.Dir(target), ".hawser-hub-")
	if err != nil {
		return fault.New(fault.Invalid, "file_unwritable", "%s", err)
	}
	_, err = io.Copy(to, from)
	if e := to.Chmod(0o755); err == nil {
		err = e
	}
	if e := to.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(to.Name(), target)
	}
	if err != nil {
		_ = os.Remove(to.Name()) // the first error matters
	}
	return err
}
