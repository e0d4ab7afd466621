package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/filter"
)

const (
	// completionWait is how long a person waits for names that are not cached.
	completionWait = 120 * time.Millisecond
	// completionFresh is how old cached names may be before they are fetched anew
	// in the background; they are shown all the same.
	completionFresh = 5 * time.Second
	// mostCompletions is how many names a shell is given.
	mostCompletions = 1000
)

// candidate is a name that a person may mean, and what it is.
type candidate struct {
	Name  string `json:"n"`
	About string `json:"a,omitempty"`
}

// cached are the names of one kind at one hub.
type cached struct {
	At    time.Time   `json:"at"`
	Items []candidate `json:"items"`
}

const refreshCommand = "__refresh-names"

// completes gives the commands of the tree what their arguments and flags may
// be. It is done only when a shell asks.
func (s *session) completes(c *cobra.Command, noun string) {
	if c == c.Root() {
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { s.completeFlag(c, f) })
	}
	for _, sub := range c.Commands() {
		of := noun
		if c == c.Root() {
			of = sub.Name()
		}
		s.completes(sub, of)
	}
	if c.HasSubCommands() {
		return
	}
	words := strings.Fields(c.Use)
	if kind := kindOfNoun(noun); kind != "" && len(words) > 1 && c.ValidArgsFunction == nil {
		many := strings.Contains(words[1], "...") || strings.Contains(words[1], "…")
		if first := strings.Trim(words[1], "[]….|"); first == "NAME" || first == "URL" || first == "ID" {
			c.ValidArgsFunction = func(c *cobra.Command, args []string, to string) ([]string, cobra.ShellCompDirective) {
				if len(args) > 0 && !many {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				return s.offer(kind, args, to)
			}
		}
	}
	if noun == "context" && c.ValidArgsFunction == nil && len(words) > 1 {
		c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 || c.Name() == "add" {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return s.offerContexts()
		}
	}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { s.completeFlag(c, f) })
}

// kindOfNoun is what names a noun's commands take.
func kindOfNoun(noun string) string {
	switch noun {
	case "app", "cluster", "project", "repo", "operation", "appset":
		return noun
	}
	return ""
}

func (s *session) completeFlag(c *cobra.Command, f *pflag.Flag) {
	fixed := func(values ...string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	names := func(kind string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return func(_ *cobra.Command, _ []string, to string) ([]string, cobra.ShellCompDirective) {
			return s.offer(kind, nil, to)
		}
	}
	var complete func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)
	switch f.Name {
	case "project":
		complete = names("project")
	case "cluster", "dest-name":
		complete = names("cluster")
	case "app":
		complete = names("app")
	case "repo":
		complete = names("repo")
	case "context":
		complete = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { return s.offerContexts() }
	case "output":
		complete = func(_ *cobra.Command, _ []string, to string) ([]string, cobra.ShellCompDirective) {
			directive := cobra.ShellCompDirectiveNoFileComp
			if strings.HasSuffix(to, "=") || len(to) > 8 {
				directive |= cobra.ShellCompDirectiveNoSpace
			}
			return output.Formats, directive
		}
	case "color":
		complete = fixed("auto", "always", "never")
	case "progress":
		complete = fixed("auto", "plain", "json", "none")
	case "debug":
		complete = fixed("on\trequests", "http\trequests and headers, never tokens")
	case "columns", "sort-by":
		titles := splitList(c.Annotations[columnsKey])
		complete = func(_ *cobra.Command, _ []string, to string) ([]string, cobra.ShellCompDirective) {
			before := to[:strings.LastIndex(to, ",")+1]
			var out []string
			for _, t := range titles {
				if !slices.Contains(splitList(before), t) {
					out = append(out, before+t)
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
	case "filter":
		complete = s.completeFilter
	case "timeout", "limit", "jq", "template", "json", "hub", "selector":
		complete = fixed()
	}
	if complete != nil {
		_ = c.RegisterFlagCompletionFunc(f.Name, complete) // fails only when it is there already
	}
}

// filterSchema is what can be asked about the things that a command lists.
func filterSchema(c *cobra.Command) filter.Schema {
	for ; c != nil; c = c.Parent() {
		switch c.Name() {
		case "cluster":
			return filter.Clusters
		case "project":
			return filter.Projects
		case "repo":
			return filter.Repositories
		case "operation":
			return filter.Operations
		case "job":
			return filter.Jobs
		}
	}
	return filter.Applications
}

// completeFilter offers keys, then values of the key, for the last word.
func (s *session) completeFilter(c *cobra.Command, _ []string, to string) ([]string, cobra.ShellCompDirective) {
	schema := filterSchema(c)
	at := strings.LastIndexByte(to, ' ') + 1
	before, word := to[:at], to[at:]
	if rest, ok := strings.CutPrefix(word, "-"); ok {
		before, word = before+"-", rest
	}
	key, value, ok := strings.Cut(word, ":")
	if !ok {
		var out []string
		for _, k := range schema.Names() {
			out = append(out, before+k+":")
		}
		slices.Sort(out)
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	before += key + ":" + value[:strings.LastIndex(value, ",")+1]
	values := slices.Clone(schema.Values(key))
	if key == "project" || key == "cluster" {
		for _, x := range s.names(key) {
			values = append(values, x.Name)
		}
	}
	var out []string
	for _, v := range values {
		out = append(out, before+v)
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (s *session) offerContexts() ([]string, cobra.ShellCompDirective) {
	file, err := config.Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, x := range file.Contexts {
		out = append(out, cobra.CompletionWithDesc(x.Name, output.Clean(x.URL)))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// offer is what a shell is told of a kind: the names that begin as typed and
// were not typed yet.
func (s *session) offer(kind string, taken []string, to string) ([]string, cobra.ShellCompDirective) {
	prefix := ""
	if p := kind + "/"; strings.HasPrefix(to, p) {
		prefix, to = p, to[len(p):]
	}
	var out []string
	for _, x := range s.names(kind) {
		if !strings.HasPrefix(x.Name, to) || slices.Contains(taken, x.Name) {
			continue
		}
		out = append(out, cobra.CompletionWithDesc(prefix+output.Clean(x.Name), output.Clean(x.About)))
		if len(out) == mostCompletions {
			break
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// names are those that are known of a kind: cached ones at once, and fetched
// anew in the background when they are old. Whatever goes wrong, there are just
// fewer; a person who types is shown no errors.
func (s *session) names(kind string) []candidate {
	path, err := s.cachePath(kind)
	if err != nil {
		return nil
	}
	var have cached
	if b, err := os.ReadFile(path); err == nil && json.Unmarshal(b, &have) == nil && len(have.Items) > 0 {
		if age := s.now().Sub(have.At); (age > completionFresh || age < 0) && s.Background != nil {
			s.Background(s.again(refreshCommand, kind)...)
		}
		return have.Items
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionWait)
	defer cancel()
	items, err := s.fetchNames(ctx, kind)
	if err != nil {
		if s.Background != nil {
			s.Background(s.again(refreshCommand, kind)...) // for the next time
		}
		return nil
	}
	return items
}

// again is a command line for the same hub.
func (s *session) again(args ...string) []string {
	if s.context != "" {
		args = append(args, "--context="+s.context)
	}
	if s.host != "" {
		args = append(args, "--hub="+s.host)
	}
	return args
}

// cachePath is of one kind at one hub for one token: what one person sees is not
// offered to another.
func (s *session) cachePath(kind string) (string, error) {
	dir := os.Getenv("HAWSER_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, "hawser")
	}
	file, err := config.Load()
	if err != nil {
		return "", err
	}
	x, _ := file.Context(s.context)
	sum := sha256.Sum256([]byte(strings.Join([]string{x.URL, x.Name, x.User, s.host, os.Getenv("HAWSER_HUB"), os.Getenv("HAWSER_TOKEN")}, "\x00")))
	return filepath.Join(dir, "names", hex.EncodeToString(sum[:8]), kind+".json"), nil
}

// fetchNames asks the hub and remembers the answer.
func (s *session) fetchNames(ctx context.Context, kind string) ([]candidate, error) {
	api, err := s.client()
	if err != nil {
		return nil, err
	}
	n, err := nounOf(kind)
	if err != nil {
		return nil, err
	}
	have := cached{At: s.now()}
	q := url.Values{"limit": {"500"}}
	for pages := 0; pages < 40; pages++ {
		var page list[struct {
			ID          string `json:"id"`
			Name        string `json:"name"`
			URL         string `json:"url"`
			Project     string `json:"project"`
			Cluster     string `json:"cluster"`
			App         string `json:"app"`
			Kind        string `json:"kind"`
			Phase       string `json:"phase"`
			KubeVersion string `json:"kubeVersion"`
			Metadata    struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Spec struct {
				Description string `json:"description"`
			} `json:"spec"`
		}]
		if err := api.Get(ctx, n.path+"?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		for _, x := range page.Items {
			switch kind {
			case "app":
				have.Items = append(have.Items, candidate{x.Name, joinWords(x.Project, x.Cluster)})
			case "cluster":
				have.Items = append(have.Items, candidate{x.Name, x.KubeVersion})
			case "repo":
				have.Items = append(have.Items, candidate{x.URL, x.Project})
			case "operation":
				have.Items = append(have.Items, candidate{x.ID, joinWords(x.Kind, x.App, x.Phase)})
			default:
				have.Items = append(have.Items, candidate{x.Metadata.Name, x.Spec.Description})
			}
		}
		if page.NextCursor == "" || page.NextCursor == q.Get("cursor") {
			break
		}
		q.Set("cursor", page.NextCursor)
	}
	return have.Items, s.remember(kind, have)
}

func joinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// remember writes names so that a reader sees the old ones or the new.
func (s *session) remember(kind string, have cached) error {
	path, err := s.cachePath(kind)
	if err != nil {
		return err
	}
	b, err := json.Marshal(have)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil // without a cache the next time takes longer
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".names-*")
	if err != nil {
		return nil
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if closeErr := tmp.Close(); err == nil && closeErr == nil {
		_ = os.Rename(tmp.Name(), path)
	}
	return nil
}

// newRefreshNames is what completion starts in the background.
func newRefreshNames(s *session) *cobra.Command {
	return &cobra.Command{
		Use: refreshCommand + " KIND", Hidden: true, Args: exactArgs("KIND"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
			defer cancel()
			_, err := s.fetchNames(ctx, args[0])
			return err
		},
	}
}

// completeTopVerb completes hawser get …: types, then names, then as the noun's
// command does.
func (s *session) completeTopVerb(v topVerb) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(_ *cobra.Command, args []string, to string) ([]string, cobra.ShellCompDirective) {
		at := s.firstPositional(s.root, v, args)
		if at < 0 && !strings.HasPrefix(to, "-") {
			kind, _, slash := strings.Cut(to, "/")
			if slash {
				n, err := nounOf(kind)
				if err != nil {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				items, directive := s.offer(n.name, nil, strings.TrimPrefix(to, kind+"/"))
				for i := range items {
					items[i] = kind + "/" + items[i]
				}
				return items, directive
			}
			var out []string
			for _, n := range v.of {
				if strings.HasPrefix(n, to) && verbOf(s.root, n, v.name) != nil {
					out = append(out, n+"/")
				}
			}
			if len(v.of) == 1 {
				names, _ := s.offer(v.of[0], nil, to)
				out = append(out, names...)
			}
			return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		line := []string{v.of[0], v.name}
		if at >= 0 {
			kind, _, _ := strings.Cut(args[at], "/")
			if _, err := nounOf(kind); err != nil && len(v.of) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp // a bare name: it is not asked for here
			}
			lines, err := s.nounLines(context.Background(), v, args)
			if err != nil || len(lines) != 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			line = lines[0]
		}
		return s.completeLine(append(line, to))
	}
}

// completeLine asks the tree itself what may follow.
func (s *session) completeLine(line []string) ([]string, cobra.ShellCompDirective) {
	var out bytes.Buffer
	inner := &session{Streams: s.Streams, now: s.now}
	inner.Out, inner.Err = &out, &bytes.Buffer{}
	if inner.execute(context.Background(), append([]string{cobra.ShellCompRequestCmd}, line...)) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	directive := cobra.ShellCompDirectiveNoFileComp
	if n := len(lines) - 1; n >= 0 && strings.HasPrefix(lines[n], ":") {
		var d int
		if json.Unmarshal([]byte(lines[n][1:]), &d) == nil {
			directive = cobra.ShellCompDirective(d)
		}
		lines = lines[:n]
	}
	return lines, directive
}
