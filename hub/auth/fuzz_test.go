package auth

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/auth/authtest"
	"github.com/hawser-dev/hawser/hub/fleet"
)

// What a stranger sends as a token for a cluster is taken in its one spelling and
// with the hub's signature, or not at all.
func FuzzClusterToken(f *testing.F) {
	signer := authtest.Signer("of this hub")
	s := newWorld().Service
	s.SignWith(signer)
	good, _, err := s.IssueForCluster(fleet.APIToken{ID: "t1", ExpiresAt: s.now().Add(ClusterTokenLife)}, "eu")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, false)
	f.Add(good+"=", false)
	f.Add(good+".", true)
	for _, text := range []string{`{"h":"t1","c":"eu","u":1}`, `{"h":"t1","h":"t2","c":"eu"}`, `{"h":"","c":"eu"}`, `{"h":"t1","c":"eu","x":1}`, `{"H":"t1","C":"eu"}{}`, "null", ""} {
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, sign bool) {
		token := text
		if sign { // a hub of another version, which says something else
			signature, err := signer.Sign([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			token = clusterPrefix + base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + base64.RawURLEncoding.EncodeToString(signature)
		}
		said, ok := s.readForCluster(token)
		if !ok {
			return
		}
		body, signature, _ := strings.Cut(strings.TrimPrefix(token, clusterPrefix), ".")
		a, errA := base64.RawURLEncoding.DecodeString(body)
		b, errB := base64.RawURLEncoding.DecodeString(signature)
		if errA != nil || errB != nil || !signer.Signed(a, b) || base64.RawURLEncoding.EncodeToString(a) != body || base64.RawURLEncoding.EncodeToString(b) != signature {
			t.Errorf("%q is taken", token)
		}
		if said.Holder == "" || said.Cluster == "" || len(token) > maxClusterToken || !sign && token != good {
			t.Errorf("%q is taken as %+v", token, said)
		}
	})
}
