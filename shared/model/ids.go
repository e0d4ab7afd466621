package model

import (
	"fmt"
	"strings"
)

// ClusterID identifies an enrolled cluster for ever, across renames. A UUID.
type ClusterID string

// AppUID identifies one life of an application: an application that is deleted
// and created again under the same name has another. A UUID.
type AppUID string

// OperationID identifies a durable command. A UUIDv7, so it sorts by time.
type OperationID string

// Generation numbers the desired states of one application from 1 upwards.
// Zero means none.
type Generation int64

// Digest names content: "sha256:" and 64 hexadecimal digits.
type Digest string

// Epoch fences agent sessions. Epochs compare by incarnation, then by number.
// The hub takes the number from a Postgres sequence; the incarnation rises when
// the hub finds that its database was restored from an older copy.
type Epoch struct {
	Incarnation int64 `json:"incarnation"`
	Number      int64 `json:"number"`
}

// Less reports whether e was issued before o.
func (e Epoch) Less(o Epoch) bool {
	if e.Incarnation != o.Incarnation {
		return e.Incarnation < o.Incarnation
	}
	return e.Number < o.Number
}

// IsZero reports whether no epoch was ever accepted.
func (e Epoch) IsZero() bool { return e == Epoch{} }

func (e Epoch) String() string { return fmt.Sprintf("%d.%d", e.Incarnation, e.Number) }

// GroupKind names a kind of Kubernetes object without its version.
type GroupKind struct {
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind"`
}

func (k GroupKind) String() string {
	if k.Group == "" {
		return k.Kind
	}
	return k.Group + "/" + k.Kind
}

// ObjectKey is the identity of an object inside one cluster. Namespace is empty
// for cluster-scoped kinds. The version is not part of the identity.
type ObjectKey struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// GroupKind returns the kind of k.
func (k ObjectKey) GroupKind() GroupKind { return GroupKind{Group: k.Group, Kind: k.Kind} }

func (k ObjectKey) String() string {
	name := k.Name
	if k.Namespace != "" {
		name = k.Namespace + "/" + k.Name
	}
	return k.GroupKind().String() + " " + name
}

// TrackingID is the value of the argocd.argoproj.io/tracking-id annotation for
// object k of the named application: "app:group/Kind:namespace/name".
func TrackingID(app string, k ObjectKey) string {
	return app + ":" + k.Group + "/" + k.Kind + ":" + k.Namespace + "/" + k.Name
}

// ParseTrackingID takes a tracking id apart. ok is false when it has not the
// shape that TrackingID makes.
func ParseTrackingID(s string) (app string, k ObjectKey, ok bool) {
	parts := strings.SplitN(s, ":", 3)
	if len(parts) != 3 {
		return "", ObjectKey{}, false
	}
	group, kind, ok1 := strings.Cut(parts[1], "/")
	ns, name, ok2 := strings.Cut(parts[2], "/")
	if !ok1 || !ok2 || parts[0] == "" || kind == "" || name == "" {
		return "", ObjectKey{}, false
	}
	return parts[0], ObjectKey{Group: group, Kind: kind, Namespace: ns, Name: name}, true
}
