package command

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// consent is something that a person decides before a command goes on. The
// frame alone asks: --yes and --no-input mean the same to every command.
type consent struct {
	text string // what is asked, without the answers
	// alone is the error where nobody is there to ask; its fix names --yes.
	alone *fault.Error
	// cancelled is what did not happen after a no.
	cancelled string
}

// asks adds --yes and --no-input to a command that may ask. Others take them and
// do not offer them: who asks nothing has nothing to say yes to.
func (s *session) asks(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVarP(&s.yes, "yes", "y", false, "do not ask")
	s.asksInput(c)
	return c
}

// asksInput is for a command that asks for something other than a yes.
func (s *session) asksInput(c *cobra.Command) {
	c.Flags().BoolVar(&s.noInput, "no-input", false, "ask nothing; fail where a question would be asked")
}

// attended reports whether a person may be asked.
func (s *session) attended() bool { return s.Terminal && !s.noInput }

// ask returns nil when a person, or --yes, says yes. No answer is no.
func (s *session) ask(q consent) error {
	if s.yes {
		return nil
	}
	if !s.attended() {
		return q.refusal()
	}
	answer := s.answer(q.text, "yes", "no")
	if err := s.interrupted(); err != nil {
		return err
	}
	if answer != "yes" && answer != "y" {
		return q.cancelledBy()
	}
	return nil
}

func (q consent) refusal() error {
	e := q.alone
	if e == nil {
		e = fault.New(fault.Invalid, "confirmation_needed", "%s Nobody is there to ask", q.text)
	}
	if !strings.Contains(e.Fix, "--yes") {
		e = e.WithFix("add --yes")
	}
	return e
}

func (q consent) cancelledBy() error {
	text := q.cancelled
	if text == "" {
		text = "nothing was done"
	}
	return exitWith(ExitError, fault.New(fault.Precondition, "cancelled", "%s", text))
}

// interrupted is the error of a command that was ended by a signal.
func (s *session) interrupted() error {
	if s.running == nil || s.running.Context() == nil {
		return nil
	}
	return s.running.Context().Err()
}

// answer asks on standard error and reads one line, in lower case.
func (s *session) answer(text string, answers ...string) string {
	fmt.Fprintf(s.Err, "%s [%s] ", output.Clean(text), strings.Join(answers, ", "))
	line, _ := s.readLine(oneByOne{s.In}) // no answer is none of them
	return strings.ToLower(strings.TrimSpace(line))
}

// readLine reads a line until a signal comes; what reads is left behind then, as the
// program ends.
func (s *session) readLine(from io.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := bufio.NewReader(from).ReadString('\n')
		read <- result{line, err}
	}()
	var ended <-chan struct{}
	if s.running != nil && s.running.Context() != nil {
		ended = s.running.Context().Done()
	}
	select {
	case r := <-read:
		return r.line, r.err
	case <-ended:
		fmt.Fprintln(s.Err)
		return "", s.running.Context().Err()
	}
}

// oneByOne keeps a buffer from taking what the next question is to read.
type oneByOne struct{ io.Reader }

func (r oneByOne) Read(p []byte) (int, error) {
	if len(p) > 1 {
		p = p[:1]
	}
	return r.Reader.Read(p)
}
