package manifest

// Limits bound what one file may cost. A zero field means its default.
type Limits struct {
	// MaxBytes of one file.
	MaxBytes int
	// MaxObjects of one file, items of Lists included.
	MaxObjects int
	// MaxDepth of nested mappings and lists.
	MaxDepth int
	// MaxAliasExpansion is the number of bytes that YAML aliases and merge keys
	// of one file may add.
	MaxAliasExpansion int
}

// DefaultLimits are generous to real manifests (the largest published sets of
// CRDs are 4 MB in one file) and bound a parse to a few hundred MiB of memory.
func DefaultLimits() Limits {
	return Limits{MaxBytes: 10 << 20, MaxObjects: 10_000, MaxDepth: 200, MaxAliasExpansion: 10 << 20}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.MaxBytes <= 0 {
		l.MaxBytes = d.MaxBytes
	}
	if l.MaxObjects <= 0 {
		l.MaxObjects = d.MaxObjects
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = d.MaxDepth
	}
	if l.MaxAliasExpansion <= 0 {
		l.MaxAliasExpansion = d.MaxAliasExpansion
	}
	return l
}

// maxYAMLNodes bounds the syntax tree of one YAML file, which costs about 200
// bytes a node while it is converted.
const maxYAMLNodes = 1_500_000
