package fleet

import "time"

// States of a version of the key that the hub seals with.
const (
	KeyAnnounced = "announced" // hubs learn it; nothing is sealed with it
	KeySealing   = "sealing"
	KeyOpening   = "opening" // what it sealed is sealed anew
	KeyRetired   = "retired" // gone; nothing that it sealed is taken any more
)

// VaultKey is one version as it is shown.
type VaultKey struct {
	Version string `json:"version"`
	State   string `json:"state"`
	// KeptUnder is the version of the key file's key that it is kept under; empty for
	// one of the file itself, and for one that is retired.
	KeptUnder string     `json:"keptUnder,omitempty"`
	MadeAt    *time.Time `json:"madeAt,omitempty"`
	SealingAt *time.Time `json:"sealingAt,omitempty"`
	RetiredAt *time.Time `json:"retiredAt,omitempty"`
	// Values says how many are sealed with it, by table and column.
	Values map[string]int `json:"values"`
}

// Count of all values.
func (k VaultKey) Count() int {
	n := 0
	for _, c := range k.Values {
		n += c
	}
	return n
}

// KeyReader is a hub that runs, or did.
type KeyReader struct {
	Instance string    `json:"instance"`
	Versions []string  `json:"versions"`
	SeenAt   time.Time `json:"seenAt"`
	// Live is false for one that has not been seen of late.
	Live bool `json:"live"`
}

// KeyStatus is what is known of the versions.
type KeyStatus struct {
	Keys    []VaultKey  `json:"keys"`
	Readers []KeyReader `json:"readers"`
}

// Resealed is what one step of sealing anew did.
type Resealed struct {
	// Done counts values that are sealed anew.
	Done int `json:"done"`
	// Damaged are values that cannot be opened, as "table.column row": they stay as
	// they are and hold their version.
	Damaged []string `json:"damaged,omitempty"`
	// Busy: another process does it at this moment.
	Busy bool `json:"busy,omitempty"`
	// More values remain.
	More bool `json:"more,omitempty"`
}
