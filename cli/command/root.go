package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal reports whether a person is there to answer questions.
	Terminal bool
}

// session is what all commands of one invocation share.
type session struct {
	Streams
	context string // name of the chosen context, "" for the current one
	output  string // value of -o
	timeout time.Duration
	now     func() time.Time
}

// Main runs the command line and returns its exit status.
func Main(ctx context.Context, args []string, s Streams) int {
	sess := &session{Streams: s, now: time.Now}
	root := newRoot(sess)
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err := root.ExecuteContext(ctx)
	return sess.report(ctx, err)
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
	root.CompletionOptions.HiddenDefaultCmd = true
	f := root.PersistentFlags()
	f.StringVar(&s.context, "context", os.Getenv("HAWSER_CONTEXT"), "hub to use, by the name of its context")
	f.StringVarP(&s.output, "output", "o", "", "json, yaml, wide or name")
	f.DurationVar(&s.timeout, "timeout", 0, "give up after this long (0: the command's own limit)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.New(fault.Invalid, "usage", "%s", err).WithFix("see %s --help", c.CommandPath())
	})
	root.AddCommand(
		newLogin(s), newWhoami(s), newContext(s), newVersion(s),
		newCluster(s), newProject(s), newRepo(s), newRepocreds(s), newApp(s), newAppset(s), newOperation(s), newHub(s), newSettings(s),
		newApply(s),
	)
	root.SetHelpCommand(newHelp(root))
	return root
}

// groupRun prints help for a bare noun and an error with the nearest command for
// an unknown verb.
func groupRun(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	e := fault.New(fault.Invalid, "usage", "unknown command %q for %q", args[0], c.CommandPath())
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return e.WithFix("did you mean %q?", c.CommandPath()+" "+near[0])
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
		return fault.New(fault.Invalid, "usage", "%s takes %d argument(s) (%s), got %d",
			c.CommandPath(), len(names), strings.Join(names, " "), len(args)).WithFix("see %s --help", c.CommandPath())
	}
}

// client connects as the chosen context.
func (s *session) client() (*client.Client, error) {
	hub, err := s.hub()
	if err != nil {
		return nil, err
	}
	return client.New(hub)
}

func (s *session) hub() (client.Hub, error) {
	file, err := loadConfig()
	if err != nil {
		return client.Hub{}, err
	}
	ctx, ok := file.Context(s.context)
	hub := client.Hub{URL: ctx.URL, CAHash: ctx.CAHash, Token: ctx.Token}
	if v := os.Getenv("HAWSER_HUB"); v != "" {
		if hubURL(v) != ctx.URL {
			hub = client.Hub{} // one hub's token is never shown to another
		}
		hub.URL, ok = hubURL(v), true
	}
	if v := os.Getenv("HAWSER_CA_HASH"); v != "" {
		hub.CAHash = v
	}
	if v := os.Getenv("HAWSER_TOKEN"); v != "" {
		hub.Token = v
	}
	if !ok {
		if s.context != "" {
			return hub, contextUnknown(s.context)
		}
		return hub, fault.New(fault.Unauthorized, "not_logged_in", "no hub is configured").WithFix("hawser login HOST:PORT")
	}
	return hub, nil
}

func hubURL(s string) string {
	if strings.Contains(s, "://") {
		return strings.TrimSuffix(s, "/")
	}
	return "https://" + s
}

// note writes to standard error for people; nothing with -o json or yaml.
func (s *session) note(format string, args ...any) {
	if s.output == string(output.JSON) || s.output == string(output.YAML) {
		return
	}
	fmt.Fprintln(s.Err, output.Clean(fmt.Sprintf(format, args...)))
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
