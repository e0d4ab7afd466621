package lua

// Action is what can be done with an object. Its JSON is Argo CD's, with the
// main fields always there.
type Action struct {
	Name string `json:"name"`
	// Disabled: it makes no sense in the object's present state, such as
	// resuming what runs. Running it all the same does no harm.
	Disabled    bool   `json:"disabled"`
	DisplayName string `json:"displayName"`
	// IconClass names a Font Awesome icon, as in Argo CD.
	IconClass string  `json:"iconClass,omitempty"`
	Params    []Param `json:"params"`
}

// Param is a parameter of an action. Values are strings.
type Param struct {
	Name string `json:"name"`
	// Type is a hint for forms, such as "number".
	Type string `json:"type,omitempty"`
	// Default is what a form should show first.
	Default string `json:"default,omitempty"`
}

// Operation is what an action does with an object.
type Operation string

// The operations: Patch changes the object that the action was run on, Create
// makes another one.
const (
	Patch  Operation = "patch"
	Create Operation = "create"
)

// Effect is one change that an action asks for. It is a value; it changes
// nothing.
type Effect struct {
	Operation Operation `json:"operation"`
	// Object is the whole object as it should be afterwards. For a patch it has
	// all that the live object has, resourceVersion and managedFields included;
	// what differs is what the action wants.
	Object map[string]any `json:"object"`
}
