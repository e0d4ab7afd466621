package policy

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// maxShownObjects are named below a check that objects failed.
const maxShownObjects = 5

// Text explains the decision to people: what was asked, each check in order, the
// nearest rule, which state of the project decided, who can change it, and what to
// do. now tells how long ago that was; the zero time shows the date. Lines end with
// "\n"; no text of a user's can begin another line.
func (d Decision) Text(now time.Time) string {
	var b strings.Builder
	head := "✓ Allowed"
	if !d.Allowed {
		head = "✕ Not allowed"
	}
	if d.Question != "" {
		head += ": " + plain(d.Question)
	}
	if d.ID != "" {
		head += "     " + plain(d.ID)
		if len(d.Refusals) > 0 && d.Refusals[0].Code != "" {
			head += " (" + plain(d.Refusals[0].Code) + ")"
		}
	}
	b.WriteString(head + "\n")
	d.write(&b, "  ", now)
	if len(d.Refusals) > 0 && d.Refusals[0].Fix != "" {
		b.WriteString("  Fix: " + plain(d.Refusals[0].Fix) + "\n")
	}
	return b.String()
}

// Explanation is Text without its first line and without the advice, which the
// error has that it belongs to.
func (d Decision) Explanation(now time.Time) string {
	var b strings.Builder
	d.write(&b, "", now)
	return b.String()
}

func (d Decision) write(b *strings.Builder, indent string, now time.Time) {
	if len(d.Checks) > 0 {
		b.WriteString(indent + "Checked in order\n")
	}
	wide := 0
	for _, c := range d.Checks {
		wide = max(wide, len(c.Rule))
	}
	for i, c := range d.Checks {
		mark := map[Result]string{Passed: "✓", Failed: "✕"}[c.Result]
		if mark == "" {
			mark = "–"
		}
		fmt.Fprintf(b, "%s%2d %s %-*s  %s\n", indent, i+1, mark, wide, plain(c.Rule), plain(c.Message))
		if c.Result != Failed {
			continue
		}
		under := indent + "       "
		if line := nearestLine(c.Nearest, c.Differs); line != "" {
			b.WriteString(under + line + "\n")
		}
		d.writeObjects(b, under, c.Rule)
	}
	if line := d.decidedBy(now); line != "" {
		b.WriteString(indent + line + "\n")
	}
	if d.CanChange != "" {
		b.WriteString(indent + "Who can change it: " + plain(d.CanChange) + "\n")
	}
}

// writeObjects names the objects that failed a check.
func (d Decision) writeObjects(b *strings.Builder, indent, rule string) {
	shown, more := 0, 0
	for _, r := range d.Refusals {
		if r.Object == nil || ruleOf(r) != rule {
			continue
		}
		if shown == maxShownObjects {
			more++
			continue
		}
		shown++
		fmt.Fprintf(b, "%s%s%s\n", indent, plain(r.Object.String()), plain(in(r.Origin)))
	}
	if more > 0 {
		fmt.Fprintf(b, "%sand %d more\n", indent, more)
	}
}

func ruleOf(r Refusal) string {
	switch r.Code {
	case CodeKind:
		return RuleKinds
	case CodeDestination:
		return RuleDestination
	}
	return ""
}

func nearestLine(rule, differs string) string {
	if rule == "" {
		return ""
	}
	line := "nearest rule: " + plain(rule)
	if differs != "" {
		line += "     differs: " + plain(differs)
	}
	return line
}

// Because says in few lines why the decision is a refusal: the nearest rule of
// the first one, and which state of the project decided. It does not change with
// the time, so that it can be kept.
func (d Decision) Because() string {
	var lines []string
	if len(d.Refusals) > 0 {
		lines = append(lines, nearestLine(d.Refusals[0].NearestRule, d.Refusals[0].Differs))
	}
	lines = append(lines, d.decidedBy(time.Time{}))
	var out []string
	for _, l := range lines {
		if l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

func (d Decision) decidedBy(now time.Time) string {
	if d.Project == "" {
		return ""
	}
	var about []string
	if d.ProjectVersion > 0 {
		about = append(about, fmt.Sprintf("version %d", d.ProjectVersion))
	}
	if d.ChangedAt != nil {
		when := "changed " + d.ChangedAt.UTC().Format("2006-01-02 15:04") + " UTC"
		if !now.IsZero() {
			when = "changed " + ago(now.Sub(*d.ChangedAt))
		}
		if d.ChangedBy != "" {
			when += " by " + plain(d.ChangedBy)
		}
		about = append(about, when)
	}
	line := "Decided by project " + plain(d.Project)
	if len(about) > 0 {
		line += " (" + strings.Join(about, ", ") + ")"
	}
	return line
}

// ago is a duration in one unit, as in "2 d ago".
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d d ago", d/(24*time.Hour))
}

// plain is s without what would begin a line or speak to a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return '\uFFFD'
		}
		return r
	}, s)
}
