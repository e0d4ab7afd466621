package decode

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

var (
	dnsLabel   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	labelKey   = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`)
)

// Name checks the name of an application, project or cluster; what is the word
// for messages, such as "name" or "cluster". It returns nil when the name is
// good.
func Name(field, what, name string) *fault.Error {
	if e := label(what, name); e != nil {
		e.Code = "name_invalid"
		return e.WithField(field)
	}
	return nil
}

// Namespace checks the name of a Kubernetes namespace.
func Namespace(field, name string) *fault.Error {
	if e := label("namespace", name); e != nil {
		e.Code = "namespace_invalid"
		return e.WithField(field)
	}
	return nil
}

func label(what, name string) *fault.Error {
	const allowed = `1-63 of a-z, 0-9, "-"`
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return fault.New(fault.Invalid, "", "%s is missing", what).WithFound("", allowed)
	case n > 63:
		return fault.New(fault.Invalid, "", "%s is %d characters; the limit is 63", what, n).WithFound(quote(name), allowed)
	}
	if r, at := invisible(name); at > 0 {
		return fault.New(fault.Invalid, "", "%s contains the invisible character U+%04X at position %d", what, r, at).
			WithFound(quote(name), allowed)
	}
	if !dnsLabel.MatchString(name) {
		return fault.New(fault.Invalid, "", `%s %s: use 1-63 of a-z, 0-9, "-", starting and ending with a letter or digit`, what, quote(name)).
			WithFound(quote(name), allowed)
	}
	return nil
}

// invisible returns the first character that cannot be seen and its position
// from 1, or 0.
func invisible(s string) (rune, int) {
	pos := 0
	for _, r := range s {
		pos++
		if r == ' ' {
			continue
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zs, r) || !unicode.IsGraphic(r) {
			return r, pos
		}
	}
	return 0, 0
}

// Labels checks labels as Kubernetes does.
func Labels(field string, labels map[string]string) []*fault.Error {
	var out []*fault.Error
	for k, v := range labels {
		_, name, slash := strings.Cut(k, "/")
		if !slash {
			name = k
		}
		switch {
		case !labelKey.MatchString(k) || len(name) > 63 || len(k) > 317:
			out = append(out, fault.New(fault.Invalid, "label_invalid", "label %s: a key is an optional domain and \"/\", then up to 63 letters, digits, \"-\", \"_\", \".\"", quote(k)).WithField(field))
		case len(v) > 63:
			out = append(out, fault.New(fault.Invalid, "label_invalid", "the value of label %s is %d characters; the limit is 63", quote(k), len(v)).WithField(join(field, k)))
		case !labelValue.MatchString(v):
			out = append(out, fault.New(fault.Invalid, "label_invalid", "the value %s of label %s: use letters, digits, \"-\", \"_\", \".\"", quote(v), quote(k)).WithField(join(field, k)))
		}
	}
	return out
}

func missing(field string) *fault.Error {
	return fault.New(fault.Invalid, "field_missing", "%s is missing", field).WithField(field)
}

func at(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
