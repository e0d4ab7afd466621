package command

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/meaning"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// noun is a kind of thing that can be written as TYPE/NAME.
type noun struct {
	name    string // of its command
	aliases []string
	path    string // of its list, below /api/v1
}

var nouns = []noun{
	{"app", []string{"apps", "application", "applications"}, "/applications"},
	{"cluster", []string{"clusters"}, "/clusters"},
	{"project", []string{"projects", "proj", "appproject", "appprojects"}, "/projects"},
	{"repo", []string{"repos", "repository", "repositories"}, "/repositories"},
	{"operation", []string{"operations", "op", "ops"}, "/operations"},
	{"appset", []string{"appsets", "applicationset", "applicationsets"}, "/applicationsets"},
	{"job", []string{"jobs"}, "/jobs"},
}

// nounOf finds a noun by what people call it.
func nounOf(text string) (noun, error) {
	var names, words []string
	for _, n := range nouns {
		if text := strings.ToLower(text); n.name == text || slices.Contains(n.aliases, text) {
			return n, nil
		}
		names, words = append(names, n.name), append(append(words, n.name), n.aliases...)
	}
	e := fault.New(fault.Invalid, "usage", "there is no type %q", text)
	if near := nearest(text, words); near != "" {
		return noun{}, e.WithFix("did you mean %q? types: %s", near, strings.Join(names, ", "))
	}
	return noun{}, e.WithFix("types: %s", strings.Join(names, ", "))
}

// typeOf is how the type of a kind is written before a name, the same everywhere.
func typeOf(kind string) string {
	if n, err := nounOf(kind); err == nil {
		return n.name
	}
	return strings.ToLower(kind)
}

// topVerb is a verb that stands first, as kubectl's do: hawser get app/web is
// hawser app get web.
type topVerb struct {
	name, short string
	// of are the nouns that have it.
	of []string
}

// topVerbs is a closed set.
var topVerbs = []topVerb{
	{"get", "Show or list things: get app/web, get apps", []string{"app", "cluster", "project", "repo", "operation", "appset", "job"}},
	{"describe", "Show all about things: describe cluster/eu", []string{"app", "cluster", "project"}},
	{"delete", "Delete things: delete app/web", []string{"app", "cluster", "project", "repo", "appset"}},
	{"diff", "Compare an application with Git: diff app/web", []string{"app"}},
	{"plan", "What a sync would do: plan app/web", []string{"app"}},
	{"sync", "Bring an application to what Git says: sync app/web", []string{"app"}},
	{"wait", "Wait for an application or a cluster: wait app/web", []string{"app", "cluster"}},
	{"logs", "Logs of an application's pods: logs app/web", []string{"app"}},
	{"exec", "Run a command in a pod of an application: exec app/web --pod P -- sh", []string{"app"}},
	{"events", "Events of an application's objects: events app/web", []string{"app"}},
	{"tree", "An application's objects down to pods: tree app/web", []string{"app"}},
	{"explain", "Why something is allowed or denied, or what an error means: explain app/web, explain HW-4103", []string{"app"}},
}

// newTopVerbs are the verbs that some noun has.
func newTopVerbs(s *session, root *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, v := range topVerbs {
		if _, _, err := root.Find([]string{v.name}); err == nil && childOf(root, v.name) != nil {
			continue // it is a command of its own already
		}
		if !slices.ContainsFunc(v.of, func(n string) bool { return verbOf(root, n, v.name) != nil }) {
			continue
		}
		out = append(out, &cobra.Command{
			Use: v.use(), Short: v.short, GroupID: groupGeneric,
			Long:               v.long(),
			DisableFlagParsing: true,
			RunE: func(c *cobra.Command, args []string) error {
				if slices.ContainsFunc(beforeDashes(args), func(a string) bool { return a == "--help" || a == "-h" }) {
					if s.helpOfNoun(c, v, args) {
						return nil
					}
					return c.Help()
				}
				if v.name == "explain" {
					if at := s.firstPositional(s.root, v, args); at >= 0 && meaning.Looks(args[at]) {
						return s.execute(c.Context(), append([]string{explainError}, args...))
					}
				}
				lines, err := s.nounLines(c.Context(), v, args)
				if err != nil {
					return err
				}
				return s.runLines(c.Context(), v.name, lines)
			},
			ValidArgsFunction: s.completeTopVerb(v),
		})
	}
	return out
}

// use is how the verb is written; some take several names.
func (v topVerb) use() string {
	if v.name == "explain" {
		return "explain TYPE/NAME | CODE"
	}
	if slices.Contains(severalVerbs, v.name) || slices.Contains([]string{"sync", "wait", "plan", "diff"}, v.name) {
		return v.name + " TYPE/NAME…"
	}
	return v.name + " TYPE/NAME"
}

func (v topVerb) long() string {
	if v.name == "explain" {
		return explainLong
	}
	return v.short + ".\n\nThe type is one of " + strings.Join(v.of, ", ") + `. What follows the name is as for
the command of the type: hawser TYPE ` + v.name + ` --help.`
}

func childOf(c *cobra.Command, name string) *cobra.Command {
	for _, sub := range c.Commands() {
		if sub.Name() == name || sub.HasAlias(name) {
			return sub
		}
	}
	return nil
}

// verbOf is the command of a noun for a verb, nil when it has none.
func verbOf(root *cobra.Command, noun, verb string) *cobra.Command {
	n := childOf(root, noun)
	if n == nil {
		return nil
	}
	if verb == "delete" && childOf(n, verb) == nil {
		verb = "remove"
	}
	return childOf(n, verb)
}

func beforeDashes(args []string) []string {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[:i]
	}
	return args
}

// helpOfNoun prints the help of the noun's command when the type is plain.
func (s *session) helpOfNoun(c *cobra.Command, v topVerb, args []string) bool {
	at := s.firstPositional(c.Root(), v, args)
	if at < 0 {
		return false
	}
	kind, _, _ := strings.Cut(args[at], "/")
	n, err := nounOf(kind)
	if err != nil {
		return false
	}
	sub := verbOf(c.Root(), n.name, v.name)
	return sub != nil && sub.Help() == nil
}

// firstPositional finds the first argument that is neither a flag nor a flag's
// value; -1 when there is none.
func (s *session) firstPositional(root *cobra.Command, v topVerb, args []string) int {
	if at := s.positionals(root, v, args); len(at) > 0 {
		return at[0]
	}
	return -1
}

// positionals finds the arguments that are neither flags nor flags' values, before
// a --.
func (s *session) positionals(root *cobra.Command, v topVerb, args []string) []int {
	var at []int
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return at
		case !strings.HasPrefix(a, "-") || a == "-":
			at = append(at, i)
		case takesValue(root, v, a):
			i++
		}
	}
	return at
}

// takesValue reports whether the argument after flag belongs to it, for some
// noun that has the verb.
func takesValue(root *cobra.Command, v topVerb, flag string) bool {
	if strings.Contains(flag, "=") {
		return false
	}
	sets := []*cobra.Command{root}
	for _, n := range v.of {
		for _, verb := range []string{v.name, "list"} {
			if c := verbOf(root, n, verb); c != nil {
				sets = append(sets, c)
			}
		}
	}
	for _, c := range sets {
		f := c.Flags().Lookup(strings.TrimPrefix(flag, "--"))
		if f == nil {
			f = c.PersistentFlags().Lookup(strings.TrimPrefix(flag, "--"))
		}
		if !strings.HasPrefix(flag, "--") {
			last := flag[len(flag)-1:] // of -qo json it is the o that takes json
			if f = c.Flags().ShorthandLookup(last); f == nil {
				f = c.PersistentFlags().ShorthandLookup(last)
			}
			if len(flag) > 2 && f != nil {
				// -ojson has its value in it already
				if first := c.Flags().ShorthandLookup(flag[1:2]); first != nil && first.NoOptDefVal == "" {
					return false
				}
				if first := c.PersistentFlags().ShorthandLookup(flag[1:2]); first != nil && first.NoOptDefVal == "" {
					return false
				}
			}
		}
		if f != nil {
			return f.NoOptDefVal == ""
		}
	}
	return false
}

// nounLines are the command lines of the nouns that a line with the verb first
// means: one, or one for each type that is named.
func (s *session) nounLines(ctx context.Context, v topVerb, args []string) ([][]string, error) {
	at := s.positionals(s.root, v, args)
	if len(at) == 0 {
		return nil, fault.New(fault.Invalid, "usage", "%s %s needs a TYPE/NAME", s.Program, v.name).WithFix("types: %s", strings.Join(v.of, ", "))
	}
	if !slices.Contains(severalVerbs, v.name) {
		at = at[:1] // what follows is of the noun's command
	}
	var rest []string
	for i, a := range args {
		if !slices.Contains(at, i) {
			rest = append(rest, a)
		}
	}
	before := args[:at[0]]
	kind, _, slash := strings.Cut(args[at[0]], "/")
	n, err := nounOf(kind)
	if err == nil && !slash { // get apps, get app web api
		if len(at) == 1 && v.name == "get" && s.firstPositional(s.root, v, args[at[0]+1:]) < 0 {
			return [][]string{slices.Concat([]string{n.name, "list"}, rest)}, nil
		}
		names := make([]string, 0, len(at))
		for _, i := range at[1:] {
			names = append(names, s.bare(n, args[i]))
		}
		line, err := s.lineOf(v, n, slices.Concat(names, rest))
		return [][]string{line}, err
	}
	var types []noun
	names := map[string][]string{}
	for _, i := range at {
		what := args[i]
		kind, name, slash := strings.Cut(what, "/")
		n, err := nounOf(kind)
		switch {
		case err == nil && slash && name == "":
			return nil, fault.New(fault.Invalid, "usage", "%q lacks a name", what)
		case err == nil && slash:
		case len(v.of) == 1 && !slash: // sync web: there is one type only
			n, _ = nounOf(v.of[0]) // it is in the table
			name = what
		case slash:
			return nil, err
		default:
			if n, err = s.resolve(ctx, v, what, before, rest); err != nil {
				return nil, err
			}
			name = what
		}
		if names[n.name] == nil {
			types = append(types, n)
		}
		names[n.name] = append(names[n.name], name)
	}
	var lines [][]string
	for _, n := range types {
		// Where the first name was it may stand before what is not a flag's.
		line, err := s.lineOf(v, n, slices.Concat(before, names[n.name], rest[len(before):]))
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// bare is a name without the type that a person may have written before it.
func (s *session) bare(n noun, text string) string {
	if kind, name, ok := strings.Cut(text, "/"); ok && name != "" {
		if other, err := nounOf(kind); err == nil && other.name == n.name && n.name != "app" {
			return name
		}
	}
	return text
}

// runLines runs the lines that a line with the verb first means. Several are for
// people: a program is given one document.
func (s *session) runLines(ctx context.Context, verb string, lines [][]string) error {
	if len(lines) == 1 {
		return s.execute(ctx, lines[0])
	}
	s.manyTypes = true
	var failed []error
	for i, line := range lines {
		if i > 0 && verb != "delete" && s.printer != nil && s.printer.Format != output.Name {
			fmt.Fprintln(s.Out)
		}
		if err := s.execute(ctx, line); err != nil {
			if ctx.Err() != nil || fault.Is(err, fault.Invalid) || fault.Is(err, fault.Unauthorized) {
				return err
			}
			failed = append(failed, err)
		}
	}
	return severalErrors(failed, len(lines))
}

func (s *session) lineOf(v topVerb, n noun, rest []string) ([]string, error) {
	c := verbOf(s.root, n.name, v.name)
	if c == nil || !slices.Contains(v.of, n.name) {
		return nil, fault.New(fault.Invalid, "usage", "%s cannot be used with the type %s", v.name, n.name).WithFix("types: %s", strings.Join(v.of, ", "))
	}
	return append([]string{n.name, c.Name()}, rest...), nil
}

// resolve finds the type of a bare name. A name that several types have is the
// person's to choose.
func (s *session) resolve(ctx context.Context, v topVerb, name string, flags ...[]string) (noun, error) {
	// The flags are not parsed yet, but they say which hub is meant.
	global := s.root.PersistentFlags()
	global.ParseErrorsAllowlist.UnknownFlags = true
	_ = global.Parse(beforeDashes(slices.Concat(flags...))) // what is wrong with them the command says
	api, err := s.client()
	if err != nil {
		return noun{}, err
	}
	ctx, cancel := s.limit(ctx, 0)
	defer cancel()
	var found []noun
	for _, n := range nouns {
		if !slices.Contains(v.of, n.name) || n.name == "repo" || verbOf(s.root, n.name, v.name) == nil {
			continue // a repository is named by its URL
		}
		err := api.Get(ctx, n.path+"/"+url.PathEscape(name), nil)
		switch {
		case err == nil:
			found = append(found, n)
		case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid):
			return noun{}, err
		}
	}
	switch len(found) {
	case 0:
		return noun{}, s.nothingCalled(ctx, api, v, name)
	case 1:
		return found[0], nil
	}
	var all []string
	for _, n := range found {
		all = append(all, n.name+"/"+name)
	}
	return noun{}, fault.New(fault.NotFound, "name_ambiguous", "%q is the name of several things: %s", name, strings.Join(all, ", ")).
		WithFix("say which: %s %s %s", s.Program, v.name, all[0])
}
