package kubecall

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Prefix is what every user and group has as whom a request is made. A hub that
// was taken over can be nobody who does not have it: no service account, no node,
// and not system:masters.
const Prefix = "hawser:"

const (
	// statementLife is how long a statement may be used after it was made.
	statementLife = time.Minute
	// maxSkew is how far the clocks of hub and agent may be apart.
	maxSkew   = 5 * time.Minute
	maxGroups = 200
	maxName   = 256
	maxSigned = 64 << 10
)

// Statement is what the hub says about one request, and signs.
type Statement struct {
	Cluster model.ClusterID `json:"cluster"`
	// Request is the id of the request, and Digest of what it asks for.
	Request string `json:"request"`
	Digest  []byte `json:"digest"`
	// User and Groups begin with Prefix.
	User   string    `json:"user"`
	Groups []string  `json:"groups,omitempty"`
	At     time.Time `json:"at"`
}

// Digest of what a request asks for.
func Digest(method, path, query string) []byte {
	sum := sha256.Sum256([]byte(method + "\n" + path + "\n" + query))
	return sum[:]
}

// signedText keeps a signature over a statement from being one over something else.
func signedText(statement []byte) []byte {
	sum := sha256.Sum256(append([]byte("hawser-kube-request-v1\n"), statement...))
	return sum[:]
}

// Sign makes the signed form of a statement; sign signs a SHA-256.
func (s Statement) Sign(sign func(digest []byte) ([]byte, error)) (model.KubeIdentity, error) {
	if err := s.check(); err != nil {
		return model.KubeIdentity{}, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return model.KubeIdentity{}, fault.Wrap(err, fault.Internal, "internal", "a statement could not be written")
	}
	signature, err := sign(signedText(text))
	return model.KubeIdentity{Statement: text, Signature: signature}, err
}

// Verify reads a signed statement and checks that it is the hub's, about this
// request to this cluster, and of now. Code: identity_refused (Denied).
func Verify(ca *x509.Certificate, id model.KubeIdentity, cluster model.ClusterID, request string, digest []byte, now time.Time) (Statement, error) {
	var s Statement
	refused := func(format string, args ...any) (Statement, error) {
		return Statement{}, fault.New(fault.Denied, "identity_refused", format, args...).WithFix("ask again; if it stays, compare the clocks of hub and agent, and look at the agent's log")
	}
	if ca == nil || len(id.Statement) == 0 || len(id.Statement) > maxSigned {
		return refused("the hub does not say whose request it is")
	}
	key, ok := ca.PublicKey.(*ecdsa.PublicKey)
	if !ok || !ecdsa.VerifyASN1(key, signedText(id.Statement), id.Signature) {
		return refused("the hub's statement whose request it is does not have the hub's signature")
	}
	if err := json.Unmarshal(id.Statement, &s); err != nil {
		return refused("the hub's statement whose request it is cannot be read")
	}
	switch age := now.Sub(s.At); {
	case s.Cluster != cluster:
		return refused("the hub's statement is for another cluster")
	case s.Request != request || !bytes.Equal(s.Digest, digest):
		return refused("the hub's statement is for another request")
	case age > statementLife+maxSkew || age < -maxSkew:
		return refused("the hub's statement is %s old", age.Round(time.Second))
	}
	if err := s.check(); err != nil {
		return refused("%s", fault.As(err).Message)
	}
	return s, nil
}

// Lasts is how long a statement could be used again, for those who remember which
// were.
func Lasts() time.Duration { return statementLife + 2*maxSkew }

// check refuses who could be somebody else, or nobody.
func (s Statement) check() error {
	bad := func(what string) error {
		return fault.New(fault.Denied, "identity_refused", "%s of the request is none that may be acted for", what)
	}
	if s.Cluster == "" || s.Request == "" || !named(s.User) || len(s.Groups) > maxGroups {
		return bad("the user")
	}
	for _, g := range s.Groups {
		if !named(g) {
			return bad("a group")
		}
	}
	return nil
}

func named(s string) bool {
	rest, ok := strings.CutPrefix(s, Prefix)
	return ok && rest != "" && len(s) <= maxName && utf8.ValidString(s) && rest == strings.TrimSpace(rest) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
