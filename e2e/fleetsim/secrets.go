package fleetsim

import (
	"context"
	"maps"
	"strconv"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// secrets are the Secrets of the agent's own namespace: journal.Secrets, with the
// conflicts that the API server has. They outlive the agent.
type secrets struct{ c *Cluster }

const partOfJournal = "hawser.dev/journal"

// List implements journal.Secrets.
func (s secrets) List(context.Context) (out []journal.Secret, err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.c.isDark() {
		return nil, unreachable("the agent's namespace")
	}
	for _, sec := range s.c.secrets {
		if _, ours := sec.Labels[partOfJournal]; ours {
			out = append(out, clone(sec))
		}
	}
	return out, nil
}

// Get implements journal.Secrets.
func (s secrets) Get(_ context.Context, name string) (journal.Secret, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	sec, err := s.c.secret(name)
	return clone(sec), err
}

// Create implements journal.Secrets.
func (s secrets) Create(_ context.Context, sec journal.Secret) (journal.Secret, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch _, err := s.c.secret(sec.Name); {
	case err == nil:
		return journal.Secret{}, fault.New(fault.Conflict, "version_conflict", "the Secret %s exists already", sec.Name)
	case !fault.Is(err, fault.NotFound):
		return journal.Secret{}, err
	}
	return s.c.putSecret(sec), nil
}

// Update implements journal.Secrets.
func (s secrets) Update(_ context.Context, sec journal.Secret) (journal.Secret, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	old, err := s.c.secret(sec.Name)
	switch {
	case err != nil:
		return journal.Secret{}, err
	case sec.ResourceVersion != "" && sec.ResourceVersion != old.ResourceVersion:
		return journal.Secret{}, fault.New(fault.Conflict, "version_conflict", "the Secret %s was changed meanwhile", sec.Name)
	case old.Immutable:
		return journal.Secret{}, fault.New(fault.Upstream, "refused", "the Secret %s is immutable", sec.Name)
	}
	return s.c.putSecret(sec), nil
}

// Delete implements journal.Secrets.
func (s secrets) Delete(_ context.Context, name string) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if _, err := s.c.secret(name); err != nil {
		return err
	}
	delete(s.c.secrets, name)
	return nil
}

// secret finds a Secret; c.mu is held.
func (c *Cluster) secret(name string) (journal.Secret, error) {
	if c.isDark() {
		return journal.Secret{}, unreachable("the agent's namespace")
	}
	sec, ok := c.secrets[name]
	if !ok {
		return journal.Secret{}, fault.New(fault.NotFound, "not_found", "the Secret %s does not exist", name)
	}
	return sec, nil
}

// putSecret stores a Secret in a new version; c.mu is held.
func (c *Cluster) putSecret(sec journal.Secret) journal.Secret {
	c.last++
	sec = clone(sec)
	sec.ResourceVersion = strconv.FormatInt(c.last, 10)
	c.secrets[sec.Name] = sec
	return sec
}

// clone shares the values, which nobody changes in place.
func clone(sec journal.Secret) journal.Secret {
	sec.Labels, sec.Data = maps.Clone(sec.Labels), maps.Clone(sec.Data)
	return sec
}

// storedSettings are the hub's settings as the cluster keeps them: settings.Store.
type storedSettings struct{ c *Cluster }

// LoadSettings implements settings.Store.
func (s storedSettings) LoadSettings(context.Context) (model.Settings, bool, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.c.isDark():
		return model.Settings{}, false, unreachable("the agent's namespace")
	case s.c.settings == nil:
		return model.Settings{}, false, nil
	}
	return *s.c.settings, true, nil
}

// SaveSettings implements settings.Store.
func (s storedSettings) SaveSettings(_ context.Context, set model.Settings) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.c.isDark() {
		return unreachable("the agent's namespace")
	}
	s.c.settings = &set
	return nil
}
