package link

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// IdentitySecretName is the Secret in the agent's own namespace.
const IdentitySecretName = "hawser-agent-identity"

// Secrets is the part of client-go's SecretInterface that SecretIdentity
// needs, of the agent's own namespace.
type Secrets interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*corev1.Secret, error)
	Create(ctx context.Context, s *corev1.Secret, opts metav1.CreateOptions) (*corev1.Secret, error)
	Update(ctx context.Context, s *corev1.Secret, opts metav1.UpdateOptions) (*corev1.Secret, error)
}

// SecretIdentity keeps the identity in a Secret of the agent's own cluster.
type SecretIdentity struct{ Secrets Secrets }

const (
	secretCluster     = "cluster-id"
	secretClusterName = "cluster-name"
	secretKey         = "tls.key"
	secretCertificate = "tls.crt"
	secretCA          = "ca.crt"
)

// Load implements IdentityStore. A Secret that exists without the parts of an
// identity is damage, not absence.
func (s SecretIdentity) Load(ctx context.Context) (Identity, error) {
	sec, err := s.Secrets.Get(ctx, IdentitySecretName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Identity{}, errNoIdentity()
	}
	if err != nil {
		return Identity{}, fault.Wrap(err, fault.Unavailable, "identity_unreadable", "the Secret %s could not be read", IdentitySecretName)
	}
	for _, k := range []string{secretCluster, secretKey, secretCertificate, secretCA} {
		if len(sec.Data[k]) == 0 {
			return Identity{}, fault.New(fault.Invalid, "identity_damaged", "the Secret %s lacks %s", IdentitySecretName, k).
				WithFix("restore it, or delete it and enrol the cluster again under the same name")
		}
	}
	return Identity{
		Cluster:        model.ClusterID(sec.Data[secretCluster]),
		ClusterName:    string(sec.Data[secretClusterName]),
		KeyPEM:         sec.Data[secretKey],
		CertificatePEM: sec.Data[secretCertificate],
		CAPEM:          sec.Data[secretCA],
	}, nil
}

// Save implements IdentityStore.
func (s SecretIdentity) Save(ctx context.Context, id Identity) error {
	data := map[string][]byte{
		secretCluster:     []byte(id.Cluster),
		secretClusterName: []byte(id.ClusterName),
		secretKey:         id.KeyPEM,
		secretCertificate: id.CertificatePEM,
		secretCA:          id.CAPEM,
	}
	err := s.save(ctx, data)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "identity_unwritable", "the Secret %s could not be written", IdentitySecretName)
	}
	return nil
}

func (s SecretIdentity) save(ctx context.Context, data map[string][]byte) error {
	var err error
	for range 5 { // another writer may come between reading and writing
		var sec *corev1.Secret
		sec, err = s.Secrets.Get(ctx, IdentitySecretName, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			_, err = s.Secrets.Create(ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{
					Name:   IdentitySecretName,
					Labels: map[string]string{"app.kubernetes.io/managed-by": "hawser-agent"},
				},
				Type: corev1.SecretTypeOpaque,
				Data: data,
			}, metav1.CreateOptions{})
		case err == nil:
			sec.Data = data
			_, err = s.Secrets.Update(ctx, sec, metav1.UpdateOptions{})
		}
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return fmt.Errorf("given up after repeated conflicts: %w", err)
}
