package app

import (
	"context"
	"encoding/json"
	"os"
	"strconv"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/settings"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// startSettings gathers the resource customizations before anything is judged by
// them.
func (a *agent) startSettings(ctx context.Context) error {
	directory, err := a.cfg.overrides()
	if err != nil {
		return err
	}
	a.settings = settings.New(settings.Options{Store: hubSettings{a.client}, Directory: directory, Users: a.settingsUsers(), Log: a.log, Changed: a.clusterNews})
	a.settingsMap = a.watchConfigMap(settings.ConfigMapName, a.settings.Set, a.settings.Failed)
	if err := a.readConfigMap(ctx, a.settingsMap); err != nil {
		return err
	}
	return a.persist(ctx, "read the hub's settings", a.settings.Load)
}

// settingsUsers are those whom customizations are for.
func (a *agent) settingsUsers() []settings.User {
	return []settings.User{a.useScripts, a.useRules}
}

// useRules is a settings.User: the rules by which all applications are compared.
func (a *agent) useRules(data model.Customizations) []error {
	rules, err := diff.ParseSystemRules(data)
	a.systemRules.Store(rules)
	if a.engine != nil {
		a.engine.SetSystemRules(rules)
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// overrides are the scripts of --overrides.
func (c *Config) overrides() (model.Customizations, error) {
	if c.Overrides == "" {
		return nil, nil
	}
	if info, err := os.Stat(c.Overrides); err != nil || !info.IsDir() {
		return nil, fault.Wrap(err, fault.Invalid, "config_invalid", "--overrides %q is not a directory", c.Overrides)
	}
	return settings.Directory(os.DirFS(c.Overrides))
}

const (
	settingsSecret         = "hawser-settings"
	settingsVersion        = "version"
	settingsCustomizations = "customizations.json"
)

// hubSettings keeps what the hub says to all clusters in a Secret. It
// implements settings.Store.
type hubSettings struct{ secrets secrets }

func (s hubSettings) LoadSettings(ctx context.Context) (model.Settings, bool, error) {
	sec, err := s.secrets.Get(ctx, settingsSecret)
	if fault.Is(err, fault.NotFound) {
		return model.Settings{}, false, nil
	}
	if err != nil {
		return model.Settings{}, false, err
	}
	damaged := func(field string, err error) (model.Settings, bool, error) {
		return model.Settings{}, false, fault.Wrap(err, fault.Invalid, "settings_damaged", "%s of Secret %s cannot be read", field, settingsSecret)
	}
	out := model.Settings{}
	if out.Version, err = strconv.ParseInt(string(sec.Data[settingsVersion]), 10, 64); err != nil {
		return damaged(settingsVersion, err)
	}
	if err := json.Unmarshal(sec.Data[settingsCustomizations], &out.Customizations); err != nil {
		return damaged(settingsCustomizations, err)
	}
	return out, true, nil
}

func (s hubSettings) SaveSettings(ctx context.Context, v model.Settings) error {
	sec := journal.Secret{Name: settingsSecret, Data: map[string][]byte{
		settingsVersion: []byte(strconv.FormatInt(v.Version, 10)), settingsCustomizations: v.Customizations.JSON(),
	}}
	return putSecret(ctx, s.secrets, sec)
}

// putSecret writes a Secret that only this agent writes, over what there is.
func putSecret(ctx context.Context, s secrets, sec journal.Secret) error {
	old, err := s.Get(ctx, sec.Name)
	switch {
	case fault.Is(err, fault.NotFound):
		_, err = s.Create(ctx, sec)
	case err == nil:
		sec.ResourceVersion = old.ResourceVersion
		_, err = s.Update(ctx, sec)
	}
	return err
}
