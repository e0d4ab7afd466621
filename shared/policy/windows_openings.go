package policy

import (
	"slices"
	"time"

	"github.com/robfig/cron/v3"
)

const day = 24 * time.Hour

// openings are the times on a wall clock at which a window opens, and how long
// it stays open. Wall clocks are kept as UTC. Windows that open every minute and
// stay open for hours are common, so the openings of a day are joined once.
type openings struct {
	duration time.Duration
	// of a day are when the window opens on a day that matches, in order.
	ofDay []time.Duration
	// joined are the runs of them in which the window opens again before, or as
	// it closes.
	joined           []run
	dom, month, dow  uint64
	anyDom, anyDow   bool
	daily            bool
	alwaysWhileDaily bool
}

// run is the first and the last opening of a run.
type run struct{ first, last time.Duration }

// starBit is how cron marks a field that is "*".
const starBit = 1 << 63

func newOpenings(s *cron.SpecSchedule, duration time.Duration) *openings {
	o := &openings{duration: duration, dom: s.Dom, month: s.Month, dow: s.Dow, anyDom: s.Dom&starBit != 0, anyDow: s.Dow&starBit != 0}
	for h := range 24 {
		for m := range 60 {
			if s.Hour&(1<<h) != 0 && s.Minute&(1<<m) != 0 {
				o.ofDay = append(o.ofDay, time.Duration(h)*time.Hour+time.Duration(m)*time.Minute)
			}
		}
	}
	for _, at := range o.ofDay {
		if n := len(o.joined); n > 0 && at <= o.joined[n-1].last+duration {
			o.joined[n-1].last = at
			continue
		}
		o.joined = append(o.joined, run{at, at})
	}
	const everyDom, everyMonth, everyDow = 1<<32 - 2, 1<<13 - 2, 1<<7 - 1
	o.daily = o.dom&everyDom == everyDom && o.month&everyMonth == everyMonth && o.dow&everyDow == everyDow
	o.alwaysWhileDaily = len(o.joined) == 1 && o.joined[0].first+day <= o.joined[0].last+duration
	return o
}

// on reports whether the window opens on a day. As in cron, a day of the month
// and a day of the week that are both given are alternatives.
func (o *openings) on(d time.Time) bool {
	_, month, dom := d.Date()
	if o.month&(1<<month) == 0 {
		return false
	}
	domHit, dowHit := o.dom&(1<<dom) != 0, o.dow&(1<<d.Weekday()) != 0
	if o.anyDom || o.anyDow {
		return domHit && dowHit
	}
	return domHit || dowHit
}

// last is the last opening up to wall whose duration has not passed then.
func (o *openings) last(wall time.Time) (at time.Time, ok bool) {
	after := wall.Add(-o.duration)
	for d := wall.Truncate(day); d.Add(day).After(after); d = d.Add(-day) {
		if !o.on(d) {
			continue
		}
		n, exact := slices.BinarySearch(o.ofDay, wall.Sub(d))
		if exact {
			n++
		}
		if n > 0 {
			at = d.Add(o.ofDay[n-1])
			return at, at.After(after)
		}
	}
	return at, false
}

func (o *openings) open(wall time.Time) bool {
	_, ok := o.last(wall)
	return ok
}

// maxDays is how far the next opening is looked for. From 2097 to 2103 there is
// no leap day.
const maxDays = 9 * 366

// changes is when the window next opens or closes after wall; zero: it does
// neither before limit, where that is not zero, or at all. Of a window that stays
// open for longer than maxLook it answers some moment before it closes.
func (o *openings) changes(wall, limit time.Time) time.Time {
	opened, isOpen := o.last(wall)
	d := wall.Truncate(day)
	if !isOpen {
		for range maxDays {
			if o.on(d) {
				n, exact := slices.BinarySearch(o.ofDay, wall.Sub(d))
				if exact {
					n++
				}
				if n < len(o.ofDay) {
					return d.Add(o.ofDay[n])
				}
			}
			if d = d.Add(day); !limit.IsZero() && d.After(limit) {
				break
			}
		}
		return time.Time{}
	}
	if o.daily && o.alwaysWhileDaily {
		return time.Time{}
	}
	horizon := wall.Add(maxLook)
	if !limit.IsZero() && limit.Before(horizon) {
		horizon = limit
	}
	d = opened.Truncate(day)
	i := slices.IndexFunc(o.joined, func(r run) bool { return d.Add(r.last).Compare(opened) >= 0 })
	for closes := d.Add(o.joined[i].last + o.duration); ; {
		if i++; i == len(o.joined) {
			i = 0
			for d = d.Add(day); !d.After(closes) && !o.on(d); d = d.Add(day) {
			}
		}
		if closes.After(horizon) {
			return horizon
		}
		if d.Add(o.joined[i].first).After(closes) {
			return closes
		}
		closes = d.Add(o.joined[i].last + o.duration)
	}
}
