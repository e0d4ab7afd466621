package command

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Streams are where a command reads and writes, and what is there besides.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal reports whether a person is there to answer questions.
	Terminal bool
	// OutTerminal reports whether standard output is a terminal, Width how many
	// columns it has.
	OutTerminal bool
	Width       int
	// Program is the name that it was called by; "" is hawser.
	Program string
	// Secrets keeps tokens out of the configuration file; nil when there is no
	// such place.
	Secrets config.Secrets
	// Background starts this program again with other arguments and does not wait
	// for it; nil when that cannot be done.
	Background func(args ...string)
	// Browse shows a page to a person; nil when that cannot be done.
	Browse func(url string) error
}

// session is what all commands of one invocation share.
type session struct {
	Streams
	context string // name of the chosen context, "" for the current one
	host    string // value of --hub, "" for the context's
	output  string // value of -o
	timeout time.Duration
	now     func() time.Time

	fields    string // value of --json, when it is given
	jq        string
	template  string
	noHeaders bool
	noInput   bool
	yes       bool
	quiet     bool
	debug     string // "", "on" or "http"
	color     string
	progress  string
	watch     bool
	web       bool
	lists     listFlags

	kept      bool   // the token is that of the context, which keeps a new one
	inherited string // the token of HAWSER_TOKEN_FD, once it was read

	root    *cobra.Command
	running *cobra.Command  // nil before the command is known
	printer *output.Printer // of the command that runs
	seen    *seen           // what -w has printed so far
	// manyTypes is set while one line is about things of several types.
	manyTypes bool

	collect *collected           // what is held back of several things; nil for one
	later   *[]func(*call) error // what is done when all of several things are asked for; nil for one

	// tables print things as the list of their noun does, by its path.
	tables map[string]func(*call, []any) error
}

// Main runs the command line and returns its exit status.
func Main(ctx context.Context, args []string, s Streams) int {
	sess := &session{Streams: s, now: time.Now}
	sess.Program, args = calledAs(s.Program, args)
	root := newRoot(sess)
	ran, err := sess.runPlugin(ctx, root, args)
	if !ran {
		err = sess.executeWith(ctx, root, args)
	}
	return sess.report(ctx, err)
}

// execute runs one command line.
func (s *session) execute(ctx context.Context, args []string) error {
	return s.executeWith(ctx, newRoot(s), args)
}

func (s *session) executeWith(ctx context.Context, root *cobra.Command, args []string) error {
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		s.completes(root, "")
	}
	if len(args) > 0 && args[0] == "--version" { // what people try first
		args = append([]string{"version", "--client"}, args[1:]...)
	}
	root.SetArgs(bareFields(args))
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	return root.ExecuteContext(ctx)
}

func newRoot(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:           "hawser",
		Short:         "The fleet command line of Hawser",
		Long:          "hawser speaks to a Hawser hub: clusters, projects, repositories and applications.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          groupRun,
	}
	if s.plugin() {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: s.Program}
	}
	root.SuggestionsMinimumDistance = 2
	s.globalFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newLogin(s),
		newLogout(s),
		newWhoami(s),
		newAuth(s),
		newContext(s),
		newVersion(s),
		newOpen(s),
		newDoctor(s),

		newApp(s),
		newAppset(s),
		newOperation(s),
		newJob(s),
		newView(s),
		newApply(s),

		newFleet(s),
		newCluster(s),
		newProject(s),
		newRepo(s),
		newRepocreds(s),

		newHub(s),
		newToken(s),
		newAccount(s),
		newAudit(s),
		newSettings(s),
		newGPG(s),

		newImport(s),
		newExport(s),

		newPlugin(s),
		newMan(s),
		newRefreshNames(s),
		newExplainError(s),
		newKubeCredential(s),
	)
	takesSeveral(root)
	root.SetHelpCommand(newHelp(root))
	s.root = root
	s.readFlags(root)
	root.AddCommand(newTopVerbs(s, root)...)
	arrange(root)
	return root
}

// groupRun prints help for a bare noun and an error with the nearest command for
// an unknown verb.
func groupRun(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	e := fault.New(fault.Invalid, "usage", "unknown command %q for %q", args[0], c.CommandPath())
	if near := nearestCommand(c, args[0]); near != "" {
		return e.WithFix("did you mean %q?", c.CommandPath()+" "+near)
	}
	return e.WithFix("see %s --help", c.CommandPath())
}

func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: groupRun}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(commands...)
	return c
}

// exactArgs is cobra.ExactArgs with an error that says what is missing.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(names) == 0 {
			return fault.New(fault.Invalid, "usage", "%s takes no arguments, got %d", c.CommandPath(), len(args)).WithFix("see %s --help", c.CommandPath())
		}
		return fault.New(fault.Invalid, "usage", "%s takes %s (%s), got %d",
			c.CommandPath(), output.Count(len(names), "argument", "arguments"), strings.Join(names, " "), len(args)).WithFix("see %s --help", c.CommandPath())
	}
}

// client connects as the chosen context.
func (s *session) client() (*client.Client, error) {
	hub, err := s.hub()
	if err != nil {
		return nil, err
	}
	api, err := client.New(hub)
	if err != nil {
		return nil, err
	}
	if s.debug != "" {
		api.Trace(s.Err, s.debug == "http")
	}
	if s.kept && s.attended() {
		api.Renew(func(ctx context.Context) (string, error) { return s.confirmAgain(ctx, api) })
	}
	return api, nil
}

func (s *session) hub() (client.Hub, error) {
	file, err := loadConfig()
	if err != nil {
		return client.Hub{}, err
	}
	ctx, ok := file.Context(s.context)
	if !ok && s.context != "" && s.plugin() {
		if ctx, ok, err = s.contextOfKubectl(file); err != nil {
			return client.Hub{}, err
		}
		s.context = ""
	}
	hub := client.Hub{URL: ctx.URL, CAHash: ctx.CAHash}
	own := true // the context's token is for this hub
	v := s.host
	if v == "" {
		v = os.Getenv("HAWSER_HUB")
	}
	if v != "" {
		if hubURL(v) != ctx.URL {
			hub, own = client.Hub{}, false // one hub's token is never shown to another
		}
		hub.URL, ok = hubURL(v), true
	}
	if v := os.Getenv("HAWSER_CA_HASH"); v != "" {
		hub.CAHash = v
	}
	switch token, err := s.tokenOfEnvironment(); {
	case err != nil:
		return hub, err
	case token != "":
		hub.Token, own = token, false
	}
	if !ok {
		if s.context != "" {
			return hub, contextUnknown(file, s.context)
		}
		return hub, fault.New(fault.Unauthorized, "not_logged_in", "no hub is configured").WithFix("%s login HOST:PORT", s.Program)
	}
	s.kept = own
	if own {
		if hub.Token, err = s.tokenOf(file, ctx); err != nil {
			return hub, err
		}
	}
	return hub, nil
}

// tokenOf reads a context's token. One that an earlier release left in the file
// moves to the keyring, if there is one that takes it.
func (s *session) tokenOf(file config.File, ctx config.Context) (string, error) {
	token, err := ctx.Reveal(s.Secrets)
	if err != nil {
		return "", fault.As(err).WithFix("%s", s.loginCommand(ctx))
	}
	if ctx.Migrates(s.Secrets) {
		_, _ = ctx.Keep(s.Secrets, token) // where it cannot be kept it stays in the file, marked
		file.Put(ctx)
		_ = file.Save() // the token works all the same; the next command tries again
	}
	return token, nil
}

// tokenOfEnvironment is HAWSER_TOKEN, or what can be read from the file
// descriptor HAWSER_TOKEN_FD, as plugins are given it.
func (s *session) tokenOfEnvironment() (string, error) {
	if v := os.Getenv("HAWSER_TOKEN"); v != "" {
		return v, nil
	}
	v := os.Getenv("HAWSER_TOKEN_FD")
	if v == "" {
		return "", nil
	}
	fd, err := strconv.ParseUint(v, 10, 16)
	if err != nil || fd < 3 {
		return "", fault.New(fault.Invalid, "token_fd_invalid", "HAWSER_TOKEN_FD %q is not a file descriptor", v)
	}
	if s.inherited == "" { // it can be read once
		f := os.NewFile(uintptr(fd), "HAWSER_TOKEN_FD")
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, 4096))
		if err != nil {
			return "", fault.Wrap(err, fault.Invalid, "token_fd_invalid", "HAWSER_TOKEN_FD %s cannot be read", v)
		}
		s.inherited = strings.TrimSpace(string(b))
	}
	return s.inherited, nil
}

func hubURL(s string) string {
	if strings.Contains(s, "://") {
		return strings.TrimSuffix(s, "/")
	}
	return "https://" + s
}

// limit derives the command's context from --timeout or its own default; 0
// means no limit.
func (s *session) limit(ctx context.Context, def time.Duration) (context.Context, context.CancelFunc) {
	d := s.timeout
	if d == 0 {
		d = def
	}
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
