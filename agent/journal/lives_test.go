package journal

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

var (
	dawn    = time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	killed  = End{Unclean: true, Ran: time.Minute}
	bigWork = Work{App: "big", Generation: 1}
)

// story is what happens to agents, one letter for each event:
//
//	k  the agent is killed, and the next one starts
//	K  the same, after a good run
//	m  the same as k, and it is known that memory was the reason
//	s  the agent stops in good order, and the next one starts
//	V  as k, and the next one is of another version
//	B  work on big begins; b ends
//	R  a new generation of big is taken on, and not held yet; H  work on the one that is held
//	N  work on big begins, of which a new generation has come
//	O  the same for a new operation
//	A  work on another application begins; a ends
//	c  it has run for a good while
//	.  it has run for a moment
//	x  big is withdrawn
type storyteller struct {
	lives Lives
	work  Work
	gone  bool
	// refused: work is not held yet.
	refused bool
	now     time.Time
}

// held is what the agent holds: while a new generation is refused, the one before.
func (s *storyteller) held() Work {
	if s.refused {
		return Work{App: "big", Generation: s.work.Generation - 1}
	}
	return s.work
}

func (s *storyteller) tell(events string) {
	version := func() string { return s.lives.Version }
	begin := func(e End, version string) {
		if version == "" {
			version = "1"
		}
		s.lives = s.lives.Begin(e, version, s.now)
	}
	for _, event := range events {
		s.now = s.now.Add(time.Second)
		switch event {
		case 'k':
			begin(killed, version())
		case 'K':
			begin(End{Unclean: true, Ran: GoodRun}, version())
		case 'm':
			begin(End{Unclean: true, Ran: time.Minute, Memory: true}, version())
		case 's':
			begin(End{}, version())
		case 'V':
			begin(killed, version()+"+")
		case 'N':
			s.work.Generation++
			s.lives = s.lives.Enter(s.work, s.now)
		case 'R':
			if !s.refused {
				s.work.Generation++
				s.refused = true
			}
			s.lives = s.lives.Enter(s.work, s.now)
		case 'H':
			s.lives = s.lives.Enter(s.held(), s.now)
		case 'O':
			s.work.OpSeq++
			s.lives = s.lives.Enter(s.work, s.now)
		case 'B':
			s.lives = s.lives.Enter(s.work, s.now)
		case 'b':
			s.lives = s.lives.Leave("big")
		case 'A':
			s.lives = s.lives.Enter(Work{App: "other", Generation: 7}, s.now)
		case 'a':
			s.lives = s.lives.Leave("other")
		case 'c', '.', 'x':
			ran := GoodRun
			if event != 'c' {
				ran = time.Second
			} else {
				s.now = s.now.Add(GoodRun)
			}
			s.gone = s.gone || event == 'x'
			s.lives = s.lives.Calm(ran, func(app model.AppUID) (Work, bool) {
				if app == "big" {
					return s.held(), !s.gone
				}
				return Work{App: app, Generation: 7}, true
			}, s.now)
		default:
			panic(string(event))
		}
	}
}

func TestWhatIsHeldAgainstApplications(t *testing.T) {
	for _, tt := range []struct {
		name, events    string
		careful, alone  bool // alone: big is isolated
		mark, markOther bool // must be marked when it begins, in a careful agent if careful
		row, total      int
		empty           bool
	}{
		{name: "a first start", events: "s", empty: true},
		{name: "stops in good order", events: "sss", empty: true},
		{name: "one end may be the machine's", events: "k", row: 1, total: 1},
		{name: "two are careful", events: "kk", careful: true, mark: true, markOther: true, row: 2, total: 2},
		{name: "a stop ends a row", events: "ks", empty: true},
		{name: "a stop ends a careful row", events: "kkks", empty: true},
		{name: "a good run ends a row", events: "kkc", empty: true},
		{name: "a moment ends nothing", events: "kk.", careful: true, mark: true, markOther: true, row: 2, total: 2},
		{name: "a kill after a good run is the first of a row", events: "kkK", row: 1, total: 3},
		{name: "kills after good runs never add up", events: "KKKKKK", row: 1, total: 6},
		{name: "one death with it", events: "kkBk", careful: true, mark: true, markOther: true, row: 3, total: 3},
		{name: "two deaths with it", events: "kkBkBk", careful: true, mark: true, markOther: true, row: 4, total: 4},
		{name: "three deaths with it", events: "kkBkBkBk", careful: true, alone: true, mark: true, markOther: true, row: 5, total: 5},
		{name: "a fourth changes nothing", events: "kkBkBkBkBk", careful: true, alone: true, mark: true, markOther: true, row: 6, total: 6},
		{name: "deaths after it was done are not its", events: "kkBbkBbkBbkBbk", careful: true, mark: true, markOther: true, row: 6, total: 6},
		{name: "deaths with two at work are nobody's", events: "kkABkABkABkBAk", careful: true, mark: true, markOther: true, row: 6, total: 6},
		{name: "deaths while another waited are its", events: "kkAaBkAaBkAaBk", careful: true, alone: true, mark: true, markOther: true, row: 5, total: 5},
		{name: "deaths between count no less", events: "kkBkkBkkBk", careful: true, alone: true, mark: true, markOther: true, row: 7, total: 7},
		{name: "stops between count no less", events: "kkBksBksBk", careful: false, alone: true, mark: true, row: 1, total: 5},
		{name: "isolated, and a good run", events: "kkBkBkBkc", alone: true, mark: true, total: 5},
		{name: "isolated, and a stop", events: "kkBkBkBks", alone: true, mark: true, total: 5},
		{name: "isolated, and a kill long after", events: "kkBkBkBkcK", alone: true, mark: true, row: 1, total: 6},
		{name: "isolated, and two kills", events: "kkBkBkBkckk", careful: true, alone: true, mark: true, markOther: true, row: 2, total: 7},
		{name: "suspect, and a good run", events: "kkBkBkc", empty: true},
		{name: "suspect, and a stop", events: "kkBks", careful: true, mark: true, markOther: true, total: 3},
		{name: "suspect, and a stop and a good run", events: "kkBksc", empty: true},
		{name: "another generation is tried", events: "kkBkBkBkN", careful: true, mark: true, markOther: true, row: 5, total: 5},
		{name: "another generation counts anew", events: "kkBkBkBkNkBk", careful: true, mark: true, markOther: true, row: 7, total: 7},
		{name: "another generation is as bad", events: "kkBkBkBkNkBkBk", careful: true, alone: true, mark: true, markOther: true, row: 8, total: 8},
		{name: "another generation after a good run", events: "kkBkBkBkcNbk", careful: true, mark: true, markOther: true, row: 1, total: 6},
		{name: "another generation does well", events: "kkBkBkBkcNbc", empty: true},
		{name: "another generation does well for a moment", events: "kkBkBkBkcNb.", careful: true, mark: true, markOther: true, total: 5},
		{name: "taking it on is deadly", events: "kkRkRkRk", careful: true, alone: true, mark: true, markOther: true, row: 5, total: 5},
		{name: "taking it on is deadly, holding the one before is not", events: "kkHbRkHbRkHbRkHb", careful: true, alone: true, mark: true, markOther: true, row: 5, total: 5},
		{name: "that outlasts a good run", events: "kkHbRkHbRkHbRkHbc", alone: true, mark: true, total: 5},
		{name: "both are deadly", events: "kkHkHkHkRkRkRk", careful: true, alone: true, mark: true, markOther: true, row: 8, total: 8},
		{name: "an operation tries it again", events: "kkBkBkBkO", careful: true, mark: true, markOther: true, row: 5, total: 5},
		{name: "an operation is as bad", events: "kkBkBkBkOkBkBk", careful: true, alone: true, mark: true, markOther: true, row: 8, total: 8},
		{name: "another version begins anew", events: "kkBkBkBkV", row: 1, total: 1},
		{name: "another version after two deaths", events: "kkBkBV", row: 1, total: 1},
		{name: "it is withdrawn", events: "kkBkBkBkcx", empty: true},
		{name: "it is withdrawn in a careful agent", events: "kkBkBkBkx", careful: true, mark: true, markOther: true, row: 5, total: 5},
		{name: "memory is the reason", events: "mmBmBmBm", careful: true, alone: true, mark: true, markOther: true, row: 5, total: 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &storyteller{work: bigWork, now: dawn}
			s.tell(tt.events)
			l := s.lives
			if l.Careful() != tt.careful || l.Row != tt.row || l.Total != tt.total || l.Empty() != tt.empty {
				t.Errorf("careful %v, row %d, total %d, empty %v: %+v", l.Careful(), l.Row, l.Total, l.Empty(), l)
			}
			if tt.empty && !l.equal(Lives{}) {
				t.Errorf("something is left: %+v", l)
			}
			if suspect, alone := l.Isolated(s.work); alone != tt.alone || alone && suspect.Deaths < MaxDeaths {
				t.Errorf("isolated %v: %+v", alone, suspect)
			}
			if tt.name == "both are deadly" && !isolated(l, bigWork) {
				t.Error("the generation that is held is not isolated")
			}
			if _, alone := l.Isolated(Work{App: "other", Generation: 7}); alone {
				t.Error("the other is isolated")
			}
			if mark := l.MustMark(s.work, l.Careful(), false); mark != tt.mark {
				t.Errorf("must mark: %v", mark)
			}
			third := Work{App: "third", Generation: 1}
			if mark := l.MustMark(third, l.Careful(), false); mark != tt.markOther {
				t.Errorf("must mark an innocent one: %v", mark)
			}
			if l.MustMark(third, l.Careful(), true) {
				t.Error("must mark an innocent one that was done")
			}
			if tt.total > 0 && (l.Since.IsZero() || l.Last.Before(l.Since)) {
				t.Errorf("since %s, last %s", l.Since, l.Last)
			}
			if all := tt.name == "memory is the reason"; all && l.ForMemory != l.Total || !all && l.ForMemory != 0 {
				t.Errorf("%d of %d ends for want of memory", l.ForMemory, l.Total)
			}
			encoded, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			var again Lives
			if err := json.Unmarshal(encoded, &again); err != nil || !again.equal(l) {
				t.Errorf("it is read back as %+v, %v", again, err)
			}
		})
	}
}

// Every story of a few events keeps these: isolated is only what an agent was ended
// by at least so often while it was marked alone, and no method changes the value
// that it is called on.
func TestNobodyIsIsolatedWithoutDeathsOfHisOwn(t *testing.T) {
	const events = "ksBNAabc"
	var walk func(s storyteller, story string, deaths int)
	walk = func(s storyteller, story string, deaths int) {
		if alone := isolated(s.lives, s.work); alone && deaths < MaxDeaths {
			t.Fatalf("%s: isolated after %d deaths of its own", story, deaths)
		} else if !alone && deaths >= MaxDeaths {
			t.Fatalf("%s: not isolated after %d deaths of its own: %+v", story, deaths, s.lives)
		}
		if _, alone := s.lives.Isolated(Work{App: "other", Generation: 7}); alone && len(story) < 6 {
			t.Fatalf("%s: the other is isolated", story)
		}
		if len(story) == 6 {
			return
		}
		for _, e := range events {
			if l := s.lives; e == 'A' && !l.MustMark(Work{App: "other", Generation: 7}, l.Careful(), false) ||
				(e == 'B' || e == 'N') && !l.MustMark(s.work, l.Careful(), false) || e == 'B' && isolated(l, s.work) {
				continue // an agent does not
			}
			n := deaths
			before, _ := json.Marshal(s.lives)
			switch w := s.lives.Working; {
			case e == 'k' && len(w) == 1 && w[0] == s.work:
				n++
			case e == 'N', e == 'c' && n < MaxDeaths:
				n = 0
			}
			next := s
			next.tell(string(e))
			if after, _ := json.Marshal(s.lives); string(after) != string(before) {
				t.Fatalf("%s%c: the value was changed: %s to %s", story, e, before, after)
			}
			walk(next, story+string(e), n)
		}
	}
	s := storyteller{work: bigWork, now: dawn}
	s.tell("kk")
	walk(s, "", 0)
}

func isolated(l Lives, w Work) bool {
	_, alone := l.Isolated(w)
	return alone
}

func TestTheHeadStaysSmall(t *testing.T) {
	l := Lives{}.Begin(killed, "1", dawn).Begin(killed, "1", dawn)
	for i := range 3 * maxSuspects {
		w := Work{App: model.AppUID(fmt.Sprintf("app-%d", i)), Generation: 1}
		l = l.Enter(w, dawn).Begin(killed, "1", dawn)
	}
	if len(l.Suspects) != maxSuspects || l.Suspects[maxSuspects-1].App != model.AppUID(fmt.Sprintf("app-%d", 3*maxSuspects-1)) {
		t.Errorf("%d suspects, the last is %+v", len(l.Suspects), l.Suspects[len(l.Suspects)-1])
	}
}

// Agents that end in good order cost the journal nothing; others cost one write of
// the head, and what is marked is durable with it.
func TestTheBookRemembersLives(t *testing.T) {
	b := New()
	if c := b.BeginLife(End{}, "1", dawn); c.Any() || b.Head.Lives != nil {
		t.Errorf("a start after a good end changed %+v", c)
	}
	if c := b.CalmLife(GoodRun, dawn); c.Any() {
		t.Errorf("calm changed %+v", c)
	}
	if c := b.LeaveWork("big"); c.Any() {
		t.Errorf("leaving what was not entered changed %+v", c)
	}
	for range 2 {
		if c := b.BeginLife(killed, "1", dawn); !c.Head || len(c.Apps) > 0 {
			t.Errorf("a start after a kill changed %+v", c)
		}
	}
	b.Apps["big"] = &Record{App: "big", Name: "big", LastOpSeq: 4, Desired: &model.Desired{App: "big", Generation: 3}}
	w := b.WorkOf("big")
	if w != (Work{App: "big", Generation: 3, OpSeq: 4}) {
		t.Errorf("the work is %+v", w)
	}
	if c := b.EnterWork(w, dawn); !c.Head || len(b.Lives().Working) != 1 {
		t.Errorf("entering changed %+v: %+v", c, b.Lives())
	}
	if c := b.EnterWork(w, dawn); c.Any() {
		t.Errorf("entering again changed %+v", c)
	}
	if c := b.LeaveWork("big"); !c.Head || len(b.Lives().Working) != 0 {
		t.Errorf("leaving changed %+v: %+v", c, b.Lives())
	}
	if c := b.CalmLife(GoodRun, dawn.Add(GoodRun)); !c.Head || b.Head.Lives != nil {
		t.Errorf("calm changed %+v: %+v", c, b.Lives())
	}
	// An application that the agent does not hold any more is nobody's suspect.
	for range 2 + MaxDeaths {
		b.BeginLife(killed, "1", dawn)
		b.EnterWork(w, dawn)
	}
	b.BeginLife(killed, "1", dawn)
	if _, isolated := b.Lives().Isolated(b.WorkOf("big")); !isolated {
		t.Fatalf("not isolated: %+v", b.Lives())
	}
	b.Apps["big"].Gone = &Tombstone{}
	b.CalmLife(time.Second, dawn)
	if len(b.Lives().Suspects) != 0 {
		t.Errorf("a withdrawn application is held: %+v", b.Lives())
	}
}
