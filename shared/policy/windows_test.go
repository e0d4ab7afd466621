package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// at reads a time such as "2026-03-10 22:30", in UTC or with a zone behind it.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	zone := time.UTC
	if f := strings.Fields(text); len(f) == 3 {
		var err error
		if zone, err = time.LoadLocation(f[2]); err != nil {
			t.Fatal(err)
		}
		text = f[0] + " " + f[1]
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if v, err := time.ParseInLocation(layout, text, zone); err == nil {
			return v
		}
	}
	t.Fatalf("no time: %q", text)
	return time.Time{}
}

type windows = []model.SyncWindow

func allow(schedule, duration string) model.SyncWindow {
	return model.SyncWindow{Kind: "allow", Schedule: schedule, Duration: duration, Applications: []string{"*"}}
}

func deny(schedule, duration string) model.SyncWindow {
	w := allow(schedule, duration)
	w.Kind = "deny"
	return w
}

func manual(w model.SyncWindow) model.SyncWindow  { w.ManualSync = true; return w }
func overrun(w model.SyncWindow) model.SyncWindow { w.SyncOverrun = true; return w }
func zoned(zone string, w model.SyncWindow) model.SyncWindow {
	w.TimeZone = zone
	return w
}

func TestWindows(t *testing.T) {
	const night, day = "0 22 * * *", "0 9 * * *" // 8h each
	for _, c := range []struct {
		name     string
		windows  windows
		now      string
		byPerson bool
		since    string
		allowed  bool
		next     string // "" never
		says     string
	}{
		{"none", nil, "2026-03-10 12:00", false, "", true, "", ""},
		{"an open allow window", windows{allow(day, "8h")}, "2026-03-10 12:00", false, "", true, "2026-03-10 17:00", `allow window "0 9 * * *" for 8h is open until 2026-03-10 17:00 UTC`},
		{"a closed allow window denies", windows{allow(day, "8h")}, "2026-03-10 18:00", false, "", false, "2026-03-11 09:00", `no allow window is open; the next is the allow window "0 9 * * *" for 8h; syncs may run from 2026-03-11 09:00 UTC`},
		{"it opens at its very moment", windows{allow(day, "8h")}, "2026-03-10 09:00", false, "", true, "2026-03-10 17:00", ""},
		{"it is closed at the end of its duration", windows{allow(day, "8h")}, "2026-03-10 17:00", false, "", false, "2026-03-11 09:00", ""},
		{"a person neither, if it does not say manualSync", windows{allow(day, "8h")}, "2026-03-10 18:00", true, "", false, "2026-03-11 09:00", ""},
		{"a person may, if it says manualSync", windows{manual(allow(day, "8h"))}, "2026-03-10 18:00", true, "", true, "far", "but lets people sync"},
		{"manualSync is not for automated syncs", windows{manual(allow(day, "8h"))}, "2026-03-10 18:00", false, "", false, "2026-03-11 09:00", ""},
		{"every closed allow window must say manualSync", windows{manual(allow(day, "8h")), allow("0 8 * * *", "1h")}, "2026-03-10 18:00", true, "", false, "2026-03-11 08:00", ""},
		{"one of two allow windows is enough", windows{allow(day, "8h"), allow("0 1 * * *", "1h")}, "2026-03-10 12:00", false, "", true, "2026-03-10 17:00", ""},

		{"an open deny window", windows{deny(night, "8h")}, "2026-03-10 23:00", false, "", false, "2026-03-11 06:00", `deny window "0 22 * * *" for 8h is open; syncs may run from 2026-03-11 06:00 UTC`},
		{"after midnight", windows{deny(night, "8h")}, "2026-03-11 05:59", false, "", false, "2026-03-11 06:00", ""},
		{"a closed deny window allows", windows{deny(night, "8h")}, "2026-03-10 12:00", false, "", true, "2026-03-10 22:00", "no deny window is open before 2026-03-10 22:00 UTC"},
		{"a person neither", windows{deny(night, "8h")}, "2026-03-10 23:00", true, "", false, "2026-03-11 06:00", ""},
		{"a person may with manualSync", windows{manual(deny(night, "8h"))}, "2026-03-10 23:00", true, "", true, "far", "but lets people sync"},
		{"every open deny window must say manualSync", windows{manual(deny(night, "8h")), deny("0 23 * * *", "1h")}, "2026-03-10 23:30", true, "", false, "2026-03-11 00:00", `deny window "0 23 * * *"`},
		{"closed ones need not", windows{manual(deny(night, "8h")), deny("0 23 * * *", "1h")}, "2026-03-11 00:30", true, "", true, "2026-03-11 23:00", ""},

		{"deny beats allow", windows{allow("0 0 * * *", "24h"), deny(night, "8h")}, "2026-03-10 23:00", false, "", false, "2026-03-11 06:00", ""},
		{"deny beats allow whatever the order", windows{deny(night, "8h"), allow("0 0 * * *", "24h")}, "2026-03-10 23:00", false, "", false, "2026-03-11 06:00", ""},
		{"when deny closes the closed allow window still denies", windows{deny(night, "8h"), allow(day, "8h")}, "2026-03-11 05:00", false, "", false, "2026-03-11 09:00", "syncs may run from 2026-03-11 09:00 UTC"},
		{"manualSync of an allow window does not beat deny", windows{deny(night, "8h"), manual(allow(day, "8h"))}, "2026-03-10 23:00", true, "", false, "2026-03-11 06:00", ""},
		{"two deny windows one after the other", windows{deny("0 22 * * *", "2h"), deny("0 0 * * *", "3h")}, "2026-03-10 22:30", false, "", false, "2026-03-11 03:00", ""},
		{"two allow windows one after the other", windows{allow("0 9 * * *", "3h"), allow("0 12 * * *", "5h")}, "2026-03-10 10:00", false, "", true, "2026-03-10 17:00", ""},

		{"no window, then deny with overrun", windows{overrun(deny(night, "8h"))}, "2026-03-10 23:00", false, "2026-03-10 21:59", true, "far", "but lets a sync that has begun finish"},
		{"a sync that is to begin then is denied", windows{overrun(deny(night, "8h"))}, "2026-03-10 23:00", false, "", false, "2026-03-11 06:00", ""},
		{"a sync that began within it is denied", windows{overrun(deny(night, "8h"))}, "2026-03-10 23:00", false, "2026-03-10 22:30", false, "2026-03-11 06:00", ""},
		{"no window, then deny without overrun", windows{deny(night, "8h")}, "2026-03-10 23:00", false, "2026-03-10 21:59", false, "2026-03-11 06:00", ""},
		{"allow with overrun, then deny with overrun", windows{overrun(allow("0 20 * * *", "2h")), overrun(deny(night, "8h"))}, "2026-03-10 23:00", false, "2026-03-10 21:59", true, "far", ""},
		{"allow with overrun, then deny without", windows{overrun(allow("0 20 * * *", "2h")), deny(night, "8h")}, "2026-03-10 23:00", false, "2026-03-10 21:59", false, "2026-03-11 06:00", ""},
		{"allow without overrun, then deny with overrun", windows{allow("0 20 * * *", "2h"), overrun(deny(night, "8h"))}, "2026-03-10 23:00", false, "2026-03-10 21:59", true, "2026-03-11 06:00", ""},
		{"allow without overrun, then deny without", windows{allow("0 20 * * *", "2h"), deny(night, "8h")}, "2026-03-10 23:00", false, "2026-03-10 21:59", false, "2026-03-11 20:00", ""},
		{"allow with overrun ends", windows{overrun(allow(day, "8h"))}, "2026-03-10 18:00", false, "2026-03-10 16:59", true, "far", ""},
		{"allow without overrun ends", windows{allow(day, "8h")}, "2026-03-10 18:00", false, "2026-03-10 16:59", false, "2026-03-11 09:00", ""},
		{"several allow windows with overrun end", windows{overrun(allow(day, "8h")), overrun(allow("0 10 * * *", "7h"))}, "2026-03-10 18:00", false, "2026-03-10 16:59", true, "far", ""},
		{"one of several allow windows is without", windows{overrun(allow(day, "8h")), allow("0 10 * * *", "7h")}, "2026-03-10 18:00", false, "2026-03-10 16:59", false, "2026-03-11 09:00", ""},
		{"overrun of both open deny windows", windows{overrun(deny(night, "8h")), overrun(deny("0 23 * * *", "1h"))}, "2026-03-10 23:30", false, "2026-03-10 21:00", true, "far", ""},
		{"overrun of one of two open deny windows", windows{overrun(deny(night, "8h")), deny("0 23 * * *", "1h")}, "2026-03-10 23:30", false, "2026-03-10 21:00", false, "2026-03-11 00:00", ""},
		{"a person's sync that began by manualSync may finish", windows{manual(overrun(allow(day, "8h")))}, "2026-03-10 18:00", true, "2026-03-10 17:30", true, "far", ""},
		{"a person's sync overruns as well", windows{overrun(deny(night, "8h"))}, "2026-03-10 23:00", true, "2026-03-10 21:59", true, "far", ""},

		{"always open", windows{deny("* * * * *", "1h")}, "2026-03-10 12:00:30", false, "", false, "far", ""},
		{"longer than its period", windows{deny("0 * * * *", "90m")}, "2026-03-10 12:10", false, "", false, "far", ""},
		{"as long as its period", windows{allow("0 0 * * *", "24h")}, "2026-03-10 00:00", false, "", true, "far", ""},
		{"a second shorter than its period", windows{allow("0 0 * * *", "23h59m59s")}, "2026-03-10 23:59:59", false, "", false, "2026-03-11 00:00", ""},
		{"overlapping openings end with the last", windows{deny("0 9,10,11 * * *", "90m")}, "2026-03-10 09:30", false, "", false, "2026-03-10 12:30", ""},
		{"weekdays", windows{allow("0 9 * * 1-5", "8h")}, "2026-03-13 18:00", false, "", false, "2026-03-16 09:00", ""},
		{"names", windows{allow("0 9 * MAR MON-FRI", "8h")}, "2026-03-31 18:00", false, "", false, "2027-03-01 09:00", ""},
		{"a week from Friday evening", windows{deny("0 18 * * 5", "62h")}, "2026-03-15 12:00", false, "", false, "2026-03-16 08:00", ""},
		{"a year", windows{deny("0 0 24 12 *", "192h")}, "2026-12-31 12:00", false, "", false, "2027-01-01 00:00", ""},
		{"a leap day", windows{allow("0 0 29 2 *", "24h")}, "2026-03-10 12:00", false, "", false, "2028-02-29 00:00", ""},
		{"a descriptor", windows{allow("@daily", "1h")}, "2026-03-10 12:00", false, "", false, "2026-03-11 00:00", ""},

		{"another zone", windows{zoned("America/New_York", allow(day, "8h"))}, "2026-01-10 12:00", false, "", false, "2026-01-10 14:00", "syncs may run from 2026-01-10 09:00 EST"},
		{"a zone with half an hour", windows{zoned("Asia/Kolkata", allow(day, "8h"))}, "2026-01-10 03:29", false, "", false, "2026-01-10 03:30", ""},
		{"the zone in the schedule", windows{allow("CRON_TZ=America/New_York 0 9 * * *", "8h")}, "2026-01-10 12:00", false, "", false, "2026-01-10 14:00", ""},
		{"another day there", windows{zoned("Pacific/Auckland", deny("0 0 * * 0", "24h"))}, "2026-07-04 13:00", false, "", false, "2026-07-05 12:00", ""},

		// Clocks go from 02:00 to 03:00 on 2026-03-29 and from 03:00 to 02:00 on
		// 2026-10-25 in Berlin.
		{"the night that loses an hour", windows{zoned("Europe/Berlin", deny(night, "8h"))}, "2026-03-28 23:00 Europe/Berlin", false, "", false, "2026-03-29 06:00 Europe/Berlin", ""},
		{"the night that gains an hour", windows{zoned("Europe/Berlin", deny(night, "8h"))}, "2026-10-24 23:00 Europe/Berlin", false, "", false, "2026-10-25 06:00 Europe/Berlin", ""},
		{"begins within the skipped hour", windows{zoned("Europe/Berlin", allow("30 2 * * *", "1h"))}, "2026-03-29 01:59 Europe/Berlin", false, "", false, "2026-03-29 03:00 Europe/Berlin", ""},
		{"what is left of it", windows{zoned("Europe/Berlin", allow("30 2 * * *", "1h"))}, "2026-03-29 03:10 Europe/Berlin", false, "", true, "2026-03-29 03:30 Europe/Berlin", ""},
		{"all of it is skipped", windows{zoned("Europe/Berlin", allow("10 2 * * *", "20m"))}, "2026-03-29 01:59 Europe/Berlin", false, "", false, "2026-03-30 02:10 Europe/Berlin", ""},
		{"within the repeated hour, first", windows{zoned("Europe/Berlin", allow("30 2 * * *", "10m"))}, "2026-10-25 00:35", false, "", true, "2026-10-25 00:40", ""},
		{"within the repeated hour, between", windows{zoned("Europe/Berlin", allow("30 2 * * *", "10m"))}, "2026-10-25 00:45", false, "", false, "2026-10-25 01:30", ""},
		{"within the repeated hour, again", windows{zoned("Europe/Berlin", allow("30 2 * * *", "10m"))}, "2026-10-25 01:35", false, "", true, "2026-10-25 01:40", ""},
		{"over the repeated hour", windows{zoned("Europe/Berlin", allow("30 1 * * *", "1h"))}, "2026-10-25 00:15", false, "", true, "2026-10-25 00:30", ""},
		{"over the repeated hour, again", windows{zoned("Europe/Berlin", allow("30 1 * * *", "1h"))}, "2026-10-25 00:45", false, "", false, "2026-10-25 01:00", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := WindowFacts{App: "web", Namespace: "shop", Clusters: []string{"prod"}, Automated: !c.byPerson, Now: at(t, c.now)}
			if c.since != "" {
				f.RunningSince = at(t, c.since)
			}
			d := DecideWindows(c.windows, f)
			if d.Allowed != c.allowed {
				t.Errorf("allowed: %v (%s)", d.Allowed, d.Reason)
			}
			switch c.next {
			case "":
				if !d.Next.IsZero() {
					t.Errorf("next is %s, want never", d.Next)
				}
			case "far":
				if !d.Next.IsZero() && d.Next.Sub(f.Now) < 4*time.Hour {
					t.Errorf("next is %s", d.Next)
				}
			default:
				if want := at(t, c.next); !d.Next.Equal(want) {
					t.Errorf("next is %s, want %s (%s)", d.Next, want, d.Reason)
				}
			}
			if !strings.Contains(d.Reason, c.says) || (d.Reason == "") != (len(c.windows) == 0) {
				t.Errorf("reason %q, want %q", d.Reason, c.says)
			}
			if !d.Allowed && d.By == nil {
				t.Error("denied by nothing")
			}
		})
	}
}

func TestWindowsConcern(t *testing.T) {
	base := WindowFacts{App: "web", Namespace: "shop", Clusters: []string{"prod-eu", "https://10.0.0.1:6443", "https://kubernetes.default.svc"}}
	for _, c := range []struct {
		name         string
		apps, ns, cl []string
		and          bool
		facts        WindowFacts
		want         bool
	}{
		{"no list", nil, nil, nil, false, base, false},
		{"no list, with and", nil, nil, nil, true, base, false},
		{"name", []string{"web"}, nil, nil, false, base, true},
		{"other name", []string{"api"}, nil, nil, false, base, false},
		{"glob", []string{"api", "w*"}, nil, nil, false, base, true},
		{"star crosses a slash", nil, nil, []string{"https*"}, false, base, true},
		{"alternatives", []string{"{api,web}"}, nil, nil, false, base, true},
		{"no negation", []string{"!api"}, nil, nil, false, base, false},
		{"namespace", nil, []string{"shop"}, nil, false, base, true},
		{"no namespace", nil, []string{"*"}, nil, false, WindowFacts{App: "web"}, true},
		{"no namespace and another", nil, []string{"s*"}, nil, false, WindowFacts{App: "web"}, false},
		{"cluster by name", nil, nil, []string{"prod-*"}, false, base, true},
		{"cluster by server", nil, nil, []string{"https://10.0.0.1:6443"}, false, base, true},
		{"cluster by alias", nil, nil, []string{"https://kubernetes.default.svc"}, false, base, true},
		{"no cluster", nil, nil, []string{"*"}, false, WindowFacts{App: "web"}, false},
		{"or: one is enough", []string{"api"}, []string{"shop"}, []string{"test"}, false, base, true},
		{"or: none", []string{"api"}, []string{"other"}, []string{"test"}, false, base, false},
		{"and: all", []string{"web"}, []string{"shop"}, []string{"prod-eu"}, true, base, true},
		{"and: not the name", []string{"api"}, []string{"shop"}, []string{"prod-eu"}, true, base, false},
		{"and: not the namespace", []string{"web"}, []string{"x"}, []string{"prod-eu"}, true, base, false},
		{"and: not the cluster", []string{"web"}, []string{"shop"}, []string{"x"}, true, base, false},
		{"and: empty lists do not count", []string{"web"}, nil, []string{"prod-eu"}, true, base, true},
		{"and: one list", nil, []string{"shop"}, nil, true, base, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := deny("* * * * *", "1h")
			w.Applications, w.Namespaces, w.Clusters, w.AndOperator = c.apps, c.ns, c.cl, c.and
			c.facts.Now = at(t, "2026-03-10 12:00")
			if d := DecideWindows(windows{w}, c.facts); d.Allowed == c.want {
				t.Errorf("concerns it: %v, want %v", !d.Allowed, c.want)
			}
		})
	}
}

func TestInvalidWindowNeverAllowsMore(t *testing.T) {
	f := WindowFacts{App: "web", Namespace: "shop", Clusters: []string{"prod"}, Automated: true, Now: at(t, "2026-03-10 12:00")}
	bad := map[string]func(model.SyncWindow) model.SyncWindow{
		"schedule": func(w model.SyncWindow) model.SyncWindow { w.Schedule = "* * *"; return w },
		"duration": func(w model.SyncWindow) model.SyncWindow { w.Duration = "5 minutes"; return w },
		"zone":     func(w model.SyncWindow) model.SyncWindow { w.TimeZone = "Mars/Olympus"; return w },
		"glob":     func(w model.SyncWindow) model.SyncWindow { w.Applications = []string{"[x"}; return w },
		"never":    func(w model.SyncWindow) model.SyncWindow { w.Schedule = "0 0 30 2 *"; return w },
	}
	for name, spoil := range bad {
		for _, c := range []struct {
			name     string
			windows  windows
			byPerson bool
			allowed  bool
		}{
			{"deny is open", windows{spoil(deny("0 0 1 1 *", "1m"))}, false, false},
			{"deny is open for people", windows{spoil(deny("0 0 1 1 *", "1m"))}, true, false},
			{"deny with manualSync", windows{spoil(manual(deny("0 0 1 1 *", "1m")))}, true, true},
			{"allow is closed", windows{spoil(allow("* * * * *", "1h"))}, false, false},
			{"another allow window still counts", windows{spoil(allow("* * * * *", "1h")), allow("0 12 * * *", "1h")}, false, true},
			{"beside a deny window", windows{spoil(allow("* * * * *", "1h")), deny("0 12 * * *", "1h")}, false, false},
		} {
			f.Automated = !c.byPerson
			d := DecideWindows(c.windows, f)
			if d.Allowed != c.allowed {
				t.Errorf("%s, %s: allowed is %v: %s", name, c.name, d.Allowed, d.Reason)
			}
			if !d.Allowed && d.By.Kind == c.windows[0].Kind && !strings.Contains(d.Reason, "not valid") {
				t.Errorf("%s, %s: the reason does not say that it is not valid: %s", name, c.name, d.Reason)
			}
		}
	}
	f.Automated = true
	for _, kind := range []string{"", "Deny", "block"} {
		w := deny("0 0 1 1 *", "1m")
		w.Kind = kind
		if d := DecideWindows(windows{w}, f); d.Allowed {
			t.Errorf("a window of the kind %q allows", kind)
		}
	}
}

func TestCheckWindow(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*model.SyncWindow)
		field  string // "" valid
		says   string
	}{
		{"valid", func(*model.SyncWindow) {}, "", ""},
		{"without a list", func(w *model.SyncWindow) { w.Applications = nil }, "", ""},
		{"ranges, lists, steps", func(w *model.SyncWindow) { w.Schedule = "*/5 0,12 1-7 JAN-MAR MON" }, "", ""},
		{"question marks", func(w *model.SyncWindow) { w.Schedule = "0 0 ? * ?" }, "", ""},
		{"blanks", func(w *model.SyncWindow) { w.Schedule = "  0  22 * * *\t" }, "", ""},
		{"descriptor", func(w *model.SyncWindow) { w.Schedule = "@weekly" }, "", ""},
		{"leap day", func(w *model.SyncWindow) { w.Schedule = "0 0 29 2 *" }, "", ""},
		{"zone", func(w *model.SyncWindow) { w.TimeZone = "Europe/Amsterdam" }, "", ""},
		{"zone in the schedule", func(w *model.SyncWindow) { w.Schedule = "TZ=Asia/Tokyo 0 1 * * *" }, "", ""},
		{"zone in both", func(w *model.SyncWindow) { w.Schedule, w.TimeZone = "TZ=Asia/Tokyo 0 1 * * *", "Asia/Tokyo" }, "", ""},
		{"a long window", func(w *model.SyncWindow) { w.Duration = "8784h" }, "", ""},
		{"fractions", func(w *model.SyncWindow) { w.Duration = "1.5h" }, "", ""},

		{"kind", func(w *model.SyncWindow) { w.Kind = "block" }, "kind", `kind is "block"; allowed: allow, deny`},
		{"no kind", func(w *model.SyncWindow) { w.Kind = "" }, "kind", `kind is ""`},
		{"no schedule", func(w *model.SyncWindow) { w.Schedule = "" }, "schedule", "schedule is missing"},
		{"three fields", func(w *model.SyncWindow) { w.Schedule = "* * *" }, "schedule", `schedule "* * *": 3 fields, 5 needed`},
		{"seconds", func(w *model.SyncWindow) { w.Schedule = "0 0 22 * * *" }, "schedule", "there is none for seconds"},
		{"minute", func(w *model.SyncWindow) { w.Schedule = "60 22 * * *" }, "schedule", `the minute "60" is wrong; allowed are 0-59`},
		{"hour", func(w *model.SyncWindow) { w.Schedule = "0 24 * * *" }, "schedule", `the hour "24" is wrong; allowed are 0-23`},
		{"day", func(w *model.SyncWindow) { w.Schedule = "0 0 32 * *" }, "schedule", `the day of month "32" is wrong`},
		{"day zero", func(w *model.SyncWindow) { w.Schedule = "0 0 0 * *" }, "schedule", `the day of month "0" is wrong`},
		{"month", func(w *model.SyncWindow) { w.Schedule = "0 0 * XYZ *" }, "schedule", `the month "XYZ" is wrong; allowed are 1-12 or JAN-DEC`},
		{"Sunday as 7", func(w *model.SyncWindow) { w.Schedule = "0 0 * * 7" }, "schedule", "Sunday is 0"},
		{"weekday", func(w *model.SyncWindow) { w.Schedule = "0 0 * * funday" }, "schedule", `the day of week "funday" is wrong`},
		{"backwards", func(w *model.SyncWindow) { w.Schedule = "0 17-9 * * *" }, "schedule", `the hour "17-9" is wrong`},
		{"step zero", func(w *model.SyncWindow) { w.Schedule = "*/0 * * * *" }, "schedule", `the minute "*/0" is wrong`},
		{"comma", func(w *model.SyncWindow) { w.Schedule = "0, 9 * * *" }, "schedule", "nothing beside a comma"},
		{"only commas", func(w *model.SyncWindow) { w.Schedule = ", 9 * * *" }, "schedule", "nothing beside a comma"},
		{"no such day", func(w *model.SyncWindow) { w.Schedule = "0 0 30 2 *" }, "schedule", "there is no such day in any year"},
		{"every", func(w *model.SyncWindow) { w.Schedule = "@every 1h" }, "schedule", "no fixed time to begin"},
		{"descriptor", func(w *model.SyncWindow) { w.Schedule = "@reboot" }, "schedule", `"@reboot" is not known`},
		{"words", func(w *model.SyncWindow) { w.Schedule = "every day at nine in" }, "schedule", `the minute "every" is wrong`},
		{"zone without a schedule", func(w *model.SyncWindow) { w.Schedule = "TZ=" }, "schedule", "0 fields, 5 needed"},
		{"too long", func(w *model.SyncWindow) { w.Schedule = strings.Repeat("0,", 400) + "0 * * * *" }, "schedule", "at most 256"},
		{"two zones", func(w *model.SyncWindow) { w.Schedule, w.TimeZone = "TZ=Asia/Tokyo 0 1 * * *", "UTC" }, "schedule", "keep one"},
		{"unknown zone", func(w *model.SyncWindow) { w.TimeZone = "Mars/Olympus" }, "timeZone", `timeZone "Mars/Olympus" is not a name`},
		{"unknown zone in the schedule", func(w *model.SyncWindow) { w.Schedule = "TZ=Mars 0 1 * * *" }, "timeZone", `"Mars"`},
		{"the machine's zone", func(w *model.SyncWindow) { w.TimeZone = "Local" }, "timeZone", `"Local"`},
		{"a zone that is a path", func(w *model.SyncWindow) { w.TimeZone = "../../etc/passwd" }, "timeZone", "is not a name"},
		{"an offset", func(w *model.SyncWindow) { w.TimeZone = "+02:00" }, "timeZone", "is not a name"},
		{"no duration", func(w *model.SyncWindow) { w.Duration = "" }, "duration", "duration is missing"},
		{"duration in words", func(w *model.SyncWindow) { w.Duration = "5 minutes" }, "duration", `duration "5 minutes" is not a duration`},
		{"days", func(w *model.SyncWindow) { w.Duration = "2d" }, "duration", "a day is 24h"},
		{"without a unit", func(w *model.SyncWindow) { w.Duration = "60" }, "duration", "is not a duration"},
		{"zero", func(w *model.SyncWindow) { w.Duration = "0s" }, "duration", "is not positive"},
		{"negative", func(w *model.SyncWindow) { w.Duration = "-1s" }, "duration", "is not positive"},
		{"ten years", func(w *model.SyncWindow) { w.Duration = "100000h" }, "duration", "longer than ten years"},
		{"glob", func(w *model.SyncWindow) { w.Clusters = []string{"a", "[b"} }, "clusters[1]", `clusters[1] "[b"`},
		{"long glob", func(w *model.SyncWindow) { w.Namespaces = []string{strings.Repeat("a", 600)} }, "namespaces[0]", "600 characters"},
		{"description", func(w *model.SyncWindow) { w.Description = strings.Repeat("x", 256) }, "description", "256 characters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := allow("0 9 * * *", "8h")
			c.change(&w)
			err := CheckWindow(w)
			if c.field == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var list fault.List
			if !errors.As(err, &list) || len(list) != 1 {
				t.Fatalf("got %v", err)
			}
			e := list[0]
			if e.Kind != fault.Invalid || e.Field != c.field || !strings.Contains(e.Message, c.says) || len(e.Message) > 300 {
				t.Errorf("%s: %s: %s", e.Code, e.Field, e.Message)
			}
		})
	}
	if err := CheckWindow(model.SyncWindow{}); err == nil || len(err.(fault.List)) != 3 {
		t.Errorf("an empty window: %v", err)
	}
}

var someSchedules = []string{"* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "0 22 * * *", "59 23 * * 0", "0 9 * * 1-5", "15,45 1-3 * * *", "0 0 1 * *", "0 0 29 2 *", "30 1,2,3 25-31 3,10 *", "@hourly", "@monthly"}
var someDurations = []string{"30s", "1m", "20m", "1h", "90m", "8h", "24h", "47h", "192h"}
var someZones = []string{"", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "America/St_Johns"}

func someWindow(r *rand.Rand) model.SyncWindow {
	return model.SyncWindow{Kind: []string{"allow", "deny"}[r.IntN(2)], Schedule: someSchedules[r.IntN(len(someSchedules))], Duration: someDurations[r.IntN(len(someDurations))],
		TimeZone: someZones[r.IntN(len(someZones))], Applications: []string{"*"}, ManualSync: r.IntN(3) == 0, SyncOverrun: r.IntN(2) == 0}
}

// someTime is often near a change of clocks.
func someTime(r *rand.Rand) time.Time {
	base := time.Date(2026, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(2)*r.IntN(1e9), time.UTC)
	if r.IntN(2) == 0 {
		changes := []time.Time{time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC), time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC)}
		base = changes[r.IntN(len(changes))].Add(time.Duration(r.Int64N(int64(6*time.Hour))) - 3*time.Hour)
	}
	return base
}

// Between Now and Next the answer stays, and where it is said to change at Next
// it does.
func TestNextIsTheMomentOfTheChange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	changed, total := 0, 500
	for range total {
		var ws windows
		for range 1 + r.IntN(4) {
			ws = append(ws, someWindow(r))
		}
		compiled := CompileWindows(ws)
		f := WindowFacts{App: "a", Automated: r.IntN(2) == 0, Now: someTime(r)}
		if r.IntN(3) == 0 {
			f.RunningSince = f.Now.Add(-time.Duration(r.Int64N(int64(12 * time.Hour))))
		}
		d := compiled.Decide(f)
		horizon := d.Next
		if horizon.IsZero() {
			horizon = f.Now.Add(1000 * time.Hour)
		}
		if !horizon.After(f.Now) {
			t.Fatalf("%+v: next %s is not after now %s", ws, d.Next, f.Now)
		}
		span := horizon.Sub(f.Now)
		samples := []time.Duration{0, 1, span - 1, span - time.Second, span / 2}
		for range 40 {
			samples = append(samples, time.Duration(r.Int64N(int64(span))))
		}
		for k := time.Minute; k < min(span, 5*time.Hour); k += 5 * time.Minute {
			samples = append(samples, k)
		}
		for _, s := range samples {
			if s < 0 || s >= span {
				continue
			}
			g := f
			g.Now = f.Now.Add(s)
			if e := compiled.Decide(g); e.Allowed != d.Allowed {
				t.Fatalf("%+v\nfacts %+v: %v until %s, but %v at %s: %s", ws, f, d.Allowed, d.Next, e.Allowed, g.Now, e.Reason)
			}
		}
		if d.Next.IsZero() {
			continue
		}
		g := f
		g.Now = d.Next
		if compiled.Decide(g).Allowed != d.Allowed {
			changed++
		} else if strings.Contains(d.Reason, "until") || strings.Contains(d.Reason, "from") || strings.Contains(d.Reason, "before") {
			t.Fatalf("%+v\nfacts %+v: nothing changes at %s: %s", ws, f, d.Next, d.Reason)
		}
	}
	if changed < total/3 {
		t.Errorf("only %d of %d answers change at all", changed, total)
	}
}

// openByMinutes is what it means that a window is open, without any of the
// clever parts: a minute at which the wall clock's fields are those of the
// schedule lies less than the duration back on the wall clock.
func openByMinutes(t *testing.T, w model.SyncWindow, now time.Time) bool {
	t.Helper()
	zone, schedule, err := windowSchedule(w)
	if err != nil {
		t.Fatal(err)
	}
	loc, _ := windowZone(zone)
	d, _ := windowDuration(w.Duration)
	y, mo, da := now.In(loc).Date()
	h, mi, s := now.In(loc).Clock()
	wall := time.Date(y, mo, da, h, mi, s, now.Nanosecond(), time.UTC)
	for m := wall.Truncate(time.Minute); wall.Sub(m) < d; m = m.Add(-time.Minute) {
		if schedule.Next(m.Add(-time.Second)).Equal(m) {
			return true
		}
	}
	return false
}

func TestOpenIsWhatTheWallClockSays(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	opened := 0
	for range 2000 {
		spec := someWindow(r)
		w := compileWindow(spec)
		now := someTime(r)
		want := openByMinutes(t, spec, now)
		if got := w.open(now); got != want {
			t.Fatalf("%+v at %s (%s): open %v, want %v", spec, now, now.In(w.zone), got, want)
		}
		if want {
			opened++
		}
	}
	if opened < 200 || opened > 1800 {
		t.Errorf("%d of 2000 are open: the sample says little", opened)
	}
}

// The openings of a window are those that the cron library finds.
func TestOpeningsAreThoseOfCron(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		spec := someWindow(r)
		w := compileWindow(spec)
		_, schedule, err := windowSchedule(spec)
		if err != nil {
			t.Fatal(err)
		}
		wall := someTime(r)
		opens := schedule.Next(wall.Add(-w.times.duration))
		if got, want := w.times.open(wall), !opens.After(wall); got != want {
			t.Fatalf("%+v at %s: open is %v, want %v", spec, wall, got, want)
		}
		if opens.After(wall) {
			if got := w.times.changes(wall, time.Time{}); !got.Equal(opens) {
				t.Fatalf("%+v at %s: opens at %s, want %s", spec, wall, got, opens)
			}
			continue
		}
		// Follow the openings one by one for some days.
		closes, tries := opens.Add(w.times.duration), 0
		for ; tries < 2_000; tries++ {
			if opens = schedule.Next(opens); opens.IsZero() || opens.After(closes) {
				break
			}
			closes = opens.Add(w.times.duration)
		}
		got := w.times.changes(wall, time.Time{})
		switch {
		case tries < 2_000 && closes.Sub(wall) < maxLook && !got.Equal(closes):
			t.Fatalf("%+v at %s: closes at %s, want %s", spec, wall, got, closes)
		case tries == 2_000 && !got.IsZero() && got.Before(closes) && got.Before(wall.Add(maxLook)):
			t.Fatalf("%+v at %s: closes at %s, and is open until %s at least", spec, wall, got, closes)
		}
	}
}

// Adding windows that nobody can read never allows anything.
func TestInvalidWindowsOnlyTakeAway(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		var ws windows
		for range r.IntN(4) {
			ws = append(ws, someWindow(r))
		}
		bad := someWindow(r)
		switch r.IntN(4) {
		case 0:
			bad.Schedule = "nonsense"
		case 1:
			bad.Duration = "long"
		case 2:
			bad.TimeZone = "Nowhere"
		case 3:
			bad.Applications = []string{"{"}
		}
		bad.ManualSync, bad.SyncOverrun = false, false
		f := WindowFacts{App: "a", Automated: r.IntN(2) == 0, Now: someTime(r)}
		without := DecideWindows(ws, f).Allowed
		with := DecideWindows(slices.Insert(slices.Clone(ws), r.IntN(len(ws)+1), bad), f).Allowed
		if with && !without {
			t.Fatalf("%+v allows what is denied without it: %+v, %+v", bad, ws, f)
		}
	}
}

func FuzzWindow(f *testing.F) {
	for _, s := range someSchedules {
		f.Add("allow", s, "1h", "Europe/Berlin", "*", int64(1_780_000_000))
	}
	f.Add("deny", "TZ=", "1h", "", "[", int64(0))
	f.Add("deny", "CRON_TZ=UTC @daily", "-1ns", "Local", "", int64(-1))
	f.Add("x", "0 0 31 2 *", "9999999h", "../x", "{a,b}", int64(1)<<40)
	f.Fuzz(func(t *testing.T, kind, schedule, duration, zone, app string, sec int64) {
		w := model.SyncWindow{Kind: kind, Schedule: schedule, Duration: duration, TimeZone: zone, Applications: []string{app}}
		now := time.Unix(sec%(1<<34), 0)
		d := DecideWindows(windows{w}, WindowFacts{App: "web", Automated: true, Now: now})
		if !d.Next.IsZero() && !d.Next.After(now) {
			t.Errorf("next %s is not after %s", d.Next, now)
		}
		if err := CheckWindow(w); err != nil && d.By != nil && d.Allowed {
			t.Errorf("%v, and it allows: %s", err, d.Reason)
		}
		if len([]rune(d.Reason)) > 300 {
			t.Errorf("a reason of %d characters", len([]rune(d.Reason)))
		}
	})
}

func BenchmarkDecideWindows(b *testing.B) {
	ws := CompileWindows(windows{zoned("Europe/Berlin", deny("0 22 * * *", "8h")), allow("0 9 * * 1-5", "8h"), manual(deny("0 0 24 12 *", "192h"))})
	f := WindowFacts{App: "web", Namespace: "shop", Clusters: []string{"prod"}, Automated: true, Now: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)}
	b.ReportAllocs()
	for b.Loop() {
		if d := ws.Decide(f); !d.Allowed {
			b.Fatal(fmt.Sprint(d))
		}
	}
}
