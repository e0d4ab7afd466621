package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// WindowFacts is what sync windows are asked about.
type WindowFacts struct {
	App string
	// Namespace of the application's destination.
	Namespace string
	// Clusters are all names and server URLs that mean the destination; a pattern
	// that matches one of them matches.
	Clusters []string
	// Automated: nobody asked for the sync. manualSync is about all others.
	Automated bool
	Now       time.Time
	// RunningSince is when the sync began that is under way; zero: it is about
	// to begin. syncOverrun is about a sync that is under way.
	RunningSince time.Time
}

// WindowDecision says whether a sync may run.
type WindowDecision struct {
	Allowed bool
	// By is the window that decided: the one that denies, the allow window that
	// is open, or of several that are closed the next to open. Nil when none
	// concerns the application, or only deny windows that are closed.
	By *model.SyncWindow
	// Reason is for people: which window, and until when. Empty when no window
	// concerns the application. At most 300 characters.
	Reason string
	// Next is when Allowed may change if nothing but the time does; zero: never.
	// Until then it does not. It is the very moment of the change, or, where that
	// is further away than is worth looking, some moment before.
	Next time.Time
}

// DecideWindows decides whether the sync windows of a project let an application
// sync. The rules are Argo CD's (docs/user-guide/sync_windows.md there):
//
//   - A window concerns an application if one of its lists (applications,
//     namespaces, clusters) has a glob that matches; with andOperator each list
//     that is not empty needs one. A window without any list concerns none.
//   - A window opens when its schedule says, on the wall clock of its zone, and
//     closes when its duration has passed on that wall clock. So a window from
//     22:00 for 8h ends at 06:00 also in the nights when clocks are changed, one
//     that begins within a skipped hour is open for what is left of it, and one
//     within a repeated hour is open twice.
//   - An open deny window denies, also when an allow window is open. Otherwise an
//     open allow window allows. Otherwise, if there are allow windows, all of
//     them closed, they deny. Otherwise it is allowed.
//   - A sync that somebody asked for may run all the same where every window that
//     denies says manualSync.
//   - A sync that is under way may go on all the same where every window that
//     denies says syncOverrun, and it was allowed when it began.
//
// An invalid window never allows what would be denied without it: an allow
// window that cannot be read is closed, a deny window, or one of an unknown
// kind, is open, and one with an invalid glob concerns every application.
// Argo CD refuses every sync then, except that it reads an unknown zone as UTC.
// CheckWindow keeps such windows from being stored.
func DecideWindows(windows []model.SyncWindow, facts WindowFacts) WindowDecision {
	if len(windows) == 0 {
		return WindowDecision{Allowed: true}
	}
	return CompileWindows(windows).Decide(facts)
}

// Windows are sync windows that were read, for those who ask often. It is safe
// for concurrent use.
type Windows struct{ all []window }

type window struct {
	spec                       *model.SyncWindow
	deny                       bool
	applications, ns, clusters []glob
	// everybody: it has an invalid glob.
	everybody bool
	times     *openings // nil: invalid
	zone      *time.Location
	err       *fault.Error
}

// CompileWindows reads sync windows. Invalid ones stay among them; see
// DecideWindows.
func CompileWindows(windows []model.SyncWindow) *Windows {
	out := &Windows{}
	for i := range windows {
		out.all = append(out.all, compileWindow(windows[i]))
	}
	return out
}

func compileWindow(spec model.SyncWindow) window {
	w := window{spec: &spec, deny: spec.Kind != "allow", zone: time.UTC}
	for _, list := range []struct {
		patterns []string
		to       *[]glob
	}{{spec.Applications, &w.applications}, {spec.Namespaces, &w.ns}, {spec.Clusters, &w.clusters}} {
		for _, text := range list.patterns {
			if checkWindowGlob(text) != nil {
				w.everybody = true
				continue
			}
			g, _ := compileGlob(text, "")
			*list.to = append(*list.to, g)
		}
	}
	if problems := checkWindow(spec); len(problems) > 0 {
		w.err = problems[0]
		return w
	}
	zone, schedule, _ := windowSchedule(spec)
	duration, _ := windowDuration(spec.Duration)
	w.times = newOpenings(schedule, duration)
	w.zone, _ = windowZone(zone)
	return w
}

func (w *window) concerns(f WindowFacts) bool {
	if w.everybody {
		return true
	}
	lists, hits := 0, 0
	for _, l := range []struct {
		globs  []glob
		values []string
	}{{w.applications, []string{f.App}}, {w.ns, []string{f.Namespace}}, {w.clusters, f.Clusters}} {
		if len(l.globs) == 0 {
			continue
		}
		lists++
		if anyMatch(l.globs, l.values) {
			hits++
		}
	}
	if w.spec.AndOperator {
		return hits > 0 && hits == lists
	}
	return hits > 0
}

func anyMatch(globs []glob, values []string) bool {
	for _, g := range globs {
		if slices.ContainsFunc(values, g.match) {
			return true
		}
	}
	return false
}

// wall is what a clock on the wall shows at t, as if it were UTC.
func (w *window) wall(t time.Time) time.Time {
	_, offset := t.In(w.zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// open reports whether the window is open at t.
func (w *window) open(t time.Time) bool {
	if w.times == nil {
		return w.deny
	}
	return w.times.open(w.wall(t))
}

// changes is the first moment after t when the window may open or close; zero:
// never.
func (w *window) changes(t time.Time) time.Time {
	if w.times == nil {
		return time.Time{}
	}
	// Where clocks are changed the wall shows another time.
	_, next := t.In(w.zone).ZoneBounds()
	wall := w.wall(t)
	var limit time.Time
	if !next.IsZero() {
		limit = wall.Add(next.Sub(t))
	}
	if at := w.times.changes(wall, limit); !at.IsZero() {
		if at := t.Add(at.Sub(wall)); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// maxSteps and maxLook bound how many openings and closings, and how much time,
// are followed to find one that changes the decision.
const (
	maxSteps = 100
	maxLook  = 400 * 24 * time.Hour
)

// Decide is DecideWindows.
func (ws *Windows) Decide(f WindowFacts) WindowDecision {
	var matching []*window
	for i := range ws.all {
		if w := &ws.all[i]; w.concerns(f) {
			matching = append(matching, w)
		}
	}
	if len(matching) == 0 {
		return WindowDecision{Allowed: true}
	}
	v := verdictAt(matching, f, f.Now)
	if v.why == noneOpen || v.why == allowsClosed {
		v.by = soonest(matching, v.by, f.Now)
	}
	next, exact := nextChange(matching, f, v.allowed)
	d := WindowDecision{Allowed: v.allowed, Reason: v.reason(next, exact), Next: next}
	if v.why != noneOpen {
		d.By = v.by.spec
	}
	return d
}

// nextChange is when the verdict may change; exact: it does.
func nextChange(matching []*window, f WindowFacts, allowed bool) (at time.Time, exact bool) {
	changes := make([]time.Time, len(matching))
	for i, w := range matching {
		changes[i] = w.changes(f.Now)
	}
	for range maxSteps {
		if at.Sub(f.Now) > maxLook {
			break
		}
		at = time.Time{}
		for _, c := range changes {
			if !c.IsZero() && (at.IsZero() || c.Before(at)) {
				at = c
			}
		}
		if at.IsZero() {
			return at, false
		}
		if verdictAt(matching, f, at).allowed != allowed {
			return at, true
		}
		for i, w := range matching {
			if !changes[i].IsZero() && !changes[i].After(at) {
				changes[i] = w.changes(at)
			}
		}
	}
	return at, false
}

// why a verdict is what it is.
type why int

const (
	noneOpen     why = iota // only deny windows, none of them open
	allowOpen               // an allow window is open
	denyOpen                // a deny window is open
	allowsClosed            // there are allow windows, none of them open
)

type verdict struct {
	allowed bool
	why     why
	by      *window
	// manual, overrun: it is allowed all the same.
	manual, overrun bool
}

func verdictAt(matching []*window, f WindowFacts, at time.Time) verdict {
	v := ruling(matching, at)
	if v.allowed {
		return v
	}
	manual, overrun := !f.Automated, !f.RunningSince.IsZero()
	for _, w := range matching {
		if denies := w.deny == (v.why == denyOpen) && w.open(at) == w.deny; denies {
			manual = manual && w.spec.ManualSync
			overrun = overrun && w.spec.SyncOverrun
		}
	}
	if overrun {
		began := f
		began.RunningSince = time.Time{}
		overrun = !f.RunningSince.After(at) && verdictAt(matching, began, f.RunningSince).allowed
	}
	v.manual, v.overrun = manual, overrun && !manual
	v.allowed = manual || overrun
	return v
}

// ruling is the verdict about an automated sync that is about to begin.
func ruling(matching []*window, at time.Time) verdict {
	var allow, deny, closed, closedDeny *window
	for _, w := range matching {
		switch open := w.open(at); {
		case w.deny && open:
			// A window that says neither manualSync nor syncOverrun is the one to name.
			if deny == nil || deny.spec.ManualSync && !w.spec.ManualSync {
				deny = w
			}
		case !w.deny && open && allow == nil:
			allow = w
		case !w.deny && !open:
			closed = w
		case w.deny && !open:
			closedDeny = w
		}
	}
	switch {
	case deny != nil:
		return verdict{why: denyOpen, by: deny}
	case allow != nil:
		return verdict{allowed: true, why: allowOpen, by: allow}
	case closed != nil:
		return verdict{why: allowsClosed, by: closed}
	}
	return verdict{allowed: true, why: noneOpen, by: closedDeny}
}

// soonest is the window that opens next of those that are closed and of the
// same kind as w.
func soonest(matching []*window, w *window, at time.Time) *window {
	var opens time.Time
	for _, o := range matching {
		if o.deny != w.deny || o.open(at) {
			continue
		}
		if x := o.changes(at); !x.IsZero() && (opens.IsZero() || x.Before(opens)) {
			w, opens = o, x
		}
	}
	return w
}

// reason is the verdict in words. next is when it changes, if exact.
func (v verdict) reason(next time.Time, exact bool) string {
	at := ""
	if exact {
		at = next.In(v.by.zone).Format("2006-01-02 15:04 MST")
	}
	s := v.by.name() + " is open"
	if v.why == allowsClosed {
		s = "no allow window is open; the next is the " + v.by.name()
	}
	switch {
	case v.manual:
		s += ", but lets people sync"
	case v.overrun:
		s += ", but lets a sync that has begun finish"
	case v.why == noneOpen && at == "":
		s = "no deny window is open"
	case v.why == noneOpen:
		s = "no deny window is open before " + at
	case v.allowed && at != "":
		s += " until " + at
	case at != "":
		s += "; syncs may run from " + at
	}
	if v.by.err != nil {
		s += "; it is not valid: " + v.by.err.Message
	}
	return cut(s)
}

// name says which window it is, as in: deny window "0 22 * * *" for 8h
// (Europe/Berlin; quarter end).
func (w *window) name() string {
	kind := w.spec.Kind
	if kind != "allow" && kind != "deny" {
		kind = quote(cutTo(kind, 20))
	}
	s := fmt.Sprintf("%s window %s for %s", kind, quote(cutTo(w.spec.Schedule, 60)), cutTo(w.spec.Duration, 20))
	more := ""
	if w.zone != time.UTC {
		more = w.zone.String()
	}
	if text := cutTo(w.spec.Description, 60); text != "" {
		if more != "" {
			more += "; "
		}
		more += text
	}
	if more != "" {
		s += " (" + more + ")"
	}
	return s
}
