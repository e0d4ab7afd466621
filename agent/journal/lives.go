package journal

import (
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// An agent that is ended by what it works on, for want of memory or by a panic,
// is started again by its kubelet and dies of the same. Lives is what it remembers
// across such ends, so that it finds the application that does it and leaves that
// one alone. It is kept in the Head, is nil as long as agents end in good order,
// and all decisions about it are in this file.

const (
	// GoodRun is how long an agent has to run for its end not to count as one more
	// of a row. A kubelet forgets its pauses before restarts after the same time.
	GoodRun = 10 * time.Minute
	// carefulFrom is after how many ends in a row an agent starts carefully: a
	// single one may be the machine's.
	carefulFrom = 2
	// MaxDeaths is how often an agent may end while it works on one application
	// alone, before that is isolated.
	MaxDeaths = 3
	// maxSuspects bounds the Head.
	maxSuspects = 50
)

// End is how the agent before this one ended.
type End struct {
	// Unclean: it did not give up its Lease.
	Unclean bool
	// Ran is how long it held the Lease, by its own clock.
	Ran time.Duration
	// Memory: it is known that the system ended it for want of memory.
	Memory bool
}

// Work is an application in the state in which it is worked on. Another desired
// state or a new operation is other work.
type Work struct {
	App        model.AppUID     `json:"app"`
	Generation model.Generation `json:"generation,omitempty"`
	OpSeq      int64            `json:"opSeq,omitempty"`
}

// after reports whether w has taken the place of o, which never comes again.
func (w Work) after(o Work) bool {
	return w.Generation > o.Generation || w.Generation == o.Generation && w.OpSeq > o.OpSeq
}

// Suspect is work during which an agent has ended.
type Suspect struct {
	Work
	// Deaths counts the ends while nothing else was worked on.
	Deaths int `json:"deaths,omitempty"`
	// At is the newest of the ends, or when the work came in the place of suspect
	// work.
	At time.Time `json:"at"`
}

// Lives is what the ends of agents have left behind. It is a value: no method
// changes it or what it refers to.
type Lives struct {
	// Version of the agent that this is about; another one begins anew.
	Version string `json:"version,omitempty"`
	// Row counts the unclean ends in a row, each after less than GoodRun.
	Row int `json:"row,omitempty"`
	// Total counts all since Since, ForMemory those of them that are known to be
	// for want of memory; Last is the newest.
	Total     int       `json:"total,omitempty"`
	ForMemory int       `json:"forMemory,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	// Working is what is worked on in this life, as far as it is marked.
	Working  []Work    `json:"working,omitempty"`
	Suspects []Suspect `json:"suspects,omitempty"`
}

// Empty reports whether there is nothing to remember.
func (l Lives) Empty() bool { return l.Row == 0 && len(l.Suspects) == 0 }

// Begin is l at the start of an agent of a version.
func (l Lives) Begin(end End, version string, now time.Time) Lives {
	if l.Version != version {
		l = Lives{}
	}
	working := l.Working
	l.Version, l.Working = version, nil
	if !end.Unclean {
		l.Row = 0
		return l.orNothing()
	}
	if end.Ran >= GoodRun {
		l.Row = 0
	}
	l.Row++
	if l.Total == 0 {
		l.Since = now
	}
	l.Total++
	l.Last = now
	if end.Memory {
		l.ForMemory++
	}
	for _, w := range working {
		l = l.blame(w, len(working) == 1, now)
	}
	return l
}

// blame makes work suspect. Only what was alone is known to be the cause.
func (l Lives) blame(w Work, alone bool, now time.Time) Lives {
	s, _ := l.suspect(w)
	s.Work, s.At = w, now
	if alone {
		s.Deaths++
	}
	l.Suspects = append(slices.DeleteFunc(slices.Clone(l.Suspects), func(o Suspect) bool { return o.Work == w }), s)
	if over := len(l.Suspects) - maxSuspects; over > 0 {
		l.Suspects = l.Suspects[over:]
	}
	return l
}

func (l Lives) suspect(w Work) (Suspect, bool) {
	if i := slices.IndexFunc(l.Suspects, func(s Suspect) bool { return s.Work == w }); i >= 0 {
		return l.Suspects[i], true
	}
	return Suspect{}, false
}

// suspected reports whether something is held against an application in any state.
func (l Lives) suspected(app model.AppUID) bool {
	return slices.ContainsFunc(l.Suspects, func(s Suspect) bool { return s.App == app })
}

// Careful reports whether an agent that starts has to work on one application at a
// time, each marked before.
func (l Lives) Careful() bool {
	return l.Row >= carefulFrom || slices.ContainsFunc(l.Suspects, func(s Suspect) bool { return s.Deaths < MaxDeaths })
}

// Isolated reports whether the work must not be done, and what is held against it.
func (l Lives) Isolated(w Work) (Suspect, bool) {
	s, ok := l.suspect(w)
	return s, ok && s.Deaths >= MaxDeaths
}

// MustMark reports whether the work has to be marked before it is begun. done: this
// agent has done it once already.
func (l Lives) MustMark(w Work, careful, done bool) bool {
	return l.suspected(w.App) || careful && !done
}

// Enter marks work that is about to be begun. What is held against the application
// in another state remains until that can never come again: an agent may hold one
// state and be ended by taking on the next.
func (l Lives) Enter(w Work, now time.Time) Lives {
	l.Working = append(l.without(w.App), w)
	if _, ok := l.suspect(w); !ok && l.suspected(w.App) {
		l = l.blame(w, false, now)
	}
	return l
}

// Leave takes the mark off.
func (l Lives) Leave(app model.AppUID) Lives {
	l.Working = l.without(app)
	return l
}

func (l Lives) without(app model.AppUID) []Work {
	return slices.DeleteFunc(slices.Clone(l.Working), func(w Work) bool { return w.App == app })
}

// Calm is l after an agent has run for some time. current is the work that the
// record of an application stands for, false when there is none. A run of GoodRun
// ends the row, and the suspicion of what has done no harm for as long. What is
// isolated remains so.
func (l Lives) Calm(ran time.Duration, current func(model.AppUID) (Work, bool), now time.Time) Lives {
	if ran >= GoodRun {
		l.Row = 0
	}
	l.Suspects = slices.DeleteFunc(slices.Clone(l.Suspects), func(s Suspect) bool {
		w, held := current(s.App)
		return !held || w.after(s.Work) || s.Deaths < MaxDeaths && ran >= GoodRun && now.Sub(s.At) >= GoodRun
	})
	return l.orNothing()
}

func (l Lives) orNothing() Lives {
	if l.Empty() {
		return Lives{}
	}
	return l
}

func (l Lives) equal(o Lives) bool {
	return l.Version == o.Version && l.Row == o.Row && l.Total == o.Total && l.ForMemory == o.ForMemory && l.Since.Equal(o.Since) && l.Last.Equal(o.Last) &&
		slices.Equal(l.Working, o.Working) && slices.EqualFunc(l.Suspects, o.Suspects, func(a, b Suspect) bool {
		return a.Work == b.Work && a.Deaths == b.Deaths && a.At.Equal(b.At)
	})
}

// Lives is what the Head says of earlier ends. It must not be modified.
func (b *Book) Lives() Lives {
	if b.Head.Lives == nil {
		return Lives{}
	}
	return *b.Head.Lives
}

func (b *Book) setLives(l Lives) Change {
	l = l.orNothing()
	if l.equal(b.Lives()) {
		return Change{}
	}
	b.Head.Lives = nil
	if !l.Empty() {
		b.Head.Lives = &l
	}
	return Change{Head: true}
}

// BeginLife records that an agent starts, and how the one before it ended. It is
// the first update of a store. It changes nothing when that one ended in good order
// and nothing is held against any application.
func (b *Book) BeginLife(end End, version string, now time.Time) Change {
	return b.setLives(b.Lives().Begin(end, version, now))
}

// WorkOf is the work that the record of an application stands for.
func (b *Book) WorkOf(app model.AppUID) Work {
	w := Work{App: app}
	if r := b.Apps[app]; r != nil {
		w.OpSeq = r.maxOpSeq()
		if r.Desired != nil {
			w.Generation = r.Desired.Generation
		}
	}
	return w
}

// EnterWork marks work before it is begun; LeaveWork takes the mark off.
func (b *Book) EnterWork(w Work, now time.Time) Change {
	return b.setLives(b.Lives().Enter(w, now))
}

// LeaveWork takes off the mark of EnterWork.
func (b *Book) LeaveWork(app model.AppUID) Change { return b.setLives(b.Lives().Leave(app)) }

// CalmLife is called now and then by an agent that has run for some time.
func (b *Book) CalmLife(ran time.Duration, now time.Time) Change {
	return b.setLives(b.Lives().Calm(ran, func(app model.AppUID) (Work, bool) {
		r := b.Apps[app]
		return b.WorkOf(app), r != nil && r.Gone == nil
	}, now))
}
