package model

// PluginParameters are what a config management plugin announces for one source
// of an application.
type PluginParameters struct {
	// Source is the index of the source among all of the application.
	Source int `json:"source"`
	// Plugin is the plugin's name, the discovered one where the source has none.
	Plugin     string                  `json:"plugin"`
	Parameters []ParameterAnnouncement `json:"parameters"`
}

// ParameterAnnouncement describes a parameter that a plugin understands; the
// fields are those of Argo CD's ConfigManagementPlugin.
type ParameterAnnouncement struct {
	Name     string `json:"name"`
	Title    string `json:"title,omitempty"`
	Tooltip  string `json:"tooltip,omitempty"`
	Required bool   `json:"required,omitempty"`
	// ItemType is "string", "number" or "boolean"; for people.
	ItemType string `json:"itemType,omitempty"`
	// CollectionType is "string", "array" or "map"; "" means "string". It says
	// which of the following is the default value.
	CollectionType string            `json:"collectionType,omitempty"`
	String         string            `json:"string,omitempty"`
	Array          []string          `json:"array,omitempty"`
	Map            map[string]string `json:"map,omitempty"`
}
