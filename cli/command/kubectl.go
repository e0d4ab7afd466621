package command

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/shared/fault"
)

// This file holds what is different when kubectl runs the program as its plugin.

// readingVerbs are the names of commands that change nothing at the hub. What is
// not named here is taken for a change.
var readingVerbs = []string{
	"list", "get", "describe", "status", "tree", "resources", "resource", "history", "parameters", "manifests", "diff", "plan", "logs", "events", "wait",
	"whoami", "version", "explain", "can-i", "simulate", "usage", "open", "doctor", "export", "test", "show",
}

// reads reports whether a command changes nothing.
func reads(c *cobra.Command) bool { return c == nil || slices.Contains(readingVerbs, c.Name()) }

// contextOfKubectl is what a --context means that hawser does not have: kubectl
// hands through the name of a cluster of its own. Whoever looks is told and sees
// the current hub; whoever would change something has to say which hub.
func (s *session) contextOfKubectl(file config.File) (config.Context, bool, error) {
	x, ok := file.Context("")
	if !reads(s.running) {
		e := fault.New(fault.NotFound, "context_unknown", "context %q is none of hawser, and this changes something", s.context)
		if ok {
			return x, false, e.WithFix("say which hub is meant: --context %s, or one of %s context list", x.Name, s.Program)
		}
		return x, false, e.WithFix("see %s context list", s.Program)
	}
	if ok {
		s.note("context %q is none of hawser; the current one, %q, is used", s.context, x.Name)
		s.context = ""
	} else if hub := os.Getenv("HAWSER_HUB"); hub != "" {
		s.note("context %q is none of hawser; HAWSER_HUB, %q, is used", s.context, hub)
	}
	return x, ok, nil
}

// ownName finds hawser where it stands for the program in a command line.
var ownName = regexp.MustCompile("(^|[\\s`'\"(:])hawser ([a-z-]+)")

// called puts the name that a person calls the program by into a text: where
// kubectl runs it there may be no hawser on the PATH.
func (s *session) called(text string) string {
	if !s.plugin() || s.root == nil {
		return text
	}
	return ownName.ReplaceAllStringFunc(text, func(found string) string {
		at := strings.Index(found, "hawser ")
		before, verb := found[:at], found[at+len("hawser "):]
		if childOf(s.root, verb) == nil {
			return found
		}
		return before + s.Program + " " + verb
	})
}

// inItsName has the fixes of errors name the program as it was called.
func (s *session) inItsName(err error) error {
	if !s.plugin() {
		return err
	}
	var list fault.List
	if errors.As(err, &list) {
		out := make(fault.List, len(list))
		for i, e := range list {
			out[i] = s.fixOf(e)
		}
		return out
	}
	var e *fault.Error
	if errors.As(err, &e) {
		return s.fixOf(e)
	}
	return err
}

func (s *session) fixOf(e *fault.Error) *fault.Error {
	fix := strings.ReplaceAll(s.called(e.Fix), "kubectl kubectl ", "kubectl ")
	if fix == e.Fix {
		return e
	}
	named := *e
	named.Fix = fix
	return &named
}
