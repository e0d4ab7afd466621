package command

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hawser-dev/hawser/cli/output"
)

// note writes to standard error for people; nothing with a document on standard
// output, with -q, or with --progress=none. With --progress=json it is an object
// on a line.
func (s *session) note(format string, args ...any) {
	text := s.called(fmt.Sprintf(format, args...))
	switch {
	case s.quiet || s.progress == "none":
		return
	case s.progress == "json":
		s.sayJSON(map[string]any{"level": "info", "message": text})
		return
	case s.printer != nil && s.printer.Documents():
		return
	}
	fmt.Fprintln(s.Err, output.Clean(text))
}

// warn is a note that nothing but -q keeps quiet: something is not as it ought
// to be.
func (s *session) warn(format string, args ...any) {
	switch {
	case s.quiet:
		return
	case s.progress == "json":
		s.sayJSON(map[string]any{"level": "warning", "message": fmt.Sprintf(format, args...)})
		return
	}
	fmt.Fprintln(s.Err, "warning: "+output.Clean(fmt.Sprintf(format, args...)))
}

// sayJSON writes one object on a line of standard error.
func (s *session) sayJSON(v map[string]any) {
	v["time"] = s.now().UTC().Format(time.RFC3339Nano)
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(map[string]any{"level": "error", "message": err.Error()})
	}
	fmt.Fprintln(s.Err, string(b))
}
