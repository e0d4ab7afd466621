package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/flosch/pongo2/v6"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Codes of errors in templates. Each message begins with file and line.
const (
	codeError       = "jinja_error"
	codeUndefined   = "jinja_undefined"
	codeUnsupported = "jinja_unsupported"
	codeForbidden   = "jinja_tag_forbidden"
	codePath        = "template_path_forbidden"
	codeTooLarge    = "too_large"
)

const maxMessage = 300

func problem(code, file string, line int, format string, args ...any) *fault.Error {
	msg := fmt.Sprintf("%s:%d: ", workspace.Clip(file, 120), line) + fmt.Sprintf(format, args...)
	return fault.New(fault.Unprocessable, code, "%s", workspace.Clip(visible(msg), maxMessage))
}

// visible escapes control and invisible characters, which come from strangers.
func visible(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := fmt.Sprintf("%q", r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// wrap carries an error through pongo2.
func wrap(err error) *pongo2.Error {
	if err == nil {
		return nil
	}
	return &pongo2.Error{Sender: "hawser", OrigError: err}
}

// unwrap gives the error back that wrap took.
func unwrap(err error) error {
	var p *pongo2.Error
	for errors.As(err, &p) && p != nil && p.OrigError != nil {
		err = p.OrigError
	}
	return err
}
