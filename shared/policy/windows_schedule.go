package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // an image need not have a zone database

	"github.com/robfig/cron/v3"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// The limits of a sync window. maxWindowText is Argo CD's for descriptions.
const (
	maxWindowText     = 255
	maxWindowSchedule = 256
	maxWindowDuration = 10 * 366 * 24 * time.Hour
)

// CheckWindow reports what is wrong with a sync window: a fault.List of Invalid
// faults whose fields are those of the window, as in "schedule" or
// "clusters[1]", or nil.
func CheckWindow(w model.SyncWindow) error {
	if list := checkWindow(w); len(list) > 0 {
		return list
	}
	return nil
}

func checkWindow(w model.SyncWindow) (problems fault.List) {
	note := func(e *fault.Error) {
		if e != nil {
			problems = append(problems, e)
		}
	}
	if w.Kind != "allow" && w.Kind != "deny" {
		note(fault.New(fault.Invalid, "value_unknown", "kind is %s; allowed: allow, deny", quote(cutTo(w.Kind, 40))).
			WithField("kind").WithFound(cutTo(w.Kind, 40), "allow, deny"))
	}
	zone, _, err := windowSchedule(w)
	note(err)
	if err == nil || zone != "" {
		_, err = windowZone(zone)
		note(err)
	}
	_, err = windowDuration(w.Duration)
	note(err)
	if n := len([]rune(w.Description)); n > maxWindowText {
		note(fault.New(fault.Invalid, "value_too_long", "description has %d characters; at most %d are allowed", n, maxWindowText).
			WithField("description").WithFound(fmt.Sprint(n), fmt.Sprint(maxWindowText)))
	}
	for _, list := range []struct {
		field    string
		patterns []string
	}{{"applications", w.Applications}, {"namespaces", w.Namespaces}, {"clusters", w.Clusters}} {
		for i, text := range list.patterns {
			if err := checkWindowGlob(text); err != nil {
				field := fmt.Sprintf("%s[%d]", list.field, i)
				note(fault.New(fault.Invalid, "expression_invalid", "%s %s: %s", field, quote(cutTo(text, 60)), err).
					WithField(field).WithFound(quote(cutTo(text, 60)), "a glob: *, ?, [a-z], {a,b}"))
			}
		}
	}
	return problems
}

func checkWindowGlob(text string) error {
	if len(text) > 512 {
		return fmt.Errorf("pattern is %d characters; the limit is 512", len(text))
	}
	_, err := compileGlob(text, "")
	return err
}

// cronFields are what the five fields may hold, in the words and limits of
// robfig/cron.
var cronFields = []struct{ name, allowed string }{
	{"minute", "0-59"}, {"hour", "0-23"}, {"day of month", "1-31"}, {"month", "1-12 or JAN-DEC"}, {"day of week", "0-6 (0 is Sunday) or SUN-SAT"},
}

// descriptors are the names for schedules. @every has no fixed time at which it
// begins, so it cannot open a window.
var descriptors = []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// windowSchedule reads the schedule of a window. zone is the window's, or the
// one that the schedule begins with: "CRON_TZ=Europe/Berlin 0 2 * * *" is what
// cron takes, and so Argo CD without meaning to.
func windowSchedule(w model.SyncWindow) (zone string, schedule *cron.SpecSchedule, problem *fault.Error) {
	bad := func(format string, args ...any) (string, *cron.SpecSchedule, *fault.Error) {
		return w.TimeZone, nil, fault.New(fault.Invalid, "expression_invalid", "schedule %s: %s", quote(cutTo(w.Schedule, 60)), fmt.Sprintf(format, args...)).
			WithField("schedule").WithFound(quote(cutTo(w.Schedule, 60)), `minute hour "day of month" month "day of week", as in "0 22 * * 1-5"`)
	}
	text := strings.TrimSpace(w.Schedule)
	zone = w.TimeZone
	switch {
	case text == "":
		return zone, nil, fault.New(fault.Invalid, "field_missing", "schedule is missing").WithField("schedule")
	case len(text) > maxWindowSchedule:
		return bad("%d characters; at most %d are allowed", len(text), maxWindowSchedule)
	}
	for _, prefix := range []string{"CRON_TZ=", "TZ="} {
		rest, ok := strings.CutPrefix(text, prefix)
		if !ok {
			continue
		}
		name, after, _ := strings.Cut(rest, " ")
		if zone != "" && zone != name {
			return bad("it names the zone %s, and timeZone is %s; keep one", quote(cutTo(name, 40)), quote(cutTo(zone, 40)))
		}
		zone, text = name, strings.TrimSpace(after)
		break
	}
	if strings.HasPrefix(text, "@") {
		if !slices.Contains(descriptors, text) {
			if strings.HasPrefix(text, "@every") {
				return bad("@every has no fixed time to begin at; write the times, as in */30 * * * *")
			}
			return bad("%s is not known; known are %s", quote(cutTo(text, 40)), strings.Join(descriptors, ", "))
		}
		schedule, err := parseCron(text)
		if err != nil {
			return bad("%v", err)
		}
		return zone, schedule, nil
	}
	fields := strings.Fields(text)
	switch n := len(fields); {
	case n == 6:
		return bad("6 fields, 5 needed; there is none for seconds")
	case n != 5:
		return bad("%d fields, 5 needed", n)
	}
	for i, f := range fields {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = f
		if strings.Trim(f, ",") != f || strings.Contains(f, ",,") {
			return bad("the %s %s has nothing beside a comma; allowed are %s", cronFields[i].name, quote(cutTo(f, 40)), cronFields[i].allowed)
		}
		if _, err := cronParser.Parse(strings.Join(alone, " ")); err != nil {
			if f == "7" && i == 4 {
				return bad("the day of week 7 is not known; Sunday is 0")
			}
			return bad("the %s %s is wrong; allowed are %s, with lists (1,2), ranges (1-5) and steps (*/5)", cronFields[i].name, quote(cutTo(f, 40)), cronFields[i].allowed)
		}
	}
	schedule, err := parseCron(text)
	if err != nil {
		return bad("%v", err)
	}
	if schedule.Next(leapYear).IsZero() {
		return bad("there is no such day in any year")
	}
	return zone, schedule, nil
}

// parseCron reads a schedule that speaks of wall clocks, which are kept as UTC
// here.
func parseCron(text string) (*cron.SpecSchedule, error) {
	schedule, err := cronParser.Parse(text)
	if err != nil {
		return nil, err
	}
	spec, ok := schedule.(*cron.SpecSchedule)
	if !ok {
		return nil, errors.New("it has no fixed time to begin at")
	}
	spec.Location = time.UTC
	return spec, nil
}

// leapYear is before the leap day of a leap year, so that every day that there
// is comes within the five years that cron looks ahead.
var leapYear = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func windowZone(name string) (*time.Location, *fault.Error) {
	if name == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(name)
	if err == nil && (name == "Local" || loc == time.Local) {
		err = errors.New("it depends on the machine")
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "expression_invalid", "timeZone %s is not a name of the IANA database, as Europe/Berlin or UTC", quote(cutTo(name, 40))).
			WithField("timeZone").WithFound(quote(cutTo(name, 40)), "Europe/Berlin, America/New_York, UTC, …")
	}
	return loc, nil
}

func windowDuration(text string) (time.Duration, *fault.Error) {
	if text == "" {
		return 0, fault.New(fault.Invalid, "field_missing", "duration is missing").WithField("duration")
	}
	bad := func(why string) (time.Duration, *fault.Error) {
		return 0, fault.New(fault.Invalid, "expression_invalid", "duration %s %s", quote(cutTo(text, 40)), why).
			WithField("duration").WithFound(quote(cutTo(text, 40)), "30m, 8h, 1h30m")
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return bad("is not a duration; write one such as 30m, 8h or 1h30m (a day is 24h)")
	case d <= 0:
		return bad("is not positive: the window would never be open")
	case d > maxWindowDuration:
		return bad("is longer than ten years")
	}
	return d, nil
}
