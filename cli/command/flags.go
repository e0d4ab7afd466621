package command

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// globalFlags are those of every command.
func (s *session) globalFlags(f *pflag.FlagSet) {
	f.StringVar(&s.context, "context", os.Getenv("HAWSER_CONTEXT"), "hub to use, by the name of its context")
	f.Lookup("context").DefValue = "" // help says the same everywhere
	f.StringVar(&s.host, "hub", "", "hub to use, by its address HOST:PORT")
	f.StringVar(&s.host, "host", "", "the same as --hub")
	f.StringVarP(&s.output, "output", "o", "", "how to print: "+strings.Join(output.Formats, ", "))
	f.StringVar(&s.fields, "json", "", "print these fields as JSON, with commas between them; without any: which there are")
	f.StringVar(&s.jq, "jq", "", "print what this jq expression makes of the JSON")
	f.StringVar(&s.template, "template", "", "print what this Go template makes of the JSON")
	f.BoolVar(&s.noHeaders, "no-headers", false, "tables without their first line")
	f.DurationVar(&s.timeout, "timeout", 0, "give up after this long (0: the command's own limit)")
	f.BoolVarP(&s.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&s.noInput, "no-input", false, "ask nothing; fail where a question would be asked")
	f.StringVar(&s.color, "color", "auto", "auto, always or never")
	f.StringVar(&s.progress, "progress", "auto", "what is said on standard error: auto, plain, json or none")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "say nothing but errors on standard error")
	f.StringVarP(&s.debug, "debug", "v", "", "say on standard error what the hub is asked; http adds headers (never tokens)")
	f.Lookup("debug").NoOptDefVal = "on"
	// kubectl's hands type these; everything here is about the whole fleet.
	f.BoolP("all-namespaces", "A", false, "accepted, changes nothing")
	f.String("kubeconfig", "", "accepted, changes nothing")
	// Commands that ask offer these two themselves.
	for _, name := range []string{"host", "all-namespaces", "kubeconfig", "yes", "no-input"} {
		_ = f.MarkHidden(name) // they were registered above
	}
}

// listFlags are those of commands that list things.
type listFlags struct {
	columns, sortBy            string
	limit                      int
	project, cluster, selector string
	filter                     string
	// showLabels and labelColumns are of things that have labels.
	showLabels   bool
	labelColumns []string
}

// wantsLabels reports whether labels are among what is printed.
func (l listFlags) wantsLabels() bool { return l.showLabels || len(l.labelColumns) > 0 }

func (l *listFlags) registerLabels(f *pflag.FlagSet) {
	f.BoolVar(&l.showLabels, "show-labels", false, "all labels as the last column")
	f.StringSliceVarP(&l.labelColumns, "label-columns", "L", nil, "labels that are columns of their own, with commas between them")
}

func (l *listFlags) register(to *pflag.FlagSet, by []string) {
	f := pflag.NewFlagSet("list", pflag.ContinueOnError)
	defer to.AddFlagSet(f) // what the command has of its own stays
	f.StringVar(&l.columns, "columns", "", "which columns, with commas between them")
	f.StringVar(&l.sortBy, "sort-by", "", "column or JSONPath to sort by; a - before it turns the order round")
	f.IntVar(&l.limit, "limit", 0, "at most so many (0: all)")
	for _, name := range by {
		switch name {
		case "project":
			f.StringVarP(&l.project, "project", "p", "", "only this project")
		case "cluster":
			f.StringVarP(&l.cluster, "cluster", "c", "", "only this cluster, or those with a label as in env=prod")
		case "selector":
			f.StringVarP(&l.selector, "selector", "l", "", "only those with these labels, key=value,…")
		case "filter":
			f.StringVar(&l.filter, "filter", "", "only those that this filter finds: hawser help filters")
		}
	}
}

// readFlags adds -w and --web to the commands that read.
func (s *session) readFlags(c *cobra.Command) {
	for _, sub := range c.Commands() {
		s.readFlags(sub)
	}
	if c.HasSubCommands() || !slices.Contains(readers, c.Name()) {
		return
	}
	f := c.Flags()
	if f.Lookup("watch") == nil && !offlineCommand(c) {
		short := "w"
		if f.ShorthandLookup("w") != nil {
			short = ""
		}
		f.BoolVarP(&s.watch, "watch", short, false, "go on, and print what changes")
	}
	if f.Lookup("web") == nil && !offlineCommand(c) {
		f.BoolVar(&s.web, "web", false, "show it in the browser instead")
	}
}

// offlineKey marks commands that ask no hub.
const offlineKey = "hawser.dev/offline"

func offlineCommand(c *cobra.Command) bool {
	for ; c != nil; c = c.Parent() {
		if c.Annotations[offlineKey] != "" {
			return true
		}
	}
	return false
}

// bareFields lets --json stand without fields, which asks for their names.
func bareFields(args []string) []string {
	args = slices.Clone(args)
	for i, a := range args {
		if a == "--" {
			break
		}
		if a == "--json" && (i+1 == len(args) || strings.HasPrefix(args[i+1], "-")) {
			args[i] = "--json="
		}
	}
	return args
}

// checkFlags refuses values that no command takes.
func (s *session) checkFlags() error {
	for _, x := range []struct {
		flag, value string
		allowed     []string
	}{
		{"color", s.color, []string{"auto", "always", "never"}},
		{"progress", s.progress, []string{"auto", "plain", "json", "none"}},
		{"debug", s.debug, []string{"", "on", "http"}},
	} {
		if x.value != "" && !slices.Contains(x.allowed, x.value) {
			return fault.New(fault.Invalid, "usage", "--%s %q is not known", x.flag, x.value).WithFix("use %s", strings.Join(x.allowed, ", "))
		}
	}
	if s.lists.limit < 0 {
		return fault.New(fault.Invalid, "usage", "--limit %d is less than nothing", s.lists.limit)
	}
	return nil
}

// printerOf compiles what the flags say about the output.
func (s *session) printerOf(cmd *cobra.Command) (*output.Printer, error) {
	o := output.Options{Output: s.output, JQ: s.jq, Template: s.template, NoHeaders: s.noHeaders}
	if f := cmd.Flags().Lookup("json"); f != nil && f.Changed {
		o.Fields = []string{}
		for name := range strings.SplitSeq(s.fields, ",") {
			if name = strings.TrimSpace(name); name != "" {
				o.Fields = append(o.Fields, name)
			}
		}
	}
	if s.watch && (o.Output == string(output.JSON) || (o.Output == "" && o.Fields != nil)) {
		o.Output = string(output.NDJSON)
	}
	return output.NewPrinter(o)
}

// look is what standard output can show.
func (s *session) look() output.Look {
	terminal := s.OutTerminal && os.Getenv("TERM") != "dumb"
	look := output.Look{Colour: terminal, Icons: terminal && unicodeLocale()}
	if s.OutTerminal {
		look.Width = s.Width
	}
	switch {
	case s.color == "always":
		look.Colour = true
	case s.color == "never", os.Getenv("NO_COLOR") != "":
		look.Colour = false
	case forced(os.Getenv("CLICOLOR_FORCE")):
		look.Colour = true
	case os.Getenv("CLICOLOR") == "0":
		look.Colour = false
	}
	return look
}

func forced(v string) bool { return v != "" && v != "0" }

// unicodeLocale reports whether the terminal is told to show more than ASCII. An
// environment that says nothing, as on Windows, is taken for one that can.
func unicodeLocale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(os.Getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return true
}

// flagError names the nearest flag of an unknown one.
func flagError(c *cobra.Command, err error) error {
	if c.HasSubCommands() && c.Flags().NArg() > 0 {
		return groupRun(c, c.Flags().Args()) // the command is unknown, not only its flag
	}
	e := fault.New(fault.Invalid, "usage", "%s", err)
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if near := nearestFlag(c, unknown.GetSpecifiedName()); near != "" {
			return e.WithFix("did you mean --%s? see %s --help", near, c.CommandPath())
		}
	}
	return e.WithFix("see %s --help", c.CommandPath())
}

func nearestFlag(c *cobra.Command, name string) string {
	if len(name) < 2 {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return nearest(name, names)
}
