package command

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/fault"
)

// This file finds the name that a person most likely meant, when the hub knows
// none that is as written.

// suggestWait is how long a person waits for a better error.
const suggestWait = 2 * time.Second

// unknownNouns are the types of things that codes say there are not.
var unknownNouns = map[string]string{
	"application_not_found": "app", "cluster_unknown": "cluster", "project_unknown": "project",
	"repository_unknown": "repo", "applicationset_not_found": "appset",
}

// nameBegin is the begin of a name by which a long list is narrowed.
var nameBegin = regexp.MustCompile(`^[a-z0-9]{3}`)

// nearNames are the names of a noun among which one near to typed is: all, or where
// there are many, those that begin as it does. What cannot be asked are none.
func nearNames(ctx context.Context, api *client.Client, n noun, typed string) []string {
	q := url.Values{"limit": {"500"}}
	if n.name == "app" {
		q.Set("fields", "name")
		q.Set("facets", "none")
	}
	names, more := namesAt(ctx, api, n.path, q)
	if begin := nameBegin.FindString(typed); more && n.name == "app" && begin != "" {
		q.Set("filter", "name:"+begin+"*")
		others, _ := namesAt(ctx, api, n.path, q)
		names = append(names, others...)
	}
	return names
}

func namesAt(ctx context.Context, api *client.Client, path string, q url.Values) (names []string, more bool) {
	var page list[struct {
		Name     string `json:"name"`
		URL      string `json:"url"`
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}]
	if api.Get(ctx, path+"?"+q.Encode(), &page) != nil {
		return nil, false
	}
	for _, x := range page.Items {
		for _, name := range []string{x.URL, x.Name, x.Metadata.Name} {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return names, page.NextCursor != ""
}

// suggest gives an error about a thing that is not there the name of the nearest.
// The thing is an argument of the command, or what a flag names.
func (c *call) suggest(err error) error {
	if c.api == nil || c.ctx.Err() != nil || !fault.Is(err, fault.NotFound) {
		return err
	}
	var exit exitError
	if errors.As(err, &exit) {
		return exitError{code: exit.code, err: c.suggest(exit.err)}
	}
	var several fault.List
	if errors.As(err, &several) {
		out := make(fault.List, len(several))
		for i, e := range several {
			out[i] = c.suggestOne(e)
		}
		return out
	}
	var e *fault.Error
	if errors.As(err, &e) {
		return c.suggestOne(e)
	}
	return err
}

func (c *call) suggestOne(e *fault.Error) *fault.Error {
	of, ok := unknownNouns[e.Code]
	if !ok || strings.HasPrefix(e.Fix, "there is ") || strings.HasPrefix(e.Fix, "did you mean") {
		return e
	}
	typed, ok := quoted(e.Message)
	if !ok && of == "repo" {
		_, typed, ok = strings.Cut(e.Message, "there is no repository ")
	}
	n, err := nounOf(of)
	if !ok || err != nil {
		return e
	}
	ctx, cancel := context.WithTimeout(c.ctx, suggestWait)
	defer cancel()
	if of == "app" { // the hub names it alone; a name of a project and a cluster is longer
		if a, err := parseAppName(typed); err == nil {
			typed = a.name
		}
	}
	if near := nearest(typed, nearNames(ctx, c.api, n, typed)); near != "" {
		return e.WithFix("did you mean %q?", near)
	}
	if e.Fix == "" {
		return e.WithFix("see %s %s list", c.Program, of)
	}
	return e
}

// quoted is what stands in quotation marks in a message.
func quoted(message string) (string, bool) {
	_, rest, ok := strings.Cut(message, `"`)
	name, _, closed := strings.Cut(rest, `"`)
	return name, ok && closed
}

// nothingCalled is the error about a bare name that no type has.
func (s *session) nothingCalled(ctx context.Context, api *client.Client, v topVerb, name string) error {
	e := fault.New(fault.NotFound, "name_unknown", "nothing is called %q", name)
	ctx, cancel := context.WithTimeout(ctx, suggestWait)
	defer cancel()
	for _, n := range nouns {
		if !slices.Contains(v.of, n.name) || n.name == "operation" || n.name == "job" {
			continue // their names are numbers
		}
		if near := nearest(name, nearNames(ctx, api, n, name)); near != "" {
			return e.WithFix("did you mean %s/%s?", n.name, near)
		}
	}
	if _, err := nounOf(name); err != nil {
		if fix := fault.As(err).Fix; strings.HasPrefix(fix, "did you mean") {
			return e.WithFix("%s", fix)
		}
	}
	return e.WithFix("write TYPE/NAME; types: %s", strings.Join(v.of, ", "))
}
