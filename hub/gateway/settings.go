package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Settings reads the settings for all clusters. It blocks for a round trip;
// errors are fault errors.
type Settings interface {
	Customizations(ctx context.Context) (fleet.Customizations, error)
}

// settingsAge is how long settings that were read are sent to further sessions:
// thousands open at once after a restart. A change that NotifySettings tells of
// is read at once.
const settingsAge = 5 * time.Second

// settingsCache keeps the settings that were read last, as they are sent.
type settingsCache struct {
	mu      sync.Mutex
	value   model.Settings
	message *agentv1.Settings // shared by all sessions; never changed
	readAt  time.Time
}

// read answers the settings in force; while one caller reads, others wait for
// it.
func (c *settingsCache) read(ctx context.Context, from Settings) (model.Settings, *agentv1.Settings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.message == nil || time.Since(c.readAt) > settingsAge {
		at := time.Now()
		stored, err := from.Customizations(ctx)
		if err != nil {
			return model.Settings{}, nil, err
		}
		c.value, c.message, c.readAt = stored.Settings, wire.SettingsToProto(stored.Settings), at
	}
	return c.value, c.message, nil
}

func (c *settingsCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readAt = time.Time{}
}

// NotifySettings says that the settings for all clusters changed.
func (g *Gateway) NotifySettings() {
	g.settings.forget()
	for _, s := range g.snapshot() {
		s.out.markSettings()
	}
}

// pushSettings sends the settings when the agent lacks them. It runs on the
// sending goroutine.
func (s *session) pushSettings(ctx context.Context) error {
	from := s.g.opts.Settings
	if from == nil {
		return nil
	}
	settings, msg, err := s.g.settings.read(ctx, from)
	if err != nil {
		return err
	}
	if !fleet.SettingsOwed(s.capabilities, s.settings, settings) {
		return nil
	}
	if err := s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_Settings{Settings: msg}}); err != nil {
		return err
	}
	s.settings = settings.Customizations.Digest()
	return nil
}

// openSettings is pushSettings at the beginning of a session: applications wait
// for nothing but the line.
func (s *session) openSettings(ctx context.Context) error {
	err := s.pushSettings(ctx)
	if err == nil || isTransport(err) {
		return err
	}
	s.log.Warn("the settings could not be read; they are sent later", "code", fault.As(err).Code, "error", err)
	s.out.markSettings()
	return nil
}
