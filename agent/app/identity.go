package app

import (
	"context"
	"crypto/rand"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	identitySecret = "hawser-agent-identity"
	keysSecret     = "hawser-agent-keys"
	redactionKey   = "redaction"
)

// secrets are single Secrets of the agent's own namespace.
type secrets interface {
	Get(ctx context.Context, name string) (journal.Secret, error)
	Create(ctx context.Context, s journal.Secret) (journal.Secret, error)
	Update(ctx context.Context, s journal.Secret) (journal.Secret, error)
}

// identities keeps the agent's identity in a Secret, so that it survives the
// pod. It implements link.IdentityStore.
type identities struct{ secrets secrets }

const (
	fieldCluster     = "cluster-id"
	fieldClusterName = "cluster-name"
	fieldKey         = "tls.key"
	fieldCertificate = "tls.crt"
	fieldCA          = "ca.crt"
)

func (s identities) Load(ctx context.Context) (link.Identity, error) {
	sec, err := s.secrets.Get(ctx, identitySecret)
	if err != nil {
		return link.Identity{}, err
	}
	for _, k := range []string{fieldCluster, fieldKey, fieldCertificate, fieldCA} {
		if len(sec.Data[k]) == 0 {
			// A Secret without its parts is damage, not absence.
			return link.Identity{}, fault.New(fault.Invalid, "identity_damaged", "the Secret %s lacks %s", identitySecret, k).
				WithFix("restore it, or delete it and enrol the cluster again under the same name")
		}
	}
	return link.Identity{
		Cluster: model.ClusterID(sec.Data[fieldCluster]), ClusterName: string(sec.Data[fieldClusterName]),
		KeyPEM: sec.Data[fieldKey], CertificatePEM: sec.Data[fieldCertificate], CAPEM: sec.Data[fieldCA],
	}, nil
}

func (s identities) Save(ctx context.Context, id link.Identity) error {
	sec := journal.Secret{Name: identitySecret, Data: map[string][]byte{
		fieldCluster: []byte(id.Cluster), fieldClusterName: []byte(id.ClusterName),
		fieldKey: id.KeyPEM, fieldCertificate: id.CertificatePEM, fieldCA: id.CAPEM,
	}}
	return putSecret(ctx, s.secrets, sec)
}

// loadRedactionKey returns the cluster's key for marking values of Secrets,
// making it at the first start. It never leaves the cluster.
func loadRedactionKey(ctx context.Context, s secrets) ([]byte, error) {
	for {
		sec, err := s.Get(ctx, keysSecret)
		if err == nil && len(sec.Data[redactionKey]) >= 32 {
			return sec.Data[redactionKey], nil
		}
		if err == nil {
			return nil, fault.New(fault.Invalid, "redaction_key_damaged", "the Secret %s lacks its key", keysSecret).
				WithFix("delete it; a new key is made at the next start")
		}
		if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		_, err = s.Create(ctx, journal.Secret{Name: keysSecret, Data: map[string][]byte{redactionKey: key}})
		if err != nil && !fault.Is(err, fault.Conflict) {
			return nil, err
		}
	}
}
