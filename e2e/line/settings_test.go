package line

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// customizations is the hub's table of settings.
type customizations struct {
	mu    sync.Mutex
	now   fleet.Customizations
	down  bool
	reads int
}

func (c *customizations) Customizations(context.Context) (fleet.Customizations, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	if c.down {
		return fleet.Customizations{}, fault.New(fault.Unavailable, "db_unavailable", "the database is away")
	}
	return c.now, nil
}

func (c *customizations) set(version int64, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Version, c.now.Customizations = version, model.Customizations{"resource.customizations.health.X": text}
}

func (c *customizations) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// shelf is an agent's keeper of settings.
type shelf struct {
	mu      sync.Mutex
	taken   []string
	held    model.Digest
	refused error
}

func (s *shelf) Refused(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = err
}

func (s *shelf) Held() model.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

func (s *shelf) Take(v model.Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, fmt.Sprint(v.Version, " ", v.Customizations["resource.customizations.health.X"]))
	s.held = v.Customizations.Digest()
}

func (s *shelf) took(want ...string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Equal(s.taken, want)
	}
}

func withSettings(c *customizations) func(*gateway.Options) {
	return func(o *gateway.Options) { o.Settings = c }
}

func keeps(s *shelf) func(*link.Options) { return func(o *link.Options) { o.Settings = s } }

func TestSettingsTravelToEveryAgentAndOnlyWhenTheyDiffer(t *testing.T) {
	table := &customizations{}
	h := newHub(t, withSettings(table))
	one, two := &shelf{}, &shelf{}
	// Nobody has set any: nothing is sent.
	a, _ := h.join("one", keeps(one))
	b, _ := h.join("two", keeps(two))
	plain, _ := h.join("old", nil) // an agent that takes none
	if !one.took()() || !two.took()() {
		t.Errorf("sent without being set: %v %v", one.taken, two.taken)
	}
	table.set(1, "a")
	h.gateway.NotifySettings()
	await(t, "both agents", func() bool { return one.took("1 a")() && two.took("1 a")() })
	h.gateway.NotifySettings() // nothing new
	table.set(2, "b")
	h.gateway.NotifySettings()
	await(t, "the change", func() bool { return one.took("1 a", "2 b")() && two.took("1 a", "2 b")() })

	// A change while the hub is away travels with the next session, before
	// anything is judged by it; an agent that has it is sent nothing.
	h.stop()
	await(t, "the agents to notice", func() bool {
		return a.journal.is(func(j *journal) bool { return len(j.lost) == 1 })() && b.journal.is(func(j *journal) bool { return len(j.lost) == 1 })()
	})
	table.set(3, "c")
	two.mu.Lock()
	two.held = table.now.Customizations.Digest()
	two.mu.Unlock()
	h.start(h.addr)
	a.inSync(t, 2)
	b.inSync(t, 2)
	plain.inSync(t, 2)
	if !one.took("1 a", "2 b", "3 c")() {
		t.Errorf("after the restart: %v", one.taken)
	}
	if !two.took("1 a", "2 b")() {
		t.Errorf("an agent that has them: %v", two.taken)
	}
	if plain.logs.line("message_unknown") {
		t.Error("an agent that takes no settings was sent some")
	}
}

func TestSettingsThatCannotBeReadComeLaterAndHoldUpNothing(t *testing.T) {
	table := &customizations{}
	table.set(1, "a")
	table.setDown(true)
	h := newHub(t, withSettings(table))
	s := &shelf{}
	a, id := h.join("one", keeps(s)) // is in sync all the same
	h.deploy(id, "app", random(10))
	await(t, "the hub to fail reading them", func() bool { return h.logs.line("the settings could not be read", "db_unavailable") })
	table.setDown(false)
	await(t, "the settings", s.took("1 a"))
	await(t, "the application", a.journal.is(func(j *journal) bool { return len(j.known) == 1 }))
}

func TestManySessionsReadTheSettingsOnce(t *testing.T) {
	table := &customizations{}
	table.set(1, strings.Repeat("x", 100<<10))
	h := newHub(t, withSettings(table))
	const agents = 20
	shelves := make([]*shelf, agents)
	for i := range shelves {
		shelves[i] = &shelf{}
		token := h.token(fmt.Sprint("c", i), time.Hour)
		h.run(func(o *link.Options) { o.Token = token; o.Settings = shelves[i] })
	}
	for _, s := range shelves {
		await(t, "the settings", func() bool { return s.Held() == table.now.Customizations.Digest() })
	}
	table.mu.Lock()
	defer table.mu.Unlock()
	if table.reads > agents/2 {
		t.Errorf("%d reads for %d sessions", table.reads, agents)
	}
}
