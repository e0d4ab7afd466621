package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Customizations are resource customizations in the format of the argocd-cm
// ConfigMap: keys such as resource.customizations.health.argoproj.io_Rollout,
// and their texts.
type Customizations map[string]string

// MaxCustomizationsBytes bounds the JSON of a set of customizations. It has to
// fit into one object of a cluster (1 MiB) and one message (4 MiB).
const MaxCustomizationsBytes = 512 << 10

// JSON is the canonical encoding: the keys are sorted, and no customizations
// are "{}".
func (c Customizations) JSON() []byte {
	if len(c) == 0 {
		return []byte("{}")
	}
	b, err := json.Marshal(map[string]string(c))
	if err != nil { // strings always encode
		panic(err)
	}
	return b
}

// Digest identifies the content: equal customizations have equal digests at
// hub and agent.
func (c Customizations) Digest() Digest {
	sum := sha256.Sum256(c.JSON())
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Settings are what the hub says to all agents alike.
type Settings struct {
	// Version rises by one with each change at the hub. After the hub's
	// database was restored it may be lower than one that agents have: the
	// digest says whether settings differ, the version only names them.
	Version        int64
	Customizations Customizations
}
