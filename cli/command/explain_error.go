package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/meaning"
	"github.com/hawser-dev/hawser/shared/fault"
)

// explainError is the command that hawser explain CODE runs. It is another than
// that of applications, because it asks no hub.
const explainError = "__explain-error"

const explainLong = `Why something may be done to an application or not, or what an error means.

  hawser explain app/NAME    every check in order, with the rule that decided; what
                             follows the name is as for hawser app explain --help
  hawser explain HW-4103     what an error means and what to do about it, by its
                             number or its word (destination_not_permitted); no hub
                             is asked`

func newExplainError(s *session) *cobra.Command {
	return &cobra.Command{
		Use: explainError + " CODE", Hidden: true, Short: "What an error means and what to do about it",
		Args: exactArgs("CODE"), Annotations: map[string]string{offlineKey: "true"},
		RunE: s.offline(func(c *call) error {
			m, ok := meaning.Of(c.args[0])
			if !ok {
				return unknownCode(c.args[0])
			}
			return c.one(m, m.ID, func() error { return c.printMeaning(m) })
		}),
	}
}

func unknownCode(text string) error {
	e := fault.New(fault.NotFound, "code_unknown", "there is no error %q", text)
	var names []string
	for _, m := range meaning.All() {
		names = append(names, m.Code)
	}
	if near := nearest(text, names); near != "" {
		return e.WithFix("did you mean %s (%s)?", near, fault.ID(near))
	}
	return e.WithFix("all of them are in docs/errors.md")
}

func (c *call) printMeaning(m meaning.Meaning) error {
	kinds := make([]string, len(m.Kinds))
	exits := make([]string, len(m.Kinds))
	for i, k := range m.Kinds {
		kinds[i], exits[i] = string(k), fmt.Sprint(k.ExitCode())
	}
	slices.Sort(exits)
	messages := m.Messages
	if m.Means != "" {
		messages = nil // one sentence says more than the forms that it has
	}
	return c.describe([][2]string{
		{"Error", m.ID + " " + m.Code}, {"About", m.About}, {"Meaning", m.Means}, {"Says", strings.Join(messages, "\n")},
		{"Kind", strings.Join(kinds, ", ")}, {"Exit status", strings.Join(slices.Compact(exits), ", ")},
		{"What to do", orElse(strings.Join(m.Fixes, "\nor "), "this release makes no such error any more")},
	})
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
