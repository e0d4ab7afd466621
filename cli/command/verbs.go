package command

import (
	"slices"
	"strings"

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
}

// nounOf finds a noun by what people call it.
func nounOf(text string) (noun, error) {
	var names []string
	for _, n := range nouns {
		if n.name == text || slices.Contains(n.aliases, strings.ToLower(text)) {
			return n, nil
		}
		names = append(names, n.name)
	}
	e := fault.New(fault.Invalid, "usage", "there is no type %q", text)
	if near := nearest(text, names); near != "" {
		return noun{}, e.WithFix("did you mean %q? types: %s", near, strings.Join(names, ", "))
	}
	return noun{}, e.WithFix("types: %s", strings.Join(names, ", "))
}
