package argocd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Exit statuses, Argo CD's: 20 is every error, and 1 is a difference.
const (
	ExitDiff  = 1
	ExitError = 20
)

// invocation is one command that runs.
type invocation struct {
	command.Streams
	ctx   context.Context
	cmd   Command
	args  []string
	flags *pflag.FlagSet
	api   *client.Client
	// selected are the applications that a selection means; nil: there is none.
	selected []string
}

func (i *invocation) str(name string) string {
	v, _ := i.flags.GetString(name) // "" where the flag is none of the command's
	return v
}

func (i *invocation) yes(name string) bool {
	v, _ := i.flags.GetBool(name)
	return v
}

func (i *invocation) all(name string) []string {
	v, err := i.flags.GetStringArray(name)
	if err != nil {
		v, _ = i.flags.GetStringSlice(name)
	}
	return v
}

// ended carries an exit status that was reported already.
type ended int

func (e ended) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Main runs one command line of Argo CD and returns its exit status. ARGOCD_OPTS is
// put before the arguments.
func Main(ctx context.Context, args []string, s command.Streams) int {
	args = append(strings.Fields(os.Getenv("ARGOCD_OPTS")), args...)
	root := tree(ctx, s)
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err := root.ExecuteContext(ctx)
	var done ended
	switch {
	case err == nil:
		return 0
	case errors.As(err, &done):
		return int(done)
	}
	e := fault.As(err)
	text := e.Message
	if e.Kind == fault.Internal && e.Code == "internal" {
		text = err.Error()
	}
	fmt.Fprintf(s.Err, "FATA[0000] %s\n", output.Clean(text))
	if e.Fix != "" {
		fmt.Fprintf(s.Err, "  fix: %s\n", output.Clean(e.Fix))
	}
	return ExitError
}

// tree is the commands as cobra wants them.
func tree(ctx context.Context, s command.Streams) *cobra.Command {
	root := &cobra.Command{Use: "argocd", Short: "Argo CD's commands, over a Hawser hub", SilenceUsage: true, SilenceErrors: true}
	root.CompletionOptions.HiddenDefaultCmd = true
	group(root)
	for _, c := range Commands() {
		words := strings.Fields(c.Path)
		parent := root
		for _, w := range words[:len(words)-1] {
			i := slices.IndexFunc(parent.Commands(), func(x *cobra.Command) bool { return x.Name() == w })
			if i < 0 {
				sub := &cobra.Command{Use: w, Short: "Manage " + w}
				group(sub)
				parent.AddCommand(sub)
				i = slices.IndexFunc(parent.Commands(), func(x *cobra.Command) bool { return x.Name() == w })
			}
			parent = parent.Commands()[i]
		}
		most := c.most
		if most < 0 {
			most = 1 << 20
		}
		leaf := &cobra.Command{
			Use: strings.TrimSpace(words[len(words)-1] + " " + c.Usage), Short: c.Short, Args: cobra.RangeArgs(c.least, most),
			RunE: func(cmd *cobra.Command, args []string) error { return start(ctx, s, c, cmd.Flags(), args) },
		}
		register(leaf.Flags(), c.Flags)
		parent.AddCommand(leaf)
	}
	register(root.PersistentFlags(), Globals)
	return root
}

func register(to *pflag.FlagSet, list []Flag) {
	for _, f := range list {
		usage := "the same as Argo CD's"
		switch {
		case f.Ignored != "":
			usage = "accepted, has no effect: " + f.Ignored
		case f.Unsupported != "":
			usage = "not supported: " + f.Unsupported
		}
		switch f.kind {
		case boolean:
			to.BoolP(f.Name, f.Short, f.def == "true", usage)
		case many:
			to.StringArrayP(f.Name, f.Short, nil, usage)
		case commas:
			to.StringSliceP(f.Name, f.Short, nil, usage)
		default:
			to.StringP(f.Name, f.Short, f.def, usage)
		}
	}
}

// start checks the flags, connects and runs.
func start(ctx context.Context, s command.Streams, c Command, f *pflag.FlagSet, args []string) error {
	if c.Unsupported != "" {
		return fault.New(fault.Unprocessable, "command_unsupported", "argocd %s is not supported here", c.Path).WithFix("%s", c.Unsupported)
	}
	for _, x := range slices.Concat(c.Flags, Globals) {
		if !f.Changed(x.Name) {
			continue
		}
		if x.Unsupported != "" {
			return fault.New(fault.Unprocessable, "flag_unsupported", "--%s is not supported here", x.Name).WithFix("%s", x.Unsupported)
		}
		if x.Ignored != "" {
			fmt.Fprintf(s.Err, "WARN[0000] --%s has no effect: %s\n", x.Name, x.Ignored)
		}
	}
	i := &invocation{Streams: s, ctx: ctx, cmd: c, args: args, flags: f}
	if token := firstOf(i.str("auth-token"), os.Getenv("ARGOCD_AUTH_TOKEN")); token != "" {
		if err := os.Setenv("HAWSER_TOKEN", token); err != nil { // where hawser's own commands look for it
			return err
		}
	}
	var err error
	if c.To == "" || c.after != nil {
		if i.api, err = i.connect(); err != nil && c.Path != "login" && c.Path != "context" && c.Path != "version" {
			return err
		}
	}
	if c.To == "" {
		return c.run(i)
	}
	if !c.each {
		return i.delegate(i.hub())
	}
	for _, a := range args {
		i.args = []string{a}
		if err := i.delegate(i.hub()); err != nil {
			return err
		}
	}
	return nil
}

// connect makes a client of the hub that is meant.
func (i *invocation) connect() (*client.Client, error) {
	contextName, server := i.hub()
	return command.Connect(i.Streams, contextName, server)
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// hub is the context or the address of the hub that is meant. An address that a
// context has is that context, whose token and pin go with it.
func (i *invocation) hub() (contextName, server string) {
	contextName = i.str("argocd-context")
	server = firstOf(i.str("server"), os.Getenv("ARGOCD_SERVER"))
	file, err := config.Load()
	if err != nil || server == "" {
		return contextName, server
	}
	for _, c := range file.Contexts {
		if strings.TrimPrefix(c.URL, "https://") == strings.TrimSuffix(strings.TrimPrefix(server, "https://"), "/") {
			return c.Name, ""
		}
	}
	return contextName, server
}

// hawser runs one of hawser's commands.
func (i *invocation) hawser(s command.Streams, argv ...string) error {
	code := command.Main(i.ctx, argv, s)
	switch {
	case code == 0:
		return nil
	case code == command.ExitInterrupted:
		return ended(code)
	case i.cmd.Path == "app diff" && (code == command.ExitNegative || code != 0 && i.str("diff-exit-code") == fmt.Sprint(code)):
		return ended(code)
	}
	return ended(ExitError)
}

// delegate runs the command of hawser with the flags translated.
func (i *invocation) delegate(contextName, server string) error {
	argv := strings.Fields(i.cmd.To)
	if contextName != "" {
		argv = append(argv, "--context="+contextName)
	}
	if server != "" {
		argv = append(argv, "--hub="+server)
	}
	s := i.Streams
	for _, f := range i.cmd.Flags {
		if f.own || f.Ignored != "" || !i.flags.Changed(f.Name) && f.def == "" {
			continue
		}
		name := "--" + firstOf(f.To, f.Name)
		switch f.kind {
		case boolean:
			argv = append(argv, fmt.Sprintf("%s=%v", name, i.yes(f.Name)))
		case many:
			for _, v := range i.all(f.Name) {
				argv = append(argv, name+"="+v)
			}
		case seconds:
			v := i.str(f.Name)
			if v != "0" {
				argv = append(argv, name+"="+strings.TrimSuffix(v, "s")+"s")
			}
		default:
			v := i.str(f.Name)
			if f.Name == "filter" {
				v = quoteMeta(v)
			}
			if f.Name == "tail" && v == "0" {
				continue // Argo CD's word for all
			}
			argv = append(argv, name+"="+v)
		}
	}
	if i.flags.Lookup("password") != nil && i.flags.Changed("password") {
		argv = append(argv, "--password-stdin") // never on a command line of ours
		s.In = strings.NewReader(i.str("password") + "\n")
	}
	if name := i.str("name"); i.cmd.Path == "app create" && name != "" && len(i.args) == 0 {
		i.args = []string{name}
	}
	for _, a := range i.args {
		argv = append(argv, a[strings.LastIndexByte(a, '/')+1:]) // "argocd/web" is web
	}
	if i.cmd.after == nil {
		if !strings.HasPrefix(i.cmd.Path, "app") {
			argv = append(argv[:len(argv)-len(i.args)], i.args...) // a URL is no name
		}
		return i.hawser(s, argv...)
	}
	if err := i.selects(); err != nil {
		return err
	}
	if i.selected != nil && i.cmd.Path == "app sync" && !i.yes("preview-changes") {
		argv = append(argv, "--yes") // Argo CD asks only after a preview
	}
	var said bytes.Buffer // of what hawser would print the application is shown instead
	s.Out, s.OutTerminal = &said, false
	if err := i.hawser(s, argv...); err != nil {
		_, _ = i.Err.Write(said.Bytes())
		return err
	}
	return i.cmd.after(i)
}

// quoteMeta makes a text match itself: Argo CD's filter is no expression.
func quoteMeta(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
