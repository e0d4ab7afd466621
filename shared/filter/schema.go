package filter

import "slices"

// Kind is what the values of a key are.
type Kind int

// The kinds of keys.
const (
	// Text is compared as it is, or by globs.
	Text Kind = iota
	// Word is one of a closed set, in any case.
	Word
	// Age is a time ago: <1h is newer, >1h older.
	Age
	// Number is compared by =, <, >, <= and >=.
	Number
)

// Key is one thing to ask for.
type Key struct {
	Name    string
	Kind    Kind
	Words   []string // of a Word, in lower case
	Aliases []string
}

// Schema is what can be asked about one kind of thing.
type Schema struct {
	// Things in the plural, for errors.
	Things string
	Keys   []Key
	// States are the words for is: and not:.
	States []string
	// Labels are the keys after which a label is named, such as "label" and
	// "cluster.label"; the first is what k:v means when k is no key.
	Labels []string
}

func (s Schema) key(name string) (Key, bool) {
	for _, k := range s.Keys {
		if k.Name == name || slices.Contains(k.Aliases, name) {
			return k, true
		}
	}
	return Key{}, false
}

func (s Schema) names() []string {
	out := make([]string, 0, len(s.Keys)+2+len(s.Labels))
	for _, k := range s.Keys {
		out = append(out, k.Name)
	}
	if len(s.States) > 0 {
		out = append(out, "is", "not")
	}
	return append(out, s.Labels...)
}

// Names lists what can stand before a colon, with the other names of keys last.
func (s Schema) Names() []string {
	out := s.names()
	for _, k := range s.Keys {
		out = append(out, k.Aliases...)
	}
	return out
}

// Values are the words that a key takes, nil when it takes anything.
func (s Schema) Values(key string) []string {
	if (key == "is" || key == "not") && len(s.States) > 0 {
		return s.States
	}
	k, _ := s.key(key)
	return k.Words
}

// Sample is a term of every key and of every word that it takes.
func (s Schema) Sample() []string {
	var out []string
	for _, name := range s.Names() {
		words := s.Values(name)
		k, ok := s.key(name)
		switch {
		case words != nil:
			for _, w := range words {
				out = append(out, name+":"+w)
			}
		case ok && k.Kind == Age:
			out = append(out, name+":<1h", name+":>7d")
		case ok && k.Kind == Number:
			out = append(out, name+":>=10")
		case ok:
			out = append(out, name+":text", name+":te*", name+":~ex")
		default:
			out = append(out, name+":env=prod")
		}
	}
	return out
}
