package command

import (
	"fmt"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

// notRendered is why an application keeps a state that is not of its newest
// revision; ok is false when it does not. Its other facets look fine then: they
// are about what still runs. An agent's ComparisonErrors, about live objects,
// have no time and are none of this.
func notRendered(v model.AppView) (c model.Condition, ok bool) {
	for _, c := range v.Conditions {
		if c.OfSource() {
			return c, true
		}
	}
	return model.Condition{}, false
}

// newestMissing is notRendered for what is about the content of the newest revision:
// what is shown as synced is then not what Git says. Trouble on the way to Git is none
// of it, and what a rollback went back to is wanted.
func newestMissing(v model.AppView) (c model.Condition, ok bool) {
	c, ok = notRendered(v)
	return c, ok && v.Pin == nil && c.OfContent()
}

// asideText says what a condition is about, since when, and what runs
// meanwhile: " (at d8b6439d, 40s ago; 7cc9050e still runs)".
func asideText(now time.Time, v model.AppView, c model.Condition) string {
	var about []string
	if c.Revision != "" {
		about = append(about, "at "+short(c.Revision))
	}
	if c.Since != nil {
		about = append(about, output.Age(now, c.Since)+" ago")
	}
	text := strings.Join(about, ", ")
	if c.Revision != "" && v.Revision != "" {
		text += "; " + short(v.Revision) + " still runs"
	}
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// conditionText is a condition in full; problems after the first are on lines
// of their own.
func conditionText(now time.Time, v model.AppView, c model.Condition) string {
	first, rest, more := strings.Cut(c.Message, "\n")
	text := strings.TrimSpace(c.Type+" "+c.Code) + ": " + first + asideText(now, v, c)
	if more {
		text += "\n" + rest
	}
	return text
}

// firstProblem is the first line of a message, and how many are left out.
func firstProblem(message string) string {
	first, rest, more := strings.Cut(message, "\n")
	if !more {
		return first
	}
	return fmt.Sprintf("%s, and %d more", first, strings.Count(rest, "\n")+1)
}

// warnNotRendered tells a person whom the rest of the answer would leave
// believing that Git is what runs.
func (c *call) warnNotRendered(v model.AppView) {
	if problem, ok := notRendered(v); ok {
		c.note("warning: %s: %s: %s%s", v.Name, problem.Code, firstProblem(problem.Message), asideText(c.now(), v, problem))
	}
}

// noteNotRendered closes a list: how many do not follow Git, and where to look.
func (c *call) noteNotRendered(items []model.AppView) {
	const most = 3 // names
	var names []string
	for _, v := range items {
		if _, ok := notRendered(v); ok {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	shown, whose := "", "its"
	if len(names) > 1 {
		shown, whose = " ("+strings.Join(names[:min(len(names), most)], ", "), "their"
		if len(names) > most {
			shown += ", …"
		}
		shown += ")"
	}
	c.note("%d of %d cannot be rendered at %s newest revision%s: hawser app get %s", len(names), len(items), whose, shown, names[0])
}

// leastPrefix is how many hexadecimal digits may stand for a commit.
const leastPrefix = 7

// mayBeRevision reports whether something can be what isRevision means: the
// beginning of a commit, a chart's version, or a digest.
func mayBeRevision(written string) bool {
	return strings.ContainsAny(written, ".:") || strings.Trim(strings.ToLower(written), "0123456789abcdef") == ""
}

// isRevision reports whether revision is what a person wrote: the whole, or the
// beginning of a commit.
func isRevision(revision, written string) bool {
	if revision == written {
		return true
	}
	written = strings.ToLower(written)
	return len(written) >= leastPrefix && strings.Trim(written, "0123456789abcdef") == "" && strings.HasPrefix(revision, written)
}
