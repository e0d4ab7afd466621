package fleet

import (
	"time"

	"github.com/hawser-dev/hawser/shared/signature"
)

// MaxGPGKeys is how many public keys a hub keeps: each verification reads all.
const MaxGPGKeys = 200

// GPGKey is a public key at the hub.
type GPGKey struct {
	signature.Key
	AddedBy string
	AddedAt time.Time
}
