package importer

import (
	"fmt"
	"strings"
)

// Outcome is what becomes of a field.
type Outcome string

// The outcomes.
const (
	// Taken: it means here what it meant.
	Taken Outcome = "taken"
	// Translated: the same is said in another way; To says how.
	Translated Outcome = "translated"
	// Ignored: it has no effect here; Why says why that does no harm.
	Ignored Outcome = "ignored"
	// Attention: somebody must do something; Fix says what.
	Attention Outcome = "attention"
)

// Field is the line of one field, or of a whole subtree that shares its fate.
// Values of fields are never in it.
type Field struct {
	Path    string  `json:"path"`
	Outcome Outcome `json:"outcome"`
	To      string  `json:"to,omitempty"`
	Why     string  `json:"why,omitempty"`
	Fix     string  `json:"fix,omitempty"`
}

// Item is what becomes of one object.
type Item struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Origin    string `json:"origin,omitempty"`
	// Becomes names what is written: application/web, repository/https://...,
	// settings/customizations; empty for nothing.
	Becomes string `json:"becomes,omitempty"`
	// Blocked objects cannot be written as they are.
	Blocked bool    `json:"blocked,omitempty"`
	Fields  []Field `json:"fields"`
}

// NeedsAttention reports whether any of its fields does.
func (i *Item) NeedsAttention() bool { return len(i.Problems()) > 0 }

// Problems are the fields that need attention.
func (i *Item) Problems() []Field {
	var out []Field
	for _, f := range i.Fields {
		if f.Outcome == Attention {
			out = append(out, f)
		}
	}
	return out
}

func (i *Item) add(f Field) { i.Fields = append(i.Fields, f) }

// put replaces the line of a path, where a first look took it.
func (i *Item) put(f Field) {
	for n := range i.Fields {
		if i.Fields[n].Path == f.Path && i.Fields[n].Outcome != Attention {
			i.Fields[n] = f
			return
		}
	}
	i.add(f)
}

func (i *Item) taken(path, why string) { i.add(Field{Path: path, Outcome: Taken, Why: why}) }

func (i *Item) translated(path, to, why string) {
	i.put(Field{Path: path, Outcome: Translated, To: to, Why: why})
}

func (i *Item) ignored(path, why string) { i.add(Field{Path: path, Outcome: Ignored, Why: why}) }

func (i *Item) attention(path, why, fix string) {
	i.put(Field{Path: path, Outcome: Attention, Why: why, Fix: fix})
}

// block says that the object cannot be written.
func (i *Item) block(path, why, fix string) {
	i.Blocked = true
	i.attention(path, why, fix)
}

// Covers reports whether a line of the report accounts for a path.
func (i *Item) Covers(path string) bool {
	for _, f := range i.Fields {
		if rest, ok := strings.CutPrefix(path, f.Path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// Ref names the object in messages.
func (i *Item) Ref() string {
	if i.Namespace == "" {
		return i.Kind + " " + i.Name
	}
	return fmt.Sprintf("%s %s/%s", i.Kind, i.Namespace, i.Name)
}

// Counts of a Plan, for its first line.
type Counts struct {
	Applications    int `json:"applications"`
	Projects        int `json:"projects"`
	ApplicationSets int `json:"applicationSets"`
	Repositories    int `json:"repositories"`
	Clusters        int `json:"clusters"`
	// Ready and Attention count the objects of these kinds and of the settings.
	Ready     int `json:"ready"`
	Attention int `json:"attention"`
	// Fields by what becomes of them.
	Fields map[Outcome]int `json:"fields"`
}
