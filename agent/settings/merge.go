package settings

import (
	"fmt"
	"maps"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Sources are what is merged, from the weakest to the strongest.
type Sources struct {
	Hub model.Settings
	// Directory was given at the start.
	Directory model.Customizations
	// ConfigMap is of the agent's own namespace.
	ConfigMap model.Customizations
}

// Merged are the customizations in force.
type Merged struct {
	Data    model.Customizations
	origins map[string]string
}

// Merge lets the stronger source win key by key. A text of white space alone
// takes the key back, whoever set it.
func Merge(s Sources) Merged {
	m := Merged{Data: model.Customizations{}, origins: map[string]string{}}
	hub := "the hub's settings"
	if s.Hub.Version > 0 {
		hub = fmt.Sprintf("the hub's settings, version %d", s.Hub.Version)
	}
	for _, source := range []struct {
		name string
		data model.Customizations
	}{{hub, s.Hub.Customizations}, {"the directory of --overrides", s.Directory}, {"ConfigMap " + ConfigMapName, s.ConfigMap}} {
		maps.Copy(m.Data, source.data)
		for key := range source.data {
			m.origins[key] = source.name
		}
	}
	maps.DeleteFunc(m.Data, func(_, text string) bool { return strings.TrimSpace(text) == "" })
	return m
}

// Origin says where a key's text came from, for people.
func (m Merged) Origin(key string) string { return m.origins[key] }
